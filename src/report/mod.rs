//! What a run came to, written down: one file a format, each a function of the summary.

mod console;
mod file;
mod json;

pub use console::{Style, render as console};
pub use file::{ReportFile, ReportSpec};
pub use json::{SCHEMA_VERSION, render as json};
