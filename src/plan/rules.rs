//! Prometheus rules files: alerts that must not fire, and the recorded series that they may read.
//!
//! Format: <https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/>.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::Deserialize;

use super::mistakes::Mistakes;
use super::written::{At, Item, Key, List, Map, Meaning, Meant, Must, one_of};
use super::{code, yaml};
use crate::outcome::Source;
use promeval::labels::is_legacy_name;
use promeval::promql::ast::{Expr, ExprKind, Type};
use promeval::promql::{Error as PromqlError, parse as parse_promql};

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
    pub(crate) place: Option<Source>,
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
#[serde(deny_unknown_fields, expecting = "a mapping such as {groups: []}")]
struct RulesFile {
    groups: Must<List<RuleGroup>>,
}

/// The keys of a group. Those that say when a server evaluates are read and have no meaning here: the gate does, at every
/// scrape.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping such as {name: app, rules: []}")]
struct RuleGroup {
    name: Must<String>,
    #[serde(rename = "interval")]
    _interval: Key<String>,
    #[serde(rename = "limit")]
    _limit: Key<u64>,
    #[serde(rename = "query_offset")]
    _query_offset: Key<String>,
    labels: Key<Option<Map<String>>>,
    rules: Key<Option<List<WrittenRule>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping such as {alert: Down, expr: up == 0}")]
struct WrittenRule {
    #[serde(deserialize_with = "one_of")]
    alert: Key<String>,
    #[serde(deserialize_with = "one_of")]
    record: Key<String>,
    expr: Must<String>,
    #[serde(rename = "for")]
    hold: Key<Meant<Hold>>,
    #[serde(rename = "keep_firing_for")]
    _keep_firing_for: Key<Meant<Hold>>,
    labels: Key<Option<Map<String>>>,
    annotations: Key<Option<Map<String>>>,
}

impl Item for RuleGroup {
    const EXAMPLE: &str = "[{name: app, rules: []}]";
    const ALONE: bool = false;
}

impl Item for WrittenRule {
    const EXAMPLE: &str = "[{alert: Down, expr: up == 0}]";
    const ALONE: bool = false;
}

/// A duration as Prometheus writes it, which is one of PromQL too.
struct Hold(Duration);

impl Meaning for Hold {
    const CODE: &'static str = code::DURATION;
    const WANTED: &str = "a duration such as 5m";

