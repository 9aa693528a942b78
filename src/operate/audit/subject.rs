//! What is audited: the service as it is now, the revision that should have the traffic, the one before it, and from when on.

use std::time::{Duration, SystemTime};

use futures_util::future::join;

use super::ask::InVain;
use super::{Audit, Known, PipelineNames};
use crate::google::deploy::{JobRun, JobState, Phase, Pipeline, Rollout, RolloutState};
use crate::google::{RevisionKept, ServiceNow, TrafficEntry, short};
use crate::http::{Attempt, RetryPolicy, retry_until};
use crate::operate::watch::rollout_is;
use crate::outcome::{DeploymentFacts, Serving, Share};

pub(super) const RUN_VIEWER: &str = "roles/run.viewer";
const DEPLOY_VIEWER: &str = "roles/clouddeploy.viewer";

/// How often a service is looked at that is still changing.
const POLL: RetryPolicy =
    RetryPolicy { retries: None, initial: Duration::from_millis(250), max: Duration::from_secs(5) };

/// What is audited.
pub(super) struct Subject {
    pub(super) service: Result<ServiceNow, InVain>,
    /// The short name of the revision that should have the traffic.
    pub(super) revision: Result<String, InVain>,
    /// That revision, as the API has it.
    pub(super) kept: Result<RevisionKept, InVain>,
    /// What Cloud Deploy says; nothing where no pipeline is known.
    pub(super) deployed: Option<Deployed>,
    /// When the revision took the traffic, and by what that is known.
    pub(super) since: Result<(SystemTime, &'static str), InVain>,
}

/// What Cloud Deploy says.
pub(super) struct Deployed {
    pub(super) rollout: Result<Rollout, InVain>,
    /// The tags that the pipeline sets.
    pub(super) tags: Result<Vec<String>, InVain>,
}

impl Subject {
    pub(super) async fn gather(audit: &Audit<'_>) -> Self {
        let names = &audit.names;
        let service_name = service_name(audit);
        let deployed = async {
            match &names.pipeline {
                Some(pipeline) => Some(Deployed::gather(audit, pipeline).await),
                None => None,
            }
        };
        let (service, deployed) = Box::pin(join(service(audit, &service_name), deployed)).await;
        let revision = match (&names.revision, deployed.as_ref().map(|deployed| &deployed.rollout)) {
            (Some(revision), _) => Ok(revision.clone()),
            (None, Some(Ok(rollout))) => revision_of(rollout),
            (None, Some(Err(why))) => Err(InVain::because(format!("the release's revision is not known: {why}"))),
            (None, None) => Err(InVain::because("the release's revision is not known: pass --revision")),
        };
        let kept = async {
            let name = revision.as_ref().map_err(Clone::clone)?;
            let full = format!("{service_name}/revisions/{name}");
            audit.ask(RUN_VIEWER, async |deadline| audit.apis.run.run_revision(&full, deadline).await).await
        };
        let rollout = deployed.as_ref().and_then(|deployed| deployed.rollout.as_ref().ok());
        let (kept, deploy_ended) = join(kept, async {
            match rollout {
                Some(rollout) => deploy_ended(audit, rollout).await,
                None => None,
            }
        })
        .await;
        let since = since(deploy_ended, &kept);
        Self { service, revision, kept, deployed, since }
    }

    /// The short name of the release, where it is known.
    pub(super) fn release(&self) -> Option<&str> {
        let rollout = self.rollout()?;
        rollout.name.split_once("/releases/").and_then(|(_, rest)| rest.split('/').next())
    }

    pub(super) fn rollout(&self) -> Option<&Rollout> {
        self.deployed.as_ref()?.rollout.as_ref().ok()
    }

    /// Why the revision that is named is not the one that was deployed; nothing where it is, or where nobody says what was.
    pub(super) fn disagreement(&self) -> Option<String> {
        let (named, rollout) = (self.revision.as_ref().ok()?, self.rollout()?);
        let deployed = revision_of(rollout).ok()?;
        (deployed != *named).then(|| format!("the rollout {} deployed {deployed}, not {named}", short(&rollout.name)))
    }

    /// Why the rollout is no good end, whatever serves; nothing where it goes well or went well. One that is in progress is that of a
    /// postdeploy job.
    pub(super) fn undone(&self) -> Option<String> {
        let rollout = self.rollout()?;
        let name = short(&rollout.name);
        if let Some(by) = rollout.rolled_back_by_rollouts.first() {
            return Some(format!("the rollout {name} was rolled back by {}", short(by)));
        }
        let is_bad = rollout.state.is_final() && rollout.state != RolloutState::Succeeded;
        is_bad.then(|| {
            let why = [&rollout.failure_reason, &rollout.deploy_failure_cause].into_iter().find(|why| !why.is_empty());
            format!(
                "the rollout {name} {}{}",
                rollout_is(rollout.state),
                why.map_or(String::new(), |why| format!(": {why}"))
            )
        })
    }

