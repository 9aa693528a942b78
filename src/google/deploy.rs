//! Cloud Deploy: pipelines, releases, rollouts, their phases, jobs and job runs, and what automation did with them.
//!
//! Reference: <https://cloud.google.com/deploy/docs/api/reference/rest>. A state that is not known is one of its own: it is none of
//! those that prove anything.

#![expect(clippy::struct_field_names, reason = "the names are the API's")]

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::api::{Api, ApiError};
use super::operation::Operation;

/// A delivery pipeline.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Pipeline {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) suspended: bool,
    pub(crate) serial_pipeline: Value,
}

impl Pipeline {
    /// The targets of its stages, in their order.
    pub(crate) fn targets(&self) -> Vec<String> {
        let stages = self.stages();
        stages.iter().filter_map(|stage| stage["targetId"].as_str().map(super::short)).collect()
    }

    /// The share of the traffic that a phase of a target has, in percent. Nothing where the pipeline does not say it.
    pub(crate) fn percentage(&self, target: &str, phase: &str) -> Option<u32> {
        let stage = self
            .stages()
            .iter()
            .find(|stage| stage["targetId"].as_str().map(super::short).as_deref() == Some(target))?;
        let canary = &stage["strategy"]["canary"];
        let own = canary["customCanaryDeployment"]["phaseConfigs"].as_array().map(Vec::as_slice).unwrap_or_default();
        if let Some(config) = own.iter().find(|config| config["phaseId"] == phase) {
            return percent(&config["percentage"]);
        }
        if !own.is_empty() {
            return None;
        }
        // Phases of a standard canary are named by their shares.
        phase
            .strip_prefix("canary-")
            .and_then(|share| share.parse().ok())
            .or_else(|| (phase == "stable").then_some(100))
    }

    fn stages(&self) -> &[Value] {
        self.serial_pipeline["stages"].as_array().map(Vec::as_slice).unwrap_or_default()
    }
}

/// A whole number; what is left out is 0, as the APIs write it.
fn percent(value: &Value) -> Option<u32> {
    if value.is_null() { Some(0) } else { value.as_u64().and_then(|percent| u32::try_from(percent).ok()) }
}

/// A release: images and manifests, rendered once for every target.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Release {
    pub(crate) name: String,
    pub(crate) abandoned: bool,
    pub(crate) build_artifacts: Vec<BuildArtifact>,
    pub(crate) skaffold_config_uri: String,
    pub(crate) skaffold_config_path: String,
    pub(crate) render_state: RenderState,
    pub(crate) target_renders: BTreeMap<String, TargetRender>,
    /// The pipeline as it was when the release was made; its rollouts go by this one.
    pub(crate) delivery_pipeline_snapshot: Pipeline,
}

/// An image that a manifest names, and what it stands for in this release.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(default)]
pub(crate) struct BuildArtifact {
    pub(crate) image: String,
    /// The whole reference, with its digest.
    pub(crate) tag: String,
}

/// How the rendering of a release, or of one target of it, is going.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum RenderState {
    InProgress,
    Succeeded,
    Failed,
    #[default]
    #[serde(other)]
    Unknown,
}

/// The rendering of one target.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TargetRender {
    pub(crate) rendering_state: RenderState,
    /// The resource of the Cloud Build build.
    pub(crate) rendering_build: String,
    pub(crate) failure_cause: String,
    pub(crate) failure_message: String,
}

/// A rollout: one release, going to one target.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Rollout {
    pub(crate) name: String,
    pub(crate) target_id: String,
    pub(crate) state: RolloutState,
    pub(crate) create_time: String,
    pub(crate) deploy_start_time: String,
    pub(crate) deploy_end_time: String,
    pub(crate) failure_reason: String,
    pub(crate) deploy_failure_cause: String,
    pub(crate) phases: Vec<Phase>,
    pub(crate) metadata: RolloutMetadata,
    /// The full name of the repair that is under way.
    pub(crate) active_repair_automation_run: String,
    /// The full name of the rollout that this one undoes.
    pub(crate) rollback_of_rollout: String,
    /// The full names of the rollouts that undo this one.
    pub(crate) rolled_back_by_rollouts: Vec<String>,
}

/// The states of a rollout.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum RolloutState {
    PendingRelease,
    Pending,
    PendingApproval,
    InProgress,
    Succeeded,
    Failed,
    Halted,
    Cancelling,
    Cancelled,
    ApprovalRejected,
    #[default]
    #[serde(other)]
    Unknown,
}

