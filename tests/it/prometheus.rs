//! `source: prometheus`: what holds must have been looked at, and a server that cannot be asked is no failure of the canary.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use promeval::exposition::Exposition;
use promeval::number::format_value;
use promeval::promql::Evaluator;
use promeval::series::Storage;
use promeval::{Format, Value, parse};
use serde_json::{Value as Json, json};

use crate::canary::app::answer;
use crate::canary::server::{Body, Canary, Reply, Request};
use crate::checks::Checks;
use crate::gate::{Gate, Ran, each};

/// The query and the time, in seconds, of a request.
pub fn asked(request: &Request) -> (String, f64) {
    let form: HashMap<String, String> = url::form_urlencoded::parse(&request.body).into_owned().collect();
    (form["query"].clone(), form["time"].parse().unwrap())
}

/// What a server answers that scraped the text twice, a second and half a minute before.
fn evaluated(text: &str, query: &str, time: f64) -> Json {
    let exposition = Exposition::parse(text.as_bytes(), Format::Prometheus).unwrap();
    let mut storage = Storage::default();
    let now = promeval::series::milliseconds(time);
    for at in [now - 30_000, now - 1000] {
        storage.ingest(&exposition, at, &[], |_| true).unwrap();
    }
    let data = match Evaluator::new(&storage, now).value(&parse(query).unwrap()) {
        Ok(Value::Scalar(value)) => json!({"resultType": "scalar", "result": [time, format_value(value)]}),
        Ok(Value::Vector(elements)) => {
            let one = |element: &promeval::Element| {
                let labels: HashMap<&str, &str> = element.labels.iter().collect();
                json!({"metric": labels, "value": [time, format_value(element.value)]})
            };
            json!({"resultType": "vector", "result": elements.iter().map(one).collect::<Vec<_>>()})
        }
        other => panic!("{query}: {other:?}"),
    };
    json!({"status": "success", "data": data})
}

/// A server over a text; `first` may answer in its place, by the query and how many requests came before.
pub fn server(text: &'static str, first: impl Fn(&str, usize) -> Option<Reply> + Send + Sync + 'static) -> Canary {
    Canary::start(Arc::new(move |request| {
        let (query, time) = asked(request);
        first(&query, request.before).unwrap_or_else(|| Reply::json(200, &evaluated(text, &query, time).to_string()))
    }))
}

fn healthy() -> Canary {
    Canary::start(Arc::new(answer))
}

fn verify(checks: Checks) -> Ran {
    let canary = healthy();
    Gate::verify(&canary.url(), checks).run()
}

pub fn checks(server: &Canary) -> Checks {
    Checks::fast()
        .set("smoke.enabled", false)
        .set("metrics.source", "prometheus")
        .set("metrics.url", server.url())
        .set("metrics.require", json!([]))
        .set("metrics.thresholds", json!([]))
}

/// A run with an alert over an expression.
fn alerting(checks: Checks, rule: &str) -> Ran {
    let canary = healthy();
    let mut gate = Gate::verify(&canary.url(), checks.set("metrics.rules", "rules.yaml"));
    gate.file("rules.yaml", format!("groups: [{{name: g, rules: [{{alert: A, {rule}}}]}}]\n"));
    gate.run()
}

