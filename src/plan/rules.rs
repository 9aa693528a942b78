//! Prometheus rules files: alerts that must not fire, and the recorded series that they may read.
//!
//! Format: <https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/>.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde::Deserialize;

use super::mistakes::Mistakes;
use super::written::{At, Item, Key, List, Map, Meaning, Meant, Must, one_of};
use super::{code, template, yaml};
use crate::outcome::{Place, Source};
use promeval::labels::METRIC_NAME;
use promeval::promql::ast::{Expr, Type};
use promeval::promql::{Error as PromqlError, parse as parse_promql, parse_duration};

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
    /// How long it fires on when it is no longer active.
    pub(crate) keep_firing: Duration,
    /// How many of its elements may be pending or firing: with more the rule fails. 0 is no limit.
    pub(crate) limit: usize,
    /// Labels that are set on what it gives, those of its group included; templates and all.
    pub(crate) labels: Vec<(String, String)>,
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
    /// How many series it may make: with more the rule fails. 0 is no limit.
    pub(crate) limit: usize,
}

/// One rule in the order of evaluation.
#[derive(Clone, Debug)]
pub(crate) enum RuleStep {
    Record(Record),
    /// By its place among the thresholds.
    Alert(usize),
}

/// What rules files hold.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) alerts: Vec<Alert>,
    /// Alerts are counted from 0.
    pub(super) steps: Vec<RuleStep>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping such as {groups: []}")]
struct RulesFile {
    groups: Must<Option<List<RuleGroup>>>,
}

/// The keys of a group. Those that say when a server evaluates have no meaning here: the gate does, at every scrape.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping such as {name: app, rules: []}")]
struct RuleGroup {
    name: Must<String>,
    #[serde(rename = "interval")]
    _interval: Key<Option<Meant<Hold>>>,
    limit: Key<Option<u64>>,
    #[serde(rename = "query_offset")]
    _query_offset: Key<Option<Meant<Hold>>>,
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
    hold: Key<Option<Meant<Hold>>>,
    keep_firing_for: Key<Option<Meant<Hold>>>,
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

/// A duration as Prometheus writes it in files: whole numbers with their units, the largest first; a unit is left out for 0
/// only.
struct Hold(Duration);

impl Meaning for Hold {
    const CODE: &'static str = code::DURATION;
    const WANTED: &str = "a duration such as 5m";

