//! Cloud Deploy v1: a pipeline, its releases and rollouts with phases, jobs and job runs, and its automation.
//!
//! Each time that a rollout is read, one thing happens to it; what, is told by [`Script`]. A job that deploys changes the traffic
//! of the Cloud Run service.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::names::{PROJECT, REGION, SERVICE, TARGET, location, pipeline, release, revision, rollout, service};
use super::{State, body, error, parameter, resources, run};
use crate::canary::google::{DEPLOYED, PRIOR, SERVICE_URL};
use crate::canary::server::{Reply, Request};

/// The pipeline's own id, which is a part of the name of its bucket.
pub const UID: &str = "0123456789abcdef0123456789abcdef";
/// The release that serves, and the one whose canary failed.
pub const STABLE_RELEASE: &str = "release-41";
pub const FAILED_RELEASE: &str = "release-42";

/// What becomes of releases and rollouts.
pub struct Script {
    /// The cause and the message of a rendering that fails.
    pub render: Option<(&'static str, &'static str)>,
    /// Whether somebody has to approve rollouts.
    pub approval: bool,
    /// How the runs of a job end, one after the other, by `PHASE/JOB`; all others succeed. Those of a rollback are
    /// `rollback/PHASE/JOB`.
    pub jobs: Vec<(&'static str, Vec<End>)>,
    /// Whether automation advances a phase that succeeded.
    pub advances: bool,
    /// How often automation tries a failed verify job again.
    pub retries: usize,
    /// Whether automation rolls a failed rollout back.
    pub rolls_back: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self { render: None, approval: false, jobs: vec![], advances: true, retries: 1, rolls_back: true }
    }
}

