//! `canary-gate drill`: which faults the gate catches, and what nothing catches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::bounds::authority;
use crate::canary::server::{Reply, Start};
use crate::canary::{Canary, Fault, Request, app};
use crate::gate::{Gate, Ran};

/// A drill of a service, with a JSON report.
fn drill(url: &str, checks: &str) -> Gate {
    let mut gate = Gate::new();
    gate.file("checks.yaml", checks);
    gate.args(["drill", "--url", url, "--checks", "checks.yaml", "--report", "json=report.json"])
}

fn only(gate: Gate, faults: &[&'static str]) -> Gate {
    gate.args(faults.iter().flat_map(|fault| ["--only", fault]))
}

/// What became of each fault.
fn results(ran: &Ran) -> BTreeMap<String, String> {
    let faults = ran.report["faults"].as_array().unwrap_or_else(|| panic!("no report: {}", ran.stderr));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    faults.iter().map(|fault| (text(&fault["name"]), text(&fault["result"]))).collect()
}

fn detail(ran: &Ran, list: &str, name: &str) -> String {
    let entries = ran.report[list].as_array().unwrap();
    let entry =
        entries.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("no {name}: {}", ran.stdout));
    format!("{}: {}", entry["result"].as_str().unwrap_or_default(), entry["detail"].as_str().unwrap_or_default())
}

fn named<'r>(results: &'r BTreeMap<String, String>, result: &str) -> Vec<&'r str> {
    results.iter().filter(|(_, own)| *own == result).map(|(name, _)| &**name).collect()
}

#[test]
fn the_default_plan_catches_the_faults_of_the_sample() {
    let ran = Gate::new().args(["drill", "--quiet", "--report", "json=report.json"]).run();
    let results = results(&ran);
    let caught = named(&results, "caught");
    assert!(caught.len() >= 23, "{}", ran.stdout);
    assert_eq!(named(&results, "missed"), [""; 0], "{}", ran.stdout);
    assert_eq!(named(&results, "warned"), ["page-assets-elsewhere"], "{}", ran.stdout);
    assert_eq!(named(&results, "unclear"), [""; 0], "{}", ran.stdout);
    assert!(named(&results, "left_out").contains(&"traffic-errors"), "{}", ran.stdout);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    for check in ran.report["checks"].as_array().unwrap() {
        assert_eq!(check["vacuous"], false, "{check}");
    }
    for threshold in ran.report["thresholds"].as_array().unwrap() {
        assert_eq!(threshold["result"], "can_fail", "{threshold}");
    }
}

#[test]
fn what_nothing_catches_is_named() {
    let mut gate = Gate::new().args(["drill", "--quiet", "--checks", "checks.yaml", "--only", "readiness-page"]);
    gate = gate.args(["--report", "json=report.json", "--report", "junit=junit.xml", "--report", "markdown=drill.md"]);
    gate.file("checks.yaml", "readiness: {expect: {headers: {content-type: .*}}}\n");
    let folder = gate.folder().to_owned();
    // The files are read before the folder goes.
    let output = gate.command().output().unwrap();
    let ran = gate.ran(&output);
    // Whatever its kind, an answer of 200 is all that this plan asks of readiness.
    assert_eq!(named(&results(&ran), "missed"), ["readiness-page"], "{}", ran.stdout);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stdout.contains("MISSED    readiness-page") && ran.stderr.is_empty(), "{}{}", ran.stdout, ran.stderr);
    let junit = std::fs::read_to_string(folder.join("junit.xml")).unwrap();
    assert!(
        junit.contains("<testcase name=\"readiness-page\" classname=\"faults\"") && junit.contains("failures=\"1\""),
        "{junit}"
    );
    let markdown = std::fs::read_to_string(folder.join("drill.md")).unwrap();
    assert!(markdown.contains("| MISSED | `readiness-page` | answers its page"), "{markdown}");
}

