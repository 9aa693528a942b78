//! The checklist after a deploy: every row against a cloud that is as it should be, and against one that is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::canary::app::{Traffic, answer_with, metrics};
use crate::canary::cloud::faults::{Act, Fault};
use crate::canary::cloud::monitoring::{Answer, Values};
use crate::canary::cloud::names::{PIPELINE, PROJECT, SERVICE, TARGET, revision, service};
use crate::canary::cloud::{Cloud, State, deploy, logging, run};
use crate::canary::google::{ACCESS, PRIOR as OWN};
use crate::canary::server::{Canary, Reply, Request};
use crate::gate::{Gate, Ran, each};

/// The revision before the one that serves.
const BEFORE: &str = "emergence-app-00040-old";

/// The rows in their order.
const ROWS: [&str; 15] = [
    "traffic",
    "pin",
    "tags",
    "services",
    "revisions",
    "startup-probe",
    "health",
    "metrics",
    "logs",
    "new-errors",
    "errors",
    "latency",
    "memory",
    "cold-start",
    "record",
];

/// How long ago the revision took the traffic.
const AGO: Duration = Duration::from_hours(1);

/// A checks file with an audit that need not wait.
const CHECKS: &str = "
health: {timeout: 3s, request_timeout: 1s, backoff: {initial: 10ms, max: 20ms}}
metrics: {timeout: 3s, request_timeout: 1s, backoff: {initial: 10ms, max: 20ms}}
audit:
  metrics: {interval: 20ms}
";

fn at(time: SystemTime) -> String {
    humantime::format_rfc3339_micros(time).to_string()
}

/// A time of the span: so many seconds after the revision took the traffic.
fn in_span(seconds: u64) -> String {
    at(SystemTime::now() - AGO + Duration::from_secs(seconds))
}

/// The application, whose counters move with each scrape.
fn application() -> Canary {
    let scrapes = AtomicU64::new(0);
    Canary::start(Arc::new(move |request: &Request| {
        if request.path != "/api/metrics" {
            return answer_with(request, &Traffic::default());
        }
        let cache_hits = 90 + scrapes.fetch_add(1, Ordering::SeqCst);
        answer_with(request, &Traffic { cache_hits, ..Traffic::default() })
    }))
}

/// The cloud some time after a release that went well, with what the revision logged.
fn world(application: &Canary) -> State {
    let mut state = State::sample();
    deploy::settled(&mut state);
    state.slow = 0;
    let own = state.resources.get_mut(&revision(OWN)).unwrap();
    own["containers"][0]["startupProbe"] = json!({"httpGet": {"path": "/api/health", "port": 8080}});
    own["createTime"] = json!(at(SystemTime::now() - AGO * 2));
    let mut before = own.clone();
    before["name"] = json!(revision(BEFORE));
    before["etag"] = json!("\"etag-40\"");
    before["createTime"] = json!("2026-01-01T00:00:00Z");
    state.resources.insert(revision(BEFORE), before);
    let rollout = state.resources.get_mut(&deploy::rollout_of(deploy::STABLE_RELEASE)).unwrap();
    rollout["deployEndTime"] = json!(at(SystemTime::now() - AGO));
    let address = application.url();
    let own = state.resources.get_mut(&service()).unwrap();
    (own["uri"], own["urls"]) = (json!(address), json!([address]));
    state.logging.entries = vec![
        logging::entry(OWN, &in_span(10), "INFO", "started"),
        logging::request(OWN, &in_span(20), "INFO", "Mozilla/5.0", 200),
        // What others log, and what was logged at other times, is not looked at.
        logging::entry("emergence-app-00039-old", &in_span(30), "ERROR", "no database"),
        logging::entry(OWN, &at(SystemTime::now() - AGO * 3 / 2), "ERROR", "before its time"),
        logging::entry(OWN, &at(SystemTime::now()), "ERROR", "after its time"),
    ];
    state
}

fn audit(cloud: &Cloud) -> Gate {
    let mut gate = Gate::new().args([
        "audit",
        "--checks",
        "checks.yaml",
        "--report",
        "json=report.json",
        "--service",
        SERVICE,
        "--pipeline",
        PIPELINE,
        "--target",
        TARGET,
        "--patience",
        "2s",
    ]);
    gate.file("checks.yaml", CHECKS);
    cloud.environment().into_iter().fold(gate, |gate, (name, value)| gate.env(name, &value))
}

fn shown(ran: &Ran) -> String {
    format!("{}{}", ran.stdout, ran.stderr)
}

#[test]
fn a_deployment_that_is_as_it_should_be_passes_and_nothing_is_changed() {
    let application = application();
    let cloud = world(&application).serve();
    let mut gate = audit(&cloud).args(["--records", "records"]);
    std::fs::create_dir(gate.folder().join("records")).unwrap();
    gate.file(
        "records/2026-11-27-release-41.md",
        "---\ndate: 2026-11-27T10:00:00Z\nverdict: pass\nrelease: release-41\n---\n# x\n",
    );
    let ran = gate.run();
    assert_eq!(ran.code, 0, "{}", shown(&ran));
    let names: Vec<&str> =
        ran.report["checks"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names, ROWS);
    for row in ROWS {
        assert_eq!(ran.status(row), "pass", "{row}: {}", shown(&ran));
    }
    assert_eq!((&ran.report["purpose"], &ran.report["deployment"]["release"]), (&"audit".into(), &"release-41".into()));
    for (row, piece) in [
        ("traffic", "100 % on emergence-app-00041-old"),
        ("metrics", "13 families exposed, 1 counter moved"),
        ("logs", "no error in 5m from"),
        ("errors", "0.2 %, want <= 1 % (of 312.5 requests)"),
        ("latency", "420ms, want <= 2s"),
        ("cold-start", "no data: Cloud Monitoring has no value"),
        ("record", "records/2026-11-27-release-41.md"),
    ] {
        let piece = piece.trim_start_matches("records/");
        assert!(ran.detail(row).contains(piece), "{row}: {}", ran.detail(row));
    }
    assert!(ran.stdout.contains("Next: nothing; the deployment is as it should be"), "{}", ran.stdout);
    assert_eq!(cloud.state().changes, [""; 0]);
    assert!(!ran.everything().contains(ACCESS));
    asked_as_documented(&cloud);
}

