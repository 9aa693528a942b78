#![doc = include_str!("../README.md")]

pub mod exposition;
pub mod labels;
pub mod number;
mod pattern;
pub mod promql;
pub mod series;
mod similar;

pub use exposition::{Exposition, Format, ParseError};
pub use labels::Labels;
pub use pattern::Pattern;
pub use promql::{Element, Evaluator, Expr, Value, parse};
pub use series::{Point, Series, Storage};
pub use similar::similar;