    fn of(written: &str) -> Result<Self, String> {
        let error = || format!("{written:?} is not a duration; write it as 30s or 5m");
        hold(written).map(Self).ok_or_else(error)
    }
}

fn hold(written: &str) -> Option<Duration> {
    /// What a server counts in nanoseconds.
    const MOST: u64 = 292 * 365 * 86_400_000;
    if written == "0" {
        return Some(Duration::ZERO);
    }
    let milliseconds = u64::try_from(parse_duration(written)?).ok()?;
    (milliseconds <= MOST).then(|| Duration::from_millis(milliseconds))
}

type Labels = BTreeMap<String, String>;

/// Adds what a rules file holds to the others; what is wrong with it is among the mistakes.
pub(super) fn parse(text: &str, rules: &mut Rules, mistakes: &mut Mistakes<'_>) {
    let empty = "the rules file is empty; it starts with \"groups:\"";
    let Some(file) = yaml::read::<RulesFile>(text, yaml::Bounds::RULES, mistakes, empty) else { return };
    let Some(At { value: Some(groups), .. }) = file.groups.0 else { return };
    let mut names = HashMap::new();
    for At { value: group, .. } in groups.items {
        if let Some(name) = group.name.0 {
            unique(&name, &mut names, mistakes);
        }
        let limit = group.limit.get().flatten().map_or(0, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let labels = labels(group.labels, "label", mistakes);
        let labels: Labels = labels.into_iter().map(|(name, at)| (name, at.value)).collect();
        for rule in group.rules.present().map_or_else(Vec::new, |list| list.value.items) {
            one(rule, limit, &labels, rules, mistakes);
        }
    }
}

/// Checks that a group has a name of its own.
fn unique(name: &At<String>, names: &mut HashMap<String, Option<Place>>, mistakes: &mut Mistakes<'_>) {
    if name.value.is_empty() {
        mistakes.add(code::RULES, name.place, "the name of a group is empty");
    } else if let Some(first) = names.insert(name.value.clone(), name.place) {
        let first = first.map_or(String::new(), |place| format!("; the first one is at {place}"));
        mistakes.add(code::RULES, name.place, format!("the group {:?} is duplicated{first}", name.value));
    }
}

/// Labels or annotations, without those whose names cannot be.
fn labels(written: Key<Option<Map<String>>>, what: &str, mistakes: &mut Mistakes<'_>) -> BTreeMap<String, At<String>> {
    let pairs = written.present().unwrap_or_else(|| At::nowhere(Map::default())).value.0;
    let mut all = BTreeMap::new();
    for (name, value) in pairs {
        if name.is_empty() {
            mistakes.add(code::RULES, value.place, format!("this {what} has an empty name"));
        } else if name == METRIC_NAME && what == "label" {
            let message = "the label __name__ is the name of a series: a record names it, and an alert has none";
            mistakes.add(code::RULES, value.place, message);
        } else {
            all.insert(name, value);
        }
    }
    all
}

/// Checks the templates of an alert.
fn templates(all: &BTreeMap<String, At<String>>, what: &str, mistakes: &mut Mistakes<'_>) {
    for (name, value) in all {
        if let Err(why) = template::check(&value.value) {
            mistakes.add(code::RULES, value.place, format!("the template of the {what} {name:?} is broken: {why}"));
        }
    }
}

/// Adds a rule to the others, unless something is wrong with it.
fn one(rule: At<WrittenRule>, limit: usize, group: &Labels, rules: &mut Rules, mistakes: &mut Mistakes<'_>) {
    let At { value: rule, place, .. } = rule;
    let named = !rule.alert.is_wrong() && !rule.record.is_wrong();
    let empty = [&rule.alert, &rule.record].into_iter().find_map(|key| key.at().filter(|name| name.value.is_empty()));
    let empty = empty.map(|name| name.place);
    let given = |key: Key<String>| key.into_at().filter(|name| !name.value.is_empty());
    let (alert, record) = (given(rule.alert), given(rule.record));
    match (&alert, &record) {
        (Some(alert), Some(_)) => {
            mistakes.add(code::RULES, alert.place, "a rule is either an alert or a record, not both");
        }
        (None, None) if empty.is_some() => {
            mistakes.add(code::RULES, empty.flatten(), "the name of a rule is empty");
        }
        (None, None) if named => mistakes.add(code::RULES, place, "a rule needs a name: alert or record"),
        (None, Some(name)) if name.value.contains(['{', '}']) => {
            let message = format!("{:?} is not a metric name; labels belong under \"labels:\"", name.value);
            mistakes.add(code::RULES, name.place, message);
        }
        _ => {}
    }
    let hold = rule.hold.present().map(|hold| (hold.value.meant.0, hold.place));
    let keep_firing = rule.keep_firing_for.present().map(|keep| (keep.value.meant.0, keep.place));
    let own = labels(rule.labels, "label", mistakes);
    let annotations = labels(rule.annotations, "annotation", mistakes);
    if alert.is_some() {
        templates(&own, "label", mistakes);
        templates(&annotations, "annotation", mistakes);
    } else if record.is_some() {
        for (key, place) in [("for", &hold), ("keep_firing_for", &keep_firing)] {
            if let Some((_, place)) = place.filter(|(duration, _)| !duration.is_zero()) {
                mistakes.add(code::RULES, place, format!("{key} belongs to an alert, and this is a record"));
            }
        }
        if let Some(annotation) = annotations.values().next() {
            mistakes.add(code::RULES, annotation.place, "annotations belong to an alert, and this is a record");
        }
    }
    let Some(written) = rule.expr.0 else { return };
    let expr = match evaluable(&written.value) {
        Ok(expr) => expr,
        Err(error) => return mistakes.expression(&written, &error),
    };
    // A rule's own labels beat its group's.
    let mut all = group.clone();
    all.extend(own.into_iter().map(|(name, value)| (name, value.value)));
    match (alert, record) {
        (Some(name), None) => {
            rules.steps.push(RuleStep::Alert(rules.alerts.len()));
            rules.alerts.push(Alert {
                name: name.value,
                expr,
                source: written.value.trim().to_owned(),
                hold: hold.map_or(Duration::ZERO, |(hold, _)| hold),
                keep_firing: keep_firing.map_or(Duration::ZERO, |(keep, _)| keep),
                limit,
                severity: all.get("severity").cloned().unwrap_or_default(),
                labels: all.into_iter().collect(),
                summary: annotations.get("summary").map(|at| at.value.clone()).unwrap_or_default(),
                place: mistakes.source(written.place),
            });
        }
        (None, Some(name)) => {
            let record = Record { name: name.value, expr, labels: all.into_iter().collect(), limit };
            rules.steps.push(RuleStep::Record(record));
        }
        _ => {}
    }
}

/// An expression that a rule can evaluate: a scalar is one element without labels.
fn evaluable(written: &str) -> Result<Expr, PromqlError> {
    let expr = parse_promql(written.trim())?;
    match expr.value_type() {
        Type::Vector | Type::Scalar => Ok(expr),
        other => Err(PromqlError::new(format!("a rule is an instant vector, and this is {other}"), expr.span)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Diagnostic;

    fn read(text: &str) -> Result<Rules, Vec<Diagnostic>> {
        let (mut mistakes, mut rules) = (Mistakes::of(Some(("app.rules", text))), Rules::default());
        parse(text, &mut rules, &mut mistakes);
        let mistakes = mistakes.sorted();
        if mistakes.is_empty() { Ok(rules) } else { Err(mistakes) }
    }

    fn rule(keys: &str) -> String {
        format!("groups:\n- name: a\n  rules:\n  - {{{keys}}}\n")
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
        assert!(matches!(&rules.steps[..], [RuleStep::Record(record), RuleStep::Alert(0), RuleStep::Alert(1)]
            if record.name == "job:errors:rate"));
        assert_eq!(rules.alerts[0].labels, [("severity".into(), "critical".into()), ("team".into(), "a".into())]);
        for (text, wanted) in [
            ("", "the rules file is empty"),
            (
                "groups:\n- name: a\n  rules:\n  - {alert: A, expr: up == 0, fro: 5m}\n",
                "unknown key \"fro\"; did you mean \"for\"?",
            ),
            ("groups:\n- name: a\n  rules:\n  - {alert: A, expr: up ==}\n", "unexpected end"),
            ("groups:\n- name: a\n  rules:\n  - {alert: A, expr: 'up[5m]'}\n", "this is a range vector"),
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
            ("record: 'a{b}', expr: up", "4:14: \"a{b}\" is not a metric name"),
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
            "alert: A, expr: up, for: , keep_firing_for: ~",
            "alert: A, expr: 1",
            "record: lim, expr: 9",
            "record: my.rec, expr: up",
            "record: über, expr: up, for: 0s",
            "record: a, expr: up, labels: {x: '{{ broken'}",
            "alert: A, expr: up, labels: {my.label: '{{ $labels.x }}'}, annotations: {a-b: '{{ $value | humanize }}'}",
            "alert: A, expr: up, for: 1h30m",
            "alert: '', record: a, expr: up",
        ] {
            assert!(read(&rule(keys)).is_ok(), "{keys}: {:?}", read(&rule(keys)));
        }
        for text in [
            "groups:\n",
            "groups: []\n",
            "groups:\n- name: a\n  rules:\n",
            "groups:\n- name: a\n  interval:\n  limit: ~\n  labels:\n  rules: ~\n",
            // A server warns of these, and real files have them.
            "groups:\n- name: a\n  rules:\n  - {record: a, expr: up}\n  - {record: a, expr: up}\n",
        ] {
            assert!(read(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_prometheus_refuses_is_refused_at_its_place() {
        for (keys, wanted) in [
            ("record: a, expr: up, for: 5m", "4:32: for belongs to an alert, and this is a record"),
            ("record: a, expr: up, keep_firing_for: 5m", "4:44: keep_firing_for belongs to an alert"),
            ("record: a, expr: up, annotations: {x: y}", "4:44: annotations belong to an alert"),
            ("alert: A, expr: up, labels: {__name__: z}", "4:45: the label __name__ is the name of a series"),
            ("record: a, expr: up, labels: {__name__: z}", "4:46: the label __name__ is the name of a series"),
            ("alert: A, expr: up, labels: {'': z}", "4:39: this label has an empty name"),
            ("alert: A, expr: up, annotations: {'': z}", "4:44: this annotation has an empty name"),
            ("alert: '', expr: up", "4:13: the name of a rule is empty"),
            ("record: '', expr: up", "4:14: the name of a rule is empty"),
            ("alert: A, expr: up, for: 300", "4:31: groups[0].rules[0].for wants a duration such as 5m, found 300"),
            ("alert: A, expr: up, for: 1e3", "4:31: groups[0].rules[0].for wants a duration such as 5m, found 1e3"),
            ("alert: A, expr: up, for: 1m2h", "\"1m2h\" is not a duration"),
            ("alert: A, expr: up, for: 1.5m", "\"1.5m\" is not a duration"),
            ("alert: A, expr: up, for: '-5m'", "\"-5m\" is not a duration"),
            ("alert: A, expr: up, for: ''", "\"\" is not a duration"),
            ("alert: A, expr: up, keep_firing_for: junk", "\"junk\" is not a duration"),
            (
                "alert: A, expr: up, annotations: {summary: '{{ $labels.x | nope }}'}",
                "4:49: the template of the annotation \"summary\" is broken: there is no function \"nope\"",
            ),
            (
                "alert: A, expr: up, labels: {x: '{{ if 1 }}'}",
                "4:38: the template of the label \"x\" is broken: {{if}} has no {{end}}",
            ),
            ("alert: A, expr: up, limit: 5", "unknown key \"limit\""),
        ] {
            let errors = read(&rule(keys)).unwrap_err();
            assert_eq!(errors.len(), 1, "{keys}: {errors:?}");
            let shown = errors[0].to_string();
            assert!(shown.contains(wanted), "{keys}: {shown}");
        }
        for (group, wanted) in [
            ("name: ''", "2:9: the name of a group is empty"),
            ("{name: a, interval: junk}", "\"junk\" is not a duration"),
            ("{name: a, query_offset: 5}", "groups[0].query_offset wants a duration such as 5m, found 5"),
            ("{name: a, limit: many}", "groups[0].limit wants a whole number"),
            ("{name: a, labels: {__name__: x}}", "the label __name__ is the name of a series"),
        ] {
            let errors = read(&format!("groups:\n- {group}\n")).unwrap_err();
            assert!(errors.len() == 1 && errors[0].to_string().contains(wanted), "{group}: {errors:?}");
        }
    }

    #[test]
    fn durations_are_those_of_rules_files() {
        for (written, seconds) in
            [("0", 0), ("90s", 90), ("1h30m", 5400), ("1d", 86_400), ("0s", 0), ("1y", 31_536_000)]
        {
            assert_eq!(hold(written), Some(Duration::from_secs(seconds)), "{written}");
        }
        assert_eq!(hold("1s500ms"), Some(Duration::from_millis(1500)));
        for written in ["", "5", "1m1m", "s", "300y", "99999999999999999999s", "1 m", "5µs"] {
            assert_eq!(hold(written), None, "{written}");
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
