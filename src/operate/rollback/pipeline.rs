//! A rollback by Cloud Deploy: a rollout of an earlier release, made once and followed to its end.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Past, Step, Tell};
use crate::google::deploy::{ApprovalState, Deploy, Rollout, RolloutState};
use crate::google::{ApiErrorKind, short};
use crate::operate::{Stop, patiently};

/// The phase that a rollback begins in: the one with all of the traffic.
const STABLE: &str = "stable";

/// So often a rollout is looked for whose answer was lost.
const LOOKS: u32 = 3;

/// The rollout that is going to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rollback {
    /// The pipeline's full name.
    pipeline: String,
    pub(crate) target: String,
    pub(crate) release: String,
    /// The short name of the rollout to be made.
    pub(crate) rollout: String,
    /// The newest rollout on the target, by its short name, and its release: what is undone.
    pub(crate) undone: String,
    undone_release: String,
}

impl Rollback {
    pub(super) fn new(pipeline: &str, target: &str, release: &str, undone: &Past, all: &[Past]) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            target: target.to_owned(),
            release: release.to_owned(),
            rollout: next_id(release, target, all.iter().filter(|past| past.release == release).map(|past| &*past.id)),
            undone: undone.id.clone(),
            undone_release: undone.release.clone(),
        }
    }

    /// The full name of the rollout to be made.
    fn name(&self) -> String {
        format!("{}/releases/{}/rollouts/{}", self.pipeline, self.release, self.rollout)
    }

    fn body(&self, validate_only: bool) -> Value {
        let mut body = json!({
            "targetId": self.target,
            "rolloutId": self.rollout,
            "releaseId": self.release,
            "rolloutToRollBack": self.undone,
            "rollbackConfig": {
                "rollout": {"description": format!("Rollback from {}", self.undone_release)},
                "startingPhaseId": STABLE,
            },
        });
        if validate_only {
            body["validateOnly"] = true.into();
        }
        body
    }

    /// Whether Cloud Deploy would take it, and as what it is meant.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn validate(&self, deploy: &Deploy, deadline: Instant) -> Result<(), Stop> {
        let body = self.body(true);
        let asked = async || deploy.rollback_target(&self.pipeline, &body, deadline).await;
        let would = patiently(deadline, asked).await?.rollback_config.rollout;
        self.is_meant(&would)
    }

    fn is_meant(&self, rollout: &Rollout) -> Result<(), Stop> {
        let (name, undone) = (&rollout.name, short(&rollout.rollback_of_rollout));
        if name.ends_with(&format!("/releases/{}/rollouts/{}", self.release, self.rollout)) && undone == self.undone {
            return Ok(());
        }
        Err(Stop::NotDone(format!(
            "Cloud Deploy answers with the rollout {name:?}, which undoes {undone:?}, and {} was asked for, which undoes {}",
            self.name(),
            self.undone
        )))
    }

    /// Makes the rollout; with its full name.
    ///
    /// # Errors
    /// Why it is not made.
    pub(super) async fn start(
        &self,
        deploy: &Deploy,
        poll: Duration,
        deadline: Instant,
        tell: Tell<'_>,
    ) -> Result<String, Stop> {
        tell(Step::Asking);
        match deploy.rollback_target(&self.pipeline, &self.body(false), deadline).await {
            Ok(made) => self.is_meant(&made.rollback_config.rollout).map(|()| self.name()),
            Err(error) => match error.kind {
                ApiErrorKind::Transient | ApiErrorKind::Conflict => {
                    tell(Step::Lost(error.to_string()));
                    self.found(deploy, poll, deadline, &error.to_string()).await
                }
                ApiErrorKind::Denied | ApiErrorKind::Forbidden | ApiErrorKind::Missing | ApiErrorKind::Permanent => {
                    Err(Stop::Unseen(format!("{error}; no rollback was made")))
                }
            },
        }
    }

    /// The rollout that may have been made.
    async fn found(&self, deploy: &Deploy, poll: Duration, deadline: Instant, why: &str) -> Result<String, Stop> {
        let name = self.name();
        for look in 1..=LOOKS {
            match patiently(deadline, async || deploy.get::<Rollout>(&name, deadline).await).await {
                Ok(rollout) => return self.is_meant(&rollout).map(|()| name),
                Err(error) if error.kind == ApiErrorKind::Missing => {}
                Err(error) => {
                    return Err(Stop::Unseen(format!(
                        "the rollback was asked for ({why}), and whether it was made could not be seen: {error}"
                    )));
                }
            }
            if look < LOOKS {
                sleep(poll).await;
            }
        }
        Err(Stop::NotDone(format!("no rollback was made: {why}. Run it again")))
    }
}

