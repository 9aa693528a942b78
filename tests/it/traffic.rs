//! The traffic check: the canary beside a steady stable revision, over real sockets.

use serde_json::Value;

use crate::canary::{Canary, Fault};
use crate::gate::{Gate, Ran, each};

/// The checks file: short windows, and a patient bound for the gate's own lag, since the tests share the machine.
fn checks(stable: Option<&Canary>, more: &str) -> String {
    let baseline = stable.map_or(String::new(), |stable| format!("  baseline: {}\n", stable.url()));
    format!(
        "metrics: {{enabled: false}}\nsmoke: {{enabled: false}}\ntraffic:\n  enabled: true\n  requests: [{{path: /api/items}}]\n  \
         rate: 220/s\n  duration: 3s\n  warm_up: 500ms\n  max_lag: 10s\n  seed: 7\n  request_timeout: 1s\n{baseline}{more}"
    )
}

/// A limit that so few requests can prove.
const LIMITS: &str = "  limits: {errors: 0.3, p95: 900ms}\n";

fn beside(fault: &str, more: &str) -> Ran {
    let canary = Fault::named(fault).unwrap().start();
    let stable = Fault::named("steady").unwrap().start();
    Gate::verify(&canary.url(), checks(Some(&stable), more)).run()
}

fn observation<'r>(ran: &'r Ran, name: &str) -> Option<&'r Value> {
    ran.check("traffic")["observations"].as_array()?.iter().find(|seen| seen["name"] == name)
}

/// The faults that are told beside a stable revision only.
pub const FAULTS: [&str; 10] = [
    "steady",
    "cold-start",
    "slower-by-third",
    "twice-as-slow",
    "slow-tail",
    "some-errors",
    "type-changed",
    "route-removed",
    "items-hang",
    "items-rate-limited",
];

#[test]
fn each_fault_beside_a_steady_revision_gets_its_verdict() {
    let cases = [
        ("steady", 0, "pass", "latency beside stable", "a canary 1.3× slower would have been noticed"),
        ("cold-start", 0, "pass", "latency beside stable", "pairs"),
        ("slower-by-third", 1, "fail", "latency beside stable", "slower than the tolerated 1.10×"),
        ("twice-as-slow", 1, "fail", "latency beside stable", "×"),
        ("slow-tail", 1, "fail", "p95 beside stable", "×"),
        ("some-errors", 1, "fail", "errors beside stable", "alone"),
        ("type-changed", 1, "fail", "shape beside stable", "GET /api/items"),
        ("route-removed", 1, "fail", "errors", "404"),
        ("items-hang", 1, "fail", "errors beside stable", "alone"),
        ("items-rate-limited", 1, "fail", "errors", "429"),
    ];
    assert_eq!(cases.map(|case| case.0), FAULTS);
    each(&cases, |(fault, exit, status, name, piece)| {
        let told = |ran: &Ran| {
            if ran.code != *exit || ran.status("traffic") != *status {
                return Err(format!("exit {}, want {exit}", ran.code));
            }
            let seen = observation(ran, name).ok_or("it is not among the observations")?;
            let is_told = seen["status"] == *status && seen["detail"].as_str().unwrap().contains(piece);
            if is_told { Ok(()) } else { Err(seen.to_string()) }
        };
        let mut ran = beside(fault, LIMITS);
        // What a busy machine measured is not what the samples were told to be: it is measured again.
        for _ in 0..BUSY_RUNS {
            if told(&ran).is_ok() || !was_busy(&ran) {
                break;
            }
            ran = beside(fault, LIMITS);
        }
        told(&ran).map_err(|what| format!("{fault}: {what}\n{}{}", ran.stdout, ran.stderr))
    });
}

/// How often a busy machine's measurement is made again.
const BUSY_RUNS: usize = 6;

/// Whether the steady revision answered more slowly than it was told to: half of its answers take 25 ms.
fn was_busy(ran: &Ran) -> bool {
    let told = observation(ran, "requests to stable").and_then(|seen| seen["detail"].as_str()).unwrap_or_default();
    let sent = told.split_once("from the moment sent p50 ").map_or("", |(_, rest)| rest);
    let mut words = sent.split([' ', ',']);
    let (value, unit) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let milliseconds = value.parse::<f64>().map(|value| if unit == "ms" { value } else { f64::INFINITY });
    milliseconds.is_ok_and(|milliseconds| milliseconds > 32.0)
}