/// The requests have the shapes that the discovery documents give them; `scripts/discovery.py` holds all of them to these.
fn asked_as_documented(cloud: &Cloud) {
    let seen = cloud.server.seen();
    let query = seen.iter().find(|request| request.path.ends_with("/query")).unwrap();
    assert_eq!(query.path, format!("/v1/projects/{PROJECT}/location/global/prometheus/api/v1/query"));
    let logs = seen.iter().find(|request| request.path == "/v2/entries:list").unwrap();
    let body: Value = serde_json::from_slice(&logs.body).unwrap();
    let filter = body["filter"].as_str().unwrap();
    assert!(filter.contains("severity>=ERROR") && filter.contains(&format!("revision_name=\"{OWN}\"")), "{filter}");
}

type Change = fn(&mut State);

/// What is changed, the exit code, a row, its status, and a piece of what it says.
type Case = (&'static str, Change, i32, &'static str, &'static str, &'static str);

fn serving(state: &mut State, traffic: Value) {
    state.resources.get_mut(&service()).unwrap()["traffic"] = traffic;
    run::settle(state, &service());
}

fn entry(name: &str, percent: u64, tag: &str) -> Value {
    let mut entry = json!({"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": name, "percent": percent});
    if !tag.is_empty() {
        entry["tag"] = json!(tag);
    }
    entry
}

fn fault(state: &mut State, method: &'static str, path: &'static str, act: Act) {
    state.faults.push(Fault::always(method, path, act));
}

fn denied(state: &mut State, method: &'static str, path: &'static str) {
    let act = Act::Reply { status: 403, name: "PERMISSION_DENIED", reason: "IAM_PERMISSION_DENIED", retry_after: "" };
    fault(state, method, path, act);
}

fn more_revisions(state: &mut State, names: &[&str]) {
    for (number, name) in names.iter().enumerate() {
        let mut resource = state.resources[&revision(BEFORE)].clone();
        resource["name"] = json!(revision(name));
        resource["etag"] = json!(format!("\"etag-of-{name}\""));
        resource["createTime"] = json!(format!("2025-12-{:02}T00:00:00Z", number + 1));
        state.resources.insert(revision(name), resource);
    }
}

fn values(state: &mut State, piece: &'static str, answer: Answer) {
    state.monitoring = std::mem::take(&mut state.monitoring).with(piece, answer);
}

const LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";

