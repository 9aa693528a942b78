//! `canary-gate rollback` against a cloud that misbehaves: which revision, one change, and nothing taken for done that is not.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::canary::cloud::deploy::{End, FAILED_RELEASE, STABLE_RELEASE, rollout_of};
use crate::canary::cloud::faults::{Act, Fault};
use crate::canary::cloud::names::{PIPELINE, SERVICE, TARGET, revision, service};
use crate::canary::cloud::{Cloud, State, run};
use crate::canary::google::{DEPLOYED, PRIOR};
use crate::canary::server::Canary;
use crate::canary::{FAULTS, Fault as Misbehaviour};
use crate::gate::{Gate, Ran, each};

const BY_REVISION: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";
const LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";

/// A cloud, and the service that it serves.
struct Scene {
    cloud: Cloud,
    _canary: Canary,
}

impl Scene {
    fn new(edit: impl FnOnce(&mut State)) -> Self {
        Self::of(&FAULTS[0], edit)
    }

    fn of(misbehaviour: &Misbehaviour, edit: impl FnOnce(&mut State)) -> Self {
        let canary = misbehaviour.start();
        let mut state = State::sample();
        let found = state.resources.get_mut(&service()).unwrap();
        (found["uri"], found["urls"]) = (json!(canary.url()), json!([canary.url()]));
        edit(&mut state);
        Self { cloud: state.serve(), _canary: canary }
    }

    fn gate(&self, args: &[&str]) -> Gate {
        let mut gate = Gate::new().args(["rollback", "--checks", "checks.yaml", "--report", "json=report.json"]);
        gate.file("checks.yaml", CHECKS);
        let waits = [("SERVICE", SERVICE), ("POLL", "5ms"), ("SETTLE", "5ms"), ("TIMEOUT", "20s")];
        gate = waits.into_iter().fold(gate, |gate, (name, value)| gate.env(&format!("CANARY_GATE_{name}"), value));
        let environment = self.cloud.environment();
        environment.into_iter().fold(gate, |gate, (name, value)| gate.env(name, &value)).args(args.iter().copied())
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.gate(args).args(["--yes"]).run()
    }

    fn service(&self) -> Value {
        self.cloud.state().resources[&service()].clone()
    }

    /// The revisions with traffic.
    fn serving(&self) -> Vec<(String, u64)> {
        let service = self.service();
        let entries = service["trafficStatuses"].as_array().unwrap();
        let shares = entries.iter().map(|entry| {
            (entry["revision"].as_str().unwrap_or("LATEST").to_owned(), entry["percent"].as_u64().unwrap_or(0))
        });
        shares.filter(|(_, percent)| *percent > 0).collect()
    }

    fn changes(&self) -> Vec<String> {
        self.cloud.state().changes.clone()
    }

    fn patches(&self) -> usize {
        self.changes().iter().filter(|change| change.starts_with("PATCH")).count()
    }
}

/// Waits short enough for tests; of the metrics it does not speak.
const CHECKS: &str = "
ready: {timeout: 2s, request_timeout: 500ms, backoff: {initial: 20ms, max: 50ms}}
health: {timeout: 5s, request_timeout: 500ms, backoff: {initial: 10ms, max: 20ms}}
readiness: {timeout: 1s, request_timeout: 500ms, backoff: {initial: 20ms, max: 50ms}}
smoke: {timeout: 4s, request_timeout: 2s, backoff: {initial: 20ms, max: 50ms}}
";

/// As named by flags.
const BY_PIPELINE: [&str; 4] = ["--pipeline", PIPELINE, "--target", TARGET];

fn edit(state: &mut State, name: &str, change: impl FnOnce(&mut Value)) {
    change(state.resources.get_mut(name).unwrap());
}

fn traffic(state: &mut State, entries: Value) {
    edit(state, &service(), |service| service["traffic"] = entries);
    run::settle(state, &service());
}

fn by_name(revision: &str, percent: u64) -> Value {
    json!({"type": BY_REVISION, "revision": revision, "percent": percent})
}

