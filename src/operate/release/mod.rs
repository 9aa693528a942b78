//! A release and its rollout, each made once however often it is asked for.

mod ids;
mod images;
mod source;

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

pub(crate) use ids::{release_id, rollout_id};
pub(crate) use images::{Named, images};
pub(crate) use source::{Source, pack};

use super::watch::{Apis, Asked, Happened, rollout_is, rollouts};
use super::{Stop, persistently, pin};
use crate::google::deploy::{BuildArtifact, Pipeline, Release, Rollout, RolloutState};
use crate::google::run_traffic::{self, ServiceName};
use crate::google::{ApiError, ApiErrorKind, short};
use crate::google::{Ended, Operation};
use crate::outcome::shares;
use crate::text;

/// How long an operation is waited for; what it was to make is read then.
const LONG: Duration = Duration::from_mins(5);

/// What is released.
pub(crate) struct Plan {
    pub(crate) service: ServiceName,
    /// The full name of the pipeline.
    pub(crate) pipeline: String,
    pub(crate) target: String,
    pub(crate) release: String,
    pub(crate) images: Vec<BuildArtifact>,
    pub(crate) source: Source,
}

/// What is done on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The traffic was set by somebody else than the last rollout.
    Pinned(String),
    /// The service is not there yet.
    First,
    BucketMade(String),
    Uploaded {
        uri: String,
        files: Vec<String>,
        bytes: usize,
    },
    /// It was there, with the same content.
    Kept(String),
    ReleaseMade(String),
    ReleaseThere(String),
    RolloutMade(String),
    RolloutThere(String),
}

/// Makes releases.
pub(crate) struct Releaser<'a> {
    pub(crate) apis: &'a Apis,
    pub(crate) asked: &'a Asked,
    pub(crate) plan: &'a Plan,
    pub(crate) tell: &'a dyn Fn(Step),
    /// An API has trouble, and is asked again.
    pub(crate) trouble: &'a dyn Fn(Happened),
}

