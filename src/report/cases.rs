//! What a run consists of, case by case, for reports that test tools read: each check, each of its thresholds, and the run
//! itself where no check tells why it did not pass.

use std::time::Duration;

use crate::outcome::{Observation, Outcome, Retry, Seen, Status, Summary, Verdict};

/// One case.
pub(super) struct Case<'s> {
    /// The check that it is, or is a part of.
    pub(super) check: &'s str,
    pub(super) name: &'s str,
    pub(super) status: Status,
    /// One line: why it ended so.
    pub(super) detail: &'s str,
    /// Nothing for a part of a check.
    pub(super) duration: Option<Duration>,
    pub(super) retries: &'s [Retry],
    /// What was seen, where the case is a part of a check.
    pub(super) observation: Option<&'s Observation>,
}

/// The name of the case that stands for the whole run.
const RUN: &str = "verdict";

/// The cases of each check, the check itself first; and those of the run. A run that did not pass has a case that did not.
pub(super) fn of(summary: &Summary) -> Vec<Vec<Case<'_>>> {
    let mut suites: Vec<Vec<Case<'_>>> = summary.checks.iter().map(suite).collect();
    suites.extend(run(summary).map(|case| vec![case]));
    suites
}

fn suite<'o>(check: &'o Outcome) -> Vec<Case<'o>> {
    let own = Case {
        check: &check.name,
        name: &check.name,
        status: check.status,
        detail: &check.detail,
        duration: Some(check.duration),
        retries: &check.retries,
        observation: None,
    };
    let part = |observation: &'o Observation| Case {
        check: &check.name,
        name: &observation.name,
        status: observation.status,
        detail: &observation.detail,
        duration: None,
        retries: &[],
        observation: Some(observation),
    };
    let parts = check.observations.iter().filter(|observation| is_case(observation)).map(part);
    std::iter::once(own).chain(parts).collect()
}

/// Whether something that a check saw is a case of its own: what the plan names one by one.
fn is_case(observation: &Observation) -> bool {
    match observation.seen {
        Seen::Threshold(_) | Seen::Measure => true,
        Seen::Request | Seen::Asset | Seen::Family | Seen::Note => false,
    }
}

fn run(summary: &Summary) -> Option<Case<'_>> {
    let is_told = summary.checks.iter().any(|check| matches!(check.status, Status::Fail | Status::Error));
    let status = match summary.verdict() {
        Verdict::Pass => return None,
        Verdict::Fail => Status::Fail,
        Verdict::Error => Status::Error,
    };
    let detail = match &summary.unfinished {
        Some(unfinished) => &unfinished.cause,
        None if is_told => return None,
        None => "no check was seen to pass",
    };
    Some(Case {
        check: RUN,
        name: RUN,
        status,
        detail,
        duration: Some(summary.duration),
        retries: &[],
        observation: None,
    })
}
