//! Thresholds: PromQL comparisons that must hold.

use serde::Deserialize;

use super::Alert;
use crate::outcome::{Severity, Source, Status};
use promeval::promql::ast::{Binary, Expr, ExprKind, Type};
use promeval::promql::{Error, parse};

/// What must hold of the metrics.
#[derive(Clone, Debug)]
pub(crate) struct Threshold {
    /// The name a person gave it, if any.
    pub(crate) name: Option<String>,
    /// What it says.
    pub(crate) rule: Rule,
    pub(crate) severity: Severity,
    pub(crate) on_no_data: OnNoData,
    /// In the checks file, or the rules file that an alert comes from; nothing for the embedded default and for flags.
    pub(crate) place: Option<Source>,
}

impl Threshold {
    /// The name, or the expression where it has none.
    pub(crate) fn label(&self) -> &str {
        self.name.as_deref().unwrap_or(self.rule.source())
    }
}

/// What a threshold says.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    /// A comparison that must hold.
    Holds(ThresholdExpr),
    /// An alert that must not fire.
    Silent(Alert),
}

impl Rule {
    /// The expression as it is written.
    pub(crate) fn source(&self) -> &str {
        match self {
            Self::Holds(comparison) => &comparison.source,
            Self::Silent(alert) => &alert.source,
        }
    }

    /// The expression.
    pub(crate) fn expr(&self) -> &Expr {
        match self {
            Self::Holds(comparison) => comparison.expr(),
            Self::Silent(alert) => &alert.expr,
        }
    }
}

/// What a threshold without data comes to.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnNoData {
    /// As if the threshold had failed.
    Fail,
    /// A warning.
    Warn,
    /// As if the threshold had held.
    Pass,
}

impl OnNoData {
    /// Where the plan says nothing of it: what must hold must be seen.
    pub(crate) fn of(severity: Severity) -> Self {
        match severity {
            Severity::Block => Self::Fail,
            Severity::Warn => Self::Warn,
        }
    }

    /// What it does to the check.
    pub(crate) fn status(self) -> Status {
        match self {
            Self::Fail => Status::Fail,
            Self::Warn => Status::Warn,
            Self::Pass => Status::Pass,
        }
    }
}

/// A PromQL expression of the form `lhs CMP rhs` that is an instant vector.
#[derive(Clone, Debug)]
pub(crate) struct ThresholdExpr {
    /// As it is written, without the white space around it.
    pub(crate) source: String,
    expr: Expr,
    parts: Binary,
}

impl ThresholdExpr {
    /// Parses and checks an expression.
    ///
    /// # Errors
    /// PromQL that does not parse, another type than an instant vector, or another operator than a comparison.
    pub(crate) fn parse(source: &str) -> Result<Self, Error> {
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
    pub(crate) fn expr(&self) -> &Expr {
        &self.expr
    }

    /// The comparison: its sides and its operator.
    pub(crate) fn parts(&self) -> &Binary {
        &self.parts
    }

    /// The metric names that the expression asks for, each once.
    pub(crate) fn metric_names(&self) -> Vec<String> {
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
            assert!(ThresholdExpr::parse(source).is_ok(), "{source}");
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
            let error = ThresholdExpr::parse(source).unwrap_err();
            assert!(error.message.contains(piece), "{source}: {error}");
        }
    }

    #[test]
    fn the_names_asked_for_are_known() {
        let comparison = ThresholdExpr::parse("sum(a) / (sum(a) + sum(rate(b{x=\"1\"}[5m]))) > 0.8").unwrap();
        assert_eq!(comparison.metric_names(), ["a", "b"]);
    }
}
