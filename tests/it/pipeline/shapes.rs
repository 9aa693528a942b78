//! The shapes of the pipeline's files: every key known, every type exact.

#![allow(dead_code, reason = "that a key is known and of its type is what is checked")]

use std::collections::BTreeMap;

use serde::Deserialize;

pub(super) type Map = BTreeMap<String, String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Resource<Body> {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) metadata: Metadata,
    #[serde(rename = "description")]
    pub(super) about: Option<String>,
    #[serde(rename = "serialPipeline", alias = "rules", alias = "executionConfigs")]
    pub(super) body: Body,
    // Of an automation.
    pub(super) suspended: Option<bool>,
    pub(super) service_account: Option<String>,
    pub(super) selector: Option<Selector>,
    // Of a target.
    pub(super) run: Option<Run>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Metadata {
    pub(super) name: String,
    #[serde(default)]
    pub(super) annotations: Map,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SerialPipeline {
    pub(super) stages: Vec<Stage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Stage {
    pub(super) target_id: String,
    pub(super) strategy: Strategy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Strategy {
    pub(super) canary: CanaryStrategy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct CanaryStrategy {
    pub(super) runtime_config: RuntimeConfig,
    pub(super) custom_canary_deployment: CustomCanary,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RuntimeConfig {
    pub(super) cloud_run: CloudRunConfig,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct CloudRunConfig {
    pub(super) automatic_traffic_control: bool,
    pub(super) canary_revision_tags: Vec<String>,
    pub(super) prior_revision_tags: Vec<String>,
    pub(super) stable_revision_tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct CustomCanary {
    pub(super) phase_configs: Vec<Phase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Phase {
    #[serde(rename = "phaseId")]
    pub(super) id: String,
    pub(super) percentage: u32,
    pub(super) profiles: Vec<String>,
    pub(super) verify: bool,
    pub(super) postdeploy: Option<Postdeploy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Postdeploy {
    pub(super) actions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Selector {
    pub(super) targets: Vec<TargetId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetId {
    pub(super) id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct AutomationRule {
    pub(super) advance_rollout_rule: Option<AdvanceRule>,
    pub(super) repair_rollout_rule: Option<RepairRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct AdvanceRule {
    pub(super) name: String,
    pub(super) source_phases: Vec<String>,
    pub(super) wait: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RepairRule {
    pub(super) name: String,
    pub(super) phases: Vec<String>,
    pub(super) jobs: Vec<String>,
    pub(super) repair_phases: Vec<RepairPhase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RepairPhase {
    pub(super) retry: Option<RetryPhase>,
    pub(super) rollback: Option<RollbackPhase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RetryPhase {
    pub(super) attempts: u32,
    pub(super) wait: String,
    pub(super) backoff_mode: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RollbackPhase {
    pub(super) destination_phase: String,
    pub(super) disable_rollback_if_rollout_pending: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    pub(super) location: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct ExecutionConfig {
    pub(super) usages: Vec<String>,
    pub(super) service_account: String,
    pub(super) execution_timeout: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Skaffold {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) metadata: Metadata,
    pub(super) manifests: Manifests,
    pub(super) deploy: BTreeMap<String, Map>,
    pub(super) profiles: Vec<Profile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Manifests {
    pub(super) raw_yaml: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    pub(super) name: String,
    pub(super) verify: Vec<VerifyCase>,
    #[serde(default, rename = "customActions")]
    pub(super) actions: Vec<CustomAction>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomAction {
    pub(super) name: String,
    pub(super) timeout: u64,
    pub(super) containers: Vec<VerifyContainer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyCase {
    pub(super) name: String,
    pub(super) timeout: u64,
    pub(super) container: VerifyContainer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VerifyContainer {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) args: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Build {
    pub(super) steps: Vec<BuildStep>,
    pub(super) timeout: String,
    pub(super) service_account: String,
    pub(super) substitutions: Map,
    pub(super) options: Map,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BuildStep {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) args: Vec<String>,
    pub(super) env: Vec<String>,
}