#[test]
fn what_so_few_requests_do_not_prove_is_no_pass() {
    let canary = Fault::named("none").unwrap().start();
    let checks = checks(None, "  limits: {errors: 0.01, p95: 2s}\n").replace("rate: 220/s", "rate: 10/s");
    let ran = Gate::verify(&canary.url(), checks.replace("duration: 3s", "duration: 1s")).run();
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    // It went on for as long again before it said so.
    let detail = observation(&ran, "errors").unwrap()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("no data: 20 requests, 299 needed"), "{detail}");
    let detail = observation(&ran, "p95").unwrap()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("no data: 20 requests, 59 needed"), "{detail}");
    let alone = observation(&ran, "comparison").unwrap()["detail"].as_str().unwrap().to_owned();
    assert!(alone.contains("the stable revision's own address is not known"), "{alone}");
}

#[test]
fn every_request_tells_whose_it_is_and_can_be_found() {
    let (canary, stable) = (Fault::named("none").unwrap().start(), Fault::named("none").unwrap().start());
    let ran = Gate::verify(&canary.url(), checks(Some(&stable), LIMITS)).run();
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    let of = |side: &Canary| -> Vec<crate::canary::Request> {
        side.seen().into_iter().filter(|request| request.path == "/api/items").collect()
    };
    let (canary, stable) = (of(&canary), of(&stable));
    assert!(canary.len().abs_diff(stable.len()) <= 1, "{} and {}", canary.len(), stable.len());
    let mut traces = std::collections::HashSet::new();
    for request in canary.iter().chain(&stable) {
        assert_eq!(request.headers["x-canary-gate"], "1");
        assert!(request.headers["user-agent"].starts_with("canary-gate/"));
        assert!(!request.headers.contains_key("cookie"));
        let trace = &request.headers["traceparent"];
        assert!(trace.len() == 55 && trace.starts_with("00-") && trace.ends_with("-01"), "{trace}");
        assert!(traces.insert(trace.clone()), "{trace} was sent twice");
    }
}

