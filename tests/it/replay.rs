//! Evidence: what a run leaves behind gives the same verdict and the same reports without a network, or what another plan
//! would have said; and nothing but whole evidence is taken for it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use crate::canary::app::{TEXT, answer};
use crate::canary::server::{Canary, Reply, Request};
use crate::canary::{FAULTS, Fault};
use crate::checks::Checks;
use crate::gate::{Gate, Ran, each};
use crate::prometheus;

/// A folder of evidence.
pub struct Shelf(TempDir);

impl Shelf {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Adds what a run needs to leave evidence under a name.
    pub fn of(&self, name: &str, gate: Gate) -> Gate {
        gate.args(["--report", &format!("evidence={}", self.path(name).display())])
    }

    pub fn replay(&self, name: &str, more: &[&str]) -> Ran {
        let path = self.path(name);
        Gate::new()
            .args(["replay", path.to_str().unwrap(), "--report", "json=report.json"])
            .args(more.iter().copied())
            .run()
    }

    /// Judges the whole folder by a checks file.
    pub fn judge(&self, checks: &str) -> Ran {
        let mut gate = Gate::new();
        gate.file("new.yaml", checks);
        gate.args(["replay", self.0.path().to_str().unwrap(), "--checks", "new.yaml"]).run()
    }

    pub fn text(&self, name: &str) -> String {
        let mut text = String::new();
        GzDecoder::new(fs::File::open(self.path(name)).unwrap()).read_to_string(&mut text).unwrap();
        text
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), zipped(text)).unwrap();
    }
}

fn zipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A canary whose metrics depend on how often it was asked.
pub fn counting(metrics: impl Fn(u128) -> String + Send + Sync + 'static) -> Canary {
    Canary::start(Arc::new(move |request: &Request| match &*request.path {
        "/api/metrics" => Reply::new(200, TEXT, metrics(request.since_first.as_millis())),
        _ => answer(request),
    }))
}

/// Whether a replay says what the run said, in every byte.
fn same(what: &str, ran: &Ran, again: &Ran) -> Result<(), String> {
    let said = |ran: &Ran| (ran.code, ran.stdout.clone(), ran.report.to_string());
    if said(ran) != said(again) {
        return Err(format!(
            "{what}: exit {}\n{}\nand again {}\n{}{}",
            ran.code, ran.stdout, again.code, again.stdout, again.stderr
        ));
    }
    if again.stderr.is_empty() { Ok(()) } else { Err(format!("{what}: {}", again.stderr)) }
}

#[test]
fn every_verdict_is_the_same_again() {
    let names = [
        "none",
        "failures-3",
        "failures-odd-label",
        "failures-nan",
        "hit-rate-low",
        "no-traffic",
        "family-missing",
        "metrics-html",
        "metrics-untyped",
        "metrics-openmetrics",
        "metrics-500-once",
        "metrics-large",
        "duplicate-series",
        "health-degraded",
        "never-up",
    ];
    each(&names, |name| {
        let (shelf, canary) = (Shelf::new(), Fault::named(name).unwrap().start());
        let checks = Checks::fast().set("metrics.max_body", "64MiB").set("metrics.timeout", "20s");
        let ran = shelf.of("e.gz", Gate::verify(&canary.url(), checks)).run();
        let asked = canary.seen().len();
        let again = shelf.replay("e.gz", &[]);
        assert_eq!(canary.seen().len(), asked);
        let size = fs::metadata(shelf.path("e.gz")).unwrap().len();
        assert!(size < 1024 * 1024, "{name}: {size} bytes");
        assert_eq!(shelf.text("e.gz").matches("{\"exchange\":").count(), asked, "{name}");
        same(name, &ran, &again)
    });
}

#[test]
fn two_files_of_evidence_are_whole() {
    let shelf = Shelf::new();
    let canary = FAULTS[0].start();
    let gate = shelf.of("e.gz", Gate::verify(&canary.url(), Checks::fast()));
    let ran = shelf.of("f.gz", gate).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(shelf.text("e.gz"), shelf.text("f.gz"));
    assert!(shelf.text("e.gz").contains("\"scraped\""));
    same("second", &ran, &shelf.replay("f.gz", &[])).unwrap();
}

