//! The JSON report. Its schema is `report.schema.json`; a change that a reader could trip over raises [`SCHEMA_VERSION`].

use std::collections::BTreeMap;
use std::time::Duration;

use promeval::number::format_value;
use serde::Serialize;

use crate::outcome::{
    DeploymentFacts, ElementSeen, IntervalSeen, IntervalUnit, Link, Observation, Outcome, Purpose, Retry, Seen,
    Severity, Source, Status, Summary, ThresholdVerdict, Verdict,
};

use crate::text;

/// The version of the report's schema.
const SCHEMA_VERSION: u32 = 1;

/// The report of one run.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
struct Report<'r> {
    /// The version of this schema.
    schema: u32,
    /// What the run is for; left out of a run of the gate itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<Purpose>,
    verdict: Verdict,
    /// The exit code of the process: 0 pass, 1 fail, 2 an error of usage, 3 no verdict reached.
    #[cfg_attr(test, schemars(extend("enum" = [0, 1, 2, 3])))]
    exit_code: u8,
    /// Why the run did not come to its end: "interrupted by SIGTERM", "not finished" (the process was ended, or still runs), an
    /// error of usage. Left out where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'r str>,
    /// The canary's address; null where it was not located.
    url: Option<&'r str>,
    /// What is known of the deployment; left out where only an address was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment: Option<&'r DeploymentFacts>,
    /// When the run began: RFC 3339, UTC.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    started_at: String,
    /// How long the run took, in milliseconds.
    duration_ms: u64,
    /// How long the gate itself stood still in that time, in milliseconds: it had too little of a CPU, or was stopped. Left out where it is below 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    stood_still_ms: Option<u64>,
    /// Pages of the Cloud Console; left out where no names are known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Page>,
    /// What was seen to be bad and is allowed to be, a sentence each.
    warnings: Vec<String>,
    /// The checks in their order: ready, health, readiness, metrics, smoke, traffic, then those that the checks file adds.
    checks: Vec<Check<'r>>,
}

/// What one check came to.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
struct Check<'r> {
    /// The check's name.
    name: &'r str,
    status: Status,
    /// Whether a failure of it fails the gate.
    blocking: bool,
    /// How many times it was tried.
    attempts: u32,
    /// The first attempts that brought nothing final and were repeated, at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    retries: Vec<Repeated<'r>>,
    /// How long it took, in milliseconds.
    duration_ms: u64,
    /// How long it was allowed to take, in milliseconds.
    limit_ms: u64,
    /// Why it ended so, in one line.
    detail: &'r str,
    /// Where the checks file speaks of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'r Source>,
    /// What it saw on the way.
    observations: Vec<Observed<'r>>,
}

/// An attempt that brought nothing final and was repeated.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
struct Repeated<'r> {
    /// Counted from 1.
    attempt: u32,
    /// When it had failed, in milliseconds since the run began.
    at_ms: u64,
    /// Why, in one line.
    cause: &'r str,
}

/// A page of the Cloud Console.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
struct Page {
    /// What it shows: service, revision, logs, rollout or pipeline.
    name: &'static str,
    /// Its address.
    url: String,
}

/// One thing that a check saw.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
struct Observed<'r> {
    kind: Kind,
    /// A path, a family, a threshold.
    name: &'r str,
    /// What it does to the check.
    status: Status,
    /// One line.
    detail: &'r str,
    /// What was wanted, where it can be told in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<&'r str>,
    /// What came, where it can be told in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    actual: Option<&'r str>,
    /// Where the checks file (of an alert, the rules file) asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<&'r Source>,
    /// The command that shows the same, for what is not good; secrets are references in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reproduce: Option<&'r str>,
    /// Of a measure that was compared with stable's: what the pairs of requests prove.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<Interval>,
    /// Of a threshold: what it saw.
    #[serde(flatten)]
    threshold: Option<Threshold<'r>>,
}

/// What pairs of requests prove of a measure of the canary beside the same of stable.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
struct Interval {
    /// What the numbers are: a ratio (the canary's over stable's), or a share of all requests (the canary's less stable's).
    unit: IntervalUnit,
    estimate: Number,
    /// The lower end. Each end is passed with a probability of at most 5 %; 2.5 % where the traffic went on for longer.
    low: Number,
    /// The upper end.
    high: Number,
    /// What is proven to be beyond this fails.
    tolerated: Number,
    /// A pass proves that it is within this.
    bound: Number,
    /// The pairs that it rests on.
    pairs: usize,
}

/// The kinds of observation.
#[derive(Clone, Copy, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// A request and its answer.
    Request,
    /// A script, a style sheet or a preloaded module of a page.
    Asset,
    /// A family that must be declared.
    Family,
    /// A threshold.
    Threshold,
    /// Something measured by requests of the gate's own.
    Measure,
    /// Something that a person should know.
    Note,
}

