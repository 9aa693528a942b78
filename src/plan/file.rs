//! The checks file as it is written: every key optional, every value with its place. The JSON Schema is made of it.

mod audit;
mod traffic;

use std::time::Duration;

use serde::Deserialize;

pub(super) use audit::{Audit, Exposed, Ratio, Revisions, Row, Tags, Time};
pub(super) use traffic::{Compare, Counters, Limits, Traffic, TrafficRequest};

use super::meaning::{Method, Name, Path, RulesPath, Size, Whole, Within};
use super::written::{Item, Key, List, Map, Meant, Must, one_of};
use super::{Baseline, JsonPath, OnNoData};
use crate::http::Address;
use crate::outcome::Severity;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {timeout: 10m}")]
pub(super) struct File {
    /// The limit for the whole run, reports included: a duration such as 10m.
    pub(super) timeout: Key<Meant<Duration>>,
    /// Sent with every request to the canary; secrets as "env:NAME" or "<file:/path>".
    pub(super) headers: Key<Map<String>>,
    /// What tells in an answer which revision gave it; nothing does where it is null.
    pub(super) identity: Key<Option<Identity>>,
    /// The canary serves.
    pub(super) ready: Key<Ready>,
    /// The application says that it is well.
    pub(super) health: Key<Http>,
    /// The application takes traffic.
    pub(super) readiness: Key<Http>,
    /// The metrics hold.
    pub(super) metrics: Key<Metrics>,
    /// The front end loads.
    pub(super) smoke: Key<Smoke>,
    /// Requests of the gate's own to the canary, and to the stable revision beside it, hold.
    pub(super) traffic: Key<Traffic>,
    /// More HTTP checks, run beside readiness, metrics and smoke.
    pub(super) http: Key<List<NamedHttp>>,
    /// What `canary-gate audit` holds a deployment to, after it has all the traffic.
    pub(super) audit: Key<Audit>,
}

/// What tells in an answer which revision gave it: the value of a header or of a path into JSON, as Cloud Run gives it to the
/// container in `K_REVISION`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {path: /, header: X-Revision}")]
pub(super) struct Identity {
    /// The path that is asked for.
    pub(super) path: Must<Meant<Path>>,
    /// The header whose value is the revision's name.
    pub(super) header: Key<String>,
    /// The path into the JSON answer to the revision's name.
    pub(super) json: Key<Meant<JsonPath>>,
}

/// How long to wait between tries.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {initial: 250ms, max: 2s}")]
pub(super) struct Backoff {
    /// The wait after the first try; it doubles with each one, with jitter on top.
    pub(super) initial: Key<Meant<Duration>>,
    /// The longest wait.
    pub(super) max: Key<Meant<Duration>>,
}

/// The keys of `ready`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {timeout: 30s}")]
pub(super) struct Ready {
    /// Off: the check is skipped.
    pub(super) enabled: Key<bool>,
    /// The path that is asked for.
    pub(super) path: Key<Meant<Path>>,
    /// The limit for the check.
    pub(super) timeout: Key<Meant<Duration>>,
    /// The limit for one request.
    pub(super) request_timeout: Key<Meant<Duration>>,
    /// The largest body, decompressed.
    pub(super) max_body: Key<Meant<Size>>,
    /// The waits between tries.
    pub(super) backoff: Key<Backoff>,
}

/// What an answer must be.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {status: [200]}")]
pub(super) struct Expect {
    /// The statuses that are good.
    pub(super) status: Key<List<u16>>,
    /// Values in a JSON answer.
    pub(super) json: Key<List<Json>>,
    /// Patterns that whole header values must match.
    pub(super) headers: Key<Map<Meant<Whole>>>,
    /// Patterns that must occur in the body.
    pub(super) body: Key<List<Meant<Within>>>,
}

/// A value in a JSON answer; one of `equals`, `matches` and `exists` says what it must be.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {path: $.status, equals: ok}")]
pub(super) struct Json {
    /// Where: `$.a.b`, `$.list[0]`, `$['any key']`.
    pub(super) path: Must<Meant<JsonPath>>,
    /// The very value.
    #[serde(deserialize_with = "one_of")]
    pub(super) equals: Key<serde_json::Value>,
    /// A pattern that the whole string must match.
    #[serde(deserialize_with = "one_of")]
    pub(super) matches: Key<Meant<Whole>>,
    /// Whether there is a value at all.
    #[serde(deserialize_with = "one_of")]
    pub(super) exists: Key<bool>,
}

