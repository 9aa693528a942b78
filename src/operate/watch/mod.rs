//! A rollout, followed to its own end: rendering, phases, jobs, what automation does, and the rollback where there is one.

mod automation;
mod cause;
mod changes;
mod event;
mod find;
mod serving;
mod verdict;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Stop, is_late, persistently};
use crate::google::Api;
use crate::google::deploy::{Deploy, JobState, Release, RenderState, Rollout, RolloutState, TargetRender};
use crate::http::RetryPolicy;
use automation::Runs;
use cause::Sources;
use changes::{Change, Seen};
pub(crate) use event::{Cause, Happened};
pub(crate) use find::{find, newest, rollouts};
use serving::{Serves, serves};
use verdict::{Stand, stand};
pub(crate) use verdict::{Why, job_is, phase_is, rollout_is};

/// How many looks at a failed rollout wait for automation to begin with a repair.
const GRACE: u32 = 6;
/// How many looks at a phase that is not begun wait for automation to advance to it.
const PATIENT: u32 = 3;
/// The longest wait for an API that has trouble.
const LONGEST: Duration = Duration::from_secs(30);

/// The APIs that are asked.
#[derive(Clone)]
pub(crate) struct Apis {
    pub(crate) deploy: Deploy,
    pub(crate) run: Api,
    pub(crate) storage: Api,
    pub(crate) logging: Api,
}

/// How a rollout is followed.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// The project whose logs are asked.
    pub(crate) project: String,
    /// The full name of the service that has to be the one that was deployed, where somebody names it.
    pub(crate) service: Option<String>,
    /// The phase that has to be verified.
    pub(crate) until: String,
    /// From one look to the next.
    pub(crate) poll: Duration,
    pub(crate) deadline: Instant,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The phase and its verify job succeeded, and the revision has the phase's share.
    Proven {
        revision: String,
        percent: u32,
        /// Verify jobs of other phases that did not succeed: phase and state.
        passed_over: Vec<(String, JobState)>,
    },
    /// It is seen not to be so; with the rollbacks that were followed to their ends.
    Not { why: String, rollbacks: Vec<(String, RolloutState)> },
    /// It could not be seen.
    Unseen(String),
}

/// Follows rollouts, and tells what happens.
pub(crate) struct Follower<'a> {
    pub(crate) apis: &'a Apis,
    pub(crate) asked: &'a Asked,
    pub(crate) tell: &'a dyn Fn(Happened),
}

impl Asked {
    /// How an API that has trouble is asked again.
    pub(super) fn policy(&self) -> RetryPolicy {
        RetryPolicy { retries: None, initial: self.poll, max: (self.poll * 6).min(LONGEST) }
    }
}

