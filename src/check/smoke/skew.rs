//! Asset skew: while two revisions share the traffic, a page of one asks the other for its assets, unless clients stick to
//! one. No check of the canary alone can see that.

use super::fetch::Fetch;
use super::page::{Asset, assets, looks_like_html};
use crate::check::locate::Stable;
use crate::http::{Answer, Client, Request};
use crate::outcome::{Observation, Severity, Status};
use crate::text;

/// A page that is kept for longer than this outlives a rollout.
const LONG: u64 = 3600;

/// A warning where browsers may keep the page beyond the rollout: its assets are gone then.
pub(super) fn cached(page: &Answer) -> Option<Observation> {
    let value = page.header("cache-control")?.to_ascii_lowercase();
    let mut directives = value.split(',').map(str::trim);
    let kept = directives.any(|directive| {
        let age = directive.strip_prefix("max-age=").or_else(|| directive.strip_prefix("s-maxage="));
        directive == "immutable" || age.and_then(|age| age.parse::<u64>().ok()).is_some_and(|age| age > LONG)
    });
    let detail = format!(
        "the page may be kept by browsers and caches for long (Cache-Control: {value}), and its hashed assets go with the next \
         revision; send no-cache with HTML"
    );
    kept.then(|| Observation::note("page", Status::Warn, detail))
}

/// Asks each revision for the other's assets.
pub(super) async fn between(fetch: &Fetch<'_>, stable: &Stable, page: &Answer, own: &[Asset]) -> Vec<Observation> {
    if stable.sticky {
        return Vec::new();
    }
    let mut observations = missing(fetch, &stable.client, "the stable revision", own).await;
    let path = page.url.path();
    // What the stable revision's page cannot be asked for is not the canary's fault: it is said, and no more.
    let unseen = |why: String| Observation::note("asset skew", Status::Skipped, why);
    match fetch.context.ask(&stable.client, &Request::get(path)).await {
        Ok(answer) if answer.status == 200 => match assets(&answer.body, &answer.url) {
            Ok(found) => {
                let of_its_own: Vec<Asset> =
                    found.into_iter().filter(|asset| asset.url.origin() == answer.url.origin()).collect();
                observations.extend(missing(fetch, fetch.client, "the canary", &of_its_own).await);
            }
            Err(cause) => observations.push(unseen(format!("the stable revision's page: {cause}"))),
        },
        Ok(answer) => {
            observations.push(unseen(format!("the stable revision answers {} for {path}", answer.status)));
        }
        Err(failure) => observations.push(unseen(format!("the stable revision: {failure}"))),
    }
    observations
}

/// One observation where a side lacks assets of the other's page.
async fn missing(fetch: &Fetch<'_>, side: &Client, name: &str, wanted: &[Asset]) -> Vec<Observation> {
    let mut lacking = Vec::new();
    for asset in wanted.iter().take(fetch.smoke.max_assets) {
        let path = match asset.url.query() {
            Some(query) => format!("{}?{query}", asset.url.path()),
            None => asset.url.path().to_owned(),
        };
        match fetch.context.ask(side, &Request::get(&path)).await {
            Ok(answer) if answer.status == 200 && !looks_like_html(&answer.body) => {}
            Ok(_) => lacking.push(path),
            Err(failure) => {
                let why = format!("{name} cannot be asked for {path}: {failure}");
                return vec![Observation::note("asset skew", Status::Skipped, why)];
            }
        }
    }
    if lacking.is_empty() {
        return Vec::new();
    }
    let detail = format!(
        "{name} lacks {}, which the other revision's page names: while both serve, pages break for clients that meet both; set          run.googleapis.com/sessionAffinity: \"true\", keep the assets of the revision before, or serve them from a bucket",
        text::joined(&lacking, 1, ", ")
    );
    let status = match fetch.smoke.asset_skew {
        Severity::Block => Status::Fail,
        Severity::Warn => Status::Warn,
    };
    vec![Observation::note("asset skew", status, detail)]
}
