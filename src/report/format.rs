//! The formats of reports.

use super::json;
use crate::outcome::Summary;

/// A format that a report can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// JSON, by `report.schema.json`.
    Json,
    /// What the verdict rests on, for `replay`.
    Evidence,
}

impl Format {
    pub(crate) const ALL: [Self; 2] = [Self::Json, Self::Evidence];

    /// As `--report NAME=PATH` names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Evidence => "evidence",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The report of a run.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub(crate) fn render(self, summary: &Summary) -> Result<String, String> {
        match self {
            Self::Json => json::render(summary),
            Self::Evidence => Err("evidence is recorded while a run goes on, and not made of its summary".into()),
        }
    }
}
