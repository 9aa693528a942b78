//! The keys of `smoke`.

use super::{Context, http, policy};
use crate::http::Request;
use crate::outcome::Severity;
use crate::plan::written::{At, Key, List};
use crate::plan::{CheckSpec, Kind, Smoke, Stage, code, file};

/// The most redirects that are followed, whatever the file says.
const MAX_REDIRECTS: usize = 20;

pub(super) fn check(keys: Key<file::Smoke>, context: &mut Context<'_, '_>) -> Option<CheckSpec> {
    let place = context.mistakes.source(keys.place());
    let keys = keys.get()?;
    // Either may be what was emptied last.
    let emptied = keys.page.place().or(keys.requests.place());
    let nothing = matches!(keys.page.at(), Some(page) if page.value.is_none())
        && matches!(keys.requests.at(), Some(list) if list.value.items.is_empty() && list.value.whole);
    if nothing && keys.enabled.at().is_some_and(|enabled| enabled.value) {
        let message = "smoke has neither requests nor a page, so that it would check nothing; switch it off";
        context.conflict(emptied, message);
    }
    let requests = requests(keys.requests, context);
    let max_assets = bounded(&keys.max_assets, 10_000, "max_assets", context);
    let imports = match keys.imports.get() {
        Some(file::Imports::Off) => Some(None),
        Some(file::Imports::Warn) => Some(Some(Severity::Warn)),
        Some(file::Imports::Block) => Some(Some(Severity::Block)),
        None => None,
    };
    if let (Some(At { value: Some(least), place, .. }), Some(most)) = (keys.min_assets.at(), max_assets)
        && usize::try_from(*least).is_ok_and(|least| least > most)
    {
        let message = format!("min_assets is {least}; want at most max_assets, {most}");
        context.mistakes.add(code::NUMBER, *place, message);
    }
    let loads_none = matches!(keys.page.at(), Some(page) if page.value.is_none())
        || matches!(keys.assets.at(), Some(assets) if !assets.value);
    if let Some(At { value: Some(1..), place, .. }) = keys.min_assets.at()
        && loads_none
    {
        context.conflict(*place, "min_assets wants assets, and none are loaded (assets: false, or no page)");
    }
    let concurrency = bounded(&keys.concurrency, 64, "concurrency", context);
    let policy = policy::of(policy::keys!(keys, severity: keys.severity, retries: Key::Absent), context);
    let kind = Kind::Smoke(Smoke {
        requests: requests?,
        page: keys.page.get()?.map(|page| page.meant.0),
        assets: keys.assets.get()?,
        asset_skew: keys.asset_skew.get()?,
        imports: imports?,
        min_assets: keys.min_assets.get()?.and_then(|least| usize::try_from(least).ok()),
        max_assets: max_assets?,
        concurrency: concurrency?,
        max_redirects: usize::try_from(keys.max_redirects.get()?).ok()?.min(MAX_REDIRECTS),
    });
    Some(CheckSpec { name: "smoke".into(), policy: policy?, stage: Stage::SideBySide, kind, place })
}

fn requests(
    keys: Key<List<file::SmokeRequest>>,
    context: &mut Context<'_, '_>,
) -> Option<Vec<(Request, crate::plan::Expect)>> {
    let requests: Vec<Option<_>> = keys
        .get()?
        .items
        .into_iter()
        .map(|request| {
            let expect = http::expect(request.value.expect, context);
            Some((Request::get(request.value.path.0?.value.meant.0), expect?))
        })
        .collect();
    requests.into_iter().collect()
}

fn bounded(key: &Key<u32>, most: u32, name: &str, context: &mut Context<'_, '_>) -> Option<usize> {
    let number = key.at()?;
    if !(1..=most).contains(&number.value) {
        let message = format!("{name} is {}; want 1 to {most}", number.value);
        context.mistakes.add(code::NUMBER, number.place, message);
    }
    usize::try_from(number.value).ok()
}
