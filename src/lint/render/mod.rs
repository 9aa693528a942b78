//! Findings as text, one file a format.

mod github;
mod json;
mod sarif;
mod text;

use super::Finding;

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    Sarif,
    Github,
}

/// What a run has found.
pub(crate) struct Report<'a> {
    pub(crate) findings: &'a [Finding],
    /// The files that were read.
    pub(crate) files: usize,
    /// The files that were changed.
    pub(crate) fixed: &'a [String],
    /// What stands before the files' names, so that they lead there from where the gate runs.
    pub(crate) folder: &'a str,
}

impl Report<'_> {
    pub(crate) fn render(&self, format: Format) -> String {
        match format {
            Format::Text => text::render(self),
            Format::Json => json::render(self),
            Format::Sarif => sarif::render(self),
            Format::Github => github::render(self),
        }
    }

    /// The findings that count.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.ignored.is_none())
    }

    fn ignored(&self) -> impl Iterator<Item = (&Finding, &super::finding::Ignored)> {
        self.findings.iter().filter_map(|finding| Some((finding, finding.ignored.as_ref()?)))
    }

    /// A file as whoever runs the gate names it.
    fn path(&self, file: &str) -> String {
        format!("{}{file}", self.folder)
    }
}
