//! `canary-gate rollback` against a cloud that misbehaves: which revision, one change, and nothing taken for done that is not.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::canary::cloud::deploy::{FAILED_RELEASE, STABLE_RELEASE, rollout_of};
use crate::canary::cloud::faults::{Act, Fault};
use crate::canary::cloud::names::{PIPELINE, SERVICE, TARGET, revision, service};
use crate::canary::cloud::{Cloud, State, run};
use crate::canary::google::{DEPLOYED, PRIOR};
use crate::canary::server::Canary;
use crate::canary::{FAULTS, Fault as Misbehaviour};
use crate::checks::Checks;
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
        let mut gate = Gate::new().args(["rollback", "--service", SERVICE, "--checks", "checks.yaml"]);
        gate.file("checks.yaml", Checks::fast().to_string());
        gate = gate.args(["--report", "json=report.json", "--poll", "5ms", "--settle", "5ms", "--timeout", "20s"]);
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
        let shares = entries.iter().map(|entry| (entry["revision"].as_str().unwrap_or("LATEST").to_owned(), entry["percent"].as_u64().unwrap_or(0)));
        shares.filter(|(_, percent)| *percent > 0).collect()
    }

    fn changes(&self) -> Vec<String> {
        self.cloud.state().changes.clone()
    }

    fn patches(&self) -> usize {
        self.changes().iter().filter(|change| change.starts_with("PATCH")).count()
    }
}

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
    for piece in ["now      20 % emergence-app-00042-new (tag canary)", "changed  last by deployer@", "then     100 % emergence-app-00041-old", "kept as they are", "it served when", "the traffic is pinned: 100 % emergence-app-00041-old", "update-traffic emergence-app --to-latest --region=europe-west1"] {
        assert!(ran.stdout.contains(piece), "{piece}: {}", ran.stdout);
    }
    let facts = &ran.report["deployment"];
    assert_eq!((&facts["revision"], &facts["rolled_back"], &facts["phase"]), (&json!(PRIOR), &json!(DEPLOYED), &json!("rollback")));
    let names: Vec<&str> = ran.report["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["rollback", "ready", "health", "readiness", "smoke", "ready again", "health again", "readiness again", "smoke again"]);
    let again = scene.run(&args);
    assert_eq!((again.code, scene.changes().len()), (0, 1), "{}{}", again.stdout, again.stderr);
    assert!(again.detail("rollback").contains("had all of the traffic already"), "{}", again.report);
}
