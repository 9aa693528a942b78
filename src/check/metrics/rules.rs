//! Rules files as a server evaluates them: what a recording rule gives, which rules anybody reads, and which rules make the
//! series that a selector asks for. Pure.

use std::collections::{HashMap, HashSet};

use promeval::labels::{Labels, METRIC_NAME};
use promeval::promql::ast::{Matcher, Selector};
use promeval::promql::{Element, Expr, Value};

use super::alerts::{ALERT_NAME, ALERT_STATE, ALERTS, ALERTS_FOR_STATE, FIRING, PENDING};
use crate::judge::Made;
use crate::plan::{Alert, Metrics, Record, Rule, RuleStep, template};

/// The value of a rule's expression: a scalar is one element without labels.
///
/// # Errors
/// A value that a rule cannot have.
pub(super) fn elements(value: Value) -> Result<Vec<Element>, String> {
    match value {
        Value::Vector(elements) => Ok(elements),
        Value::Scalar(value) => Ok(vec![Element { labels: Labels::default(), value }]),
        _ => Err("it is not an instant vector".into()),
    }
}

/// The series that a recording rule gives.
///
/// # Errors
/// Why there are none: two would be the same, or they are more than the group allows.
pub(super) fn recorded(record: &Record, elements: Vec<Element>) -> Result<Vec<(Labels, f64)>, String> {
    let count = elements.len();
    let mut seen = HashSet::with_capacity(count);
    let mut named = Vec::with_capacity(count);
    for Element { mut labels, value } in elements {
        labels.set(METRIC_NAME, &record.name);
        for (name, value) in &record.labels {
            labels.set(name, value);
        }
        if !seen.insert(labels.clone()) {
            return Err("two of its elements have the same labels when the rule's own are set".into());
        }
        named.push((labels, value));
    }
    if record.limit > 0 && count > record.limit {
        return Err(format!("it gives {count} series, over the {} of its group's limit", record.limit));
    }
    Ok(named)
}

/// Which of the rules are evaluated: alerts, and records that a threshold, an alert or another such record reads.
pub(super) fn needed(metrics: &Metrics) -> Vec<bool> {
    let mut needed: Vec<bool> = metrics.rules.iter().map(|step| matches!(step, RuleStep::Alert(_))).collect();
    let mut unread: Vec<&Selector> =
        metrics.thresholds.iter().flat_map(|threshold| threshold.rule.expr().selectors()).collect();
    while let Some(selector) = unread.pop() {
        for (step, needed) in metrics.rules.iter().zip(&mut needed) {
            if let RuleStep::Record(record) = step
                && !*needed
                && selector.wants(&record.name)
            {
                *needed = true;
                unread.extend(record.expr.selectors());
            }
        }
    }
    needed
}

/// For each rule, whether it is a recording rule with the name of another one.
pub(super) fn shared_names(metrics: &Metrics) -> Vec<bool> {
    fn name(step: &RuleStep) -> Option<&String> {
        match step {
            RuleStep::Record(record) => Some(&record.name),
            RuleStep::Alert(_) => None,
        }
    }
    let mut counts: HashMap<&String, usize> = HashMap::new();
    for name in metrics.rules.iter().filter_map(name) {
        *counts.entry(name).or_default() += 1;
    }
    metrics.rules.iter().map(|step| name(step).is_some_and(|name| counts[name] > 1)).collect()
}

/// Every expression that is evaluated.
pub(super) fn exprs<'m>(metrics: &'m Metrics, needed: &'m [bool]) -> impl Iterator<Item = &'m Expr> {
    let thresholds = metrics.thresholds.iter().map(|threshold| threshold.rule.expr());
    let records = metrics.rules.iter().zip(needed).filter_map(|(step, needed)| match step {
        RuleStep::Record(record) if *needed => Some(&record.expr),
        RuleStep::Record(_) | RuleStep::Alert(_) => None,
    });
    thresholds.chain(records)
}

/// The rules that make the series a selector asks for; nothing where no rule has that name. `error` tells why a rule failed,
/// by its number.
pub(super) fn made_by<'m>(
    metrics: &'m Metrics,
    selector: &Selector,
    error: impl Fn(usize) -> Option<&'m str>,
) -> Option<Vec<Made<'m>>> {
    let name = selector.metric_name()?;
    let is_state = name == ALERTS || name == ALERTS_FOR_STATE;
    let mut named = is_state && metrics.rules.iter().any(|step| matches!(step, RuleStep::Alert(_)));
    let mut made = Vec::new();
    for (index, step) in metrics.rules.iter().enumerate() {
        let (name, expr) = match step {
            RuleStep::Record(record) if record.name == name => (&record.name, &record.expr),
            RuleStep::Alert(threshold) if is_state => match &metrics.thresholds[*threshold].rule {
                Rule::Silent(alert) if may_give(alert, selector) => (&alert.name, &alert.expr),
                Rule::Silent(_) | Rule::Holds(_) => continue,
            },
            RuleStep::Record(_) | RuleStep::Alert(_) => continue,
        };
        named = true;
        made.push(Made { name, expr, error: error(index), is_state });
    }
    named.then_some(made)
}

/// Whether the states of an alert may be what a selector asks for, by all that is known before there are any.
fn may_give(alert: &Alert, selector: &Selector) -> bool {
    let holds = |matcher: &Matcher| {
        let holds = |value: &str| matcher.test.holds(value);
        match &*matcher.label {
            METRIC_NAME => true,
            ALERT_NAME => holds(&alert.name),
            ALERT_STATE => holds(PENDING) || holds(FIRING),
            label => match alert.labels.iter().find(|(name, _)| name == label) {
                Some((_, value)) if !template::is_template(value) => holds(value),
                // Its elements may have any.
                Some(_) | None => true,
            },
        }
    };
    selector.matchers.iter().all(holds)
}