pub const SERIES: &str = "\
errs_total{revision=\"app-42\",code=\"500\"} 1
errs_total{revision=\"app-43\",code=\"404\"} 1
other_total{revision=\"app-42\",code=\"500\"} 1
b_bucket{le=\"0.5\"} 1
up{revision=\"app-43\"} 1
";

#[test]
fn what_holds_was_looked_at() {
    const GUARDED: &str = "(sum(SELECTOR) or vector(0)) <= 2";
    let cases: &[(&str, &str, i32, &str)] = &[
        (GUARDED, "errs_total", 0, "2, want <= 2"),
        (GUARDED, "errs_total{revision=\"app-43\"}", 0, "1, want <= 2"),
        // What reports has counted none of these yet.
        (GUARDED, "errs_total{revision=\"app-43\",code=\"500\"}", 0, "0, want <= 2"),
        (GUARDED, "rate(errs_total{revision=\"app-43\",code=\"500\"}[5m])", 0, "0, want <= 2"),
        (GUARDED, "other_total{revision=\"app-43\"}", 1, "no series of other_total{revision=\"app-43\"}"),
        (GUARDED, "other_total{revision=\"app-43\",code=\"500\"}", 1, "other_total{revision=\"app-43\",code!=\"\"}"),
        (
            GUARDED,
            "errs_total{revision=\"app-43\",status=\"500\"}",
            1,
            "no series of errs_total{revision=\"app-43\",status",
        ),
        (GUARDED, "{__name__=~\"nosuch.*\"}", 1, "no series of {__name__=~\"nosuch.*\"}"),
        (GUARDED, "{__name__=~\"errs_.*\"}", 0, "2, want <= 2"),
        (GUARDED, "b_bucket{le=\"0.7\"}", 1, "no series of b_bucket{le=\"0.7\"}"),
        (GUARDED, "rate(errs_total[20s])", 1, "no two samples of one series in the range of errs_total"),
        (GUARDED, "max_over_time(errs_total[20s])", 0, "2, want <= 2"),
        (GUARDED, "errs_total offset 1h", 1, "no series of errs_total"),
        (GUARDED, "max_over_time(errs_total[10s:7d])", 1, "no series of errs_total"),
        ("(sum(errs_total) or vector(0)) + (sum(nosuch) or vector(0)) <= 2", "", 1, "no series of nosuch"),
        ("(sum(nosuch) or vector(0)) + (sum(errs_total) or vector(0)) <= 2", "", 1, "no series of nosuch"),
        ("(nosuch or errs_total) <= 2", "", 0, "want <= 2"),
        ("(other_total{revision=\"app-43\"} or up{revision=\"app-43\"} * 0) <= 2", "", 0, "0, want <= 2"),
        ("errs_total{code=\"599\"} <= 2", "", 1, "no series of errs_total{code=\"599\"}"),
        ("(sum(nosuch) or vector(5)) <= 2", "", 1, "5, want <= 2"),
        ("absent(nosuch) == 1", "", 0, "1, want == 1"),
    ];
    each(cases, |(threshold, selector, code, piece)| {
        let server = server(SERIES, |_, _| None);
        let threshold = threshold.replace("SELECTOR", selector);
        let ran = verify(checks(&server).threshold(&threshold));
        let is_as_wanted = ran.code == *code && ran.detail("metrics").contains(piece);
        is_as_wanted.then_some(()).ok_or_else(|| format!("{threshold}: exit {}: {}", ran.code, ran.detail("metrics")))
    });
}

#[test]
fn an_alert_that_is_silent_could_be_seen() {
    for (expr, code, piece) in [
        ("errs_total{revision=\"app-43\"} > 5", 0, "does not fire"),
        ("errs_total{revision=\"app-43\"} > 0", 1, "fires"),
        ("other_total{revision=\"app-43\"} > 0", 1, "no series of other_total{revision=\"app-43\"}"),
        ("errs_total{code=\"599\"} > 0", 1, "no series of errs_total{code=\"599\"}"),
        ("errs_total > 5 or nosuch > 5", 1, "no series of nosuch"),
        ("(sum(nosuch) or vector(0)) > 5", 1, "no series of nosuch"),
        ("max_over_time(nosuch[5m]) > 5", 1, "no series of nosuch"),
        ("errs_total > 5 unless on() nosuch", 0, "does not fire"),
    ] {
        let server = server(SERIES, |_, _| None);
        let ran = alerting(checks(&server), &format!("expr: '{expr}'"));
        assert_eq!(ran.code, code, "{expr}: {}", ran.stderr);
        assert!(ran.detail("metrics").contains(piece), "{expr}: {}", ran.detail("metrics"));
    }
}

#[test]
fn each_selector_is_asked_for_once_few_at_a_time_and_not_without_end() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let server = server(SERIES, |_, _| {
        MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(5));
        NOW.fetch_sub(1, Ordering::SeqCst);
        None
    });
    let few = checks(&server).threshold("errs_total + errs_total < 5").threshold("sum(errs_total) < 5");
    let ran = verify(few);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let counts = server.seen().iter().filter(|request| asked(request).0.starts_with("count(")).count();
    assert_eq!(counts, 1);
    let other = |number: i32| format!("(sum(errs_total{{revision!=\"{number}\"}}) or vector(0)) < 5");
    let many = (0..201).fold(checks(&server), |checks, number| checks.threshold(&other(number)));
    let ran = verify(many.set("metrics.timeout", "60s"));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.detail("metrics").contains("more than 200 different selectors"), "{}", ran.detail("metrics"));
    let counts = server.seen().iter().filter(|request| asked(request).0.starts_with("count(")).count();
    assert_eq!(counts, 201);
    let most = MOST.load(Ordering::SeqCst);
    assert!((2..=16).contains(&most), "{most}");
}

#[test]
fn a_part_of_an_answer_and_one_of_another_time_are_no_proof() {
    let cases: &[(&str, Json, i32, &str)] = &[
        ("isPartial", json!(true), 1, "from a part of its storage only"),
        ("partial", json!("true"), 1, "from a part of its storage only"),
        ("isPartial", json!(false), 0, "1 of"),
        ("warnings", json!(["store-1 is down"]), 0, "store-1 is down"),
        ("warnings", Json::Null, 0, ""),
    ];
    for (key, value, code, piece) in cases {
        let (key, value) = (*key, value.clone());
        let server = Canary::start(Arc::new(move |request| {
            let (query, time) = asked(request);
            let mut body = evaluated(SERIES, &query, time);
            body[key] = value.clone();
            Reply::json(200, &body.to_string())
        }));
        let ran = verify(checks(&server).threshold("sum(errs_total) <= 2"));
        assert_eq!(ran.code, *code, "{key}: {}", ran.stderr);
        assert!(piece.starts_with('1') || ran.everything().contains(piece), "{key}: {}", ran.stdout);
    }
    for (shift, code) in [(-3600.0, 1), (-59.0, 0), (61.0, 1)] {
        let server = Canary::start(Arc::new(move |request| {
            let (query, time) = asked(request);
            Reply::json(200, &evaluated(SERIES, &query, time + shift).to_string())
        }));
        let ran = verify(checks(&server).threshold("sum(errs_total) <= 2"));
        assert_eq!(ran.code, code, "{shift}: {}", ran.stderr);
        assert!(code == 0 || ran.detail("metrics").contains("the time that it is asked for"), "{}", ran.stdout);
    }
}

#[test]
fn a_server_that_does_not_answer_is_no_failure_of_the_canary() {
    let error = |kind: &str| json!({"status": "error", "errorType": kind, "error": "because"}).to_string();
    let cases: &[(u16, String, i32, &str)] = &[
        (401, error("unauthorized"), 3, "401: unauthorized: because"),
        (403, error("forbidden"), 3, "403: forbidden: because"),
        (404, error("not_found"), 3, "404"),
        (404, evaluated(SERIES, "errs_total", 0.0).to_string(), 3, "404, want 200"),
        (500, error("internal"), 3, "500"),
        (502, "<html>".into(), 3, "502"),
        (503, error("timeout"), 3, "503: timeout: because"),
        (504, String::new(), 3, "504"),
        (200, error("internal"), 3, "internal: because"),
        (200, "<html>".into(), 3, "not that of a Prometheus HTTP API"),
        (422, error("execution"), 1, "execution: because"),
        (400, error("bad_data"), 1, "bad_data: because"),
    ];
    each(cases, |(status, body, code, piece)| {
        for rule in [None, Some("expr: errs_total > 5")] {
            let (status, body) = (*status, body.clone());
            let server = Canary::start(Arc::new(move |_| Reply::json(status, &body)));
            let quick = checks(&server).set("metrics.timeout", "1500ms").set("metrics.request_timeout", "1s");
            let ran = match rule {
                Some(rule) => alerting(quick, rule),
                None => verify(quick.threshold("sum(errs_total) <= 2")),
            };
            if ran.code != *code || !ran.detail("metrics").contains(piece) {
                return Err(format!("{status} {rule:?}: exit {}: {}", ran.code, ran.detail("metrics")));
            }
        }
        Ok(())
    });
    let server = server(SERIES, |_, _| Some(Reply::json(200, "").body(Body::Hang)));
    let quick = checks(&server).set("metrics.timeout", "1s").set("metrics.request_timeout", "500ms");
    let ran = verify(quick.threshold("sum(errs_total) <= 2"));
    assert_eq!(ran.code, 3, "{}", ran.stderr);
}

#[test]
fn evaluations_of_a_window_that_fail_are_counted() {
    // Of five evaluations of the alert, the second and the third are not answered.
    for (allowed, fails, code, piece) in [
        (2, 2, 0, "does not fire"),
        (1, 2, 3, "2 of 3 evaluations failed, over the 1 that may"),
        (9, 5, 3, "all 5 evaluations failed"),
    ] {
        let count = AtomicUsize::new(0);
        let server = server(SERIES, move |query, _| {
            let number = if query == "errs_total > 5" { count.fetch_add(1, Ordering::SeqCst) } else { usize::MAX };
            let is_lost = if fails == 5 { query == "errs_total > 5" } else { number == 1 || number == 2 };
            is_lost.then(|| Reply::new(503, "text/plain", "busy").header("Retry-After", "3600"))
        });
        let watching = checks(&server)
            .set("metrics.window", "2s")
            .set("metrics.interval", "500ms")
            .set("metrics.timeout", "20s")
            .set("metrics.max_failed_scrapes", allowed);
        let ran = alerting(watching, "expr: errs_total > 5");
        assert_eq!(ran.code, code, "{}", ran.stderr);
        assert!(ran.detail("metrics").contains(piece), "{}", ran.detail("metrics"));
        assert!(code != 0 || ran.stdout.contains("2 of 5 evaluations failed"), "{}", ran.stdout);
    }
}

#[test]
fn an_alert_of_which_an_evaluation_was_lost_still_fires() {
    let count = AtomicUsize::new(0);
    let server = server(SERIES, move |query, _| {
        let is_first = query == "errs_total > 0" && count.fetch_add(1, Ordering::SeqCst) == 0;
        is_first.then(|| Reply::new(503, "text/plain", "busy").header("Retry-After", "3600"))
    });
    let watching = checks(&server)
        .set("metrics.window", "2s")
        .set("metrics.interval", "500ms")
        .set("metrics.timeout", "20s")
        .set("metrics.max_failed_scrapes", 1);
    let ran = alerting(watching, "expr: errs_total > 0, for: 5m");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.detail("metrics").contains("A: fires"), "{}", ran.detail("metrics"));
}