impl Follower<'_> {
    /// Follows a rollout, by its full name, until the phase is proven, or seen not to be, or the time is up.
    pub(crate) async fn follow(&self, name: &str) -> Ended {
        match Box::pin(self.to_its_end(name)).await {
            Ok(ended) => ended,
            Err(Stop::NotDone(why)) => Ended::Not { why, rollbacks: Vec::new() },
            Err(Stop::Unseen(why)) => Ended::Unseen(why),
        }
    }

    async fn to_its_end(&self, name: &str) -> Result<Ended, Stop> {
        let mut look = Look::default();
        let mut failed = 0;
        loop {
            let rollout = self.rollout(name).await.map_err(|stop| self.late(stop, &look))?;
            look.state = Some(rollout.state);
            let release = self.release(name, &mut look).await.map_err(|stop| self.late(stop, &look))?;
            self.tell_of(&rollout, &mut look).await;
            let stand = match unrendered(&release, &rollout.target_id) {
                Some(why) => return Ok(Ended::Not { why, rollbacks: Vec::new() }),
                None if release.abandoned => {
                    return Ok(Ended::Not { why: "the release is abandoned".into(), rollbacks: Vec::new() });
                }
                None => stand(&rollout, &self.asked.until),
            };
            failed = if matches!(stand, Stand::Failed(_)) { failed + 1 } else { 0 };
            match stand {
                Stand::Verified => {
                    if let Some(ended) = self.proven(name, &release, &rollout).await? {
                        return Ok(ended);
                    }
                }
                Stand::Failed(why) if rollout.active_repair_automation_run.is_empty() && failed > GRACE => {
                    return Ok(Ended::Not { why: why.to_string(), rollbacks: Vec::new() });
                }
                Stand::Going | Stand::Failed(_) => {}
                Stand::Not(why) => return self.not(&rollout, why).await,
            }
            self.wait(&rollout).await?;
        }
    }

    /// The end of a rollout that is verified by its states: what serves is looked at, and then the rollout once more, for it may have been
    /// rolled back meanwhile. Nothing where it was: it is followed on.
    async fn proven(&self, name: &str, release: &Release, rollout: &Rollout) -> Result<Option<Ended>, Stop> {
        let soon = self.asked.deadline.min(Instant::now() + LONGEST);
        let found = serves(&self.apis.run, release, rollout, &self.asked.until, self.asked.policy(), soon).await;
        let again = match (self.rollout(name).await, &found) {
            (Ok(again), _) => again,
            // What keeps it from being proven is seen already, and says more.
            (Err(_), Serves::No(_) | Serves::Unseen(_)) => rollout.clone(),
            (Err(stop), Serves::Yes { .. }) => return Err(stop),
        };
        if stand(&again, &self.asked.until) != Stand::Verified {
            return Ok(None);
        }
        let deployed = &again.metadata.cloud_run.service;
        if let Some(asked) = self.asked.service.as_ref().filter(|asked| !deployed.is_empty() && !same(asked, deployed))
        {
            let why = format!("the rollout deployed {deployed}, and {asked} was asked for");
            return Ok(Some(Ended::Not { why, rollbacks: Vec::new() }));
        }
        Ok(Some(match found {
            Serves::Yes { revision, percent } => {
                Ended::Proven { revision, percent, passed_over: verdict::passed_over(&again, &self.asked.until) }
            }
            Serves::No(why) => Ended::Not {
                why: format!("the phase {} is verified, but what serves is something else: {why}", self.asked.until),
                rollbacks: Vec::new(),
            },
            Serves::Unseen(why) => Ended::Unseen(format!(
                "the phase {} is verified; whether its revision serves is not known: {why}",
                self.asked.until
            )),
        }))
    }

    /// The end of a rollout that is not what was asked for: its rollbacks are followed to theirs.
    async fn not(&self, rollout: &Rollout, why: Why) -> Result<Ended, Stop> {
        let mut rollbacks = Vec::new();
        let mut because = why.to_string();
        if let Why::RolledBack(by) = &why {
            if rollout.state == RolloutState::Failed {
                let own = Why::Ended(rollout.state, verdict::reason(rollout));
                because = format!("{own}; it was rolled back");
            }
            for name in by {
                (self.tell)(Happened::RolledBack { rollout: rollout.name.clone(), by: name.clone() });
                let end = self.rollback(name).await.map_err(|stop| {
                    Stop::Unseen(format!("{because}, and how the rollback ends was not seen: {stop}"))
                })?;
                rollbacks.push((name.clone(), end));
            }
        }
        Ok(Ended::Not { why: because, rollbacks })
    }

    /// Why nothing more is seen: at the end of the time, with what was seen last.
    fn late(&self, stop: Stop, look: &Look) -> Stop {
        match (stop, look.state) {
            (Stop::Unseen(why), Some(state)) if is_late(self.asked.deadline) => {
                Stop::Unseen(format!("{why}; when it was seen last, the rollout {}", rollout_is(state)))
            }
            (stop, _) => stop,
        }
    }

    /// Follows a rollback to its end, whatever its jobs prove.
    ///
    /// # Errors
    /// Its end could not be seen.
    pub(crate) async fn rollback(&self, name: &str) -> Result<RolloutState, Stop> {
        let mut look = Look::default();
        loop {
            let rollout = self.rollout(name).await.map_err(|stop| self.late(stop, &look))?;
            look.state = Some(rollout.state);
            self.tell_of(&rollout, &mut look).await;
            if rollout.state.is_final() {
                return Ok(rollout.state);
            }
            self.wait(&rollout).await?;
        }
    }

    async fn rollout(&self, name: &str) -> Result<Rollout, Stop> {
        let rollout: Rollout = self.get(name).await?;
        // What is not of this name is not an answer to what was asked, however well it reads.
        if rollout.name != name && !same(&rollout.name, name) {
            return Err(Stop::Unseen(format!("Cloud Deploy answers {} for {name}", rollout.name)));
        }
        Ok(rollout)
    }

    /// The release of a rollout: read until it is rendered, and kept from then on.
    async fn release(&self, rollout: &str, look: &mut Look) -> Result<Release, Stop> {
        if let Some(release) = look.release.clone().filter(|release| release.render_state == RenderState::Succeeded) {
            return Ok(release);
        }
        let name = rollout.split_once("/rollouts/").map_or(rollout, |(release, _)| release);
        let release: Release = self.get(name).await?;
        let before = look.release.as_ref().map(|before| before.render_state);
        if before != Some(release.render_state) {
            let failed = release.render_state == RenderState::Failed;
            let whys = release.target_renders.iter().filter(|_| failed).map(|(target, render)| said(target, render));
            (self.tell)(Happened::Rendering {
                release: name.to_owned(),
                state: release.render_state,
                why: whys.collect::<Vec<_>>().join("; "),
            });
        }
        look.release = Some(release.clone());
        Ok(release)
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, Stop> {
        let deadline = self.asked.deadline;
        let note = |error: &crate::google::ApiError| (self.tell)(Happened::Trouble(error.to_string()));
        let read =
            persistently(self.asked.policy(), deadline, note, async || self.apis.deploy.get(name, deadline).await);
        read.await.map_err(|error| {
            // An answer that the end of the time cut off says nothing against the API.
            if is_late(deadline) { Stop::Unseen(format!("the time is up: {error}")) } else { error.into() }
        })
    }

    /// Tells what is new of a rollout, and of what automation does with it.
    async fn tell_of(&self, rollout: &Rollout, look: &mut Look) {
        for change in look.seen.changes(rollout) {
            match change {
                Change::Told(happened) => (self.tell)(happened),
                Change::JobFailed(phase, job) => {
                    let sources = Sources {
                        deploy: &self.apis.deploy,
                        storage: &self.apis.storage,
                        logging: &self.apis.logging,
                        project: &self.asked.project,
                    };
                    // The cause is worth a wait, and not all of the time.
                    let soon = self.asked.deadline.min(Instant::now() + LONGEST);
                    let cause = sources.cause(&job.job_run, soon).await;
                    (self.tell)(Happened::Job { phase, job: job.id, state: job.state, cause: Some(cause) });
                }
            }
        }
        look.runs.tell_of(rollout, self).await;
        let waiting = automation::waits_for_an_advance(rollout);
        look.waited = if waiting.is_some() { look.waited + 1 } else { 0 };
        if let Some(phase) = waiting.filter(|_| look.waited == PATIENT) {
            (self.tell)(Happened::AdvanceWanted { rollout: rollout.name.clone(), phase });
        }
    }

    /// # Errors
    /// The time is up.
    async fn wait(&self, rollout: &Rollout) -> Result<(), Stop> {
        if Instant::now() + self.asked.poll >= self.asked.deadline {
            return Err(Stop::Unseen(format!("the time is up: the rollout {}", rollout_is(rollout.state))));
        }
        sleep(self.asked.poll).await;
        Ok(())
    }
}

