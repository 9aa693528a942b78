//! The functions of the language: names, arguments, and what computes each.

use std::fmt;

use super::ast::Type;
use super::eval::{dates, maths, over_time};
use super::refused;
use crate::similar;

/// A function of the language.
pub(super) struct Function {
    pub(super) name: &'static str,
    /// The types of its arguments.
    pub(super) args: &'static [Type],
    /// How many of the last arguments may be left out.
    pub(super) optional: usize,
    /// Whether the last argument may be repeated.
    pub(super) repeats: bool,
    pub(super) returns: Type,
    pub(super) body: Body,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What computes a function.
#[derive(Clone, Copy)]
pub(super) enum Body {
    /// Each value of a vector on its own.
    Map(fn(f64) -> f64),
    /// Each value of a vector, or the evaluation time, as seconds since the epoch.
    Date(fn(i64) -> i64),
    /// The points of each series of a range.
    Range(over_time::RangeFunction),
    /// Unlike the others.
    Special(Special),
}

/// The functions that are unlike the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    Absent,
    AbsentOverTime,
    Clamp,
    ClampMax,
    ClampMin,
    FirstOverTime,
    HistogramFraction,
    HistogramQuantile,
    LabelJoin,
    LabelReplace,
    LastOverTime,
    Pi,
    PredictLinear,
    QuantileOverTime,
    Round,
    Scalar,
    Sort,
    SortDesc,
    Time,
    Timestamp,
    Vector,
}

const V: Type = Type::Vector;
const S: Type = Type::Scalar;
const M: Type = Type::Matrix;
const T: Type = Type::String;

const fn map(name: &'static str, function: fn(f64) -> f64) -> Function {
    Function { name, args: &[V], optional: 0, repeats: false, returns: V, body: Body::Map(function) }
}

const fn date(name: &'static str, function: fn(i64) -> i64) -> Function {
    Function { name, args: &[V], optional: 1, repeats: false, returns: V, body: Body::Date(function) }
}

const fn range(name: &'static str, function: over_time::RangeFunction) -> Function {
    Function { name, args: &[M], optional: 0, repeats: false, returns: V, body: Body::Range(function) }
}

const fn special(name: &'static str, args: &'static [Type], returns: Type, special: Special) -> Function {
    Function { name, args, optional: 0, repeats: false, returns, body: Body::Special(special) }
}

/// Sorted by name.
static FUNCTIONS: &[Function] = &[
    map("abs", f64::abs),
    special("absent", &[V], V, Special::Absent),
    special("absent_over_time", &[M], V, Special::AbsentOverTime),
    map("acos", libm::acos),
    map("acosh", libm::acosh),
    map("asin", libm::asin),
    map("asinh", libm::asinh),
    map("atan", libm::atan),
    map("atanh", libm::atanh),
    range("avg_over_time", over_time::avg),
    map("ceil", f64::ceil),
    range("changes", over_time::changes),
    special("clamp", &[V, S, S], V, Special::Clamp),
    special("clamp_max", &[V, S], V, Special::ClampMax),
    special("clamp_min", &[V, S], V, Special::ClampMin),
    map("cos", libm::cos),
    map("cosh", libm::cosh),
    range("count_over_time", over_time::count),
    date("day_of_month", dates::day_of_month),
    date("day_of_week", dates::day_of_week),
    date("day_of_year", dates::day_of_year),
    date("days_in_month", dates::days_in_month),
    map("deg", maths::deg),
    range("delta", over_time::delta),
    range("deriv", over_time::deriv),
    map("exp", f64::exp),
    special("first_over_time", &[M], V, Special::FirstOverTime),
    map("floor", f64::floor),
    special("histogram_fraction", &[S, S, V], V, Special::HistogramFraction),
    special("histogram_quantile", &[S, V], V, Special::HistogramQuantile),
    date("hour", dates::hour),
    range("idelta", over_time::idelta),
    range("increase", over_time::increase),
    range("irate", over_time::irate),
    Function { optional: 1, repeats: true, ..special("label_join", &[V, T, T, T], V, Special::LabelJoin) },
    special("label_replace", &[V, T, T, T, T], V, Special::LabelReplace),
    special("last_over_time", &[M], V, Special::LastOverTime),
    map("ln", f64::ln),
    map("log10", f64::log10),
    map("log2", f64::log2),
    range("max_over_time", over_time::max),
    range("min_over_time", over_time::min),
    date("minute", dates::minute),
    date("month", dates::month),
    special("pi", &[], S, Special::Pi),
    special("predict_linear", &[M, S], V, Special::PredictLinear),
    range("present_over_time", over_time::present),
    special("quantile_over_time", &[S, M], V, Special::QuantileOverTime),
    map("rad", maths::rad),
    range("rate", over_time::rate),
    range("resets", over_time::resets),
    Function { optional: 1, ..special("round", &[V, S], V, Special::Round) },
    special("scalar", &[V], S, Special::Scalar),
    map("sgn", maths::sgn),
    map("sin", libm::sin),
    map("sinh", libm::sinh),
    special("sort", &[V], V, Special::Sort),
    special("sort_desc", &[V], V, Special::SortDesc),
    map("sqrt", f64::sqrt),
    range("stddev_over_time", over_time::stddev),
    range("stdvar_over_time", over_time::stdvar),
    range("sum_over_time", over_time::sum),
    map("tan", libm::tan),
    map("tanh", libm::tanh),
    special("time", &[], S, Special::Time),
    special("timestamp", &[V], V, Special::Timestamp),
    special("vector", &[S], V, Special::Vector),
    date("year", dates::year),
];

/// Finds a function by its name.
///
/// # Errors
/// Why there is none, with the most similar name.
pub(super) fn find(name: &str) -> Result<&'static Function, String> {
    if let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) {
        return Ok(function);
    }
    if let Some(refusal) = refused::of(name) {
        return Err(format!("the function {refusal}"));
    }
    let names = FUNCTIONS.iter().map(|function| function.name);
    let hint =
        similar(name, names).into_iter().next().map_or(String::new(), |other| format!("; did you mean {other}?"));
    Err(format!("there is no function {name}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_refusals_are_not_in_it() {
        assert!(FUNCTIONS.is_sorted_by_key(|function| function.name));
        for function in FUNCTIONS {
            assert_eq!(refused::of(function.name), None, "{}", function.name);
        }
        assert!(find("limitk").is_err_and(|error| error.contains("not supported here")));
        assert_eq!(find("rat").unwrap_err(), "there is no function rat; did you mean rate?");
    }
}