#[test]
fn nothing_but_get_reaches_a_service_and_all_of_it_is_its_own() {
    let canary = Fault::named("none").unwrap().start();
    let checks = "
readiness: {expect: {headers: {content-type: application/json.*}}}
smoke: {min_assets: 1}
http: [{name: create, path: /api/items, method: POST}, {name: items, path: /api/items, expect: {json: [{path: '$.items[0].id', equals: 1}]}}]
traffic: {enabled: true, requests: [{path: /api/items, method: POST, repeatable: true}]}
";
    let ran = drill(&canary.url(), checks).run();
    let results = results(&ran);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!((named(&results, "missed"), named(&results, "warned")), (vec![], vec![]), "{}", ran.stdout);
    assert_eq!(results["http-page"], "caught", "{}", ran.stdout);
    assert!(ran.stdout.contains("the check create is left out: it sends POST"), "{}", ran.stdout);
    assert!(ran.stdout.contains("1 request of the check traffic left out"), "{}", ran.stdout);
    let seen = canary.seen();
    assert_eq!(ran.report["requests"], seen.len(), "{}", ran.stdout);
    assert!(seen.len() < 500, "{} requests", seen.len());
    for request in &seen {
        assert!(request.method == "GET" && request.body.is_empty(), "{request:?}");
        assert_eq!(request.headers["host"], canary.url().trim_start_matches("http://"), "{request:?}");
        assert!(!request.headers.contains_key("x-canary-gate-drill"), "{request:?}");
    }
}

#[test]
fn a_threshold_that_cannot_fail_is_named() {
    let canary = Fault::named("none").unwrap().start();
    let checks = "
metrics:
  require: []
  thresholds:
    - {name: misspelt, expr: (sum(memory_analysis_failures_total) or vector(0)) <= 2, on_no_data: pass}
    - {name: a label that is not there, expr: '(sum(memory_analysis_failure_total{vendor=\"openai\"}) or vector(0)) <= 2', on_no_data: pass}
    - {name: always, expr: sum(memory_analysis_cache_hits_total) >= 0}
    - {name: counted, expr: count(memory_analysis_cache_size) >= 1}
    - {name: failures, expr: (sum(memory_analysis_failure_total) or vector(0)) <= 2}
    - {name: an error that never was, expr: '(sum(memory_analysis_failure_total{error_type=\"quota\"}) or vector(0)) <= 2'}
    - {name: duration, expr: 'histogram_quantile(0.95, sum by (le) (memory_analysis_duration_seconds_bucket)) < 3'}
    - {name: size, expr: memory_analysis_cache_size != 7, severity: warn}
http: [{name: any, path: /api/items, expect: {status: [200, 404, 500]}}]
";
    let ran = only(drill(&canary.url(), checks), &["metrics-empty", "http-404", "http-500"]).run();
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    for (name, wanted) in [
        ("misspelt", "vacuous: it reads nothing that the service exposes"),
        ("a label that is not there", "vacuous: it reads nothing"),
        ("always", "vacuous: it holds in "),
        ("counted", "can_fail: it counts series; without them: no data"),
        ("failures", "can_fail: memory_analysis_failure_total high: 1000000000000, want <= 2"),
        ("an error that never was", "can_fail: memory_analysis_failure_total high: 1000000000000, want <= 2"),
        ("duration", "can_fail: memory_analysis_duration_seconds_bucket high: "),
        ("size", "can_fail: memory_analysis_cache_size at 7: "),
    ] {
        let detail = detail(&ran, "thresholds", name);
        assert!(detail.starts_with(wanted), "{name}: {detail}\n{}", ran.stdout);
    }
    let any = ran.report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "any").unwrap();
    assert_eq!((&any["vacuous"], &any["faults"]), (&true.into(), &2.into()), "{}", ran.stdout);
    assert!(ran.stdout.contains("VACUOUS    any: not well in 0 of 2 faults"), "{}", ran.stdout);
    assert!(ran.stdout.contains("(checks.yaml:5:30)"), "{}", ran.stdout);
}

