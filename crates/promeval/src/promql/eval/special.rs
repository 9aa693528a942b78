//! The functions that are unlike the others: they see labels, times, or more than one argument.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::Range;

use super::label_set::LabelSet;
use super::{Evaluation, Found, Item, RangeItem, maths, over_time, seconds};
use crate::Pattern;
use crate::labels::{Labels, METRIC_NAME};
use crate::promql::Error;
use crate::promql::ast::{Expr, ExprKind, Selector, Test};
use crate::promql::functions::Special;

impl<'s> Evaluation<'s> {
    pub(super) fn special(
        &mut self,
        special: Special,
        args: &[Expr],
        time: i64,
        span: &Range<usize>,
    ) -> Result<Found<'s>, Error> {
        Ok(Found::Vector(match special {
            Special::Pi => return Ok(Found::Scalar(std::f64::consts::PI)),
            Special::Time => return Ok(Found::Scalar(seconds(time))),
            Special::Scalar => {
                let items = self.vector(&args[0], time)?;
                return Ok(Found::Scalar(if let [only] = items.as_slice() { only.value } else { f64::NAN }));
            }
            Special::Vector => vec![Item { labels: LabelSet::default(), value: self.scalar(&args[0], time)? }],
            Special::Absent => {
                let missing = self.vector(&args[0], time)?.is_empty();
                self.absent(missing, &args[0])
            }
            Special::AbsentOverTime => {
                let missing = self.range(&args[0], time)?.series.is_empty();
                self.absent(missing, &args[0])
            }
            Special::Clamp => {
                let (low, high) = (self.scalar(&args[1], time)?, self.scalar(&args[2], time)?);
                // Evaluated in any case: an error in it must not be hidden.
                let items = self.vector(&args[0], time)?;
                let items = if low > high { Vec::new() } else { items };
                self.map(items, |value| maths::max(low, maths::min(high, value)), span)?
            }
            Special::ClampMax => {
                let (high, items) = (self.scalar(&args[1], time)?, self.vector(&args[0], time)?);
                self.map(items, |value| maths::min(high, value), span)?
            }
            Special::ClampMin => {
                let (low, items) = (self.scalar(&args[1], time)?, self.vector(&args[0], time)?);
                self.map(items, |value| maths::max(low, value), span)?
            }
            Special::Round => {
                let nearest = if args.len() > 1 { self.scalar(&args[1], time)? } else { 1.0 };
                // Dividing by the inverse keeps 0.1 and its like exact where multiplying would not.
                let inverse = 1.0 / nearest;
                let items = self.vector(&args[0], time)?;
                self.map(items, |value| (value * inverse + 0.5).floor() / inverse, span)?
            }
            Special::HistogramQuantile => {
                let (phi, items) = (self.scalar(&args[0], time)?, self.vector(&args[1], time)?);
                let quantiles = self.quantiles(phi, items);
                self.distinct(quantiles, span)?
            }
            Special::HistogramFraction => {
                let (lower, upper) = (self.scalar(&args[0], time)?, self.scalar(&args[1], time)?);
                let items = self.vector(&args[2], time)?;
                let fractions = self.fractions(lower, upper, items);
                self.distinct(fractions, span)?
            }
            Special::LabelReplace => {
                let (target, template) = (label_name(&args[1])?, string(&args[2])?);
                let (source, pattern) = (string(&args[3])?, string(&args[4])?);
                let pattern = Pattern::new(pattern).map_err(|message| Error::new(message, args[4].span.clone()))?;
                let items = self.vector(&args[0], time)?;
                let replaced = self.replace(items, target, template, source, &pattern);
                self.distinct(replaced, span)?
            }
            Special::LabelJoin => {
                let (target, separator) = (label_name(&args[1])?, string(&args[2])?);
                let sources: Vec<&str> = args[3..].iter().map(label_name).collect::<Result<_, _>>()?;
                let items = self.vector(&args[0], time)?;
                let joined = self.join(items, target, separator, &sources);
                self.distinct(joined, span)?
            }
            Special::FirstOverTime => {
                self.each_named_series(&args[0], time, |series| Some(series.points.first()?.value))?
            }
            Special::LastOverTime => {
                self.each_named_series(&args[0], time, |series| Some(series.points.last()?.value))?
            }
            Special::PredictLinear => {
                let ahead = self.scalar(&args[1], time)?;
                self.each_series(&args[0], time, span, |series| over_time::predict_linear(&series.points, time, ahead))?
            }
            Special::QuantileOverTime => {
                let phi = self.scalar(&args[0], time)?;
                let values = |series: &RangeItem| series.points.iter().map(|point| point.value).collect();
                self.each_series(&args[1], time, span, |series| Some(over_time::quantile(phi, values(series))))?
            }
            Special::Sort => {
                let items = self.vector(&args[0], time)?;
                self.sorted(items, |a, b| a.partial_cmp(&b))
            }
            Special::SortDesc => {
                let items = self.vector(&args[0], time)?;
                self.sorted(items, |a, b| b.partial_cmp(&a))
            }
            Special::Timestamp => self.timestamps(&args[0], time, span)?,
        }))
    }

    /// A value for each series, which keeps its name.
    fn each_named_series(
        &mut self,
        range: &Expr,
        time: i64,
        value: impl Fn(&RangeItem) -> Option<f64>,
    ) -> Result<Vec<Item<'s>>, Error> {
        let items = self.range(range, time)?.series.into_iter().filter_map(|series| {
            let value = value(&series)?;
            Some(Item { labels: series.labels, value })
        });
        Ok(items.collect())
    }

    fn each_series(
        &mut self,
        range: &Expr,
        time: i64,
        span: &Range<usize>,
        value: impl Fn(&RangeItem) -> Option<f64>,
    ) -> Result<Vec<Item<'s>>, Error> {
        let items = self.each_named_series(range, time, value)?;
        self.nameless(items, span)
    }

    /// The times of the samples themselves where the argument is a selector; otherwise the evaluation time.
    fn timestamps(&mut self, arg: &Expr, time: i64, span: &Range<usize>) -> Result<Vec<Item<'s>>, Error> {
        if let ExprKind::Selector(selector) = &arg.unwrapped().kind {
            let storage = self.storage;
            let mut items = Vec::new();
            self.for_each_point(selector, time, span, |series, point| {
                items.push(Item { labels: LabelSet::stored(storage.pairs(series)), value: seconds(point.time) });
            })?;
            return self.nameless(items, span);
        }
        let items = self.vector(arg, time)?;
        self.map(items, |_| seconds(time), span)
    }

    /// Sorted by value, NaN last, and equal values by their labels.
    pub(super) fn sorted(
        &self,
        mut items: Vec<Item<'s>>,
        order: impl Fn(f64, f64) -> Option<Ordering>,
    ) -> Vec<Item<'s>> {
        items.sort_by(|a, b| {
            let by_value = order(a.value, b.value).unwrap_or_else(|| a.value.is_nan().cmp(&b.value.is_nan()));
            by_value.then_with(|| self.texts.compare(&a.labels, &b.labels))
        });
        items
    }

    /// One element where there was none, with the labels that the selector asks for by `=`.
    fn absent(&mut self, missing: bool, arg: &Expr) -> Vec<Item<'s>> {
        if !missing {
            return Vec::new();
        }
        let labels = match &arg.unwrapped().kind {
            ExprKind::Selector(selector) | ExprKind::Matrix(selector, _) => asked_for(selector),
            _ => Labels::default(),
        };
        vec![Item { labels: self.texts.label_set(&labels), value: 1.0 }]
    }
}

fn string(arg: &Expr) -> Result<&str, Error> {
    match &arg.unwrapped().kind {
        ExprKind::String(text) => Ok(text),
        _ => Err(Error::new("want a string", arg.span.clone())),
    }
}

fn label_name(arg: &Expr) -> Result<&str, Error> {
    match string(arg)? {
        "" => Err(Error::new("a label name is empty", arg.span.clone())),
        name => Ok(name),
    }
}

fn asked_for(selector: &Selector) -> Labels {
    let mut labels = Labels::default();
    let mut equal = HashSet::new();
    for matcher in selector.matchers.iter().filter(|matcher| matcher.label != METRIC_NAME) {
        match &matcher.test {
            Test::Equal(value) if equal.insert(&matcher.label) => labels.set(&matcher.label, value),
            _ => labels.set(&matcher.label, ""),
        }
    }
    labels
}
