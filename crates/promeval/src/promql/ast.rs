//! The tree of a PromQL expression. A tree that [`super::parse`] returns is well typed.

use std::fmt;
use std::ops::Range;

pub use super::duration::{Duration, DurationExpr, DurationKind};
use super::functions::Function;
pub use super::operators::{ArithmeticOp, BinaryOp, CompareOp, SetOp};
use crate::Pattern;
use crate::labels::{LabelValues, METRIC_NAME};

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What kind of expression, with its parts.
    pub kind: ExprKind,
    /// The bytes of the source that it was read from.
    pub span: Range<usize>,
}

/// The kinds of expression.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ExprKind {
    /// A number, or a duration in seconds.
    Number(f64),
    /// A string literal.
    String(String),
    /// An instant-vector selector.
    Selector(Selector),
    /// A range-vector selector: a selector and the range.
    Matrix(Selector, Duration),
    /// An instant-vector expression evaluated over a range.
    Subquery(Box<Subquery>),
    /// An expression in parentheses.
    Paren(Box<Expr>),
    /// The negation of a scalar or vector.
    Negate(Box<Expr>),
    /// An operator between two expressions.
    Binary(Box<Binary>),
    /// An aggregation.
    Aggregate(Box<Aggregate>),
    /// A function call.
    Call(Call),
}

/// A function and its arguments, as many and of the types that it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub(super) function: &'static Function,
    pub(super) args: Vec<Expr>,
}

impl Call {
    /// The function's name.
    pub fn name(&self) -> &'static str {
        self.function.name
    }

    /// The arguments in the order of the source.
    pub fn args(&self) -> &[Expr] {
        &self.args
    }
}

/// The type of an expression's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// One number.
    Scalar,
    /// Series with one value each.
    Vector,
    /// Series with values over a range.
    Matrix,
    /// A string.
    String,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "a scalar",
            Self::Vector => "an instant vector",
            Self::Matrix => "a range vector",
            Self::String => "a string",
        })
    }
}

impl Expr {
    /// The type of the expression's value.
    #[must_use]
    pub fn value_type(&self) -> Type {
        match &self.kind {
            ExprKind::Number(_) => Type::Scalar,
            ExprKind::String(_) => Type::String,
            ExprKind::Selector(_) | ExprKind::Aggregate(_) => Type::Vector,
            ExprKind::Matrix(..) | ExprKind::Subquery(_) => Type::Matrix,
            ExprKind::Paren(inner) | ExprKind::Negate(inner) => inner.value_type(),
            ExprKind::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
                (Type::Scalar, Type::Scalar) => Type::Scalar,
                _ => Type::Vector,
            },
            ExprKind::Call(call) => call.function.returns,
        }
    }

    /// The expression inside any parentheses.
    #[must_use]
    pub fn unwrapped(&self) -> &Self {
        match &self.kind {
            ExprKind::Paren(inner) => inner.unwrapped(),
            _ => self,
        }
    }

    /// The expressions that this one is made of, in the order of the source.
    #[must_use]
    pub fn children(&self) -> Vec<&Self> {
        match &self.kind {
            ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Selector(_) | ExprKind::Matrix(..) => Vec::new(),
            ExprKind::Subquery(subquery) => vec![&subquery.expr],
            ExprKind::Paren(inner) | ExprKind::Negate(inner) => vec![inner],
            ExprKind::Binary(binary) => vec![&binary.lhs, &binary.rhs],
            ExprKind::Aggregate(aggregate) => aggregate.op.param().into_iter().chain([&aggregate.expr]).collect(),
            ExprKind::Call(call) => call.args.iter().collect(),
        }
    }

    /// The number that the expression is, where it is calculated of numbers alone.
    #[must_use]
    pub fn constant(&self) -> Option<f64> {
        match &self.kind {
            ExprKind::Number(number) => Some(*number),
            ExprKind::Paren(inner) => inner.constant(),
            ExprKind::Negate(inner) => inner.constant().map(|number| -number),
            ExprKind::Binary(binary) => {
                let (lhs, rhs) = (binary.lhs.constant()?, binary.rhs.constant()?);
                match binary.op {
                    BinaryOp::Arithmetic(op) => Some(op.apply(lhs, rhs)),
                    BinaryOp::Compare(op) => Some(f64::from(op.holds(lhs, rhs))),
                    BinaryOp::Set(_) => None,
                }
            }
            _ => None,
        }
    }

    /// The numbers in the expression, in the order of the source: what is calculated of numbers alone is one.
    #[must_use]
    pub fn constants(&self) -> Vec<f64> {
        match self.constant() {
            Some(number) => vec![number],
            None => self.children().into_iter().flat_map(Self::constants).collect(),
        }
    }

    /// Every selector that is read over a range.
    #[must_use]
    pub fn ranges(&self) -> Vec<&Selector> {
        match &self.kind {
            ExprKind::Matrix(selector, _) => vec![selector],
            ExprKind::Subquery(subquery) => subquery.expr.selectors(),
            _ => self.children().into_iter().flat_map(Self::ranges).collect(),
        }
    }

    /// Whether the expression reads samples that are not the newest ones of their series: by a range, a subquery, an offset or `@`.
    #[must_use]
    pub fn reads_past(&self) -> bool {
        match &self.kind {
            ExprKind::Selector(selector) => selector.shift.offset.is_some() || selector.shift.at.is_some(),
            ExprKind::Matrix(..) | ExprKind::Subquery(_) => true,
            _ => self.children().into_iter().any(Self::reads_past),
        }
    }

    /// Every selector in the expression, in the order of the source.
    #[must_use]
    pub fn selectors(&self) -> Vec<&Selector> {
        match &self.kind {
            ExprKind::Selector(selector) | ExprKind::Matrix(selector, _) => vec![selector],
            _ => self.children().into_iter().flat_map(Self::selectors).collect(),
        }
    }
}