#[test]
fn rates_over_a_window_can_fail_and_the_window_is_shorter() {
    let canary = Fault::named("none").unwrap().start();
    let checks = "
smoke: {enabled: false}
metrics:
  timeout: 40s
  window: 30s
  interval: 300ms
  require: []
  thresholds:
    - {name: errors, expr: 'sum(rate(memory_analysis_failure_total[900ms])) / sum(rate(memory_analysis_success_total[900ms])) < 0.01', on_no_data: pass}
    - {name: hits, expr: 'sum(rate(memory_analysis_cache_hits_total[900ms])) < 5'}
";
    let faults = ["metrics-over-limit", "metrics-nan", "metrics-restart"];
    let ran = only(drill(&canary.url(), checks), &faults).run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("metrics: a window of 1s 200ms instead of 30s"), "{}", ran.stdout);
    let results = results(&ran);
    assert_eq!(results["metrics-over-limit"], "caught", "{}", ran.stdout);
    assert!(matches!(&*results["metrics-restart"], "warned" | "caught"), "{}", ran.stdout);
    assert!(
        detail(&ran, "thresholds", "hits").starts_with("can_fail: memory_analysis_cache_hits_total high"),
        "{}",
        ran.stdout
    );
    assert!(detail(&ran, "thresholds", "errors").starts_with("can_fail: "), "{}", ran.stdout);
}

#[test]
fn what_does_not_apply_is_left_out() {
    let canary = Fault::named("root-404").unwrap().start();
    let gate = drill(&canary.url(), "smoke: {enabled: false}\nmetrics: {enabled: false}");
    let ran = only(gate, &["page-500", "script-404", "metrics-nan", "traffic-slower", "health-500"]).run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let results = results(&ran);
    assert_eq!(named(&results, "left_out"), ["metrics-nan", "page-500", "script-404", "traffic-slower"]);
    assert_eq!(detail(&ran, "faults", "page-500"), "left_out: the check smoke is not drilled");
    let gate = only(drill(&canary.url(), "smoke: {enabled: false}"), &["page-500"]);
    let mut gate = gate.args(["--report", "junit=junit.xml"]);
    let folder = gate.folder().to_owned();
    let output = gate.command().output().unwrap();
    let ran = gate.ran(&output);
    assert_eq!((ran.code, results["page-500"].as_str()), (3, "left_out"), "nothing was played: {}", ran.stdout);
    let junit = std::fs::read_to_string(folder.join("junit.xml")).unwrap();
    assert!(junit.contains("errors=\"1\"") && junit.contains("<error message=\"no fault was played\""), "{junit}");
}

