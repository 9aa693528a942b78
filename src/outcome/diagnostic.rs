//! A mistake in something that a person wrote, with its place.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Severity;

/// A line and a column of a text, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Place {
    /// The line.
    pub(crate) line: u64,
    /// The column, in characters.
    pub(crate) column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A place in a file that a person wrote: what something in a report comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Source {
    /// The file as the person named it.
    pub(crate) file: String,
    #[serde(flatten)]
    pub(crate) place: Place,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// The kind of mistake, for machines and for looking it up: `unknown-key`, `wrong-type`.
    pub(crate) code: &'static str,
    pub(crate) severity: Severity,
    /// The file as the person named it; nothing for what comes from the command line.
    pub(crate) file: Option<String>,
    pub(crate) place: Option<Place>,
    /// What is wrong; a second line and those after it show the text concerned.
    pub(crate) message: String,
    /// What to do about it, where the message does not say so.
    pub(crate) help: Option<String>,
}

impl Diagnostic {
    /// A mistake that keeps the plan from being run.
    pub(crate) fn new(code: &'static str, place: Option<Place>, message: impl Into<String>) -> Self {
        Self { code, severity: Severity::Block, file: None, place, message: message.into(), help: None }
    }

    pub(crate) fn in_file(mut self, file: &str) -> Self {
        // What an inner file said of its own place stays.
        self.file.get_or_insert_with(|| file.to_owned());
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.place) {
            (Some(file), Some(place)) => write!(f, "{file}:{place}: ")?,
            (Some(file), None) => write!(f, "{file}: ")?,
            (None, _) => {}
        }
        let (sentence, shown) = self.message.split_once('\n').map_or((&*self.message, None), |(a, b)| (a, Some(b)));
        f.write_str(sentence)?;
        if let Some(help) = &self.help {
            write!(f, "; {help}")?;
        }
        write!(f, " [{}]", self.code)?;
        shown.map_or(Ok(()), |shown| write!(f, "\n{shown}"))
    }
}