impl RolloutState {
    /// Whether it stays so unless somebody does something.
    pub(crate) fn is_final(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Halted | Self::Cancelled | Self::ApprovalRejected => true,
            Self::PendingRelease
            | Self::Pending
            | Self::PendingApproval
            | Self::InProgress
            | Self::Cancelling
            | Self::Unknown => false,
        }
    }
}

/// What is known of what a rollout did.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RolloutMetadata {
    pub(crate) cloud_run: CloudRunMetadata,
    pub(crate) automation: AutomationMetadata,
}

/// What was deployed to Cloud Run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CloudRunMetadata {
    /// The full name.
    pub(crate) service: String,
    /// The revision; short or full.
    pub(crate) revision: String,
    /// The full name of the revision before it; only with a canary.
    pub(crate) previous_revision: String,
    pub(crate) service_urls: Vec<String>,
}

/// The full names of the automation runs that acted on a rollout.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AutomationMetadata {
    pub(crate) advance_automation_runs: Vec<String>,
    pub(crate) repair_automation_runs: Vec<String>,
}

/// A phase of a rollout.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Phase {
    pub(crate) id: String,
    pub(crate) state: PhaseState,
    pub(crate) skip_message: String,
    pub(crate) deployment_jobs: DeploymentJobs,
}

/// The states of a phase.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum PhaseState {
    Pending,
    InProgress,
    Succeeded,
    Failed,
    Aborted,
    Skipped,
    #[default]
    #[serde(other)]
    Unknown,
}

/// The jobs of a phase. One that the pipeline does not ask for is left out, or is disabled.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeploymentJobs {
    pub(crate) predeploy_job: Option<Job>,
    pub(crate) deploy_job: Option<Job>,
    pub(crate) verify_job: Option<Job>,
    pub(crate) analysis_job: Option<Job>,
    pub(crate) postdeploy_job: Option<Job>,
}

impl DeploymentJobs {
    /// The jobs that there are, in the order in which they run.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Job> {
        [&self.predeploy_job, &self.deploy_job, &self.verify_job, &self.analysis_job, &self.postdeploy_job]
            .into_iter()
            .flatten()
    }
}

/// A job of a phase.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Job {
    pub(crate) id: String,
    pub(crate) state: JobState,
    /// The full name of the newest run of it.
    pub(crate) job_run: String,
    pub(crate) skip_message: String,
}

/// The states of a job.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum JobState {
    Pending,
    Disabled,
    InProgress,
    Succeeded,
    Failed,
    Aborted,
    Skipped,
    Ignored,
    #[default]
    #[serde(other)]
    Unknown,
}

/// One run of a job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct JobRun {
    pub(crate) name: String,
    pub(crate) job_id: String,
    pub(crate) state: JobRunState,
    pub(crate) end_time: String,
    pub(crate) predeploy_job_run: Option<Work>,
    pub(crate) deploy_job_run: Option<Work>,
    pub(crate) verify_job_run: Option<Work>,
    pub(crate) postdeploy_job_run: Option<Work>,
}

impl JobRun {
    /// What was done, whichever kind of job it is of.
    pub(crate) fn work(&self) -> Option<&Work> {
        let kinds = [&self.verify_job_run, &self.deploy_job_run, &self.predeploy_job_run, &self.postdeploy_job_run];
        kinds.into_iter().find_map(Option::as_ref)
    }
}

/// The states of a run of a job.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum JobRunState {
    InProgress,
    Succeeded,
    Failed,
    Terminating,
    Terminated,
    #[default]
    #[serde(other)]
    Unknown,
}

/// What a run of a job did, in a build of Cloud Build.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Work {
    /// The resource of the build.
    pub(crate) build: String,
    /// A folder in Cloud Storage, `gs://…`.
    pub(crate) artifact_uri: String,
    pub(crate) failure_cause: String,
    pub(crate) failure_message: String,
    pub(crate) metadata: WorkMetadata,
}

/// What is told of a run of a job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct WorkMetadata {
    pub(crate) cloud_run: CloudRunMetadata,
    /// What the job's own `results.json` said.
    pub(crate) custom: CustomMetadata,
}

/// Keys and texts that a job wrote.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct CustomMetadata {
    #[serde(deserialize_with = "texts")]
    pub(crate) values: BTreeMap<String, String>,
}

/// Values that are no texts are left out: the gate writes none.
fn texts<'d, D: Deserializer<'d>>(values: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values = BTreeMap::<String, Value>::deserialize(values)?;
    Ok(values.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).collect())
}

