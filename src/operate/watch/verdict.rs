//! What a rollout proves of the phase that is asked for. Pure.

use std::fmt;

use crate::google::deploy::{JobState, PhaseState, Rollout, RolloutState};
use crate::google::short;
use crate::text;

/// How a rollout stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    /// Its end is not seen yet.
    Going,
    /// The phase and its verify job succeeded.
    Verified,
    /// It failed; automation may repair it.
    Failed(Why),
    /// It will not be what was asked for.
    Not(Why),
}

/// Why a rollout is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Ended(RolloutState, String),
    /// By these rollouts.
    RolledBack(Vec<String>),
    /// It has these phases.
    NoPhase(String, Vec<String>),
    Phase(String, PhaseState, String),
    /// The phase succeeded, and nobody verified it.
    Unverified(String, Option<JobState>),
    /// Two phases or more have the name.
    Ambiguous(String),
}

/// How a rollout stands to a phase. For the last phase, the rollout has to have succeeded as a whole.
#[expect(clippy::match_same_arms, reason = "one arm a case, in the order in which they are told apart")]
pub(crate) fn stand(rollout: &Rollout, until: &str) -> Stand {
    use RolloutState::{
        ApprovalRejected, Cancelled, Cancelling, Failed, Halted, InProgress, Pending, PendingApproval, PendingRelease,
        Succeeded, Unknown,
    };
    if !rollout.rolled_back_by_rollouts.is_empty() {
        return Stand::Not(Why::RolledBack(rollout.rolled_back_by_rollouts.clone()));
    }
    let state = rollout.state;
    let ended = || Why::Ended(state, reason(rollout));
    match state {
        Failed => return Stand::Failed(ended()),
        Halted | Cancelled | ApprovalRejected => return Stand::Not(ended()),
        Pending | PendingApproval | PendingRelease | Cancelling | Unknown => return Stand::Going,
        InProgress | Succeeded => {}
    }
    let mut own = rollout.phases.iter().filter(|phase| phase.id == until);
    let Some(phase) = own.next() else {
        // They may not be known yet.
        if rollout.phases.is_empty() && state == InProgress {
            return Stand::Going;
        }
        let known = rollout.phases.iter().map(|phase| phase.id.clone()).collect();
        return Stand::Not(Why::NoPhase(until.into(), known));
    };
    if own.next().is_some() {
        return Stand::Not(Why::Ambiguous(until.into()));
    }
    let phase_is = || Why::Phase(until.into(), phase.state, phase.skip_message.clone());
    let is_last = rollout.phases.last().is_some_and(|last| last.id == until);
    let verified = phase.deployment_jobs.verify_job.as_ref().map(|job| job.state);
    match (phase.state, verified) {
        (PhaseState::Skipped, _) => Stand::Not(phase_is()),
        (PhaseState::Succeeded, Some(JobState::Succeeded)) if is_last && state != Succeeded => Stand::Going,
        (PhaseState::Succeeded, Some(JobState::Succeeded)) => Stand::Verified,
        (PhaseState::Succeeded, Some(JobState::Pending | JobState::InProgress | JobState::Unknown))
            if state == InProgress =>
        {
            Stand::Going
        }
        (PhaseState::Succeeded, verified) => Stand::Not(Why::Unverified(until.into(), verified)),
        (
            PhaseState::Pending
            | PhaseState::InProgress
            | PhaseState::Failed
            | PhaseState::Aborted
            | PhaseState::Unknown,
            _,
        ) if state == InProgress => Stand::Going,
        (
            PhaseState::Pending
            | PhaseState::InProgress
            | PhaseState::Failed
            | PhaseState::Aborted
            | PhaseState::Unknown,
            _,
        ) => Stand::Not(phase_is()),
    }
}

/// The verify jobs of the phases in front of one that did not succeed. What was skipped with its phase was never there.
pub(super) fn passed_over(rollout: &Rollout, until: &str) -> Vec<(String, JobState)> {
    let before = rollout.phases.iter().take_while(|phase| phase.id != until);
    let ran = before.filter(|phase| phase.state != PhaseState::Skipped);
    let jobs = ran.filter_map(|phase| Some((phase.id.clone(), phase.deployment_jobs.verify_job.as_ref()?.state)));
    jobs.filter(|(_, state)| *state != JobState::Succeeded).collect()
}