/// What was seen so far.
#[derive(Default)]
struct Look {
    release: Option<Release>,
    /// The rollout's state.
    state: Option<RolloutState>,
    seen: Seen,
    runs: Runs,
    /// How many looks the next phase has waited for.
    waited: u32,
}

/// Whether two full names are of one thing: projects may be written by id or by number.
fn same(one: &str, other: &str) -> bool {
    let rest = |name: &str| {
        name.strip_prefix("projects/").and_then(|rest| rest.split_once('/')).map(|(_, rest)| rest.to_owned())
    };
    rest(one).is_some() && rest(one) == rest(other)
}

/// Why the manifests of a target could not be rendered.
fn unrendered(release: &Release, target: &str) -> Option<String> {
    let own = release.target_renders.get(target);
    let failed = own.map_or(release.render_state, |own| own.rendering_state) == RenderState::Failed;
    failed.then(|| {
        let why = own.map_or(String::new(), |render| format!(": {}", said(target, render)));
        format!("the release could not be rendered{why}")
    })
}

/// What Cloud Deploy says of a rendering.
fn said(target: &str, render: &TargetRender) -> String {
    let build =
        if render.rendering_build.is_empty() { String::new() } else { format!(" ({})", render.rendering_build) };
    format!("{target}: {} {}{build}", render.failure_cause, render.failure_message)
}
