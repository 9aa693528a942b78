//! Evaluation of an expression at one time over stored series, with the semantics of Prometheus 3.

mod aggregate;
mod binary;
pub(super) mod dates;
mod histogram;
mod label_functions;
pub(super) mod maths;
pub(super) mod over_time;
mod range_query;
mod select;
mod special;
mod unseen;

use std::cell::Cell;
use std::collections::HashSet;
use std::ops::Range;

pub use binary::{Compared, Comparison, compare, holds};
pub use range_query::range_query;
pub use unseen::Unseen;

use super::Error;
use super::ast::{Call, Expr, ExprKind};
use super::duration::QueryRange;
use super::functions::Body;
use crate::labels::Labels;
use crate::series::{Series, Storage};

/// The value of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number.
    Scalar(f64),
    /// Series with one value each.
    Vector(Vec<Element>),
    /// Series with values over a range.
    Matrix(Vec<Series>),
    /// A string.
    String(String),
}

/// One element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// The labels that identify it.
    pub labels: Labels,
    /// The value at the time of the evaluation.
    pub value: f64,
}

/// How long a sample stays the value of its series: 5 minutes, as in Prometheus.
const LOOKBACK: i64 = 300_000;

/// How many samples one query may read: Prometheus's default.
const MAX_SAMPLES: usize = 50_000_000;

/// Evaluates expressions at one time.
pub struct Evaluator<'s> {
    storage: &'s Storage,
    /// Milliseconds since the Unix epoch.
    time: i64,
    query: QueryRange,
    touched: Cell<usize>,
}

impl<'s> Evaluator<'s> {
    /// Makes an evaluator for a time in milliseconds since the Unix epoch.
    #[must_use]
    pub fn new(storage: &'s Storage, time: i64) -> Self {
        Self { storage, time, query: QueryRange::instant(time), touched: Cell::new(0) }
    }

    /// Makes the evaluation one of a range query: its start, end and step are what `@ start()`, `@ end()`, `step()` and
    /// `range()` mean.
    #[must_use]
    pub fn within(self, query: QueryRange) -> Self {
        Self { query, ..self }
    }

    /// Evaluates an expression.
    ///
    /// # Errors
    /// What Prometheus refuses while it evaluates: many-to-many matches, the same label set twice, bad parameters, too
    /// many samples.
    pub fn value(&self, expr: &Expr) -> Result<Value, Error> {
        self.eval(expr, self.time)
    }

    fn eval(&self, expr: &Expr, time: i64) -> Result<Value, Error> {
        Ok(match &expr.kind {
            ExprKind::Number(value) => Value::Scalar(*value),
            ExprKind::String(text) => Value::String(text.clone()),
            ExprKind::Paren(inner) => self.eval(inner, time)?,
            ExprKind::Selector(selector) => Value::Vector(self.instant(selector, time, &expr.span)?),
            ExprKind::Matrix(..) | ExprKind::Subquery(_) => Value::Matrix(self.range(expr, time)?.series),
            ExprKind::Negate(inner) => match self.eval(inner, time)? {
                Value::Scalar(value) => Value::Scalar(-value),
                Value::Vector(elements) => Value::Vector(map(elements, |value| -value, &expr.span)?),
                value => value,
            },
            ExprKind::Binary(binary) => self.binary(binary, time, &expr.span)?,
            ExprKind::Aggregate(aggregate) => Value::Vector(self.aggregate(aggregate, time)?),
            ExprKind::Call(Call { function, args }) => match function.body {
                Body::Map(function) => Value::Vector(map(self.vector(&args[0], time)?, function, &expr.span)?),
                Body::Date(function) => Value::Vector(self.date(function, args.first(), time, &expr.span)?),
                Body::Range(function) => Value::Vector(self.over_time(function, &args[0], time, &expr.span)?),
                Body::Special(special) => self.special(special, args, time, &expr.span)?,
            },
        })
    }

    /// Counts samples that a query touches.
    fn touch(&self, samples: usize, span: &Range<usize>) -> Result<(), Error> {
        self.touched.set(self.touched.get() + samples);
        if self.touched.get() > MAX_SAMPLES {
            return Err(Error::new(format!("the expression would read more than {MAX_SAMPLES} samples"), span.clone()));
        }
        Ok(())
    }

    fn vector(&self, expr: &Expr, time: i64) -> Result<Vec<Element>, Error> {
        match self.eval(expr, time)? {
            Value::Vector(elements) => Ok(elements),
            Value::Scalar(_) | Value::Matrix(_) | Value::String(_) => {
                Err(Error::new("want an instant vector", expr.span.clone()))
            }
        }
    }

    fn scalar(&self, expr: &Expr, time: i64) -> Result<f64, Error> {
        match self.eval(expr, time)? {
            Value::Scalar(value) => Ok(value),
            Value::Vector(_) | Value::Matrix(_) | Value::String(_) => {
                Err(Error::new("want a scalar", expr.span.clone()))
            }
        }
    }

    fn date(
        &self,
        function: fn(i64) -> i64,
        arg: Option<&Expr>,
        time: i64,
        span: &Range<usize>,
    ) -> Result<Vec<Element>, Error> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "what does not fit is sorted out"
        )]
        let of = |seconds: f64| {
            // What an integer cannot hold, NaN included, comes out as on the processors that Prometheus mostly runs on.
            let fits = (i64::MIN as f64..i64::MAX as f64).contains(&seconds);
            function(if fits { seconds as i64 } else { i64::MAX }) as f64
        };
        match arg {
            Some(arg) => map(self.vector(arg, time)?, of, span),
            None => Ok(vec![Element { labels: Labels::default(), value: of(seconds(time)) }]),
        }
    }

    fn over_time(
        &self,
        function: over_time::RangeFunction,
        arg: &Expr,
        time: i64,
        span: &Range<usize>,
    ) -> Result<Vec<Element>, Error> {
        let range = self.range(arg, time)?;
        let window = range.window;
        let elements = range.series.into_iter().filter_map(|series| {
            let value = function(&series.points, &window)?;
            Some(Element { labels: series.labels.without_metric_name(), value })
        });
        distinct(elements.collect(), span)
    }
}

/// Applies a function to each value and drops the metric's name.
fn map(elements: Vec<Element>, function: impl Fn(f64) -> f64, span: &Range<usize>) -> Result<Vec<Element>, Error> {
    let mapped = elements
        .into_iter()
        .map(|element| Element { value: function(element.value), labels: element.labels.without_metric_name() });
    distinct(mapped.collect(), span)
}

/// The elements, unless two of them have the same label set.
fn distinct(elements: Vec<Element>, span: &Range<usize>) -> Result<Vec<Element>, Error> {
    let mut seen = HashSet::with_capacity(elements.len());
    match elements.iter().find(|element| !seen.insert(&element.labels)) {
        None => Ok(elements),
        Some(twice) => {
            let message =
                format!("vector cannot contain metrics with the same labelset: {} is duplicated", twice.labels);
            Err(Error::new(message, span.clone()))
        }
    }
}

/// Milliseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "exact for the next 280,000 years")]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}
