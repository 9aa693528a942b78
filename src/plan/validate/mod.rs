//! From the keys of a checks file to a plan that needs no more checking.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use promeval::Pattern;

use super::file::{self, At, Backoff, File, Text};
use super::overlay::Overlay as _;
use super::{
    CHECK_NAMES, CheckPolicy, CheckSpec, Expect, HttpCheck, JsonExpect, JsonPath, JsonWanted, Kind, Lookup, Plan,
    PlanInput, Ready, Smoke, Stage, header,
};
use crate::http::{Header, Request, RequestLimits, RetryPolicy};
use crate::outcome::{Diagnostic, Place, Severity};

/// The longest duration that is taken: what is longer is a slip of the unit.
const LONGEST: Duration = Duration::from_hours(24);

pub(super) fn plan(file: File, input: &PlanInput, lookup: &dyn Lookup) -> Result<Plan, Diagnostic> {
    let timeout = match &input.timeout {
        Some(text) => duration_at(&At::nowhere(text.clone())).map_err(|error| flag("--timeout", error))?,
        None => duration_at(&required(file.timeout)?)?,
    };
    let headers = headers(file.headers, lookup)?;
    let readiness_keys = required(file.readiness)?;
    let mut defaults = readiness_keys.clone();
    // An added check starts from the built-in one's limits, not from what was changed about its request.
    (defaults.enabled, defaults.severity, defaults.method, defaults.headers, defaults.expect) =
        (Some(true), Some(Severity::Block), Some(At::nowhere("GET".into())), None, None);
    (defaults.path, defaults.body, defaults.retries) = (None, None, None);
    let mut checks = vec![
        ready(required(file.ready)?)?,
        http_check("health", required(file.health)?, Stage::Healthy, lookup)?,
        http_check("readiness", readiness_keys, Stage::SideBySide, lookup)?,
        metrics::check(required(file.metrics)?, input, lookup)?,
        smoke(required(file.smoke)?)?,
    ];
    checks.extend(extra_checks(file.http.unwrap_or_default(), &defaults, lookup)?);
    if !checks.iter().any(|check| check.policy.enabled && check.policy.severity == Severity::Block) {
        let message = "no enabled check blocks, so that the gate would pass whatever the canary does; enable one with severity: block";
        return fail(None, message);
    }
    Ok(Plan { timeout, headers, checks })
}

fn flag(name: &str, error: Diagnostic) -> Diagnostic {
    Diagnostic { message: format!("{name}: {}", error.message), ..error }
}

/// A key that the embedded default always has.
fn required<T>(value: Option<T>) -> Result<T, Diagnostic> {
    value.ok_or_else(|| {
        Diagnostic::new("defect", None, "the embedded default plan lacks a key; this is a defect of the gate")
    })
}

fn fail<T>(place: Option<Place>, message: impl Into<String>) -> Result<T, Diagnostic> {
    Err(Diagnostic::new("invalid", place, message))
}

/// A duration as the checks file and the flags write it: greater than 0, at most a day.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn duration(written: &str) -> Result<Duration, String> {
    match humantime::parse_duration(written) {
        Ok(duration) if duration.is_zero() => Err(format!("the duration {written:?} must be greater than 0")),
        Ok(duration) if duration > LONGEST => Err(format!("the duration {written:?} is over a day")),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{written:?} is not a duration ({error}); write it as 500ms, 30s, 2m or 1h 30m")),
    }
}

fn duration_at(text: &Text) -> Result<Duration, Diagnostic> {
    duration(&text.value).map_err(|message| Diagnostic::new("duration", text.place, message))
}

fn size(text: &Text) -> Result<u64, Diagnostic> {
    match text.value.parse::<bytesize::ByteSize>() {
        Ok(size) if size.as_u64() == 0 => fail(text.place, "the size must be greater than 0"),
        Ok(size) if size.as_u64() > 1 << 30 => fail(text.place, format!("the size {:?} is over 1GiB", text.value)),
        Ok(size) => Ok(size.as_u64()),
        Err(_) => fail(text.place, format!("{:?} is not a size; write it as 512KiB or 64MiB", text.value)),
    }
}

/// The keys of a check's limits.
struct Limits {
    timeout: Option<Text>,
    request_timeout: Option<Text>,
    max_body: Option<Text>,
    backoff: Option<Backoff>,
    retries: Option<u32>,
}

