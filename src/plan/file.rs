//! The checks file as it is written: every key optional, every value with its place.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::Deserializer;

use super::OnNoData;
use crate::outcome::{Place, Severity};

/// A value of the checks file and its place.
#[derive(Clone, Debug, Default)]
pub(super) struct At<T> {
    pub(super) value: T,
    /// Nothing where the value does not come from a file.
    pub(super) place: Option<Place>,
}

impl<T> At<T> {
    pub(super) fn nowhere(value: T) -> Self {
        Self { value, place: None }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<T>::deserialize(deserializer)?;
        let location = spanned.referenced;
        Ok(Self { value: spanned.value, place: super::yaml::place(location) })
    }
}

#[cfg(test)]
impl<T: schemars::JsonSchema> schemars::JsonSchema for At<T> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// A string and its place.
pub(super) type Text = At<String>;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The limit for the whole run, reports included: a duration such as 10m.
    pub(super) timeout: Option<Text>,
    /// Sent with every request to the canary; secrets as "env:NAME" or "<file:/path>".
    pub(super) headers: Option<BTreeMap<String, Text>>,
    /// The canary serves.
    pub(super) ready: Option<Ready>,
    /// The application says that it is well.
    pub(super) health: Option<Http>,
    /// The application takes traffic.
    pub(super) readiness: Option<Http>,
    /// The metrics hold.
    pub(super) metrics: Option<Metrics>,
    /// The front end loads.
    pub(super) smoke: Option<Smoke>,
    /// More HTTP checks, run beside readiness, metrics and smoke.
    pub(super) http: Option<Vec<NamedHttp>>,
}

/// How long to wait between tries.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Backoff {
    /// The wait after the first try; it doubles with each one, with jitter on top.
    pub(super) initial: Option<Text>,
    /// The longest wait.
    pub(super) max: Option<Text>,
}

/// The keys of `ready`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Ready {
    /// Off: the check is skipped.
    pub(super) enabled: Option<bool>,
    /// The path that is asked for.
    pub(super) path: Option<Text>,
    /// The limit for the check.
    pub(super) timeout: Option<Text>,
    /// The limit for one request.
    pub(super) request_timeout: Option<Text>,
    /// The largest body, decompressed.
    pub(super) max_body: Option<Text>,
    /// The waits between tries.
    pub(super) backoff: Option<Backoff>,
}

/// What an answer must be.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Expect {
    /// The statuses that are good.
    pub(super) status: Option<Vec<At<u16>>>,
    /// Values in a JSON answer.
    pub(super) json: Option<Vec<Json>>,
    /// Patterns that whole header values must match.
    pub(super) headers: Option<BTreeMap<String, Text>>,
    /// Patterns that must occur in the body.
    pub(super) body: Option<Vec<Text>>,
}

/// A value in a JSON answer; one of `equals`, `matches` and `exists` says what it must be.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Json {
    /// Where: `$.a.b`, `$.list[0]`, `$['any key']`.
    pub(super) path: Text,
    /// The very value.
    #[serde(default, deserialize_with = "some")]
    pub(super) equals: Option<serde_json::Value>,
    /// A pattern that the whole string must match.
    pub(super) matches: Option<Text>,
    /// Whether there is a value at all.
    pub(super) exists: Option<bool>,
}

/// `null` is a value to be equal to, not a missing key.
fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<serde_json::Value>, D::Error> {
    serde_json::Value::deserialize(deserializer).map(Some)
}

/// The keys of an HTTP check.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Http {
    /// Off: the check is skipped.
    pub(super) enabled: Option<bool>,
    /// Whether a failure blocks.
    pub(super) severity: Option<Severity>,
    /// GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.
    pub(super) method: Option<Text>,
    /// The path that is asked for, with its query.
    pub(super) path: Option<Text>,
    /// Sent with the request; secrets as "env:NAME" or "<file:/path>".
    pub(super) headers: Option<BTreeMap<String, Text>>,
    /// Sent with the request.
    pub(super) body: Option<String>,
    /// What the answer must be.
    pub(super) expect: Option<Expect>,
    /// The limit for the check.
    pub(super) timeout: Option<Text>,
    /// The limit for one request.
    pub(super) request_timeout: Option<Text>,
    /// The largest body, decompressed.
    pub(super) max_body: Option<Text>,
    /// How often to try again; as often as the limit allows where it is left out.
    pub(super) retries: Option<u32>,
    /// The waits between tries.
    pub(super) backoff: Option<Backoff>,
}

/// An HTTP check with a name. (serde cannot refuse unknown keys of flattened structs, so the keys stand here again.)
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct NamedHttp {
    /// The check's name in the summary and the reports.
    pub(super) name: Text,
    /// Off: the check is skipped.
    pub(super) enabled: Option<bool>,
    /// Whether a failure blocks.
    pub(super) severity: Option<Severity>,
    /// GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.
    pub(super) method: Option<Text>,
    /// The path that is asked for, with its query.
    pub(super) path: Text,
    /// Sent with the request; secrets as "env:NAME" or "<file:/path>".
    pub(super) headers: Option<BTreeMap<String, Text>>,
    /// Sent with the request.
    pub(super) body: Option<String>,
    /// What the answer must be.
    pub(super) expect: Option<Expect>,
    /// The limit for the check.
    pub(super) timeout: Option<Text>,
    /// The limit for one request.
    pub(super) request_timeout: Option<Text>,
    /// The largest body, decompressed.
    pub(super) max_body: Option<Text>,
    /// How often to try again; as often as the limit allows where it is left out.
    pub(super) retries: Option<u32>,
    /// The waits between tries.
    pub(super) backoff: Option<Backoff>,
}

