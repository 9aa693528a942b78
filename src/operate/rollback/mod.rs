//! Back to the revision that was stable before: looked for, planned, done, and seen to be done.

mod cancel;
mod past;
mod pipeline;
mod previous;
mod traffic;

use std::time::Duration;

use futures_util::future::join;
use tokio::time::Instant;

use past::Fate;
pub(crate) use past::{Past, Recorded};
pub(crate) use pipeline::Rollback;
pub(crate) use previous::{By, Choice, Note, To};
use previous::{Known, Undecided};

use super::watch::{Apis, Happened};
use super::{Stop, patiently};
use crate::google::deploy::{Pipeline, Release};
use crate::google::run_traffic::{self, RevisionFacts, ServiceName, ServiceTraffic, Shifted, TrafficEntry, Unfit};
use crate::google::{ApiError, ApiErrorKind, Ended, short};
use crate::outcome::shares;
use crate::text;

/// What is asked for.
pub(crate) struct Asked {
    pub(crate) service: ServiceName,
    /// The full name of the pipeline, and its target; nothing where nobody names one.
    pub(crate) pipeline: Option<(String, String)>,
    /// Whether the traffic is changed whoever owns it.
    pub(crate) traffic_only: bool,
    pub(crate) to: To,
    /// The newest first.
    pub(crate) records: Vec<Recorded>,
    /// How long to wait from one look to the next.
    pub(crate) poll: Duration,
    pub(crate) deadline: Instant,
}

/// What would be done.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The service as it was read: a change is one of this very state.
    pub(crate) service: ServiceTraffic,
    /// Nothing where a rollback is under way already.
    pub(crate) choice: Option<Choice>,
    /// The image of the revision.
    pub(crate) image: Option<String>,
    /// The rollouts that are ended first.
    pub(crate) cancel: Vec<Past>,
    pub(crate) how: How,
    /// The newest rollout, where automation is repairing it, and the run of that, by short names.
    pub(crate) repaired: Option<(String, String)>,
    /// The target that was never rolled out to: Cloud Deploy does not own the service.
    pub(crate) unowned: Option<String>,
    /// Why Cloud Deploy could not be asked, where the traffic is changed all the same.
    pub(crate) unasked: Option<String>,
}

/// In what way.
#[derive(Debug)]
pub(crate) enum How {
    /// The traffic is there already.
    Already,
    /// By the service's traffic.
    Traffic(Vec<TrafficEntry>),
    /// By a rollout of an earlier release.
    Release(Rollback),
    /// By a rollback that is under way.
    Follow(Past),
}

/// What happened on the way.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Cancelling(String),
    Terminating(String),
    Cancelled(String),
    /// The change is asked for: from here on it may happen.
    Asking,
    /// The answer did not come, and what became of the change is read.
    Lost(String),
    /// Something on the way, in a clause.
    Waiting(String),
    /// A rollout is followed.
    Rollout(String),
    /// Something happened to it.
    Happened(Happened),
}

/// What stands in the end.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) service: ServiceTraffic,
    pub(crate) revision: String,
    /// The rollout that did it.
    pub(crate) rollout: Option<String>,
}

/// Hears of what happens.
pub(crate) type Tell<'t> = &'t dyn Fn(Step);

