//! The pipeline's files, read strictly and compared with each other: what gcloud silently drops is an error here.

mod shapes;

use std::collections::BTreeSet;
use std::path::Path;

use clap::Parser as _;
use serde::de::DeserializeOwned;
use shapes::{AutomationRule, Build, ExecutionConfig, Map, RepairPhase, Resource, SerialPipeline, Skaffold};
fn text(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn read<T: DeserializeOwned>(name: &str, document: usize) -> T {
    let text = text(name);
    let part = text.split("\n---\n").nth(document).unwrap_or_else(|| panic!("{name} has no document {document}"));
    serde_saphyr::from_str(part).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn pipeline() -> Resource<SerialPipeline> {
    read("clouddeploy.yaml", 0)
}

fn automation() -> Resource<Vec<AutomationRule>> {
    read("clouddeploy.yaml", 1)
}

fn target() -> Resource<Vec<ExecutionConfig>> {
    read("targets.yaml", 0)
}

fn skaffold() -> Skaffold {
    read("skaffold.yaml", 0)
}

fn seconds(written: &str) -> u64 {
    written.strip_suffix('s').unwrap_or_else(|| panic!("{written} is not a number of seconds")).parse().unwrap()
}

/// The gate's arguments, parsed by its own command line.
fn gate_arguments(args: &[String]) -> canary_gate::cli::Verify {
    let words = std::iter::once("canary-gate".to_owned()).chain(args.iter().cloned());
    match canary_gate::cli::Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{args:?}: {error}")).command {
        canary_gate::cli::Command::Verify(verify) => *verify,
        other => panic!("{other:?} is not a verification"),
    }
}

fn limit(verify: &canary_gate::cli::Verify) -> u64 {
    humantime::parse_duration(verify.plan.timeout.as_ref().expect("the gate has a limit of its own")).unwrap().as_secs()
}

#[test]
fn the_pipeline_is_one_target_with_a_verified_canary() {
    let pipeline = pipeline();
    let [stage] = pipeline.body.stages.as_slice() else { panic!("one stage") };
    assert_eq!(stage.target_id, target().metadata.name);
    let canary = &stage.strategy.canary;
    let run = &canary.runtime_config.cloud_run;
    assert!(run.automatic_traffic_control);
    assert_eq!(
        (&*run.canary_revision_tags, &*run.prior_revision_tags, &*run.stable_revision_tags),
        (&["canary".to_owned()][..], &["prior".to_owned()][..], &["stable".to_owned()][..])
    );
    let phases: Vec<_> = canary
        .custom_canary_deployment
        .phase_configs
        .iter()
        .map(|phase| (&*phase.id, phase.percentage, phase.verify))
        .collect();
    assert_eq!(phases, [("canary", 20, true), ("stable", 100, true)]);
}

#[test]
fn each_phase_has_its_profile_and_the_gate_expects_its_share() {
    let (pipeline, skaffold) = (pipeline(), skaffold());
    for phase in &pipeline.body.stages[0].strategy.canary.custom_canary_deployment.phase_configs {
        let [name] = phase.profiles.as_slice() else { panic!("{}: one profile", phase.id) };
        let profile = skaffold
            .profiles
            .iter()
            .find(|profile| profile.name == *name)
            .unwrap_or_else(|| panic!("no profile {name}"));
        let [case] = profile.verify.as_slice() else { panic!("{name}: one verify container") };
        let verify = gate_arguments(&case.container.args);
        assert_eq!(verify.google.expect_percent, Some(phase.percentage), "{name}");
        assert!(verify.google.require_identity, "{name}");
        assert_eq!(
            verify.plan.window.is_some(),
            phase.id == "canary",
            "the canary phase watches, the stable one does not"
        );
        // The gate derives the tag from the phase's name.
        assert_eq!(phase.id, *name);
    }
}

#[test]
fn the_limits_nest() {
    let verify_jobs = target()
        .body
        .into_iter()
        .find(|config| config.usages.contains(&"VERIFY".to_owned()))
        .expect("an execution config for VERIFY");
    let execution = seconds(&verify_jobs.execution_timeout);
    assert!((600..=86_400).contains(&execution));
    for profile in skaffold().profiles {
        for case in profile.verify {
            let gate = limit(&gate_arguments(&case.container.args));
            assert!(gate < case.timeout && case.timeout < execution, "{gate} < {} < {execution}", case.timeout);
        }
    }
    let build: Build = read("verify.yaml", 0);
    assert!(limit(&gate_arguments(&build.steps[0].args)) < seconds(&build.timeout));
}

#[test]
fn the_stable_phase_is_audited_when_it_is_verified() {
    let (pipeline, skaffold) = (pipeline(), skaffold());
    let phases = &pipeline.body.stages[0].strategy.canary.custom_canary_deployment.phase_configs;
    let after: Vec<_> =
        phases.iter().filter_map(|phase| Some((&*phase.id, &*phase.postdeploy.as_ref()?.actions))).collect();
    assert_eq!(after, [("stable", &["audit".to_owned()][..])]);
    let stable = skaffold.profiles.iter().find(|profile| profile.name == "stable").unwrap();
    let [action] = stable.actions.as_slice() else { panic!("one action") };
    let [container] = action.containers.as_slice() else { panic!("one container") };
    assert_eq!((&*action.name, &container.image), ("audit", &stable.verify[0].container.image));
    let words = std::iter::once("canary-gate".to_owned()).chain(container.args.iter().cloned());
    let audit = match canary_gate::cli::Cli::try_parse_from(words).unwrap().command {
        canary_gate::cli::Command::Audit(audit) => audit,
        other => panic!("{other:?} is no audit"),
    };
    let own = humantime::parse_duration(&audit.timeout).unwrap().as_secs();
    let job = target().body.into_iter().find(|config| config.usages.contains(&"POSTDEPLOY".to_owned())).unwrap();
    assert!(own < action.timeout && action.timeout < seconds(&job.execution_timeout));
    // It waits for the span and the lag of the default plan, and for the scrapes.
    assert!(own > 8 * 60 && container.args.iter().any(|word| word == "--wait"));
}

#[test]
fn every_use_has_an_execution_config_and_the_gate_an_account_of_its_own() {
    let target = target();
    let mut usages: Vec<&str> = target.body.iter().flat_map(|config| &config.usages).map(String::as_str).collect();
    usages.sort_unstable();
    assert_eq!(usages, ["DEPLOY", "POSTDEPLOY", "RENDER", "VERIFY"]);
    let account = |usage: &str| {
        &target.body.iter().find(|config| config.usages.iter().any(|other| other == usage)).unwrap().service_account
    };
    assert_ne!(
        account("VERIFY"),
        account("DEPLOY"),
        "the gate changes nothing, so that its account may change nothing"
    );
    assert_eq!(account("POSTDEPLOY"), account("VERIFY"), "the audit changes nothing either");
}

#[test]
fn the_automation_advances_the_canary_alone_and_rolls_back_to_stable() {
    let automation = automation();
    assert!(automation.metadata.name.starts_with(&format!("{}/", pipeline().metadata.name)));
    assert_eq!(automation.selector.unwrap().targets[0].id, target().metadata.name);
    let [
        AutomationRule { advance_rollout_rule: Some(advance), .. },
        AutomationRule { repair_rollout_rule: Some(repair), .. },
    ] = automation.body.as_slice()
    else {
        panic!("an advance rule and a repair rule")
    };
    assert_eq!(advance.source_phases, ["canary"], "without it every phase would advance");
    assert_eq!(repair.jobs, ["verify"]);
    assert_eq!(repair.phases, ["canary", "stable"]);
    let [RepairPhase { retry: Some(retry), .. }, RepairPhase { rollback: Some(rollback), .. }] =
        repair.repair_phases.as_slice()
    else {
        panic!("a retry and a rollback")
    };
    assert_eq!(
        (retry.attempts, &*retry.backoff_mode, &*rollback.destination_phase),
        (1, "BACKOFF_MODE_LINEAR", "stable")
    );
    assert!(rollback.disable_rollback_if_rollout_pending, "a newer rollout may be the repair");
    for wait in [&advance.wait, &retry.wait] {
        assert!(wait.strip_suffix('m').is_some_and(|minutes| minutes.parse::<u32>().is_ok()), "{wait}: minutes only");
    }
}

#[test]
fn the_service_is_what_cloud_deploy_may_manage() {
    let service: serde_json::Value = read("manifests/service.yaml", 0);
    let template = &service["spec"]["template"];
    assert!(service["spec"].get("traffic").is_none(), "Cloud Deploy owns the traffic");
    let annotations = &template["metadata"]["annotations"];
    assert_eq!(annotations["run.googleapis.com/sessionAffinity"], "true");
    assert_eq!(
        (&annotations["autoscaling.knative.dev/minScale"], &annotations["autoscaling.knative.dev/maxScale"]),
        (&"1".into(), &"10".into())
    );
    let container = &template["spec"]["containers"][0];
    assert_eq!(
        (&container["resources"]["limits"]["cpu"], &container["resources"]["limits"]["memory"]),
        (&"2".into(), &"4Gi".into())
    );
    assert_eq!(
        (&template["spec"]["containerConcurrency"], &template["spec"]["timeoutSeconds"]),
        (&80.into(), &300.into())
    );
    assert!(skaffold().manifests.raw_yaml.contains(&"manifests/service.yaml".to_owned()));
    // The probes ask for the same paths as the default plan.
    let plan = canary_gate::DEFAULT_PLAN;
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let path = container[probe]["httpGet"]["path"].as_str().unwrap();
        assert!(plan.contains(&format!("path: {path}\n")), "{probe}: {path}");
    }
}

