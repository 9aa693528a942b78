//! The plan as it is drilled: what does not reach the service is left out, and the waits are shorter. All that differs from the
//! plan as it is written is said.

use std::sync::Arc;
use std::time::Duration;

use promeval::promql::ast::{Duration as Range, Expr, ExprKind};

use crate::outcome::Outcome;
use crate::plan::{Compare, Kind, Metrics, MetricsSource, Plan, RuleStep, Window};
use crate::text;

/// The least time of a request: a slow moment of this machine is no fault.
const REQUEST: Duration = Duration::from_secs(1);

/// How often it is tried again: a fault that is played does not pass by itself.
const RETRIES: u32 = 2;

/// The longest wait between two tries.
const WAIT: Duration = Duration::from_millis(50);

/// A plan that asks the service and nobody else, by GET and HEAD alone.
pub(super) fn asking_only(mut plan: Plan) -> (Plan, Vec<String>) {
    let mut notes = Vec::new();
    let is_harmless = |method: &str| matches!(method, "GET" | "HEAD");
    let beside = |check: &str| format!("{check}: the service without a fault stands for the stable revision");
    for check in plan.checks.iter_mut().filter(|check| check.policy.enabled) {
        match &mut check.kind {
            Kind::Ready(_) => {}
            Kind::Http(http) if is_harmless(&http.request.method) => {}
            Kind::Http(http) => {
                check.policy.enabled = false;
                let method = &http.request.method;
                notes.push(format!(
                    "the check {} is left out: it sends {method}, and a drill sends GET and HEAD only",
                    check.name
                ));
            }
            Kind::Metrics(metrics) => {
                if let MetricsSource::Prometheus(address, _) = &metrics.source {
                    check.policy.enabled = false;
                    let address = address.shown();
                    notes.push(format!(
                        "the check {} is left out: it asks {address}, which no fault reaches",
                        check.name
                    ));
                } else if metrics.baseline.is_some() {
                    notes.push(beside(&check.name));
                }
            }
            Kind::Smoke(smoke) => {
                let before = smoke.requests.len();
                smoke.requests.retain(|(request, _)| is_harmless(&request.method));
                note_left_out(&mut notes, &check.name, before - smoke.requests.len());
            }
            Kind::Traffic(traffic) => {
                let before = traffic.requests.len();
                traffic.requests.retain(|asked| is_harmless(&asked.request.method));
                note_left_out(&mut notes, &check.name, before - traffic.requests.len());
                check.policy.enabled = !traffic.requests.is_empty();
                if check.policy.enabled && !matches!(traffic.compare, Compare::Off) {
                    notes.push(beside(&check.name));
                }
            }
        }
    }
    (plan, notes)
}

fn note_left_out(notes: &mut Vec<String>, check: &str, count: usize) {
    if count > 0 {
        let requests = text::counted(count, "request");
        notes.push(format!("{requests} of the check {check} left out: a drill sends GET and HEAD only"));
    }
}

/// Windows no longer than their expressions look back.
pub(super) fn shorter_windows(mut plan: Plan) -> (Plan, Vec<String>) {
    let mut notes = Vec::new();
    for check in &mut plan.checks {
        let Kind::Metrics(metrics) = &mut check.kind else { continue };
        let Some(window) = metrics.window else { continue };
        let Some(length) = enough(metrics, window).filter(|length| *length < window.length) else { continue };
        notes.push(format!(
            "{}: a window of {} instead of {}, as far as its expressions look back",
            check.name,
            text::duration(length),
            text::duration(window.length)
        ));
        check.policy.limit = check.policy.limit.saturating_sub(window.length.saturating_sub(length));
        *metrics = Arc::new(Metrics { window: Some(Window { length, ..window }), ..(**metrics).clone() });
    }
    (plan, notes)
}

/// How long a window has to be for what is read in it; nothing where that cannot be told.
fn enough(metrics: &Metrics, window: Window) -> Option<Duration> {
    let thresholds = metrics.thresholds.iter().map(|threshold| threshold.rule.expr());
    let records = metrics.rules.iter().filter_map(|step| match step {
        RuleStep::Record(record) => Some(&record.expr),
        RuleStep::Alert(_) => None,
    });
    let mut longest = 0;
    for expr in thresholds.chain(records) {
        longest = longest.max(looks_back(expr)?);
    }
    let longest = Duration::from_millis(u64::try_from(longest).ok()?);
    let intervals = longest.as_millis().div_ceil(window.interval.as_millis().max(1));
    // One interval more, and two at least: counters have to be seen to move.
    Some(window.interval * u32::try_from(intervals + 1).ok()?.max(2))
}

/// How far an expression looks back, in milliseconds; nothing where that follows from the query.
fn looks_back(expr: &Expr) -> Option<i64> {
    let fixed = |range: &Range| match range {
        Range::Fixed(milliseconds) => Some(*milliseconds),
        Range::OfQuery(_) => None,
    };
    let shift = |offset: &Option<Range>| offset.as_ref().map_or(Some(0), fixed);
    let own = match &expr.kind {
        ExprKind::Selector(selector) => shift(&selector.shift.offset)?,
        ExprKind::Matrix(selector, range) => fixed(range)? + shift(&selector.shift.offset)?,
        ExprKind::Subquery(subquery) => fixed(&subquery.range)? + shift(&subquery.shift.offset)?,
        _ => 0,
    };
    let mut deepest = 0;
    for child in expr.children() {
        deepest = deepest.max(looks_back(child)?);
    }
    Some(own + deepest)
}

/// Waits that fit the service, as the healthy run showed it: whoever does not answer in four times the slowest answer's time
/// does not answer.
pub(super) fn shorter_waits(mut plan: Plan, slowest: Duration, healthy: &[Outcome]) -> (Plan, String) {
    let request = (slowest * 4).max(REQUEST);
    for (check, outcome) in plan.checks.iter_mut().zip(healthy) {
        if matches!(check.kind, Kind::Traffic(_)) {
            // What it proves depends on its time.
            continue;
        }
        let policy = &mut check.policy;
        policy.request.time = policy.request.time.min(request);
        policy.retry.retries = Some(policy.retry.retries.unwrap_or(RETRIES).min(RETRIES));
        policy.retry.initial = policy.retry.initial.min(WAIT);
        policy.retry.max = policy.retry.max.min(WAIT);
        let window = match &check.kind {
            Kind::Metrics(metrics) => metrics.window.map(|window| window.length).unwrap_or_default(),
            _ => Duration::ZERO,
        };
        let enough = window + outcome.duration.saturating_sub(window) * 2 + policy.request.time * (RETRIES + 2);
        policy.limit = policy.limit.min(enough);
    }
    let note = format!(
        "a request has {} at most, and {RETRIES} retries, {} apart: without a fault the slowest answer took {}",
        text::duration(request),
        text::duration(WAIT),
        text::duration(slowest)
    );
    (plan, note)
}

#[cfg(test)]
mod tests {
    use promeval::promql::parse;

    use super::*;

    #[test]
    fn an_expression_looks_back_as_far_as_its_ranges() {
        for (expr, wanted) in [
            ("a", Some(0)),
            ("rate(a[20s]) + sum(b offset 1m)", Some(60_000)),
            ("max_over_time(rate(a[30s])[2m:10s])", Some(150_000)),
            ("rate(a[20s] offset 5s)", Some(25_000)),
        ] {
            assert_eq!(looks_back(&parse(expr).unwrap()), wanted, "{expr}");
        }
    }
}