impl Asked {
    /// Looks at everything and says what would be done. Changes nothing.
    ///
    /// # Errors
    /// Why nothing should be done, or what could not be seen.
    pub(crate) async fn plan(&self, cloud: &Apis) -> Result<Plan, Stop> {
        let (service, rollouts) = join(self.service(cloud), self.rollouts(cloud)).await;
        let service = service?;
        let (rollouts, unasked) = match rollouts {
            Ok(rollouts) => (rollouts, None),
            Err(error) if self.traffic_only => (Vec::new(), Some(error.to_string())),
            Err(error) => return Err(unusable_pipeline(error)),
        };
        let unasked = match (&unasked, rollouts.is_empty()) {
            (None, true) => self.is_there(cloud).await?,
            _ => unasked,
        };
        let by_pipeline = !self.traffic_only && !rollouts.is_empty();
        let unowned = self.pipeline.as_ref().filter(|_| rollouts.is_empty() && unasked.is_none());
        let unowned = unowned.map(|(_, target)| target.clone());
        let unfinished: Vec<&Past> = rollouts.iter().filter(|past| past.fate == Fate::Unfinished).collect();
        let newest = rollouts.iter().find(|past| past.deployed);
        let repaired = newest.and_then(|past| Some((past.id.clone(), short(past.repaired_by.as_deref()?))));
        if let Some(running) = unfinished.iter().find(|past| by_pipeline && self.is_what_is_asked(past)) {
            let how = How::Follow((*running).clone());
            // What waits behind it would move the traffic again.
            let cancel = unfinished.iter().filter(|past| past.name != running.name);
            let cancel = cancel.map(|past| (*past).clone()).collect();
            return Ok(Plan { service, choice: None, image: None, cancel, how, repaired, unowned, unasked });
        }
        settled(&service)?;
        let known = Known { service: &service, rollouts: &rollouts, records: &self.records };
        let choice = known.choose(&self.to).map_err(|undecided| Self::refusal(&undecided))?;
        let revision = self.fit(cloud, &choice).await?;
        let how = match service.has_all(&choice.revision, &service.tags()) {
            Shifted::Done => How::Already,
            Shifted::NotYet(_) | Shifted::Otherwise if by_pipeline => {
                How::Release(self.release(cloud, &choice, &rollouts).await?)
            }
            Shifted::NotYet(_) | Shifted::Otherwise => How::Traffic(service.all_to(&choice.revision)),
        };
        let cancel = unfinished.into_iter().cloned().collect();
        Ok(Plan { service, choice: Some(choice), image: revision.image(), cancel, how, repaired, unowned, unasked })
    }

    /// Whether a rollout that has not ended is the rollback that is asked for.
    fn is_what_is_asked(&self, past: &Past) -> bool {
        past.rollback_of.is_some()
            && match &self.to {
                To::Previous => true,
                To::Release(release) => past.release == *release,
                To::Revision(revision) => past.revision.as_ref() == Some(revision),
            }
    }

    pub(crate) async fn service(&self, cloud: &Apis) -> Result<ServiceTraffic, ApiError> {
        patiently(self.deadline, async || run_traffic::service(&cloud.run, &self.service, self.deadline).await).await
    }

    /// The rollouts of the target that are of this service, the newest first.
    async fn rollouts(&self, cloud: &Apis) -> Result<Vec<Past>, ApiError> {
        let Some((pipeline, target)) = &self.pipeline else { return Ok(Vec::new()) };
        let (releases, filter) = (format!("{pipeline}/releases/-"), format!("targetId=\"{target}\""));
        let found = async || cloud.deploy.rollouts(&releases, &filter, "", self.deadline).await;
        let found = patiently(self.deadline, found).await?;
        let is_ours = |service: &str| service.is_empty() || short(service) == self.service.service;
        let ours = found
            .iter()
            .filter(|rollout| short(&rollout.target_id) == *target && is_ours(&rollout.metadata.cloud_run.service));
        let mut rollouts: Vec<Past> = ours.map(Past::of).collect();
        rollouts.sort_by_key(|past| std::cmp::Reverse(past.began));
        Ok(rollouts)
    }

    /// Whether the pipeline leads to the target, of which there is no rollout: a name that is misspelt has none either, and then Cloud
    /// Deploy may own the traffic. With why it could not be asked, where the traffic is changed all the same.
    async fn is_there(&self, cloud: &Apis) -> Result<Option<String>, Stop> {
        let Some((name, target)) = &self.pipeline else { return Ok(None) };
        let read = async || cloud.deploy.get::<Pipeline>(name, self.deadline).await;
        let pipeline = match patiently(self.deadline, read).await {
            Ok(pipeline) => pipeline,
            Err(error) if self.traffic_only && error.kind != ApiErrorKind::Missing => {
                return Ok(Some(error.to_string()));
            }
            Err(error) => return Err(unusable_pipeline(error)),
        };
        let targets = pipeline.targets();
        if targets.contains(target) {
            return Ok(None);
        }
        let known = text::joined(&targets, 10, ", ");
        Err(Stop::Unseen(format!(
            "the pipeline {} has no target {target}; there are {known}; nothing was changed",
            short(name)
        )))
    }

