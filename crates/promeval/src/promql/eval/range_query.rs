//! A range query: an expression evaluated at regular steps, gathered into series.

use std::collections::HashMap;

use super::{Evaluator, Value};
use crate::labels::Labels;
use crate::promql::Error;
use crate::promql::ast::{Expr, Type};
use crate::promql::duration::QueryRange;
use crate::series::{Point, Series, Storage};

/// Evaluates an expression at every step of a range; the series are sorted by their labels.
///
/// # Errors
/// What an evaluation refuses; a string or a range vector, which have no value at each step; a step that is not positive.
pub fn range_query(storage: &Storage, expr: &Expr, range: QueryRange) -> Result<Vec<Series>, Error> {
    let found = expr.value_type();
    if !matches!(found, Type::Scalar | Type::Vector) {
        let message = format!("a range query takes scalars and instant vectors, and this is {found}");
        return Err(Error::new(message, expr.span.clone()));
    }
    if range.step <= 0 {
        return Err(Error::new("the step of a range query must be greater than 0", expr.span.clone()));
    }
    let evaluator = Evaluator::new(storage, range.start).within(range);
    let mut series: Vec<Series> = Vec::new();
    let mut known: HashMap<Labels, usize> = HashMap::new();
    let mut time = range.start;
    while time <= range.end {
        evaluator.touch(1, &expr.span)?;
        let elements = match evaluator.eval(expr, time)? {
            Value::Scalar(value) => vec![(Labels::default(), value)],
            Value::Vector(elements) => elements.into_iter().map(|element| (element.labels, element.value)).collect(),
            Value::Matrix(_) | Value::String(_) => Vec::new(),
        };
        for (labels, value) in elements {
            let index = *known.entry(labels).or_insert_with_key(|labels| {
                series.push(Series { labels: labels.clone(), points: Vec::new() });
                series.len() - 1
            });
            series[index].points.push(Point { time, value });
        }
        time = time.saturating_add(range.step);
    }
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(series)
}
