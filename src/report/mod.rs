//! What a run came to, written down: one file a format, each a function of the summary.

mod console;
mod file;
mod format;
mod json;

pub(crate) use console::{Style, headline, render as console};
pub(crate) use file::{ReportFile, ReportSpec};
pub(crate) use format::Format;
