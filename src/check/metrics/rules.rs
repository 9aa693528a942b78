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

/// Whether a rule may make the series that a selector asks for.
pub(crate) fn is_made_by_a_rule(metrics: &Metrics, selector: &Selector) -> bool {
    let Some(name) = selector.metric_name() else { return !metrics.rules.is_empty() };
    metrics.rules.iter().any(|rule| match rule {
        RuleStep::Record(record) => record.name == name,
        RuleStep::Alert(_) => name == ALERTS || name == ALERTS_FOR_STATE,
    })
}

/// The rules by what they make: a rules file may have tens of thousands.
pub(super) struct Makers<'m> {
    metrics: &'m Metrics,
    /// Numbers of recording rules by their names.
    records: HashMap<&'m str, Vec<usize>>,
    /// Numbers of alerts.
    alerts: Vec<usize>,
}

impl<'m> Makers<'m> {
    pub(super) fn new(metrics: &'m Metrics) -> Self {
        let mut records: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut alerts = Vec::new();
        for (index, step) in metrics.rules.iter().enumerate() {
            match step {
                RuleStep::Record(record) => records.entry(&record.name).or_default().push(index),
                RuleStep::Alert(_) => alerts.push(index),
            }
        }
        Self { metrics, records, alerts }
    }

    /// For each rule, whether it is evaluated: alerts, and records that a threshold, an alert or another such record reads.
    pub(super) fn needed(&self) -> Vec<bool> {
        let mut needed: Vec<bool> = self.metrics.rules.iter().map(|step| matches!(step, RuleStep::Alert(_))).collect();
        let mut unread: Vec<&Selector> =
            self.metrics.thresholds.iter().flat_map(|threshold| threshold.rule.expr().selectors()).collect();
        while let Some(selector) = unread.pop() {
            for index in self.wanted(selector) {
                if let RuleStep::Record(record) = &self.metrics.rules[index]
                    && !std::mem::replace(&mut needed[index], true)
                {
                    unread.extend(record.expr.selectors());
                }
            }
        }
        needed
    }

    /// The order of a single evaluation: each rule after those that make what it reads. A server evaluates its rules again and
    /// again, so that one that stands in front of what it reads sees it a turn later; here there is no later.
    pub(super) fn order(&self) -> Vec<usize> {
        // The rules that are open, each with those that it still has to wait for.
        let mut open: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut is_known = vec![false; self.metrics.rules.len()];
        let mut order = Vec::with_capacity(is_known.len());
        for index in 0..is_known.len() {
            if !std::mem::replace(&mut is_known[index], true) {
                open.push((index, self.makers_of(index)));
            }
            while let Some((rule, makers)) = open.last_mut() {
                match makers.pop() {
                    Some(maker) if !std::mem::replace(&mut is_known[maker], true) => {
                        open.push((maker, self.makers_of(maker)));
                    }
                    Some(_) => {}
                    None => {
                        order.push(*rule);
                        open.pop();
                    }
                }
            }
        }
        order
    }

    /// The rules that make what a rule reads, the first last.
    fn makers_of(&self, rule: usize) -> Vec<usize> {
        let expr = match &self.metrics.rules[rule] {
            RuleStep::Record(record) => &record.expr,
            RuleStep::Alert(threshold) => self.metrics.thresholds[*threshold].rule.expr(),
        };
        let states = |selector: &Selector| [ALERTS, ALERTS_FOR_STATE].iter().any(|name| selector.wants(name));
        let made = |selector: &&Selector| {
            let alerts = self.alerts.iter().filter(|_| states(selector)).copied();
            self.wanted(selector).into_iter().chain(alerts).collect::<Vec<usize>>()
        };
        let mut makers: Vec<usize> = expr.selectors().iter().flat_map(made).filter(|maker| *maker != rule).collect();
        makers.sort_unstable_by(|a, b| b.cmp(a));
        makers.dedup();
        makers
    }

    /// The recording rules whose name a selector wants.
    fn wanted(&self, selector: &Selector) -> Vec<usize> {
        match selector.metric_name() {
            Some(name) => self.records.get(name).cloned().unwrap_or_default(),
            None => {
                self.records.iter().filter(|(name, _)| selector.wants(name)).flat_map(|(_, of)| of).copied().collect()
            }
        }
    }

    /// For each rule, whether it is a recording rule with the name of another one.
    pub(super) fn shared_names(&self) -> Vec<bool> {
        let mut shared = vec![false; self.metrics.rules.len()];
        for of in self.records.values().filter(|of| of.len() > 1) {
            for index in of {
                shared[*index] = true;
            }
        }
        shared
    }

    /// The rules that make the series a selector asks for; nothing where no rule has that name. `error` tells why a rule
    /// failed, by its number.
    pub(super) fn of(&self, selector: &Selector, error: impl Fn(usize) -> Option<&'m str>) -> Option<Vec<Made<'m>>> {
        let name = selector.metric_name()?;
        let is_state = name == ALERTS || name == ALERTS_FOR_STATE;
        let records = self.records.get(name).map_or(&[][..], Vec::as_slice);
        let alerts = if is_state { &self.alerts[..] } else { &[] };
        if records.is_empty() && alerts.is_empty() {
            return None;
        }
        let made = |index: &usize| {
            let (name, expr) = match &self.metrics.rules[*index] {
                RuleStep::Record(record) => (&record.name, &record.expr),
                RuleStep::Alert(threshold) => match &self.metrics.thresholds[*threshold].rule {
                    Rule::Silent(alert) if may_give(alert, selector) => (&alert.name, &alert.expr),
                    Rule::Silent(_) | Rule::Holds(_) => return None,
                },
            };
            Some(Made { name, expr, error: error(*index), is_state })
        };
        Some(records.iter().chain(alerts).filter_map(made).collect())
    }
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
