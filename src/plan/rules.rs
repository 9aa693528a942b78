//! Prometheus rules files: alerts that must not fire, and the recorded series that they may read.
//!
//! Format: <https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/>.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use serde::Deserialize;

use super::file::{At, Text};
use super::promql_message;
use super::yaml;
use crate::outcome::{Diagnostic, Place};
use promeval::labels::is_legacy_name;
use promeval::promql::ast::{Expr, Type};
use promeval::promql::parse as parse_promql;

/// An alert.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    /// Its name.
    pub(crate) name: String,
    /// Its expression: it is active while this has an element.
    pub(crate) expr: Expr,
    /// The expression as it is written.
    pub(crate) source: String,
    /// How long it must be active to fire.
    pub(crate) hold: Duration,
    /// Its `severity` label; empty where it has none.
    pub(crate) severity: String,
    /// Its `summary` annotation, templates and all; empty where it has none.
    pub(crate) summary: String,
    /// In the rules file.
    pub(crate) place: Option<Place>,
}

/// A recording rule.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// The name of the series that it makes.
    pub(crate) name: String,
    /// What is recorded.
    pub(crate) expr: Expr,
    /// Labels that are set on what it makes.
    pub(crate) labels: Vec<(String, String)>,
}

/// What a rules file holds.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) alerts: Vec<Alert>,
    pub(super) records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesFile {
    groups: Vec<RuleGroup>,
}

/// The keys of a group. Those that say when a server evaluates are read and have no meaning here: the gate does, at every
/// scrape.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleGroup {
    name: Text,
    #[serde(default, rename = "interval")]
    _interval: Option<String>,
    #[serde(default, rename = "limit")]
    _limit: Option<u64>,
    #[serde(default, rename = "query_offset")]
    _query_offset: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    rules: Vec<WrittenRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    alert: Option<Text>,
    record: Option<Text>,
    expr: Text,
    #[serde(rename = "for")]
    hold: Option<Text>,
    #[serde(default, rename = "keep_firing_for")]
    _keep_firing_for: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Reads a rules file.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub(super) fn parse(text: &str) -> Result<Rules, Diagnostic> {
    let empty = || Diagnostic::new("rules", None, "the rules file is empty; it starts with \"groups:\"");
    let file: RulesFile = yaml::read(text)?.ok_or_else(empty)?;
    let mut rules = Rules::default();
    let mut names = HashSet::new();
    for group in file.groups {
        if !names.insert(group.name.value.clone()) {
            return Err(Diagnostic::new(
                "rules",
                group.name.place,
                format!("the group {:?} is duplicated", group.name.value),
            ));
        }
        for rule in group.rules {
            one(rule, &group.labels, &mut rules)?;
        }
    }
    if rules.alerts.is_empty() {
        return Err(Diagnostic::new("rules", None, "the rules file has no alert, so that it would gate nothing"));
    }
    Ok(rules)
}

fn one(rule: WrittenRule, group: &BTreeMap<String, String>, rules: &mut Rules) -> Result<(), Diagnostic> {
    let place = rule.expr.place;
    let source = rule.expr.value.trim().to_owned();
    let expr =
        parse_promql(&source).map_err(|error| Diagnostic::new("rules", place, promql_message(&error, &source)))?;
    if expr.value_type() != Type::Vector {
        return Err(Diagnostic::new(
            "rules",
            place,
            format!("a rule is an instant vector, and this is {}", expr.value_type()),
        ));
    }
    // A rule's own labels beat its group's.
    let mut labels = group.clone();
    labels.extend(rule.labels);
    match (rule.alert, rule.record) {
        (Some(name), None) => {
            let hold = rule.hold.map_or(Ok(Duration::ZERO), |text| hold(&text))?;
            let severity = labels.remove("severity").unwrap_or_default();
            let summary = rule.annotations.get("summary").cloned().unwrap_or_default();
            rules.alerts.push(Alert { name: name.value, expr, source, hold, severity, summary, place });
            Ok(())
        }
        (None, Some(name)) => {
            if !is_legacy_name(&name.value) {
                return Err(Diagnostic::new("rules", name.place, format!("{:?} is not a metric name", name.value)));
            }
            rules.records.push(Record { name: name.value, expr, labels: labels.into_iter().collect() });
            Ok(())
        }
        (Some(At { place, .. }), Some(_)) => {
            Err(Diagnostic::new("rules", place, "a rule is either an alert or a record, not both"))
        }
        (None, None) => Err(Diagnostic::new("rules", place, "a rule needs a name: alert or record")),
    }
}

/// A duration as Prometheus writes it, which is one of PromQL too.
fn hold(text: &Text) -> Result<Duration, Diagnostic> {
    let written = text.value.trim();
    let parsed = parse_promql(written).ok().map(|expr| expr.kind);
    match parsed {
        Some(promeval::promql::ast::ExprKind::Number(seconds)) if (0.0..1e9).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(Diagnostic::new("rules", text.place, format!("{written:?} is not a duration; write it as 30s or 5m"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_files_are_read_strictly() {
        let rules = parse(
            "groups:\n- name: app\n  interval: 30s\n  labels: {severity: warning}\n  rules:\n  - record: job:errors:rate\n    \
             expr: sum by (job) (rate(errors_total[1m]))\n  - alert: Errors\n    expr: job:errors:rate > 1\n    for: 1m30s\n    \
             labels: {severity: critical, team: a}\n    annotations: {summary: too many}\n  - {alert: Slow, expr: latency > 1}\n",
        )
        .unwrap();
        let alerts: Vec<_> =
            rules.alerts.iter().map(|alert| (&*alert.name, &*alert.severity, alert.hold.as_secs())).collect();
        assert_eq!(alerts, [("Errors", "critical", 90), ("Slow", "warning", 0)]);
        assert_eq!(rules.records[0].name, "job:errors:rate");
        for (text, wanted) in [
            ("", "the rules file is empty"),
            ("groups: []\n", "has no alert"),
            (
                "groups:\n- name: a\n  rules:\n  - {alert: A, expr: up == 0, fro: 5m}\n",
                "unknown key \"fro\"; did you mean \"for\"?",
            ),
            ("groups:\n- name: a\n  rules:\n  - {alert: A, expr: up ==}\n", "unexpected end"),
            ("groups:\n- name: a\n  rules:\n  - {alert: A, expr: 1}\n", "this is a scalar"),
            ("groups:\n- name: a\n  rules:\n  - {alert: A, record: b, expr: up}\n", "not both"),
            ("groups:\n- name: a\n  rules:\n  - {expr: up}\n", "needs a name"),
            ("groups:\n- name: a\n  rules:\n  - {alert: A, expr: up, for: soon}\n", "is not a duration"),
            ("groups:\n- name: a\n- name: a\n", "is duplicated"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message.contains(wanted), "{text}: {error}");
        }
    }
}
