//! What a threshold cannot see is no zero: samples out of its time, counters that are none, series that are gone, labels
//! that nothing has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::canary::app::{OPENMETRICS, TEXT, answer};
use crate::canary::server::{Canary, Reply, Request};
use crate::checks::Checks;
use crate::gate::{Gate, Ran, each};

/// A canary whose n-th scrape (counted from 0) is answered so.
pub fn scraped(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Canary {
    let count = AtomicUsize::new(0);
    Canary::start(Arc::new(move |request: &Request| match &*request.path {
        "/api/metrics" => reply(count.fetch_add(1, Ordering::SeqCst)),
        _ => answer(request),
    }))
}

pub fn exposing(text: impl Into<String>) -> Canary {
    let text = text.into();
    scraped(move |_| Reply::new(200, TEXT, text.clone()))
}

fn seconds_ago(ago: i64) -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap() - ago
}

pub fn one(threshold: &str) -> Checks {
    Checks::fast().set("smoke.enabled", false).set("metrics.require", Value::Array(Vec::new())).threshold(threshold)
}

pub fn judged(canary: &Canary, threshold: &str) -> Ran {
    Gate::verify(&canary.url(), one(threshold)).run()
}

const GUARDED: &str = "(sum(failure_total) or vector(0)) <= 2";

#[test]
fn a_sample_out_of_the_evaluations_time_is_no_zero() {
    // Seconds of age, how the stamp is written from seconds, the media type, the exit code, and a piece of what is said.
    type Case = (i64, fn(i64) -> String, &'static str, i32, &'static str);
    let millis: fn(i64) -> String = |seconds| format!("{seconds}000");
    let plain: fn(i64) -> String = |seconds| seconds.to_string();
    #[rustfmt::skip]
    let cases: &[Case] = &[
        (0, millis, TEXT, 1, "50, want <= 2"),
        (200, millis, TEXT, 1, "50, want <= 2"),
        (622, millis, TEXT, 1, "no data: the newest sample of failure_total"),
        (622, millis, TEXT, 1, "and 5m are looked back"),
        (86_400, millis, TEXT, 1, "1day"),
        // Seconds where milliseconds are wanted, and the reverse.
        (0, plain, TEXT, 1, "old by its timestamp"),
        (0, millis, OPENMETRICS, 1, "ahead by their timestamps"),
        (0, plain, OPENMETRICS, 1, "50, want <= 2"),
        (-2, millis, TEXT, 1, "50, want <= 2"),
        (-50, millis, TEXT, 1, "50, want <= 2"),
        (-120, millis, TEXT, 1, "no data: the samples of failure_total"),
        (-10_800, millis, TEXT, 1, "2h 59m"),
    ];
    each(cases, |(ago, stamp, media_type, code, piece)| {
        let media_type: &'static str = media_type;
        let stamp = stamp(seconds_ago(*ago));
        let text = if media_type == OPENMETRICS {
            format!("# TYPE failure counter\nfailure_total 50 {stamp}\n# EOF\n")
        } else {
            format!("# TYPE failure_total counter\nfailure_total 50 {stamp}\n")
        };
        let canary = scraped(move |_| Reply::new(200, media_type, text.clone()));
        let ran = judged(&canary, GUARDED);
        if ran.code == *code && ran.detail("metrics").contains(piece) {
            return Ok(());
        }
        Err(format!("{ago} s ago, {stamp}: exit {}, want {piece:?}: {}", ran.code, ran.stderr))
    });
}

#[test]
fn a_counter_that_is_none_is_no_data() {
    for (value, code, piece) in [
        ("-5", 1, "the counter failure_total is -5"),
        ("NaN", 1, "NaN"),
        ("-Inf", 1, "is -Inf"),
        ("2", 0, "2, want <= 2"),
    ] {
        let canary = exposing(format!("# TYPE failure_total counter\nfailure_total {value}\n"));
        let ran = judged(&canary, GUARDED);
        assert_eq!(ran.code, code, "{value}: {}", ran.stderr);
        assert!(ran.detail("metrics").contains(piece), "{value}: {}", ran.detail("metrics"));
    }
}

