//! From the keys of a checks file to a plan that needs no more checking.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use regex_lite::Regex;

use super::file::{self, At, Backoff, File, Place, Severity, Text};
use super::load::Source;
use super::overlay::Overlay as _;
use super::secret::{Header, Lookup, Redactor};
use super::{
    Bounds, CHECK_NAMES, Expect, HttpCheck, JsonExpect, JsonPath, JsonWanted, MetricsSource, Pattern, Plan, PlanError,
    Ready, Request, RequestLimits, Retry, Smoke,
};

/// The longest duration that is taken: what is longer is a slip of the unit.
const LONGEST: Duration = Duration::from_hours(24);

pub(super) fn plan(file: File, source: &Source, lookup: &dyn Lookup) -> Result<Plan, PlanError> {
    let timeout = match &source.timeout {
        Some(text) => duration(&At::nowhere(text.clone())).map_err(|error| flag("--timeout", error))?,
        None => duration(&required(file.timeout)?)?,
    };
    let headers = headers(file.headers, lookup)?;
    let readiness_keys = required(file.readiness)?;
    let mut defaults = readiness_keys.clone();
    // An added check starts from the built-in one's limits, not from what was changed about its request.
    (defaults.enabled, defaults.severity, defaults.method, defaults.headers, defaults.expect) =
        (Some(true), Some(Severity::Block), Some(At::nowhere("GET".into())), None, None);
    (defaults.path, defaults.body, defaults.retries) = (None, None, None);
    let http = extra_checks(file.http.unwrap_or_default(), &defaults, lookup)?;
    let health = http_check("health", required(file.health)?, true, lookup)?;
    let readiness = http_check("readiness", readiness_keys, false, lookup)?;
    let ready = ready(required(file.ready)?)?;
    let metrics = metrics::metrics(required(file.metrics)?, source, lookup)?;
    let smoke = smoke(required(file.smoke)?)?;
    let lists = [&headers, &health.request.headers, &readiness.request.headers, &metrics.request.headers];
    let secret_headers = lists.into_iter().flatten().chain(http.iter().flat_map(|check| &check.request.headers));
    let token = match &metrics.source {
        MetricsSource::Prometheus(_, headers) => &headers[..],
        MetricsSource::Scrape => &[],
    };
    let redactor = Redactor::new(secret_headers.chain(token));
    let plan = Plan { timeout, headers, ready, health, readiness, metrics, smoke, http, redactor };
    if !plan.bounds().any(|bounds| bounds.enabled && bounds.blocking) {
        let message = "no enabled check blocks, so that the gate would pass whatever the canary does; enable one with severity: block";
        return Err(PlanError::new(Place::default(), message));
    }
    Ok(plan)
}

fn flag(name: &str, error: PlanError) -> PlanError {
    PlanError { message: format!("{name}: {}", error.message), ..error }
}

/// A key that the embedded default always has.
fn required<T>(value: Option<T>) -> Result<T, PlanError> {
    value.ok_or_else(|| {
        PlanError::new(Place::default(), "the embedded default plan lacks a key; this is a defect of the gate")
    })
}

fn fail<T>(place: Place, message: impl Into<String>) -> Result<T, PlanError> {
    Err(PlanError::new(place, message))
}

fn duration(text: &Text) -> Result<Duration, PlanError> {
    let written = &text.value;
    let how = "write it as 500ms, 30s, 2m or 1h 30m";
    match humantime::parse_duration(written) {
        Ok(duration) if duration.is_zero() => {
            fail(text.place, format!("the duration {written:?} must be greater than 0"))
        }
        Ok(duration) if duration > LONGEST => fail(text.place, format!("the duration {written:?} is over a day")),
        Ok(duration) => Ok(duration),
        Err(error) => fail(text.place, format!("{written:?} is no duration ({error}); {how}")),
    }
}

