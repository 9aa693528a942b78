//! What to check: pure data, valid by construction.
//!
//! A [`Plan`] comes out of [`PlanInput::plan`] only, which overlays the embedded default with a checks file and the command
//! line and validates the result; nothing checks it again.

mod audit;
pub(crate) mod code;
mod file;
mod glob;
mod json_path;
mod load;
mod meaning;
mod mistakes;
mod overlay;
mod rules;
#[cfg(test)]
pub(crate) mod schema;
mod secret;
pub(crate) mod template;
mod threshold;
mod traffic;
mod validate;
mod written;
mod yaml;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use audit::{Audit, AuditRow, OnNothing};
pub(crate) use glob::fits;
pub(crate) use json_path::{JsonPath, Step as JsonStep};
pub(crate) use load::{MAX_FILE, MAX_RULES, PlanInput, STANDARD_INPUT, front_matter, read_file, text_of};
pub(crate) use meaning::duration;
use promeval::Pattern;
use promeval::promql::ast::ExprKind;
use promeval::promql::{Error as PromqlError, Expr};
pub(crate) use rules::{Alert, Record, RuleStep};
pub(crate) use secret::{Lookup, header};
pub(crate) use threshold::{OnNoData, Rule, Threshold, ThresholdExpr};
pub(crate) use traffic::{Compare, Traffic, TrafficCounters, TrafficLimits, TrafficRequest};

use crate::http::{Address, Header, Request, RequestLimits, RetryPolicy};
use crate::outcome::{Severity, Source};

/// The embedded default plan, as a checks file.
pub const DEFAULT: &str = include_str!("default.yaml");

/// The names of the built-in checks, in their order.
pub(crate) const CHECK_NAMES: [&str; 6] = ["ready", "health", "readiness", "metrics", "smoke", "traffic"];

/// Everything that a run does.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The limit for the whole run, reports included.
    pub(crate) timeout: Duration,
    /// The checks file, by a path that it can be read at again; nothing where there was none, or standard input.
    pub(crate) file: Option<String>,
    /// Sent with every request to the canary.
    pub(crate) headers: Vec<Header>,
    /// In the order of the report; no name twice.
    pub(crate) checks: Vec<CheckSpec>,
    /// What an audit after the deploy holds the service to.
    pub(crate) audit: Audit,
}

/// What is kept back of the limit of a whole run, for the summary and the reports.
pub(crate) fn reserve(timeout: Duration) -> Duration {
    (timeout / 10).min(Duration::from_secs(1))
}

/// One check.
#[derive(Clone, Debug)]
pub(crate) struct CheckSpec {
    pub(crate) name: String,
    pub(crate) policy: CheckPolicy,
    pub(crate) stage: Stage,
    pub(crate) kind: Kind,
    /// Where the checks file speaks of it; nothing where it does not.
    pub(crate) place: Option<Source>,
}

/// When a check runs: one stage after the other, the checks of one side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The canary serves. What blocks here and does not pass keeps the later stages from running.
    Serves,
    /// The application is well; as above.
    Healthy,
    /// Everything that needs no quiet.
    SideBySide,
    /// Latencies are measured: nothing else of the gate's own slows one revision down meanwhile. What blocks before it and does
    /// not pass keeps it from running.
    Measured,
}

/// What a check does.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// Whether the canary serves.
    Ready(Ready),
    /// One request and what must come back.
    Http(HttpCheck),
    /// Whether the metrics hold.
    Metrics(Arc<Metrics>),
    /// Whether the front end loads.
    Smoke(Smoke),
    /// Whether requests of the gate's own are answered as they should be.
    Traffic(Box<Traffic>),
}

/// What every check has.
#[derive(Clone, Debug)]
pub(crate) struct CheckPolicy {
    /// Off: the check is skipped.
    pub(crate) enabled: bool,
    pub(crate) severity: Severity,
    /// The limit for the check, all tries together.
    pub(crate) limit: Duration,
    pub(crate) request: RequestLimits,
    pub(crate) retry: RetryPolicy,
}

/// Whether the canary serves.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    /// The path that is asked for.
    pub(crate) path: String,
    pub(crate) identity: Option<Identity>,
}

/// What tells in an answer which revision gave it.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The path that is asked for.
    pub(crate) path: String,
    pub(crate) told_by: ToldBy,
}

/// Where an answer names its revision.
#[derive(Clone, Debug)]
pub(crate) enum ToldBy {
    Header(String),
    Json(JsonPath),
}

/// One request and what must come back.
#[derive(Clone, Debug)]
pub(crate) struct HttpCheck {
    /// Whether everything is tried again, or only what may pass by itself.
    pub(crate) retry_everything: bool,
    /// Whether an HTML page may be the answer: one that nobody described is what a front end gives for a path that is missing.
    pub(crate) takes_page: bool,
    pub(crate) request: Request,
    pub(crate) expect: Expect,
}

/// What an answer must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Expect {
    /// The statuses that are good; at least one.
    pub(crate) status: Vec<u16>,
    /// Values in a JSON answer.
    pub(crate) json: Vec<JsonExpect>,
    /// Header names, and patterns that the whole value must match.
    pub(crate) headers: Vec<(String, Pattern)>,
    /// Patterns that must occur in the body.
    pub(crate) body: Vec<Pattern>,
}

