//! A rollback by Cloud Deploy: a rollout of an earlier release, made once and followed to its end.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::past::Fate;
use super::{Asked, Past, Step, Tell};
use crate::google::deploy::{Deploy, Rollout, RolloutState};
use crate::google::{ApiErrorKind, short};
use crate::operate::watch::{self, Apis, Follower, Happened, rollout_is};
use crate::operate::{Stop, patiently, with_time_to_look};
use crate::text;

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
    /// The rollout that is undone, by its full name, and its release.
    undone: String,
    undone_release: String,
    /// What else may be the latest on the target by then: rollouts that are cancelled first.
    cancelled: Vec<String>,
}

impl Rollback {
    pub(super) fn new(pipeline: &str, target: &str, release: &str, undone: &Past, all: &[Past]) -> Self {
        let of_release = all.iter().filter(|past| past.release == release).map(|past| &*past.id);
        let unfinished = all.iter().filter(|past| past.fate == Fate::Unfinished);
        Self {
            pipeline: pipeline.to_owned(),
            target: target.to_owned(),
            release: release.to_owned(),
            rollout: next_id(release, target, of_release),
            undone: undone.name.clone(),
            undone_release: undone.release.clone(),
            cancelled: unfinished.map(|past| past.name.clone()).collect(),
        }
    }

    /// The rollout that is undone, by its short name.
    pub(crate) fn undone(&self) -> String {
        short(&self.undone)
    }

    /// The full name of the rollout to be made.
    fn name(&self) -> String {
        format!("{}/releases/{}/rollouts/{}", self.pipeline, self.release, self.rollout)
    }

    /// What is asked for. `guard` is the rollout that has to be the latest on the target.
    fn body(&self, guard: Option<&str>) -> Value {
        let mut body = json!({
            "targetId": self.target,
            "rolloutId": self.rollout,
            "releaseId": self.release,
            "rollbackConfig": {
                "rollout": {"description": format!("Rollback from {}", self.undone_release)},
                "startingPhaseId": STABLE,
            },
        });
        body["validateOnly"] = guard.is_none().into();
        if let Some(guard) = guard {
            body["rolloutToRollBack"] = guard.into();
        }
        body
    }

    /// Whether Cloud Deploy would take it, and as what it is meant; with the full name of the rollout that it would undo.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn validate(&self, deploy: &Deploy, deadline: Instant) -> Result<String, Stop> {
        let body = self.body(None);
        let asked = async || deploy.rollback_target(&self.pipeline, &body, deadline).await;
        let would = patiently(deadline, asked).await.map_err(|error| match Stop::from(error) {
            Stop::NotDone(why) => Stop::NotDone(format!("{why}; no rollback was made")),
            Stop::Unseen(why) => Stop::Unseen(format!("{why}; no rollback was made")),
        })?;
        let would = would.rollback_config.rollout;
        self.is_meant(&would)?;
        Ok(would.rollback_of_rollout)
    }

    /// Whether a rollout is this one, and undoes what was seen.
    fn is_meant(&self, rollout: &Rollout) -> Result<(), Stop> {
        let ending = |name: &str| name.split("/deliveryPipelines/").nth(1).unwrap_or_default().to_owned();
        let undone = ending(&rollout.rollback_of_rollout);
        let is_seen = [&self.undone].into_iter().chain(&self.cancelled).any(|seen| ending(seen) == undone);
        if ending(&rollout.name) == ending(&self.name()) && is_seen {
            return Ok(());
        }
        Err(Stop::NotDone(format!(
            "the target changed meanwhile: Cloud Deploy answers with the rollout {:?}, which undoes {:?}; {:?} was to be undone by {:?}. Look, and run it again",
            short(&rollout.name),
            short(&undone),
            self.undone(),
            self.rollout
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
        let guard = self.validate(deploy, deadline).await?;
        tell(Step::Asking);
        let until = with_time_to_look(deadline);
        match deploy.rollback_target(&self.pipeline, &self.body(Some(&guard)), until).await {
            Ok(made) => self.is_meant(&made.rollback_config.rollout).map(|()| self.name()),
            Err(error)
                if error.is_refusal && !matches!(error.kind, ApiErrorKind::Transient | ApiErrorKind::Conflict) =>
            {
                Err(Stop::Unseen(format!("{error}; no rollback was made")))
            }
            Err(error) => {
                tell(Step::Lost(error.to_string()));
                self.found(deploy, poll, deadline, &error.to_string()).await
            }
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
        Err(Stop::NotDone(format!(
            "the rollback was asked for ({why}), and it is not there ({}): as far as that can be seen, no rollback was made. Run it again: \
             it looks first",
            text::counted(LOOKS as usize, "look")
        )))
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
pub(super) async fn follow(asked: &Asked, apis: &Apis, name: &str, tell: Tell<'_>) -> Result<String, Stop> {
    let id = short(name);
    tell(Step::Rollout(id.clone()));
    let approval_wanted = Notify::new();
    let hear = |happened: Happened| {
        if matches!(happened, Happened::ApprovalWanted { .. }) {
            approval_wanted.notify_one();
        }
        tell(Step::Happened(happened));
    };
    let following = watch::Asked {
        project: asked.service.project.clone(),
        service: None,
        until: STABLE.into(),
        poll: asked.poll,
        deadline: asked.deadline,
    };
    let follower = Follower { apis, asked: &following, tell: &hear };
    let state = tokio::select! {
        state = follower.rollback(name) => state?,
        () = approval_wanted.notified() => return Err(Stop::NotDone(approval(name))),
    };
    let deadline = asked.deadline;
    let rollout = patiently(deadline, async || apis.deploy.get::<Rollout>(name, deadline).await).await?;
    if state != RolloutState::Succeeded {
        let why = [&rollout.failure_reason, &rollout.deploy_failure_cause].into_iter().find(|why| !why.is_empty());
        let why = why.map_or(String::new(), |why| format!(": {why}"));
        return Err(Stop::NotDone(format!("the rollback's rollout {id} {}{why}", rollout_is(state))));
    }
    let revision = short(&rollout.metadata.cloud_run.revision);
    if revision.is_empty() {
        return Err(Stop::Unseen(format!("the rollout {id} succeeded, and does not say which revision it deployed")));
    }
    Ok(revision)
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
