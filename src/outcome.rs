//! What was seen: plain data between the checks and the reports.

use std::time::{Duration, SystemTime};

/// How a check or an observation ended. There is no default: nothing is a pass unless it was seen to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Seen to be good.
    Pass,
    /// Seen to be bad, and allowed to be.
    Warn,
    /// Seen to be bad.
    Fail,
    /// Not looked at.
    Skipped,
    /// Could not be seen.
    Error,
}

impl Status {
    /// The word for it in the reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
            Self::Error => "error",
        }
    }
}

/// The verdict of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Promote.
    Pass,
    /// Roll back.
    Fail,
    /// Not reached; as good as a failure to whoever promotes.
    Error,
}

impl Verdict {
    /// The word for it in the reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Error => "error",
        }
    }

    /// The exit code of the process.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Error => 3,
        }
    }
}

/// What one check came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The check's name.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// Whether a failure of it fails the gate.
    pub blocking: bool,
    /// How many times it was tried.
    pub attempts: u32,
    /// How long it took.
    pub duration: Duration,
    /// How long it was allowed to take.
    pub limit: Duration,
    /// One line: why it ended so.
    pub detail: String,
    /// What it saw on the way.
    pub observations: Vec<Observation>,
}

/// One thing that a check saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// What kind of thing.
    pub kind: ObservationKind,
    /// Its name: a path, a family, a threshold.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// One line.
    pub detail: String,
    /// What a threshold saw.
    pub threshold: Option<ThresholdSeen>,
}

/// The kinds of observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObservationKind {
    /// A request and its answer.
    Request,
    /// A script, a style sheet or a preloaded module of a page.
    Asset,
    /// A family that must be declared.
    Family,
    /// A threshold.
    Threshold,
    /// Something that a person should know.
    Note,
}

impl ObservationKind {
    /// The word for it in the reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Asset => "asset",
            Self::Family => "family",
            Self::Threshold => "threshold",
            Self::Note => "note",
        }
    }
}

/// The three answers of a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThresholdVerdict {
    /// Every element satisfies it.
    Pass,
    /// One does not.
    Fail,
    /// It cannot be told.
    NoData,
}

impl ThresholdVerdict {
    /// The word for it in the reports.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NoData => "no_data",
        }
    }
}

/// What a threshold saw.
#[derive(Clone, Debug, PartialEq)]
pub struct ThresholdSeen {
    /// The PromQL expression.
    pub expression: String,
    /// Its answer.
    pub verdict: ThresholdVerdict,
    /// Whether it blocks.
    pub blocking: bool,
    /// The elements compared, the worst first.
    pub elements: Vec<ElementSeen>,
}

/// One element that a threshold compared.
#[derive(Clone, Debug, PartialEq)]
pub struct ElementSeen {
    /// Names and values of its labels.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: f64,
    /// What it was compared with; nothing for an alert, whose expression holds its limit.
    pub limit: Option<f64>,
}

/// What a whole run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The canary's address; empty where it was not found out.
    pub url: String,
    /// What is known of the deployment: project, region, service, revision, phase, release, rollout.
    pub deployment: Vec<(String, String)>,
    /// When the run began.
    pub started_at: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// The checks in their order.
    pub checks: Vec<Outcome>,
    /// The signal that ended the run early, if any.
    pub interrupted: Option<&'static str>,
}

impl Summary {
    /// The verdict: a pass only where every check that blocks passed or was switched off by the plan.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let mut verdict = Verdict::Pass;
        for check in &self.checks {
            match check.status {
                Status::Pass | Status::Warn | Status::Skipped => {}
                Status::Fail => {
                    return if self.interrupted.is_some() { Verdict::Error } else { Verdict::Fail };
                }
                Status::Error => verdict = Verdict::Error,
            }
        }
        let seen = self.checks.iter().any(|check| matches!(check.status, Status::Pass | Status::Warn));
        if self.interrupted.is_some() || !seen { Verdict::Error } else { verdict }
    }

    /// How many warnings there are: checks and observations in them that are warnings.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for check in &self.checks {
            let before = warnings.len();
            for observation in check.observations.iter().filter(|observation| observation.status == Status::Warn) {
                warnings.push(format!("{}: {}: {}", check.name, observation.name, observation.detail));
            }
            if check.status == Status::Warn && warnings.len() == before {
                warnings.push(format!("{}: {}", check.name, check.detail));
            }
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(statuses: &[Status], interrupted: Option<&'static str>) -> Summary {
        let check = |status: &Status| Outcome {
            name: "x".into(),
            status: *status,
            blocking: true,
            attempts: 1,
            duration: Duration::ZERO,
            limit: Duration::ZERO,
            detail: String::new(),
            observations: Vec::new(),
        };
        Summary {
            url: String::new(),
            deployment: Vec::new(),
            started_at: SystemTime::UNIX_EPOCH,
            duration: Duration::ZERO,
            checks: statuses.iter().map(check).collect(),
            interrupted,
        }
    }

    #[test]
    fn only_what_was_seen_to_be_good_passes() {
        use Status::{Error, Fail, Pass, Skipped, Warn};
        for (statuses, interrupted, wanted) in [
            (&[Pass, Pass][..], None, Verdict::Pass),
            (&[Pass, Warn, Skipped], None, Verdict::Pass),
            (&[Pass, Fail, Skipped], None, Verdict::Fail),
            (&[Error, Fail], None, Verdict::Fail),
            (&[Pass, Error], None, Verdict::Error),
            (&[Skipped, Skipped], None, Verdict::Error),
            (&[], None, Verdict::Error),
            (&[Pass, Pass], Some("SIGTERM"), Verdict::Error),
            (&[Pass, Fail], Some("SIGTERM"), Verdict::Error),
        ] {
            assert_eq!(summary(statuses, interrupted).verdict(), wanted, "{statuses:?} {interrupted:?}");
        }
    }
}