/// How a run of a job ends.
#[derive(Clone, Copy)]
pub enum End {
    Succeeded,
    /// Failed, as Cloud Deploy tells it, with what the job wrote as its results.
    Failed {
        cause: &'static str,
        message: &'static str,
        results: &'static [(&'static str, &'static str)],
    },
    /// It never ends.
    Never,
    /// It is left out, or was passed over: the state of the job.
    As(&'static str),
}

/// What is behind the resources.
#[derive(Default)]
pub struct World {
    pub script: Script,
    /// How many runs there were of `ROLLOUT/PHASE/JOB`.
    runs: BTreeMap<String, usize>,
    /// The operation of each request id, by what it asks for.
    requests: BTreeMap<String, String>,
    /// How many times an operation is asked about still, and what it makes.
    operations: BTreeMap<String, (usize, String)>,
    /// The revision of each release.
    pub revisions: BTreeMap<String, String>,
    /// Phases that somebody advanced to.
    advanced: BTreeSet<String>,
    /// Why operations fail, where they do; what they make is not made then.
    pub fails: Option<&'static str>,
}

/// Phases with their shares, as the pipeline has them.
const PHASES: [(&str, u64); 2] = [("canary", 20), ("stable", 100)];
/// Jobs in the order in which they run.
const JOBS: [&str; 5] = ["predeploy", "deploy", "verify", "analysis", "postdeploy"];

/// The pipeline with a release that serves and one whose canary failed.
pub fn sample(state: &mut State) {
    let phases = PHASES
        .map(|(id, percentage)| json!({"phaseId": id, "percentage": percentage, "profiles": [id], "verify": true}));
    let pipeline = json!({
        "name": pipeline(), "uid": UID, "etag": "\"p-1\"", "createTime": "2026-01-05T09:00:00.000000Z",
        "serialPipeline": {"stages": [{"targetId": TARGET, "strategy": {"canary": {
            "runtimeConfig": {"cloudRun": {"automaticTrafficControl": true, "canaryRevisionTags": ["canary"],
                "priorRevisionTags": ["prior"], "stableRevisionTags": ["stable"]}},
            "customCanaryDeployment": {"phaseConfigs": phases},
        }}}]},
        "condition": {"pipelineReadyCondition": {"status": true}},
    });
    state.resources.insert(self::pipeline(), pipeline);
    let target = json!({
        "name": format!("{}/targets/{TARGET}", location()), "targetId": TARGET, "uid": "target-uid",
        "run": {"location": location()},
        "executionConfigs": [{"usages": ["RENDER", "DEPLOY", "VERIFY"],
            "serviceAccount": format!("cloud-deploy@{PROJECT}.iam.gserviceaccount.com")}],
    });
    state.resources.insert(format!("{}/targets/{TARGET}", location()), target);
    for (short, own, number) in [(STABLE_RELEASE, PRIOR, "41"), (FAILED_RELEASE, DEPLOYED, "42")] {
        let image = format!("img/{SERVICE}@sha256:{}", number.repeat(32));
        let body = json!({"skaffoldConfigUri": format!("gs://{UID}_clouddeploy/source/{short}.tar.gz"),
            "skaffoldConfigPath": "skaffold.yaml", "buildArtifacts": [{"image": SERVICE, "tag": image}]});
        make_release(state, &self::pipeline(), short, &body);
        state.deploy.revisions.insert(release(short), own.into());
        let resource = state.resources.get_mut(&release(short)).expect("a release");
        resource["renderState"] = json!("SUCCEEDED");
        resource["createTime"] = json!(if number == "41" { "2026-11-12T09:50:00Z" } else { "2026-11-20T09:50:00Z" });
        let name = make_rollout(state, &release(short), &format!("{short}-to-{TARGET}-0001"), TARGET, "");
        let day = if number == "41" { "12" } else { "20" };
        let failed = number == "42";
        let rollout = state.resources.get_mut(&name).expect("a rollout");
        for key in ["createTime", "enqueueTime", "deployStartTime", "deployEndTime"] {
            rollout[key] = json!(format!("2026-11-{day}T10:00:00.000000Z"));
        }
        rollout["state"] = json!(if failed { "FAILED" } else { "SUCCEEDED" });
        rollout["metadata"]["cloudRun"] = json!({"service": service(), "revision": own, "serviceUrls": [SERVICE_URL],
            "previousRevision": if failed { revision(PRIOR) } else { revision("emergence-app-00040-old") }});
        for phase in rollout["phases"].as_array_mut().expect("phases") {
            let bad = failed && phase["id"] == "canary";
            let unreached = failed && phase["id"] == "stable";
            phase["state"] = json!(if bad {
                "FAILED"
            } else if unreached {
                "ABORTED"
            } else {
                "SUCCEEDED"
            });
            for (job, value) in phase["deploymentJobs"].as_object_mut().expect("jobs") {
                let bad = bad && job == "verifyJob";
                value["state"] = json!(if bad {
                    "FAILED"
                } else if unreached {
                    "ABORTED"
                } else {
                    "SUCCEEDED"
                });
            }
        }
        if failed {
            rollout["deployFailureCause"] = json!("EXECUTION_FAILED");
            rollout["failureReason"] = json!("the verify job of the phase canary failed");
        }
    }
}

/// As after a release that went well: the stable revision has all of the traffic, and no other release was made.
pub fn settled(state: &mut State) {
    state.resources.retain(|name, _| !name.contains(FAILED_RELEASE) && !name.ends_with(DEPLOYED));
    state.deploy.revisions.remove(&release(FAILED_RELEASE));
    route(state, PRIOR, "", 100);
    let service = state.resources.get_mut(&service()).expect("a service");
    service["latestReadyRevision"] = json!(revision(PRIOR));
    service["latestCreatedRevision"] = json!(revision(PRIOR));
}

/// Routes the service's traffic as Cloud Deploy does: a share to a revision, the rest to the one before it.
fn route(state: &mut State, own: &str, before: &str, percent: u64) {
    let entry = |name: &str, percent: u64, tag: &str| {
        let mut entry = json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": name});
        if percent > 0 {
            entry["percent"] = json!(percent);
        }
        if !tag.is_empty() {
            entry["tag"] = json!(tag);
        }
        entry
    };
    let mut traffic = vec![entry(own, percent, if percent < 100 { "canary" } else { "stable" })];
    if percent < 100 && !before.is_empty() {
        traffic.push(entry(before, 100 - percent, ""));
        traffic.push(entry(before, 0, "prior"));
    }
    run::touch(state, &service());
    if let Some(service) = state.resources.get_mut(&service()) {
        service["traffic"] = json!(traffic);
    }
    run::settle(state, &service());
}

pub fn answer(state: &mut State, request: &Request) -> Option<Reply> {
    let path = request.path.strip_prefix("/v1/")?;
    let (name, method) = match path.rsplit_once(':') {
        Some((name, method)) if !method.contains('/') => (name, method),
        _ => (path, ""),
    };
    let kind = name.rsplit('/').nth(1)?;
    let last = name.rsplit('/').next()?;
    Some(match (&*request.method, kind, method) {
        ("GET", "operations", _) => operation(state, name),
        ("GET", "deliveryPipelines" | "targets" | "automations" | "jobRuns" | "automationRuns", _) => {
            resources::get(state, name)
        }
        ("GET", "releases", _) => {
            render(state, name);
            resources::get(state, name)
        }
        ("GET", "rollouts", _) => {
            happen(state, name);
            resources::get(state, name)
        }
        ("GET", ..) if COLLECTIONS.contains(&last) => resources::list(state, request, name, last),
        ("POST", _, "") if last == "releases" => create_release(state, request, name),
        ("POST", _, "") if last == "rollouts" => create_rollout(state, request, name),
        ("POST", "deliveryPipelines", "rollbackTarget") => rollback_target(state, request, name),
        ("POST", "rollouts", _) => act(state, request, name, method),
        ("POST", "jobRuns", "terminate") => terminate(state, name),
        _ => return None,
    })
}

const COLLECTIONS: [&str; 7] =
    ["deliveryPipelines", "targets", "automations", "releases", "rollouts", "jobRuns", "automationRuns"];

/// A time that is later than all before it.
fn now(state: &mut State) -> String {
    let second = state.next();
    format!("2026-11-27T{:02}:{:02}:{:02}.000000Z", 10 + second / 3600, second / 60 % 60, second % 60)
}

fn done(state: &mut State, what: &str) -> String {
    let id = format!("{}/operations/operation-{}", location(), state.next());
    state.deploy.operations.insert(id.clone(), (state.slow, what.to_owned()));
    id
}

fn operation(state: &mut State, name: &str) -> Reply {
    let fails = state.deploy.fails;
    let Some((left, what)) = state.deploy.operations.get_mut(name) else {
        return error(404, "NOT_FOUND", &format!("Operation '{name}' was not found"));
    };
    let what = what.clone();
    let mut answer = json!({"name": name, "metadata": {"target": what, "verb": "create", "apiVersion": "v1"}});
    if *left > 0 {
        *left -= 1;
        answer["done"] = json!(false);
    } else if let Some(why) = fails {
        answer["done"] = json!(true);
        answer["error"] = json!({"code": 13, "message": why});
    } else {
        answer["done"] = json!(true);
        answer["response"] = state.resources.get(&what).cloned().unwrap_or_default();
    }
    Reply::json(200, &answer.to_string())
}

/// Makes something once, whatever is asked for twice by the same request id.
fn create(
    state: &mut State,
    request: &Request,
    collection: &str,
    id: &str,
    make: impl FnOnce(&mut State, &str) -> Result<String, Reply>,
) -> Reply {
    let key = parameter(request, "requestId").map(|request| format!("{collection} {request}"));
    if let Some(operation) = key.as_ref().and_then(|key| state.deploy.requests.get(key)).cloned() {
        return self::operation(state, &operation);
    }
    if id.is_empty() {
        return error(400, "INVALID_ARGUMENT", "the id of what is created is missing");
    }
    let name = format!("{collection}/{id}");
    if state.resources.contains_key(&name) {
        return error(409, "ALREADY_EXISTS", &format!("Resource '{name}' already exists"));
    }
    let made = if state.deploy.fails.is_some() { Ok(name) } else { make(state, id) };
    match made {
        Err(reply) => reply,
        Ok(name) => {
            let operation = done(state, &name);
            if let Some(key) = key {
                state.deploy.requests.insert(key, operation.clone());
            }
            Reply::json(200, &json!({"name": operation, "metadata": {"target": name}, "done": false}).to_string())
        }
    }
}

fn create_release(state: &mut State, request: &Request, collection: &str) -> Reply {
    let parent = collection.trim_end_matches("/releases").to_owned();
    let body = body(request);
    let Some(pipeline) = state.resources.get(&parent) else {
        return error(404, "NOT_FOUND", &format!("Resource '{parent}' was not found"));
    };
    if pipeline["suspended"] == true {
        return error(400, "FAILED_PRECONDITION", "the delivery pipeline is suspended");
    }
    if !body["skaffoldConfigUri"].as_str().is_some_and(|uri| uri.starts_with("gs://")) {
        return error(400, "INVALID_ARGUMENT", "skaffold_config_uri is not a Cloud Storage URI");
    }
    let id = parameter(request, "releaseId").unwrap_or_default();
    create(state, request, collection, &id, |state, id| Ok(make_release(state, &parent, id, &body)))
}

fn make_release(state: &mut State, parent: &str, id: &str, body: &Value) -> String {
    let name = format!("{parent}/releases/{id}");
    let made = now(state);
    let mut release = body.clone();
    release["name"] = json!(name);
    release["uid"] = json!(format!("release-uid-{}", state.next()));
    release["createTime"] = json!(made);
    release["renderState"] = json!("IN_PROGRESS");
    release["deliveryPipelineSnapshot"] = state.resources.get(parent).cloned().unwrap_or_default();
    release["targetRenders"] = json!({TARGET: {"renderingState": "IN_PROGRESS",
        "renderingBuild": format!("projects/{PROJECT}/locations/{REGION}/builds/render-{id}")}});
    state.resources.insert(name.clone(), release);
    name
}

/// One step of the rendering: under way when it is first looked at, and over then.
fn render(state: &mut State, name: &str) {
    let fails = state.deploy.script.render;
    let Some(release) = state.resources.get_mut(name).filter(|release| release["renderState"] == "IN_PROGRESS") else {
        return;
    };
    if release["renderStartTime"].is_null() {
        release["renderStartTime"] = json!("2026-11-27T10:00:00Z");
        return;
    }
    let ended = if fails.is_some() { "FAILED" } else { "SUCCEEDED" };
    release["renderState"] = json!(ended);
    release["targetRenders"][TARGET]["renderingState"] = json!(ended);
    if let Some((cause, message)) = fails {
        release["targetRenders"][TARGET]["failureCause"] = json!(cause);
        release["targetRenders"][TARGET]["failureMessage"] = json!(message);
    }
}

fn create_rollout(state: &mut State, request: &Request, collection: &str) -> Reply {
    let parent = collection.trim_end_matches("/rollouts").to_owned();
    let body = body(request);
    if !state.resources.contains_key(&parent) {
        return error(404, "NOT_FOUND", &format!("Resource '{parent}' was not found"));
    }
    let target = body["targetId"].as_str().unwrap_or_default().to_owned();
    if !state.resources.contains_key(&format!("{}/targets/{target}", location())) {
        return error(404, "NOT_FOUND", &format!("the target {target:?} was not found"));
    }
    let start = parameter(request, "startingPhaseId").unwrap_or_default();
    let id = parameter(request, "rolloutId").unwrap_or_default();
    create(state, request, collection, &id, |state, id| Ok(make_rollout(state, &parent, id, &target, &start)))
}

fn make_rollout(state: &mut State, parent: &str, id: &str, target: &str, start: &str) -> String {
    let name = format!("{parent}/rollouts/{id}");
    let made = now(state);
    let snapshot = &state.resources[parent]["deliveryPipelineSnapshot"]["serialPipeline"]["stages"][0];
    let configs = snapshot["strategy"]["canary"]["customCanaryDeployment"]["phaseConfigs"].clone();
    let mut skipped = !start.is_empty();
    let phases: Vec<Value> = configs
        .as_array()
        .into_iter()
        .flatten()
        .map(|config| {
            let id = config["phaseId"].as_str().unwrap_or_default();
            skipped &= id != start;
            let state = if skipped { "SKIPPED" } else { "PENDING" };
            let mut jobs = json!({"deployJob": {"id": "deploy", "state": state, "deployJob": {}}});
            if config["verify"] == true {
                jobs["verifyJob"] = json!({"id": "verify", "state": state, "verifyJob": {}});
            }
            if !config["postdeploy"].is_null() {
                jobs["postdeployJob"] =
                    json!({"id": "postdeploy", "state": state, "postdeployJob": config["postdeploy"]});
            }
            json!({"id": id, "state": state, "deploymentJobs": jobs})
        })
        .collect();
    let rendered = state.resources[parent]["renderState"] == "SUCCEEDED";
    let approval = state.deploy.script.approval;
    let first = if !rendered {
        "PENDING_RELEASE"
    } else if approval {
        "PENDING_APPROVAL"
    } else {
        "PENDING"
    };
    let rollout = json!({
        "name": name, "uid": format!("rollout-uid-{}", state.next()), "targetId": target, "createTime": made,
        "state": first, "phases": phases, "metadata": {},
        "approvalState": if approval { "NEEDS_APPROVAL" } else { "DOES_NOT_NEED_APPROVAL" },
    });
    state.resources.insert(name.clone(), rollout);
    name
}

/// The release of a rollout.
fn release_of(rollout: &str) -> &str {
    rollout.split_once("/rollouts/").map_or(rollout, |(release, _)| release)
}

/// What happens to a rollout next.
pub fn happen(state: &mut State, name: &str) {
    let Some(rollout) = state.resources.get(name).cloned() else { return };
    match rollout["state"].as_str().unwrap_or_default() {
        "PENDING_RELEASE" => {
            render(state, release_of(name));
            let rendered = state.resources[release_of(name)]["renderState"].clone();
            let approval = state.deploy.script.approval;
            let Some(rollout) = state.resources.get_mut(name) else { return };
            if rendered == "SUCCEEDED" {
                rollout["state"] = json!(if approval { "PENDING_APPROVAL" } else { "PENDING" });
            } else if rendered == "FAILED" {
                rollout["state"] = json!("FAILED");
                rollout["deployFailureCause"] = json!("RELEASE_FAILED");
                rollout["failureReason"] = json!("the release failed to render");
            }
        }
        "PENDING" if !is_blocked(state, name) => {
            let started = now(state);
            let Some(rollout) = state.resources.get_mut(name) else { return };
            rollout["state"] = json!("IN_PROGRESS");
            rollout["deployStartTime"] = json!(started);
        }
        "CANCELLING" => end(state, name, "CANCELLED"),
        "IN_PROGRESS" => proceed(state, name, &rollout),
        "FAILED" if rollout["activeRepairAutomationRun"].is_string() => repair(state, name),
        _ => {}
    }
}

fn end(state: &mut State, name: &str, how: &str) {
    let ended = now(state);
    let Some(rollout) = state.resources.get_mut(name) else { return };
    rollout["state"] = json!(how);
    rollout["deployEndTime"] = json!(ended);
    for phase in rollout["phases"].as_array_mut().into_iter().flatten() {
        if how != "SUCCEEDED"
            && matches!(phase["state"].as_str(), Some("PENDING" | "IN_PROGRESS"))
            && how == "CANCELLED"
        {
            phase["state"] = json!("ABORTED");
        }
    }
}

/// Whether another rollout to the same target is under way.
fn is_blocked(state: &State, name: &str) -> bool {
    let target = &state.resources[name]["targetId"];
    state.resources.iter().any(|(other, rollout)| {
        other != name
            && rollout["phases"].is_array()
            && rollout["targetId"] == *target
            && matches!(rollout["state"].as_str(), Some("IN_PROGRESS" | "CANCELLING"))
    })
}

/// One step of a rollout that is under way.
fn proceed(state: &mut State, name: &str, rollout: &Value) {
    let phases = rollout["phases"].as_array().cloned().unwrap_or_default();
    let Some(index) = phases.iter().position(|phase| !matches!(phase["state"].as_str(), Some("SUCCEEDED" | "SKIPPED")))
    else {
        return end(state, name, "SUCCEEDED");
    };
    let phase = &phases[index];
    let id = phase["id"].as_str().unwrap_or_default().to_owned();
    if phase["state"] == "PENDING" {
        let is_first = phases[..index].iter().all(|before| before["state"] == "SKIPPED");
        let asked = state.deploy.advanced.contains(&format!("{name} {id}"));
        if !is_first && !asked {
            if !state.deploy.script.advances {
                return;
            }
            let run = automation_run(state, name, "advance-the-canary");
            let operation =
                json!({"rollout": name, "sourcePhase": phases[index - 1]["id"], "destinationPhase": id, "wait": "0s"});
            set(state, &run, "advanceRolloutOperation", operation);
            set(state, &run, "state", json!("SUCCEEDED"));
            push(state, name, "advanceAutomationRuns", &run);
        }
        if let Some(rollout) = state.resources.get_mut(name) {
            rollout["phases"][index]["state"] = json!("IN_PROGRESS");
        }
        return;
    }
    for kind in JOBS {
        let job = &phase["deploymentJobs"][format!("{kind}Job")];
        match job["state"].as_str() {
            Some("PENDING") => return start(state, name, index, &id, kind),
            Some("IN_PROGRESS") => return finish(state, name, index, &id, kind),
            _ => {}
        }
    }
    if let Some(rollout) = state.resources.get_mut(name) {
        rollout["phases"][index]["state"] = json!("SUCCEEDED");
    }
    if index + 1 == phases.len() {
        end(state, name, "SUCCEEDED");
    }
}

fn set(state: &mut State, name: &str, key: &str, value: Value) {
    if let Some(resource) = state.resources.get_mut(name) {
        resource[key] = value;
    }
}

fn push(state: &mut State, rollout: &str, key: &str, run: &str) {
    let Some(rollout) = state.resources.get_mut(rollout) else { return };
    let runs = &mut rollout["metadata"]["automation"][key];
    if runs.is_null() {
        *runs = json!([]);
    }
    if let Some(runs) = runs.as_array_mut() {
        runs.push(json!(run));
    }
}

fn automation_run(state: &mut State, rollout: &str, rule: &str) -> String {
    let made = now(state);
    let name = format!("{}/automationRuns/run-{}", pipeline(), state.next());
    let target = state.resources[rollout]["targetId"].clone();
    let run = json!({"name": name, "automationId": "verified-or-back", "ruleId": rule, "targetId": target,
        "createTime": made, "state": "IN_PROGRESS"});
    state.resources.insert(name.clone(), run);
    name
}

/// Starts a job, unless it is to be left out.
fn start(state: &mut State, name: &str, phase: usize, id: &str, kind: &str) {
    if let End::As(how) = ending(state, name, id, kind)
        && matches!(how, "DISABLED" | "SKIPPED")
    {
        *state.deploy.runs.entry(format!("{name}/{id}/{kind}")).or_default() += 1;
        return job_is(state, name, phase, kind, how, None);
    }
    let made = now(state);
    let run = format!("{name}/jobRuns/run-{}", state.next());
    let build = format!("projects/{PROJECT}/locations/{REGION}/builds/{}-{}", kind, state.serial);
    let artifacts =
        format!("gs://{REGION}.deploy-artifacts.{PROJECT}.appspot.com/{}/{kind}-{}", run_folder(name), state.serial);
    let mut work = json!({ "build": build });
    match kind {
        "verify" => work["artifactUri"] = json!(artifacts),
        "deploy" => work["artifact"] = json!({ "artifactUri": artifacts }),
        _ => {}
    }
    let resource = json!({"name": run, "phaseId": id, "jobId": kind, "state": "IN_PROGRESS", "createTime": made,
        "startTime": made, format!("{kind}JobRun"): work});
    state.resources.insert(run.clone(), resource);
    job_is(state, name, phase, kind, "IN_PROGRESS", Some(&run));
}

fn run_folder(rollout: &str) -> String {
    rollout.split_once("/releases/").map_or(String::new(), |(_, rest)| rest.to_owned())
}

fn job_is(state: &mut State, name: &str, phase: usize, kind: &str, how: &str, run: Option<&str>) {
    let Some(rollout) = state.resources.get_mut(name) else { return };
    let job = &mut rollout["phases"][phase]["deploymentJobs"][format!("{kind}Job")];
    job["state"] = json!(how);
    if let Some(run) = run {
        job["jobRun"] = json!(run);
    }
}

/// How the present run of a job ends.
fn ending(state: &State, name: &str, phase: &str, kind: &str) -> End {
    let before = state.deploy.runs.get(&format!("{name}/{phase}/{kind}")).copied().unwrap_or_default();
    let is_rollback = state.resources[name]["rollbackOfRollout"].is_string();
    let key = if is_rollback { format!("rollback/{phase}/{kind}") } else { format!("{phase}/{kind}") };
    let script = state.deploy.script.jobs.iter().find(|(job, _)| *job == key);
    script.and_then(|(_, ends)| ends.get(before)).copied().unwrap_or(End::Succeeded)
}

/// Ends the present run of a job.
fn finish(state: &mut State, name: &str, phase: usize, id: &str, kind: &str) {
    let how = ending(state, name, id, kind);
    if matches!(how, End::Never) {
        return;
    }
    *state.deploy.runs.entry(format!("{name}/{id}/{kind}")).or_default() += 1;
    let ended = now(state);
    let run = state.resources[name]["phases"][phase]["deploymentJobs"][format!("{kind}Job")]["jobRun"].clone();
    let run = run.as_str().unwrap_or_default().to_owned();
    set(state, &run, "endTime", json!(ended));
    match how {
        End::Never => {}
        End::Succeeded => {
            set(state, &run, "state", json!("SUCCEEDED"));
            job_is(state, name, phase, kind, "SUCCEEDED", None);
            if kind == "deploy" {
                deploy(state, name, id);
            }
            attempt(state, name, "REPAIR_STATE_SUCCEEDED");
        }
        End::As(state_of_job) => {
            set(state, &run, "state", json!("FAILED"));
            job_is(state, name, phase, kind, state_of_job, None);
        }
        End::Failed { cause, message, results } => {
            set(state, &run, "state", json!("FAILED"));
            if let Some(resource) = state.resources.get_mut(&run) {
                let work = &mut resource[format!("{kind}JobRun")];
                work["failureCause"] = json!(cause);
                work["failureMessage"] = json!(message);
                if !results.is_empty() {
                    let values: BTreeMap<_, _> = results.iter().copied().collect();
                    work["metadata"] = json!({"custom": {"values": values}});
                }
            }
            job_is(state, name, phase, kind, "FAILED", None);
            fail(state, name, phase, id, kind);
        }
    }
}

fn fail(state: &mut State, name: &str, phase: usize, id: &str, kind: &str) {
    end(state, name, "FAILED");
    let is_rollback = state.resources[name]["rollbackOfRollout"].is_string();
    let Some(rollout) = state.resources.get_mut(name) else { return };
    rollout["phases"][phase]["state"] = json!("FAILED");
    rollout["deployFailureCause"] = json!("EXECUTION_FAILED");
    rollout["failureReason"] = json!(format!("the {kind} job of the phase {id} failed"));
    if rollout["activeRepairAutomationRun"].is_string() {
        return attempt(state, name, "REPAIR_STATE_FAILED");
    }
    let script = &state.deploy.script;
    if kind != "verify" || is_rollback || (script.retries == 0 && !script.rolls_back) {
        return;
    }
    let (retries, rolls_back) = (script.retries, script.rolls_back);
    let run = automation_run(state, name, "retry-then-roll-back");
    let mut phases = vec![];
    if retries > 0 {
        phases.push(json!({"retry": {"totalAttempts": retries.to_string(), "attempts": []}}));
    }
    if rolls_back {
        phases.push(json!({"rollback": {"state": "REPAIR_STATE_PENDING", "destinationPhase": "stable"}}));
    }
    let operation = json!({"rollout": name, "phaseId": id, "jobId": kind, "repairPhases": phases});
    set(state, &run, "repairRolloutOperation", operation);
    push(state, name, "repairAutomationRuns", &run);
    set(state, name, "activeRepairAutomationRun", json!(run));
}

/// The newest attempt of the repair that is under way has ended; one that went well ends the repair.
fn attempt(state: &mut State, name: &str, how: &str) {
    let Some(run) = state.resources[name]["activeRepairAutomationRun"].as_str().map(str::to_owned) else { return };
    let Some(resource) = state.resources.get_mut(&run) else { return };
    let attempts = resource["repairRolloutOperation"]["repairPhases"][0]["retry"]["attempts"].as_array_mut();
    let Some(newest) = attempts.and_then(|attempts| attempts.last_mut()) else { return };
    newest["state"] = json!(how);
    if how == "REPAIR_STATE_SUCCEEDED" {
        resource["state"] = json!("SUCCEEDED");
        drop_repair(state, name);
    }
}

fn drop_repair(state: &mut State, name: &str) {
    if let Some(rollout) = state.resources.get_mut(name).and_then(Value::as_object_mut) {
        rollout.remove("activeRepairAutomationRun");
    }
}

/// One step of the repair of a rollout that failed.
fn repair(state: &mut State, name: &str) {
    let Some(run) = state.resources[name]["activeRepairAutomationRun"].as_str().map(str::to_owned) else { return };
    let Some(resource) = state.resources.get(&run).cloned() else { return };
    let operation = &resource["repairRolloutOperation"];
    let steps = operation["repairPhases"].as_array().cloned().unwrap_or_default();
    for (index, step) in steps.iter().enumerate() {
        if let Some(attempts) = step["retry"]["attempts"].as_array() {
            let total: usize = step["retry"]["totalAttempts"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0);
            if attempts.len() < total {
                let mut attempts = attempts.clone();
                attempts
                    .push(json!({"attempt": (attempts.len() + 1).to_string(), "state": "REPAIR_STATE_IN_PROGRESS"}));
                if let Some(resource) = state.resources.get_mut(&run) {
                    resource["repairRolloutOperation"]["repairPhases"][index]["retry"]["attempts"] = json!(attempts);
                }
                return again(state, name, operation["phaseId"].as_str().unwrap_or_default(), "verify");
            }
        } else if step["rollback"]["rolloutId"].is_null() {
            let made = roll_back(state, name, None, "stable", None);
            let short = made.as_ref().ok().and_then(|name| name.rsplit('/').next()).map(str::to_owned);
            if let Some(resource) = state.resources.get_mut(&run) {
                let step = &mut resource["repairRolloutOperation"]["repairPhases"][index]["rollback"];
                step["state"] = json!(if short.is_some() { "REPAIR_STATE_SUCCEEDED" } else { "REPAIR_STATE_FAILED" });
                step["stateDesc"] = json!(made.err().unwrap_or_default());
                step["rolloutId"] = json!(short.unwrap_or_default());
                resource["state"] = json!("SUCCEEDED");
            }
            return drop_repair(state, name);
        }
    }
    set(state, &run, "state", json!("FAILED"));
    drop_repair(state, name);
}

/// Runs a job once more.
fn again(state: &mut State, name: &str, phase: &str, kind: &str) {
    let Some(rollout) = state.resources.get_mut(name) else { return };
    rollout["state"] = json!("IN_PROGRESS");
    if let Some(rollout) = rollout.as_object_mut() {
        for key in ["deployEndTime", "deployFailureCause", "failureReason"] {
            rollout.remove(key);
        }
    }
    for own in rollout["phases"].as_array_mut().into_iter().flatten().filter(|own| own["id"] == phase) {
        own["state"] = json!("IN_PROGRESS");
        own["deploymentJobs"][format!("{kind}Job")]["state"] = json!("PENDING");
    }
}

/// A deploy job has ended well: the revision is there and has its share.
fn deploy(state: &mut State, name: &str, phase: &str) {
    let parent = release_of(name).to_owned();
    let number = 41 + state.deploy.revisions.len();
    let known = state.deploy.revisions.entry(parent.clone()).or_insert_with(|| format!("{SERVICE}-{number:05}-rel"));
    let own = known.clone();
    let images = state.resources[&parent]["buildArtifacts"].as_array().cloned().unwrap_or_default();
    let image = images.iter().find(|image| image["image"] == SERVICE).map(|image| image["tag"].clone());
    let full = revision(&own);
    let made = now(state);
    state.resources.entry(full.clone()).or_insert_with(|| {
        json!({"name": full, "uid": format!("uid-{own}"), "generation": "1", "observedGeneration": "1",
            "etag": format!("\"etag-{own}\""), "createTime": made, "service": SERVICE,
            "containers": [{"image": image}], "conditions": [{"type": "Ready", "state": "CONDITION_SUCCEEDED"}]})
    });
    let before = previous(state, &own);
    let phases = &state.resources[&parent]["deliveryPipelineSnapshot"]["serialPipeline"]["stages"][0]["strategy"]["canary"]
        ["customCanaryDeployment"]["phaseConfigs"];
    let config = phases.as_array().into_iter().flatten().find(|config| config["phaseId"] == phase);
    let percent = config.and_then(|config| config["percentage"].as_u64()).unwrap_or(0);
    route(state, &own, &before, percent);
    set(state, &service(), "latestReadyRevision", json!(revision(&own)));
    set(state, &service(), "latestCreatedRevision", json!(revision(&own)));
    let mut metadata = json!({"service": service(), "revision": own, "serviceUrls": [SERVICE_URL]});
    if !before.is_empty() {
        metadata["previousRevision"] = json!(revision(&before));
    }
    if let Some(rollout) = state.resources.get_mut(name) {
        rollout["metadata"]["cloudRun"] = metadata;
    }
}

/// The other revision with the most traffic.
fn previous(state: &State, own: &str) -> String {
    let entries = state.resources[&service()]["trafficStatuses"].as_array().cloned().unwrap_or_default();
    let others = entries.iter().filter(|entry| entry["revision"] != own);
    let most = others.max_by_key(|entry| entry["percent"].as_u64().unwrap_or_default());
    most.and_then(|entry| entry["revision"].as_str()).unwrap_or_default().to_owned()
}

fn act(state: &mut State, request: &Request, name: &str, method: &str) -> Reply {
    let body = body(request);
    let Some(rollout) = state.resources.get(name).cloned() else {
        return error(404, "NOT_FOUND", &format!("Resource '{name}' was not found"));
    };
    let refused = |why: &str| error(400, "FAILED_PRECONDITION", &format!("{why}: the rollout is {}", rollout["state"]));
    let now = rollout["state"].as_str().unwrap_or_default();
    let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
    match method {
        "approve" if now == "PENDING_APPROVAL" => {
            let approved = body["approved"] == true;
            set(state, name, "approvalState", json!(if approved { "APPROVED" } else { "REJECTED" }));
            set(state, name, "state", json!(if approved { "PENDING" } else { "APPROVAL_REJECTED" }));
        }
        "cancel" if matches!(now, "PENDING" | "PENDING_APPROVAL" | "PENDING_RELEASE" | "IN_PROGRESS") => {
            set(state, name, "state", json!("CANCELLING"));
        }
        "advance" if now == "IN_PROGRESS" => {
            state.deploy.advanced.insert(format!("{name} {}", text("phaseId")));
        }
        "retryJob" if now == "FAILED" => {
            drop_repair(state, name);
            again(state, name, &text("phaseId"), &text("jobId"));
        }
        "ignoreJob" if now == "FAILED" => {
            drop_repair(state, name);
            again(state, name, &text("phaseId"), &text("jobId"));
            let phases = state.resources[name]["phases"].as_array().cloned().unwrap_or_default();
            if let Some(index) = phases.iter().position(|phase| phase["id"] == body["phaseId"]) {
                job_is(state, name, index, &text("jobId"), "IGNORED", None);
            }
        }
        "approve" | "cancel" | "advance" | "retryJob" | "ignoreJob" => return refused("this cannot be done now"),
        _ => return error(404, "NOT_FOUND", "there is no such method"),
    }
    Reply::json(200, "{}")
}

fn terminate(state: &mut State, name: &str) -> Reply {
    let Some((rollout, _)) = name.split_once("/jobRuns/").filter(|_| state.resources.contains_key(name)) else {
        return error(404, "NOT_FOUND", &format!("Resource '{name}' was not found"));
    };
    set(state, name, "state", json!("TERMINATED"));
    end(state, rollout, "FAILED");
    Reply::json(200, "{}")
}

fn rollback_target(state: &mut State, request: &Request, name: &str) -> Reply {
    let body = body(request);
    if !state.resources.contains_key(name) {
        return error(404, "NOT_FOUND", &format!("Resource '{name}' was not found"));
    }
    let text = |key: &str| body[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let target = text("targetId").unwrap_or_default();
    let Some(newest) = newest(state, &target, |_| true) else {
        return error(400, "FAILED_PRECONDITION", &format!("there is no rollout to the target {target:?}"));
    };
    if let Some(wanted) = text("rolloutToRollBack")
        && wanted != newest
        && newest.rsplit('/').next() != Some(&*wanted)
    {
        let why = format!("the rollout to roll back, {wanted}, is not the latest on the target: that is {newest}");
        return error(400, "FAILED_PRECONDITION", &why);
    }
    let (Some(id), start) =
        (text("rolloutId"), body["rollbackConfig"]["startingPhaseId"].as_str().unwrap_or("stable").to_owned())
    else {
        return error(400, "INVALID_ARGUMENT", "rollout_id is missing");
    };
    let (resources, revisions) = (state.resources.clone(), state.deploy.revisions.clone());
    let made = roll_back(state, &newest, text("releaseId"), &start, Some(id));
    let reply = match &made {
        Err(why) => error(400, "FAILED_PRECONDITION", why),
        Ok(made) => {
            let config = json!({"rollout": state.resources[made], "startingPhaseId": start});
            Reply::json(200, &json!({ "rollbackConfig": config }).to_string())
        }
    };
    if body["validateOnly"] == true {
        (state.resources, state.deploy.revisions) = (resources, revisions);
    }
    reply
}

/// The newest rollout to a target that is of some kind.
fn newest(state: &State, target: &str, fits: impl Fn(&Value) -> bool) -> Option<String> {
    let rollouts = state
        .resources
        .iter()
        .filter(|(_, rollout)| rollout["phases"].is_array() && rollout["targetId"] == target && fits(rollout));
    rollouts.max_by_key(|(_, rollout)| rollout["createTime"].as_str()).map(|(name, _)| name.clone())
}

/// Makes the rollout that undoes another; with why it cannot be made.
fn roll_back(
    state: &mut State,
    of: &str,
    to: Option<String>,
    start: &str,
    id: Option<String>,
) -> Result<String, String> {
    let target = state.resources[of]["targetId"].as_str().unwrap_or_default().to_owned();
    let release = if let Some(short) = to {
        format!("{}/releases/{}", pipeline(), short.rsplit('/').next().unwrap_or_default())
    } else {
        let own = release_of(of).to_owned();
        let previous = newest(state, &target, |rollout| {
            rollout["state"] == "SUCCEEDED" && release_of(rollout["name"].as_str().unwrap_or_default()) != own
        });
        let previous = previous.ok_or("there is no previous successful rollout to roll back to")?;
        release_of(&previous).to_owned()
    };
    let resource = state.resources.get(&release).ok_or(format!("the release {release} was not found"))?;
    if resource["abandoned"] == true {
        return Err(format!("the release {release} is abandoned"));
    }
    let short = release.rsplit('/').next().unwrap_or_default().to_owned();
    let count = state
        .resources
        .keys()
        .filter(|name| name.starts_with(&format!("{release}/rollouts/")) && !name.contains("/jobRuns/"))
        .count();
    let id = id.unwrap_or_else(|| format!("{short}-to-{target}-{:04}", count + 1));
    if state.resources.contains_key(&format!("{release}/rollouts/{id}")) {
        return Err(format!("the rollout {id} exists already"));
    }
    let made = make_rollout(state, &release, &id, &target, start);
    set(state, &made, "rollbackOfRollout", json!(of));
    let mut undone = state.resources[of]["rolledBackByRollouts"].as_array().cloned().unwrap_or_default();
    undone.push(json!(made));
    set(state, of, "rolledBackByRollouts", json!(undone));
    Ok(made)
}

/// The full name of the rollout that a release gets.
pub fn rollout_of(short: &str) -> String {
    rollout(short, &format!("{short}-to-{TARGET}-0001"))
}