#[test]
fn windows_alerts_and_the_stable_revision_are_judged_again() {
    let metrics = |since: u128| {
        format!(
            "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1.5\n# TYPE requests_total counter\n\
             requests_total{{path=\"/a\"}} {since}\nrequests_total{{path=\"/b\"}} {}\n# TYPE lag gauge\nlag 5\n",
            since / 3
        )
    };
    let (canary, stable) = (counting(metrics), counting(metrics));
    let rules = "groups:\n- name: a\n  rules:\n  - {record: 'all:rate', expr: 'sum by (target) (rate(requests_total[2s]))'}\n\
                 \x20 - {alert: Slow, expr: 'lag > 3', for: 1s}\n  - {alert: Idle, expr: 'all:rate < 1'}\n";
    let checks = Checks::watching()
        .set("metrics.baseline", stable.url())
        .set("metrics.rules", "rules.yaml")
        .set("metrics.window", "1800ms")
        .threshold("sum by (target) (rate(requests_total[2s])) > 1")
        .threshold("all:rate{target=\"canary\"} / on() all:rate{target=\"stable\"} < 2");
    let shelf = Shelf::new();
    let mut gate = Gate::verify(&canary.url(), checks);
    gate.file("rules.yaml", rules);
    let ran = shelf.of("e.gz", gate).run();
    assert_eq!((ran.code, ran.status("metrics")), (1, "fail"), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.detail("metrics").starts_with("Slow: fires"), "{}", ran.stdout);
    drop((canary, stable));
    same("window", &ran, &shelf.replay("e.gz", &[])).unwrap();
    // It was judged, and not read out: another scrape has another verdict.
    let text = shelf.text("e.gz");
    shelf.write("f.gz", &text.replace("\\nlag 5\\n", "\\nlag 2\\n"));
    let again = shelf.replay("f.gz", &[]);
    assert_eq!((again.code, again.status("metrics")), (0, "pass"), "{}{}", again.stdout, again.stderr);
    let wanted = "judged otherwise than it was recorded: metrics: it was fail by canary-gate 0.1.0: Slow: fires";
    assert!(again.stderr.contains(wanted), "{}", again.stderr);
}

#[test]
fn runs_without_a_verdict_leave_evidence_too() {
    let shelf = Shelf::new();
    let canary = Fault::named("never-up").unwrap().start();
    let ran = shelf.of("e.gz", Gate::verify(&canary.url(), "timeout: 1m")).run_until("ready: attempt 1", "-TERM");
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    same("interrupted", &ran, &shelf.replay("e.gz", &[])).unwrap();
    // What is found before a request.
    let path = shelf.path("f.gz");
    fs::write(&path, "old").unwrap();
    let ran = shelf.of("f.gz", Gate::verify("nowhere", "")).run();
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let again = shelf.replay("f.gz", &[]);
    assert_eq!((again.code, &again.report["verdict"]), (2, &"error".into()), "{}", again.stderr);
    assert!(again.report["cause"].as_str().unwrap().contains("\"nowhere\" has no scheme"), "{}", again.report);
}

