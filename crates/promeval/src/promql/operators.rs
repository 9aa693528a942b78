//! The binary operators: how they are written, how tightly they bind, what they calculate.

/// The binary operators, by what they make of their sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    /// A value of two values.
    Arithmetic(ArithmeticOp),
    /// Keeps the left value or not; with `bool`, gives 1 or 0.
    Compare(CompareOp),
    /// Joins the elements of two vectors, whatever their values.
    Set(SetOp),
}

/// The operators that calculate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ArithmeticOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
}

/// The comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum CompareOp {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The operators on sets of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum SetOp {
    And,
    Or,
    Unless,
}

/// Every operator as it is written in lower case.
const OPERATORS: [(&str, BinaryOp); 16] = [
    ("+", BinaryOp::Arithmetic(ArithmeticOp::Add)),
    ("-", BinaryOp::Arithmetic(ArithmeticOp::Sub)),
    ("*", BinaryOp::Arithmetic(ArithmeticOp::Mul)),
    ("/", BinaryOp::Arithmetic(ArithmeticOp::Div)),
    ("%", BinaryOp::Arithmetic(ArithmeticOp::Mod)),
    ("^", BinaryOp::Arithmetic(ArithmeticOp::Pow)),
    ("atan2", BinaryOp::Arithmetic(ArithmeticOp::Atan2)),
    ("==", BinaryOp::Compare(CompareOp::Equal)),
    ("!=", BinaryOp::Compare(CompareOp::NotEqual)),
    ("<", BinaryOp::Compare(CompareOp::Less)),
    ("<=", BinaryOp::Compare(CompareOp::LessOrEqual)),
    (">", BinaryOp::Compare(CompareOp::Greater)),
    (">=", BinaryOp::Compare(CompareOp::GreaterOrEqual)),
    ("and", BinaryOp::Set(SetOp::And)),
    ("or", BinaryOp::Set(SetOp::Or)),
    ("unless", BinaryOp::Set(SetOp::Unless)),
];

impl BinaryOp {
    /// The operator of a symbol or of a keyword in lower case.
    pub(super) fn of(symbol: &str) -> Option<Self> {
        OPERATORS.iter().find(|(written, _)| *written == symbol).map(|(_, op)| *op)
    }

    /// How tightly the operator binds: a higher number binds first.
    pub(super) fn precedence(self) -> u8 {
        match self {
            Self::Set(SetOp::Or) => 1,
            Self::Set(SetOp::And | SetOp::Unless) => 2,
            Self::Compare(_) => 3,
            Self::Arithmetic(ArithmeticOp::Add | ArithmeticOp::Sub) => 4,
            Self::Arithmetic(ArithmeticOp::Mul | ArithmeticOp::Div | ArithmeticOp::Mod | ArithmeticOp::Atan2) => 5,
            Self::Arithmetic(ArithmeticOp::Pow) => POWER,
        }
    }

    /// Whether it compares.
    #[must_use]
    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Compare(_))
    }

    /// Whether it joins sets of elements.
    #[must_use]
    pub fn is_set(self) -> bool {
        matches!(self, Self::Set(_))
    }

    /// The operator as PromQL writes it.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        OPERATORS.iter().find(|(_, op)| *op == self).map_or("", |(written, _)| written)
    }
}

/// The precedence of `^`, which groups from the right; a sign binds just less tightly.
pub(super) const POWER: u8 = 6;

impl ArithmeticOp {
    pub(super) fn apply(self, lhs: f64, rhs: f64) -> f64 {
        match self {
            Self::Add => lhs + rhs,
            Self::Sub => lhs - rhs,
            Self::Mul => lhs * rhs,
            Self::Div => lhs / rhs,
            Self::Mod => lhs % rhs,
            Self::Pow => lhs.powf(rhs),
            Self::Atan2 => libm::atan2(lhs, rhs),
        }
    }
}

impl CompareOp {
    /// Whether the comparison holds; with NaN, only `!=` does.
    pub fn holds(self, lhs: f64, rhs: f64) -> bool {
        match self {
            Self::Equal => lhs == rhs,
            Self::NotEqual => lhs != rhs,
            Self::Less => lhs < rhs,
            Self::LessOrEqual => lhs <= rhs,
            Self::Greater => lhs > rhs,
            Self::GreaterOrEqual => lhs >= rhs,
        }
    }
}
