//! `canary-gate release` against a cloud on loopback: what it makes, once; and that it says PASS only where the phase is verified and
//! its revision serves.

use serde_json::{Value, json};

use crate::canary::cloud::deploy::{self, End, STABLE_RELEASE, UID};
use crate::canary::cloud::faults::{Act, Fault};
use crate::canary::cloud::names::{PIPELINE, SERVICE, TARGET, pipeline, release, revision, service};
use crate::canary::cloud::{Cloud, State, run};
use crate::canary::google::{ACCESS, PRIOR};
use crate::gate::{Gate, Ran, each};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const NAME: &str = "release-43";
/// The revision that the release gets.
const NEW: &str = "emergence-app-00042-rel";

pub fn digest() -> String {
    format!("sha256:{}", "ab".repeat(32))
}

/// The cloud where the last release went well.
pub fn settled() -> State {
    let mut state = State::sample();
    deploy::settled(&mut state);
    state
}

fn gate(cloud: &Cloud) -> Gate {
    gate_in(ROOT, cloud)
}

fn gate_in(folder: &str, cloud: &Cloud) -> Gate {
    let app = format!("emergence-app=repo/app@{}", digest());
    let own = format!("canary-gate=repo/gate@{}", digest());
    let args = ["release", "--dir", folder, "--image", &app, "--image", &own];
    let gate = Gate::new().args(args).env("CANARY_GATE_POLL", "10ms").env("CANARY_GATE_TIMEOUT", "30s");
    cloud.environment().into_iter().fold(gate, |gate, (name, value)| gate.env(name, &value))
}

fn released(cloud: &Cloud) -> Ran {
    gate(cloud).args(["--name", NAME]).run()
}

/// The full name of the rollout.
fn rollout() -> String {
    deploy::rollout_of(NAME)
}

/// How many releases and rollouts there are of that name.
fn made(cloud: &Cloud) -> (usize, usize) {
    let state = cloud.state();
    let rollouts = format!("{}/rollouts/", release(NAME));
    let rollouts = state.resources.keys().filter(|name| name.starts_with(&rollouts) && !name.contains("/jobRuns/"));
    (usize::from(state.resources.contains_key(&release(NAME))), rollouts.count())
}

#[test]
fn a_release_is_made_followed_and_proven() {
    let cloud = settled().serve();
    let ran = released(&cloud);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stdout.starts_with("PASS in ")
            && ran.stdout.contains(&format!("the phase stable is verified, and {NEW} has 100 % of the traffic")),
        "{}",
        ran.stdout
    );
    let lines = [
        "asking as verifier@emergence-469005.iam.gserviceaccount.com, by the metadata server",
        "release release-43 made",
        "rollout release-43-to-emergence-run-0001 made",
        "its manifests are rendered",
        "phase canary: the verify job succeeded",
        "automation (advance-the-canary) advances from canary to stable: done",
        "phase stable: the verify job succeeded",
        "rollout release-43-to-emergence-run-0001 succeeded",
    ];
    let mut rest = &*ran.stderr;
    for line in lines {
        let at = rest.find(line).unwrap_or_else(|| panic!("{line} is missing, or not in its place: {}", ran.stderr));
        rest = &rest[at..];
    }
    assert!(!ran.everything().contains(ACCESS));
    // Again: nothing more is made, and it is found proven.
    let again = released(&cloud);
    assert_eq!((again.code, made(&cloud)), (0, (1, 1)), "{}", again.stderr);
    assert!(again.stderr.contains("is there already, with this very content"), "{}", again.stderr);
    let releases: Vec<String> =
        cloud.state().changes.iter().filter(|change| change.contains("releaseId=")).cloned().collect();
    assert_eq!((releases.len(), &releases[0]), (2, &releases[1]), "the same request id");
}

#[test]
fn a_release_that_deploys_another_service_proves_nothing_of_the_one_that_was_asked_for() {
    let cloud = settled().serve();
    let ran = gate(&cloud).args(["--name", NAME, "--service", "other"]).run();
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    let (deployed, asked) = (service(), service().replace(SERVICE, "other"));
    assert!(
        ran.stdout.contains(&format!("the rollout deployed {deployed}, and {asked} was asked for")),
        "{}",
        ran.stdout
    );
}