#[test]
fn past_releases_are_judged_by_other_thresholds() {
    let shelf = Shelf::new();
    for (name, failures, fault) in
        [("1.gz", 0, "none"), ("2.gz", 1, "none"), ("3.gz", 2, "none"), ("4.gz", 5, "none"), ("5.gz", 0, "health-500")]
    {
        let fault = Fault::named(fault).unwrap().start();
        let canary = counting(move |_| format!("# TYPE failures_total counter\nfailures_total {failures}\n"));
        let url = if name == "5.gz" { fault.url() } else { canary.url() };
        let checks = Checks::fast()
            .set("metrics.require", serde_json::json!([]))
            .set("metrics.thresholds", serde_json::json!([]));
        let ran = shelf.of(name, Gate::verify(&url, checks.threshold("failures_total <= 2"))).run();
        assert_eq!(ran.code, i32::from(failures > 2 || name == "5.gz"), "{name}: {}{}", ran.stdout, ran.stderr);
    }
    let plan = |expr: &str| format!("metrics: {{require: [], thresholds: [{{name: f, expr: '{expr}'}}]}}");
    let ran = shelf.judge(&plan("failures_total < 2"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(
        lines[0].contains("  pass → fail    ") && lines[0].ends_with("3.gz: metrics: f: failures_total 2, want < 2"),
        "{}",
        ran.stdout
    );
    assert_eq!(lines[1..], ["would have failed 1 of 3 healthy releases", "would have passed 0 of 2 failed releases"]);
    // The one that failed by its threshold would have passed; the one that was not well would not.
    let ran = shelf.judge(&plan("failures_total < 9"));
    assert!(ran.stdout.contains("4.gz: 0 warnings\n"), "{}", ran.stdout);
    assert!(
        ran.stdout.ends_with("failed 0 of 3 healthy releases\nwould have passed 1 of 2 failed releases\n"),
        "{}",
        ran.stdout
    );
    // What lost its instrumentation is no pass.
    let ran = shelf.judge("metrics: {require: [other], thresholds: [{expr: 'failures_total < 9'}]}");
    assert!(ran.stdout.contains("would have failed 3 of 3 healthy releases"), "{}", ran.stdout);
    // A check that was never run cannot be judged: that is said, and nothing is counted.
    let ran = shelf.judge("metrics: {require: [], thresholds: [{expr: failures_total < 9}]}\nhttp: []\n");
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    // One file gives a whole report.
    let mut gate = Gate::new();
    gate.file("new.yaml", plan("failures_total < 2"));
    let path = shelf.path("3.gz");
    let one =
        gate.args(["replay", path.to_str().unwrap(), "--checks", "new.yaml", "--report", "json=report.json"]).run();
    assert_eq!((one.code, one.detail("metrics")), (1, "f: failures_total 2, want < 2"), "{}", one.stderr);
    // Without another plan, each run is told with its verdict.
    let ran = Gate::new().args(["replay", shelf.0.path().to_str().unwrap()]).run();
    assert_eq!((ran.code, ran.stdout.lines().count()), (1, 5), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn what_was_not_recorded_is_not_judged() {
    let shelf = Shelf::new();
    let canary = Fault::named("metrics-large").unwrap().start();
    let checks = Checks::fast().set("metrics.max_body", "64MiB").set("metrics.timeout", "20s");
    assert_eq!(shelf.of("large.gz", Gate::verify(&canary.url(), &checks)).run().code, 0);
    let off = Checks::fast().set("metrics.enabled", false);
    assert_eq!(shelf.of("off.gz", Gate::verify(&FAULTS[0].start().url(), off)).run().code, 0);
    let ran = shelf.judge("metrics: {require: [], thresholds: [{expr: 'never_read > 5'}]}");
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    for wanted in [
        "large.gz: metrics: never_read was not recorded: the scrapes were too large to be kept whole\n",
        "off.gz: metrics: no scrapes of it were recorded\n",
        "would have failed 0 of 0 healthy releases\ncould not judge 2 more releases\n",
    ] {
        assert!(ran.stdout.contains(wanted), "{}", ran.stdout);
    }
    let ran = shelf.judge("metrics: {require: [], thresholds: [{expr: 'sum(memory_analysis_failure_total) < 0'}]}");
    assert!(ran.stdout.contains("would have failed 1 of 1 healthy release\n"), "{}", ran.stdout);
}

#[test]
fn evidence_holds_no_secret() {
    let canary = Canary::start(Arc::new(|request: &Request| {
        let sent = request.headers.get("x-secret").cloned().unwrap_or_default();
        match &*request.path {
            "/api/metrics" => {
                Reply::new(200, TEXT, format!("# HELP m {sent}\n# TYPE m gauge\nm{{token=\"{sent}\"}} 5\n"))
            }
            "/health/readiness" => Reply::json(400, &format!("{{\"sent\": \"{sent}\"}}")),
            _ => answer(request),
        }
    }));
    for secret in ["hunter2-hunter2", "a\"b\\c", "error", "threshold"] {
        let checks = Checks::fast()
            .set("headers.X-Secret", "env:SECRET")
            .set("metrics.require", serde_json::json!([]))
            .set("metrics.thresholds", serde_json::json!([]))
            .set("http", serde_json::json!([{"name": "x", "path": "/?q=hunter2-hunter2"}]))
            .threshold("m < 9");
        let shelf = Shelf::new();
        let ran = shelf.of("e.gz", Gate::verify(&canary.url(), checks).env("SECRET", secret)).run();
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let text = shelf.text("e.gz");
        if secret.starts_with("hunter2") {
            assert!(!text.contains("hunter2"), "{text}");
        } else if secret.starts_with('a') {
            assert!(!text.contains("a\\\"b") && !text.contains("a\\\\\\\"b"), "{text}");
        }
        // Masked metrics may say something else: the record stands, and that is said.
        let again = shelf.replay("e.gz", &[]);
        assert_eq!((again.code, &again.stdout), (ran.code, &ran.stdout), "{secret}: {}", again.stderr);
        assert_eq!(again.report.to_string(), ran.report.to_string());
        assert!(
            again.stderr.contains("not judged again: metrics: ") && again.stderr.contains("masked"),
            "{}",
            again.stderr
        );
        // What failed beside them fails whatever they say.
        let ran = shelf.judge_one("metrics: {require: [], thresholds: [{expr: 'm < 9'}]}");
        assert!(ran.stdout.ends_with("would have passed 0 of 2 failed releases\n"), "{}{}", ran.stdout, ran.stderr);
    }
}

impl Shelf {
    /// Judges the one file of the folder, twice over, so that it is told as a table.
    fn judge_one(&self, checks: &str) -> Ran {
        fs::copy(self.path("e.gz"), self.path("f.gz")).unwrap();
        self.judge(checks)
    }
}

#[test]
fn what_is_no_evidence_is_an_error_of_usage() {
    let shelf = Shelf::new();
    let ran = shelf.of("good.gz", Gate::verify(&FAULTS[0].start().url(), Checks::fast())).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let (bytes, text) = (fs::read(shelf.path("good.gz")).unwrap(), shelf.text("good.gz"));
    fs::write(shelf.path("a-cut.gz"), &bytes[..bytes.len() - 100]).unwrap();
    fs::write(shelf.path("b-report.json"), "{\"verdict\": \"pass\"}").unwrap();
    shelf.write("c-newer.gz", &text.replacen("\"schema\":2", "\"schema\":3", 1));
    shelf.write("d-deep.gz", &format!("{}\n{}", text.lines().next().unwrap(), "[".repeat(1_000_000)));
    shelf.write("e-short.gz", &text[..text.rfind("{\"outcome\"").unwrap()]);
    shelf.write("f-bomb.gz", &" ".repeat(200 << 20));
    let missing = shelf.path("missing.gz");
    for (name, piece) in [
        ("a-cut.gz", "a-cut.gz: it is cut off"),
        ("b-report.json", "b-report.json: it is not evidence of canary-gate: it is not gzip"),
        ("c-newer.gz", "c-newer.gz: it has the format's version 3, and this gate reads up to version 2"),
        ("d-deep.gz", "d-deep.gz: line 2 cannot be read"),
        ("e-short.gz", "e-short.gz: it is cut off: what the run came to is missing"),
        ("f-bomb.gz", "f-bomb.gz: it holds more than 128 MiB"),
        ("missing.gz", "missing.gz: No such file"),
    ] {
        let ran = shelf.replay(name, &[]);
        assert!(ran.code == 2 && ran.stderr.contains(piece) && ran.stdout.is_empty(), "{name}: {}", ran.stderr);
        assert!(!Path::new("report.json").exists());
    }
    // In a folder the others are judged all the same.
    let ran = Gate::new().args(["replay", shelf.0.path().to_str().unwrap(), missing.to_str().unwrap()]).run();
    assert_eq!(
        (ran.code, ran.stdout.lines().count(), ran.stderr.lines().count()),
        (2, 1, 7),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    let empty = Shelf::new();
    let good = shelf.path("good.gz");
    for (args, piece) in [
        (vec![empty.0.path().to_str().unwrap()], "there is no evidence in this folder"),
        (
            vec![good.to_str().unwrap(), "--report", "evidence=x.gz"],
            "evidence is written by verify, and only read here",
        ),
        (
            vec![good.to_str().unwrap(), good.to_str().unwrap(), "--report", "json=x"],
            "--report is of one run, and there are 2",
        ),
        (vec![good.to_str().unwrap(), "--checks", "none.yaml"], "none.yaml: the file cannot be opened"),
    ] {
        let ran = Gate::new().args(["replay"]).args(args.iter().copied()).run();
        assert!(ran.code == 2 && ran.stderr.contains(piece), "{args:?}: {}", ran.stderr);
    }
}

/// What the gate makes of a run in every format, with the evidence; and what replay makes of that.
fn every_report_is_the_same_again(shelf: &Shelf, gate: Gate) -> Ran {
    let formats = ["junit", "markdown", "html", "tap", "github"];
    fs::create_dir(shelf.path("reports")).unwrap();
    let path = |into: &str, format: &str| shelf.path(&format!("reports/{into}.{format}"));
    let reports = |into: &str| formats.map(|format| format!("{format}={}", path(into, format).display()));
    let before = reports("before");
    let args = before.iter().flat_map(|report| ["--report", &**report]);
    let ran = shelf.of("e.gz", gate.args(args)).run();
    assert!(shelf.path("e.gz").exists(), "{}", ran.stderr);
    let after = reports("after");
    let args: Vec<&str> = after.iter().flat_map(|report| ["--report", &**report]).collect();
    same("all reports", &ran, &shelf.replay("e.gz", &args)).unwrap();
    for format in formats {
        let text = |into: &str| fs::read_to_string(path(into, format)).unwrap();
        assert_eq!(text("before"), text("after"), "{format}");
    }
    ran
}

/// Traffic to a canary and a stable revision, with more keys of `traffic`.
pub fn traffic(stable: &Canary, more: &str) -> String {
    format!(
        "smoke: {{enabled: false}}\nmetrics: {{require: [], thresholds: []}}\ntraffic:\n  enabled: true\n  \
         requests: [{{path: /api/items}}]\n  rate: 220/s\n  duration: 3s\n  warm_up: 500ms\n  max_lag: 10s\n  seed: 7\n  \
         request_timeout: 1s\n  baseline: {}\n{more}",
        stable.url()
    )
}

#[test]
fn traffic_is_judged_again() {
    let (canary, stable) = (Fault::named("twice-as-slow").unwrap().start(), Fault::named("steady").unwrap().start());
    let limits = "  limits: {errors: 0.3}\n";
    let shelf = Shelf::new();
    let ran = every_report_is_the_same_again(&shelf, Gate::verify(&canary.url(), traffic(&stable, limits)));
    assert_eq!((ran.code, ran.status("traffic")), (1, "fail"), "{}{}", ran.stdout, ran.stderr);
    let text = shelf.text("e.gz");
    assert!(text.contains("\"traffic\":{\"paths\":[\"/api/items\"]"), "{}", ran.stdout);
    // A file that says nothing of the traffic leaves it as it is.
    let ran = shelf.judge_one("metrics: {require: [], thresholds: [{expr: 'vector(1) > 0'}]}");
    assert!(ran.stdout.contains("would have passed 0 of 2 failed releases"), "{}{}", ran.stdout, ran.stderr);
    // By other limits it would not have ended so early: what had come by then is no proof of them.
    let ran = shelf.judge_one(&traffic(&stable, &format!("{limits}  min_difference: 10s\n")));
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("traffic: it ended early, when the canary was proven to be bad"), "{}", ran.stdout);

    // It was judged, and not read out: a canary as quick as stable is another verdict.
    let quick = text.lines().map(|line| {
        if !(line.starts_with("{\"answered\"") && line.contains("\"side\":\"canary\"")) {
            return line.to_owned();
        }
        let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["answered"]["answer"]["latency"] = serde_json::json!(1_000);
        line.to_string()
    });
    let quick: String = quick.map(|line| line + "\n").collect();
    shelf.write("e.gz", &quick);
    let ran = shelf.replay("e.gz", &[]);
    assert!(ran.stderr.contains("judged otherwise than it was recorded: traffic: it was fail"), "{}", ran.stderr);
    assert!(!ran.detail("traffic").contains("slower than the tolerated"), "{}", ran.stdout);
}

#[test]
fn healthy_traffic_is_judged_by_other_limits() {
    let (canary, stable) = (Fault::named("steady").unwrap().start(), Fault::named("steady").unwrap().start());
    let limits = "  limits: {errors: 0.05, p95: 2s, first_answer: 10s}\n";
    let shelf = Shelf::new();
    let ran = every_report_is_the_same_again(&shelf, Gate::verify(&canary.url(), traffic(&stable, limits)));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let size = fs::metadata(shelf.path("e.gz")).unwrap().len();
    assert!(size < 1024 * 1024, "{size} bytes");
    let healthy = "would have failed 0 of 2 healthy releases";
    let failed = "would have failed 2 of 2 healthy releases";
    let requests = "requests: [{path: /api/items}]";
    for (checks, code, piece) in [
        (traffic(&stable, limits), 0, healthy),
        (traffic(&stable, "  limits: {errors: 0.05, p95: 1ms}\n"), 0, "p95: "),
        (traffic(&stable, "  limits: {errors: 0.05, p95: 1ms}\n"), 0, failed),
        (traffic(&stable, "  limits: {errors: 0.05, first_answer: 1us}\n"), 0, failed),
        (
            traffic(&stable, &format!("{limits}  thresholds: [{{expr: 'sum(canary_gate_requests_total) < 5'}}]\n")),
            0,
            failed,
        ),
        (
            traffic(&stable, &format!("{limits}  thresholds: [{{expr: 'sum(canary_gate_requests_total) > 5'}}]\n")),
            0,
            healthy,
        ),
        (traffic(&stable, &format!("{limits}  max_lag: 1ns\n").replace("  max_lag: 10s\n", "")), 2, "max_lag"),
        // So little can be proven by more requests only.
        (traffic(&stable, "  limits: {errors: 0.0001}\n"), 3, "it would have gone on for up to"),
        (
            traffic(&stable, limits).replace(requests, "requests: [{path: /api/other}]"),
            3,
            "its requests, or what they expect",
        ),
        (
            traffic(&stable, limits).replace(requests, "requests: [{path: /api/items, expect: {status: 204}}]"),
            3,
            "its requests, or what they expect",
        ),
        (
            traffic(&stable, &format!("{limits}  counters: {{path: /m, requests: a, errors: b}}\n")),
            3,
            "its counters of users' requests",
        ),
    ] {
        let ran = shelf.judge_one(&checks);
        assert!(
            ran.code == code && (ran.stdout.contains(piece) || ran.stderr.contains(piece)),
            "{checks}: {} {}{}",
            ran.code,
            ran.stdout,
            ran.stderr
        );
    }
    // Of one file, too, what could not be judged is no pass.
    let mut gate = Gate::new();
    gate.file("new.yaml", traffic(&stable, "  limits: {errors: 0.0001}\n"));
    let path = shelf.path("e.gz");
    let ran = gate.args(["replay", path.to_str().unwrap(), "--checks", "new.yaml"]).run();
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn what_a_server_answered_is_judged_again() {
    let canary = Canary::start(Arc::new(answer));
    let server = prometheus::server(prometheus::SERIES, |_, _| None);
    let run = |name: &str, shelf: &Shelf, limit: &str| {
        let checks = prometheus::checks(&server)
            .set("metrics.rules", "rules.yaml")
            .set("metrics.window", "1s")
            .set("metrics.interval", "500ms")
            .set("metrics.timeout", "20s");
        let checks = checks.threshold(&format!("sum(errs_total) <= {limit}"));
        let mut gate = Gate::verify(&canary.url(), checks);
        gate.file("rules.yaml", "groups: [{name: g, rules: [{alert: A, expr: 'errs_total > 5'}]}]\n");
        shelf.of(name, gate).run()
    };
    let (good, bad) = (Shelf::new(), Shelf::new());
    let (passed, failed) = (run("e.gz", &good, "4"), run("e.gz", &bad, "1"));
    assert_eq!((passed.code, failed.code), (0, 1), "{}{}{}", passed.stdout, passed.stderr, failed.stdout);
    let asked = server.seen().len();
    same("good", &passed, &good.replay("e.gz", &[])).unwrap();
    same("bad", &failed, &bad.replay("e.gz", &[])).unwrap();
    // It was judged, and not read out.
    let text = good.text("e.gz");
    let one = "\"answer\":{\"vector\":[[[],\"2\"]]}";
    assert!(text.contains(one), "{text}");
    bad.write("more.gz", &text.replace(one, "\"answer\":{\"vector\":[[[],\"7\"]]}"));
    let ran = bad.replay("more.gz", &[]);
    assert_eq!((ran.code, ran.detail("metrics")), (1, "sum(errs_total) <= 4: 7, want <= 4"), "{}", ran.stdout);
    fs::remove_file(bad.path("more.gz")).unwrap();
    for (threshold, code, piece) in [
        // The same expression with other limits.
        ("sum(errs_total) <= 3", 0, "would have failed 0 of 2 healthy releases\n"),
        ("sum(errs_total) < 2", 0, "pass → fail"),
        ("sum(errs_total) <= 1 + 0.5", 0, "would have failed 2 of 2 healthy releases\n"),
        ("sum(errs_total) > vector(1) * on() vector(1)", 0, "would have failed 0 of 2 healthy releases\n"),
        // What it was not asked for.
        ("sum(other_total) <= 3", 3, "the server was not asked for sum(other_total) when it was recorded"),
        ("sum(errs_total) <= sum(other_total)", 3, "the server was not asked for sum(other_total)"),
    ] {
        let ran = good.judge_one(&format!("metrics: {{require: [], thresholds: [{{expr: '{threshold}'}}]}}"));
        assert!(
            ran.code == code && ran.stdout.contains(piece),
            "{threshold}: {} {}{}",
            ran.code,
            ran.stdout,
            ran.stderr
        );
    }
    let ran = good.judge_one("metrics: {require: [a_total], thresholds: [{expr: 'sum(errs_total) <= 3'}]}");
    assert!(ran.code == 3 && ran.stdout.contains("a_total is required, and a server was asked"), "{}", ran.stdout);
    // The alert asked whether the server has the series.
    let other = "metrics: {require: [], thresholds: [{expr: 'sum(errs_total) <= 3'}]}";
    let ran = bad.judge_one(other);
    assert!(ran.code == 0 && ran.stdout.contains("would have passed 2 of 2 failed releases"), "{}", ran.stdout);
    assert_eq!(server.seen().len(), asked);
    // A threshold that failed did not.
    let checks = prometheus::checks(&server).threshold("sum(errs_total) <= 1");
    assert_eq!(bad.of("e.gz", Gate::verify(&canary.url(), checks)).run().code, 1);
    let ran = bad.judge_one(other);
    assert!(ran.code == 3 && ran.stdout.contains("the server was not asked for count("), "{}", ran.stdout);
}

#[test]
fn a_window_whose_end_was_not_seen_is_the_same_again() {
    let scrapes = AtomicUsize::new(0);
    let canary = Canary::start(Arc::new(move |request: &Request| match &*request.path {
        "/api/metrics" if scrapes.fetch_add(1, Ordering::Relaxed) >= 5 => Reply::new(503, TEXT, "busy"),
        "/api/metrics" => {
            Reply::new(200, TEXT, format!("# TYPE a_total counter\na_total {}\n", request.since_first.as_millis()))
        }
        _ => answer(request),
    }));
    // Six scrapes, the last of which is tried again until the time is up.
    let checks = Checks::watching().set("metrics.window", "1500ms").set("metrics.timeout", "4s");
    let checks = checks.threshold("rate(a_total[1s]) > 1");
    let shelf = Shelf::new();
    let ran = every_report_is_the_same_again(&shelf, Gate::verify(&canary.url(), checks));
    assert_eq!((ran.code, ran.status("metrics")), (1, "fail"), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("nothing shows the metrics at the end"), "{}", ran.stdout);
}
