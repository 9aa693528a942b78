//! `canary-gate watch`: which rollout is meant, what is told of one that failed, and that it changes nothing.

use serde_json::json;

use crate::canary::cloud::deploy::{self, FAILED_RELEASE, STABLE_RELEASE};
use crate::canary::cloud::faults::{Act, Fault};
use crate::canary::cloud::names::{pipeline, release, rollout};
use crate::canary::cloud::{Cloud, State, storage};
use crate::canary::google::ACCESS;
use crate::gate::{Gate, Ran, each};
use crate::release::settled;

/// A run of `watch` with the pipeline's names by flags.
pub fn gate(cloud: &Cloud, args: &[&str]) -> Gate {
    let names = ["watch", "--pipeline", "emergence-pipeline", "--target", "emergence-run"];
    let gate = Gate::new().args(names).args(args.iter().copied());
    let gate = gate.env("CANARY_GATE_POLL", "10ms").env("CANARY_GATE_TIMEOUT", "20s");
    cloud.environment().into_iter().fold(gate, |gate, (name, value)| gate.env(name, &value))
}

fn watch(cloud: &Cloud, args: &[&str]) -> Ran {
    let ran = gate(cloud, args).run();
    assert!(cloud.state().changes.is_empty(), "it changed something: {:?}", cloud.state().changes);
    assert!(!ran.everything().contains(ACCESS));
    ran
}

fn stable() -> String {
    format!("{STABLE_RELEASE}-to-emergence-run-0001")
}

#[test]
fn a_rollout_is_found_by_its_name_or_as_the_newest_that_has_not_ended() {
    let cloud = settled().serve();
    for name in [stable(), rollout(STABLE_RELEASE, &stable())] {
        let ran = watch(&cloud, &[&name]);
        assert_eq!(ran.code, 0, "{}", ran.everything());
        assert!(ran.stdout.contains("emergence-app-00041-old has 100 % of the traffic"), "{}", ran.stdout);
    }
    let ran = watch(&cloud, &[]);
    assert!(
        ran.code == 3 && ran.stderr.contains("every rollout to emergence-run has ended; the newest is"),
        "{}",
        ran.stderr
    );
    let ran = watch(&cloud, &["release-41-to-emergence-run-001"]);
    assert!(ran.code == 3 && ran.stderr.contains(&format!("did you mean {}?", stable())), "{}", ran.stderr);
    // The newest of two, and not that of another target.
    let mut state = settled();
    let mut other = state.resources[&rollout(STABLE_RELEASE, &stable())].clone();
    for (name, target, made) in [
        ("older", "emergence-run", "2026-11-21"),
        ("newer", "emergence-run", "2026-11-22"),
        ("elsewhere", "run-2", "2026-11-23"),
    ] {
        let full = rollout(STABLE_RELEASE, name);
        (other["name"], other["targetId"]) = (json!(full), json!(target));
        (other["state"], other["createTime"]) = (json!("PENDING_APPROVAL"), json!(format!("{made}T10:00:00Z")));
        state.resources.insert(full, other.clone());
    }
    state.page = 1;
    let ran = gate(&state.serve(), &[]).env("CANARY_GATE_TIMEOUT", "1s").run();
    assert!(
        ran.code == 3 && ran.stderr.contains(&format!("following {}", rollout(STABLE_RELEASE, "newer"))),
        "{}",
        ran.stderr
    );
    // A name that two releases have.
    let mut state = settled();
    for short in ["a", "b"] {
        let name = rollout(short, "same");
        let mut copy = other.clone();
        copy["name"] = json!(name);
        state.resources.insert(name, copy);
    }
    let ran = watch(&state.serve(), &["same"]);
    assert!(ran.code == 3 && ran.stderr.contains("several rollouts are called same"), "{}", ran.stderr);
}

#[test]
fn names_that_are_none_are_refused_before_anything_is_asked() {
    let cloud = settled().serve();
    let many = format!("{}/jobRuns/x", rollout(STABLE_RELEASE, "x"));
    for name in [
        "Rollout 7",
        "../x",
        "a?b",
        "projects/p",
        &many,
        "projects/p/locations/../deliveryPipelines/d/releases/r/rollouts/o",
    ] {
        let ran = watch(&cloud, &[name]);
        assert!(ran.code == 2 && ran.stderr.contains("is not the name of a rollout"), "{name}: {}", ran.stderr);
    }
    assert!(cloud.server.seen().is_empty());
}

type Change = fn(&mut State);

/// The failed canary of the sample world, whose verify job has a run.
fn failed() -> State {
    let mut state = State::sample();
    let name = deploy::rollout_of(FAILED_RELEASE);
    let run = format!("{name}/jobRuns/run-1");
    let verify = json!({"failureCause": "EXECUTION_FAILED", "failureMessage": "verify failed",
        "build": "projects/emergence-469005/locations/europe-west1/builds/0b1c2d3e",
        "artifactUri": "gs://artifacts/release-42/verify"});
    let resource =
        json!({"name": run, "phaseId": "canary", "jobId": "verify", "state": "FAILED", "verifyJobRun": verify});
    state.resources.insert(run.clone(), resource);
    let rollout = state.resources.get_mut(&name).unwrap();
    rollout["phases"][0]["deploymentJobs"]["verifyJob"]["jobRun"] = json!(run);
    state
}

fn stored(state: &mut State, name: &str, text: &str) {
    state.storage.buckets.insert("artifacts".into());
    let object =
        storage::Object { bytes: text.as_bytes().to_vec(), media_type: "application/json".into(), generation: 1 };
    state.storage.objects.insert(format!("artifacts/{name}"), object);
}