#[test]
fn what_was_measured_is_judged_by_promql_too() {
    let canary = Fault::named("some-errors").unwrap().start();
    let thresholds = "  limits: {errors: null, p95: null, first_answer: null}\n  thresholds:\n  \
         - {name: few errors, expr: 'sum(canary_gate_requests_total{code=\"500\"}) / sum(canary_gate_requests_total) < 0.01'}\n  \
         - {name: quick, expr: 'max(canary_gate_request_duration_seconds{quantile=\"0.5\"}) < 1'}\n  \
         - {name: counted, expr: 'sum(canary_gate_request_duration_seconds_count{target=\"canary\",path=\"/api/items\"}) > 100'}\n  \
         - {name: started, expr: 'canary_gate_first_answer_seconds{target=\"canary\"} < 5'}\n";
    let ran = Gate::verify(&canary.url(), checks(None, thresholds)).run();
    assert_eq!(ran.code, 1, "{}", ran.stdout);
    let verdicts: Vec<&str> = ["few errors", "quick", "counted", "started"]
        .iter()
        .map(|name| observation(&ran, name).unwrap()["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(verdicts, ["fail", "pass", "pass", "pass"], "{}", ran.stdout);
}

#[test]
fn a_stable_revision_that_answers_nothing_proves_nothing() {
    let canary = Fault::named("none").unwrap().start();
    let stable = Fault::named("route-removed").unwrap().start();
    let ran = Gate::verify(&canary.url(), checks(Some(&stable), LIMITS)).run();
    assert_eq!((ran.code, ran.status("traffic")), (0, "warn"), "{}", ran.stdout);
    let ran = Gate::verify(&canary.url(), checks(Some(&stable), &format!("{LIMITS}  compare: on\n"))).run();
    assert_eq!((ran.code, ran.status("traffic")), (3, "error"), "{}", ran.stdout);
    let itself = |more: &str| checks(Some(&canary), &format!("{LIMITS}{more}")).replace("127.0.0.1", "localhost");
    let ran = Gate::verify(&canary.url(), itself("  compare: on\n")).run();
    assert_eq!(ran.code, 2, "{}", ran.stdout);
    assert!(ran.stderr.contains("is the canary's own"), "{}", ran.stderr);
    let ran = Gate::verify(&canary.url(), itself("")).run();
    assert!(ran.stdout.contains("it cannot be compared with itself"), "{}", ran.stdout);
}

#[test]
fn users_errors_are_held_against_the_share_of_the_traffic() {
    use crate::canary::server::Reply;
    let counting = |errors_of: fn(usize) -> usize| {
        Canary::start(std::sync::Arc::new(move |request: &crate::canary::Request| {
            if request.path != "/count" {
                return crate::canary::app::answer(request);
            }
            let scrape = request.before;
            let text = format!(
                "# TYPE hits_total counter\nhits_total{{code=\"200\"}} {}\nhits_total{{code=\"500\"}} {}\n",
                1000 * (scrape + 1),
                errors_of(scrape)
            );
            Reply::new(200, crate::canary::app::TEXT, text)
        }))
    };
    let more = "  counters: {path: /count, requests: sum(hits_total), errors: 'sum(hits_total{code=~\"5..\"})'}\n";
    let stable = counting(|_| 0);
    for (canary, code, piece) in [
        (counting(|scrape| 40 * scrape), 1, "more than the canary's share of the traffic explains"),
        (counting(|_| 7), 0, "0 of 1000 requests failed on the canary, 0 of 1000 requests on stable"),
    ] {
        let ran = Gate::verify(&canary.url(), checks(Some(&stable), &format!("{LIMITS}{more}"))).run();
        assert_eq!(ran.code, code, "{}", ran.stdout);
        let seen = observation(&ran, "users' errors beside stable").unwrap();
        assert!(seen["detail"].as_str().unwrap().contains(piece), "{seen}");
    }
}

#[test]
fn bad_traffic_is_named_before_any_request() {
    let canary = Fault::named("none").unwrap().start();
    let cases = [
        ("rate: 0/s", "the rate \"0/s\" must be greater than 0"),
        ("rate: 10", "found 10"),
        ("rate: 5000/s", "want at most 1000/s"),
        ("duration: 20m", "does not fit into the limit of the whole run"),
        ("duration: 0s", "must be greater than 0"),
        ("rate: 0.01/s, duration: 5s", "is not one request"),
        ("requests: []", "traffic.requests is empty"),
        ("requests: [{path: /a}, {path: /b, weight: 0.0001}]", "too seldom to show anything"),
        ("thresholds: [{expr: sum(canary_gate_request_total) > 1}]", "traffic measures no canary_gate_request_total"),
        ("requests: [{path: /a, weight: -1}]", "weight is -1"),
        ("requests: [{path: /a, weight: 0}]", "weight is 0"),
        ("requests: [{path: /a, weight: .nan}]", "weight"),
        ("requests: [{path: /a, method: POST}]", "say repeatable: true"),
        ("requests: [{path: /a, body: x}]", "state the method"),
        ("requests: [{path: a}]", "must start with one slash"),
        ("max_in_flight: 0", "max_in_flight is 0"),
        ("limits: {errors: 0}", "limits.errors is 0"),
        ("limits: {errors: 1.5}", "limits.errors is 1.5"),
        ("compare: on", "needs the stable revision's address, and there is none"),
        ("compare: on, baseline: stable", "known to the Cloud Run Admin API only"),
        ("compare: off, baseline: http://127.0.0.1:9", "asks the canary alone"),
        ("compare: maybe", "unknown value \"maybe\""),
        ("thresholds: [{expr: up >}]", "unexpected end"),
        ("counters: {path: /m, requests: 'a[5m]', errors: b}", "this is a range vector"),
        ("pace: 1", "unknown key \"pace\""),
    ];
    for (keys, piece) in cases {
        let ran = Gate::verify(&canary.url(), format!("traffic: {{enabled: true, {keys}}}\n")).run();
        assert_eq!(ran.code, 2, "{keys}: {}", ran.stderr);
        assert!(ran.stderr.contains(piece), "{keys}: {}", ran.stderr);
    }
    assert!(canary.seen().is_empty());
}