/// The next name of a rollout of a release: `RELEASE-to-TARGET-0001`.
fn next_id<'i>(release: &str, target: &str, taken: impl Iterator<Item = &'i str>) -> String {
    let stem = format!("{release}-to-{target}-");
    let number = |id: &str| id.strip_prefix(&stem)?.parse::<u32>().ok();
    let next = taken.filter_map(number).max().unwrap_or(0) + 1;
    format!("{stem}{next:04}")
}

/// Follows a rollout until it has succeeded; with the revision that it deployed.
///
/// # Errors
/// How it ended instead, or that it waits for somebody.
pub(super) async fn follow(
    deploy: &Deploy,
    name: &str,
    poll: Duration,
    deadline: Instant,
    tell: Tell<'_>,
) -> Result<String, Stop> {
    let id = short(name);
    tell(Step::Rollout(id.clone()));
    loop {
        let read = async || deploy.get::<Rollout>(name, deadline).await;
        let rollout = patiently(deadline, read).await?;
        let reason = |what: &str| {
            let why = [&rollout.failure_reason, &rollout.deploy_failure_cause].into_iter().find(|why| !why.is_empty());
            format!("the rollback's rollout {id} {what}{}", why.map_or(String::new(), |why| format!(": {why}")))
        };
        match rollout.state {
            RolloutState::Succeeded => {
                let revision = short(&rollout.metadata.cloud_run.revision);
                if revision.is_empty() {
                    return Err(Stop::Unseen(format!("the rollout {id} succeeded, and does not say which revision it deployed")));
                }
                return Ok(revision);
            }
            RolloutState::Failed | RolloutState::Halted => return Err(Stop::NotDone(reason("failed"))),
            RolloutState::Cancelled | RolloutState::Cancelling => {
                return Err(Stop::NotDone(reason("was cancelled")));
            }
            RolloutState::ApprovalRejected => return Err(Stop::NotDone(reason("was rejected"))),
            RolloutState::PendingApproval => return Err(Stop::NotDone(approval(name))),
            _ if rollout.approval_state == ApprovalState::NeedsApproval => return Err(Stop::NotDone(approval(name))),
            RolloutState::Pending
            | RolloutState::PendingRelease
            | RolloutState::InProgress
            | RolloutState::Unknown => {}
        }
        if deadline.saturating_duration_since(Instant::now()) <= poll {
            return Err(Stop::NotDone(format!(
                "the rollback's rollout {id} has not ended in its time: it is {:?}, and goes on by itself",
                rollout.state
            )));
        }
        tell(Step::Waiting(format!("{id} is {:?}", rollout.state)));
        sleep(poll).await;
    }
}

/// What is said of a rollout that somebody has to allow.
fn approval(name: &str) -> String {
    let pieces: Vec<&str> = name.split('/').collect();
    let of = |kind: &str| {
        let at = pieces.iter().position(|piece| *piece == kind);
        at.and_then(|at| pieces.get(at + 1)).copied().unwrap_or_default()
    };
    format!(
        "the rollback is made and waits for approval: gcloud deploy rollouts approve {} --release={} --delivery-pipeline={} --region={} \
         --project={}; then run it again",
        of("rollouts"),
        of("releases"),
        of("deliveryPipelines"),
        of("locations"),
        of("projects")
    )
}