#[test]
fn a_service_that_is_not_healthy_proves_nothing() {
    for (fault, why) in [
        ("health-degraded", "$.status is \"degraded\""),
        ("failures-3", "analysis failures: 3, want <= 2"),
        ("script-missing", "404, want 200"),
    ] {
        let canary = Fault::named(fault).unwrap().start();
        let checks = "health: {retries: 0}";
        let ran = drill(&canary.url(), checks).run();
        assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
        assert!(
            ran.stdout.contains("NO VERDICT: the service is not healthy without a fault") && ran.stdout.contains(why),
            "{}",
            ran.stdout
        );
        assert!(results(&ran).is_empty(), "{}", ran.stdout);
    }
    let ran = Gate::new().args(["drill", "--url", "http://127.0.0.1:1", "--timeout", "2s"]).run();
    assert!(ran.code == 3 && ran.stdout.contains("NO VERDICT"), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn what_the_service_does_meanwhile_is_not_the_faults_doing() {
    // It is well in the two runs without a fault, and then no more.
    let canary = Canary::start(Arc::new(|request: &Request| {
        if request.path == "/health/readiness" && request.before >= 2 {
            return Reply::json(500, "{}");
        }
        app::answer(request)
    }));
    let ran = only(drill(&canary.url(), "metrics: {enabled: false}"), &["readiness-page"]).run();
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert!(
        detail(&ran, "faults", "readiness-page").starts_with("unclear: the service itself did not answer as before"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("the service is not healthy after the last fault"), "{}", ran.stdout);
}

#[test]
fn a_revision_that_its_answers_tell_is_told_from_another() {
    let canary =
        Canary::start(Arc::new(|request: &Request| app::answer(request).header("X-Revision", "app-00042-abc")));
    let checks = "identity: {path: /, header: X-Revision}\nsmoke: {enabled: false}";
    let ran = only(drill(&canary.url(), checks), &["wrong-revision"]).run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let told = detail(&ran, "faults", "wrong-revision");
    assert!(told.contains("ready: GET /: the answer is of another-00001-abc, want app-00042-abc"), "{told}");
    assert_eq!(ran.report["requests"], canary.seen().len(), "{}", ran.stdout);
    let silent = Fault::named("none").unwrap().start();
    let ran = only(drill(&silent.url(), checks), &["wrong-revision"]).run();
    assert!(ran.code == 3 && ran.stdout.contains("the answer does not say which revision it is of"), "{}", ran.stdout);
}

#[test]
fn some_errors_in_the_traffic_are_seen() {
    let canary = Fault::named("none").unwrap().start();
    let checks = "
metrics: {enabled: false}
smoke: {enabled: false}
traffic:
  enabled: true
  requests: [{path: /api/items}]
  rate: 100/s
  duration: 4s
  warm_up: null
  max_lag: 1s
  limits: {errors: 0.01, p95: null, first_answer: null}
  thresholds:
    - {name: five hundreds, expr: '(sum(canary_gate_requests_total{code=~\"5..\"}) or vector(0)) < 3'}
    - {name: of nothing, expr: sum(canary_gate_requests_total) >= 0}
";
    let ran = only(drill(&canary.url(), checks), &["traffic-errors"]).run();
    assert_eq!(results(&ran)["traffic-errors"], "caught", "{}{}", ran.stdout, ran.stderr);
    assert!(
        detail(&ran, "thresholds", "five hundreds").starts_with("can_fail: canary_gate_requests_total high"),
        "{}",
        ran.stdout
    );
    assert!(detail(&ran, "thresholds", "of nothing").starts_with("vacuous"), "{}", ran.stdout);
}

#[test]
fn traffic_that_cannot_be_judged_leaves_the_other_faults_as_they_are() {
    let canary = Fault::named("none").unwrap().start();
    let checks = "
metrics: {enabled: false}
smoke: {enabled: false}
traffic: {enabled: true, requests: [{path: /api/nowhere}], rate: 20/s, duration: 1s, warm_up: null}
";
    let ran = only(drill(&canary.url(), checks), &["health-500", "traffic-errors"]).run();
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(results(&ran)["health-500"], "caught", "{}", ran.stdout);
    assert!(
        detail(&ran, "faults", "traffic-errors")
            .starts_with("unclear: the service is not healthy under the plan's traffic"),
        "{}",
        ran.stdout
    );
    let checks = ran.report["checks"].as_array().unwrap();
    assert!(checks.iter().any(|check| check["name"] == "health" && check["failed"] == 1), "{}", ran.stdout);
    assert!(ran.report["stopped"].is_null(), "{}", ran.stdout);
}

#[test]
fn a_private_service_is_asked_with_its_token_which_is_shown_nowhere() {
    const TOKEN: &str = "a-token-of-many-letters";
    let was_bare = Arc::new(AtomicBool::new(false));
    let bare = was_bare.clone();
    let canary = Canary::start(Arc::new(move |request: &Request| {
        if request.headers.get("authorization").map(String::as_str) != Some("Bearer a-token-of-many-letters") {
            bare.store(true, Ordering::SeqCst);
            return Reply::json(401, "{}");
        }
        match &*request.path {
            "/api/health" => Reply::json(200, &format!(r#"{{"status":"ok","echo":"{TOKEN}"}}"#)),
            _ => app::answer(request),
        }
    }));
    let checks = "headers: {Authorization: \"Bearer env:API_TOKEN\"}";
    let gate = only(drill(&canary.url(), checks), &["health-500", "health-degraded", "page-empty"]).args(["-v"]);
    let gate = gate.args(["--report", "junit=junit.xml", "--report", "markdown=drill.md"]).env("API_TOKEN", TOKEN);
    let folder = gate.folder().to_owned();
    let mut gate = gate;
    let output = gate.command().output().unwrap();
    let ran = gate.ran(&output);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(!was_bare.load(Ordering::SeqCst));
    let files = ["junit.xml", "drill.md"].map(|name| std::fs::read_to_string(folder.join(name)).unwrap());
    assert!(detail(&ran, "faults", "health-500").contains("***"), "{}", ran.stdout);
    assert!(!format!("{}{}", ran.everything(), files.concat()).contains(TOKEN), "{}", ran.stderr);
}

/// The page names its assets by the service's own address, which is https; the gate asks a port of this machine, in the clear.
#[test]
fn what_is_judged_is_the_services_own_address() {
    let authority = authority("localhost");
    let answer = |request: &Request| match &*request.path {
        "/" => {
            let host = &request.headers["host"];
            let page = app::page().replace("\"/assets/", &format!("\"https://{host}/assets/"));
            Reply::new(200, "text/html", page).header("Content-Security-Policy", "default-src 'self'")
        }
        _ => app::answer(request),
    };
    let start = Start { tls: Some(authority.server.clone()), ..Start::default() };
    let canary = Canary::start_with(Arc::new(answer), start);
    let url = canary.url().replace("127.0.0.1", "localhost");
    let mut gate = drill(&url, "smoke: {min_assets: 3}").args(["--ca-file", "ca.pem"]);
    gate.file("ca.pem", &authority.pem);
    let ran = only(gate, &["script-404", "style-page", "page-empty", "health-500"]).run();
    assert_eq!((ran.code, named(&results(&ran), "caught").len()), (0, 4), "{}{}", ran.stdout, ran.stderr);
    assert!(canary.seen().iter().all(|request| format!("https://{}", request.headers["host"]) == url));
    assert!(ran.stdout.starts_with(&format!("Drill of {url}\n")), "{}", ran.stdout);
}

#[test]
fn bodies_in_a_coding_are_passed_on_and_changed() {
    let canary = Fault::named("metrics-gzip").unwrap().start();
    let faults = ["metrics-nan", "metrics-coding", "metrics-cut", "metrics-broken-off", "metrics-stale"];
    let ran = only(drill(&canary.url(), "smoke: {enabled: false}"), &faults).run();
    assert_eq!((ran.code, named(&results(&ran), "caught").len()), (0, 5), "{}{}", ran.stdout, ran.stderr);
    let canary = Fault::named("metrics-openmetrics").unwrap().start();
    let faults = ["metrics-nan", "metrics-lost-family", "metrics-cut", "metrics-over-limit", "metrics-stale"];
    let ran = only(drill(&canary.url(), "smoke: {enabled: false}"), &faults).run();
    assert_eq!((ran.code, named(&results(&ran), "caught").len()), (0, 5), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn an_interrupted_drill_proves_nothing() {
    let canary = Fault::named("none").unwrap().start();
    let ran = drill(&canary.url(), "{}").run_until("1 of ", "-INT");
    assert_eq!(
        (ran.code, &ran.report["stopped"]),
        (3, &"interrupted by SIGINT".into()),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    assert!(ran.stdout.contains("NO VERDICT: interrupted by SIGINT"), "{}", ran.stdout);
}

#[test]
fn bad_input_is_named_before_any_request() {
    let canary = Fault::named("none").unwrap().start();
    let url = canary.url();
    for (args, wanted) in [
        (vec!["--only", "health-50"], "--only: there is no fault \"health-50\"; did you mean health-500?"),
        (vec!["--skip", "xyzzy"], "--skip: there is no fault \"xyzzy\"; --list names them all"),
        (vec!["--only", "health-500", "--skip", "health-500"], "leave no fault to be played"),
        (vec!["--report", "html=x.html"], "a drill is written as json, junit or markdown, and not as html"),
        (vec!["--report", "json=no/such/folder.json"], "cannot be written"),
        (vec!["--threshold", "sum(a"], "unexpected end"),
        (vec!["--timeout", "never"], "never"),
    ] {
        let ran = Gate::new().args(["drill", "--url", &url]).args(args.iter().copied()).run();
        assert!(ran.code == 2 && ran.stderr.contains(wanted), "{args:?}: {} {}{}", ran.code, ran.stdout, ran.stderr);
    }
    let ran = Gate::new().args(["drill", "--url", "ftp://x"]).run();
    assert!(ran.code == 2 && ran.stderr.contains("--url: the URL"), "{}", ran.stderr);
    assert!(canary.seen().is_empty());
    let ran = Gate::new().args(["drill", "--list"]).run();
    assert!(
        ran.code == 0 && ran.stdout.contains("health-degraded") && ran.stdout.lines().count() > 25,
        "{}",
        ran.stdout
    );
}
