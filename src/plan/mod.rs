//! What to check: pure data, valid by construction.
//!
//! A [`Plan`] comes out of [`Source::plan`] only, which overlays the embedded default with a checks file and the command
//! line and validates the result; nothing checks it again.

mod error;
mod file;
mod json_path;
mod load;
mod overlay;
mod rules;
#[cfg(test)]
pub(crate) mod schema;
mod secret;
mod threshold;
mod validate;

use std::time::Duration;

pub use error::PlanError;
pub use file::Place;
pub use json_path::JsonPath;
pub use load::{Source, read_file};
pub use rules::{Alert, Record};
pub use secret::{Header, Lookup, Redactor};
pub use threshold::{Comparison, NoData, Rule, Threshold};

use crate::target::Target;
use promeval::promql::Error as PromqlError;

/// The embedded default plan, as a checks file.
pub const DEFAULT: &str = include_str!("default.yaml");

/// The names of the five built-in checks, in their order.
pub const CHECK_NAMES: [&str; 5] = ["ready", "health", "readiness", "metrics", "smoke"];

/// Everything that a run does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The limit for the whole run, reports included.
    pub timeout: Duration,
    /// Sent with every request to the canary.
    pub headers: Vec<Header>,
    /// Whether the canary serves.
    pub ready: Ready,
    /// Whether the application says that it is well.
    pub health: HttpCheck,
    /// Whether the application takes traffic.
    pub readiness: HttpCheck,
    /// Whether the metrics hold.
    pub metrics: Metrics,
    /// Whether the front end loads.
    pub smoke: Smoke,
    /// More HTTP checks.
    pub http: Vec<HttpCheck>,
    /// Hides the secrets that the headers hold.
    pub redactor: Redactor,
}

impl Plan {
    /// What every check has, check by check.
    pub fn bounds(&self) -> impl Iterator<Item = &Bounds> {
        let built_in =
            [&self.ready.bounds, &self.health.bounds, &self.readiness.bounds, &self.metrics.bounds, &self.smoke.bounds];
        built_in.into_iter().chain(self.http.iter().map(|check| &check.bounds))
    }
}

/// What every check has.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Off: the check is skipped.
    pub enabled: bool,
    /// Whether a failure fails the gate.
    pub blocking: bool,
    /// The limit for the check, all tries together.
    pub limit: Duration,
    /// The limits of one request.
    pub request: RequestLimits,
    /// When to try again.
    pub retry: Retry,
}

/// The limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// From the connection to the last byte of the body.
    pub time: Duration,
    /// Bytes of the body, decompressed.
    pub body: u64,
}

/// When to try again.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// How often; as often as the time allows where there is no number.
    pub retries: Option<u32>,
    /// The first wait; it doubles with each one.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
}

/// Whether the canary serves.
#[derive(Clone, Debug)]
pub struct Ready {
    /// What every check has.
    pub bounds: Bounds,
    /// The path that is asked for.
    pub path: String,
}

/// One request and what must come back.
#[derive(Clone, Debug)]
pub struct HttpCheck {
    /// The check's name in the summary and the reports.
    pub name: String,
    /// What every check has.
    pub bounds: Bounds,
    /// Whether everything is tried again, or only what may pass by itself.
    pub retry_everything: bool,
    /// The request.
    pub request: Request,
    /// What the answer must be.
    pub expect: Expect,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The HTTP method.
    pub method: String,
    /// The path and query.
    pub path: String,
    /// Sent with this request.
    pub headers: Vec<Header>,
    /// Sent with this request.
    pub body: Option<String>,
}

impl Request {
    /// A GET of a path, with headers of its own.
    #[must_use]
    pub fn get(path: impl Into<String>, headers: Vec<Header>) -> Self {
        Self { method: "GET".into(), path: path.into(), headers, body: None }
    }
}

/// What an answer must be.
#[derive(Clone, Debug)]
pub struct Expect {
    /// The statuses that are good; at least one.
    pub status: Vec<u16>,
    /// Values in a JSON answer.
    pub json: Vec<JsonExpect>,
    /// Header names, and patterns that the whole value must match.
    pub headers: Vec<(String, Pattern)>,
    /// Patterns that must occur in the body.
    pub body: Vec<Pattern>,
}

/// A pattern of the checks file.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As it is written.
    pub source: String,
    /// Compiled; anchored where whole values are matched.
    pub regex: regex_lite::Regex,
}

/// A value in a JSON answer.
#[derive(Clone, Debug)]
pub struct JsonExpect {
    /// Where.
    pub path: JsonPath,
    /// What it must be.
    pub wanted: JsonWanted,
}

/// What a JSON value must be.
#[derive(Clone, Debug)]
pub enum JsonWanted {
    /// This very value.
    Equals(serde_json::Value),
    /// A string that matches.
    Matches(Pattern),
    /// There, or not there.
    Exists(bool),
}

/// Whether the metrics hold.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// What every check has.
    pub bounds: Bounds,
    /// The scrape.
    pub request: Request,
    /// Families that must be declared.
    pub require: Vec<String>,
    /// What must hold.
    pub thresholds: Vec<Threshold>,
    /// Series that recording rules make, in their order.
    pub records: Vec<Record>,
    /// How long to watch; one scrape where there is none.
    pub window: Option<Window>,
    /// The series whose value tells one instance from another.
    pub instance: String,
    /// The stable revision.
    pub baseline: Option<Baseline>,
    /// Where the values come from.
    pub source: MetricsSource,
}

/// The stable revision, which is scraped beside the canary.
#[derive(Clone, Debug)]
pub enum Baseline {
    /// By its address.
    Address(Target),
    /// By its tag, which the Cloud Run Admin API resolves.
    Tag(String),
}

/// How long to watch.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// From the first scrape to the last.
    pub length: Duration,
    /// From one scrape to the next.
    pub interval: Duration,
    /// Whether the first failure of a blocking threshold ends it.
    pub fail_fast: bool,
    /// How many scrapes may fail.
    pub max_failed_scrapes: u32,
}

/// Where the values of thresholds come from.
#[derive(Clone, Debug)]
pub enum MetricsSource {
    /// The canary's own metrics endpoint.
    Scrape,
    /// A Prometheus HTTP API: its address, and the headers it wants.
    Prometheus(Target, Vec<Header>),
}

/// Whether the front end loads.
#[derive(Clone, Debug)]
pub struct Smoke {
    /// What every check has.
    pub bounds: Bounds,
    /// The requests that must be answered.
    pub requests: Vec<(Request, Expect)>,
    /// The page whose assets are loaded.
    pub page: Option<String>,
    /// Whether they are.
    pub assets: bool,
    /// Whether assets that the revision beside this one lacks fail the check.
    pub skew_blocks: bool,
    /// How many assets a page may name.
    pub max_assets: usize,
    /// How many requests run side by side.
    pub concurrency: usize,
    /// How many redirects within the origin are followed.
    pub max_redirects: usize,
}

/// An error in PromQL with the carets that show the place.
fn promql_message(error: &PromqlError, source: &str) -> String {
    let caret = error.caret(source).replace('\n', "\n  ");
    format!("{error} (column {} of the expression)\n  {caret}", error.column(source))
}
