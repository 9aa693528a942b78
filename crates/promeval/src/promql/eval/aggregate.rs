//! Aggregations.

use std::cmp::Ordering;
use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::label_set::LabelSet;
use super::{Evaluation, Item, over_time};
use crate::number::format_plain;
use crate::promql::Error;
use crate::promql::ast::{Aggregate, AggregateOp, Expr, ExprKind, Reduction};
use crate::promql::kahan::{Sum, mean, variance};
use crate::symbols::Symbol;

impl<'s> Evaluation<'s> {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate, time: i64) -> Result<Vec<Item<'s>>, Error> {
        match &aggregate.op {
            AggregateOp::Reduce(reduction) => self.reduced(aggregate, time, |values| reduce(*reduction, values)),
            AggregateOp::Quantile(phi) => {
                let phi = self.scalar(phi, time)?;
                self.reduced(aggregate, time, |values| over_time::quantile(phi, values))
            }
            AggregateOp::TopK(count) => {
                let count = self.count(count, time)?;
                let items = self.vector(&aggregate.expr, time)?;
                Ok(self.extremes(aggregate, items, count, |a, b| b.partial_cmp(&a)))
            }
            AggregateOp::BottomK(count) => {
                let count = self.count(count, time)?;
                let items = self.vector(&aggregate.expr, time)?;
                Ok(self.extremes(aggregate, items, count, |a, b| a.partial_cmp(&b)))
            }
            AggregateOp::CountValues(label) => {
                let items = self.vector(&aggregate.expr, time)?;
                Ok(self.count_values(aggregate, label, items))
            }
        }
    }

    /// The number of elements that `topk` and `bottomk` keep.
    fn count(&mut self, expr: &Expr, time: i64) -> Result<usize, Error> {
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
    /// One value for the values of each group.
    fn reduced(
        &mut self,
        aggregate: &Aggregate,
        time: i64,
        reduce: impl Fn(Vec<f64>) -> f64,
    ) -> Result<Vec<Item<'s>>, Error> {
        let mut groups = Groups::new(self, aggregate);
        if let ExprKind::Selector(selector) = &aggregate.expr.unwrapped().kind {
            // Straight from the storage: the elements need not be made.
            let storage = self.storage;
            self.for_each_point(selector, time, &aggregate.expr.span, |series, point| {
                groups.of(|| LabelSet::stored(storage.pairs(series))).push(point.value);
            })?;
        } else {
            for item in self.vector(&aggregate.expr, time)? {
                groups.of(|| item.labels).push(item.value);
            }
        }
        let one = |(labels, values)| Item { labels, value: reduce(values) };
        Ok(groups.list.into_iter().map(one).collect())
    }

    /// The first `count` elements of each group in an order of values; NaN comes last.
    fn extremes(
        &mut self,
        aggregate: &Aggregate,
        items: Vec<Item<'s>>,
        count: usize,
        order: impl Fn(f64, f64) -> Option<Ordering>,
    ) -> Vec<Item<'s>> {
        let mut groups = Groups::new(self, aggregate);
        for item in items {
            groups.of(|| item.labels.clone()).push(item);
        }
        let first = |(_, members): (LabelSet<'s>, Vec<Item<'s>>)| {
            let mut sorted = self.sorted(members, &order);
            sorted.truncate(count);
            sorted
        };
        groups.list.into_iter().flat_map(first).collect()
    }

    /// How many elements have each value; the value goes into a label.
    fn count_values(&mut self, aggregate: &Aggregate, label: &str, items: Vec<Item<'s>>) -> Vec<Item<'s>> {
        let label = self.texts.symbol(label);
        let grouping = Grouping::new(self, aggregate);
        let mut counts: Vec<Item<'s>> = Vec::new();
        let mut known: HashMap<LabelSet<'s>, usize, RandomState> = HashMap::default();
        for Item { mut labels, value } in items {
            let value = self.texts.symbol(&format_plain(value));
            // The label is set before the grouping, so that a `without` that names it drops it.
            self.texts.set(&mut labels, label, value);
            labels = grouping.of(labels);
            if !aggregate.without {
                self.texts.set(&mut labels, label, value);
            }
            let index = *known.entry(labels).or_insert_with_key(|labels| {
                counts.push(Item { labels: labels.clone(), value: 0.0 });
                counts.len() - 1
            });
            counts[index].value += 1.0;
        }
        counts
    }
}

/// Which labels an aggregation keeps.
struct Grouping {
    without: bool,
    names: Vec<Symbol>,
}

impl Grouping {
    fn new(evaluation: &mut Evaluation, aggregate: &Aggregate) -> Self {
        let mut names = evaluation.texts.symbols(&aggregate.labels);
        if aggregate.without {
            names.push(Symbol::METRIC_NAME);
        }
        Self { without: aggregate.without, names }
    }

    /// Whether all elements are in one group.
    fn is_one_group(&self) -> bool {
        !self.without && self.names.is_empty()
    }

    /// The labels of the group that an element is in.
    fn of<'s>(&self, labels: LabelSet<'s>) -> LabelSet<'s> {
        if self.without { labels.without(&self.names) } else { labels.only(&self.names) }
    }
}

/// What is known of the members of each group, in the order in which the groups appear.
struct Groups<'s, T> {
    grouping: Grouping,
    list: Vec<(LabelSet<'s>, Vec<T>)>,
    known: HashMap<LabelSet<'s>, usize, RandomState>,
    newest: usize,
}

impl<'s, T> Groups<'s, T> {
    fn new(evaluation: &mut Evaluation, aggregate: &Aggregate) -> Self {
        let grouping = Grouping::new(evaluation, aggregate);
        Self { grouping, list: Vec::new(), known: HashMap::default(), newest: 0 }
    }

    /// The group of an element with these labels.
    fn of(&mut self, labels: impl FnOnce() -> LabelSet<'s>) -> &mut Vec<T> {
        let Self { grouping, list, known, newest } = self;
        let labels = if grouping.is_one_group() { LabelSet::default() } else { grouping.of(labels()) };
        // Neighbours are mostly of one group.
        if list.get(*newest).is_none_or(|(group, _)| *group != labels) {
            *newest = *known.entry(labels).or_insert_with_key(|labels| {
                list.push((labels.clone(), Vec::new()));
                list.len() - 1
            });
        }
        &mut list[*newest].1
    }
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