#[test]
fn the_cause_is_copied_in_from_wherever_it_is() {
    const LOG: &str = r#"{"entries": [
        {"textPayload": "ERROR: build step 0 failed"},
        {"textPayload": "[canary-gate] FAIL in 9s: health"},
        {"textPayload": "[canary-gate]   GET /api/health: 503, want 200"},
        {"textPayload": "starting"}]}"#;
    #[rustfmt::skip]
    let cases: &[(&str, Change, &[&str])] = &[
        ("its results", |state| stored(state, "release-42/verify/custom-output/results.json",
            r#"{"metadata": {"verdict": "FAIL", "summary": "FAIL in 9s: metrics"}}"#), &["FAIL in 9s: metrics (from the job's results in gs://artifacts/release-42/verify)"]),
        ("results of another job beside them", |state| {
            stored(state, "release-42/verify-2/results.json", r#"{"metadata": {"summary": "PASS of somebody else"}}"#);
            state.faults.push(Fault::always("POST", "/v2/entries:list", Act::Page(LOG)));
        }, &["[canary-gate] FAIL in 9s: health", "GET /api/health: 503, want 200"]),
        ("its log", |state| state.faults.push(Fault::always("POST", "/v2/entries:list", Act::Page(LOG))),
            &["by the log of its build", "[canary-gate] FAIL in 9s: health"]),
        ("an empty log", |state| state.faults.push(Fault::always("POST", "/v2/entries:list", Act::Page("{}"))),
            &["what it said is not known", "the log of its build holds nothing", "its build is projects/emergence-469005/"]),
        ("no right to read the log", |state| state.faults.push(Fault::always("POST", "/v2/entries:list",
            Act::Reply { status: 403, name: "PERMISSION_DENIED", reason: "IAM_PERMISSION_DENIED", retry_after: "" })),
            &["what it said is not known", "(IAM_PERMISSION_DENIED)", "EXECUTION_FAILED: verify failed"]),
        ("a run that is gone", |state| state.resources.retain(|name, _| !name.contains("/jobRuns/")), &["what it said is not known", "answers 404"]),
        ("no results and no build", |state| {
            let run = format!("{}/jobRuns/run-1", deploy::rollout_of(FAILED_RELEASE));
            state.resources.get_mut(&run).unwrap()["verifyJobRun"] = json!({"failureCause": "CLOUD_BUILD_UNAVAILABLE"});
        }, &["(CLOUD_BUILD_UNAVAILABLE)", "Cloud Deploy names no build of it"]),
    ];
    each(cases, |(name, change, pieces)| {
        let mut state = failed();
        change(&mut state);
        let cloud = state.serve();
        let ran = gate(&cloud, &[&format!("{FAILED_RELEASE}-to-emergence-run-0001")]).run();
        let missing: Vec<_> = pieces.iter().filter(|piece| !ran.stdout.contains(**piece)).collect();
        // Reading a log is a request that changes nothing.
        let changes: Vec<String> =
            cloud.state().changes.iter().filter(|change| !change.contains("entries:list")).cloned().collect();
        if ran.code == 1 && missing.is_empty() && changes.is_empty() && !ran.stdout.contains("PASS") {
            Ok(())
        } else {
            Err(format!("{name}: exit {}; missing {missing:?}; changes {changes:?}: {}", ran.code, ran.everything()))
        }
    });
}

#[test]
fn an_interrupted_watch_changes_nothing_and_says_how_to_go_on() {
    let mut state = settled();
    state.resources.get_mut(&rollout(STABLE_RELEASE, &stable())).unwrap()["state"] = json!("PENDING_APPROVAL");
    let cloud = state.serve();
    for signal in ["-INT", "-TERM"] {
        let ran = gate(&cloud, &[&stable()]).run_until("wants an approval", signal);
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("the rollout goes on: canary-gate watch {}", stable())), "{}", ran.stderr);
    }
    assert!(cloud.state().changes.is_empty());
}

#[test]
fn a_rollout_whose_release_is_gone_or_abandoned_proves_nothing() {
    let mut state = settled();
    state.resources.get_mut(&release(STABLE_RELEASE)).unwrap()["abandoned"] = json!(true);
    let ran = watch(&state.serve(), &[&stable()]);
    assert!(ran.code == 1 && ran.stdout.contains("the release is abandoned"), "{}", ran.everything());
    let mut state = settled();
    state.resources.remove(&release(STABLE_RELEASE));
    let ran = watch(&state.serve(), &[&stable()]);
    assert!(ran.code == 3 && ran.stderr.contains("answers 404"), "{}", ran.everything());
    // What the rollout does not say is not guessed.
    for key in ["revision", "service"] {
        let mut state = settled();
        state.resources.get_mut(&rollout(STABLE_RELEASE, &stable())).unwrap()["metadata"]["cloudRun"][key] = json!("");
        let ran = watch(&state.serve(), &[&stable()]);
        assert!(ran.code == 3 && ran.stderr.contains("the rollout does not say which"), "{key}: {}", ran.everything());
    }
    // Nor what the pipeline does not.
    let mut state = settled();
    state.resources.get_mut(&release(STABLE_RELEASE)).unwrap()["deliveryPipelineSnapshot"] =
        json!({"name": pipeline()});
    let ran = watch(&state.serve(), &[&stable()]);
    assert!(ran.code == 3 && ran.stderr.contains("does not say which share"), "{}", ran.everything());
}