#[test]
fn the_build_by_hand_names_every_input() {
    let build: Build = read("verify.yaml", 0);
    for variable in &build.steps[0].env {
        let (name, value) = variable.split_once('=').unwrap();
        assert!(name.starts_with("CANARY_GATE_"), "{name}");
        let substitution = value.trim_start_matches("${").trim_start_matches('$').trim_end_matches('}');
        assert!(
            substitution == "PROJECT_ID" || build.substitutions.contains_key(substitution),
            "{value} is not a substitution"
        );
    }
    assert!(build.substitutions.keys().all(|name| name.starts_with('_')
        && name[1..].bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')));
}

fn coordinates() -> Map {
    text("pipeline.env")
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn the_files_agree_with_the_coordinates() {
    let coordinates = coordinates();
    let of = |name: &str| coordinates[name].clone();
    assert_eq!(pipeline().metadata.name, of("PIPELINE"));
    assert_eq!(target().metadata.name, of("TARGET"));
    assert_eq!(target().run.unwrap().location, format!("projects/{}/locations/{}", of("PROJECT"), of("REGION")));
    assert_eq!(skaffold().profiles[0].verify[0].container.image, of("IMAGE"));
    let service: serde_json::Value = read("manifests/service.yaml", 0);
    assert_eq!(service["metadata"]["name"], of("SERVICE"));
}

/// The members of each role by `iam.yaml`, as pairs of an account's id and a role.
fn granted() -> BTreeSet<(String, String)> {
    let policy: serde_json::Value = read("iam.yaml", 0);
    let mut pairs = BTreeSet::new();
    for binding in policy["bindings"].as_array().unwrap() {
        for member in binding["members"].as_array().unwrap() {
            let id = member.as_str().unwrap().strip_prefix("serviceAccount:").unwrap().split('@').next().unwrap();
            pairs.insert((id.to_owned(), binding["role"].as_str().unwrap().to_owned()));
        }
    }
    pairs
}

#[test]
fn the_documents_grant_what_the_policy_says_and_no_more() {
    let text = text("docs/pipeline.md");
    let project = &coordinates()["PROJECT"];
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("grant ")?.split_once(' '));
    let documented: BTreeSet<(String, String)> = lines
        .map(|(account, role)| (account.to_owned(), role.trim_matches('"').replace("$PROJECT", project)))
        .collect();
    assert_eq!(documented, granted());
}

#[test]
fn no_account_has_a_role_that_is_wider_than_its_task() {
    let roles = |account: &str| -> Vec<String> {
        granted().into_iter().filter(|(id, _)| id == account).map(|(_, role)| role).collect()
    };
    let own = format!("projects/{}/roles/canaryGateRetry", coordinates()["PROJECT"]);
    assert_eq!(roles("cloud-deploy-automation"), [own.as_str(), "roles/clouddeploy.releaser"]);
    assert_eq!(
        roles("canary-gate"),
        [
            "roles/clouddeploy.jobRunner",
            "roles/clouddeploy.viewer",
            "roles/logging.viewer",
            "roles/monitoring.viewer",
            "roles/run.invoker",
            "roles/run.viewer"
        ]
    );
    assert_eq!(roles("cloud-deploy-runner"), ["roles/clouddeploy.jobRunner", "roles/run.developer"]);
    let rollback = format!("projects/{}/roles/canaryGateRollback", coordinates()["PROJECT"]);
    assert_eq!(roles("cloud-deploy-rollback"), [rollback.as_str()]);
    let release = format!("projects/{}/roles/canaryGateRelease", coordinates()["PROJECT"]);
    assert_eq!(
        roles("cloud-deploy-release"),
        [
            release.as_str(),
            "roles/clouddeploy.releaser",
            "roles/clouddeploy.viewer",
            "roles/logging.viewer",
            "roles/run.viewer"
        ]
    );
    assert_eq!(granted().len(), 16);
    // What is granted on one resource only, each by a command of the documents.
    let text = text("docs/pipeline.md");
    assert!(text.contains("--permissions=clouddeploy.rollouts.retryJob\n"), "the role has one permission");
    for role in ["roles/artifactregistry.reader", "roles/iam.serviceAccountOpenIdTokenCreator"] {
        assert_eq!(text.matches(&format!("--role={role}")).count(), 1, "{role}");
    }
    assert_eq!(text.matches("--role=roles/iam.serviceAccountUser").count(), 4);
    // Who may act as the gate's account may not become the one that changes things.
    let changes = ["run.services.update", "clouddeploy.rollouts.rollback", "clouddeploy.rollouts.cancel"];
    for permission in changes {
        assert_eq!(text.matches(permission).count(), 1, "{permission}");
    }
}