fn size(text: &Text) -> Result<u64, PlanError> {
    match text.value.parse::<bytesize::ByteSize>() {
        Ok(size) if size.as_u64() == 0 => fail(text.place, "the size must be greater than 0"),
        Ok(size) if size.as_u64() > 1 << 30 => fail(text.place, format!("the size {:?} is over 1GiB", text.value)),
        Ok(size) => Ok(size.as_u64()),
        Err(_) => fail(text.place, format!("{:?} is no size; write it as 512KiB or 64MiB", text.value)),
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

fn bounds(enabled: Option<bool>, severity: Option<Severity>, limits: Limits) -> Result<Bounds, PlanError> {
    let limit = duration(&required(limits.timeout)?)?;
    let backoff = required(limits.backoff)?;
    let (initial_text, max_text) = (required(backoff.initial)?, required(backoff.max)?);
    let (initial, max) = (duration(&initial_text)?, duration(&max_text)?);
    if initial > max {
        let place = if initial_text.place.line > 0 { initial_text.place } else { max_text.place };
        let message =
            format!("backoff.initial ({}) is longer than backoff.max ({})", initial_text.value, max_text.value);
        return fail(place, message);
    }
    let request =
        RequestLimits { time: duration(&required(limits.request_timeout)?)?, body: size(&required(limits.max_body)?)? };
    let retry = Retry { retries: limits.retries, initial, max };
    Ok(Bounds { enabled: enabled.unwrap_or(true), blocking: severity != Some(Severity::Warn), limit, request, retry })
}

fn path(text: &Text) -> Result<String, PlanError> {
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

fn headers(headers: Option<BTreeMap<String, Text>>, lookup: &dyn Lookup) -> Result<Vec<Header>, PlanError> {
    let resolve = |(name, text): (String, Text)| {
        Header::resolve(&name, &text.value, lookup).map_err(|message| PlanError::new(text.place, message))
    };
    headers.unwrap_or_default().into_iter().map(resolve).collect()
}

fn method(text: &Text) -> Result<String, PlanError> {
    const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    if METHODS.contains(&&*text.value) {
        return Ok(text.value.clone());
    }
    fail(text.place, format!("unknown method {:?}; want one of {}", text.value, METHODS.join(", ")))
}

fn pattern(text: &Text, anchored: bool) -> Result<Pattern, PlanError> {
    let source = text.value.clone();
    let error = |error| PlanError::new(text.place, format!("invalid pattern {source:?}: {error}"));
    // Alone first, so that an unbalanced parenthesis cannot pair with the anchors'.
    let alone = Regex::new(&source).map_err(error)?;
    let regex = if anchored { Regex::new(&format!("^(?s:{source})$")).map_err(error)? } else { alone };
    Ok(Pattern { source, regex })
}

fn expect(keys: Option<file::Expect>) -> Result<Expect, PlanError> {
    let keys = keys.unwrap_or_default();
    let mut status = Vec::new();
    for wanted in keys.status.unwrap_or_else(|| vec![At::nowhere(200)]) {
        if !(200..=599).contains(&wanted.value) {
            return fail(wanted.place, format!("{} is no final HTTP status; want 200 to 599", wanted.value));
        }
        status.push(wanted.value);
    }
    if status.is_empty() {
        return fail(Place::default(), "expect.status is empty, so that no answer would do; name the good statuses");
    }
    let json = keys.json.unwrap_or_default().into_iter().map(json_expect).collect::<Result<_, _>>()?;
    let header = |(name, text): (String, Text)| Ok((name, pattern(&text, true)?));
    let headers = keys.headers.unwrap_or_default().into_iter().map(header).collect::<Result<_, PlanError>>()?;
    let body = keys.body.unwrap_or_default().iter().map(|text| pattern(text, false)).collect::<Result<_, _>>()?;
    Ok(Expect { status, json, headers, body })
}

fn json_expect(keys: file::Json) -> Result<JsonExpect, PlanError> {
    let place = keys.path.place;
    let path = JsonPath::parse(&keys.path.value).map_err(|message| PlanError::new(place, message))?;
    let wanted = match (keys.equals, keys.matches, keys.exists) {
        (Some(value), None, None) => JsonWanted::Equals(value),
        (None, Some(text), None) => JsonWanted::Matches(pattern(&text, true)?),
        (None, None, Some(exists)) => JsonWanted::Exists(exists),
        _ => {
            return fail(place, format!("the JSON value {path} wants exactly one of equals, matches and exists"));
        }
    };
    Ok(JsonExpect { path, wanted })
}

fn ready(keys: file::Ready) -> Result<Ready, PlanError> {
    let limits = limits!(keys, None);
    Ok(Ready { bounds: bounds(keys.enabled, None, limits)?, path: path(&required(keys.path)?)? })
}

fn http_check(
    name: &str,
    keys: file::Http,
    retry_everything: bool,
    lookup: &dyn Lookup,
) -> Result<HttpCheck, PlanError> {
    let limits = limits!(keys, keys.retries);
    let request = Request {
        method: method(&required(keys.method)?)?,
        path: path(&required(keys.path)?)?,
        headers: headers(keys.headers, lookup)?,
        body: keys.body,
    };
    let bounds = bounds(keys.enabled, keys.severity, limits)?;
    Ok(HttpCheck { name: name.to_owned(), bounds, retry_everything, request, expect: expect(keys.expect)? })
}

fn extra_checks(
    checks: Vec<file::NamedHttp>,
    defaults: &file::Http,
    lookup: &dyn Lookup,
) -> Result<Vec<HttpCheck>, PlanError> {
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
        all.push(http_check(&name.value, keys.unnamed().over(defaults.clone()), false, lookup)?);
    }
    Ok(all)
}

fn smoke(keys: file::Smoke) -> Result<Smoke, PlanError> {
    let mut requests = Vec::new();
    for request in required(keys.requests)? {
        requests.push((Request::get(path(&request.path)?, Vec::new()), expect(request.expect)?));
    }
    let page = keys.page.flatten().map(|text| path(&text)).transpose()?;
    let assets = keys.assets.unwrap_or(true);
    if page.is_none() && requests.is_empty() && keys.enabled.unwrap_or(true) {
        return fail(
            Place::default(),
            "smoke has neither requests nor a page, so that it would check nothing; switch it off",
        );
    }
    let bounded = |number: At<usize>, most: usize, name: &str| match number.value {
        1.. if number.value <= most => Ok(number.value),
        value => fail(number.place, format!("{name} is {value}; want 1 to {most}")),
    };
    let limits = limits!(keys, None);
    Ok(Smoke {
        bounds: bounds(keys.enabled, keys.severity, limits)?,
        requests,
        page,
        assets,
        skew_blocks: keys.asset_skew == Some(Severity::Block),
        max_assets: bounded(required(keys.max_assets)?, 10_000, "max_assets")?,
        concurrency: bounded(required(keys.concurrency)?, 64, "concurrency")?,
        max_redirects: required(keys.max_redirects)?.min(20),
    })
}
