//! What is heard while a rollout is followed. Names of rollouts and releases are full ones.

use crate::google::deploy::{AutomationRunState, JobState, PhaseState, RenderState, RepairState, RolloutState};

/// Something that happened, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Happened {
    /// The manifests of a release are being rendered, or were.
    Rendering {
        release: String,
        state: RenderState,
        why: String,
    },
    Rollout {
        rollout: String,
        state: RolloutState,
        why: String,
    },
    /// Somebody has to approve it.
    ApprovalWanted {
        rollout: String,
    },
    Phase {
        phase: String,
        state: PhaseState,
        why: String,
    },
    Job {
        phase: String,
        job: String,
        state: JobState,
        cause: Option<Cause>,
    },
    /// Somebody has to advance it: no automation did.
    AdvanceWanted {
        rollout: String,
        phase: String,
    },
    /// Automation advanced it.
    Advance {
        from: String,
        to: String,
        rule: String,
        state: AutomationRunState,
        why: String,
    },
    /// Automation tries a job again.
    Retry {
        phase: String,
        job: String,
        attempt: String,
        of: String,
        state: RepairState,
        why: String,
    },
    /// Automation rolls back.
    Rollback {
        to: String,
        state: RepairState,
        why: String,
    },
    /// A repair has ended.
    Repair {
        state: AutomationRunState,
        why: String,
    },
    /// Another rollout undoes this one, and is followed from here on.
    RolledBack {
        rollout: String,
        by: String,
    },
    /// An API has trouble, and is asked again.
    Trouble(String),
    /// What cannot be seen, where the rest can.
    Unseen(String),
}

/// Why a job failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cause {
    /// Cloud Deploy's word and sentence for it.
    pub(crate) kind: String,
    pub(crate) message: String,
    /// What the job said itself, line by line.
    pub(crate) told: Vec<String>,
    /// Where that was read, or why it could not be.
    pub(crate) source: String,
    /// The resource of the build that ran it.
    pub(crate) build: String,
}
