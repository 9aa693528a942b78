//! The tree of a PromQL expression. A tree that [`super::parse`] returns is well typed.

use std::fmt;
use std::ops::Range;

use super::functions::Function;
use crate::Pattern;
use crate::labels::{Labels, METRIC_NAME};

/// An expression and the bytes of the source that it stands in.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Range<usize>,
}

/// The kinds of expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A number, or a duration in seconds.
    Number(f64),
    /// A string literal.
    String(String),
    /// An instant-vector selector.
    Selector(Selector),
    /// A range-vector selector: a selector and the range in milliseconds.
    Matrix(Selector, i64),
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
    Call(&'static Function, Vec<Expr>),
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
            ExprKind::Call(function, _) => function.returns,
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

    /// The expressions that this one is made of.
    #[must_use]
    pub fn children(&self) -> Vec<&Self> {
        match &self.kind {
            ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Selector(_) | ExprKind::Matrix(..) => Vec::new(),
            ExprKind::Subquery(subquery) => vec![&subquery.expr],
            ExprKind::Paren(inner) | ExprKind::Negate(inner) => vec![inner],
            ExprKind::Binary(binary) => vec![&binary.lhs, &binary.rhs],
            ExprKind::Aggregate(aggregate) => aggregate.param.iter().chain([&aggregate.expr]).collect(),
            ExprKind::Call(_, args) => args.iter().collect(),
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
    /// All of them must hold; the metric's name is a matcher on `__name__`.
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
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matchers.iter().all(|matcher| matcher.test.holds(labels.get(&matcher.label)))
    }

    /// Whether series of this metric name can match.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        self.matchers.iter().filter(|matcher| matcher.label == METRIC_NAME).all(|matcher| matcher.test.holds(name))
    }
}

/// `offset` and `@`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shift {
    /// Milliseconds into the past.
    pub offset: Option<i64>,
    /// The time that stands instead of the evaluation's.
    pub at: Option<At>,
}

/// The time of an `@` modifier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum At {
    /// Milliseconds since the Unix epoch.
    Time(i64),
    /// `start()` or `end()`: of an instant query, both are its time.
    Query,
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
    /// Milliseconds.
    pub range: i64,
    /// Milliseconds; Prometheus's default evaluation interval where none is given.
    pub step: i64,
    /// Shifts the time.
    pub shift: Shift,
}

/// An operator between two expressions.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// The left side.
    pub lhs: Expr,
    /// The right side.
    pub rhs: Expr,
    /// A comparison that gives 0 or 1 instead of filtering.
    pub returns_bool: bool,
    /// How the elements of two vectors find each other.
    pub matching: Matching,
}

/// How the elements of two vectors find each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matching {
    /// Whether `labels` are those that count (`on`) or those that do not (`ignoring`).
    pub on: bool,
    /// The labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// The side that may have several elements for one of the other.
    pub group: Option<Group>,
    /// Labels that `group_left` or `group_right` takes over from the side with one element.
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

/// The binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    And,
    Or,
    Unless,
}

impl BinaryOp {
    /// How tightly the operator binds: a higher number binds first.
    #[must_use]
    pub fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And | Self::Unless => 2,
            _ if self.is_comparison() => 3,
            Self::Add | Self::Sub => 4,
            Self::Pow => 6,
            _ => 5,
        }
    }

    /// Whether it compares.
    #[must_use]
    pub fn is_comparison(self) -> bool {
        matches!(
            self,
            Self::Equal | Self::NotEqual | Self::Less | Self::LessOrEqual | Self::Greater | Self::GreaterOrEqual
        )
    }

    /// Whether it joins sets of elements.
    #[must_use]
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }

    /// As it is written.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
        }
    }
}

/// An aggregation over the elements of a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Which.
    pub op: AggregateOp,
    /// The parameter that `topk`, `bottomk`, `quantile` and `count_values` take.
    pub param: Option<Expr>,
    /// What is aggregated.
    pub expr: Expr,
    /// Whether `labels` are dropped (`without`) or kept (`by`).
    pub without: bool,
    /// The labels of `by` or `without`.
    pub labels: Vec<String>,
}

/// The aggregations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum AggregateOp {
    Sum,
    Avg,
    Min,
    Max,
    Count,
    Group,
    Stddev,
    Stdvar,
    TopK,
    BottomK,
    Quantile,
    CountValues,
}

impl AggregateOp {
    /// The operator of a name in lower case.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "sum" => Self::Sum,
            "avg" => Self::Avg,
            "min" => Self::Min,
            "max" => Self::Max,
            "count" => Self::Count,
            "group" => Self::Group,
            "stddev" => Self::Stddev,
            "stdvar" => Self::Stdvar,
            "topk" => Self::TopK,
            "bottomk" => Self::BottomK,
            "quantile" => Self::Quantile,
            "count_values" => Self::CountValues,
            _ => return None,
        })
    }

    /// The type of its parameter, if it takes one.
    #[must_use]
    pub fn param(self) -> Option<Type> {
        match self {
            Self::TopK | Self::BottomK | Self::Quantile => Some(Type::Scalar),
            Self::CountValues => Some(Type::String),
            _ => None,
        }
    }
}