#[test]
fn what_is_uploaded_is_what_skaffold_needs() {
    let cloud = settled().serve();
    assert_eq!(released(&cloud).code, 0);
    let state = cloud.state();
    let (name, object) = state.storage.objects.iter().next().unwrap();
    assert!(name.starts_with(&format!("{UID}_clouddeploy/source/{NAME}-")), "{name}");
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("source.tgz");
    std::fs::write(&archive, &object.bytes).unwrap();
    let unpacked =
        std::process::Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(folder.path()).output().unwrap();
    assert!(unpacked.status.success() && unpacked.stderr.is_empty(), "{unpacked:?}");
    for file in ["skaffold.yaml", "manifests/service.yaml"] {
        let (own, packed) = (std::fs::read(format!("{ROOT}/{file}")), std::fs::read(folder.path().join(file)));
        assert_eq!(own.unwrap(), packed.unwrap(), "{file}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3, "nothing else");
    let release = &state.resources[&release(NAME)];
    assert_eq!(release["skaffoldConfigUri"], format!("gs://{name}"));
    let artifacts = json!([
        {"image": "canary-gate", "tag": format!("repo/gate@{}", digest())},
        {"image": "emergence-app", "tag": format!("repo/app@{}", digest())},
    ]);
    assert_eq!(release["buildArtifacts"], artifacts);
}

type Change = fn(&mut State);

/// What is changed, the exit code, how many releases and rollouts there are then, and pieces of what is said.
type Case = (&'static str, Change, i32, (usize, usize), &'static [&'static str]);

const FAILED: End = End::Failed {
    cause: "EXECUTION_FAILED",
    message: "the build failed",
    results: &[("verdict", "FAIL"), ("summary", "FAIL in 9s: metrics: failures are 3, want <= 2")],
};

fn fault(state: &mut State, fault: Fault) {
    state.faults.push(fault);
}

fn reply(status: u16, name: &'static str, reason: &'static str) -> Act {
    Act::Reply { status, name, reason, retry_after: "" }
}

fn own(state: &mut State) -> &mut Value {
    state.resources.get_mut(&rollout()).unwrap()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn every_fault_gets_its_exit_code_and_its_cause() {
    const ROLLOUT: &str = "/rollouts/release-43-to-emergence-run-0001";
    #[rustfmt::skip]
    let cases: &[Case] = &[
        ("rendering fails", |state| state.deploy.script.render = Some(("CLOUD_BUILD_UNAVAILABLE", "no build")), 1, (1, 1),
            &["the release could not be rendered: emergence-run: CLOUD_BUILD_UNAVAILABLE no build (projects/"]),
        ("the canary fails twice", |state| state.deploy.script.jobs = vec![("canary/verify", vec![FAILED, FAILED])], 1, (1, 1),
            &["FAIL in 9s: metrics: failures are 3, want <= 2 (from the job's results)", "tries the verify job of canary again, attempt 1 of 1: failed",
                "its rollback release-41-to-emergence-run-0002 succeeded", "rolls back by the rollout release-41-to-emergence-run-0002: done"]),
        ("the stable phase fails, and its rollback too", |state| state.deploy.script.jobs =
            vec![("stable/verify", vec![FAILED, FAILED]), ("rollback/stable/verify", vec![FAILED])], 1, (1, 1),
            &["its rollback release-41-to-emergence-run-0002 failed: the traffic may still be on the revision that failed"]),
        ("the canary fails once", |state| state.deploy.script.jobs = vec![("canary/verify", vec![FAILED])], 0, (1, 1),
            &["attempt 1 of 1: in progress", "attempt 1 of 1: done", "automation's repair: done"]),
        ("nobody repairs", |state| {
            (state.deploy.script.retries, state.deploy.script.rolls_back) = (0, false);
            state.deploy.script.jobs = vec![("canary/verify", vec![FAILED])];
        }, 1, (1, 1), &["the rollout failed: the verify job of the phase canary failed"]),
        ("the deploy job fails", |state| state.deploy.script.jobs = vec![("canary/deploy", vec![FAILED])], 1, (1, 1),
            &["phase canary: the deploy job failed (EXECUTION_FAILED: the build failed)"]),
        ("verification is ignored", |state| state.deploy.script.jobs = vec![("stable/verify", vec![End::As("IGNORED")])], 1, (1, 1),
            &["its verify job was ignored: nothing was verified"]),
        ("verification is disabled", |state| state.deploy.script.jobs = vec![("stable/verify", vec![End::As("DISABLED")])], 1, (1, 1),
            &["its verify job is disabled: nothing was verified"]),
        ("verification is skipped", |state| state.deploy.script.jobs = vec![("stable/verify", vec![End::As("SKIPPED")])], 1, (1, 1),
            &["its verify job was skipped: nothing was verified"]),
        ("the pipeline does not verify", |state| {
            let stage = &mut state.resources.get_mut(&pipeline()).unwrap()["serialPipeline"]["stages"][0];
            stage["strategy"]["canary"]["customCanaryDeployment"]["phaseConfigs"][1]["verify"] = json!(false);
        }, 1, (1, 1), &["has no verify job: nothing was verified"]),
        ("an approval is wanted, and given", |state| {
            state.deploy.script.approval = true;
            fault(state, Fault { after: 8, ..Fault::first("GET", ROLLOUT, Act::Meanwhile(|state| own(state)["state"] = json!("PENDING"))) });
        }, 0, (1, 1), &["wants an approval: gcloud deploy rollouts approve release-43-to-emergence-run-0001 --release=release-43"]),
        ("an approval is wanted, and refused", |state| {
            state.deploy.script.approval = true;
            fault(state, Fault { after: 8, ..Fault::first("GET", ROLLOUT, Act::Meanwhile(|state| own(state)["state"] = json!("APPROVAL_REJECTED"))) });
        }, 1, (1, 1), &["the rollout was rejected"]),
        ("nobody advances, and then somebody does", |state| {
            state.deploy.script.advances = false;
            fault(state, Fault { after: 18, ..Fault::first("GET", ROLLOUT, Act::Meanwhile(|state| state.deploy.script.advances = true)) });
        }, 0, (1, 1), &["waits to be advanced to the phase stable: gcloud deploy rollouts advance"]),
        ("somebody cancels it", |state| fault(state, Fault { after: 8, ..Fault::first("GET", ROLLOUT,
            Act::Meanwhile(|state| own(state)["state"] = json!("CANCELLING"))) }), 1, (1, 1), &["the rollout was cancelled"]),
        ("the answer to the release is lost", |state| fault(state, Fault::first("POST", "/releases", Act::Lose)), 0, (1, 1), &["it is asked again"]),
        ("the answer to the rollout is lost", |state| fault(state, Fault::first("POST", "/rollouts", Act::Lose)), 0, (1, 1), &["it is asked again"]),
        ("the answer to the upload is lost", |state| fault(state, Fault::first("POST", "/upload/", Act::Lose)), 0, (1, 1),
            &["is there already, with this very content"]),
        ("the answer to the bucket is lost", |state| fault(state, Fault::first("POST", "/storage/v1/b", Act::Lose)), 0, (1, 1), &["it is asked again"]),
        ("the API has trouble for long", |state| fault(state, Fault { after: 5, times: 12,
            ..Fault::first("GET", ROLLOUT, reply(503, "UNAVAILABLE", "")) }), 0, (1, 1), &["answers 503", "it is asked again"]),
        ("the API is asked too often", |state| fault(state, Fault { times: 2, ..Fault::first("GET", ROLLOUT,
            Act::Reply { status: 429, name: "RESOURCE_EXHAUSTED", reason: "", retry_after: "1" }) }), 0, (1, 1), &["answers 429"]),
        ("connections break off", |state| fault(state, Fault { times: 3, ..Fault::first("GET", ROLLOUT, Act::Close) }), 0, (1, 1), &["it is asked again"]),
        ("a token expires", |state| fault(state, Fault { after: 6, ..Fault::first("GET", ROLLOUT, reply(401, "UNAUTHENTICATED", "")) }), 0, (1, 1), &[]),
        ("the account loses its rights", |state| fault(state, Fault { after: 6, times: usize::MAX,
            ..Fault::first("GET", ROLLOUT, reply(401, "UNAUTHENTICATED", "")) }), 3, (1, 1),
            &["answers 401", "to follow it again: canary-gate watch projects/"]),
        ("no right to release", |state| fault(state, Fault::always("POST", "/releases", reply(403, "PERMISSION_DENIED", "IAM_PERMISSION_DENIED"))), 3, (0, 0),
            &["answers 403", "(IAM_PERMISSION_DENIED)", "whether the release was made was not seen"]),
        ("no right to read the pipeline", |state| fault(state, Fault::always("GET", PIPELINE, reply(403, "PERMISSION_DENIED", ""))), 3, (0, 0),
            &["answers 403", "no release was made"]),
        ("no right to see what automation does", |state| fault(state, Fault::always("GET", "/automationRuns/", reply(403, "PERMISSION_DENIED", ""))), 0, (1, 1),
            &["what automation does cannot be read"]),
        ("no right to see the service", |state| fault(state, Fault { after: 1, ..Fault::always("GET", "/v2/", reply(403, "PERMISSION_DENIED", "")) }), 3, (1, 1),
            &["the phase stable is verified; whether its revision serves is not known"]),
        ("the operation fails", |state| state.deploy.fails = Some("out of quota"), 1, (0, 0), &["the release release-43 could not be made: out of quota"]),
        ("another rollout is under way, behind an empty page", |state| {
            let other = deploy::rollout_of(STABLE_RELEASE);
            state.resources.get_mut(&other).unwrap()["state"] = json!("PENDING_APPROVAL");
            fault(state, Fault::first("GET", "/releases/-/rollouts", Act::Page(r#"{"nextPageToken": "0"}"#)));
        }, 1, (0, 0), &["another rollout to emergence-run has not ended: release-41-to-emergence-run-0001 waits for an approval", "no release was made"]),
        ("the pipeline is suspended", |state| state.resources.get_mut(&pipeline()).unwrap()["suspended"] = json!(true), 1, (0, 0), &["is suspended"]),
        ("the pipeline is not there", |state| drop(state.resources.remove(&pipeline())), 3, (0, 0), &["answers 404", "no release was made"]),
        ("a release of the name is there, with other content", |state| {
            let mut other = state.resources[&release(STABLE_RELEASE)].clone();
            other["name"] = json!(release(NAME));
            state.resources.insert(release(NAME), other);
        }, 1, (1, 0), &["there is a release release-43 already, with other content"]),
        ("the bucket is somebody else's", |state| fault(state, Fault { times: 2, ..Fault::first("GET", "/storage/v1/b", Act::Page("{}")) }), 1, (0, 0),
            &["belongs to another project"]),
        ("the traffic is pinned", |state| pin(state, "emergence-app-00042-new"), 0, (1, 1),
            &["the traffic is not as the last rollout left it: 100 % emergence-app-00042-new", "made emergence-app-00041-old serve"]),
        ("somebody takes the traffic back", |state| fault(state, Fault { after: 1, times: usize::MAX,
            ..Fault::first("GET", "/v2/", Act::Meanwhile(|state| pin(state, PRIOR))) }), 1, (1, 1),
            &["what serves is something else: emergence-app-00042-rel has 0 % of the traffic, want 100 %"]),
        ("the traffic goes to the latest", |state| fault(state, Fault { after: 1, times: usize::MAX, ..Fault::first("GET", "/v2/", Act::Meanwhile(|state| {
            let service = state.resources.get_mut(&service()).unwrap();
            service["trafficStatuses"] = json!([{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 100}]);
        })) }), 0, (1, 1), &["emergence-app-00042-rel has 100 % of the traffic"]),
        ("the revision has another image", |state| fault(state, Fault { after: 1, times: usize::MAX, ..Fault::first("GET", "/v2/", Act::Meanwhile(|state| {
            state.resources.get_mut(&revision(NEW)).unwrap()["containers"][0]["image"] = json!(format!("repo/app@sha256:{}", "cd".repeat(32)));
        })) }), 1, (1, 1), &["which is none of the release's"]),
        ("it is rolled back while it is proven", |state| fault(state, Fault { after: 1, times: usize::MAX, ..Fault::first("GET", "/v2/", Act::Meanwhile(|state| {
            let by = deploy::rollout_of(STABLE_RELEASE);
            own(state)["rolledBackByRollouts"] = json!([by]);
        })) }), 1, (1, 1), &["the rollout was rolled back by release-41-to-emergence-run-0001"]),
        ("another rollout is answered for it", |state| fault(state, Fault { after: 2, ..Fault::first("GET", ROLLOUT,
            Act::Page(r#"{"name": "projects/x/locations/y/deliveryPipelines/z/releases/r/rollouts/other", "state": "SUCCEEDED"}"#)) }), 3, (1, 1),
            &["Cloud Deploy answers projects/x/"]),
        ("a state that nobody knows", |state| fault(state, Fault { after: 6, ..Fault::first("GET", ROLLOUT, Act::Meanwhile(|state| {
            own(state)["state"] = json!("GLORIOUS");
            state.faults.push(Fault { after: 1, ..Fault::first("GET", ROLLOUT, Act::Meanwhile(|state| own(state)["state"] = json!("IN_PROGRESS"))) });
        })) }), 0, (1, 1), &["is in a state that is not known"]),
    ];
    each(cases, |(name, change, code, wanted, pieces)| {
        let mut state = settled();
        change(&mut state);
        let cloud = state.serve();
        let ran = released(&cloud);
        let said = ran.everything();
        let missing: Vec<_> = pieces.iter().filter(|piece| !said.contains(**piece)).collect();
        let made = made(&cloud);
        if ran.code == *code && missing.is_empty() && made == *wanted && !said.contains(ACCESS) {
            Ok(())
        } else {
            Err(format!(
                "{name}: exit {}, want {code}; made {made:?}, want {wanted:?}; missing {missing:?}: {said}",
                ran.code
            ))
        }
    });
}

/// Pins the traffic to a revision, as a rollback by traffic does.
fn pin(state: &mut State, to: &str) {
    let own = json!([{"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": to, "percent": 100}]);
    state.resources.get_mut(&service()).unwrap()["traffic"] = own;
    run::settle(state, &service());
}

#[test]
fn the_asked_phase_counts_and_no_other() {
    // The canary is verified: whether the stable phase goes well is not asked.
    let mut state = settled();
    state.deploy.script.advances = false;
    let cloud = state.serve();
    let ran = gate(&cloud).args(["--name", NAME, "--until", "canary"]).run();
    assert_eq!(ran.code, 0, "{}", ran.everything());
    assert!(
        ran.stdout.contains(&format!("the phase canary is verified, and {NEW} has 20 % of the traffic")),
        "{}",
        ran.stdout
    );
    // A canary that was ignored and a stable phase that is verified: for the canary, nothing was proven.
    let mut state = settled();
    state.deploy.script.jobs = vec![("canary/verify", vec![End::As("IGNORED")])];
    let ran = gate(&state.serve()).args(["--name", NAME, "--until", "canary"]).run();
    assert_eq!(ran.code, 1, "{}", ran.everything());
    // There is no canary in the first release of a service.
    let cloud = settled().serve();
    let skipped = Act::Meanwhile(|state| {
        for job in ["deployJob", "verifyJob"] {
            own(state)["phases"][0]["deploymentJobs"][job]["state"] = json!("SKIPPED");
        }
        own(state)["phases"][0]["state"] = json!("SKIPPED");
    });
    cloud.state().faults.push(Fault::first("GET", "/rollouts/release-43", skipped));
    let ran = gate(&cloud).args(["--name", NAME, "--until", "canary"]).run();
    assert!(ran.code == 1 && ran.stdout.contains("the phase canary was skipped"), "{}", ran.everything());
    // A phase that the pipeline does not have.
    let cloud = settled().serve();
    let ran = gate(&cloud).args(["--name", NAME, "--until", "production"]).run();
    assert_eq!((ran.code, made(&cloud)), (3, (0, 0)), "{}", ran.everything());
    assert!(ran.stderr.contains("has no phase production for emergence-run"), "{}", ran.stderr);
}

#[test]
fn the_time_ends_and_a_signal_ends_it_and_both_say_what_stands() {
    let mut state = settled();
    state.deploy.script.jobs = vec![("canary/verify", vec![End::Never])];
    let cloud = state.serve();
    let ran = gate(&cloud).args(["--name", NAME, "--timeout", "1500ms"]).run();
    assert_eq!(ran.code, 3, "{}", ran.everything());
    let resume = format!("canary-gate watch {}", rollout());
    assert!(ran.stderr.contains("the time is up: ") && ran.stderr.contains(&resume), "{}", ran.stderr);
    let ran = gate(&cloud).args(["--name", NAME]).run_until("the verify job is in progress", "-INT");
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("interrupted by SIGINT; the rollout") && ran.stderr.contains(&resume),
        "{}",
        ran.stderr
    );
    assert_eq!(made(&cloud), (1, 1));
    // An operation that never ends.
    let mut state = settled();
    state.slow = usize::MAX;
    let cloud = state.serve();
    let ran = gate(&cloud).args(["--name", NAME, "--timeout", "1500ms"]).run();
    assert_eq!(ran.code, 3, "{}", ran.everything());
    assert!(["makes no second one", "canary-gate watch"].iter().any(|way| ran.stderr.contains(way)), "{}", ran.stderr);
}

#[test]
fn bad_input_is_named_and_nothing_is_asked() {
    let app = format!("emergence-app=repo/app@{}", digest());
    let own = format!("canary-gate=repo/gate@{}", digest());
    let long = "r".repeat(60);
    let cases: &[(&[&str], &str)] = &[
        (
            &["--image", "emergence-app=repo/app:v1", "--image", &own],
            "its tag may be another image tomorrow; this gives the digest: gcloud artifacts docker images describe repo/app:v1",
        ),
        (&["--image", &app], ": the image canary-gate is not given: pass --image canary-gate="),
        (&["--image", &app, "--image", &own, "--image", "x=y@sha256:1"], "x"),
        (&["--image", &app, "--image", &own, "--name", "Release 7"], "\"Release 7\" is not the name of a release"),
        (&["--image", &app, "--image", &own, "--name", &long], "at most"),
        (&["--image", &app, "--image", &own, "--project", "a/b"], "is not the name of a project"),
        (&["--image", &app, "--image", &own, "--until", "../x"], "is not the name of a phase"),
        (&["--image", &app, "--image", &own, "--timeout", "soon"], "--timeout: \"soon\" is not a duration"),
        (&["--image", &app, "--image", &own, "--poll", "0s"], "--poll"),
        (&["--image", &app, "--image", &own, "--dir", "/nowhere"], "--dir: /nowhere is not a folder"),
        (&["--image", &app, "--image", &own, "--deploy-endpoint", "x"], "--deploy-endpoint"),
    ];
    each(cases, |(args, piece)| {
        let cloud = settled().serve();
        let gate = Gate::new().args(["release"]).args(args.iter().copied());
        let started = if args.contains(&"--dir") { gate } else { gate.args(["--dir", ROOT]) };
        let gate = cloud.environment().into_iter().filter(|(name, _)| !name.ends_with("PROJECT"));
        let ran = gate.fold(started, |gate, (name, value)| gate.env(name, &value)).run();
        if ran.code == 2 && ran.stderr.contains(piece) && cloud.server.seen().is_empty() {
            Ok(())
        } else {
            Err(format!("{args:?}: exit {}: {}", ran.code, ran.stderr))
        }
    });
}

#[test]
fn a_pipeline_with_findings_is_not_released() {
    let folder = tempfile::tempdir().unwrap();
    for file in ["clouddeploy.yaml", "targets.yaml", "skaffold.yaml", "pipeline.env", "iam.yaml"] {
        std::fs::copy(format!("{ROOT}/{file}"), folder.path().join(file)).unwrap();
    }
    let cloud = settled().serve();
    let ran = gate_in(&folder.path().display().to_string(), &cloud).run();
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("manifests/service.yaml") && ran.stderr.contains("nothing was made"), "{}", ran.stderr);
    assert!(cloud.server.seen().is_empty());
    assert_eq!(SERVICE, "emergence-app", "the names are those of the repository's own pipeline: {TARGET}");
}