/// What a rollout says of its failure.
pub(super) fn reason(rollout: &Rollout) -> String {
    let parts = [&rollout.failure_reason, &rollout.deploy_failure_cause];
    parts.into_iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(state, why) => write!(f, "the rollout {}{}", rollout_is(*state), because(why)),
            Self::RolledBack(by) => {
                let by: Vec<String> = by.iter().map(|name| short(name)).collect();
                write!(f, "the rollout was rolled back by {}", by.join(", "))
            }
            Self::NoPhase(phase, known) => {
                write!(f, "the rollout has no phase {phase}; there are {}", text::joined(known, 10, ", "))
            }
            Self::Phase(phase, PhaseState::Skipped, why) => write!(
                f,
                "the phase {phase} was skipped{} (the first release of a service has no canary: ask for --until stable)",
                because(why)
            ),
            Self::Phase(phase, state, why) => write!(f, "the phase {phase} {}{}", phase_is(*state), because(why)),
            Self::Unverified(phase, None) => {
                write!(f, "the phase {phase} succeeded, and has no verify job: nothing was verified")
            }
            Self::Unverified(phase, Some(job)) => {
                write!(f, "the phase {phase} succeeded, and its verify job {}: nothing was verified", job_is(*job))
            }
            Self::Ambiguous(phase) => write!(f, "the rollout has several phases {phase}"),
        }
    }
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

/// What a rollout does or is, in words.
pub(crate) fn rollout_is(state: RolloutState) -> &'static str {
    match state {
        RolloutState::PendingRelease => "waits for its release to be rendered",
        RolloutState::Pending => "is pending",
        RolloutState::PendingApproval => "waits for an approval",
        RolloutState::InProgress => "is in progress",
        RolloutState::Succeeded => "succeeded",
        RolloutState::Failed => "failed",
        RolloutState::Halted => "is halted",
        RolloutState::Cancelling => "is being cancelled",
        RolloutState::Cancelled => "was cancelled",
        RolloutState::ApprovalRejected => "was rejected",
        RolloutState::Unknown => "is in a state that is not known",
    }
}

/// As [`rollout_is`], of a phase.
pub(crate) fn phase_is(state: PhaseState) -> &'static str {
    match state {
        PhaseState::Pending => "is pending",
        PhaseState::InProgress => "is in progress",
        PhaseState::Succeeded => "succeeded",
        PhaseState::Failed => "failed",
        PhaseState::Aborted => "was aborted",
        PhaseState::Skipped => "was skipped",
        PhaseState::Unknown => "is in a state that is not known",
    }
}

