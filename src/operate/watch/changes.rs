//! What changed from one look at a rollout to the next. Pure.

use std::collections::BTreeMap;

use crate::google::deploy::{Job, JobState, PhaseState, Rollout, RolloutState};

use super::event::Happened;
use super::verdict::reason;

/// What was seen of a rollout so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    rollout: Option<RolloutState>,
    phases: BTreeMap<String, PhaseState>,
    /// By phase and job: the state, and the run that it is of.
    jobs: BTreeMap<(String, String), (JobState, String)>,
    approval: bool,
}

/// A change, and the job whose cause is to be looked for.
pub(super) enum Change {
    Told(Happened),
    JobFailed(String, Job),
}

impl Seen {
    /// What is new, in the order in which it happened as far as that can be told.
    pub(super) fn changes(&mut self, rollout: &Rollout) -> Vec<Change> {
        let mut changes = Vec::new();
        let moved = self.rollout.replace(rollout.state) != Some(rollout.state);
        let told = Happened::Rollout { rollout: rollout.name.clone(), state: rollout.state, why: reason(rollout) };
        let ends = rollout.state.is_final();
        if moved && !ends {
            changes.push(Change::Told(told.clone()));
        }
        let wants_approval = rollout.state == RolloutState::PendingApproval;
        if wants_approval && !std::mem::replace(&mut self.approval, wants_approval) {
            changes.push(Change::Told(Happened::ApprovalWanted { rollout: rollout.name.clone() }));
        }
        for phase in &rollout.phases {
            let before = self.phases.insert(phase.id.clone(), phase.state);
            let moved = before != Some(phase.state) && phase.state != PhaseState::Pending;
            let told = Happened::Phase { phase: phase.id.clone(), state: phase.state, why: phase.skip_message.clone() };
            let begins = phase.state == PhaseState::InProgress;
            if moved && begins {
                changes.push(Change::Told(told.clone()));
            }
            for job in phase.deployment_jobs.all() {
                // Of a phase that is over before it was looked at, what stands is told; of one that is skipped, nothing.
                if phase.state != PhaseState::Skipped {
                    self.job(&phase.id, job, &mut changes);
                }
            }
            if moved && !begins {
                changes.push(Change::Told(told));
            }
        }
        if moved && ends {
            changes.push(Change::Told(told));
        }
        changes
    }

    fn job(&mut self, phase: &str, job: &Job, changes: &mut Vec<Change>) {
        let now = (job.state, job.job_run.clone());
        let before = self.jobs.insert((phase.to_owned(), job.id.clone()), now.clone());
        if before.as_ref() == Some(&now) || job.state == JobState::Pending {
            return;
        }
        match job.state {
            JobState::Failed => changes.push(Change::JobFailed(phase.to_owned(), job.clone())),
            // What an unfinished phase never came to.
            JobState::Aborted if job.job_run.is_empty() => {}
            state => changes.push(Change::Told(Happened::Job {
                phase: phase.to_owned(),
                job: job.id.clone(),
                state,
                cause: None,
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(seen: &mut Seen, state: &str, phase: &str, verify: &str, run: &str) -> Vec<String> {
        let rollout: Value = json!({"name": "r", "state": state, "phases": [{"id": "canary", "state": phase,
            "deploymentJobs": {"verifyJob": {"id": "verify", "state": verify, "jobRun": run}}}]});
        let changes = seen.changes(&serde_json::from_value(rollout).unwrap());
        let word = |change: &Change| match change {
            Change::Told(Happened::Rollout { state, .. }) => format!("rollout {state:?}"),
            Change::Told(Happened::Phase { state, .. }) => format!("phase {state:?}"),
            Change::Told(Happened::Job { state, .. }) => format!("job {state:?}"),
            Change::Told(other) => format!("{other:?}"),
            Change::JobFailed(phase, job) => format!("{} of {phase} failed", job.id),
        };
        changes.iter().map(word).collect()
    }

    #[test]
    fn each_transition_is_told_once_and_a_second_failure_is_another() {
        let mut seen = Seen::default();
        assert_eq!(told(&mut seen, "PENDING", "PENDING", "PENDING", ""), ["rollout Pending"]);
        assert_eq!(
            told(&mut seen, "IN_PROGRESS", "IN_PROGRESS", "IN_PROGRESS", "1"),
            ["rollout InProgress", "phase InProgress", "job InProgress"]
        );
        assert_eq!(told(&mut seen, "IN_PROGRESS", "IN_PROGRESS", "IN_PROGRESS", "1"), [""; 0]);
        assert_eq!(
            told(&mut seen, "FAILED", "FAILED", "FAILED", "1"),
            ["verify of canary failed", "phase Failed", "rollout Failed"]
        );
        // The retry was not seen to run, and failed too.
        assert_eq!(told(&mut seen, "FAILED", "FAILED", "FAILED", "2"), ["verify of canary failed"]);
        assert_eq!(
            told(&mut seen, "SUCCEEDED", "SUCCEEDED", "IGNORED", "2"),
            ["job Ignored", "phase Succeeded", "rollout Succeeded"]
        );
    }
}