#[test]
fn a_rollout_that_failed_or_was_undone_is_no_good_end_whatever_serves() {
    let edits: [(&str, Value, &str); 3] = [
        ("state", json!("FAILED"), "release-41-to-emergence-run-0001 failed"),
        ("state", json!("CANCELLED"), "release-41-to-emergence-run-0001 was cancelled"),
        (
            "rolledBackByRollouts",
            json!(["a/rollouts/release-40-to-emergence-run-0002"]),
            "was rolled back by release-40-to",
        ),
    ];
    each(&edits, |(key, value, piece)| {
        let application = application();
        let mut state = world(&application);
        state.resources.get_mut(&deploy::rollout_of(deploy::STABLE_RELEASE)).unwrap()[*key] = value.clone();
        let cloud = state.serve();
        let ran = audit(&cloud).args(["--release", deploy::STABLE_RELEASE]).run();
        if (ran.code, ran.status("traffic")) == (1, "fail") && ran.detail("traffic").contains(piece) {
            return Ok(());
        }
        Err(format!("{value}: {}", shown(&ran)))
    });
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn every_fault_gets_its_row_and_its_exit_code() {
    #[rustfmt::skip]
    let cases: &[Case] = &[
        ("the newest revision by LATEST", |state| serving(state, json!([{"type": LATEST, "percent": 100}])), 0, "traffic", "pass", "100 % on"),
        ("LATEST pins nothing", |state| serving(state, json!([{"type": LATEST, "percent": 100}])), 0, "pin", "pass", "follows the newest"),
        ("LATEST is another revision", |state| {
            serving(state, json!([{"type": LATEST, "percent": 100}]));
            state.resources.get_mut(&service()).unwrap()["latestReadyRevision"] = json!(revision(BEFORE));
        }, 1, "traffic", "fail", "the traffic is 100 % emergence-app-00040-old, want 100 % on emergence-app-00041-old"),
        ("split traffic", |state| serving(state, json!([entry(OWN, 80, ""), entry(BEFORE, 20, "")])), 1, "traffic", "fail", "80 % emergence-app-00041-old, 20 % emergence-app-00040-old"),
        ("shares of one revision in two entries", |state| serving(state, json!([entry(OWN, 60, "stable"), entry(OWN, 40, "")])), 0, "traffic", "pass", "100 %"),
        ("shares that are no whole", |state| serving(state, json!([entry(OWN, 90, "")])), 3, "traffic", "error", "add up to 90 %"),
        ("still reconciling", |state| state.resources.get_mut(&service()).unwrap()["reconciling"] = json!(true), 3, "traffic", "error", "no data: the service is still reconciling"),
        ("not ready", |state| state.resources.get_mut(&revision(OWN)).unwrap()["conditions"][0]["state"] = json!("CONDITION_FAILED"), 1, "traffic", "fail", "is not ready"),
        ("another service answers", |state| state.resources.get_mut(&service()).unwrap()["name"] = json!("projects/p/locations/r/services/x"), 3, "traffic", "error", "something else"),
        ("no such service", |state| { state.resources.remove(&service()); }, 1, "traffic", "fail", "was not found"),
        ("pinned by somebody", |state| serving(state, json!([entry(BEFORE, 100, "")])), 1, "pin", "fail", "which the rollout release-41-to-emergence-run-0001 did not deploy"),
        ("a newer revision serves nobody", |state| {
            more_revisions(state, &["emergence-app-00043-new"]);
            state.resources.get_mut(&service()).unwrap()["latestCreatedRevision"] = json!(revision("emergence-app-00043-new"));
        }, 1, "pin", "fail", "emergence-app-00043-new was made after"),
        ("tags alone have no traffic", |state| serving(state, json!([entry(OWN, 100, "stable"), entry(BEFORE, 0, "prior")])), 0, "tags", "pass", "the pipeline's own: prior → emergence-app-00040-old"),
        ("a stale tag", |state| serving(state, json!([entry(OWN, 100, ""), entry(BEFORE, 0, "preview")])), 1, "tags", "fail", "1 stale tag: preview → emergence-app-00040-old"),
        ("a tag, and the pipeline is not to be read", |state| {
            serving(state, json!([entry(OWN, 100, ""), entry(BEFORE, 0, "prior")]));
            let act = Act::Reply { status: 403, name: "PERMISSION_DENIED", reason: "", retry_after: "" };
            state.faults.push(Fault { method: "GET", path: "/deliveryPipelines/emergence-pipeline", after: 0, times: usize::MAX, act });
        }, 3, "tags", "error", "which tags the pipeline sets is not known"),
        ("in another region", |state| {
            let other = service().replace("europe-west1", "us-central1");
            let own = state.resources[&service()].clone();
            state.resources.insert(other, own);
        }, 1, "services", "fail", "emergence-app is also in us-central1"),
        ("in another region, on another page", |state| {
            state.page = 1;
            let other = service().replace("europe-west1", "us-central1");
            let own = state.resources[&service()].clone();
            state.resources.insert(other, own);
        }, 1, "services", "fail", "emergence-app is also in us-central1"),
        ("a region that is not reached", |state| state.unreachable = vec!["asia-east1"], 3, "services", "error", "could not reach asia-east1"),
        ("a list of something else", |state| fault(state, "GET", "/locations/-/services", Act::Page(r#"{"kind":"ServiceList","items":[]}"#)), 3, "services", "error", "does not hold emergence-app in europe-west1"),
        ("four revisions", |state| more_revisions(state, &["emergence-app-00037-old", "emergence-app-00038-old"]), 1, "revisions", "fail", "4 revisions kept, want at most 3"),
        ("four revisions on four pages", |state| { state.page = 1; more_revisions(state, &["emergence-app-00037-old", "emergence-app-00038-old"]); }, 1, "revisions", "fail", "4 revisions kept"),
        ("a list without the revision", |state| fault(state, "GET", "/revisions", Act::Page(r#"{"revisions":[{"name":"x/revisions/y"}]}"#)), 3, "revisions", "error", "does not hold emergence-app-00041-old"),
        ("a probe of the port", |state| state.resources.get_mut(&revision(OWN)).unwrap()["containers"][0]["startupProbe"] = json!({"tcpSocket": {"port": 8080}}), 1, "startup-probe", "fail", "tcpSocket"),
        ("no probe", |state| state.resources.get_mut(&revision(OWN)).unwrap()["containers"] = json!([{"image": "x"}]), 1, "startup-probe", "fail", "there is no startup probe"),
        ("an error", |state| state.logging.entries.push(logging::entry(OWN, &in_span(60), "ERROR", "no database at 10.0.0.7")), 1, "logs", "fail", "1 error in 5m from"),
        ("an error on the second page, the first is empty", |state| {
            state.logging.empty_pages = 3;
            state.logging.entries.push(logging::entry(OWN, &in_span(60), "CRITICAL", "no database"));
        }, 1, "logs", "fail", "the first: no database"),
        ("many errors on many pages", |state| {
            state.page = 7;
            for second in 1..=40 { state.logging.entries.push(logging::entry(OWN, &in_span(second), "ERROR", &format!("case {second}"))); }
        }, 1, "logs", "fail", "40 errors in"),
        ("entries of another revision alone", |state| state.logging.entries.retain(|entry| entry["resource"]["labels"]["revision_name"] != OWN), 3, "logs", "error", "no data: there is no entry of the revision"),
        ("a filter that is not kept to", |state| fault(state, "POST", "/v2/entries:list", Act::Page(r#"{"entries":[{"severity":"ERROR","textPayload":"x","resource":{"labels":{"revision_name":"emergence-app-00039-old"}}}]}"#)), 3, "logs", "error", "an entry is not of emergence-app-00041-old, which alone was asked for"),
        ("only the gate's own errors", |state| state.logging.entries.push(logging::request(OWN, &in_span(60), "ERROR", "canary-gate/0.0.0", 503)), 0, "logs", "pass", "no error in 5m"),
        ("an error of a request by another", |state| state.logging.entries.push(logging::request(OWN, &in_span(60), "ERROR", "Mozilla/5.0 canary-gate/1", 503)), 1, "logs", "fail", "GET https://app.example/api/items: 503"),
        ("a page that names itself", |state| fault(state, "POST", "/v2/entries:list", Act::Page(r#"{"nextPageToken":"again"}"#)), 3, "logs", "error", "names itself as the next one"),
        ("no permission for logs", |state| denied(state, "POST", "/v2/entries:list"), 3, "logs", "error", "grant roles/logging.viewer to"),
        ("logging is busy at first", |state| {
            let act = Act::Reply { status: 429, name: "RESOURCE_EXHAUSTED", reason: "RATE_LIMIT_EXCEEDED", retry_after: "1" };
            state.faults.push(Fault { times: 1, ..Fault::first("POST", "/v2/entries:list", act) });
        }, 0, "logs", "pass", "no error"),
        ("logging asks to wait too long", |state| fault(state, "POST", "/v2/entries:list", Act::Reply { status: 429, name: "RESOURCE_EXHAUSTED", reason: "", retry_after: "3600" }), 3, "logs", "error", "the server asks to wait 1h"),
        ("logging hangs", |state| fault(state, "POST", "/v2/entries:list", Act::Hang), 3, "logs", "error", "no data: Cloud Logging"),
        ("an expired token", |state| state.faults.push(Fault { times: 1, ..Fault::first("POST", "/v2/entries:list", Act::Reply { status: 401, name: "UNAUTHENTICATED", reason: "", retry_after: "" }) }), 0, "logs", "pass", "no error"),
        ("too many errors", |state| values(state, "response_code_class", Answer::Value("0.0101")), 1, "errors", "fail", "1.01 %, want <= 1 %"),
        ("at the limit", |state| values(state, "response_code_class", Answer::Value("0.01")), 0, "errors", "pass", "1 %, want <= 1 %"),
        ("slow", |state| values(state, "request_latencies", Answer::Value("2000.5")), 1, "latency", "fail", "want <= 2s"),
        ("out of memory soon", |state| values(state, "memory", Answer::Value("0.93")), 1, "memory", "fail", "93 %, want <= 80 %"),
        ("slow starts", |state| values(state, "startup_latencies", Answer::Value("12000")), 1, "cold-start", "fail", "12s, want <= 10s"),
        ("quick starts", |state| values(state, "startup_latencies", Answer::Value("1200")), 0, "cold-start", "pass", "1s 200ms, want <= 10s"),
        ("a start that is NaN", |state| values(state, "startup_latencies", Answer::Value("NaN")), 0, "cold-start", "pass", "no data: the value is NaN"),
        ("an empty answer", |state| values(state, "request_latencies", Answer::Empty), 3, "latency", "error", "no data: Cloud Monitoring has no value"),
        ("NaN", |state| values(state, "response_code_class", Answer::Value("NaN")), 3, "errors", "error", "the value is NaN"),
        ("a value below 0", |state| values(state, "response_code_class", Answer::Value("-0.5")), 3, "errors", "error", "nothing that is counted is below 0"),
        ("counts without an end", |state| state.monitoring = Values { values: vec![("request_count", Answer::Value("+Inf"))] }, 0, "latency", "warn", "+Inf requests"),
        ("an error that does not say whose it is", |state| fault(state, "POST", "/v2/entries:list", Act::Page(r#"{"entries":[{"severity":"ERROR","textPayload":"x"}]}"#)), 3, "logs", "error", "which alone was asked for"),
        ("a warning beside the value", |state| values(state, "request_latencies", Answer::Warned("1")), 3, "latency", "error", "comes with a warning"),
        ("two values", |state| values(state, "memory", Answer::Several), 3, "memory", "error", "2 values, where one was asked for"),
        ("a page", |state| values(state, "request_latencies", Answer::Html), 3, "latency", "error", "no JSON of its kind"),
        ("another kind of answer", |state| values(state, "request_latencies", Answer::Matrix), 3, "latency", "error", "not an instant vector"),
        ("a part only", |state| fault(state, "POST", "/api/v1/query", Act::Page(r#"{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[]}}"#)), 3, "latency", "error", "a part of its storage"),
        ("an old value", |state| fault(state, "POST", "/api/v1/query", Act::Page(r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1000,"400"]}]}}"#)), 3, "latency", "error", "before the time that it is asked for"),
        ("too little traffic", |state| state.monitoring = Values { values: vec![("request_count", Answer::Value("19.4"))] }, 0, "errors", "warn", "no data: 19.4 requests in 5m, want at least 20"),
        ("too little traffic for memory", |state| values(state, "sum(increase(run_googleapis_com:request_count", Answer::Value("3")), 0, "memory", "warn", "3 requests in 5m"),
        ("counts that are NaN", |state| state.monitoring = Values { values: vec![("request_count", Answer::Value("NaN"))] }, 0, "latency", "warn", "NaN requests"),
        ("no count at all", |state| state.monitoring = Values { values: vec![] }, 0, "errors", "warn", "counts no request of the span"),
        ("no permission is not the same as no start", |state| denied(state, "POST", "/api/v1/query"), 3, "cold-start", "error", "grant roles/monitoring.viewer to"),
        ("no permission for values", |state| denied(state, "POST", "/api/v1/query"), 3, "errors", "error", "grant roles/monitoring.viewer to"),
        ("no permission for Cloud Run", |state| denied(state, "GET", "/v2/"), 3, "traffic", "error", "grant roles/run.viewer to"),
        ("no permission for Cloud Run, and logs are seen", |state| denied(state, "GET", "/v2/"), 3, "logs", "pass", "no error"),
        ("no permission for Cloud Deploy", |state| denied(state, "GET", "/v1/projects/emergence-469005/locations/europe-west1/deliveryPipelines"), 3, "traffic", "error", "grant roles/clouddeploy.viewer to"),
        ("an API that is switched off", |state| fault(state, "POST", "/api/v1/query", Act::Reply { status: 403, name: "PERMISSION_DENIED", reason: "SERVICE_DISABLED", retry_after: "" }), 3, "errors", "error", "SERVICE_DISABLED"),
        ("no rollout succeeded", |state| state.resources.get_mut(&deploy::rollout_of(deploy::STABLE_RELEASE)).unwrap()["state"] = json!("FAILED"), 3, "traffic", "error", "no rollout to the target emergence-run has succeeded"),
        ("who put the traffic there is not told", |state| state.resources.get_mut(&deploy::rollout_of(deploy::STABLE_RELEASE)).unwrap()["metadata"] = json!({}), 3, "pin", "error", "names no revision of the rollout"),
        ("a rollout without a revision", |state| state.resources.get_mut(&deploy::rollout_of(deploy::STABLE_RELEASE)).unwrap()["metadata"] = json!({}), 3, "traffic", "error", "names no revision of the rollout"),
    ];
    each(cases, |(name, change, code, row, status, piece)| {
        let application = application();
        let mut state = world(&application);
        change(&mut state);
        let cloud = state.serve();
        let ran = audit(&cloud).run();
        if ran.code == -1 || ran.report.is_null() {
            return Err(format!("{name}: no report: {}", shown(&ran)));
        }
        let found = (ran.code, ran.status(row), ran.detail(row).contains(piece));
        if found != (*code, *status, true) {
            return Err(format!("{name}: {found:?}, want {code} {row} {status} {piece:?}:\n{}", shown(&ran)));
        }
        if ran.everything().contains(ACCESS) || ran.everything().contains("s3cret-query") {
            return Err(format!("{name}: a secret is shown:\n{}", shown(&ran)));
        }
        if !cloud.state().changes.is_empty() {
            return Err(format!("{name}: {:?} was changed", cloud.state().changes));
        }
        Ok(())
    });
}

/// The application with other metrics; `edit` is given their text and the number of the scrape, counted from 1.
fn exposing(edit: fn(&str, u64) -> String) -> Canary {
    let scrapes = AtomicU64::new(0);
    Canary::start(Arc::new(move |request: &Request| {
        if request.path != "/api/metrics" {
            return answer_with(request, &Traffic::default());
        }
        let scrape = scrapes.fetch_add(1, Ordering::SeqCst) + 1;
        let text = metrics(&Traffic { cache_hits: 90 + scrape, ..Traffic::default() });
        Reply::new(200, crate::canary::app::TEXT, edit(&text, scrape))
    }))
}

type Exposed = (&'static str, fn(&str, u64) -> String, &'static str, i32, &'static str, &'static str);

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn what_is_exposed_is_looked_at_twice() {
    fn frozen(text: &str, _: u64) -> String {
        let lines = text.lines().map(|line| match line.split_once("cache_hits_total ") {
            Some((before, value)) if !before.starts_with('#') && value.parse::<f64>().is_ok() => {
                format!("{before}cache_hits_total 90")
            }
            _ => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n") + "\n"
    }
    fn instance(text: &str, scrape: u64) -> String {
        format!("{text}# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {scrape}\n")
    }
    fn falling(text: &str, scrape: u64) -> String {
        let line = "memory_analysis_cache_misses_total";
        text.replace(&format!("{line} 10"), &format!("{line} {}", 10 - scrape.min(9)))
    }
    let cases: &[Exposed] = &[
        (
            "a family is gone",
            |text, _| text.replace("concept_recall_system_info", "other"),
            "",
            1,
            "fail",
            "1 family is not exposed: concept_recall_system_info",
        ),
        (
            "a histogram whose count is not its buckets'",
            |text, _| {
                text.replace("concept_recall_similarity_score_count 3", "concept_recall_similarity_score_count 4")
            },
            "",
            1,
            "fail",
            "concept_recall_similarity_score is malformed: _count is 4",
        ),
        (
            "a histogram whose buckets fall",
            |text, _| text.replace("score_bucket{le=\"1\"} 3", "score_bucket{le=\"1\"} 9"),
            "",
            1,
            "fail",
            "and the one below it 9",
        ),
        (
            "a histogram without its last bucket",
            |text, _| text.replace("concept_recall_similarity_score_bucket{le=\"+Inf\"} 3\n", ""),
            "",
            1,
            "fail",
            "le=\"+Inf\" is missing",
        ),
        (
            "a counter that must move does not",
            |text, _| text.to_owned(),
            "moving: [memory_analysis_success_total]",
            1,
            "fail",
            "memory_analysis_success_total did not move in 20ms",
        ),
        (
            "a counter that must move does",
            |text, _| text.to_owned(),
            "moving: [memory_analysis_cache_hits_total]",
            0,
            "pass",
            "1 counter moved",
        ),
        (
            "a counter that must move is not there",
            |text, _| text.to_owned(),
            "moving: [requests_total]",
            1,
            "fail",
            "requests_total, which must move",
        ),
        ("nothing moves", frozen, "", 0, "warn", "none of their counters moved in 20ms; no other did"),
        ("nothing moves, and it has to", frozen, "on_no_data: error", 3, "error", "none of their counters moved"),
        (
            "others move",
            |text, scrape| format!("{}# TYPE cpu_total counter\ncpu_total {scrape}\n", frozen(text, scrape)),
            "",
            0,
            "warn",
            "others did: nobody used",
        ),
        (
            "a counter goes down",
            |text, scrape| instance(&falling(text, scrape), 1),
            "",
            1,
            "fail",
            "memory_analysis_cache_misses_total went down between two scrapes of one instance",
        ),
        (
            "a counter goes down, of whatever instance",
            falling,
            "",
            3,
            "error",
            "nothing that is exposed tells whether another instance answered",
        ),
        ("another instance each time", instance, "", 3, "error", "none of them twice"),
        ("two instances in turn", |text, scrape| instance(text, scrape % 2), "", 0, "pass", "1 counter moved"),
        ("a page", |_, _| "<html></html>".into(), "", 1, "fail", "malformed"),
        ("nothing", |_, _| String::new(), "families: []", 1, "fail", "holds no sample"),
        ("no families are named", |text, _| text.to_owned(), "families: null", 0, "pass", "3 families exposed"),
    ];
    each(cases, |(name, edit, keys, code, status, piece)| {
        let application = exposing(*edit);
        let cloud = world(&application).serve();
        let mut gate = audit(&cloud);
        let keys = if keys.is_empty() { String::new() } else { format!(", {keys}") };
        gate.file("checks.yaml", CHECKS.replace("interval: 20ms", &format!("interval: 20ms{keys}")));
        let ran = gate.run();
        let found = (ran.code, ran.status("metrics"), ran.detail("metrics").contains(piece));
        if found == (*code, *status, true) {
            Ok(())
        } else {
            Err(format!("{name}: {found:?}, want {piece:?}:\n{}", shown(&ran)))
        }
    });
}

#[test]
fn a_kind_of_error_is_new_where_the_revision_before_did_not_have_it() {
    let application = application();
    let before = |seconds: u64| at(SystemTime::now() - AGO - Duration::from_secs(seconds));
    let mut state = world(&application);
    state.logging.entries.extend([
        logging::entry(OWN, &in_span(60), "ERROR", "user 4711 has no plan"),
        logging::entry(OWN, &in_span(61), "ERROR", "no database at 10.0.0.7:5432"),
        logging::entry(BEFORE, &before(60), "ERROR", "user 17 has no plan"),
    ]);
    let cloud = state.serve();
    let ran = audit(&cloud).run();
    assert_eq!((ran.code, ran.status("logs"), ran.status("new-errors")), (1, "fail", "warn"), "{}", shown(&ran));
    let said = ran.detail("new-errors");
    assert!(
        said.contains("1 kind of errors that emergence-app-00040-old did not have")
            && said.contains("no database at 10.0.0.7"),
        "{said}"
    );
    // The same kinds are not new.
    let mut state = world(&application);
    state.logging.entries.extend([
        logging::entry(OWN, &in_span(60), "ERROR", "user 4711 has no plan"),
        logging::entry(BEFORE, &before(60), "ERROR", "user 17 has no plan"),
    ]);
    let cloud = state.serve();
    let ran = audit(&cloud).run();
    assert_eq!((ran.status("logs"), ran.status("new-errors")), ("fail", "pass"), "{}", shown(&ran));
}

/// The cloud after a deploy that ended so long ago that logs and values can be seen in a moment, and not yet.
fn fresh(application: &Canary, left: Duration) -> (Cloud, String) {
    let mut state = world(application);
    let since = SystemTime::now() - Duration::from_mins(3) + left;
    let rollout = state.resources.get_mut(&deploy::rollout_of(deploy::STABLE_RELEASE)).unwrap();
    rollout["deployEndTime"] = json!(at(since));
    state.logging.entries = vec![logging::entry(OWN, &at(since + Duration::from_secs(1)), "INFO", "started")];
    (state.serve(), CHECKS.replace("audit:\n", "audit:\n  span: 2m\n  lag: 1m\n"))
}

#[test]
fn what_cannot_be_seen_yet_is_waited_for_or_no_data() {
    let application = application();
    let (cloud, checks) = fresh(&application, Duration::from_mins(1));
    let mut gate = audit(&cloud);
    gate.file("checks.yaml", &checks);
    let ran = gate.run();
    assert_eq!(ran.code, 3, "{}", shown(&ran));
    for row in ["logs", "errors", "latency", "memory", "cold-start"] {
        assert_eq!(ran.status(row), "error", "{row}");
        assert!(ran.detail(row).contains("run it again then, or with --wait"), "{}", ran.detail(row));
    }
    // Longer than there is time: it is said at once.
    let mut gate = audit(&cloud).args(["--wait", "--timeout", "20s"]);
    gate.file("checks.yaml", &checks);
    let began = Instant::now();
    let ran = gate.run();
    assert!(ran.code == 3 && ran.detail("logs").contains("and --timeout leaves"), "{}", shown(&ran));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let (cloud, checks) = fresh(&application, Duration::from_secs(2));
    let mut gate = audit(&cloud).args(["--wait"]);
    gate.file("checks.yaml", &checks);
    let ran = gate.run();
    assert_eq!((ran.code, ran.status("logs"), ran.status("latency")), (0, "pass", "pass"), "{}", shown(&ran));
}

#[test]
fn an_interrupted_audit_says_what_it_has_and_proves_nothing() {
    let application = application();
    let (cloud, checks) = fresh(&application, Duration::from_mins(1));
    let mut gate = audit(&cloud).args(["--wait"]);
    gate.file("checks.yaml", &checks);
    let ran = gate.run_until("metrics: pass", "-TERM");
    assert_eq!((ran.code, ran.status("traffic"), ran.status("logs")), (3, "pass", "error"), "{}", shown(&ran));
    assert_eq!(ran.report["cause"], "interrupted by SIGTERM");
}

const OLD: [&str; 3] = ["emergence-app-00036-old", "emergence-app-00037-old", "emergence-app-00038-old"];

type Deletion = (&'static str, Change, &'static [&'static str], i32, &'static str, &'static [&'static str]);

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn old_revisions_are_deleted_when_it_is_said_and_never_one_of_use() {
    let all: &[&str] = &["--delete-old", "--yes"];
    let cases: &[Deletion] = &[
        ("shown", |_| {}, &["--delete-old"], 1, "5 revisions kept, want at most 3; --yes would delete 2", &[]),
        ("deleted", |_| {}, all, 0, "2 deleted, 3 revisions kept", &[OLD[0], OLD[1]]),
        (
            "few enough",
            |state| {
                for name in OLD {
                    state.resources.remove(&revision(name));
                }
            },
            all,
            0,
            "2 revisions kept",
            &[],
        ),
        (
            "an old one has a tag",
            |state| serving(state, json!([entry(OWN, 100, ""), entry(OLD[0], 0, "prior")])),
            all,
            0,
            "2 deleted",
            &[OLD[1], OLD[2]],
        ),
        (
            "an old one is the newest ready one",
            |state| state.resources.get_mut(&service()).unwrap()["latestReadyRevision"] = json!(revision(OLD[0])),
            all,
            0,
            "2 deleted",
            &[OLD[1], OLD[2]],
        ),
        (
            "the one before is old",
            |state| {
                state.resources.get_mut(&deploy::rollout_of(deploy::STABLE_RELEASE)).unwrap()["metadata"]["cloudRun"]
                    ["previousRevision"] = json!(revision(OLD[0]));
            },
            all,
            0,
            "2 deleted",
            &[OLD[1], OLD[2]],
        ),
        (
            "the traffic is elsewhere",
            |state| serving(state, json!([entry(BEFORE, 100, "")])),
            all,
            1,
            "none is deleted: the traffic is not on the release's",
            &[],
        ),
        (
            "the one before is not known",
            |state| {
                state.resources.get_mut(&deploy::rollout_of(deploy::STABLE_RELEASE)).unwrap()["metadata"]["cloudRun"]
                    .as_object_mut()
                    .unwrap()
                    .remove("previousRevision");
            },
            all,
            1,
            "none is deleted: which revision a rollback would go back to",
            &[],
        ),
        (
            "changed meanwhile",
            |state| {
                let act = Act::Meanwhile(|state| {
                    state.resources.get_mut(&revision(OLD[0])).unwrap()["etag"] = json!("\"another\"");
                });
                state.faults.push(Fault::first("DELETE", "/revisions/", act));
            },
            all,
            1,
            "somebody changed it meanwhile",
            &[OLD[0]],
        ),
        (
            "serves meanwhile",
            |state| {
                let act =
                    Act::Meanwhile(|state| serving(state, json!([entry(OWN, 100, ""), entry(OLD[0], 0, "debug")])));
                // The second of these requests is for the list: the service has been read before it.
                state.faults.push(Fault {
                    method: "GET",
                    path: "/services/emergence-app/revisions",
                    after: 1,
                    times: 1,
                    act,
                });
            },
            all,
            1,
            "it serves, or has a tag, by now",
            &[],
        ),
        (
            "the answer is lost",
            |state| state.faults.push(Fault::first("DELETE", "/revisions/", Act::Lose)),
            all,
            0,
            "2 deleted, 3 revisions kept",
            &[OLD[0], OLD[1]],
        ),
        (
            "the connection ends",
            |state| state.faults.push(Fault::first("DELETE", "/revisions/", Act::Close)),
            all,
            1,
            "it is still there",
            &[],
        ),
        ("no permission", |state| denied(state, "DELETE", "/revisions/"), all, 1, "grant roles/run.developer", &[]),
    ];
    each(cases, |(name, change, args, code, piece, gone)| {
        let application = application();
        let mut state = world(&application);
        more_revisions(&mut state, &OLD);
        change(&mut state);
        let cloud = state.serve();
        let ran = audit(&cloud).args(args.iter().copied()).run();
        let state = cloud.state();
        let asked: Vec<&str> =
            state.changes.iter().filter_map(|change| change.split('?').next()?.rsplit('/').next()).collect();
        let has = |name: &str| state.resources.contains_key(&revision(name));
        let is_told = ran.detail("revisions").contains(piece) || ran.stdout.contains(piece);
        let is_changed = *name == "changed meanwhile";
        if ran.code == *code
            && is_told
            && (asked == *gone || gone.is_empty() && asked.len() <= 1)
            && (is_changed || gone.iter().all(|name| !has(name)))
            && has(OWN)
            && has(BEFORE)
        {
            return Ok(());
        }
        Err(format!(
            "{name}: exit {}, want {code} with {piece:?}, {asked:?} of {gone:?} asked for:\n{}",
            ran.code,
            shown(&ran)
        ))
    });
}

#[test]
fn a_record_is_there_and_tells_of_a_good_end() {
    let application = application();
    let cloud = world(&application).serve();
    let cases: [(&str, i32, &str, &str); 4] = [
        (
            "---\ndate: 2026-11-27\nverdict: pass\nrevision: emergence-app-00041-old\n---\n# x\n",
            0,
            "pass",
            "is the newest record of release-41",
        ),
        ("---\ndate: 2026-11-27\nverdict: fail\nrelease: release-41\n---\n# x\n", 1, "fail", "tells of a failure"),
        (
            "---\ndate: 2026-11-27\nverdict: pass\nrelease: release-40\n---\n# x\n",
            1,
            "fail",
            "none of 1 record is of release-41",
        ),
        ("---\ndate: never\n---\n# x\n", 3, "error", "files that cannot be read: record.md"),
    ];
    for (text, code, status, piece) in cases {
        let mut gate = audit(&cloud).args(["--records", "records", "--report", "markdown=records/"]);
        std::fs::create_dir(gate.folder().join("records")).unwrap();
        gate.file("records/record.md", text);
        let ran = gate.run();
        assert_eq!((ran.code, ran.status("record")), (code, status), "{}", shown(&ran));
        assert!(ran.detail("record").contains(piece), "{}", ran.detail("record"));
    }
}

#[test]
fn without_a_pipeline_the_revision_is_named_and_a_pin_is_one() {
    let application = application();
    let cloud = world(&application).serve();
    let by_hand = |revision: &str| {
        let mut gate = Gate::new().args([
            "audit",
            "--checks",
            "checks.yaml",
            "--report",
            "json=report.json",
            "--service",
            SERVICE,
            "--patience",
            "2s",
            "--revision",
            revision,
        ]);
        gate.file("checks.yaml", CHECKS);
        cloud.environment().into_iter().fold(gate, |gate, (name, value)| gate.env(name, &value))
    };
    let ran = by_hand(OWN).run();
    assert_eq!((ran.code, ran.status("traffic"), ran.status("pin")), (1, "pass", "fail"), "{}", shown(&ran));
    assert!(
        ran.detail("pin").contains("gcloud run services update-traffic emergence-app --to-latest"),
        "{}",
        ran.detail("pin")
    );
    assert!(ran.detail("tags").contains("1 tag, none of them stale"), "{}", ran.detail("tags"));
    let ran = by_hand("emergence-app-00099-no").run();
    assert_eq!((ran.code, ran.status("traffic"), ran.status("startup-probe")), (1, "fail", "fail"), "{}", shown(&ran));
    // In the environment of a rollout, what it says is held against the rollout.
    let ran = audit(&cloud).env("CLOUD_RUN_REVISION", BEFORE).run();
    assert!(
        ran.detail("traffic").contains("deployed emergence-app-00041-old, not emergence-app-00040-old"),
        "{}",
        shown(&ran)
    );
    let ran = audit(&cloud)
        .env("CLOUD_DEPLOY_RELEASE", deploy::STABLE_RELEASE)
        .env("CLOUD_DEPLOY_ROLLOUT", &deploy::rollout_of(deploy::STABLE_RELEASE))
        .run();
    assert_eq!(ran.code, 0, "{}", shown(&ran));
    assert!(
        cloud
            .server
            .seen()
            .iter()
            .any(|request| request.path == format!("/v1/{}", deploy::rollout_of(deploy::STABLE_RELEASE)))
    );
}

#[test]
fn what_cannot_be_audited_is_refused_before_any_request() {
    let application = application();
    let cloud = world(&application).serve();
    let asked = cloud.server.seen().len();
    let cases: &[(&[&str], &str, &str)] = &[
        (&["--yes"], "", "--yes says yes to --delete-old"),
        (&["--timeout", "soon"], "", "--timeout: \"soon\" is not a duration"),
        (&["--patience", "0s"], "", "--patience"),
        (&["--service", "Ünknown"], "", "service"),
        (&["--report", "evidence=x"], "", "evidence is of a run of verify"),
        (&["--records", "nowhere"], "", "nowhere"),
        (&["--release", "a/../b?"], "", "release"),
        (&[], "audit: {span: 30s}\n", "audit.span is 30s; want 2m to 1h [duration]"),
        (&[], "audit: {errors: {limit: 2}}\n", "audit.errors.limit is 2; want a share from 0 to 1"),
        (&[], "audit: {revisions: {max: 0}}\n", "audit.revisions.max is 0"),
        (&[], "audit: {latencies: {}}\n", "did you mean \"latency\""),
        (&[], "audit: {logs: {on_no_data: fail}}\n", "unknown-value"),
    ];
    for (args, checks, piece) in cases {
        let mut gate = audit(&cloud);
        if !checks.is_empty() {
            gate.file("checks.yaml", checks);
        }
        let ran = gate.args(args.iter().copied()).run();
        assert_eq!(ran.code, 2, "{args:?} {checks}: {}", shown(&ran));
        assert!(ran.stderr.contains(piece), "{args:?} {checks}: {}", ran.stderr);
    }
    let mut none = Gate::new().args(["audit", "--service", SERVICE]);
    none = cloud.environment().into_iter().fold(none, |gate, (name, value)| gate.env(name, &value));
    let ran = none.run();
    assert!(ran.code == 2 && ran.stderr.contains("pass --revision, or --pipeline and --target"), "{}", shown(&ran));
    assert_eq!(cloud.server.seen().len(), asked);
}

#[test]
fn every_report_has_the_rows() {
    let application = application();
    let cloud = world(&application).serve();
    let formats = ["junit=a.xml", "markdown=a.md", "html=a.html", "tap=a.tap", "github=a.gh"];
    let mut gate = audit(&cloud);
    for format in formats {
        gate = gate.args(["--report", format]);
    }
    let folder = gate.folder().to_owned();
    let (ran, texts) = {
        let kept: Vec<std::path::PathBuf> =
            formats.iter().map(|format| folder.join(format.split_once('=').unwrap().1)).collect();
        let output = gate.command().output().unwrap();
        let ran = gate.ran(&output);
        (ran, kept.into_iter().map(|path| std::fs::read_to_string(path).unwrap()).collect::<Vec<_>>())
    };
    assert_eq!(ran.code, 0, "{}", shown(&ran));
    for text in &texts[..4] {
        for row in ROWS {
            assert!(text.contains(row), "{row} is not in {text}");
        }
    }
    assert!(texts[1].contains("the deployment is as it should be"), "{}", texts[1]);
}
