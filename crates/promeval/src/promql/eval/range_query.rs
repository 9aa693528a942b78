//! A range query: an expression evaluated at regular steps, gathered into series.

use super::label_set::LabelSet;
use super::select::Gathered;
use super::{Evaluation, Found, Item};
use crate::promql::Error;
use crate::promql::ast::{Expr, Type};
use crate::promql::duration::QueryRange;
use crate::series::{Series, Storage};

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
    let mut evaluation = Evaluation::new(storage, range);
    let mut gathered = Gathered::default();
    let mut time = range.start;
    while time <= range.end {
        evaluation.touch(1, &expr.span)?;
        let items = match evaluation.whole(expr, time)? {
            Found::Scalar(value) => vec![Item { labels: LabelSet::default(), value }],
            Found::Vector(items) => items,
            Found::Matrix(_) | Found::String(_) => Vec::new(),
        };
        gathered.add(items, time);
        time = time.saturating_add(range.step);
    }
    Ok(evaluation.series(gathered.series))
}