    fn of(written: &str) -> Result<Self, String> {
        // Like Prometheus: a unit is left out for 0 only.
        let has_unit = written.trim() == "0" || written.contains(|c: char| c.is_ascii_alphabetic());
        match parse_promql(written.trim()).ok().map(|expr| expr.kind) {
            Some(ExprKind::Number(seconds)) if has_unit && (0.0..1e9).contains(&seconds) => {
                Ok(Self(Duration::from_secs_f64(seconds)))
            }
            _ => Err(format!("{written:?} is not a duration; write it as 30s or 5m")),
        }
    }
}

type Labels = BTreeMap<String, String>;

/// Reads a rules file; nothing where something is wrong with it.
pub(super) fn parse(text: &str, mistakes: &mut Mistakes<'_>) -> Option<Rules> {
    let file: RulesFile = yaml::read(text, mistakes, "the rules file is empty; it starts with \"groups:\"")?;
    let mut rules = Rules::default();
    let mut names = HashMap::new();
    for At { value: group, .. } in file.groups.0?.value.items {
        if let Some(name) = group.name.0
            && let Some(place) = name.place
            && let Some(first) = names.insert(name.value.clone(), place)
        {
            let message = format!("the group {:?} is duplicated; the first one is at {first}", name.value);
            mistakes.add(code::RULES, Some(place), message);
        }
        let labels = labels(group.labels);
        for rule in group.rules.present().map_or_else(Vec::new, |list| list.value.items) {
            one(rule, &labels, &mut rules, mistakes);
        }
    }
    if rules.alerts.is_empty() && mistakes.is_empty() {
        mistakes.whole(code::RULES, "the rules file has no alert, so that it would gate nothing");
    }
    mistakes.is_empty().then_some(rules)
}

fn labels(written: Key<Option<Map<String>>>) -> Labels {
    let pairs = written.present().unwrap_or_else(|| At::nowhere(Map::default())).value.0;
    pairs.into_iter().map(|(name, value)| (name, value.value)).collect()
}

/// Adds a rule to the others, unless something is wrong with it.
fn one(rule: At<WrittenRule>, group: &Labels, rules: &mut Rules, mistakes: &mut Mistakes<'_>) {
    let At { value: rule, place, .. } = rule;
    let named = !rule.alert.is_wrong() && !rule.record.is_wrong();
    let (alert, record) = (rule.alert.into_at(), rule.record.into_at());
    match (&alert, &record) {
        (Some(alert), Some(_)) => {
            mistakes.add(code::RULES, alert.place, "a rule is either an alert or a record, not both");
        }
        (None, None) if named => mistakes.add(code::RULES, place, "a rule needs a name: alert or record"),
        (None, Some(name)) if !is_legacy_name(&name.value) => {
            mistakes.add(code::RULES, name.place, format!("{:?} is not a metric name", name.value));
        }
        _ => {}
    }
    let Some(written) = rule.expr.0 else { return };
    let expr = match vector(&written.value) {
        Ok(expr) => expr,
        Err(error) => return mistakes.expression(&written, &error),
    };
    // A rule's own labels beat its group's.
    let mut all = group.clone();
    all.extend(labels(rule.labels));
    match (alert, record) {
        (Some(name), None) => rules.alerts.push(Alert {
            name: name.value,
            expr,
            source: written.value.trim().to_owned(),
            hold: rule.hold.get().map_or(Duration::ZERO, |hold| hold.meant.0),
            severity: all.remove("severity").unwrap_or_default(),
            summary: labels(rule.annotations).remove("summary").unwrap_or_default(),
            place: mistakes.source(written.place),
        }),
        (None, Some(name)) => {
            rules.records.push(Record { name: name.value, expr, labels: all.into_iter().collect() });
        }
        _ => {}
    }
}

fn vector(written: &str) -> Result<Expr, PromqlError> {
    let expr = parse_promql(written.trim())?;
    match expr.value_type() {
        Type::Vector => Ok(expr),
        other => Err(PromqlError::new(format!("a rule is an instant vector, and this is {other}"), expr.span)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Diagnostic;

    fn read(text: &str) -> Result<Rules, Vec<Diagnostic>> {
        let mut mistakes = Mistakes::of(Some(("app.rules", text)));
        parse(text, &mut mistakes).ok_or_else(|| mistakes.sorted())
    }

    #[test]
    fn rules_files_are_read_strictly() {
        let rules = read(
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
            let errors = read(text).unwrap_err();
            assert_eq!(errors.len(), 1, "{text}: {errors:?}");
            assert!(errors[0].message.contains(wanted), "{text}: {}", errors[0]);
        }
    }

    #[test]
    fn the_types_of_a_rules_file_are_named_in_our_own_words() {
        let rule = |keys: &str| format!("groups:\n- name: a\n  rules:\n  - {{{keys}}}\n");
        for (keys, wanted) in [
            ("alert: null, expr: up", "4:13: groups[0].rules[0].alert wants text, found null"),
            ("alert: A, expr: ~", "4:22: groups[0].rules[0].expr wants text, found ~"),
            ("alert: A, expr: [up]", "4:22: groups[0].rules[0].expr wants text, found a list"),
            ("alert: A, expr: up, for: 30", "4:31: groups[0].rules[0].for wants a duration such as 5m, found 30"),
            ("alert: A, expr: up, for: \"30\"", "4:31: \"30\" is not a duration"),
            (
                "alert: A, expr: up, labels: {severity: null}",
                "4:45: groups[0].rules[0].labels.severity wants text, found null",
            ),
            (
                "alert: A, expr: up, labels: [a]",
                "groups[0].rules[0].labels wants a mapping such as {name: value}, found a list",
            ),
            ("alert: A, exp: up", "4:16: unknown key \"exp\"; did you mean \"expr\"?"),
            ("alert: A", "4:5: the key \"expr\" is missing in groups[0].rules[0]"),
            ("alrt: A, expr: up", "4:6: unknown key \"alrt\"; did you mean \"alert\"?"),
            ("record: a b, expr: up", "4:14: \"a b\" is not a metric name"),
        ] {
            let errors = read(&rule(keys)).unwrap_err();
            assert_eq!(errors.len(), 1, "{keys}: {errors:?}");
            let shown = errors[0].to_string();
            assert!(shown.contains(wanted), "{keys}: {shown}");
        }
        // What Prometheus takes is taken.
        for keys in [
            "alert: A, expr: up, for: 0",
            "alert: A, expr: up, labels: , annotations: ~",
            "alert: A, expr: up, labels: {tier: 1}",
        ] {
            assert!(read(&rule(keys)).is_ok(), "{keys}");
        }
    }

    #[test]
    fn every_mistake_of_a_rules_file_is_found() {
        let text = "groups:\n- name: a\n  rules:\n  - alert: A\n    expr: |\n      up\n        == (\n  - {alert: B, expr: up, for: soon}\n- name: a\n  nam: b\n";
        let shown: Vec<String> = read(text).unwrap_err().iter().map(ToString::to_string).collect();
        let starts: Vec<&str> = shown.iter().map(|line| line.split(": ").next().unwrap()).collect();
        assert_eq!(starts, ["app.rules:7:13", "app.rules:8:31", "app.rules:9:9", "app.rules:10:3"], "{shown:#?}");
    }
}
