//! Aggregations.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::{Element, Evaluator, over_time};
use crate::labels::{Labels, METRIC_NAME};
use crate::number::format_plain;
use crate::promql::Error;
use crate::promql::ast::{Aggregate, AggregateOp, Expr, Reduction};
use crate::promql::kahan::{Sum, mean, variance};

impl Evaluator<'_> {
    pub(super) fn aggregate(&self, aggregate: &Aggregate, time: i64) -> Result<Vec<Element>, Error> {
        let elements = || self.vector(&aggregate.expr, time);
        match &aggregate.op {
            AggregateOp::Reduce(reduction) => Ok(reduced(aggregate, elements()?, |values| reduce(*reduction, values))),
            AggregateOp::Quantile(phi) => {
                let phi = self.scalar(phi, time)?;
                Ok(reduced(aggregate, elements()?, |values| over_time::quantile(phi, values)))
            }
            AggregateOp::TopK(count) => {
                let count = self.count(count, time)?;
                Ok(extremes(aggregate, elements()?, count, |a, b| b.partial_cmp(&a)))
            }
            AggregateOp::BottomK(count) => {
                let count = self.count(count, time)?;
                Ok(extremes(aggregate, elements()?, count, |a, b| a.partial_cmp(&b)))
            }
            AggregateOp::CountValues(label) => Ok(count_values(aggregate, label, elements()?)),
        }
    }

    /// The number of elements that `topk` and `bottomk` keep.
    fn count(&self, expr: &Expr, time: i64) -> Result<usize, Error> {
        let count = self.scalar(expr, time)?;
        if count.is_nan() {
            return Err(Error::new("the parameter is NaN", expr.span.clone()));
        }
        // 2^63, the first float over Prometheus's 64-bit integers.
        if count.abs() >= 9_223_372_036_854_775_808.0 {
            let message = format!("the parameter {} overflows an integer", format_plain(count));
            return Err(Error::new(message, expr.span.clone()));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked; below zero is zero")]
        Ok(count as usize)
    }
}

/// One value for the values of each group.
fn reduced(aggregate: &Aggregate, elements: Vec<Element>, reduce: impl Fn(Vec<f64>) -> f64) -> Vec<Element> {
    let one = |(labels, members): (Labels, Vec<Element>)| {
        let values = members.iter().map(|member| member.value).collect();
        Element { labels, value: reduce(values) }
    };
    grouped(aggregate, elements).into_iter().map(one).collect()
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

fn reduce(reduction: Reduction, values: Vec<f64>) -> f64 {
    let least = |a: f64, b: f64| if b < a || a.is_nan() { b } else { a };
    let most = |a: f64, b: f64| if b > a || a.is_nan() { b } else { a };
    match reduction {
        Reduction::Sum => Sum::from_iter(values).value(),
        Reduction::Avg => mean(values),
        Reduction::Min => values.into_iter().reduce(least).unwrap_or(f64::NAN),
        Reduction::Max => values.into_iter().reduce(most).unwrap_or(f64::NAN),
        #[expect(clippy::cast_precision_loss, reason = "counts of series are far below 2^53")]
        Reduction::Count => values.len() as f64,
        Reduction::Group => 1.0,
        Reduction::Stddev => variance(values).sqrt(),
        Reduction::Stdvar => variance(values),
    }
}

/// The first `count` elements of each group in an order of values; NaN comes last.
fn extremes(
    aggregate: &Aggregate,
    elements: Vec<Element>,
    count: usize,
    order: impl Fn(f64, f64) -> Option<Ordering>,
) -> Vec<Element> {
    let with_nan_last = |a: f64, b: f64| order(a, b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
    let first = |(_, mut members): (Labels, Vec<Element>)| {
        members.sort_by(|a, b| with_nan_last(a.value, b.value));
        members.truncate(count);
        members
    };
    grouped(aggregate, elements).into_iter().flat_map(first).collect()
}

/// How many elements have each value; the value goes into a label.
fn count_values(aggregate: &Aggregate, label: &str, elements: Vec<Element>) -> Vec<Element> {
    let mut counts: Vec<Element> = Vec::new();
    let mut known: HashMap<Labels, usize> = HashMap::new();
    for element in elements {
        // The label is set before the grouping, so that a `without` that names it drops it.
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
    counts
}
