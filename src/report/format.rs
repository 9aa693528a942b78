//! The formats of reports.

use super::{github, html, json, junit, markdown, tap};
use crate::outcome::Summary;

/// A format that a report can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// JSON, by `report.schema.json`.
    Json,
    /// The XML of `JUnit`, for the test reports of CI systems.
    Junit,
    /// Markdown: a record of the deployment.
    Markdown,
    /// One page that needs nothing else.
    Html,
    /// The Test Anything Protocol.
    Tap,
    /// Annotations of GitHub Actions.
    Github,
    /// What the verdict rests on, for `replay`.
    Evidence,
}

impl Format {
    pub(crate) const ALL: [Self; 7] =
        [Self::Json, Self::Junit, Self::Markdown, Self::Html, Self::Tap, Self::Github, Self::Evidence];

    /// As `--report NAME=PATH` names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Junit => "junit",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Tap => "tap",
            Self::Github => "github",
            Self::Evidence => "evidence",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// Whether it shows how thresholds went over a window: it costs evaluations that nothing else needs.
    pub(crate) fn draws_courses(self) -> bool {
        match self {
            Self::Html => true,
            Self::Json | Self::Junit | Self::Markdown | Self::Tap | Self::Github | Self::Evidence => false,
        }
    }

    /// The report of a run.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub(crate) fn render(self, summary: &Summary) -> Result<String, String> {
        match self {
            Self::Json => json::render(summary),
            Self::Junit => junit::render(summary),
            Self::Markdown => Ok(markdown::render(summary)),
            Self::Html => Ok(html::render(summary)),
            Self::Tap => Ok(tap::render(summary)),
            Self::Github => Ok(github::render(summary)),
            Self::Evidence => Err("evidence is recorded while a run goes on, and not made of its summary".into()),
        }
    }
}
