//! The functions that are unlike the others: they see labels, times, or more than one argument.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::ops::Range;

use super::{Element, Evaluator, Value, distinct, histogram, label_functions, map, maths, over_time, seconds};
use crate::Pattern;
use crate::labels::{Labels, METRIC_NAME};
use crate::promql::Error;
use crate::promql::ast::{Expr, ExprKind, Selector, Test};
use crate::promql::functions::Special;
use crate::series::Series;

impl Evaluator<'_> {
    pub(super) fn special(
        &self,
        special: Special,
        args: &[Expr],
        time: i64,
        span: &Range<usize>,
    ) -> Result<Value, Error> {
        let vector = |index: usize| self.vector(&args[index], time);
        let scalar = |index: usize| self.scalar(&args[index], time);
        Ok(Value::Vector(match special {
            Special::Pi => return Ok(Value::Scalar(std::f64::consts::PI)),
            Special::Time => return Ok(Value::Scalar(seconds(time))),
            Special::Scalar => {
                let elements = vector(0)?;
                return Ok(Value::Scalar(if let [only] = elements.as_slice() { only.value } else { f64::NAN }));
            }
            Special::Vector => vec![Element { labels: Labels::default(), value: scalar(0)? }],
            Special::Absent => absent(vector(0)?.is_empty(), &args[0]),
            Special::AbsentOverTime => absent(self.range(&args[0], time)?.series.is_empty(), &args[0]),
            Special::Clamp => {
                let (low, high) = (scalar(1)?, scalar(2)?);
                // Evaluated in any case: an error in it must not be hidden.
                let elements = vector(0)?;
                let elements = if low > high { Vec::new() } else { elements };
                map(elements, |value| maths::max(low, maths::min(high, value)), span)?
            }
            Special::ClampMax => {
                let high = scalar(1)?;
                map(vector(0)?, |value| maths::min(high, value), span)?
            }
            Special::ClampMin => {
                let low = scalar(1)?;
                map(vector(0)?, |value| maths::max(low, value), span)?
            }
            Special::Round => {
                let nearest = if args.len() > 1 { scalar(1)? } else { 1.0 };
                // Dividing by the inverse keeps 0.1 and its like exact where multiplying would not.
                let inverse = 1.0 / nearest;
                map(vector(0)?, |value| (value * inverse + 0.5).floor() / inverse, span)?
            }
            Special::HistogramQuantile => {
                let phi = scalar(0)?;
                distinct(histogram::quantiles(phi, vector(1)?), span)?
            }
            Special::HistogramFraction => {
                let (lower, upper) = (scalar(0)?, scalar(1)?);
                distinct(histogram::fractions(lower, upper, vector(2)?), span)?
            }
            Special::LabelReplace => {
                let (target, template) = (label_name(&args[1])?, string(&args[2])?);
                let (source, pattern) = (string(&args[3])?, string(&args[4])?);
                let pattern = Pattern::new(pattern).map_err(|message| Error::new(message, args[4].span.clone()))?;
                distinct(label_functions::replace(vector(0)?, target, template, source, &pattern), span)?
            }
            Special::LabelJoin => {
                let (target, separator) = (label_name(&args[1])?, string(&args[2])?);
                let sources: Vec<&str> = args[3..].iter().map(label_name).collect::<Result<_, _>>()?;
                distinct(label_functions::join(vector(0)?, target, separator, &sources), span)?
            }
            Special::FirstOverTime => {
                let first = |series: Series| {
                    series.points.first().map(|point| Element { value: point.value, labels: series.labels.clone() })
                };
                self.range(&args[0], time)?.series.into_iter().filter_map(first).collect()
            }
            Special::LastOverTime => {
                let last = |series: Series| {
                    series.points.last().map(|point| Element { value: point.value, labels: series.labels.clone() })
                };
                self.range(&args[0], time)?.series.into_iter().filter_map(last).collect()
            }
            Special::PredictLinear => {
                let ahead = scalar(1)?;
                self.each_series(&args[0], time, span, |series| over_time::predict_linear(&series.points, time, ahead))?
            }
            Special::QuantileOverTime => {
                let phi = scalar(0)?;
                let values = |series: &Series| series.points.iter().map(|point| point.value).collect();
                self.each_series(&args[1], time, span, |series| Some(over_time::quantile(phi, values(series))))?
            }
            Special::Sort => sorted(vector(0)?, |a, b| a.partial_cmp(&b)),
            Special::SortDesc => sorted(vector(0)?, |a, b| b.partial_cmp(&a)),
            Special::Timestamp => self.timestamps(&args[0], time, span)?,
        }))
    }

    fn each_series(
        &self,
        range: &Expr,
        time: i64,
        span: &Range<usize>,
        value: impl Fn(&Series) -> Option<f64>,
    ) -> Result<Vec<Element>, Error> {
        let elements = self.range(range, time)?.series.into_iter().filter_map(|series| {
            let value = value(&series)?;
            Some(Element { labels: series.labels.without_metric_name(), value })
        });
        distinct(elements.collect(), span)
    }

    /// The times of the samples themselves where the argument is a selector; otherwise the evaluation time.
    fn timestamps(&self, arg: &Expr, time: i64, span: &Range<usize>) -> Result<Vec<Element>, Error> {
        let ExprKind::Selector(selector) = &arg.unwrapped().kind else {
            return map(self.vector(arg, time)?, |_| seconds(time), span);
        };
        let points = self.instant_points(selector, time, span)?;
        let elements = points.into_iter().map(|(series, point)| Element {
            labels: series.labels.to_labels().without_metric_name(),
            value: seconds(point.time),
        });
        distinct(elements.collect(), span)
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

/// One element where there was none, with the labels that the selector asks for by `=`.
fn absent(missing: bool, arg: &Expr) -> Vec<Element> {
    if !missing {
        return Vec::new();
    }
    let labels = match &arg.unwrapped().kind {
        ExprKind::Selector(selector) | ExprKind::Matrix(selector, _) => asked_for(selector),
        _ => Labels::default(),
    };
    vec![Element { labels, value: 1.0 }]
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

/// Sorted by value, NaN last.
fn sorted(mut elements: Vec<Element>, order: impl Fn(f64, f64) -> Option<Ordering>) -> Vec<Element> {
    elements.sort_by(|a, b| order(a.value, b.value).unwrap_or_else(|| a.value.is_nan().cmp(&b.value.is_nan())));
    elements
}
