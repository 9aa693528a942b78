//! Durations in expressions: known once the expression is parsed, or following from the query's range and step.

use std::ops::Range;

use super::Error;
use super::ast::ArithmeticOp;

/// A range, a step or an offset.
#[derive(Clone, Debug, PartialEq)]
pub enum Duration {
    /// Milliseconds.
    Fixed(i64),
    /// Known once the query's range and step are.
    OfQuery(Box<DurationExpr>),
}

/// A calculation with durations, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct DurationExpr {
    /// What is calculated.
    pub kind: DurationKind,
    /// The bytes of the source that it was read from.
    pub span: Range<usize>,
}

/// The kinds of calculation.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationKind {
    /// A number, or a duration in seconds.
    Seconds(f64),
    /// `step()`: the time between two evaluations of a range query; 0 in an instant query.
    Step,
    /// `range()`: the time from the first to the last evaluation of a range query; 0 in an instant query.
    Range,
    /// The negation.
    Negate(Box<DurationExpr>),
    /// An operator between two durations.
    Arithmetic(ArithmeticOp, Box<DurationExpr>, Box<DurationExpr>),
    /// `min_of(…)`: the shorter one.
    MinOf(Box<DurationExpr>, Box<DurationExpr>),
    /// `max_of(…)`: the longer one.
    MaxOf(Box<DurationExpr>, Box<DurationExpr>),
}

/// The times that a query is evaluated at, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryRange {
    /// The first time; `start()`.
    pub start: i64,
    /// No time is after this one; `end()`.
    pub end: i64,
    /// Milliseconds between two evaluations; `step()`.
    pub step: i64,
}

impl QueryRange {
    /// An instant query: one evaluation, without a step.
    #[must_use]
    pub fn instant(time: i64) -> Self {
        Self { start: time, end: time, step: 0 }
    }
}

/// What a duration is for.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Role {
    Range,
    Step,
    /// May be zero or negative.
    Offset,
}

/// Prometheus counts durations in 64 bits of nanoseconds.
const LONGEST: f64 = 9_223_372_036.0;

impl Duration {
    /// The milliseconds in a query of the given range.
    pub(super) fn within(&self, query: &QueryRange, role: Role) -> Result<i64, Error> {
        match self {
            Self::Fixed(milliseconds) => Ok(*milliseconds),
            Self::OfQuery(expr) => expr.milliseconds(query, role),
        }
    }
}

impl DurationExpr {
    pub(super) fn depends_on_query(&self) -> bool {
        match &self.kind {
            DurationKind::Seconds(_) => false,
            DurationKind::Step | DurationKind::Range => true,
            DurationKind::Negate(inner) => inner.depends_on_query(),
            DurationKind::Arithmetic(_, lhs, rhs) | DurationKind::MinOf(lhs, rhs) | DurationKind::MaxOf(lhs, rhs) => {
                lhs.depends_on_query() || rhs.depends_on_query()
            }
        }
    }

    /// Whole milliseconds, cut as Prometheus cuts them.
    pub(super) fn milliseconds(&self, query: &QueryRange, role: Role) -> Result<i64, Error> {
        let seconds = self.seconds(query)?;
        let fail = |message: &str| Err(Error::new(message, self.span.clone()));
        if !seconds.is_finite() {
            return fail("the duration is not a finite number");
        }
        if seconds.abs() > LONGEST {
            return fail("the duration is too long");
        }
        if seconds <= 0.0 && role != Role::Offset {
            let what = if role == Role::Range { "range" } else { "step" };
            let zero = query.step == 0 && self.depends_on_query();
            let hint = if zero { "; in an instant query step() and range() are 0" } else { "" };
            return fail(&format!("a {what} must be greater than 0{hint}"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
        Ok((seconds * 1000.0) as i64)
    }

    fn seconds(&self, query: &QueryRange) -> Result<f64, Error> {
        #[expect(clippy::cast_precision_loss, reason = "durations are far below 2^53 milliseconds")]
        let seconds = |milliseconds: i64| milliseconds as f64 / 1000.0;
        Ok(match &self.kind {
            DurationKind::Seconds(seconds) => *seconds,
            DurationKind::Step => seconds(query.step),
            DurationKind::Range => seconds(query.end.saturating_sub(query.start)),
            DurationKind::Negate(inner) => -inner.seconds(query)?,
            DurationKind::Arithmetic(op, lhs, rhs) => {
                let (lhs, divisor) = (lhs.seconds(query)?, rhs.seconds(query)?);
                if divisor == 0.0 && matches!(op, ArithmeticOp::Div | ArithmeticOp::Mod) {
                    return Err(Error::new("the duration is divided by zero", rhs.span.clone()));
                }
                op.apply(lhs, divisor)
            }
            DurationKind::MinOf(lhs, rhs) => lhs.seconds(query)?.min(rhs.seconds(query)?),
            DurationKind::MaxOf(lhs, rhs) => lhs.seconds(query)?.max(rhs.seconds(query)?),
        })
    }
}