#[test]
fn traffic_goes_back_in_one_change_with_every_tag_and_once_only() {
    let scene = Scene::new(|state| {
        traffic(
            state,
            json!([
                {"type": BY_REVISION, "revision": DEPLOYED, "percent": 20, "tag": "canary"},
                {"type": BY_REVISION, "revision": PRIOR, "percent": 80, "tag": "stable"},
                {"type": LATEST, "tag": "next"},
                {"type": BY_REVISION, "revision": "emergence-app-00040-old", "tag": "old"},
            ]),
        );
        let mut old = state.resources[&revision(PRIOR)].clone();
        old["name"] = json!(revision("emergence-app-00040-old"));
        state.resources.insert(revision("emergence-app-00040-old"), old);
    });
    let args: Vec<&str> = BY_PIPELINE.into_iter().chain(["--traffic-only"]).collect();
    let ran = scene.run(&args);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let wanted = json!([
        by_name(PRIOR, 100),
        {"type": BY_REVISION, "revision": DEPLOYED, "tag": "canary"},
        {"type": BY_REVISION, "revision": PRIOR, "tag": "stable"},
        {"type": LATEST, "tag": "next"},
        {"type": BY_REVISION, "revision": "emergence-app-00040-old", "tag": "old"},
    ]);
    assert_eq!(scene.service()["traffic"], wanted);
    let patch = format!("PATCH /v2/{}?updateMask=traffic", service());
    assert_eq!(scene.changes(), [patch]);
    let sent = scene.cloud.server.seen().into_iter().find(|request| request.method == "PATCH").unwrap();
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body, json!({"name": service(), "etag": "\"etag-42\"", "traffic": wanted}));
    for piece in [
        "now      20 % emergence-app-00042-new (tag canary)",
        "changed  last by deployer@",
        "then     100 % emergence-app-00041-old",
        "kept as they are",
        "it served when",
        "the traffic is pinned: 100 % emergence-app-00041-old",
        "update-traffic emergence-app --to-latest --region=europe-west1",
    ] {
        assert!(ran.stdout.contains(piece), "{piece}: {}", ran.stdout);
    }
    let facts = &ran.report["deployment"];
    assert_eq!(
        (&facts["revision"], &facts["rolled_back"], &facts["phase"]),
        (&json!(PRIOR), &json!(DEPLOYED), &json!("rollback"))
    );
    let names: Vec<&str> =
        ran.report["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "rollback",
            "ready",
            "health",
            "readiness",
            "smoke",
            "ready again",
            "health again",
            "readiness again",
            "smoke again"
        ]
    );
    let again = scene.run(&args);
    assert_eq!((again.code, scene.changes().len()), (0, 1), "{}{}", again.stdout, again.stderr);
    assert!(again.detail("rollback").contains("had all of the traffic already"), "{}", again.report);
}

/// A rollout in place of that of a release, the newest there is.
fn rollout_is(state: &mut State, release: &str, change: impl FnOnce(&mut Value)) {
    edit(state, &rollout_of(release), change);
}

/// As after a release that was verified and whose fault was found later.
fn found_later(state: &mut State) {
    rollout_is(state, FAILED_RELEASE, |rollout| rollout["state"] = json!("SUCCEEDED"));
    traffic(state, json!([by_name(DEPLOYED, 100)]));
}

/// As while the canary is under way.
fn under_way(state: &mut State) {
    rollout_is(state, FAILED_RELEASE, |rollout| rollout["state"] = json!("IN_PROGRESS"));
    state.deploy.script.advances = false;
}

const NO: Act = Act::Reply { status: 403, name: "PERMISSION_DENIED", reason: "IAM_PERMISSION_DENIED", retry_after: "" };
const BUSY: Act = Act::Reply { status: 429, name: "RESOURCE_EXHAUSTED", reason: "", retry_after: "1" };
const EXPIRED: Act = Act::Reply { status: 401, name: "UNAUTHENTICATED", reason: "", retry_after: "" };
const CANCELLING: Act = Act::Page(
    r#"{"name": "projects/emergence-469005/locations/europe-west1/deliveryPipelines/emergence-pipeline/releases/release-42/rollouts/release-42-to-emergence-run-0001", "state": "CANCELLING"}"#,
);

fn somebody_else(state: &mut State) {
    run::touch(state, &service());
    traffic(state, json!([by_name(PRIOR, 50), by_name(DEPLOYED, 50)]));
}

fn somebody_the_same(state: &mut State) {
    run::touch(state, &service());
    let tag = |revision: &str, tag: &str| json!({"type": BY_REVISION, "revision": revision, "tag": tag});
    traffic(state, json!([by_name(PRIOR, 100), tag(DEPLOYED, "canary"), tag(PRIOR, "stable")]));
}