/// Takes the limits out of the keys of a check: every kind of check has them by the same names.
macro_rules! limits {
    ($keys:ident, $retries:expr) => {
        Limits {
            timeout: $keys.timeout,
            request_timeout: $keys.request_timeout,
            max_body: $keys.max_body,
            backoff: $keys.backoff,
            retries: $retries,
        }
    };
}

mod metrics;

fn policy(enabled: Option<bool>, severity: Option<Severity>, limits: Limits) -> Result<CheckPolicy, Diagnostic> {
    let limit = duration_at(&required(limits.timeout)?)?;
    let backoff = required(limits.backoff)?;
    let (initial_text, max_text) = (required(backoff.initial)?, required(backoff.max)?);
    let (initial, max) = (duration_at(&initial_text)?, duration_at(&max_text)?);
    if initial > max {
        let place = initial_text.place.or(max_text.place);
        let message =
            format!("backoff.initial ({}) is longer than backoff.max ({})", initial_text.value, max_text.value);
        return fail(place, message);
    }
    let request = RequestLimits {
        time: duration_at(&required(limits.request_timeout)?)?,
        body: size(&required(limits.max_body)?)?,
    };
    let retry = RetryPolicy { retries: limits.retries, initial, max };
    Ok(CheckPolicy {
        enabled: enabled.unwrap_or(true),
        severity: severity.unwrap_or(Severity::Block),
        limit,
        request,
        retry,
    })
}

fn path(text: &Text) -> Result<String, Diagnostic> {
    let written = &text.value;
    if !written.starts_with('/') || written.starts_with("//") {
        return fail(text.place, format!("the path {written:?} must start with one slash: the host is the canary's"));
    }
    if written.contains('#') || written.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return fail(
            text.place,
            format!("the path {written:?} holds a blank, a control character or a fragment; encode it with %"),
        );
    }
    Ok(written.clone())
}

fn headers(headers: Option<BTreeMap<String, Text>>, lookup: &dyn Lookup) -> Result<Vec<Header>, Diagnostic> {
    let resolve = |(name, text): (String, Text)| {
        header(&name, &text.value, lookup).map_err(|message| Diagnostic::new("invalid", text.place, message))
    };
    headers.unwrap_or_default().into_iter().map(resolve).collect()
}

fn method(text: &Text) -> Result<String, Diagnostic> {
    const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    if METHODS.contains(&&*text.value) {
        return Ok(text.value.clone());
    }
    fail(text.place, format!("unknown method {:?}; want one of {}", text.value, METHODS.join(", ")))
}

fn pattern(text: &Text, compile: fn(&str) -> Result<Pattern, String>) -> Result<Pattern, Diagnostic> {
    compile(&text.value).map_err(|message| Diagnostic::new("pattern", text.place, message))
}

fn expect(keys: Option<file::Expect>) -> Result<Expect, Diagnostic> {
    let keys = keys.unwrap_or_default();
    let mut status = Vec::new();
    for wanted in keys.status.unwrap_or_else(|| vec![At::nowhere(200)]) {
        if !(200..=599).contains(&wanted.value) {
            return fail(wanted.place, format!("{} is not a final HTTP status; want 200 to 599", wanted.value));
        }
        status.push(wanted.value);
    }
    if status.is_empty() {
        return fail(None, "expect.status is empty, so that no answer would do; name the good statuses");
    }
    let json = keys.json.unwrap_or_default().into_iter().map(json_expect).collect::<Result<_, _>>()?;
    let header = |(name, text): (String, Text)| Ok((name, pattern(&text, Pattern::new)?));
    let headers = keys.headers.unwrap_or_default().into_iter().map(header).collect::<Result<_, Diagnostic>>()?;
    let body = keys
        .body
        .unwrap_or_default()
        .iter()
        .map(|text| pattern(text, Pattern::unanchored))
        .collect::<Result<_, _>>()?;
    Ok(Expect { status, json, headers, body })
}

