//! What an expression reads of scrapes: selectors and numbers, through recording rules; and whether it asks for series alone.

use promeval::promql::ast::{AggregateOp, BinaryOp, Expr, ExprKind, Reduction, Selector, SetOp};

use crate::plan::{Metrics, RuleStep};

/// The recording rules that are followed from one to the next.
const DEEPEST: usize = 8;

/// What makes the series that a selector asks for by their name, where recording rules do.
fn makers<'m>(metrics: &'m Metrics, selector: &Selector) -> Vec<&'m Expr> {
    let steps = metrics.rules.iter().filter_map(|step| match step {
        RuleStep::Record(record) if selector.wants(&record.name) && selector.metric_name().is_some() => {
            Some(&record.expr)
        }
        RuleStep::Record(_) | RuleStep::Alert(_) => None,
    });
    steps.collect()
}

/// What an expression reads of scrapes, each selector once, and its numbers: in place of what a recording rule makes stands what
/// that reads.
pub(super) fn read(metrics: &Metrics, expr: &Expr) -> (Vec<Selector>, Vec<f64>) {
    let (mut found, mut numbers): (Vec<Selector>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut level = vec![expr];
    for _ in 0..DEEPEST {
        for number in level.iter().flat_map(|expr| expr.constants()) {
            if !number.is_nan() && !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        let mut next = Vec::new();
        for selector in level.iter().flat_map(|expr| expr.selectors()) {
            let makers = makers(metrics, selector);
            if makers.is_empty() && !found.iter().any(|known| known.matchers == selector.matchers) {
                found.push(selector.clone());
            }
            next.extend(makers);
        }
        level = next;
    }
    (found, numbers)
}

/// Whether an expression asks for series alone, and not for what they say. `is_there` says so of what stands around it.
pub(super) fn counts(metrics: &Metrics, expr: &Expr, is_there: bool) -> bool {
    counts_to(metrics, expr, is_there, DEEPEST)
}

fn counts_to(metrics: &Metrics, expr: &Expr, is_there: bool, deepest: usize) -> bool {
    let all = |is_there| expr.children().into_iter().all(|inner| counts_to(metrics, inner, is_there, deepest));
    match &expr.kind {
        ExprKind::Selector(selector) | ExprKind::Matrix(selector, _) => {
            let makers = makers(metrics, selector);
            is_there
                || deepest > 0
                    && !makers.is_empty()
                    && makers.into_iter().all(|maker| counts_to(metrics, maker, false, deepest - 1))
        }
        ExprKind::Aggregate(aggregate) => match aggregate.op {
            AggregateOp::Reduce(Reduction::Count | Reduction::Group) | AggregateOp::CountValues(_) => true,
            _ => all(is_there),
        },
        ExprKind::Call(call) => match call.name() {
            "absent" | "absent_over_time" | "present_over_time" | "count_over_time" | "timestamp" => true,
            _ => all(is_there),
        },
        ExprKind::Binary(binary) => match binary.op {
            BinaryOp::Arithmetic(_) | BinaryOp::Set(SetOp::Or) => all(is_there),
            BinaryOp::Compare(_) => all(is_there && binary.returns_bool),
            BinaryOp::Set(SetOp::And | SetOp::Unless) => {
                counts_to(metrics, &binary.lhs, is_there, deepest) && counts_to(metrics, &binary.rhs, true, deepest)
            }
        },
        _ => all(is_there),
    }
}
