#![doc = include_str!("../README.md")]

pub mod exposition;
pub mod labels;
pub mod number;
mod pattern;
pub mod promql;
pub mod series;
mod similar;
mod symbols;
mod table;

pub use exposition::{Exposition, Format, ParseError};
pub use labels::Labels;
pub use pattern::Pattern;
pub use promql::{Element, Evaluator, Expr, Value, parse};
pub use series::{Full, Limits, Point, RuleSeries, Series, Storage, Target};
pub use similar::similar;
