//! What happened before: rollouts of a target and records of deployments, as far as they tell which revision was stable.

use std::time::SystemTime;

use crate::google::deploy::{Rollout, RolloutState};
use crate::google::short;

/// A rollout of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Past {
    /// The short name, and the full one.
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) release: String,
    /// When it began to deploy, or else was made.
    pub(crate) began: Option<SystemTime>,
    pub(crate) fate: Fate,
    /// Whether it got as far as deploying something.
    pub(crate) deployed: bool,
    /// The short name of the revision that it deployed, and of the one that it found.
    pub(crate) revision: Option<String>,
    pub(crate) previous: Option<String>,
    /// The rollout that it undoes.
    pub(crate) rollback_of: Option<String>,
    /// Whether it was undone.
    pub(crate) rolled_back: bool,
    /// The full name of the run of automation that is repairing it.
    pub(crate) repaired_by: Option<String>,
}

/// What became of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Succeeded,
    /// It ended otherwise.
    Ended,
    /// It may still move the traffic.
    Unfinished,
}

impl Past {
    pub(crate) fn of(rollout: &Rollout) -> Self {
        let known = |name: &str| Some(short(name)).filter(|name| !name.is_empty());
        let run = &rollout.metadata.cloud_run;
        let release = rollout.name.split("/releases/").nth(1).and_then(|rest| rest.split('/').next());
        let fate = match rollout.state {
            RolloutState::Succeeded => Fate::Succeeded,
            RolloutState::Failed | RolloutState::Halted | RolloutState::Cancelled | RolloutState::ApprovalRejected => {
                Fate::Ended
            }
            RolloutState::PendingRelease
            | RolloutState::Pending
            | RolloutState::PendingApproval
            | RolloutState::InProgress
            | RolloutState::Cancelling
            | RolloutState::Unknown => Fate::Unfinished,
        };
        Self {
            id: short(&rollout.name),
            name: rollout.name.clone(),
            release: release.unwrap_or_default().to_owned(),
            began: [&rollout.deploy_start_time, &rollout.create_time]
                .into_iter()
                .find_map(|time| humantime::parse_rfc3339(time).ok()),
            fate,
            deployed: fate == Fate::Succeeded
                || !rollout.deploy_start_time.is_empty()
                || !run.revision.is_empty()
                || rollout.state == RolloutState::InProgress,
            revision: known(&run.revision),
            previous: known(&run.previous_revision),
            rollback_of: known(&rollout.rollback_of_rollout),
            rolled_back: !rollout.rolled_back_by_rollouts.is_empty(),
            repaired_by: Some(rollout.active_repair_automation_run.clone()).filter(|run| !run.is_empty()),
        }
    }

    /// Whether it succeeded, and nobody took it back.
    pub(crate) fn is_good(&self) -> bool {
        self.fate == Fate::Succeeded && !self.rolled_back
    }
}

/// A record of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// The file's name.
    pub(crate) file: String,
    pub(crate) revision: String,
    /// Whether it passed; nothing where the record does not say.
    pub(crate) verdict: Option<bool>,
    /// The share of the traffic, in percent.
    pub(crate) share: Option<u32>,
    /// What the traffic was taken back from.
    pub(crate) rolled_back: Option<String>,
}

impl Recorded {
    /// Whether it says that the revision passed with all of the traffic.
    pub(crate) fn is_stable(&self) -> bool {
        self.verdict == Some(true) && self.share == Some(100) && !self.revision.is_empty()
    }
}
