//! Thresholds: PromQL comparisons that must hold.

use super::Alert;
use promeval::promql::ast::{Binary, Expr, ExprKind, Type};
use promeval::promql::{Error, parse};

/// What must hold of the metrics.
#[derive(Clone, Debug)]
pub struct Threshold {
    /// The name a person gave it, if any.
    pub name: Option<String>,
    /// What it says.
    pub rule: Rule,
    /// Whether a failure fails the gate.
    pub blocking: bool,
    /// What no data comes to.
    pub on_no_data: NoData,
}

impl Threshold {
    /// The name, or the expression where it has none.
    #[must_use]
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(self.rule.source())
    }
}

/// What a threshold says.
#[derive(Clone, Debug)]
pub enum Rule {
    /// A comparison that must hold.
    Holds(Comparison),
    /// An alert that must not fire.
    Silent(Alert),
}

impl Rule {
    /// The expression as it is written.
    #[must_use]
    pub fn source(&self) -> &str {
        match self {
            Self::Holds(comparison) => &comparison.source,
            Self::Silent(alert) => &alert.source,
        }
    }

    /// The expression.
    #[must_use]
    pub fn expr(&self) -> &Expr {
        match self {
            Self::Holds(comparison) => comparison.expr(),
            Self::Silent(alert) => &alert.expr,
        }
    }
}

/// What a threshold without data comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoData {
    /// As if it had failed.
    Fail,
    /// A warning.
    Warn,
    /// As if it had held.
    Pass,
}

/// A PromQL expression of the form `lhs CMP rhs` that is an instant vector.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// As it is written, without the white space around it.
    pub source: String,
    expr: Expr,
    parts: Binary,
}

impl Comparison {
    /// Parses and checks an expression.
    ///
    /// # Errors
    /// PromQL that does not parse, another type than an instant vector, or another operator than a comparison.
    pub fn parse(source: &str) -> Result<Self, Error> {
        let source = source.trim();
        let expr = parse(source)?;
        let found = expr.value_type();
        if found != Type::Vector {
            let hint = if found == Type::Scalar { "; wrap a scalar in vector(), or leave scalar() out" } else { "" };
            let message = format!("a threshold compares an instant vector, and this is {found}{hint}");
            return Err(Error::new(message, expr.span));
        }
        match &expr.unwrapped().kind {
            ExprKind::Binary(parts) if parts.op.is_comparison() => {
                let parts = (**parts).clone();
                Ok(Self { source: source.to_owned(), expr, parts })
            }
            ExprKind::Binary(parts) if parts.op.is_set() => {
                let message = format!(
                    "a threshold is one comparison, and this joins two with {}: write each as a threshold of its own",
                    parts.op.symbol()
                );
                Err(Error::new(message, expr.span.clone()))
            }
            _ => {
                let message = "a threshold is a comparison, such as sum(errors_total) <= 2; this has no limit to hold";
                Err(Error::new(message, expr.span.clone()))
            }
        }
    }

    /// The whole expression.
    #[must_use]
    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// The comparison: its sides and its operator.
    #[must_use]
    pub fn parts(&self) -> &Binary {
        &self.parts
    }

    /// The metric names that the expression asks for, each once.
    #[must_use]
    pub fn metric_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.expr.selectors().into_iter().filter_map(|selector| selector.metric_name()) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_comparisons_of_vectors_are_thresholds() {
        for source in
            ["a <= 2", "(sum(a) or vector(0)) <= 2", "((a > bool 1))", "2 > a", "a > on(x) b", "vector(1) > 0"]
        {
            assert!(Comparison::parse(source).is_ok(), "{source}");
        }
        for (source, piece) in [
            ("a", "is a comparison"),
            ("a + 1", "is a comparison"),
            ("a > 1 and b > 2", "a threshold of its own"),
            ("1 > bool 2", "this is a scalar"),
            ("\"text\"", "this is a string"),
            ("a[5m]", "this is a range vector"),
            ("a >", "unexpected end"),
            ("1 > 2", "must use bool"),
        ] {
            let error = Comparison::parse(source).unwrap_err();
            assert!(error.message.contains(piece), "{source}: {error}");
        }
    }

    #[test]
    fn the_names_asked_for_are_known() {
        let comparison = Comparison::parse("sum(a) / (sum(a) + sum(rate(b{x=\"1\"}[5m]))) > 0.8").unwrap();
        assert_eq!(comparison.metric_names(), ["a", "b"]);
    }
}