    /// The revision before this one, to which a rollback would go: by Cloud Deploy's word, else by the tag `prior`.
    pub(super) fn previous(&self) -> Option<String> {
        let told = self.rollout().map(|rollout| short(&rollout.metadata.cloud_run.previous_revision));
        let by_tag = || {
            let service = self.service.as_ref().ok()?;
            let entry = service.traffic_statuses.iter().find(|entry| entry.tag == "prior")?;
            Some(service.revision_of(entry))
        };
        let known = told.filter(|name| !name.is_empty()).or_else(by_tag);
        known.filter(|name| self.revision.as_ref().ok() != Some(name) && !name.is_empty())
    }

    /// What the reports say of it.
    pub(super) fn known(&self, audit: &Audit<'_>) -> Known {
        let names = &audit.names;
        let part = |name: &str, kind: &str| {
            let mut parts = name.split('/').skip_while(|part| *part != kind).skip(1);
            parts.next().map(str::to_owned)
        };
        let pipeline = names.pipeline.as_ref();
        let serving = self.service.as_ref().ok().map(|service| {
            let share = |entry: &TrafficEntry| Share {
                revision: service.revision_of(entry),
                percent: entry.percent,
                tag: Some(entry.tag.clone()).filter(|tag| !tag.is_empty()),
            };
            let image = self.kept.as_ref().ok().and_then(|kept| kept.containers.first()?["image"].as_str());
            Serving {
                image: image.map(str::to_owned),
                commit: None,
                traffic: service.traffic_statuses.iter().map(share).collect(),
            }
        });
        let facts = DeploymentFacts {
            project: Some(names.project.clone()),
            region: Some(names.region.clone()),
            service: Some(names.service.clone()),
            revision: self.revision.as_ref().ok().cloned(),
            release: self.release().map(str::to_owned),
            rollout: self.rollout().map(|rollout| short(&rollout.name)),
            pipeline: pipeline.map(|pipeline| short(&pipeline.name)),
            pipeline_project: pipeline.and_then(|pipeline| part(&pipeline.name, "projects")),
            pipeline_region: pipeline.and_then(|pipeline| part(&pipeline.name, "locations")),
            target: pipeline.map(|pipeline| pipeline.target.clone()),
            phase: None,
            share: None,
            rolled_back: None,
            serving,
        };
        let url = self.service.as_ref().ok().map(|service| service.uri.clone()).filter(|uri| !uri.is_empty());
        Known { url, facts }
    }
}

impl Deployed {
    async fn gather(audit: &Audit<'_>, names: &PipelineNames) -> Self {
        let rollout = async {
            match &names.rollout {
                Some(name) => {
                    audit.ask(DEPLOY_VIEWER, async |deadline| audit.apis.deploy.get(name, deadline).await).await
                }
                None => newest(audit, names).await,
            }
        };
        let tags = async {
            let read = async |deadline| audit.apis.deploy.get::<Pipeline>(&names.name, deadline).await;
            audit.ask(DEPLOY_VIEWER, read).await.map(|pipeline| tags(&pipeline))
        };
        let (rollout, tags) = join(rollout, tags).await;
        Self { rollout, tags }
    }
}

/// The full name of the service.
pub(super) fn service_name(audit: &Audit<'_>) -> String {
    let names = &audit.names;
    format!("projects/{}/locations/{}/services/{}", names.project, names.region, names.service)
}

/// The service, when its newest change is taken up; as it is where that takes longer than there is patience.
async fn service(audit: &Audit<'_>, name: &str) -> Result<ServiceNow, InVain> {
    let ask = async |deadline| audit.apis.run.run_service(name, deadline).await;
    let deadline = audit.patient_until();
    let mut last = None;
    let attempt = async |_| match audit.ask(RUN_VIEWER, ask).await {
        Ok(service) if service.unsettled().is_some() => {
            last = Some(service);
            Attempt::Again("it is still changing", None)
        }
        answered => Attempt::Done(answered),
    };
    let tried = retry_until(POLL, deadline, |_| {}, attempt).await.result;
    tried.unwrap_or_else(|gave_up| last.ok_or_else(|| InVain::because(gave_up.to_string())))
}

/// The newest rollout of the release that is named, else the newest one to the target that succeeded.
async fn newest(audit: &Audit<'_>, names: &PipelineNames) -> Result<Rollout, InVain> {
    let own = format!("targetId=\"{}\"", names.target);
    let (release, filter, order) = match &names.release {
        Some(release) => (release.clone(), own, "createTime desc"),
        None => (format!("{}/releases/-", names.name), format!("{own} AND state=\"SUCCEEDED\""), "deployEndTime desc"),
    };
    let ask = async |deadline| audit.apis.deploy.rollouts(&release, &filter, order, deadline).await;
    let rollouts = audit.ask(DEPLOY_VIEWER, ask).await?;
    // Filter and order are the API's; that it kept to them is not taken on trust.
    let own = rollouts.into_iter().filter(|rollout| {
        short(&rollout.target_id) == names.target
            && (names.release.is_some() || rollout.state == RolloutState::Succeeded)
    });
    let newest = own.max_by_key(|rollout| {
        time(if names.release.is_some() { &rollout.create_time } else { &rollout.deploy_end_time })
    });
    newest.ok_or_else(|| {
        let what =
            names.release.as_ref().map_or("has succeeded".to_owned(), |release| format!("is of {}", short(release)));
        InVain::because(format!("no rollout to the target {} {what}: pass --release or --revision", names.target))
    })
}

/// The short name of the revision that a rollout deployed.
fn revision_of(rollout: &Rollout) -> Result<String, InVain> {
    let revision = short(&rollout.metadata.cloud_run.revision);
    if revision.is_empty() {
        let why = format!("Cloud Deploy names no revision of the rollout {}: pass --revision", short(&rollout.name));
        return Err(InVain::because(why));
    }
    Ok(revision)
}

/// The tags that a pipeline sets, in any of its stages.
fn tags(pipeline: &Pipeline) -> Vec<String> {
    const LISTS: [&str; 3] = ["canaryRevisionTags", "priorRevisionTags", "stableRevisionTags"];
    let stages = pipeline.serial_pipeline["stages"].as_array().into_iter().flatten();
    let configs = stages.map(|stage| &stage["strategy"]["canary"]["runtimeConfig"]["cloudRun"]);
    let tags = configs.flat_map(|config| LISTS.iter().flat_map(|list| config[*list].as_array().into_iter().flatten()));
    tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect()
}

/// When the last phase of a rollout was deployed: by its deploy job, else by the end of the rollout.
async fn deploy_ended(audit: &Audit<'_>, rollout: &Rollout) -> Option<(SystemTime, &'static str)> {
    let deployed = |phase: &&Phase| {
        let job = phase.deployment_jobs.deploy_job.as_ref();
        job.is_some_and(|job| job.state == JobState::Succeeded && !job.job_run.is_empty())
    };
    let phase = rollout.phases.iter().rev().find(deployed);
    let run = phase.and_then(|phase| phase.deployment_jobs.deploy_job.as_ref()).map(|job| job.job_run.clone());
    if let Some(run) = run {
        let read = async |deadline| audit.apis.deploy.get::<JobRun>(&run, deadline).await;
        let ended = audit.ask(DEPLOY_VIEWER, read).await.ok().and_then(|run| time(&run.end_time));
        if let Some(ended) = ended {
            return Some((ended, "the end of the deploy job"));
        }
    }
    time(&rollout.deploy_end_time).map(|ended| (ended, "the end of the rollout"))
}

/// When the revision took the traffic: as Cloud Deploy says, else when it was made.
fn since(
    deployed: Option<(SystemTime, &'static str)>,
    kept: &Result<RevisionKept, InVain>,
) -> Result<(SystemTime, &'static str), InVain> {
    if let Some(known) = deployed {
        return Ok(known);
    }
    let kept =
        kept.as_ref().map_err(|why| InVain::because(format!("it is not known when it took the traffic: {why}")))?;
    let made = time(&kept.create_time).map(|made| (made, "the revision's creation"));
    made.ok_or_else(|| {
        InVain::because(format!(
            "it is not known when {} took the traffic: it has no time of creation",
            short(&kept.name)
        ))
    })
}

/// A time as the APIs write it.
fn time(written: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(written).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_pipelines_own_tags_are_those_of_all_its_stages() {
        let stage = |tags: serde_json::Value| json!({"strategy": {"canary": {"runtimeConfig": {"cloudRun": tags}}}});
        let pipeline = Pipeline {
            serial_pipeline: json!({"stages": [
                stage(json!({"canaryRevisionTags": ["canary"], "stableRevisionTags": ["stable", "blue"]})),
                stage(json!({"priorRevisionTags": ["prior", 7]})),
                {"targetId": "plain"},
            ]}),
            ..Pipeline::default()
        };
        assert_eq!(tags(&pipeline), ["canary", "stable", "blue", "prior"]);
        assert_eq!(tags(&Pipeline::default()), [""; 0]);
    }

    #[test]
    fn it_took_the_traffic_when_it_was_deployed_and_was_made_before() {
        let kept = RevisionKept { create_time: "2026-11-20T10:00:00.123456Z".into(), ..RevisionKept::default() };
        let deployed = time("2026-11-20T10:30:00Z").map(|at| (at, "the end of the rollout"));
        assert_eq!(since(deployed, &Ok(kept.clone())).unwrap().1, "the end of the rollout");
        assert_eq!(since(None, &Ok(kept)).unwrap().1, "the revision's creation");
        assert!(since(None, &Ok(RevisionKept::default())).is_err());
        assert!(since(None, &Err(InVain::because("403"))).unwrap_err().to_string().contains("403"));
    }
}
