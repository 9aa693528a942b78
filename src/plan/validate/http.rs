//! The keys of HTTP checks: the request, and what must come back.

use std::collections::HashMap;

use super::{Context, policy};
use crate::http::{Header, Request};
use crate::outcome::Severity;
use crate::plan::file::{self, NamedHttp};
use crate::plan::meaning::Method;
use crate::plan::overlay::Overlay as _;
use crate::plan::secret::header_name;
use crate::plan::written::{At, Key, List, Map, Meant};
use crate::plan::{CHECK_NAMES, CheckSpec, Expect, HttpCheck, JsonExpect, JsonWanted, Kind, Stage, code, header};

pub(super) fn check(
    name: &str,
    keys: Key<file::Http>,
    stage: Stage,
    context: &mut Context<'_, '_>,
) -> Option<CheckSpec> {
    let place = context.mistakes.source(keys.place());
    let keys = keys.get()?;
    let policy = policy::of(policy::keys!(keys, severity: keys.severity, retries: keys.retries), context);
    let headers = headers(keys.headers, context);
    let expect = expect(keys.expect, context);
    let request = Request {
        method: keys.method.get()?.meant.0,
        path: keys.path.get()?.meant.0,
        headers: headers?,
        body: keys.body.or_absent()?.map(String::into_bytes),
    };
    // An application that starts may say anything before it is well.
    let retry_everything = stage == Stage::Healthy;
    let expect = expect?;
    let is_described = !(expect.body.is_empty() && expect.headers.is_empty() && expect.json.is_empty());
    let takes_page = is_described || !matches!(name, "health" | "readiness");
    let kind = Kind::Http(HttpCheck { retry_everything, takes_page, request, expect });
    Some(CheckSpec { name: name.to_owned(), policy: policy?, stage, kind, place })
}

/// What an added check starts from: the limits of the built-in one, not what was changed about its request.
pub(super) fn defaults(readiness: file::Http) -> file::Http {
    file::Http {
        enabled: Key::of(true),
        severity: Key::of(Severity::Block),
        method: Key::of(Meant { written: "GET".into(), meant: Method("GET".into()) }),
        path: Key::Absent,
        headers: Key::Absent,
        body: Key::Absent,
        expect: Key::Absent,
        retries: Key::Absent,
        ..readiness
    }
}

/// The checks of `http`; one that is nothing stands for those that are wrong.
pub(super) fn added(
    checks: Key<List<NamedHttp>>,
    defaults: &file::Http,
    context: &mut Context<'_, '_>,
) -> Vec<Option<CheckSpec>> {
    let Some(List { items, whole }) = checks.get() else { return vec![None] };
    let mut names: HashMap<String, String> =
        CHECK_NAMES.map(|name| (name.to_owned(), "the built-in check's".to_owned())).into();
    let mut all = if whole { Vec::new() } else { vec![None] };
    for At { value: keys, place, block } in items {
        let name = keys.name.0.clone();
        if let Some(name) = &name {
            let this = name.place.map_or_else(String::new, |place| format!("that of the check at {place}"));
            if let Some(taken) = names.insert(name.value.written.clone(), this) {
                let message = format!(
                    "the check name {:?} is taken: it is {taken}; give each check a name of its own",
                    name.value.written
                );
                context.mistakes.add(code::NAME, name.place, message);
            }
        }
        let keys = Key::Given(At { value: keys.unnamed().over(defaults.clone()), place, block });
        let named = name.as_ref().map_or("", |name| &name.value.meant.0);
        all.push(check(named, keys, Stage::SideBySide, context).filter(|_| name.is_some()));
    }
    all
}

/// Headers with their secrets looked up; none where the key is absent.
pub(super) fn headers(headers: Key<Map<String>>, context: &mut Context<'_, '_>) -> Option<Vec<Header>> {
    let mut all = Some(Vec::new());
    let mut names: Vec<String> = Vec::new();
    for (name, written) in headers.or_absent()?.unwrap_or_default().0 {
        if let Some(other) = names.iter().find(|other| other.eq_ignore_ascii_case(&name)) {
            context.conflict(
                written.place,
                format!("the headers {other} and {name} are one: names of headers have no case"),
            );
        }
        names.push(name.clone());
        match header(&name, &written.value, context.lookup) {
            Ok(header) => all.iter_mut().for_each(|all| all.push(header.clone())),
            Err(mut mistake) => {
                mistake.place = written.place;
                context.mistakes.push(mistake);
                all = None;
            }
        }
    }
    all
}

/// What an answer must be: status 200 where nothing is said.
pub(super) fn expect(keys: Key<file::Expect>, context: &mut Context<'_, '_>) -> Option<Expect> {
    let Some(keys) = keys.or_absent()? else { return Some(Expect::ok()) };
    let status = status(keys.status, context);
    let json = match keys.json.or_absent()? {
        None => Some(Vec::new()),
        Some(List { items, .. }) => {
            // All of them, so that each reports its own.
            let json: Vec<Option<JsonExpect>> = items.into_iter().map(|item| json_expect(item, context)).collect();
            json.into_iter().collect()
        }
    };
    let headers = keys.headers.or_absent()?.unwrap_or_default().0;
    for (name, pattern) in &headers {
        if let Err(mut mistake) = header_name(name) {
            mistake.place = pattern.place;
            context.mistakes.push(mistake);
        }
    }
    let body = keys.body.or_absent()?.map_or_else(Vec::new, |list| list.items);
    Some(Expect {
        status: status?,
        json: json?,
        headers: headers.into_iter().map(|(name, pattern)| (name, pattern.value.meant.0)).collect(),
        body: body.into_iter().map(|pattern| pattern.value.meant.0).collect(),
    })
}

fn status(keys: Key<List<u16>>, context: &mut Context<'_, '_>) -> Option<Vec<u16>> {
    let place = keys.place();
    let Some(List { items, whole }) = keys.or_absent()? else { return Some(vec![200]) };
    if items.is_empty() && whole {
        context.conflict(place, "expect.status is empty, so that no answer would do; name the good statuses");
    }
    for wanted in items.iter().filter(|wanted| !(200..=599).contains(&wanted.value)) {
        let message = format!("{} is not a final HTTP status; want 200 to 599", wanted.value);
        context.mistakes.add(code::NUMBER, wanted.place, message);
    }
    Some(items.into_iter().map(|wanted| wanted.value).collect())
}

fn json_expect(At { value: keys, place, .. }: At<file::Json>, context: &mut Context<'_, '_>) -> Option<JsonExpect> {
    let (place, path) = match keys.path.0 {
        Some(path) => (path.place, Some(path.value.meant)),
        None => (place, None),
    };
    if keys.equals.is_wrong() || keys.matches.is_wrong() || keys.exists.is_wrong() {
        return None;
    }
    let wanted = match (keys.equals.get(), keys.matches.get(), keys.exists.get()) {
        (Some(value), None, None) => JsonWanted::Equals(value),
        (None, Some(pattern), None) => JsonWanted::Matches(pattern.meant.0),
        (None, None, Some(exists)) => JsonWanted::Exists(exists),
        _ => {
            let path = path.map(|path| format!(" {path}")).unwrap_or_default();
            context.conflict(place, format!("the JSON value{path} wants exactly one of equals, matches and exists"));
            return None;
        }
    };
    Some(JsonExpect { path: path?, wanted })
}
