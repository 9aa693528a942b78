//! PromQL: the instant-query language over float samples, with the semantics of Prometheus 3.
//!
//! The grammar is our own: the public grammar crate rejects one valid query in eight of Prometheus's own tests, weighs
//! 1.4 MB, and brings an unmaintained dependency, while this one points at the place of every error.
//!
//! Language: <https://prometheus.io/docs/prometheus/latest/querying/basics/>.

pub mod ast;
mod duration;
mod eval;
mod functions;
mod kahan;
mod lexer;
mod operators;
mod parser;
mod refused;

use std::fmt;
use std::ops::Range;

pub use ast::Expr;
pub use duration::QueryRange;
pub use eval::{Compared, Comparison, Element, Evaluator, Unseen, Value, compare, holds, range_query};
pub use parser::parse;

pub use crate::similar;

/// Why an expression cannot be parsed or evaluated, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// One sentence.
    pub message: String,
    /// The bytes of the expression that it is about.
    pub span: Range<usize>,
}

impl Error {
    /// An error about a part of an expression.
    pub fn new(message: impl Into<String>, span: Range<usize>) -> Self {
        Self { message: message.into(), span }
    }

    /// The line of the expression that the error is about, and carets under the place.
    #[must_use]
    pub fn caret(&self, expression: &str) -> String {
        let start = expression.floor_char_boundary(self.span.start);
        let end = expression.floor_char_boundary(self.span.end).max(start);
        let line_start = expression[..start].rfind('\n').map_or(0, |at| at + 1);
        let line = expression[line_start..].lines().next().unwrap_or_default();
        let width = expression[start..end].lines().next().unwrap_or_default().chars().count().max(1);
        let indent: String =
            expression[line_start..start].chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        format!("{line}\n{indent}{}", "^".repeat(width))
    }

    /// The column of the place, in characters counted from 1, within its line.
    #[must_use]
    pub fn column(&self, expression: &str) -> usize {
        let start = expression.floor_char_boundary(self.span.start);
        expression[..start].chars().rev().take_while(|c| *c != '\n').count() + 1
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// A duration as Prometheus writes it, such as `1h30m`, in milliseconds: whole numbers with units from the largest to the
/// smallest, each at most once. Nothing where it is not one, or longer than the 292 years that Prometheus can count.
///
/// Source: <https://prometheus.io/docs/prometheus/latest/querying/basics/#float-literals-and-time-durations>.
#[must_use]
pub fn parse_duration(written: &str) -> Option<i64> {
    lexer::duration(written).flatten()
}