/// What a threshold saw.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Threshold<'r> {
    /// The PromQL expression.
    expression: &'r str,
    verdict: ThresholdVerdict,
    /// Whether it blocks.
    blocking: bool,
    /// How many elements were compared.
    compared: usize,
    /// The worst element's value; null where there is none.
    value: Number,
    /// What the worst element was compared with; null where there is none.
    limit: Number,
    /// The elements compared, the worst first, at most 20.
    elements: Vec<Element<'r>>,
}

/// One element that a threshold compared.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(deny_unknown_fields))]
struct Element<'r> {
    /// Its labels.
    labels: BTreeMap<&'r str, &'r str>,
    /// Its value.
    value: Number,
    /// What it was compared with; null for an alert, whose expression holds its limit.
    limit: Number,
}

/// A number; `"+Inf"`, `"-Inf"` or `"NaN"` where JSON has none; null where there is no value.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Named(String),
    Missing(()),
}

impl Number {
    fn of(value: Option<f64>) -> Self {
        match value {
            None => Self::Missing(()),
            Some(value) if value.is_finite() => Self::Finite(value),
            Some(value) => Self::Named(format_value(value)),
        }
    }
}

/// Writes the report, indented, with a line feed at its end.
///
/// # Errors
/// None is known: the report holds nothing that JSON cannot carry.
pub(super) fn render(summary: &Summary) -> Result<String, String> {
    let verdict = summary.verdict();
    let report = Report {
        schema: SCHEMA_VERSION,
        purpose: Some(summary.purpose).filter(|purpose| *purpose != Purpose::Verify),
        verdict,
        exit_code: summary.exit().code(),
        cause: summary.unfinished.as_ref().map(|unfinished| &*unfinished.cause),
        url: summary.url.as_deref(),
        deployment: summary.deployment.as_ref(),
        started_at: humantime::format_rfc3339_millis(summary.started_at).to_string(),
        duration_ms: milliseconds(summary.duration),
        stood_still_ms: summary.stood_still.map(milliseconds),
        links: summary.links().into_iter().map(|Link { name, url }| Page { name, url }).collect(),
        warnings: summary.warnings(),
        checks: summary.checks.iter().map(check).collect(),
    };
    let text = serde_json::to_string_pretty(&report).map_err(|error| format!("the report cannot be made: {error}"))?;
    Ok(text::escaped_json(&text) + "\n")
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn check(outcome: &Outcome) -> Check<'_> {
    Check {
        name: &outcome.name,
        status: outcome.status,
        blocking: outcome.severity == Severity::Block,
        attempts: outcome.attempts,
        retries: outcome.retries.iter().map(repeated).collect(),
        duration_ms: milliseconds(outcome.duration),
        limit_ms: milliseconds(outcome.limit),
        detail: &outcome.detail,
        place: outcome.place.as_ref(),
        observations: outcome.observations.iter().map(observed).collect(),
    }
}

fn repeated(retry: &Retry) -> Repeated<'_> {
    Repeated { attempt: retry.attempt, at_ms: milliseconds(retry.at), cause: &retry.cause }
}

fn observed(observation: &Observation) -> Observed<'_> {
    let kind = match observation.seen {
        Seen::Request => Kind::Request,
        Seen::Asset => Kind::Asset,
        Seen::Family => Kind::Family,
        Seen::Threshold(_) => Kind::Threshold,
        Seen::Measure => Kind::Measure,
        Seen::Note => Kind::Note,
    };
    let threshold = observation.threshold().map(|seen| {
        let worst = seen.elements.first();
        Threshold {
            expression: &seen.expression,
            verdict: seen.verdict,
            blocking: seen.severity == Severity::Block,
            compared: seen.compared,
            value: Number::of(worst.map(|worst| worst.value)),
            limit: Number::of(worst.and_then(|worst| worst.limit)),
            elements: seen.elements.iter().map(element).collect(),
        }
    });
    Observed {
        kind,
        name: &observation.name,
        status: observation.status,
        detail: &observation.detail,
        expected: observation.expected.as_deref(),
        actual: observation.actual.as_deref(),
        place: observation.place.as_ref(),
        reproduce: observation.reproduce.as_deref(),
        interval: observation.interval.as_deref().map(interval),
        threshold,
    }
}

fn interval(seen: &IntervalSeen) -> Interval {
    let number = |value| Number::of(Some(value));
    Interval {
        unit: seen.unit,
        estimate: number(seen.estimate),
        low: number(seen.low),
        high: number(seen.high),
        tolerated: number(seen.tolerated),
        bound: number(seen.bound),
        pairs: seen.pairs,
    }
}

fn element(seen: &ElementSeen) -> Element<'_> {
    Element {
        labels: seen.labels.iter().map(|(name, value)| (&**name, &**value)).collect(),
        value: Number::of(Some(seen.value)),
        limit: Number::of(seen.limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_the_repository_is_that_of_the_code() {
        let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
        crate::plan::schema::compare(
            "report.schema.json",
            &settings.into_generator().into_root_schema_for::<Report<'_>>(),
            "The JSON report of canary-gate verify",
        );
    }
}