#[test]
fn a_counter_goes_by_both_of_its_names() {
    for (text, media_type) in [
        ("# TYPE failure counter\nfailure_total 1\n# EOF\n", OPENMETRICS),
        ("# TYPE failure counter\nfailure_total 1\n", TEXT),
    ] {
        let canary = scraped(move |_| Reply::new(200, media_type, text));
        for name in ["failure", "failure_total"] {
            let checks = one("sum(failure_total) <= 2").set("metrics.require", vec![name]);
            let ran = Gate::verify(&canary.url(), checks).run();
            assert_eq!(ran.code, 0, "{text:?} {name}: {}", ran.stderr);
        }
    }
}

#[test]
fn names_in_utf8_are_asked_for_as_they_are() {
    let canary = scraped(|_| Reply::new(200, TEXT, "# TYPE \"app.errors\" counter\n{\"app.errors\"} 50\n"));
    let ran = judged(&canary, "(sum({\"app.errors\"}) or vector(0)) <= 2");
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let asked = canary.seen().into_iter().find(|request| request.path == "/api/metrics").unwrap();
    assert!(asked.headers["accept"].contains("escaping=allow-utf-8"), "{}", asked.headers["accept"]);
}

#[test]
fn bounds_of_buckets_are_read_as_numbers() {
    let canary = exposing("# TYPE d histogram\nd_bucket{le=\"1\"} 5\nd_bucket{le=\"+Inf\"} 5\nd_sum 1\nd_count 5\n");
    let ran = judged(&canary, "d_bucket{le=\"1.0\"} >= 5");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

fn watched(canary: &Canary, checks: Checks, rules: Option<&str>) -> Ran {
    let checks = if rules.is_some() { checks.set("metrics.rules", "rules.yaml") } else { checks };
    let mut gate = Gate::verify(&canary.url(), checks);
    gate.file("rules.yaml", rules.unwrap_or_default());
    gate.run()
}

fn alert(expr: &str) -> String {
    format!("groups: [{{name: a, rules: [{{alert: A, expr: '{expr}', labels: {{severity: critical}}}}]}}]\n")
}

#[test]
fn what_is_gone_from_a_scrape_has_no_value() {
    let gone = || {
        scraped(|number| {
            let foo = if number < 5 { "foo{a=\"1\"} 1\n" } else { "" };
            Reply::new(200, TEXT, format!("{foo}foo{{a=\"2\"}} 1\n"))
        })
    };
    let watching = || Checks::watching().set("metrics.timeout", "20s");
    let ran = watched(&gone(), watching().threshold("foo{a=\"1\"} >= 1"), None);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let ran = watched(&gone(), watching().threshold("count(foo) <= 1"), None);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let ran = watched(&gone(), watching(), Some(&alert("absent(foo{a=\"1\"})")));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.detail("metrics").contains("A: fires"), "{}", ran.detail("metrics"));
}

#[test]
fn a_matcher_of_the_target_matches_as_on_a_server() {
    let canary = exposing("errors_total 5\n");
    let host = "127.0.0.1";
    for (expr, code, piece) in [
        (format!("errors_total{{job=\"{host}\"}} > 0"), 1, "A: fires"),
        ("errors_total{instance=~\"127.0.0.1:.+\"} > 0".into(), 1, "A: fires"),
        (format!("up{{job=\"{host}\"}} == 0"), 0, ""),
        ("errors_total{job=\"app\"} > 0".into(), 1, "no data"),
        ("errors_total{job=\"app\"} > 0 or errors_total > 99".into(), 1, "no data"),
        ("errors_total > 99 unless on() maintenance == 1".into(), 0, ""),
    ] {
        let checks = Checks::fast()
            .set("smoke.enabled", false)
            .set("metrics.require", Value::Array(Vec::new()))
            .set("metrics.thresholds", Value::Array(Vec::new()));
        let ran = watched(&canary, checks, Some(&alert(&expr)));
        assert_eq!(ran.code, code, "{expr}: {}", ran.stderr);
        assert!(ran.detail("metrics").contains(piece), "{expr}: {}", ran.detail("metrics"));
    }
}