    /// The revision, if it may get traffic.
    async fn fit(&self, cloud: &Apis, choice: &Choice) -> Result<RevisionFacts, Stop> {
        let name = &choice.revision;
        let read = async || run_traffic::revision(&cloud.run, &self.service, name, self.deadline).await;
        let not = |why: String| Stop::NotDone(format!("{name} cannot take the traffic: {why}; nothing was changed"));
        let revision = match patiently(self.deadline, read).await {
            Err(error) if error.kind == ApiErrorKind::Missing => return Err(not(format!("it is not there ({error})"))),
            result => result?,
        };
        match revision.unfit() {
            None => Ok(revision),
            Some(Unfit::Deleted(since)) => Err(not(format!("it is deleted (since {since})"))),
            Some(Unfit::NotReady(why)) => Err(not(format!("it is not ready: {why}"))),
        }
    }

    /// The rollout that would go back to the choice's release.
    async fn release(&self, cloud: &Apis, choice: &Choice, rollouts: &[Past]) -> Result<Rollback, Stop> {
        let Some((pipeline, target)) = &self.pipeline else {
            return Err(Stop::NotDone("no pipeline is named".into()));
        };
        let Choice { revision, release, .. } = choice;
        let Some(release) = release else {
            return Err(Stop::NotDone(format!(
                "{revision} was stable before, and no rollout to {target} that succeeded made it: Cloud Deploy has no release to go back \
                 to; nothing was changed. --traffic-only moves the traffic to it without Cloud Deploy, --to-release goes to another release"
            )));
        };
        let name = format!("{pipeline}/releases/{release}");
        let found = async || cloud.deploy.get::<Release>(&name, self.deadline).await;
        if patiently(self.deadline, found).await?.abandoned {
            return Err(Stop::NotDone(format!(
                "the release {release}, which made {revision}, is abandoned: Cloud Deploy refuses it; nothing was changed. --to-release \
                 goes to another one, --traffic-only moves the traffic without Cloud Deploy"
            )));
        }
        let current = rollouts.iter().find(|past| past.deployed);
        let current = current.ok_or_else(|| Stop::NotDone(format!("nothing was rolled out to {target} yet")))?;
        Ok(Rollback::new(pipeline, target, release, current, rollouts))
    }

    /// Why nothing is chosen, with the candidates and how to choose one.
    fn refusal(undecided: &Undecided) -> Stop {
        let mut text = format!("{}; nothing was changed", undecided.why);
        if undecided.candidates.is_empty() {
            text.push_str("; name one by --to-revision");
        } else {
            text.push_str("; choose one:");
        }
        for (revision, what) in &undecided.candidates {
            text.push_str(&format!("\n  --to-revision {revision}  ({what})"));
        }
        Stop::NotDone(text)
    }

    /// Whether the plan would be taken, by the API's own word. Changes nothing.
    ///
    /// # Errors
    /// Why it would not.
    pub(crate) async fn validate(&self, cloud: &Apis, plan: &Plan) -> Result<(), Stop> {
        let deadline = self.deadline;
        match &plan.how {
            How::Already | How::Follow(_) => Ok(()),
            How::Traffic(entries) => {
                let asked = async || run_traffic::set_traffic(&cloud.run, &plan.service, entries, true, deadline).await;
                let operation = patiently(deadline, asked).await?;
                match cloud.run.wait(operation, "v2", deadline).await {
                    Ended::Done => Ok(()),
                    Ended::Failed(why) => Err(Stop::NotDone(format!("the change would be refused: {why}"))),
                    Ended::Unknown(why) => Err(Stop::Unseen(why)),
                }
            }
            How::Release(rollback) => rollback.validate(&cloud.deploy, deadline).await.map(drop),
        }
    }

