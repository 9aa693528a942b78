//! Evaluation of an expression at one time over stored series, with the semantics of Prometheus 3.

mod aggregate;
mod binary;
pub(super) mod dates;
mod histogram;
mod label_functions;
mod label_set;
pub(super) mod maths;
pub(super) mod over_time;
mod range_query;
mod select;
mod special;
mod texts;
mod unseen;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::ops::Range;

use foldhash::fast::RandomState;

pub use binary::{Compared, Comparison, compare, holds};
pub use range_query::range_query;
pub use unseen::Unseen;

use super::Error;
use super::ast::{AggregateOp, Call, Expr, ExprKind};
use super::duration::QueryRange;
use super::functions::{Body, Special};
use crate::labels::Labels;
use crate::series::{Point, Series, Storage};
use label_set::LabelSet;
use texts::Texts;

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
    unbounded_quantiles: bool,
    touched: Cell<usize>,
}

impl<'s> Evaluator<'s> {
    /// Makes an evaluator for a time in milliseconds since the Unix epoch.
    #[must_use]
    pub fn new(storage: &'s Storage, time: i64) -> Self {
        Self { storage, time, query: QueryRange::instant(time), unbounded_quantiles: false, touched: Cell::new(0) }
    }

    /// Makes the evaluation one of a range query: its start, end and step are what `@ start()`, `@ end()`, `step()` and
    /// `range()` mean.
    #[must_use]
    pub fn within(self, query: QueryRange) -> Self {
        Self { query, ..self }
    }

    /// Makes a quantile infinite that lies beyond the highest finite bound of a classic histogram. Prometheus gives that bound, and
    /// so does an evaluation otherwise, although nothing is known of such a quantile but that it is not below.
    #[must_use]
    pub fn unbounded_quantiles(self) -> Self {
        Self { unbounded_quantiles: true, ..self }
    }

    /// Evaluates an expression. Elements and series are sorted by their labels, unless the expression says in which order they are.
    ///
    /// # Errors
    /// What Prometheus refuses while it evaluates: many-to-many matches, the same label set twice, bad parameters, too
    /// many samples.
    pub fn value(&self, expr: &Expr) -> Result<Value, Error> {
        let mut evaluation = Evaluation::new(self.storage, self.query);
        evaluation.unbounded_quantiles = self.unbounded_quantiles;
        evaluation.touched = self.touched.get();
        let found = evaluation.whole(expr, self.time);
        self.touched.set(evaluation.touched);
        Ok(match found? {
            Found::Scalar(value) => Value::Scalar(value),
            Found::String(text) => Value::String(text),
            Found::Vector(mut items) => {
                // Only here: nothing within an expression depends on the order, and sorting takes longer than all the rest.
                if !has_an_order(expr) {
                    items.sort_by(|a, b| evaluation.texts.compare(&a.labels, &b.labels));
                }
                let texts = &mut evaluation.texts;
                let element = |item: Item| Element { labels: texts.labels(&item.labels), value: item.value };
                Value::Vector(items.into_iter().map(element).collect())
            }
            Found::Matrix(series) => Value::Matrix(evaluation.series(series)),
        })
    }
}

/// Whether the expression itself says in which order its elements are.
fn has_an_order(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Aggregate(aggregate) => matches!(aggregate.op, AggregateOp::TopK(_) | AggregateOp::BottomK(_)),
        ExprKind::Call(Call { function, .. })
            if matches!(function.body, Body::Special(Special::Sort | Special::SortDesc)) =>
        {
            true
        }
        _ => expr.children().into_iter().any(has_an_order),
    }
}

/// What an expression comes to while it is evaluated. No label set is in a vector or a matrix twice.
enum Found<'s> {
    Scalar(f64),
    Vector(Vec<Item<'s>>),
    Matrix(Vec<RangeItem<'s>>),
    String(String),
}

/// An element.
#[derive(Clone, Debug)]
struct Item<'s> {
    labels: LabelSet<'s>,
    value: f64,
}

/// A series of a range vector; its points are borrowed where they are a run of what is stored.
struct RangeItem<'s> {
    labels: LabelSet<'s>,
    points: Cow<'s, [Point]>,
}

/// Evaluates one query.
struct Evaluation<'s> {
    storage: &'s Storage,
    query: QueryRange,
    texts: Texts<'s>,
    unbounded_quantiles: bool,
    touched: usize,
}

impl<'s> Evaluation<'s> {
    fn new(storage: &'s Storage, query: QueryRange) -> Self {
        Self { storage, query, texts: Texts::new(storage.symbols()), unbounded_quantiles: false, touched: 0 }
    }

