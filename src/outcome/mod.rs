//! What was seen: plain data between the checks and whoever shows it.

pub(crate) mod bounds;
mod diagnostic;
mod event;
mod evidence;
mod exit;
mod links;
mod observation;
mod summary;

use serde::{Deserialize, Serialize};

pub(crate) use diagnostic::{Diagnostic, Place, Source};
pub(crate) use event::{CheckId, Event, Observer, ValueNow};
pub(crate) use evidence::{Exchange, Judged, Round, Scrape, ScrapeFormat, Side, SideSeen};
pub use exit::Exit;
pub(crate) use links::Link;
pub(crate) use observation::{
    Cause, Course, CoursePoint, ElementSeen, Observation, Seen, ThresholdSeen, ThresholdVerdict, worst,
};
pub(crate) use summary::{DeploymentFacts, Outcome, Purpose, Retry, Serving, Share, Summary, Unfinished, shares};

/// How a check or an observation ended. There is no default: nothing is a pass unless it was seen to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Seen to be good.
    Pass,
    /// Seen to be bad, and allowed to be.
    Warn,
    /// Seen to be bad.
    Fail,
    /// Not looked at, because the plan says so or because of what failed before.
    Skipped,
    /// Could not be seen.
    Error,
}

impl Status {
    /// As it stands in the reports.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
            Self::Error => "error",
        }
    }
}

/// What a failure does to the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    /// A failure fails the gate.
    Block,
    /// A failure is reported and does not change the verdict.
    Warn,
}

/// What an ending counts for, given the severity of what ended: the one place where a severity changes a status. What only
/// warns never decides, neither by failing nor by staying unseen.
pub(crate) fn effect(status: Status, severity: Severity) -> Status {
    match (status, severity) {
        (Status::Fail | Status::Error, Severity::Warn) => Status::Warn,
        (Status::Pass | Status::Warn | Status::Fail | Status::Skipped | Status::Error, _) => status,
    }
}

/// The verdict of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Promote.
    Pass,
    /// Roll back.
    Fail,
    /// Not reached; as good as a failure to whoever promotes.
    Error,
}

impl Verdict {
    /// As it stands in the reports.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Error => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_severity_changes_failures_and_errors_only() {
        use Severity::{Block, Warn as Warning};
        for (status, severity, wanted) in [
            (Status::Pass, Block, Status::Pass),
            (Status::Pass, Warning, Status::Pass),
            (Status::Warn, Block, Status::Warn),
            (Status::Warn, Warning, Status::Warn),
            (Status::Fail, Block, Status::Fail),
            (Status::Fail, Warning, Status::Warn),
            (Status::Skipped, Block, Status::Skipped),
            (Status::Skipped, Warning, Status::Skipped),
            (Status::Error, Block, Status::Error),
            (Status::Error, Warning, Status::Warn),
        ] {
            assert_eq!(effect(status, severity), wanted, "{status:?} {severity:?}");
        }
    }

    #[test]
    fn the_words_are_those_of_the_reports() {
        for status in [Status::Pass, Status::Warn, Status::Fail, Status::Skipped, Status::Error] {
            assert_eq!(serde_json::to_value(status).unwrap(), status.word());
        }
        for verdict in [Verdict::Pass, Verdict::Fail, Verdict::Error] {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.word());
        }
    }
}