/// What an automation did, or is doing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AutomationRun {
    pub(crate) rule_id: String,
    pub(crate) state: AutomationRunState,
    pub(crate) state_description: String,
    pub(crate) advance_rollout_operation: Option<AdvanceOperation>,
    pub(crate) repair_rollout_operation: Option<RepairOperation>,
}

/// The states of an automation run.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum AutomationRunState {
    Succeeded,
    Cancelled,
    Failed,
    InProgress,
    Pending,
    Aborted,
    #[default]
    #[serde(other)]
    Unknown,
}

/// An advance from one phase to the next.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct AdvanceOperation {
    pub(crate) rollout: String,
    pub(crate) source_phase: String,
    pub(crate) destination_phase: String,
}

/// A repair: retries, and then a rollback, where the rule has them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RepairOperation {
    pub(crate) rollout: String,
    pub(crate) phase_id: String,
    pub(crate) job_id: String,
    pub(crate) repair_phases: Vec<RepairPhase>,
}

/// One step of a repair.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct RepairPhase {
    pub(crate) retry: Option<RetryPhase>,
    pub(crate) rollback: Option<RollbackAttempt>,
}

/// Retries of the job that failed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RetryPhase {
    /// A number, written as a text.
    pub(crate) total_attempts: String,
    pub(crate) attempts: Vec<RetryAttempt>,
}

/// One retry.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RetryAttempt {
    /// Its number, written as a text.
    pub(crate) attempt: String,
    pub(crate) state: RepairState,
    pub(crate) state_desc: String,
}

/// The rollback of a repair.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RollbackAttempt {
    pub(crate) state: RepairState,
    pub(crate) state_desc: String,
    /// The short name of the rollout that it made.
    pub(crate) rollout_id: String,
}

/// The states of a repair's steps.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
pub(crate) enum RepairState {
    #[serde(rename = "REPAIR_STATE_SUCCEEDED")]
    Succeeded,
    #[serde(rename = "REPAIR_STATE_CANCELLED")]
    Cancelled,
    #[serde(rename = "REPAIR_STATE_FAILED")]
    Failed,
    #[serde(rename = "REPAIR_STATE_IN_PROGRESS")]
    InProgress,
    #[serde(rename = "REPAIR_STATE_PENDING")]
    Pending,
    #[serde(rename = "REPAIR_STATE_ABORTED")]
    Aborted,
    #[default]
    #[serde(other)]
    Unknown,
}

/// What a rollback would make, or made.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RollbackTarget {
    pub(crate) rollback_config: RollbackConfig,
}

/// The rollout of a rollback.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct RollbackConfig {
    pub(crate) rollout: Rollout,
}

/// Cloud Deploy's API. Resources are named in full, `projects/…`; nothing is tried again here.
#[derive(Clone)]
pub(crate) struct Deploy {
    api: Api,
}

impl Deploy {
    pub(crate) fn new(api: Api) -> Self {
        Self { api }
    }

