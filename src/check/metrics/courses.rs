//! How the values that a threshold compares went over a window. Pure.

use std::collections::BTreeMap;

use promeval::promql::ast::{Binary, ExprKind};
use promeval::promql::{Evaluator, compare, holds};
use promeval::series::Storage;

use super::thresholds::{KEPT, pairs};
use crate::judge::limit_on_left;
use crate::outcome::{Course, CoursePoint};
use crate::plan::Rule;

/// The most times that are evaluated; of more, some are left out evenly.
const TIMES: usize = 2_000;

/// The course of each element; nothing where the rule compares nothing.
pub(super) fn of(rule: &Rule, storage: &Storage, times: impl ExactSizeIterator<Item = i64>) -> Vec<Course> {
    let Some((parts, wanted)) = comparison(rule) else { return Vec::new() };
    let step = times.len().div_ceil(TIMES).max(1);
    let mut all: BTreeMap<Vec<(String, String)>, Vec<CoursePoint>> = BTreeMap::new();
    for at in times.step_by(step) {
        let evaluator = Evaluator::new(storage, at);
        let sides = evaluator.value(&parts.lhs).and_then(|lhs| Ok((lhs, evaluator.value(&parts.rhs)?)));
        let Ok(comparison) = sides.and_then(|(lhs, rhs)| compare(parts, lhs, rhs)) else { continue };
        for element in comparison.compared {
            let (value, limit) =
                if limit_on_left(parts) { (element.right, element.left) } else { (element.left, element.right) };
            // What cannot be compared does not fail: there is no data.
            let holds = value.is_nan() || limit.is_nan() || holds(parts.op, element.left, element.right) == wanted;
            all.entry(pairs(&element.labels)).or_default().push(CoursePoint { at, value, limit, holds });
        }
    }
    let mut courses: Vec<Course> = all.into_iter().map(|(labels, points)| Course { labels, points }).collect();
    // What failed is what a person looks for.
    let failed = |course: &Course| course.points.iter().filter(|point| !point.holds).count();
    courses.sort_by_key(|course| std::cmp::Reverse(failed(course)));
    courses.truncate(KEPT);
    courses
}

/// What a rule compares, and what must come of it: a threshold's comparison must hold, an alert's must not.
fn comparison(rule: &Rule) -> Option<(&Binary, bool)> {
    match rule {
        Rule::Holds(comparison) => Some((comparison.parts(), true)),
        Rule::Silent(alert) => match &alert.expr.unwrapped().kind {
            ExprKind::Binary(parts) if parts.op.is_comparison() => Some((parts, false)),
            _ => None,
        },
    }
}