impl NamedHttp {
    pub(super) fn unnamed(self) -> Http {
        Http {
            enabled: self.enabled,
            severity: self.severity,
            method: self.method,
            path: Some(self.path),
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
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Metrics {
    /// Off: the check is skipped.
    pub(super) enabled: Option<bool>,
    /// Whether a failed scrape blocks.
    pub(super) severity: Option<Severity>,
    /// The path that is scraped.
    pub(super) path: Option<Text>,
    /// Sent with the request; secrets as "env:NAME" or "<file:/path>".
    pub(super) headers: Option<BTreeMap<String, Text>>,
    /// Families that must be declared; those that blocking thresholds name where it is left out or null.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(test, schemars(with = "Option<Vec<String>>"))]
    pub(super) require: Option<Option<Vec<Text>>>,
    /// What must hold.
    pub(super) thresholds: Option<Vec<Threshold>>,
    /// A Prometheus rules file: each of its alerts is a threshold that fails while it fires.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) rules: Option<Option<Text>>,
    /// What the severity label of an alert comes to; an alert without a known one blocks.
    pub(super) severities: Option<BTreeMap<String, Severity>>,
    /// How long to watch: the canary is scraped at the interval, and the thresholds are evaluated at the end. One scrape
    /// where it is null.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) window: Option<Option<Text>>,
    /// The time between two scrapes of the window.
    pub(super) interval: Option<Text>,
    /// Whether the window ends at the first scrape at which a blocking threshold fails.
    pub(super) fail_fast: Option<bool>,
    /// How many scrapes of the window may fail.
    pub(super) max_failed_scrapes: Option<u32>,
    /// The series whose value tells one instance of the service from another.
    pub(super) instance: Option<String>,
    /// The stable revision's address or tag: it is scraped too, and every series carries target="canary" or target="stable".
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) baseline: Option<Option<Text>>,
    /// Where the values come from: the canary's own scrape, or a Prometheus HTTP API.
    pub(super) source: Option<At<MetricsSource>>,
    /// Of source prometheus: the address in front of /api/v1/query.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) url: Option<Option<Text>>,
    /// Of source prometheus: a bearer token, as "env:NAME" or "<file:/path>".
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) token: Option<Option<Text>>,
    /// The limit for the check.
    pub(super) timeout: Option<Text>,
    /// The limit for one request.
    pub(super) request_timeout: Option<Text>,
    /// The largest body, decompressed.
    pub(super) max_body: Option<Text>,
    /// The waits between tries.
    pub(super) backoff: Option<Backoff>,
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

/// Tells a key that is null from one that is left out.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// A threshold.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Threshold {
    /// Its name in the summary and the reports; the expression where it is left out.
    pub(super) name: Option<String>,
    /// A PromQL comparison that must hold for every element.
    pub(super) expr: Text,
    /// Whether it blocks; it does where this is left out.
    pub(super) severity: Option<Severity>,
    /// What no data comes to: a failure of a blocking threshold and a warning of the others where it is left out.
    pub(super) on_no_data: Option<OnNoData>,
}

/// The keys of `smoke`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct Smoke {
    /// Off: the check is skipped.
    pub(super) enabled: Option<bool>,
    /// Whether a failure blocks.
    pub(super) severity: Option<Severity>,
    /// The requests that must be answered.
    pub(super) requests: Option<Vec<SmokeRequest>>,
    /// The page whose assets are loaded; null for none.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub(super) page: Option<Option<Text>>,
    /// Whether the page's scripts and style sheets are loaded.
    pub(super) assets: Option<bool>,
    /// Whether it blocks that the revision beside this one lacks the page's assets, while clients do not stick to one.
    pub(super) asset_skew: Option<Severity>,
    /// What it does that something which only a script imports, or a style sheet, is missing; off: imports are not followed.
    pub(super) imports: Option<Imports>,
    /// How many assets must be loaded; 0 for a page that loads none. Where it is null, it warns that none was loaded.
    #[serde(default, deserialize_with = "given")]
    #[cfg_attr(test, schemars(with = "Option<usize>"))]
    pub(super) min_assets: Option<Option<At<usize>>>,
    /// How many assets a page may name, with what these import.
    pub(super) max_assets: Option<At<usize>>,
    /// How many requests run side by side.
    pub(super) concurrency: Option<At<usize>>,
    /// How many redirects within the origin are followed.
    pub(super) max_redirects: Option<usize>,
    /// The limit for the check.
    pub(super) timeout: Option<Text>,
    /// The limit for one request.
    pub(super) request_timeout: Option<Text>,
    /// The largest body, decompressed.
    pub(super) max_body: Option<Text>,
    /// The waits between tries.
    pub(super) backoff: Option<Backoff>,
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
#[serde(deny_unknown_fields)]
pub(super) struct SmokeRequest {
    /// The path that is asked for.
    pub(super) path: Text,
    /// What the answer must be; status 200 where it is left out.
    pub(super) expect: Option<Expect>,
}