impl Expect {
    /// Status 200 and nothing more.
    pub(crate) fn ok() -> Self {
        Self { status: vec![200], json: Vec::new(), headers: Vec::new(), body: Vec::new() }
    }
}

/// A value in a JSON answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct JsonExpect {
    pub(crate) path: JsonPath,
    pub(crate) wanted: JsonWanted,
}

/// What a JSON value must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum JsonWanted {
    /// This very value.
    Equals(serde_json::Value),
    /// A string that matches.
    Matches(Pattern),
    /// There, or not there.
    Exists(bool),
}

/// Whether the metrics hold.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// The scrape.
    pub(crate) request: Request,
    /// Whether the checks file itself says its path.
    pub(crate) says_path: bool,
    /// Families that must be declared.
    pub(crate) require: Vec<String>,
    /// What must hold.
    pub(crate) thresholds: Vec<Threshold>,
    /// The rules in the order in which they are evaluated.
    pub(crate) rules: Vec<RuleStep>,
    /// How long to watch; one scrape where there is none.
    pub(crate) window: Option<Window>,
    /// Labels that every series gets, over those of its target; an empty value takes one away.
    pub(crate) labels: Vec<(String, String)>,
    /// Whether the timestamps of samples count.
    pub(crate) honor_timestamps: bool,
    /// The series whose value tells one instance from another.
    pub(crate) instance: String,
    /// The stable revision.
    pub(crate) baseline: Option<Baseline>,
    /// Where the values come from.
    pub(crate) source: MetricsSource,
}

impl Metrics {
    /// How often the expressions read what is scraped, at the most; without bound where one goes by steps.
    pub(crate) fn reads(&self) -> usize {
        fn reads(expr: &Expr) -> usize {
            match expr.kind {
                ExprKind::Selector(_) | ExprKind::Matrix(..) => 1,
                ExprKind::Subquery(_) => usize::MAX,
                _ => expr.children().into_iter().map(reads).fold(0, usize::saturating_add),
            }
        }
        let records = self.rules.iter().filter_map(|step| match step {
            RuleStep::Record(record) => Some(&record.expr),
            RuleStep::Alert(_) => None,
        });
        self.thresholds
            .iter()
            .map(|threshold| threshold.rule.expr())
            .chain(records)
            .map(reads)
            .fold(0, usize::saturating_add)
    }
}

/// The stable revision, which is scraped beside the canary.
#[derive(Clone, Debug)]
pub(crate) enum Baseline {
    Address(Address),
    /// By its tag, which the Cloud Run Admin API resolves.
    Tag(String),
}

/// How long to watch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// From the first scrape to the last.
    pub(crate) length: Duration,
    /// From one scrape to the next.
    pub(crate) interval: Duration,
    /// Whether the first failure of a blocking threshold ends it.
    pub(crate) fail_fast: bool,
    /// How many scrapes may fail.
    pub(crate) max_failed_scrapes: u32,
}

impl Window {
    /// How many scrapes it takes.
    pub(crate) fn scrapes(&self) -> u32 {
        // A window and an interval are a day at most.
        let intervals = self.length.as_millis() / self.interval.as_millis().max(1);
        u32::try_from(intervals).unwrap_or(u32::MAX).saturating_add(1)
    }
}

/// Where the values of thresholds come from.
#[derive(Clone, Debug)]
pub(crate) enum MetricsSource {
    /// The canary's own metrics endpoint.
    Scrape,
    /// A Prometheus HTTP API.
    Prometheus(Address, ApiToken),
}

/// What a Prometheus HTTP API is asked with.
#[derive(Clone, Debug)]
pub(crate) enum ApiToken {
    None,
    Header(Header),
    /// The access token of the machine's service account.
    Google,
}

/// Whether the front end loads.
#[derive(Clone, Debug)]
pub(crate) struct Smoke {
    /// The requests that must be answered.
    pub(crate) requests: Vec<(Request, Expect)>,
    /// The page whose assets are loaded.
    pub(crate) page: Option<String>,
    /// Whether they are.
    pub(crate) assets: bool,
    /// What it does that the revision beside this one lacks the page's assets.
    pub(crate) asset_skew: Severity,
    /// What it does that something which only a script or a style sheet imports is missing; imports are not followed where
    /// there is none.
    pub(crate) imports: Option<Severity>,
    /// How many assets must be loaded; where there is no number, it warns that none was.
    pub(crate) min_assets: Option<usize>,
    /// How many assets a page may name, with what these import.
    pub(crate) max_assets: usize,
    /// How many requests run side by side.
    pub(crate) concurrency: usize,
    /// How many redirects within the origin are followed.
    pub(crate) max_redirects: usize,
}

/// An error in PromQL of the command line, with the carets that show the place.
fn promql_message(error: &PromqlError, source: &str) -> String {
    let caret = error.caret(source).replace('\n', "\n  ");
    format!("{error} (column {} of the expression)\n  {caret}", error.column(source))
}