    /// Does what the plan says.
    ///
    /// # Errors
    /// What stands instead.
    pub(crate) async fn carry_out(&self, cloud: &Apis, plan: &Plan, tell: Tell<'_>) -> Result<Done, Stop> {
        for past in &plan.cancel {
            cancel::cancel(&cloud.deploy, past, self.poll, self.deadline, tell).await?;
        }
        match &plan.how {
            How::Already => {
                let revision = plan.choice.as_ref().map(|choice| choice.revision.clone()).unwrap_or_default();
                let service = self.still(cloud, &revision, Some(&plan.service.tags())).await?;
                Ok(Done { service, revision, rollout: None })
            }
            How::Traffic(entries) => {
                let revision = plan.choice.as_ref().map(|choice| choice.revision.clone()).unwrap_or_default();
                let service = traffic::shift(self, cloud, plan, entries, &revision, tell).await?;
                Ok(Done { service, revision, rollout: None })
            }
            How::Release(rollback) => {
                let name = rollback.start(&cloud.deploy, self.poll, self.deadline, tell).await?;
                self.followed(cloud, &name, tell).await
            }
            How::Follow(past) => self.followed(cloud, &past.name, tell).await,
        }
    }

    /// Follows a rollout to its end, and sees its revision serve.
    async fn followed(&self, cloud: &Apis, rollout: &str, tell: Tell<'_>) -> Result<Done, Stop> {
        let revision = pipeline::follow(self, cloud, rollout, tell).await?;
        let service = traffic::settle(self, cloud, &revision, tell).await?;
        Ok(Done { service, revision, rollout: Some(short(rollout)) })
    }

    /// The service, where a revision still has everything, with these tags.
    ///
    /// # Errors
    /// What is there instead.
    pub(crate) async fn still(
        &self,
        cloud: &Apis,
        revision: &str,
        tags: Option<&[(String, String)]>,
    ) -> Result<ServiceTraffic, Stop> {
        let service = self.service(cloud).await?;
        let own = service.tags();
        match service.has_all(revision, tags.unwrap_or(&own)) {
            Shifted::Done => Ok(service),
            Shifted::NotYet(why) => Err(Stop::NotDone(format!("{revision} had all of the traffic, and now {why}"))),
            Shifted::Otherwise => Err(Stop::NotDone(changed(&service))),
        }
    }
}

/// What is said of a service that somebody changed meanwhile.
fn changed(service: &ServiceTraffic) -> String {
    format!(
        "somebody changed the service meanwhile ({}): the traffic is {}; nothing was overwritten. Look, and run it again",
        by_whom(service),
        shares(&service.shares())
    )
}

/// Who changed it last, and when.
pub(crate) fn by_whom(service: &ServiceTraffic) -> String {
    let or = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
    format!(
        "{}, {}",
        or(&service.last_modifier, "by an unknown account"),
        or(&service.update_time, "at an unknown time")
    )
}

/// What serves is known only of a service that is not changing.
fn settled(service: &ServiceTraffic) -> Result<(), Stop> {
    if !service.delete_time.is_empty() {
        return Err(Stop::NotDone(format!("the service is deleted (since {})", service.delete_time)));
    }
    if service.reconciling || service.observed_generation != service.generation || service.generation.is_empty() {
        return Err(Stop::NotDone(format!(
            "the service is changing just now ({}): what serves is not known; nothing was changed. Run it again in a moment",
            by_whom(service)
        )));
    }
    let all: u64 = service.with_traffic().values().map(|percent| u64::from(*percent)).sum();
    if all != 100 {
        return Err(Stop::Unseen(format!(
            "the shares of the traffic add up to {all} %: it is {}; nothing was changed",
            shares(&service.shares())
        )));
    }
    Ok(())
}

/// Why the pipeline's rollouts are not known.
fn unusable_pipeline(error: ApiError) -> Stop {
    let stop = Stop::from(error);
    let advice = "nothing was changed; --traffic-only goes on without Cloud Deploy";
    match stop {
        Stop::NotDone(why) => Stop::NotDone(format!("{why}; {advice}")),
        Stop::Unseen(why) => Stop::Unseen(format!("{why}; {advice}")),
    }
}
