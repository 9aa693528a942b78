//! What is wrong with a plan, and where.

use std::fmt;

use super::file::Place;

/// One sentence about the first thing that is wrong, with its place in the checks file where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// The file, as the person named it; nothing for what comes from the command line.
    pub file: Option<String>,
    /// The place in the file.
    pub place: Option<Place>,
    /// What is wrong, and the way out.
    pub message: String,
}

impl PlanError {
    pub(super) fn new(place: Place, message: impl Into<String>) -> Self {
        Self { file: None, place: (place != Place::default()).then_some(place), message: message.into() }
    }

    pub(super) fn in_file(mut self, file: &str) -> Self {
        // What an inner file said of its own place stays.
        self.file.get_or_insert_with(|| file.to_owned());
        self
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.place) {
            (Some(file), Some(place)) => write!(f, "{file}:{place}: {}", self.message),
            (Some(file), None) => write!(f, "{file}: {}", self.message),
            (None, _) => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for PlanError {}
