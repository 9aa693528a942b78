//! What an expression asks for and an evaluation cannot see: samples out of its time, selectors that nothing satisfies,
//! counters that are none. Whatever stands around them, an answer from them is no evidence.

use std::time::Duration;

use promeval::promql::ast::{BinaryOp, Expr, ExprKind, Selector, SetOp};
use promeval::promql::{Evaluator, Unseen};
use promeval::series::Storage;

use super::{Inventory, Shown};
use crate::text;

/// Which samples that an expression reads are out of the evaluation's time; nothing where none is.
pub(super) fn out_of_time(expr: &Expr, storage: &Storage, time: i64) -> Option<String> {
    let unseen = Evaluator::new(storage, time).unseen(expr).unwrap_or_default();
    unseen.last().map(|farthest| shown(farthest, unseen.len()))
}

/// Which counter that an expression reads has a value that no counter can have.
pub(super) fn bad_counter(expr: &Expr, inventory: &Inventory) -> Option<String> {
    let mut names = expr.selectors().into_iter().filter_map(Selector::metric_name);
    names.find_map(|name| {
        let value = inventory.bad_counter(name)?;
        Some(format!("the counter {name} is {value}, which no counter can be"))
    })
}

fn shown(unseen: &Unseen<'_>, count: usize) -> String {
    let (labels, age) = (unseen.series.labels.to_labels(), unseen.age());
    let series = Shown::of(std::iter::once(&labels)).prefix(&labels);
    let series = series.trim_end();
    let distance = text::duration(Duration::from_millis(age.unsigned_abs()));
    let more = if count > 1 { format!(" (and {} more series)", count - 1) } else { String::new() };
    let back = text::duration(Duration::from_millis((unseen.until - unseen.after).unsigned_abs()));
    if age > 0 {
        format!("the newest sample of {series} is {distance} old by its timestamp, and {back} are looked back{more}")
    } else {
        format!("the samples of {series} are {distance} ahead by their timestamps{more}")
    }
}

/// Why it says nothing that an alert has no element: a selector that it needs was never satisfied, or what it reads cannot
/// be seen. `recorded` tells the names of recording rules: what they give may come and go.
pub(crate) fn blind_spot(
    expr: &Expr,
    storage: &Storage,
    inventory: &Inventory,
    time: i64,
    recorded: &dyn Fn(&str) -> bool,
) -> Option<String> {
    let check = |selector: &Selector| {
        if storage.series().any(|series| selector.matches(&series.labels)) {
            return None;
        }
        match selector.metric_name() {
            Some(name) if recorded(name) => None,
            // Declared, and nothing has happened yet: that is known.
            Some(name) if inventory.declares(name) && !inventory.has_samples(name) => None,
            _ => Some(inventory.absence(selector, storage).unwrap_or_else(|| "no series was ever selected".into())),
        }
    };
    unsatisfied(expr, &check).or_else(|| out_of_time(expr, storage, time)).or_else(|| bad_counter(expr, inventory))
}

/// Why a selector without which the expression cannot tell anything was never satisfied, by a check of each.
fn unsatisfied(expr: &Expr, check: &dyn Fn(&Selector) -> Option<String>) -> Option<String> {
    match &expr.kind {
        ExprKind::Selector(selector) | ExprKind::Matrix(selector, _) => check(selector),
        ExprKind::Binary(binary) => {
            let left = || unsatisfied(&binary.lhs, check);
            let right = || unsatisfied(&binary.rhs, check);
            match binary.op {
                // What is taken away need not be there.
                BinaryOp::Set(SetOp::Unless) => left(),
                // Of two names for one thing, one is enough; of two conditions, each must be seen.
                BinaryOp::Set(SetOp::Or) if !(compares(&binary.lhs) && compares(&binary.rhs)) => {
                    left().and_then(|why| right().map(|_| why))
                }
                _ => left().or_else(right),
            }
        }
        // What is asked to be absent need not be there.
        ExprKind::Call(call) if call.name().starts_with("absent") => None,
        _ => expr.children().into_iter().find_map(|child| unsatisfied(child, check)),
    }
}

fn compares(expr: &Expr) -> bool {
    let own = matches!(&expr.kind, ExprKind::Binary(binary) if matches!(binary.op, BinaryOp::Compare(..)));
    own || expr.children().into_iter().any(compares)
}