    /// The API itself, for lists and operations.
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// Reads a pipeline, target, release, rollout, job run or automation run.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn get<T: DeserializeOwned>(&self, name: &str, deadline: Instant) -> Result<T, ApiError> {
        self.api.get(&format!("/v1/{name}"), deadline).await
    }

    /// The rollouts of a release, or of all releases of a pipeline where it is `…/releases/-`.
    ///
    /// # Errors
    /// Why there is no whole list.
    pub(crate) async fn rollouts(
        &self,
        release: &str,
        filter: &str,
        order: &str,
        deadline: Instant,
    ) -> Result<Vec<Rollout>, ApiError> {
        self.list(&format!("{release}/rollouts"), "rollouts", filter, order, deadline).await
    }

    /// The runs of a rollout's jobs.
    ///
    /// # Errors
    /// Why there is no whole list.
    pub(crate) async fn job_runs(&self, rollout: &str, deadline: Instant) -> Result<Vec<JobRun>, ApiError> {
        self.list(&format!("{rollout}/jobRuns"), "jobRuns", "", "", deadline).await
    }

    async fn list<T: DeserializeOwned>(
        &self,
        collection: &str,
        key: &str,
        filter: &str,
        order: &str,
        deadline: Instant,
    ) -> Result<Vec<T>, ApiError> {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("filter", filter), ("orderBy", order)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        let path = format!("/v1/{collection}?{}", query.append_pair("pageSize", "100").finish());
        let items = self.api.list(&path, key, deadline).await?;
        let items: Result<Vec<T>, _> = items.into_iter().map(serde_json::from_value).collect();
        items.map_err(|_| self.api.unusable(&path))
    }

    /// Makes a release. The same `request_id` within an hour makes no second one.
    ///
    /// # Errors
    /// As of [`Api::patch`].
    pub(crate) async fn create_release(
        &self,
        pipeline: &str,
        id: &str,
        request_id: &str,
        body: &Value,
        deadline: Instant,
    ) -> Result<Operation, ApiError> {
        let path = format!("/v1/{pipeline}/releases?releaseId={id}&requestId={request_id}");
        self.api.post(&path, body, deadline).await
    }

    /// Makes a rollout of a release. The same `request_id` within an hour makes no second one.
    ///
    /// # Errors
    /// As of [`Api::patch`].
    pub(crate) async fn create_rollout(
        &self,
        release: &str,
        id: &str,
        request_id: &str,
        target: &str,
        deadline: Instant,
    ) -> Result<Operation, ApiError> {
        let path = format!("/v1/{release}/rollouts?rolloutId={id}&requestId={request_id}");
        self.api.post(&path, &json!({ "targetId": target }), deadline).await
    }

    /// Ends a rollout that has not ended.
    ///
    /// # Errors
    /// As of [`Api::patch`].
    pub(crate) async fn cancel(&self, rollout: &str, deadline: Instant) -> Result<(), ApiError> {
        self.call(rollout, "cancel", &json!({}), deadline).await
    }

    /// Ends a run of a job.
    ///
    /// # Errors
    /// As of [`Api::patch`].
    pub(crate) async fn terminate(&self, job_run: &str, deadline: Instant) -> Result<(), ApiError> {
        self.call(job_run, "terminate", &json!({}), deadline).await
    }

    /// Rolls a target back, or tells what would be done where `body` has `validateOnly`. It makes a rollout and does not wait for
    /// its end.
    ///
    /// # Errors
    /// As of [`Api::patch`].
    pub(crate) async fn rollback_target(
        &self,
        pipeline: &str,
        body: &Value,
        deadline: Instant,
    ) -> Result<RollbackTarget, ApiError> {
        self.api.post(&format!("/v1/{pipeline}:rollbackTarget"), body, deadline).await
    }

    async fn call(&self, name: &str, method: &str, body: &Value, deadline: Instant) -> Result<(), ApiError> {
        self.api.post::<Value>(&format!("/v1/{name}:{method}"), body, deadline).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_proves_nothing() {
        let rollout: Rollout = serde_json::from_value(json!({
            "name": "x", "state": "SOMETHING_NEW", "extra": {"a": 1},
            "phases": [{"id": "stable", "state": "BRIGHT", "deploymentJobs": {"verifyJob": {"id": "verify", "state": "SOON"}}}],
        }))
        .unwrap();
        assert_eq!((rollout.state, rollout.state.is_final()), (RolloutState::Unknown, false));
        assert_eq!(rollout.phases[0].state, PhaseState::Unknown);
        assert_eq!(rollout.phases[0].deployment_jobs.all().next().unwrap().state, JobState::Unknown);
        let empty: Rollout = serde_json::from_value(json!({})).unwrap();
        assert_eq!(empty.state, RolloutState::Unknown);
    }

    #[test]
    fn the_share_of_a_phase_is_the_pipelines_word() {
        let pipeline = |canary: Value| Pipeline {
            serial_pipeline: json!({"stages": [{"targetId": "run", "strategy": {"canary": canary}}]}),
            ..Pipeline::default()
        };
        let custom = pipeline(json!({"customCanaryDeployment": {"phaseConfigs": [
            {"phaseId": "zero"}, {"phaseId": "canary", "percentage": 20}, {"phaseId": "stable", "percentage": 100},
        ]}}));
        let standard = pipeline(json!({"canaryDeployment": {"percentages": [25]}}));
        for (pipeline, target, phase, wanted) in [
            (&custom, "run", "canary", Some(20)),
            (&custom, "run", "stable", Some(100)),
            (&custom, "run", "zero", Some(0)),
            (&custom, "run", "canary-20", None),
            (&custom, "other", "canary", None),
            (&standard, "run", "canary-25", Some(25)),
            (&standard, "run", "stable", Some(100)),
            (&standard, "run", "canary", None),
        ] {
            assert_eq!(pipeline.percentage(target, phase), wanted, "{target} {phase}");
        }
        assert_eq!(custom.targets(), ["run"]);
    }
}
