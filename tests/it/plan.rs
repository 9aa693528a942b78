//! The plan from outside: what a checks file, flags and the environment change.

use std::sync::Arc;

use serde_json::json;

use crate::canary::app::answer;
use crate::canary::server::{Canary, Reply};
use crate::canary::{Fault, Request};
use crate::checks::Checks;
use crate::gate::Gate;

fn serve(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Canary {
    Canary::start(Arc::new(reply))
}

#[test]
fn the_default_printed_and_fed_back_changes_nothing() {
    let printed = Gate::new().args(["checks"]).run();
    assert_eq!(printed.code, 0);
    let canary = Fault::named("hit-rate-low").unwrap().start();
    let strip = |mut report: serde_json::Value| {
        report["started_at"].take();
        report["duration_ms"].take();
        for check in report["checks"].as_array_mut().unwrap() {
            check["duration_ms"].take();
            // Nobody can be pointed into the embedded default.
            check.as_object_mut().unwrap().remove("place");
            for seen in check["observations"].as_array_mut().unwrap() {
                seen.as_object_mut().unwrap().remove("place");
                // A command names the checks file, where there is one.
                seen.as_object_mut().unwrap().remove("reproduce");
            }
        }
        report
    };
    let with = Gate::verify(&canary.url(), &printed.stdout).run();
    let without = Gate::new().args(["verify", "--url", &canary.url(), "--report", "json=report.json"]).run();
    assert_eq!(strip(with.report), strip(without.report));
}

#[test]
fn checks_can_be_switched_off() {
    let canary = Fault::named("failures-3").unwrap().start();
    let ran = Gate::verify(&canary.url(), "metrics: {enabled: false}").run();
    assert_eq!((ran.code, ran.status("metrics")), (0, "skipped"), "{}", ran.stderr);
    assert_eq!(ran.detail("metrics"), "switched off in the checks file");
    assert!(!canary.seen().iter().any(|request| request.path == "/api/metrics"));
}

#[test]
fn a_failure_of_a_check_that_only_warns_passes_with_a_warning() {
    let canary = Fault::named("not-ready").unwrap().start();
    let ran = Gate::verify(&canary.url(), Checks::fast().set("readiness.severity", "warn")).run();
    assert_eq!((ran.code, ran.status("readiness")), (0, "warn"), "{}", ran.stderr);
    assert_eq!(ran.report["warnings"].as_array().unwrap().len(), 1);
    assert!(ran.stdout.contains("PASS in") && ran.stdout.contains("with 1 warning"));
}

#[test]
fn added_checks_send_what_they_say_and_want_what_they_say() {
    let canary = serve(|request| match &*request.path {
        "/api/echo" => {
            let sound = request.method == "POST"
                && request.body == b"{\"ping\":1}"
                && request.headers.get("x-team").is_some_and(|team| team == "blue")
                && request.query == "deep=1";
            let answer =
                Reply::json(if sound { 201 } else { 400 }, r#"{"pong":{"values":[1,{"name":"ada"}]},"none":null}"#);
            answer.header("X-Version", "v42")
        }
        _ => answer(request),
    });
    let checks = r#"
http:
  - name: echo
    method: POST
    path: /api/echo?deep=1
    headers: {X-Team: blue}
    body: '{"ping":1}'
    expect:
      status: [201, 202]
      json:
        - {path: "$.pong.values[1].name", equals: ada}
        - {path: "$.pong['values'][0]", equals: 1}
        - {path: "$.pong.values[1].name", matches: "a.*"}
        - {path: $.none, equals: null}
        - {path: $.error, exists: false}
      headers: {x-version: "v[0-9]+"}
      body: ["pong"]
  - {name: absent, path: /nowhere, severity: warn}
"#;
    let ran = Gate::verify(&canary.url(), checks).run();
    assert_eq!((ran.code, ran.status("echo"), ran.status("absent")), (0, "pass", "warn"), "{}", ran.stderr);
    assert!(ran.detail("absent").contains("404, want 200"));
    for (path, value, piece) in [
        ("json.0.equals", json!("bob"), "is \"ada\", want \"bob\""),
        ("json.1.equals", json!("1"), "is 1, want \"1\""),
        ("json.4.exists", json!(true), "$.error is not there"),
        ("headers.x-version", json!("w"), "the header x-version is \"v42\", want \"w\""),
        ("body.0", json!("pang"), "nothing in the body matches \"pang\""),
        ("status", json!([200]), "201, want 200"),
    ] {
        let checks = Checks::read(checks).set(&format!("http.0.expect.{path}"), value);
        let ran = Gate::verify(&canary.url(), checks).run();
        assert_eq!((ran.code, ran.status("echo")), (1, "fail"), "{path}: {}", ran.stderr);
        assert!(ran.detail("echo").contains(piece), "{path}: {}", ran.detail("echo"));
    }
}

#[test]
fn secrets_are_sent_and_shown_nowhere() {
    let canary = serve(|request| {
        let sent = request.headers.get("authorization").cloned().unwrap_or_default();
        match &*request.path {
            "/health/readiness" => Reply::json(401, &format!(r#"{{"you sent":"{sent}"}}"#)),
            "/api/metrics" => Reply::new(200, "text/plain", format!("# TYPE m gauge\nm{{token=\"{sent}\"}} 5\n")),
            _ => answer(request),
        }
    });
    let mut gate = Gate::verify(
        &canary.url(),
        "headers: {Authorization: \"Bearer env:API_TOKEN\", X-Api-Key: \"file:key\"}\n\
         metrics: {require: [], thresholds: [{expr: m < 1}]}\n",
    )
    .env("API_TOKEN", "t0ps3cret");
    gate.file("key", "k3y-from-file\n");
    let ran = gate.run();
    assert_eq!(ran.code, 1);
    let seen = canary.seen();
    assert!(seen.iter().all(|request| request.headers["authorization"] == "Bearer t0ps3cret"));
    assert!(seen.iter().all(|request| request.headers["x-api-key"] == "k3y-from-file"));
    let written = ran.everything();
    assert!(!written.contains("t0ps3cret") && !written.contains("k3y-from-file"), "{written}");
    assert!(written.contains("***"));
}

#[test]
fn flags_beat_the_environment_and_both_beat_the_file() {
    let canary = Fault::named("none").unwrap().start();
    let run = |gate: Gate| gate.run().report;
    let thresholds = |report: &serde_json::Value| -> Vec<String> {
        let seen = report["checks"][3]["observations"].as_array().unwrap().iter();
        seen.filter_map(|seen| seen["expression"].as_str().map(str::to_owned)).collect()
    };
    let file = "metrics: {thresholds: [{expr: memory_analysis_cache_size > 1}]}";
    let from_file = run(Gate::verify(&canary.url(), file));
    assert_eq!(thresholds(&from_file), ["memory_analysis_cache_size > 1"]);
    let lines = "memory_analysis_cache_size > 2\n\n memory_analysis_cache_size > 3 ";
    let from_env = run(Gate::verify(&canary.url(), file).env("CANARY_GATE_THRESHOLD", lines));
    assert_eq!(thresholds(&from_env)[1..], ["memory_analysis_cache_size > 2", "memory_analysis_cache_size > 3"]);
    let flag = ["--threshold", "memory_analysis_cache_size > 4"];
    let from_flag = run(Gate::verify(&canary.url(), file).env("CANARY_GATE_THRESHOLD", lines).args(flag));
    assert_eq!(thresholds(&from_flag)[1..], ["memory_analysis_cache_size > 4"]);
    let mut gate = Gate::new()
        .args(["verify"])
        .env("CANARY_GATE_URL", &canary.url())
        .env("CANARY_GATE_CHECKS", "checks.yaml")
        .env("CANARY_GATE_REPORT", "json=report.json");
    gate.file("checks.yaml", file);
    assert_eq!(thresholds(&run(gate)), ["memory_analysis_cache_size > 1"]);
}

#[test]
fn thresholds_of_the_command_line_block_and_warn() {
    let canary = Fault::named("none").unwrap().start();
    let with = |flag: &str, expr: &str| Gate::verify(&canary.url(), "timeout: 1m").args([flag, expr]).run();
    let blocked = with("--threshold", "memory_analysis_cache_size < 1");
    assert_eq!((blocked.code, blocked.status("metrics")), (1, "fail"));
    assert!(blocked.detail("metrics").contains("42, want < 1"), "{}", blocked.detail("metrics"));
    let warned = with("--warn", "memory_analysis_cache_sizes < 1");
    assert_eq!((warned.code, warned.status("metrics")), (0, "warn"));
    assert!(warned.detail("metrics").contains("similar: memory_analysis_cache_size"), "{}", warned.detail("metrics"));
}

#[test]
fn required_families_default_to_those_that_blocking_thresholds_name() {
    let canary = Fault::named("none").unwrap().start();
    let checks = "metrics: {require: null, thresholds: [{expr: (sum(lost_total) or vector(0)) < 1}, {expr: other > 1, severity: warn}]}";
    let ran = Gate::verify(&canary.url(), checks).run();
    assert_eq!((ran.code, ran.status("metrics")), (1, "fail"));
    assert!(ran.detail("metrics").starts_with("lost_total: the family is not declared"), "{}", ran.detail("metrics"));
    let without = Checks::read(checks).set("metrics.require", json!([]));
    assert_eq!(Gate::verify(&canary.url(), without).run().code, 0);
}

#[test]
fn no_data_comes_to_what_the_threshold_says() {
    let canary = Fault::named("none").unwrap().start();
    let checks = Checks::read("metrics: {require: [], thresholds: [{expr: missing > 1}]}");
    for (on_no_data, code, status) in [("fail", 1, "fail"), ("warn", 0, "warn"), ("pass", 0, "pass")] {
        let checks = checks.clone().set("metrics.thresholds.0.on_no_data", on_no_data);
        let ran = Gate::verify(&canary.url(), checks).run();
        assert_eq!((ran.code, ran.status("metrics")), (code, status), "{on_no_data}");
        let seen = &ran.check("metrics")["observations"][0];
        assert_eq!((&seen["verdict"], &seen["value"]), (&"no_data".into(), &serde_json::Value::Null));
    }
}