    /// The value of the query's expression at one time.
    fn whole(&mut self, expr: &Expr, time: i64) -> Result<Found<'s>, Error> {
        let found = self.eval(expr, time)?;
        if self.texts.full {
            return Err(Error::new("the expression would make more than 4 GiB of labels", expr.span.clone()));
        }
        Ok(found)
    }

    fn eval(&mut self, expr: &Expr, time: i64) -> Result<Found<'s>, Error> {
        Ok(match &expr.kind {
            ExprKind::Number(value) => Found::Scalar(*value),
            ExprKind::String(text) => Found::String(text.clone()),
            ExprKind::Paren(inner) => self.eval(inner, time)?,
            ExprKind::Selector(selector) => Found::Vector(self.instant(selector, time, &expr.span)?),
            ExprKind::Matrix(..) | ExprKind::Subquery(_) => Found::Matrix(self.range(expr, time)?.series),
            ExprKind::Negate(inner) => match self.eval(inner, time)? {
                Found::Scalar(value) => Found::Scalar(-value),
                Found::Vector(items) => Found::Vector(self.map(items, |value| -value, &expr.span)?),
                found => found,
            },
            ExprKind::Binary(binary) => self.binary(binary, time, &expr.span)?,
            ExprKind::Aggregate(aggregate) => Found::Vector(self.aggregate(aggregate, time)?),
            ExprKind::Call(Call { function, args }) => match function.body {
                Body::Map(function) => {
                    let items = self.vector(&args[0], time)?;
                    Found::Vector(self.map(items, function, &expr.span)?)
                }
                Body::Date(function) => Found::Vector(self.date(function, args.first(), time, &expr.span)?),
                Body::Range(function) => Found::Vector(self.over_time(function, &args[0], time, &expr.span)?),
                Body::Special(special) => self.special(special, args, time, &expr.span)?,
            },
        })
    }

    /// Counts samples that a query touches.
    fn touch(&mut self, samples: usize, span: &Range<usize>) -> Result<(), Error> {
        self.touched += samples;
        if self.touched > MAX_SAMPLES {
            return Err(Error::new(format!("the expression would read more than {MAX_SAMPLES} samples"), span.clone()));
        }
        Ok(())
    }

    fn vector(&mut self, expr: &Expr, time: i64) -> Result<Vec<Item<'s>>, Error> {
        match self.eval(expr, time)? {
            Found::Vector(items) => Ok(items),
            Found::Scalar(_) | Found::Matrix(_) | Found::String(_) => {
                Err(Error::new("want an instant vector", expr.span.clone()))
            }
        }
    }

    fn scalar(&mut self, expr: &Expr, time: i64) -> Result<f64, Error> {
        match self.eval(expr, time)? {
            Found::Scalar(value) => Ok(value),
            Found::Vector(_) | Found::Matrix(_) | Found::String(_) => {
                Err(Error::new("want a scalar", expr.span.clone()))
            }
        }
    }

    fn date(
        &mut self,
        function: fn(i64) -> i64,
        arg: Option<&Expr>,
        time: i64,
        span: &Range<usize>,
    ) -> Result<Vec<Item<'s>>, Error> {
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
            Some(arg) => {
                let items = self.vector(arg, time)?;
                self.map(items, of, span)
            }
            None => Ok(vec![Item { labels: LabelSet::default(), value: of(seconds(time)) }]),
        }
    }

    fn over_time(
        &mut self,
        function: over_time::RangeFunction,
        arg: &Expr,
        time: i64,
        span: &Range<usize>,
    ) -> Result<Vec<Item<'s>>, Error> {
        let range = self.range(arg, time)?;
        let window = range.window;
        let items = range.series.into_iter().filter_map(|series| {
            let value = function(&series.points, &window)?;
            Some(Item { labels: series.labels, value })
        });
        self.nameless(items.collect(), span)
    }

    /// Applies a function to each value and drops the metric's name.
    fn map(
        &self,
        mut items: Vec<Item<'s>>,
        function: impl Fn(f64) -> f64,
        span: &Range<usize>,
    ) -> Result<Vec<Item<'s>>, Error> {
        for item in &mut items {
            item.value = function(item.value);
        }
        self.nameless(items, span)
    }

    /// The items, each of its own labels, without the metric's name, and without the labels for its type and unit.
    fn nameless(&self, mut items: Vec<Item<'s>>, span: &Range<usize>) -> Result<Vec<Item<'s>>, Error> {
        let names = |item: &Item| self.texts.metadata.map(|name| item.labels.value_of(name));
        // Of one metric, nearly always: its series stay apart without the name, and need not be looked at.
        let one_metric = items.windows(2).all(|pair| names(&pair[0]) == names(&pair[1]));
        for item in &mut items {
            item.labels = std::mem::take(&mut item.labels).without_metric_name(&self.texts);
        }
        if one_metric { Ok(items) } else { self.distinct(items, span) }
    }

    /// The items, unless two of them have the same label set.
    fn distinct(&self, items: Vec<Item<'s>>, span: &Range<usize>) -> Result<Vec<Item<'s>>, Error> {
        let mut seen = HashSet::with_capacity_and_hasher(items.len(), RandomState::default());
        match items.iter().find(|item| !seen.insert(&item.labels)) {
            None => Ok(items),
            Some(twice) => {
                let labels = self.shown(&twice.labels);
                let message = format!("vector cannot contain metrics with the same labelset: {labels} is duplicated");
                Err(Error::new(message, span.clone()))
            }
        }
    }

    /// Labels for a message.
    fn shown(&self, labels: &LabelSet) -> Labels {
        Labels::new(labels.pairs().iter().map(|(name, value)| (self.texts.get(*name), self.texts.get(*value))))
    }

    /// Series on their own, sorted by their labels.
    fn series(&mut self, mut series: Vec<RangeItem<'s>>) -> Vec<Series> {
        series.sort_by(|a, b| self.texts.compare(&a.labels, &b.labels));
        let one = |series: RangeItem| Series {
            labels: self.texts.labels(&series.labels),
            points: series.points.into_owned(),
        };
        series.into_iter().map(one).collect()
    }
}

/// Milliseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "exact for the next 280,000 years")]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1000.0
}