/// A case: what is wrong, the arguments behind the pipeline's, the exit code, a piece of what is said, the revisions that serve in the
/// end, and how often the traffic was asked to change.
type Case = (&'static str, fn(&mut State), &'static str, i32, &'static str, &'static [(&'static str, u64)], usize);

const AS_IT_WAS: &[(&str, u64)] = &[(DEPLOYED, 20), (PRIOR, 80)];
const BACK: &[(&str, u64)] = &[(PRIOR, 100)];

fn held(cases: &[Case]) {
    each(cases, |(name, change, args, code, piece, serving, patches)| {
        let scene = Scene::new(change);
        let args: Vec<&str> = args.split_whitespace().collect();
        let ran = scene.run(&args);
        let found = scene.serving();
        let wanted: Vec<(String, u64)> =
            serving.iter().map(|(revision, percent)| ((*revision).to_owned(), *percent)).collect();
        let mut wrong = String::new();
        if ran.code != *code || !ran.everything().contains(piece) {
            writeln!(wrong, "exit {}, want {code} with {piece:?}", ran.code).unwrap();
        }
        if found != wanted || scene.patches() != *patches {
            writeln!(wrong, "{found:?} serves after {:?}", scene.changes()).unwrap();
        }
        // Whatever happens: a tag is never lost, unless somebody else or Cloud Deploy takes it.
        let tags: Vec<Value> =
            scene.service()["traffic"].as_array().unwrap().iter().map(|entry| entry["tag"].clone()).collect();
        if scene.patches() > 0
            && found == wanted
            && *serving == BACK
            && !tags.contains(&json!("canary"))
            && !name.contains("tags of its own")
        {
            writeln!(wrong, "the tags are {tags:?}").unwrap();
        }
        if wrong.is_empty() { Ok(()) } else { Err(format!("{name}: {wrong}{}{}", ran.stdout, ran.stderr)) }
    });
}

#[test]
#[rustfmt::skip]
fn whatever_happens_to_the_change_is_read_and_not_guessed() {
    held(&[
        ("somebody changes the service before", |state| state.faults.push(Fault::first("PATCH", "/services/", Act::Meanwhile(somebody_else))), "--pipeline emergence-pipeline --target emergence-run --traffic-only", 1, "somebody changed the service meanwhile", &[(PRIOR, 50), (DEPLOYED, 50)], 1),
        ("somebody makes the same change before", |state| state.faults.push(Fault::first("PATCH", "/services/", Act::Meanwhile(somebody_the_same))), "--pipeline emergence-pipeline --target emergence-run --traffic-only", 0, "has all of the traffic", BACK, 1),
        ("somebody changes it behind", |state| state.faults.push(Fault { after: 3, ..Fault::first("GET", "/services/emergence-app", Act::Meanwhile(somebody_else)) }), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 1, "somebody", &[(PRIOR, 50), (DEPLOYED, 50)], 1),
        ("somebody changes it during the checks", |state| { state.slow = 0; state.faults.push(Fault { after: 4, ..Fault::first("GET", "/services/emergence-app", Act::Meanwhile(somebody_else)) }); }, "--traffic-only --pipeline emergence-pipeline --target emergence-run", 1, "somebody changed the service meanwhile", &[(PRIOR, 50), (DEPLOYED, 50)], 1),
        ("the answer is lost, and it was done", |state| state.faults.push(Fault::first("PATCH", "/services/", Act::Lose)), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 0, "what became of it is read", BACK, 1),
        ("the answer is lost, and it was not done", |state| state.faults.push(Fault::first("PATCH", "/services/", Act::Close)), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 1, "still as it was (3 looks): if it was taken, it may still happen", AS_IT_WAS, 0),
        ("no answer", |state| state.faults.push(Fault::first("PATCH", "/services/", Act::Hang)), "--traffic-only --pipeline emergence-pipeline --target emergence-run --timeout 3s", 1, "if it was taken, it may still happen", AS_IT_WAS, 0),
        ("the operation fails", |state| state.run_fails = Some("Quota exceeded"), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 1, "the change failed: Quota exceeded", AS_IT_WAS, 1),
        ("the operation never ends", |state| state.slow = usize::MAX, "--traffic-only --pipeline emergence-pipeline --target emergence-run --timeout 1s", 1, "it is not done in its time", AS_IT_WAS, 1),
        ("no permission to change", |state| state.faults.push(Fault::always("PATCH", "/services/", NO)), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 3, "IAM_PERMISSION_DENIED); nothing was changed", AS_IT_WAS, 0),
        ("no permission to look", |state| state.faults.push(Fault::always("GET", "/services/", NO)), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 3, "IAM_PERMISSION_DENIED", AS_IT_WAS, 0),
        ("too many requests", |state| state.faults.push(Fault::first("GET", "/services/", BUSY)), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 0, "has all of the traffic", BACK, 1),
        ("too many requests at the change", |state| state.faults.push(Fault::first("PATCH", "/services/", BUSY)), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 1, "still as it was (3 looks): if it was taken, it may still happen", AS_IT_WAS, 0),
        ("an answer that is not the API's", |state| state.faults.push(Fault::first("PATCH", "/services/", Act::Reply { status: 302, name: "", reason: "", retry_after: "" })), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 1, "if it was taken, it may still happen", AS_IT_WAS, 0),
        ("refused, and nobody changed anything", |state| state.faults.push(Fault::first("PATCH", "/services/", Act::Reply { status: 400, name: "FAILED_PRECONDITION", reason: "", retry_after: "" })), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 1, "the service is as it was: nothing was changed", AS_IT_WAS, 0),
        ("an expired token", |state| state.faults.push(Fault::first("PATCH", "/services/", EXPIRED)), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 0, "has all of the traffic", BACK, 1),
        ("an empty page with a token", |state| state.faults.push(Fault::first("GET", "/rollouts", Act::Page(r#"{"nextPageToken": "0"}"#))), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 0, "it served when release-42-to-emergence-run-0001 began", BACK, 1),
        ("page after page", |state| state.page = 1, "--traffic-only --pipeline emergence-pipeline --target emergence-run", 0, "it served when", BACK, 1),
        ("Cloud Deploy does not answer whoever asks", |state| state.faults.push(Fault::always("GET", "/deliveryPipelines/", NO)), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 0, "Cloud Deploy could not be asked what it does", BACK, 1),
        ("the newest revision keeps the service not ready", |state| edit(state, &service(), |service| service["terminalCondition"]["state"] = json!("CONDITION_FAILED")), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 0, "has all of the traffic", BACK, 1),
    ]);
}

#[test]
#[rustfmt::skip]
fn the_wrong_revision_is_never_chosen() {
    held(&[
        ("LATEST", |state| traffic(state, json!([{"type": LATEST, "percent": 100, "tag": "canary"}])), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 0, "100 % emergence-app-00042-new (tag canary)", BACK, 1),
        ("no pipeline: the one other with traffic", |_| {}, "", 0, "it is the one with traffic beside the newest", BACK, 1),
        ("no pipeline: the tag prior; tags of its own", |state| traffic(state, json!([by_name(DEPLOYED, 100), {"type": BY_REVISION, "revision": PRIOR, "tag": "prior"}])), "", 0, "it has the tag prior", BACK, 1),
        ("no pipeline: a tag alone is no traffic", |state| traffic(state, json!([by_name(DEPLOYED, 100), {"type": BY_REVISION, "revision": PRIOR, "tag": "stable"}])), "", 1, "nothing says which revision was stable before; nothing was changed; choose one:", &[(DEPLOYED, 100)], 0),
        ("no pipeline: ambiguous", |state| traffic(state, json!([by_name(DEPLOYED, 20), by_name(PRIOR, 80), {"type": BY_REVISION, "revision": "emergence-app-00040-old", "tag": "prior"}])), "", 1, "--to-revision emergence-app-00041-old", AS_IT_WAS, 0),
        ("a target that nothing was rolled out to", |state| state.resources.retain(|name, _| !name.contains("/rollouts/")), "--pipeline emergence-pipeline --target emergence-run", 0, "Cloud Deploy does not own the service", BACK, 1),
        ("a target that the pipeline has not", |_| {}, "--pipeline emergence-pipeline --target emergence-rum", 3, "has no target emergence-rum; there are emergence-run; nothing was changed", AS_IT_WAS, 0),
        ("the same, by the traffic alone", |_| {}, "--traffic-only --pipeline emergence-pipeline --target emergence-rum", 3, "has no target emergence-rum", AS_IT_WAS, 0),
        ("a pipeline that is not there", |_| {}, "--pipeline emergence-pipelime --target emergence-run", 3, "was not found", AS_IT_WAS, 0),
        ("what it found is a failed canary", |state| rollout_is(state, STABLE_RELEASE, |rollout| rollout["state"] = json!("FAILED")), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 1, "it is bad itself: release-41-to-emergence-run-0001 failed or was rolled back", AS_IT_WAS, 0),
        ("no earlier success", |state| { found_later(state); state.resources.remove(&rollout_of(STABLE_RELEASE)); rollout_is(state, FAILED_RELEASE, |rollout| { rollout["metadata"]["cloudRun"].as_object_mut().unwrap().remove("previousRevision"); }); }, "--pipeline emergence-pipeline --target emergence-run", 1, "nothing says which revision was stable before", &[(DEPLOYED, 100)], 0),
        ("deployed by hand since", |state| traffic(state, json!([by_name("emergence-app-00043-hand", 100)])), "--pipeline emergence-pipeline --target emergence-run", 1, "somebody deployed it by hand", &[("emergence-app-00043-hand", 100)], 0),
        ("the revision is deleted", |state| edit(state, &revision(PRIOR), |revision| revision["deleteTime"] = json!("2026-11-25T00:00:00Z")), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 1, "it is deleted (since 2026-11-25T00:00:00Z); nothing was changed", AS_IT_WAS, 0),
        ("the revision is gone", |state| { state.resources.remove(&revision(PRIOR)); }, "--traffic-only --pipeline emergence-pipeline --target emergence-run", 1, "it is not there", AS_IT_WAS, 0),
        ("the revision is not ready", |state| edit(state, &revision(PRIOR), |revision| revision["conditions"][0]["state"] = json!("CONDITION_FAILED")), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 1, "it is not ready", AS_IT_WAS, 0),
        ("the service is reconciling", |state| edit(state, &service(), |service| service["reconciling"] = json!(true)), "--traffic-only --pipeline emergence-pipeline --target emergence-run", 1, "the service is changing just now", AS_IT_WAS, 0),
        ("the newest change is not taken up", |state| edit(state, &service(), |service| service["generation"] = json!("43")), "--pipeline emergence-pipeline --target emergence-run", 1, "the service is changing just now", AS_IT_WAS, 0),
        ("another region", |_| {}, "--pipeline emergence-pipeline --target emergence-run --region us-central1", 3, "was not found", AS_IT_WAS, 0),
        ("another service", |_| {}, "--traffic-only --service other", 3, "was not found", AS_IT_WAS, 0),
        ("a release that failed", |_| {}, "--pipeline emergence-pipeline --target emergence-run --to-release release-42", 1, "the release release-42 never succeeded on the target", AS_IT_WAS, 0),
        ("a revision that is named", |_| {}, "--to-revision emergence-app-00041-old", 0, "it was named", BACK, 1),
        ("a bad revision that is named", |_| {}, "--traffic-only --pipeline emergence-pipeline --target emergence-run --to-revision emergence-app-00042-new", 0, "deployed it and failed, or was rolled back", &[(DEPLOYED, 100)], 1),
        ("a revision that no release made", |_| {}, "--pipeline emergence-pipeline --target emergence-run --to-revision emergence-app-00042-new", 1, "Cloud Deploy has no release to go back to", AS_IT_WAS, 0),
        ("a record against it", |_| {}, "--traffic-only --pipeline emergence-pipeline --target emergence-run --records records", 2, "--records: records: No such file", AS_IT_WAS, 0),
        ("a malformed name", |_| {}, "--to-revision A/b!", 2, "--to-revision: \"A/b!\" is not the name of a revision", AS_IT_WAS, 0),
        ("a malformed service", |_| {}, "--service app?x=1", 2, "is not the name of a service", AS_IT_WAS, 0),
        ("a release without a pipeline", |_| {}, "--to-release release-41", 2, "--to-release needs the pipeline", AS_IT_WAS, 0),
        ("no target", |_| {}, "--pipeline emergence-pipeline", 2, "the target is not known", AS_IT_WAS, 0),
        ("evidence", |_| {}, "--report evidence=e.gz", 2, "evidence is of verify", AS_IT_WAS, 0),
        ("no time", |_| {}, "--timeout 0s", 2, "--timeout", AS_IT_WAS, 0),
        ("an endpoint in the clear", |_| {}, "--run-endpoint http://run.example.com", 2, "--run-endpoint: http://run.example.com would be sent access tokens in the clear", AS_IT_WAS, 0),
    ]);
}

const DEPLOY: &str = "--pipeline emergence-pipeline --target emergence-run";

#[test]
#[rustfmt::skip]
fn cloud_deploy_rolls_back_what_it_owns() {
    held(&[
        ("a canary that failed", |_| {}, DEPLOY, 0, "has all of the traffic, by the rollout release-41-to-emergence-run-0002", BACK, 0),
        ("a fault that was found later", found_later, DEPLOY, 0, "by the rollout release-41-to-emergence-run-0002", BACK, 0),
        ("to a release that is named", found_later, "--pipeline emergence-pipeline --target emergence-run --to-release release-41", 0, "by the rollout release-41-to-emergence-run-0002", BACK, 0),
        ("to a revision that is named", found_later, "--pipeline emergence-pipeline --target emergence-run --to-revision emergence-app-00041-old", 0, "to the release release-41 by the rollout", BACK, 0),
        ("an abandoned release", |state| edit(state, &crate::canary::cloud::names::release(STABLE_RELEASE), |release| release["abandoned"] = json!(true)), DEPLOY, 1, "the release release-41, which made emergence-app-00041-old, is abandoned", AS_IT_WAS, 0),
        ("approval is wanted", |state| state.deploy.script.approval = true, DEPLOY, 1, "waits for approval: gcloud deploy rollouts approve release-41-to-emergence-run-0002 --release=release-41", AS_IT_WAS, 0),
        ("no permission", |state| state.faults.push(Fault::always("POST", ":rollbackTarget", NO)), DEPLOY, 3, "IAM_PERMISSION_DENIED); no rollback was made", AS_IT_WAS, 0),
        ("no permission to look", |state| state.faults.push(Fault::always("GET", "/deliveryPipelines/", NO)), DEPLOY, 3, "--traffic-only goes on without Cloud Deploy", AS_IT_WAS, 0),
        ("the answer is lost, and it was made", |state| state.faults.push(Fault { after: 1, ..Fault::first("POST", ":rollbackTarget", Act::Lose) }), DEPLOY, 0, "what became of it is read", BACK, 0),
        ("the answer is lost, and it was not made", |state| state.faults.push(Fault { after: 1, ..Fault::first("POST", ":rollbackTarget", Act::Close) }), DEPLOY, 1, "no rollback was made", AS_IT_WAS, 0),
        ("somebody rolls out before", |state| state.faults.push(Fault { after: 1, ..Fault::first("POST", ":rollbackTarget", Act::Meanwhile(|state| {
            let mut newer = state.resources[&rollout_of(FAILED_RELEASE)].clone();
            let name = rollout_of(FAILED_RELEASE).replace("-0001", "-0002");
            (newer["name"], newer["createTime"]) = (json!(name), json!("2026-11-27T09:00:00Z"));
            state.resources.insert(name, newer);
        })) }), DEPLOY, 1, "no rollback was made", AS_IT_WAS, 0),
        ("somebody rolls out meanwhile", |state| state.faults.push(Fault::first("POST", ":rollbackTarget", Act::Meanwhile(|state| {
            let mut newer = state.resources[&rollout_of(FAILED_RELEASE)].clone();
            let name = rollout_of(FAILED_RELEASE).replace("-0001", "-0002");
            (newer["name"], newer["createTime"]) = (json!(name), json!("2026-11-27T09:00:00Z"));
            state.resources.insert(name, newer);
        }))), DEPLOY, 1, "the target changed meanwhile", AS_IT_WAS, 0),
        ("its verify job fails", |state| state.deploy.script.jobs.push(("rollback/stable/verify", vec![End::Failed { cause: "EXECUTION_FAILED", message: "", results: &[] }])), DEPLOY, 1, "the rollback's rollout release-41-to-emergence-run-0002 failed: the verify job of the phase stable failed", BACK, 0),
        ("its job never ends", |state| state.deploy.script.jobs.push(("rollback/stable/deploy", vec![End::Never])), "--pipeline emergence-pipeline --target emergence-run --timeout 1s", 3, "the time is up", AS_IT_WAS, 0),
        ("automation rolls back already", |state| {
            let name = rollout_of(STABLE_RELEASE).replace("-0001", "-0002");
            let mut back = state.resources[&rollout_of(STABLE_RELEASE)].clone();
            (back["name"], back["state"]) = (json!(name), json!("IN_PROGRESS"));
            (back["createTime"], back["deployStartTime"]) = (json!("2026-11-21T10:00:00Z"), json!("2026-11-21T10:00:00Z"));
            back["rollbackOfRollout"] = json!(rollout_of(FAILED_RELEASE));
            back["phases"][1]["state"] = json!("IN_PROGRESS");
            back["phases"][1]["deploymentJobs"]["deployJob"]["state"] = json!("PENDING");
            state.resources.insert(name, back);
        }, DEPLOY, 0, "follow release-41-to-emergence-run-0002, which is a rollback and under way", BACK, 0),
        ("a canary that is under way", under_way, DEPLOY, 0, "cancel the rollout release-42-to-emergence-run-0001, which has not ended", BACK, 0),
        ("a canary under way, by traffic alone", under_way, "--traffic-only --pipeline emergence-pipeline --target emergence-run", 0, "release-42-to-emergence-run-0001 has ended", BACK, 1),
        ("a rollout that waits for approval", |state| {
            let name = rollout_of(FAILED_RELEASE).replace("-0001", "-0002");
            let mut waiting = state.resources[&rollout_of(FAILED_RELEASE)].clone();
            (waiting["name"], waiting["state"], waiting["createTime"]) = (json!(name), json!("PENDING_APPROVAL"), json!("2026-11-21T10:00:00Z"));
            for key in ["deployStartTime", "deployEndTime", "metadata"] { waiting.as_object_mut().unwrap().remove(key); }
            state.resources.insert(name, waiting);
        }, DEPLOY, 0, "cancel the rollout release-42-to-emergence-run-0002, which has not ended", BACK, 0),
        ("it stays cancelling", |state| {
            under_way(state);
            state.faults.push(Fault { after: 1, times: 3, ..Fault::first("GET", "/rollouts/release-42", CANCELLING) });
            let run = format!("{}/jobRuns/run-1", rollout_of(FAILED_RELEASE));
            state.resources.insert(run.clone(), json!({"name": run, "jobId": "verify", "phaseId": "canary", "state": "IN_PROGRESS"}));
        }, DEPLOY, 0, "ending the job run run-1", BACK, 0),
        ("it succeeds before it is cancelled", |state| {
            under_way(state);
            state.faults.push(Fault::first("POST", ":cancel", Act::Meanwhile(|state| rollout_is(state, FAILED_RELEASE, |rollout| rollout["state"] = json!("SUCCEEDED")))));
        }, DEPLOY, 1, "succeeded before it could be cancelled", AS_IT_WAS, 0),
        ("it may not be cancelled", |state| { under_way(state); state.faults.push(Fault::always("POST", ":cancel", NO)); }, DEPLOY, 3, "could not be cancelled", AS_IT_WAS, 0),
    ]);
}

#[test]
fn a_rollback_by_cloud_deploy_names_release_and_guard_and_is_made_once() {
    let scene = Scene::new(|_| {});
    let ran = scene.run(&BY_PIPELINE);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let made = |scene: &Scene| -> Vec<Value> {
        let seen = scene.cloud.server.seen().into_iter().filter(|request| request.path.ends_with(":rollbackTarget"));
        seen.map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
    };
    let mut body = json!({"targetId": TARGET, "rolloutId": "release-41-to-emergence-run-0002", "releaseId": STABLE_RELEASE,
        "rollbackConfig": {"rollout": {"description": "Rollback from release-42"}, "startingPhaseId": "stable"}});
    let mut validated = body.clone();
    validated["validateOnly"] = json!(true);
    body["validateOnly"] = json!(false);
    body["rolloutToRollBack"] = json!(rollout_of(FAILED_RELEASE));
    assert_eq!(made(&scene), [validated, body]);
    assert!(ran.stdout.contains("the traffic is Cloud Deploy's, and the next rollout moves it"), "{}", ran.stdout);
    let facts = &ran.report["deployment"];
    assert_eq!(
        (&facts["release"], &facts["rollout"]),
        (&json!(STABLE_RELEASE), &json!("release-41-to-emergence-run-0002"))
    );
    let again = scene.run(&BY_PIPELINE);
    assert_eq!((again.code, made(&scene).len()), (0, 2), "{}{}", again.stdout, again.stderr);
    assert!(again.stdout.contains("rolled back to it"), "{}", again.stdout);
}

#[test]
fn a_dry_run_and_a_question_without_a_terminal_change_nothing() {
    let args =
        |more: &[&'static str]| -> Vec<&'static str> { BY_PIPELINE.into_iter().chain(more.iter().copied()).collect() };
    let scene = Scene::new(|_| {});
    let before = scene.cloud.state().resources.clone();
    let ran = scene.gate(&args(&["--dry-run", "--traffic-only"])).run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("the APIs would take it; nothing was changed"), "{}", ran.stdout);
    let ran = scene.gate(&args(&["--dry-run"])).run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let ran = scene.gate(&args(&["--traffic-only"])).run();
    assert_eq!(ran.code, 2, "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.contains("then     100 % emergence-app-00041-old") && ran.stderr.contains("pass --yes"),
        "{}",
        ran.stderr
    );
    assert_eq!(scene.cloud.state().resources, before);
    let asked: Vec<(String, String)> = scene
        .cloud
        .server
        .seen()
        .into_iter()
        .filter(|request| request.method != "GET")
        .map(|request| (request.query, String::from_utf8_lossy(&request.body).into_owned()))
        .collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(
        asked
            .iter()
            .all(|(query, body)| query.contains("validateOnly=true") || body.contains(r#""validateOnly":true"#)),
        "{asked:?}"
    );
    let refused = Scene::new(|state| state.faults.push(Fault::always("PATCH", "/services/", NO)));
    let ran = refused.gate(&args(&["--dry-run", "--traffic-only"])).run();
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_service_that_is_not_well_afterwards_is_no_success() {
    for (fault, check) in [("health-degraded", "health"), ("not-ready", "readiness"), ("script-missing", "smoke")] {
        let scene = Scene::of(Misbehaviour::named(fault).unwrap(), |_| {});
        let ran = scene.run(&["--traffic-only", "--to-revision", PRIOR]);
        assert_eq!(
            (ran.code, ran.status(check), ran.status("rollback")),
            (1, "fail", "pass"),
            "{fault}: {}",
            ran.stdout
        );
        assert_eq!(scene.serving(), [(PRIOR.to_owned(), 100)]);
    }
}

#[test]
fn records_corroborate_contradict_and_serve_alone() {
    let record = |revision: &str, verdict: &str| {
        format!(
            "---\ndate: 2026-11-12T10:00:00Z\nverdict: {verdict}\ndescription: \"x\"\nshare: 100\nrevision: \"{revision}\"\n---\n\n# x\n"
        )
    };
    let with = |scene: &Scene, text: &str, args: &[&str]| {
        let gate = scene.gate(args).args(["--yes", "--records", "records", "--report", "markdown=records/"]);
        std::fs::create_dir(gate.folder().join("records")).unwrap();
        std::fs::write(gate.folder().join("records/2026-11-12-app.md"), text).unwrap();
        let folder = gate.folder().join("records");
        let mut gate = gate;
        let output = gate.command().output().unwrap();
        let ran = gate.ran(&output);
        let written = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let written = written.filter(|path| path.to_string_lossy().contains("rollback"));
        (ran, written.map(|path| std::fs::read_to_string(path).unwrap()).collect::<Vec<_>>())
    };
    let by_traffic = ["--traffic-only", "--pipeline", PIPELINE, "--target", TARGET];
    let (ran, written) = with(&Scene::new(|_| {}), &record(PRIOR, "pass"), &by_traffic);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("the record 2026-11-12-app.md says that it was verified"), "{}", ran.stdout);
    assert!(written[0].contains(&format!("rolled_back: \"{DEPLOYED}\"")), "{}", written[0]);
    let scene = Scene::new(|_| {});
    let (ran, written) = with(&scene, &record(PRIOR, "fail"), &by_traffic);
    assert_eq!((ran.code, scene.patches()), (1, 0), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("it is bad itself: the record 2026-11-12-app.md"), "{}", ran.stdout);
    assert!(!written[0].contains("rolled_back:"), "{}", written[0]);
    let scene = Scene::new(|state| traffic(state, json!([by_name(DEPLOYED, 100)])));
    let (ran, _) = with(&scene, &record(PRIOR, "pass"), &[]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("verified with all of the traffic"), "{}", ran.stdout);
}

#[test]
fn an_interrupt_says_what_stands() {
    let args = ["--traffic-only", "--to-revision", PRIOR, "--yes"];
    let scene = Scene::new(|state| state.slow = usize::MAX);
    let ran = scene.gate(&args).run_until("asking for the change", "-TERM");
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    let cause = ran.report["cause"].as_str().unwrap();
    assert!(
        cause.contains(
            "interrupted by SIGTERM: the change was asked for and may happen; look (gcloud run services describe"
        ),
        "{cause}"
    );
}

#[test]
fn what_looks_changes_nothing() {
    let scene = Scene::new(|state| {
        let url = state.resources[&service()]["uri"].clone();
        edit(state, &service(), |service| service["trafficStatuses"][0]["uri"] = url);
        // Its own address answers from the stable revision too; here the tag's is another.
        edit(state, &service(), |service| {
            (service["uri"], service["urls"]) = (json!("https://app.example.com"), json!([]));
        });
    });
    let before = scene.cloud.state().resources.clone();
    let url = scene.service()["trafficStatuses"][0]["uri"].as_str().unwrap().to_owned();
    let deployed = [
        "--service",
        SERVICE,
        "--revision",
        DEPLOYED,
        "--tag",
        "canary",
        "--expect-percent",
        "20",
        "--require-identity",
        "--auth",
        "always",
    ];
    let verify: Vec<&str> = ["verify"].into_iter().chain(deployed).collect();
    let metrics = format!("{url}/api/metrics");
    let folder = tempfile::tempdir().unwrap();
    let evidence = folder.path().join("evidence.gz");
    let report = format!("evidence={}", evidence.display());
    let recorded: Vec<&str> = verify.iter().copied().chain(["--report", &report]).collect();
    let audit = ["audit", "--service", SERVICE, "--pipeline", PIPELINE, "--target", TARGET, "--patience", "200ms"];
    let commands: [(&[&str], i32); 8] = [
        (&verify, 0),
        (&recorded, 0),
        (&["replay", evidence.to_str().unwrap()], 0),
        // What it finds is no matter here, nor which old revisions it would delete.
        (&[&audit[..], &["--delete-old", "--timeout", "10s"]].concat(), 1),
        (&["drill", "--url", &url, "--only", "health-degraded", "--timeout", "20s"], 0),
        (&["query", "vector(1)", "--url", &metrics], 0),
        (&["lint"], 2),
        (&["rollback", "--service", SERVICE, "--to-revision", PRIOR, "--timeout", "20s"], 2),
    ];
    for (args, code) in commands {
        let environment = scene.cloud.environment();
        let gate = environment
            .into_iter()
            .filter(|(name, _)| args[0] != "query" || !name.ends_with("PROJECT") && !name.ends_with("REGION"));
        let ran = gate.fold(Gate::new(), |gate, (name, value)| gate.env(name, &value)).args(args.iter().copied()).run();
        assert_eq!(ran.code, code, "{args:?}: {}{}", ran.stdout, ran.stderr);
    }
    let asked = scene.cloud.server.seen();
    let is_read =
        |path: &str| ["/token", ":generateIdToken", "entries:list", "/query"].iter().any(|end| path.ends_with(end));
    let changes = asked.iter().filter(|request| request.method != "GET" && !is_read(&request.path));
    let changes: Vec<String> = changes.map(|request| format!("{} {}", request.method, request.path)).collect();
    assert_eq!(changes, [""; 0]);
    assert!(asked.iter().any(|request| request.path.starts_with("/v2/")), "the API was asked");
    assert_eq!(scene.cloud.state().resources, before);
}

/// Runs on a terminal of its own, on which somebody types.
fn on_a_terminal(mut gate: Gate, typed: &str) -> (i32, String) {
    let own = gate.command();
    let mut line = format!("exec {}", own.get_program().to_str().unwrap());
    for arg in own.get_args() {
        write!(line, " '{}'", arg.to_str().unwrap()).unwrap();
    }
    let mut terminal = Command::new("/usr/bin/script");
    terminal.args(["-qefc", &line, "/dev/null"]).env_clear().current_dir(own.get_current_dir().unwrap());
    terminal.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = Vec::new();
    let mut byte = [0];
    // Who asks has shown the plan by then.
    while !String::from_utf8_lossy(&shown).contains("[y/N]") && screen.read(&mut byte).unwrap() > 0 {
        shown.push(byte[0]);
    }
    keys.write_all(typed.as_bytes()).unwrap();
    screen.read_to_end(&mut shown).unwrap();
    drop(keys);
    (child.wait().unwrap().code().unwrap_or(-1), String::from_utf8_lossy(&shown).into_owned())
}

#[test]
fn on_a_terminal_only_yes_is_one() {
    let cases = [
        ("y\n", 0, "has all of the traffic", 1),
        ("YES\n", 0, "has all of the traffic", 1),
        ("n\n", 1, "nothing was changed", 0),
        ("\n", 1, "nothing was changed", 0),
        ("yes please\n", 1, "nothing was changed", 0),
        // The end of the input, and Ctrl-C.
        ("\u{4}", 1, "nothing was changed", 0),
        ("\u{3}", 3, "interrupted by SIGINT: nothing was changed", 0),
        ("", 2, "nobody answered in time; nothing was changed", 0),
    ];
    each(&cases, |(typed, code, piece, patches)| {
        let scene = Scene::new(|_| {});
        let gate = scene.gate(&["--traffic-only", "--to-revision", PRIOR]);
        let gate = if typed.is_empty() { gate.env("CANARY_GATE_TIMEOUT", "1s") } else { gate };
        let (ended, shown) = on_a_terminal(gate, typed);
        let plan = shown.find("then     100 %").zip(shown.find("Roll back? [y/N]"));
        if ended != *code
            || !shown.contains(piece)
            || scene.patches() != *patches
            || plan.is_none_or(|(plan, asked)| plan >= asked)
        {
            return Err(format!("{typed:?}: exit {ended}, {} patches: {shown}", scene.patches()));
        }
        Ok(())
    });
}