/// The keys of an HTTP check.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {path: /health}")]
pub(super) struct Http {
    /// Off: the check is skipped.
    pub(super) enabled: Key<bool>,
    /// Whether a failure blocks.
    pub(super) severity: Key<Severity>,
    /// GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.
    pub(super) method: Key<Meant<Method>>,
    /// The path that is asked for, with its query.
    pub(super) path: Key<Meant<Path>>,
    /// Sent with the request; secrets as "env:NAME" or "<file:/path>".
    pub(super) headers: Key<Map<String>>,
    /// Sent with the request.
    pub(super) body: Key<String>,
    /// What the answer must be.
    pub(super) expect: Key<Expect>,
    /// The limit for the check.
    pub(super) timeout: Key<Meant<Duration>>,
    /// The limit for one request.
    pub(super) request_timeout: Key<Meant<Duration>>,
    /// The largest body, decompressed.
    pub(super) max_body: Key<Meant<Size>>,
    /// How often to try again; as often as the limit allows where it is left out.
    pub(super) retries: Key<u32>,
    /// The waits between tries.
    pub(super) backoff: Key<Backoff>,
}

/// An HTTP check with a name. (serde cannot refuse unknown keys of flattened structs, so the keys are repeated here.)
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {name: search, path: /search}")]
pub(super) struct NamedHttp {
    /// The check's name in the summary and the reports.
    pub(super) name: Must<Meant<Name>>,
    /// Off: the check is skipped.
    pub(super) enabled: Key<bool>,
    /// Whether a failure blocks.
    pub(super) severity: Key<Severity>,
    /// GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.
    pub(super) method: Key<Meant<Method>>,
    /// The path that is asked for, with its query.
    pub(super) path: Must<Meant<Path>>,
    /// Sent with the request; secrets as "env:NAME" or "<file:/path>".
    pub(super) headers: Key<Map<String>>,
    /// Sent with the request.
    pub(super) body: Key<String>,
    /// What the answer must be.
    pub(super) expect: Key<Expect>,
    /// The limit for the check.
    pub(super) timeout: Key<Meant<Duration>>,
    /// The limit for one request.
    pub(super) request_timeout: Key<Meant<Duration>>,
    /// The largest body, decompressed.
    pub(super) max_body: Key<Meant<Size>>,
    /// How often to try again; as often as the limit allows where it is left out.
    pub(super) retries: Key<u32>,
    /// The waits between tries.
    pub(super) backoff: Key<Backoff>,
}

impl NamedHttp {
    pub(super) fn unnamed(self) -> Http {
        Http {
            enabled: self.enabled,
            severity: self.severity,
            method: self.method,
            path: self.path.0.map_or(Key::Wrong, Key::Given),
            headers: self.headers,
            body: self.body,
            expect: self.expect,
            timeout: self.timeout,
            request_timeout: self.request_timeout,
            max_body: self.max_body,
            retries: self.retries,
            backoff: self.backoff,
        }
    }
}

/// The keys of `metrics`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {path: /metrics}")]
pub(super) struct Metrics {
    /// Off: the check is skipped.
    pub(super) enabled: Key<bool>,
    /// Whether a failed scrape blocks.
    pub(super) severity: Key<Severity>,
    /// The path that is scraped.
    pub(super) path: Key<Meant<Path>>,
    /// Sent with the request; secrets as "env:NAME" or "<file:/path>".
    pub(super) headers: Key<Map<String>>,
    /// Families that must be declared; those that blocking thresholds name where it is left out or null.
    pub(super) require: Key<Option<List<String>>>,
    /// What must hold.
    pub(super) thresholds: Key<List<Threshold>>,
    /// Prometheus rules files, as paths or patterns beside this file: each alert is a threshold that fails while it fires.
    pub(super) rules: Key<Option<List<Meant<RulesPath>>>>,
    /// What the severity label of an alert comes to; an alert without a known one blocks.
    pub(super) severities: Key<Map<Severity>>,
    /// How long to watch: the canary is scraped at the interval, and the thresholds are evaluated at the end. One scrape
    /// where it is null.
    pub(super) window: Key<Option<Meant<Duration>>>,
    /// The time between two scrapes of the window.
    pub(super) interval: Key<Meant<Duration>>,
    /// Whether the window ends at the first scrape at which a blocking threshold fails.
    pub(super) fail_fast: Key<bool>,
    /// How many scrapes of the window may fail.
    pub(super) max_failed_scrapes: Key<u32>,
    /// Labels that every series gets, as a scrape configuration gives them: job and instance where nothing else is said, the
    /// service's name and the address; an empty value takes one away.
    pub(super) labels: Key<Map<String>>,
    /// Whether the timestamps of samples count; otherwise all are as of the scrape.
    pub(super) honor_timestamps: Key<bool>,
    /// The series whose value tells one instance of the service from another.
    pub(super) instance: Key<String>,
    /// The stable revision's address or tag: it is scraped too, and every series carries target="canary" or target="stable".
    pub(super) baseline: Key<Option<Meant<Baseline>>>,
    /// Where the values come from: the canary's own scrape, or a Prometheus HTTP API.
    pub(super) source: Key<MetricsSource>,
    /// Of source prometheus: the address in front of /api/v1/query.
    pub(super) url: Key<Option<Meant<Address>>>,
    /// Of source prometheus: a bearer token, as "env:NAME" or "<file:/path>", or google for the metadata server's access token.
    pub(super) token: Key<Option<String>>,
    /// The limit for the check.
    pub(super) timeout: Key<Meant<Duration>>,
    /// The limit for one request.
    pub(super) request_timeout: Key<Meant<Duration>>,
    /// The largest body, decompressed.
    pub(super) max_body: Key<Meant<Size>>,
    /// The waits between tries.
    pub(super) backoff: Key<Backoff>,
}