#[test]
fn a_window_that_its_limit_cuts_is_no_pass() {
    // Every scrape takes longer than the interval: the time is up before the window ends.
    let canary = scraped(|_| Reply::new(200, TEXT, "errors_total 0\n"));
    let checks = Checks::watching()
        .set("metrics.window", "3s")
        .set("metrics.interval", "300ms")
        .set("metrics.timeout", "20s")
        .set("timeout", "2500ms")
        .threshold("errors_total <= 2");
    let ran = Gate::verify(&canary.url(), checks).run();
    assert_ne!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.code == 2 || ran.detail("metrics").contains("the window was cut after"), "{}", ran.stderr);
}

#[test]
fn parsing_holds_no_signal_and_no_limit_up() {
    // A body that takes longer to judge than there is time.
    let mut text = String::with_capacity(40_000_000);
    let mut index = 0;
    while text.len() < 40_000_000 {
        text.push_str(&format!("m_{index}{{a=\"{index}\"}} 1\n"));
        index += 1;
    }
    let canary = exposing(text);
    let checks = one("sum(m_1) < 2")
        .set("metrics.timeout", "1500ms")
        .set("metrics.request_timeout", "1500ms")
        .set("metrics.max_body", "64MiB");
    let ran = Gate::verify(&canary.url(), &checks).run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let took = Duration::from_millis(ran.check("metrics")["duration_ms"].as_u64().unwrap());
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[test]
fn timestamps_can_be_left_out_of_account() {
    let canary = exposing(format!("# TYPE failure_total counter\nfailure_total 1 {}000\n", seconds_ago(622)));
    let ran = Gate::verify(&canary.url(), one(GUARDED).set("metrics.honor_timestamps", false)).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("were taken as of the scrape"), "{}", ran.stdout);
}

#[test]
fn labels_of_the_target_can_be_set() {
    let canary = exposing("errors_total 5\n");
    for (labels, expr, code) in [
        (serde_json::json!({"job": "app", "team": "blue"}), "errors_total{job=\"app\", team=\"blue\"} >= 5", 0),
        (serde_json::json!({"instance": ""}), "errors_total{instance=\"\"} >= 5", 0),
        (serde_json::json!({}), "errors_total{job=\"app\"} >= 5", 1),
    ] {
        let ran = Gate::verify(&canary.url(), one(expr).set("metrics.labels", labels)).run();
        assert_eq!(ran.code, code, "{expr}: {}", ran.stderr);
    }
    let ran =
        Gate::verify(&canary.url(), one("a > 1").set("metrics.labels", serde_json::json!({"__name__": "x"}))).run();
    assert!(ran.code == 2 && ran.stderr.contains("is not a label that a series can be given"), "{}", ran.stderr);
}

#[test]
fn a_window_has_time_of_its_own_unless_the_file_says_otherwise() {
    let canary = exposing("errors_total 0\n");
    let run = |checks: &str, flags: &[&str]| Gate::verify(&canary.url(), checks).args(flags.iter().copied()).run();
    let threshold = "require: [], thresholds: [{expr: errors_total <= 2}]";
    let ran = run(
        &format!("smoke: {{enabled: false}}\nmetrics: {{window: 31s, interval: 31s, {threshold}}}\ntimeout: 5s\n"),
        &[],
    );
    assert!(
        ran.code == 2 && ran.stderr.contains("does not fit into the limit of the whole run (5s)"),
        "{}",
        ran.stderr
    );
    let ran = run(&format!("metrics: {{window: 31s, timeout: 20s, {threshold}}}\n"), &[]);
    assert!(ran.code == 2 && ran.stderr.contains("does not fit into metrics.timeout (20s)"), "{}", ran.stderr);
    let ran = run(&format!("metrics: {{{threshold}}}\n"), &["--timeout", "3s", "--window", "12s"]);
    assert!(
        ran.code == 2 && ran.stderr.contains("does not fit into the limit of the whole run (3s)"),
        "{}",
        ran.stderr
    );
    assert!(canary.seen().is_empty());
    // The default's limit of 30 s was made for one scrape.
    let mut gate = Gate::new().args(["checks", "--validate", "checks.yaml"]);
    gate.file("checks.yaml", format!("metrics: {{window: 2m, {threshold}}}\n"));
    let ran = gate.run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}
