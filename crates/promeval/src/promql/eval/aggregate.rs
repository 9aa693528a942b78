//! Aggregations.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::{Element, Evaluator, over_time};
use crate::labels::{Labels, METRIC_NAME};
use crate::number::format_plain;
use crate::promql::Error;
use crate::promql::ast::{Aggregate, AggregateOp, Expr, ExprKind};
use crate::promql::kahan::{Sum, mean, variance};

impl Evaluator<'_> {
    pub(super) fn aggregate(&self, aggregate: &Aggregate, time: i64) -> Result<Vec<Element>, Error> {
        let param = match &aggregate.param {
            Some(expr) if aggregate.op != AggregateOp::CountValues => self.scalar(expr, time)?,
            _ => f64::NAN,
        };
        let elements = self.vector(&aggregate.expr, time)?;
        match (aggregate.op, &aggregate.param) {
            (AggregateOp::TopK | AggregateOp::BottomK, Some(expr)) => {
                let count = count_param(param, expr)?;
                let highest = aggregate.op == AggregateOp::TopK;
                let groups = grouped(aggregate, elements);
                Ok(groups.into_iter().flat_map(|(_, members)| extremes(members, count, highest)).collect())
            }
            (AggregateOp::CountValues, Some(expr)) => count_values(aggregate, expr, elements),
            _ => {
                let reduced = |(labels, members): (Labels, Vec<Element>)| {
                    let values: Vec<f64> = members.iter().map(|member| member.value).collect();
                    Element { labels, value: reduce(aggregate.op, param, values) }
                };
                Ok(grouped(aggregate, elements).into_iter().map(reduced).collect())
            }
        }
    }
}

/// The elements by the labels that the aggregation keeps, in the order in which the groups appear.
fn grouped(aggregate: &Aggregate, elements: Vec<Element>) -> Vec<(Labels, Vec<Element>)> {
    let mut groups: Vec<(Labels, Vec<Element>)> = Vec::new();
    let mut known: HashMap<Labels, usize> = HashMap::new();
    for element in elements {
        let labels = group_labels(aggregate, &element.labels);
        let index = *known.entry(labels).or_insert_with_key(|labels| {
            groups.push((labels.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[index].1.push(element);
    }
    groups
}

fn group_labels(aggregate: &Aggregate, labels: &Labels) -> Labels {
    let mut labels = labels.clone();
    if aggregate.without {
        labels.remove(&aggregate.labels);
        labels.set(METRIC_NAME, "");
    } else {
        labels.keep(&aggregate.labels);
    }
    labels
}

fn reduce(op: AggregateOp, param: f64, values: Vec<f64>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of series are far below 2^53")]
    let count = values.len() as f64;
    match op {
        AggregateOp::Sum => Sum::from_iter(values).value(),
        AggregateOp::Avg => mean(values),
        AggregateOp::Min => {
            values.into_iter().reduce(|a, b| if b < a || a.is_nan() { b } else { a }).unwrap_or(f64::NAN)
        }
        AggregateOp::Max => {
            values.into_iter().reduce(|a, b| if b > a || a.is_nan() { b } else { a }).unwrap_or(f64::NAN)
        }
        AggregateOp::Count => count,
        AggregateOp::Stddev => variance(values).sqrt(),
        AggregateOp::Stdvar => variance(values),
        AggregateOp::Quantile => over_time::quantile(param, values),
        AggregateOp::Group | AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::CountValues => 1.0,
    }
}

/// The number of elements that `topk` and `bottomk` keep.
fn count_param(param: f64, expr: &Expr) -> Result<usize, Error> {
    if param.is_nan() {
        return Err(Error::new("the parameter is NaN", expr.span.clone()));
    }
    // 2^63, the first float over Prometheus's 64-bit integers.
    if param.abs() >= 9_223_372_036_854_775_808.0 {
        return Err(Error::new(
            format!("the parameter {} overflows an integer", format_plain(param)),
            expr.span.clone(),
        ));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked; below zero is zero")]
    Ok(param as usize)
}

/// The highest or lowest so many elements, NaN only where nothing else is left.
fn extremes(mut elements: Vec<Element>, count: usize, highest: bool) -> Vec<Element> {
    let order = |a: f64, b: f64| if highest { b.partial_cmp(&a) } else { a.partial_cmp(&b) };
    let with_nan_last = |a: f64, b: f64| -> Ordering { order(a, b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())) };
    elements.sort_by(|a, b| with_nan_last(a.value, b.value));
    elements.truncate(count);
    elements
}

/// How many elements have each value; the value goes into a label.
fn count_values(aggregate: &Aggregate, param: &Expr, elements: Vec<Element>) -> Result<Vec<Element>, Error> {
    let label = match &param.unwrapped().kind {
        ExprKind::String(label) if !label.is_empty() => label,
        _ => return Err(Error::new("invalid label name \"\"", param.span.clone())),
    };
    let mut counts: Vec<Element> = Vec::new();
    let mut known: HashMap<Labels, usize> = HashMap::new();
    for element in elements {
        // The value's label is there before the grouping, so that `without` drops it where it names it.
        let mut labels = element.labels;
        labels.set(label, &format_plain(element.value));
        labels = group_labels(aggregate, &labels);
        if !aggregate.without {
            labels.set(label, &format_plain(element.value));
        }
        let index = *known.entry(labels).or_insert_with_key(|labels| {
            counts.push(Element { labels: labels.clone(), value: 0.0 });
            counts.len() - 1
        });
        counts[index].value += 1.0;
    }
    Ok(counts)
}