fn json_expect(keys: file::Json) -> Result<JsonExpect, Diagnostic> {
    let place = keys.path.place;
    let path = JsonPath::parse(&keys.path.value).map_err(|message| Diagnostic::new("invalid", place, message))?;
    let wanted = match (keys.equals, keys.matches, keys.exists) {
        (Some(value), None, None) => JsonWanted::Equals(value),
        (None, Some(text), None) => JsonWanted::Matches(pattern(&text, Pattern::new)?),
        (None, None, Some(exists)) => JsonWanted::Exists(exists),
        _ => {
            return fail(place, format!("the JSON value {path} wants exactly one of equals, matches and exists"));
        }
    };
    Ok(JsonExpect { path, wanted })
}

fn ready(keys: file::Ready) -> Result<CheckSpec, Diagnostic> {
    let limits = limits!(keys, None);
    Ok(CheckSpec {
        name: "ready".into(),
        policy: policy(keys.enabled, None, limits)?,
        stage: Stage::Serves,
        kind: Kind::Ready(Ready { path: path(&required(keys.path)?)? }),
    })
}

fn http_check(name: &str, keys: file::Http, stage: Stage, lookup: &dyn Lookup) -> Result<CheckSpec, Diagnostic> {
    let limits = limits!(keys, keys.retries);
    let request = Request {
        method: method(&required(keys.method)?)?,
        path: path(&required(keys.path)?)?,
        headers: headers(keys.headers, lookup)?,
        body: keys.body,
    };
    let policy = policy(keys.enabled, keys.severity, limits)?;
    // An application that starts may say anything before it is well.
    let retry_everything = stage == Stage::Healthy;
    let kind = Kind::Http(HttpCheck { retry_everything, request, expect: expect(keys.expect)? });
    Ok(CheckSpec { name: name.to_owned(), policy, stage, kind })
}

fn extra_checks(
    checks: Vec<file::NamedHttp>,
    defaults: &file::Http,
    lookup: &dyn Lookup,
) -> Result<Vec<CheckSpec>, Diagnostic> {
    let mut names: HashSet<String> = CHECK_NAMES.map(str::to_owned).into();
    let mut all = Vec::new();
    for keys in checks {
        let name = keys.name.clone();
        if name.value.trim().is_empty() || name.value.chars().any(char::is_control) {
            return fail(name.place, "the name of a check is empty or holds a control character");
        }
        if !names.insert(name.value.clone()) {
            return fail(
                name.place,
                format!("the check name {:?} is taken; give each check a name of its own", name.value),
            );
        }
        all.push(http_check(&name.value, keys.unnamed().over(defaults.clone()), Stage::SideBySide, lookup)?);
    }
    Ok(all)
}

fn smoke(keys: file::Smoke) -> Result<CheckSpec, Diagnostic> {
    let mut requests = Vec::new();
    for request in required(keys.requests)? {
        requests.push((Request::get(path(&request.path)?), expect(request.expect)?));
    }
    let page = keys.page.flatten().map(|text| path(&text)).transpose()?;
    let assets = keys.assets.unwrap_or(true);
    if page.is_none() && requests.is_empty() && keys.enabled.unwrap_or(true) {
        return fail(None, "smoke has neither requests nor a page, so that it would check nothing; switch it off");
    }
    let bounded = |number: At<usize>, most: usize, name: &str| match number.value {
        1.. if number.value <= most => Ok(number.value),
        value => fail(number.place, format!("{name} is {value}; want 1 to {most}")),
    };
    let limits = limits!(keys, None);
    let policy = policy(keys.enabled, keys.severity, limits)?;
    let max_assets = bounded(required(keys.max_assets)?, 10_000, "max_assets")?;
    let imports = match required(keys.imports)? {
        file::Imports::Off => None,
        file::Imports::Warn => Some(Severity::Warn),
        file::Imports::Block => Some(Severity::Block),
    };
    let min_assets = match keys.min_assets.flatten() {
        Some(number) if number.value > max_assets => {
            return fail(
                number.place,
                format!("min_assets is {}; want at most max_assets, {max_assets}", number.value),
            );
        }
        number => number.map(|number| number.value),
    };
    let kind = Kind::Smoke(Smoke {
        requests,
        page,
        assets,
        asset_skew: keys.asset_skew.unwrap_or(Severity::Warn),
        imports,
        min_assets,
        max_assets,
        concurrency: bounded(required(keys.concurrency)?, 64, "concurrency")?,
        max_redirects: required(keys.max_redirects)?.min(20),
    });
    Ok(CheckSpec { name: "smoke".into(), policy, stage: Stage::SideBySide, kind })
}