/// Where the values of thresholds come from.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum MetricsSource {
    /// The canary's own metrics endpoint.
    Scrape,
    /// The HTTP API of a Prometheus server, or of a service that speaks it.
    Prometheus,
}

/// A threshold.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {expr: up > 0}")]
pub(super) struct Threshold {
    /// Its name in the summary and the reports; the expression where it is left out.
    pub(super) name: Key<String>,
    /// A PromQL comparison that must hold for every element.
    pub(super) expr: Must<String>,
    /// Whether it blocks; it does where this is left out.
    pub(super) severity: Key<Severity>,
    /// What no data comes to: a failure of a blocking threshold and a warning of the others where it is left out.
    pub(super) on_no_data: Key<OnNoData>,
}

/// The keys of `smoke`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {page: /}")]
pub(super) struct Smoke {
    /// Off: the check is skipped.
    pub(super) enabled: Key<bool>,
    /// Whether a failure blocks.
    pub(super) severity: Key<Severity>,
    /// The requests that must be answered.
    pub(super) requests: Key<List<SmokeRequest>>,
    /// The page whose assets are loaded; null for none.
    pub(super) page: Key<Option<Meant<Path>>>,
    /// Whether the page's scripts and style sheets are loaded.
    pub(super) assets: Key<bool>,
    /// Whether it blocks that the revision beside this one lacks the page's assets, while clients do not stick to one.
    pub(super) asset_skew: Key<Severity>,
    /// What it does that something which only a script or a style sheet imports is missing; off: imports are not followed.
    pub(super) imports: Key<Imports>,
    /// How many assets must be loaded; 0 for a page that loads none. Where it is null, it warns that none was loaded.
    pub(super) min_assets: Key<Option<u32>>,
    /// How many assets a page may name, with what these import.
    pub(super) max_assets: Key<u32>,
    /// How many requests run side by side.
    pub(super) concurrency: Key<u32>,
    /// How many redirects within the origin are followed.
    pub(super) max_redirects: Key<u32>,
    /// The limit for the check.
    pub(super) timeout: Key<Meant<Duration>>,
    /// The limit for one request.
    pub(super) request_timeout: Key<Meant<Duration>>,
    /// The largest body, decompressed.
    pub(super) max_body: Key<Meant<Size>>,
    /// The waits between tries.
    pub(super) backoff: Key<Backoff>,
}

/// What is done about imports.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Imports {
    /// They are not followed.
    Off,
    /// A missing one is reported and does not change the verdict.
    Warn,
    /// A missing one fails the gate.
    Block,
}

/// A request of the smoke check.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, expecting = "a mapping such as {path: /}")]
pub(super) struct SmokeRequest {
    /// The path that is asked for.
    pub(super) path: Must<Meant<Path>>,
    /// What the answer must be; status 200 where it is left out.
    pub(super) expect: Key<Expect>,
}

impl Item for u16 {
    const EXAMPLE: &str = "[200]";
    const ALONE: bool = true;
}

/// A required family.
impl Item for String {
    const EXAMPLE: &str = "[requests_total]";
    const ALONE: bool = true;
}

impl Item for Meant<Within> {
    const EXAMPLE: &str = "[welcome]";
    const ALONE: bool = true;
}

impl Item for Meant<RulesPath> {
    const EXAMPLE: &str = "[rules/*.yml]";
    const ALONE: bool = true;
}

impl Item for Json {
    const EXAMPLE: &str = "[{path: $.status, equals: ok}]";
    const ALONE: bool = false;
}

impl Item for NamedHttp {
    const EXAMPLE: &str = "[{name: search, path: /search}]";
    const ALONE: bool = false;
}

impl Item for Threshold {
    const EXAMPLE: &str = "[{expr: up > 0}]";
    const ALONE: bool = false;
}

impl Item for SmokeRequest {
    const EXAMPLE: &str = "[{path: /}]";
    const ALONE: bool = false;
}