/// Which series, and at which time.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// All of them must hold; the metric's name is a matcher of `__name__`.
    pub matchers: Vec<Matcher>,
    /// Shifts the time.
    pub shift: Shift,
}

impl Selector {
    /// The metric's name, where the selector asks for exactly one.
    #[must_use]
    pub fn metric_name(&self) -> Option<&str> {
        self.matchers.iter().find_map(|matcher| match &matcher.test {
            Test::Equal(value) if matcher.label == METRIC_NAME && !value.is_empty() => Some(&**value),
            _ => None,
        })
    }

    /// Whether a series matches.
    #[must_use]
    pub fn matches(&self, labels: &impl LabelValues) -> bool {
        self.matchers.iter().all(|matcher| matcher.test.holds(labels.value_of(&matcher.label)))
    }

    /// Whether series of this metric name can match.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.matchers.iter().filter(|matcher| matcher.label == METRIC_NAME).all(|matcher| matcher.test.holds(name))
    }
}

/// `offset` and `@`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shift {
    /// How far into the past; into the future where it is negative.
    pub offset: Option<Duration>,
    /// The time that is used instead of the evaluation's.
    pub at: Option<At>,
}

/// The time of an `@` modifier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// Milliseconds since the Unix epoch.
    Time(i64),
    /// `start()`: the first evaluation of the query.
    Start,
    /// `end()`: the last evaluation of the query.
    End,
}

/// A condition on one label.
#[derive(Clone, Debug, PartialEq)]
pub struct Matcher {
    /// The label's name.
    pub label: String,
    /// What its value must satisfy; a missing label has the empty value.
    pub test: Test,
}

/// A condition on a label's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// `=`
    Equal(String),
    /// `!=`
    NotEqual(String),
    /// `=~`
    Matches(Pattern),
    /// `!~`
    DoesNotMatch(Pattern),
}

impl Test {
    /// Whether a value satisfies the condition.
    #[must_use]
    pub fn holds(&self, value: &str) -> bool {
        match self {
            Self::Equal(wanted) => value == wanted,
            Self::NotEqual(unwanted) => value != unwanted,
            Self::Matches(pattern) => pattern.matches(value),
            Self::DoesNotMatch(pattern) => !pattern.matches(value),
        }
    }
}

/// `expr[range:step]`
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What is evaluated at each step.
    pub expr: Expr,
    /// How far back it goes.
    pub range: Duration,
    /// The time between two evaluations; Prometheus's default evaluation interval where none is given.
    pub step: Duration,
    /// Shifts the time.
    pub shift: Shift,
}

/// An operator between two expressions.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// Which operator.
    pub op: BinaryOp,
    /// The left operand.
    pub lhs: Expr,
    /// The right operand.
    pub rhs: Expr,
    /// A comparison that gives 0 or 1 instead of filtering.
    pub returns_bool: bool,
    /// How the elements of two vectors are matched.
    pub matching: Matching,
}

/// How the elements of two vectors are matched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// Whether `labels` are those that count (`on`) or those that do not (`ignoring`).
    pub on: bool,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// The side that may have several elements for one of the other.
    pub group: Option<Group>,
    /// Labels that `group_left` or `group_right` copies from the side with one element.
    pub include: Vec<String>,
}

/// Which side has the many elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// `group_left`: the left side.
    Left,
    /// `group_right`: the right side.
    Right,
}

/// An aggregation over the elements of a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Which aggregation, with the parameter where it takes one.
    pub op: AggregateOp,
    /// The vector that is aggregated.
    pub expr: Expr,
    /// Whether `labels` are dropped (`without`) or kept (`by`).
    pub without: bool,
    /// The labels of `by` or `without`.
    pub labels: Vec<String>,
}

/// The aggregations.
#[derive(Clone, Debug, PartialEq)]
pub enum AggregateOp {
    /// One value of all values of a group.
    Reduce(Reduction),
    /// The highest elements of each group, as many as the parameter says.
    TopK(Expr),
    /// The lowest elements of each group, as many as the parameter says.
    BottomK(Expr),
    /// The φ-quantile of the values of a group.
    Quantile(Expr),
    /// How many elements of a group have each value; the value goes into the label of this name.
    CountValues(String),
}

/// The aggregations of values alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Reduction {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
}

impl AggregateOp {
    /// The expression that says how many elements, or which quantile.
    pub fn param(&self) -> Option<&Expr> {
        match self {
            Self::TopK(param) | Self::BottomK(param) | Self::Quantile(param) => Some(param),
            Self::Reduce(_) | Self::CountValues(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_calculated_of_numbers_alone_is_one_number() {
        for (source, wanted) in [
            ("a < 4 * 1024^4", vec![4_398_046_511_104.0]),
            ("sum(a) / -(2 + 3) != bool 12.5 == 1", vec![-5.0, 12.5, 1.0]),
            ("quantile(0.9, a) > (1 > bool 2)", vec![0.9, 0.0]),
            ("a > b", vec![]),
        ] {
            assert_eq!(crate::promql::parse(source).unwrap().constants(), wanted, "{source}");
        }
    }
}