/// As [`rollout_is`], of a job.
pub(crate) fn job_is(state: JobState) -> &'static str {
    match state {
        JobState::Pending => "is pending",
        JobState::Disabled => "is disabled",
        JobState::InProgress => "is in progress",
        JobState::Succeeded => "succeeded",
        JobState::Failed => "failed",
        JobState::Aborted => "was aborted",
        JobState::Skipped => "was skipped",
        JobState::Ignored => "was ignored",
        JobState::Unknown => "is in a state that is not known",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rollout(state: &str, canary: (&str, &str), stable: (&str, &str)) -> Value {
        let phase = |id: &str, (state, verify): (&str, &str)| {
            let jobs = match verify {
                "" => json!({"deployJob": {"id": "deploy", "state": "SUCCEEDED"}}),
                verify => json!({"verifyJob": {"id": "verify", "state": verify}}),
            };
            json!({"id": id, "state": state, "deploymentJobs": jobs})
        };
        json!({"name": "r", "state": state, "phases": [phase("canary", canary), phase("stable", stable)]})
    }

    fn stand_of(value: Value, until: &str) -> Stand {
        stand(&serde_json::from_value(value).unwrap(), until)
    }

    /// A phase's state and its verify job's.
    type States = (&'static str, &'static str);
    /// The rollout's state, both phases, what is asked for, how it stands.
    type Case = (&'static str, States, States, &'static str, &'static str);

    #[test]
    fn only_a_verified_phase_of_a_rollout_that_goes_well_is_one() {
        const GOOD: (&str, &str) = ("SUCCEEDED", "SUCCEEDED");
        const NOT_YET: (&str, &str) = ("PENDING", "PENDING");
        #[rustfmt::skip]
        let cases: &[Case] = &[
            ("SUCCEEDED", GOOD, GOOD, "stable", "verified"),
            ("SUCCEEDED", GOOD, GOOD, "canary", "verified"),
            ("IN_PROGRESS", GOOD, NOT_YET, "canary", "verified"),
            ("IN_PROGRESS", GOOD, NOT_YET, "stable", "going"),
            // Its own phase is done, and the rollout is not.
            ("IN_PROGRESS", GOOD, GOOD, "stable", "going"),
            ("SUCCEEDED", GOOD, ("SUCCEEDED", "IGNORED"), "stable", "not"),
            ("SUCCEEDED", GOOD, ("SUCCEEDED", "DISABLED"), "stable", "not"),
            ("SUCCEEDED", GOOD, ("SUCCEEDED", "SKIPPED"), "stable", "not"),
            ("SUCCEEDED", GOOD, ("SUCCEEDED", "FAILED"), "stable", "not"),
            ("SUCCEEDED", GOOD, ("SUCCEEDED", "IN_PROGRESS"), "stable", "not"),
            ("SUCCEEDED", GOOD, ("SUCCEEDED", "WONDERFUL"), "stable", "not"),
            ("SUCCEEDED", GOOD, ("SUCCEEDED", ""), "stable", "not"),
            ("SUCCEEDED", GOOD, ("SKIPPED", "SUCCEEDED"), "stable", "not"),
            ("SUCCEEDED", GOOD, ("WONDERFUL", "SUCCEEDED"), "stable", "not"),
            ("SUCCEEDED", ("SKIPPED", "SKIPPED"), GOOD, "canary", "not"),
            ("SUCCEEDED", ("SKIPPED", "SKIPPED"), GOOD, "stable", "verified"),
            // The phase is deployed, and its verification is not at its end.
            ("IN_PROGRESS", ("SUCCEEDED", "PENDING"), NOT_YET, "canary", "going"),
            ("IN_PROGRESS", ("SUCCEEDED", "IN_PROGRESS"), NOT_YET, "canary", "going"),
            // Another phase does not stand for the one that is asked for.
            ("SUCCEEDED", GOOD, GOOD, "production", "not"),
            ("IN_PROGRESS", ("SUCCEEDED", "IGNORED"), NOT_YET, "canary", "not"),
            ("IN_PROGRESS", ("FAILED", "FAILED"), NOT_YET, "canary", "going"),
            ("FAILED", ("FAILED", "FAILED"), NOT_YET, "canary", "failed"),
            ("FAILED", GOOD, ("FAILED", "FAILED"), "canary", "failed"),
            ("FAILED", GOOD, GOOD, "stable", "failed"),
            ("CANCELLED", GOOD, GOOD, "stable", "not"),
            ("HALTED", GOOD, GOOD, "canary", "not"),
            ("APPROVAL_REJECTED", NOT_YET, NOT_YET, "stable", "not"),
            ("PENDING_APPROVAL", NOT_YET, NOT_YET, "stable", "going"),
            ("CANCELLING", GOOD, GOOD, "stable", "going"),
            ("WONDERFUL", GOOD, GOOD, "stable", "going"),
        ];
        for (state, canary, stable, until, wanted) in cases {
            let found = match stand_of(rollout(state, *canary, *stable), until) {
                Stand::Going => "going",
                Stand::Verified => "verified",
                Stand::Failed(_) => "failed",
                Stand::Not(_) => "not",
            };
            assert_eq!(found, *wanted, "{state} {canary:?} {stable:?} {until}");
        }
    }

    #[test]
    fn what_was_rolled_back_is_not_verified_whatever_its_states_say() {
        let mut value = rollout("SUCCEEDED", ("SUCCEEDED", "SUCCEEDED"), ("SUCCEEDED", "SUCCEEDED"));
        value["rolledBackByRollouts"] = json!(["a/rollouts/b-to-run-0002"]);
        let Stand::Not(why) = stand_of(value, "stable") else { panic!("it is verified") };
        assert_eq!(why.to_string(), "the rollout was rolled back by b-to-run-0002");
        let ignored: Rollout =
            serde_json::from_value(rollout("SUCCEEDED", ("SUCCEEDED", "IGNORED"), ("SUCCEEDED", "SUCCEEDED"))).unwrap();
        assert_eq!(passed_over(&ignored, "stable"), [("canary".to_owned(), JobState::Ignored)]);
        assert_eq!(passed_over(&ignored, "canary"), []);
        let first: Rollout =
            serde_json::from_value(rollout("SUCCEEDED", ("SKIPPED", "SKIPPED"), ("SUCCEEDED", "SUCCEEDED"))).unwrap();
        assert_eq!(passed_over(&first, "stable"), []);
        let mut twice = rollout("SUCCEEDED", ("SUCCEEDED", "SUCCEEDED"), ("SUCCEEDED", "SUCCEEDED"));
        twice["phases"][0]["id"] = json!("stable");
        assert_eq!(stand_of(twice, "stable"), Stand::Not(Why::Ambiguous("stable".into())));
        assert_eq!(stand_of(json!({"state": "IN_PROGRESS"}), "stable"), Stand::Going);
        assert!(matches!(stand_of(json!({"state": "SUCCEEDED"}), "stable"), Stand::Not(Why::NoPhase(..))));
    }
}
