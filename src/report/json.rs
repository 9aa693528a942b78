//! The JSON report. Its schema is `report.schema.json`; a change that a reader could trip over raises [`SCHEMA_VERSION`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::outcome::{ElementSeen, Observation, Outcome, Summary};
use promeval::number::format_value;

/// The version of the report's schema.
pub const SCHEMA_VERSION: u32 = 1;

/// The report of one run.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Report<'r> {
    /// The version of this schema.
    schema: u32,
    /// "pass", "fail" or "error".
    #[cfg_attr(test, schemars(extend("enum" = ["pass", "fail", "error"])))]
    verdict: &'static str,
    /// The exit code of the process: 0 pass, 1 fail, 3 no verdict reached.
    #[cfg_attr(test, schemars(extend("enum" = [0, 1, 3])))]
    exit_code: u8,
    /// The canary's address.
    url: &'r str,
    /// What is known of the deployment: project, region, service, revision, phase, release, rollout.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    deployment: BTreeMap<&'r str, &'r str>,
    /// When the run began: RFC 3339, UTC.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    started_at: String,
    /// How long the run took, in milliseconds.
    duration_ms: u64,
    /// What was seen to be bad and is allowed to be, a sentence each.
    warnings: Vec<String>,
    /// The checks in their order: ready, health, readiness, metrics, smoke, then those that the checks file adds.
    checks: Vec<Check<'r>>,
}

/// What one check came to.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Check<'r> {
    /// The check's name.
    name: &'r str,
    /// "pass", "warn", "fail", "skipped" or "error".
    #[cfg_attr(test, schemars(extend("enum" = ["pass", "warn", "fail", "skipped", "error"])))]
    status: &'static str,
    /// Whether a failure of it fails the gate.
    blocking: bool,
    /// How many times it was tried.
    attempts: u32,
    /// How long it took, in milliseconds.
    duration_ms: u64,
    /// How long it was allowed to take, in milliseconds.
    limit_ms: u64,
    /// Why it ended so, in one line.
    detail: &'r str,
    /// What it saw on the way.
    observations: Vec<Seen<'r>>,
}

/// One thing that a check saw.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Seen<'r> {
    /// "request", "asset", "family", "threshold" or "note".
    #[cfg_attr(test, schemars(extend("enum" = ["request", "asset", "family", "threshold", "note"])))]
    kind: &'static str,
    /// A path, a family, a threshold.
    name: &'r str,
    /// What it does to the check: "pass", "warn", "fail", "skipped" or "error".
    #[cfg_attr(test, schemars(extend("enum" = ["pass", "warn", "fail", "skipped", "error"])))]
    status: &'static str,
    /// One line.
    detail: &'r str,
    /// Of a threshold: the PromQL expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<&'r str>,
    /// Of a threshold: "pass", "fail" or "`no_data`".
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>", extend("enum" = ["pass", "fail", "no_data"])))]
    verdict: Option<&'static str>,
    /// Of a threshold: whether it blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    blocking: Option<bool>,
    /// Of a threshold: the worst element's value; null where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Number>,
    /// Of a threshold: what the worst element was compared with; null where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Number>,
    /// Of a threshold: the elements compared, the worst first, at most 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    elements: Option<Vec<Element<'r>>>,
}

/// One element that a threshold compared.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
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
    fn of(value: f64) -> Self {
        if value.is_finite() { Self::Finite(value) } else { Self::Named(format_value(value)) }
    }
}

/// Writes the report, indented, with a line feed at its end.
///
/// # Errors
/// None is known: the report holds nothing that JSON cannot carry.
pub fn render(summary: &Summary) -> Result<String, serde_json::Error> {
    let verdict = summary.verdict();
    let report = Report {
        schema: SCHEMA_VERSION,
        verdict: verdict.word(),
        exit_code: verdict.exit_code(),
        url: &summary.url,
        deployment: summary.deployment.iter().map(|(name, value)| (&**name, &**value)).collect(),
        started_at: humantime::format_rfc3339_millis(summary.started_at).to_string(),
        duration_ms: milliseconds(summary.duration),
        warnings: summary.warnings(),
        checks: summary.checks.iter().map(check).collect(),
    };
    serde_json::to_string_pretty(&report).map(|text| text + "\n")
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn check(outcome: &Outcome) -> Check<'_> {
    Check {
        name: &outcome.name,
        status: outcome.status.word(),
        blocking: outcome.blocking,
        attempts: outcome.attempts,
        duration_ms: milliseconds(outcome.duration),
        limit_ms: milliseconds(outcome.limit),
        detail: &outcome.detail,
        observations: outcome.observations.iter().map(seen).collect(),
    }
}

fn seen(observation: &Observation) -> Seen<'_> {
    let threshold = observation.threshold.as_ref();
    let worst = threshold.map(|seen| seen.elements.first());
    let of = |pick: fn(&ElementSeen) -> Option<f64>| {
        worst.map(|worst| worst.and_then(pick).map_or(Number::Missing(()), Number::of))
    };
    Seen {
        kind: observation.kind.word(),
        name: &observation.name,
        status: observation.status.word(),
        detail: &observation.detail,
        expression: threshold.map(|seen| &*seen.expression),
        verdict: threshold.map(|seen| seen.verdict.word()),
        blocking: threshold.map(|seen| seen.blocking),
        value: of(|element| Some(element.value)),
        limit: of(|element| element.limit),
        elements: threshold.map(|seen| seen.elements.iter().map(element).collect()),
    }
}

fn element(seen: &ElementSeen) -> Element<'_> {
    Element {
        labels: seen.labels.iter().map(|(name, value)| (&**name, &**value)).collect(),
        value: Number::of(seen.value),
        limit: seen.limit.map_or(Number::Missing(()), Number::of),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_the_repository_is_that_of_the_code() {
        crate::plan::schema::compare(
            "report.schema.json",
            &schemars::schema_for!(Report),
            "The JSON report of canary-gate verify",
        );
    }
}