impl Releaser<'_> {
    /// Makes the release and the rollout; returns the full name of the rollout.
    ///
    /// # Errors
    /// Why there is none, with what was made by then told.
    pub(crate) async fn make(&self) -> Result<String, Stop> {
        let pipeline = self.pipeline().await?;
        let all = rollouts(&self.apis.deploy, &self.plan.pipeline, &self.plan.target, self.asked, self.trouble).await?;
        self.is_alone(&all)?;
        self.look_at_the_service(&all).await?;
        let uri = self.upload(&pipeline.uid).await?;
        let release = self.release(&uri).await?;
        self.rollout(&release).await
    }

    fn deadline(&self) -> Instant {
        self.asked.deadline
    }

    /// Asks until there is an answer. Only for what is made once however often it is asked for.
    async fn ask<T>(&self, ask: impl AsyncFnMut() -> Result<T, ApiError>) -> Result<T, ApiError> {
        let note = |error: &ApiError| (self.trouble)(Happened::Trouble(error.to_string()));
        persistently(self.asked.policy(), self.deadline(), note, ask).await
    }

    /// The pipeline, which has to lead to the target by way of the phase.
    async fn pipeline(&self) -> Result<Pipeline, Stop> {
        let Plan { pipeline: name, target, .. } = self.plan;
        let deploy = &self.apis.deploy;
        let pipeline: Pipeline = self.ask(async || deploy.get(name, self.deadline()).await).await?;
        let own = short(name);
        if pipeline.suspended {
            return Err(Stop::NotDone(format!("the pipeline {own} is suspended")));
        }
        let targets = pipeline.targets();
        if !targets.contains(target) {
            let known = text::joined(&targets, 10, ", ");
            return Err(Stop::Unseen(format!("the pipeline {own} has no target {target}; there are {known}")));
        }
        let until = &self.asked.until;
        if pipeline.percentage(target, until).is_none() {
            return Err(Stop::Unseen(format!("the pipeline {own} has no phase {until} for {target} (--until)")));
        }
        if pipeline.uid.is_empty() || !pipeline.uid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(Stop::Unseen(format!("Cloud Deploy does not say the uid of the pipeline {own}")));
        }
        Ok(pipeline)
    }

    /// # Errors
    /// Another rollout to the target has not ended: a new one would wait behind it.
    fn is_alone(&self, all: &[Rollout]) -> Result<(), Stop> {
        let own = format!("/releases/{}/", self.plan.release);
        let other = all.iter().find(|rollout| !rollout.state.is_final() && !rollout.name.contains(&own));
        let Some(other) = other else { return Ok(()) };
        let name = short(&other.name);
        Err(Stop::NotDone(format!(
            "another rollout to {} has not ended: {name} {}; nothing was made. Follow it (canary-gate watch {name}) or cancel it",
            self.plan.target,
            rollout_is(other.state)
        )))
    }

    /// Tells where the traffic is not what the last rollout made of it.
    async fn look_at_the_service(&self, all: &[Rollout]) -> Result<(), Stop> {
        let found =
            self.ask(async || run_traffic::service(&self.apis.run, &self.plan.service, self.deadline()).await).await;
        let service = match found {
            Ok(service) => service,
            Err(error) if error.kind == ApiErrorKind::Missing => {
                (self.tell)(Step::First);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        let succeeded = all.iter().filter(|rollout| rollout.state == RolloutState::Succeeded);
        let last = succeeded.max_by_key(|rollout| humantime::parse_rfc3339(&rollout.deploy_end_time).ok());
        let deployed = last.map(|rollout| short(&rollout.metadata.cloud_run.revision)).filter(|name| !name.is_empty());
        if pin(&service, deployed.as_deref()).is_some() {
            let is = shares(&service.shares());
            let by = if service.last_modifier.is_empty() {
                String::new()
            } else {
                format!(", changed last by {}", service.last_modifier)
            };
            let made = match (last, &deployed) {
                (Some(last), Some(revision)) => {
                    format!("the last rollout that succeeded, {}, made {revision} serve", short(&last.name))
                }
                _ => "no rollout of this pipeline made it so".into(),
            };
            (self.tell)(Step::Pinned(format!("{is}{by}; {made}")));
        }
        Ok(())
    }

    /// Uploads the sources; returns their URI.
    async fn upload(&self, uid: &str) -> Result<String, Stop> {
        let bucket = format!("{uid}_clouddeploy");
        self.bucket(&bucket).await?;
        let Source { bytes, files, digest } = &self.plan.source;
        // What is in it is a part of its name: the same name holds the same.
        let object = format!("source/{}-{}.tgz", self.plan.release, &digest[..32]);
        let uri = format!("gs://{bucket}/{object}");
        let name: String = url::form_urlencoded::byte_serialize(object.as_bytes()).collect();
        let path = format!("/upload/storage/v1/b/{bucket}/o?uploadType=media&name={name}&ifGenerationMatch=0");
        let storage = &self.apis.storage;
        let sent = self
            .ask(async || storage.upload::<Value>(&path, "application/x-tar", bytes.clone(), self.deadline()).await)
            .await;
        match sent {
            Ok(_) => (self.tell)(Step::Uploaded { uri: uri.clone(), files: files.clone(), bytes: bytes.len() }),
            Err(error) if error.kind == ApiErrorKind::Conflict => (self.tell)(Step::Kept(uri.clone())),
            Err(error) => return Err(error.into()),
        }
        Ok(uri)
    }

    /// Makes the bucket where it is not there, and proves that it is the project's own: its name could have been taken by somebody
    /// else, who would read and change what is deployed.
    async fn bucket(&self, bucket: &str) -> Result<(), Stop> {
        let ServiceName { project, region, .. } = &self.plan.service;
        let storage = &self.apis.storage;
        let path = format!("/storage/v1/b/{bucket}");
        match self.ask(async || storage.get::<Value>(&path, self.deadline()).await).await {
            Ok(_) => {}
            Err(error) if error.kind == ApiErrorKind::Missing => {
                let body = json!({
                    "name": bucket,
                    "location": region,
                    "iamConfiguration": {
                        "uniformBucketLevelAccess": {"enabled": true}, "publicAccessPrevention": "enforced",
                    },
                });
                let made = format!("/storage/v1/b?project={project}");
                match self.ask(async || storage.post::<Value>(&made, &body, self.deadline()).await).await {
                    Ok(_) => (self.tell)(Step::BucketMade(bucket.to_owned())),
                    // Made meanwhile, or by a request whose answer was lost.
                    Err(error) if error.kind == ApiErrorKind::Conflict => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) => return Err(error.into()),
        }
        let list = format!("/storage/v1/b?project={project}&prefix={bucket}");
        let own = self.ask(async || storage.list(&list, "items", self.deadline()).await).await?;
        if own.iter().any(|item| item["name"] == bucket) {
            return Ok(());
        }
        Err(Stop::NotDone(format!(
            "the bucket {bucket} belongs to another project than {project}; nothing was uploaded"
        )))
    }

    /// Makes the release, or finds it made with the same content; returns its full name.
    async fn release(&self, uri: &str) -> Result<String, Stop> {
        let Plan { pipeline, release: id, images, .. } = self.plan;
        let name = format!("{pipeline}/releases/{id}");
        let artifacts: Vec<Value> =
            images.iter().map(|image| json!({"image": image.image, "tag": image.tag})).collect();
        let body = json!({"skaffoldConfigUri": uri, "skaffoldConfigPath": SKAFFOLD, "buildArtifacts": artifacts});
        let request = ids::request_id(&["release", &name, uri, &json!(artifacts).to_string()]);
        let deploy = &self.apis.deploy;
        let made = self.ask(async || deploy.create_release(pipeline, id, &request, &body, self.deadline()).await).await;
        let what = format!("the release {id}");
        let is_new = self.ended(made, &what).await?;
        let found: Release = self.found(&name, &what, is_new.as_ref()).await?;
        let mut own = found.build_artifacts.clone();
        own.sort();
        if found.skaffold_config_uri != uri || found.skaffold_config_path != SKAFFOLD || own != *images {
            return Err(Stop::NotDone(format!(
                "there is a release {id} already, with other content ({}): pass another --name",
                found.skaffold_config_uri
            )));
        }
        if found.abandoned {
            return Err(Stop::NotDone(format!("the release {id} is abandoned: pass another --name")));
        }
        (self.tell)(if is_new.is_ok() { Step::ReleaseMade(name.clone()) } else { Step::ReleaseThere(name.clone()) });
        Ok(name)
    }

    /// Makes the rollout, or finds it made; returns its full name.
    async fn rollout(&self, release: &str) -> Result<String, Stop> {
        let target = &self.plan.target;
        let id = rollout_id(&self.plan.release, target);
        let name = format!("{release}/rollouts/{id}");
        let request = ids::request_id(&["rollout", &name, target]);
        let deploy = &self.apis.deploy;
        let made =
            self.ask(async || deploy.create_rollout(release, &id, &request, target, self.deadline()).await).await;
        let what = format!("the rollout {id}");
        let is_new = self.ended(made, &what).await?;
        let found: Rollout = self.found(&name, &what, is_new.as_ref()).await?;
        if short(&found.target_id) != *target {
            return Err(Stop::NotDone(format!("{what} is there already, and goes to {}", found.target_id)));
        }
        (self.tell)(if is_new.is_ok() { Step::RolloutMade(name.clone()) } else { Step::RolloutThere(name.clone()) });
        Ok(name)
    }

    /// Waits for what makes something. The inner error says why it may be there already, or may not.
    ///
    /// # Errors
    /// It was not made.
    async fn ended(&self, made: Result<Operation, ApiError>, what: &str) -> Result<Result<(), ApiError>, Stop> {
        let operation = match made {
            Ok(operation) => operation,
            Err(error) if error.kind == ApiErrorKind::Conflict => return Ok(Err(error)),
            Err(error) => return Err(error.into()),
        };
        let soon = self.deadline().min(Instant::now() + LONG);
        let ended = self.apis.deploy.api().wait_by(operation, "v1", self.asked.policy(), soon).await;
        if let Ended::Failed(why) = ended {
            return Err(Stop::NotDone(format!("{what} could not be made: {why}")));
        }
        // Whatever the operation says, what it was to make is read.
        Ok(Ok(()))
    }

    /// Reads what was made, or was there.
    async fn found<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
        what: &str,
        is_new: Result<&(), &ApiError>,
    ) -> Result<T, Stop> {
        let deploy = &self.apis.deploy;
        let read = self.ask(async || deploy.get(name, self.deadline()).await).await;
        read.map_err(|error| match (error.kind, is_new) {
            // It is not there, so that is not why it was not made.
            (ApiErrorKind::Missing, Err(refused)) => Stop::NotDone(refused.to_string()),
            _ => Stop::Unseen(format!("whether {what} was made is not known: {error}")),
        })
    }
}

/// The configuration, in the sources.
pub(crate) const SKAFFOLD: &str = "skaffold.yaml";

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned(what) => write!(
                f,
                "the traffic is not as the last rollout left it: {what}. It was pinned by hand, or a canary stayed; this rollout puts Cloud \
                 Deploy's own traffic in its place"
            ),
            Self::First => f.write_str("the service is not there yet: its first release has no canary"),
            Self::BucketMade(bucket) => write!(f, "the bucket {bucket} was made"),
            Self::Uploaded { uri, files, bytes } => {
                let files = text::joined(files, 20, ", ");
                write!(f, "uploaded {uri} ({bytes} bytes: {files})")
            }
            Self::Kept(uri) => write!(f, "{uri} is there already, with this very content"),
            Self::ReleaseMade(name) => write!(f, "release {} made", short(name)),
            Self::ReleaseThere(name) => write!(f, "release {} is there already, with this very content", short(name)),
            Self::RolloutMade(name) => write!(f, "rollout {} made", short(name)),
            Self::RolloutThere(name) => write!(f, "rollout {} is there already", short(name)),
        }
    }
}
