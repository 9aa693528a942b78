//! A line on standard error for each thing that happens.

use std::io::{self, Write as _};

use crate::outcome::{Event, Observer};
use crate::text::{self, Redactor};

/// Prints what it hears, redacted and escaped.
pub(crate) struct Lines {
    names: Vec<String>,
    redactor: Redactor,
}

impl Lines {
    /// `names` are those of the checks, in the plan's order.
    pub(crate) fn new(names: &[String], redactor: &Redactor) -> Self {
        Self { names: names.to_vec(), redactor: redactor.clone() }
    }
}

impl Observer for Lines {
    fn hear(&self, event: &Event) {
        // A person waits for what ends; what is skipped stands in the summary.
        if !matches!(event, Event::Started { .. } | Event::Skipped { .. }) {
            let line = super::sentence(event, &self.names, &self.redactor);
            let _ = writeln!(io::stderr(), "{}", text::escaped(&line));
        }
    }
}
