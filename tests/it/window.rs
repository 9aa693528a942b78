//! Metrics over a window: rates, instances behind a load balancer, the stable revision beside the canary, alerts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::canary::Request;
use crate::canary::app::{TEXT, answer};
use crate::canary::server::{Canary, Reply};
use crate::checks::Checks;
use crate::forward::forward;
use crate::gate::{Gate, Ran, each};

/// A canary whose metrics depend on the time since its first request: it does not matter how late the gate starts.
fn exposing(metrics: impl Fn(Duration) -> String + Send + Sync + 'static) -> Canary {
    answering(move |request| exposition(metrics(request.since_first)))
}

/// A canary that answers requests for its metrics in its own way.
fn answering(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Canary {
    Canary::start(Arc::new(move |request| match &*request.path {
        "/api/metrics" => reply(request),
        _ => answer(request),
    }))
}

fn exposition(text: impl Into<Vec<u8>>) -> Reply {
    Reply::new(200, TEXT, text)
}

fn counters(requests: usize, errors: usize) -> String {
    format!(
        "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1.5\n\
         # TYPE requests_total counter\nrequests_total {requests}\n# TYPE errors_total counter\nerrors_total {errors}\n"
    )
}

/// A counter that grows at a rate per second.
fn growing(since: Duration, rate: u128) -> usize {
    usize::try_from(1000 + since.as_millis() * rate / 1000).unwrap()
}

fn seen<'r>(ran: &'r Ran, expression: &str) -> &'r Value {
    let observations = ran.check("metrics")["observations"].as_array().unwrap();
    observations.iter().find(|seen| seen["expression"] == expression).unwrap_or_else(|| panic!("{}", ran.stderr))
}

fn notes(ran: &Ran, name: &str) -> Vec<String> {
    let observations = ran.check("metrics")["observations"].as_array().unwrap();
    let named = observations.iter().filter(|seen| seen["kind"] == "note" && seen["name"] == name);
    named.map(|seen| seen["detail"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn rates_are_those_of_the_window() {
    let canary = exposing(|since| counters(growing(since, 1000), growing(since, 100)));
    let ratio = "sum(rate(errors_total[3s])) / sum(rate(requests_total[3s])) < 0.2";
    let rate = "sum(rate(requests_total[3s])) > 500";
    let ran = Gate::verify(&canary.url(), Checks::watching().threshold(ratio).threshold(rate)).run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let value = seen(&ran, rate)["value"].as_f64().unwrap();
    assert!((500.0..2000.0).contains(&value), "{value}");
    assert_eq!(ran.check("metrics")["attempts"], 11);
    assert_eq!(notes(&ran, "instances"), ["one instance answered all 11 scrapes"]);
    assert!(ran.stderr.contains("metrics: scrape 3 of 11"), "{}", ran.stderr);
}

#[test]
fn one_scrape_gives_no_rate_and_that_is_no_pass() {
    let canary = exposing(|since| counters(growing(since, 1000), growing(since, 0)));
    let expr = "sum(rate(errors_total[1m])) < 1";
    let checks = Checks::watching().threshold(expr).set("metrics.window", Value::Null);
    let ran = Gate::verify(&canary.url(), checks).run();
    assert_eq!((ran.code, &seen(&ran, expr)["verdict"]), (1, &"no_data".into()));
    assert!(ran.detail("metrics").contains("too few scrapes"), "{}", ran.detail("metrics"));
}

#[test]
fn traffic_that_stops_is_said() {
    // The first four of eleven scrapes see traffic.
    let canary = answering(|scrape| exposition(counters(100 * scrape.before.min(3), 0)));
    let checks = Checks::watching().threshold("sum(increase(requests_total[3s])) > 1");
    let ran = Gate::verify(&canary.url(), checks).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(notes(&ran, "traffic")[0].contains("traffic stopped in mid-window"), "{:?}", notes(&ran, "traffic"));
}

#[test]
fn a_failing_threshold_can_end_the_window_early() {
    let canary = exposing(|since| counters(growing(since, 1000), growing(since, 1000)));
    let expr = "sum(increase(errors_total[10s])) < 5";
    let checks = Checks::watching().threshold(expr).set("metrics.fail_fast", true).set("metrics.window", "15s");
    let ran = Gate::verify(&canary.url(), checks).run();
    assert_eq!((ran.code, ran.status("metrics")), (1, "fail"));
    assert!(notes(&ran, "window")[0].contains("of 51 scrapes (fail_fast)"), "{}", ran.report);
    let scrapes = canary.seen().iter().filter(|request| request.path == "/api/metrics").count();
    assert!(scrapes < 20, "{scrapes} scrapes");
}

#[test]
fn failed_scrapes_are_counted_and_bounded() {
    each(&[(3, 0), (1, 1)], |&(allowed, code)| {
        // Two scrapes fail and are not retried: the canary asks to wait for longer than the window.
        let canary = answering(|scrape| match scrape.before {
            2 | 3 => Reply::new(503, "text/plain", "busy").header("Retry-After", "3600"),
            before => exposition(counters(100 * before, 0)),
        });
        let checks = Checks::watching().threshold("sum(increase(requests_total[3s])) > 1");
        let checks = checks.set("metrics.max_failed_scrapes", allowed);
        let ran = Gate::verify(&canary.url(), checks).run();
        assert_eq!(ran.code, code, "{}{}", ran.stdout, ran.stderr);
        if code == 0 {
            assert!(notes(&ran, "window")[0].contains("of 11 scrapes failed"), "{}", ran.report);
        } else {
            assert!(ran.detail("metrics").contains("scrapes failed, over the 1 that may"), "{}", ran.detail("metrics"));
        }
        Ok(())
    });
}

#[test]
fn a_scrape_that_comes_late_takes_no_other_ones_time() {
    // The third one is refused for longer than its interval, and would be answered if it were tried on.
    let refused = std::sync::OnceLock::new();
    let canary = answering(move |scrape| match scrape.before {
        before @ ..2 => exposition(counters(100 * before, 0)),
        _ if refused.get_or_init(Instant::now).elapsed() < Duration::from_millis(700) => {
            Reply::new(503, "text/plain", "busy")
        }
        before => exposition(counters(100 * before, 0)),
    });
    let checks = Checks::watching().threshold("sum(requests_total) > 1").set("metrics.max_failed_scrapes", 0);
    let ran = Gate::verify(&canary.url(), checks).run();
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.detail("metrics").contains("scrapes failed, over the 0 that may"), "{}", ran.detail("metrics"));
}

#[test]
fn a_broken_exposition_is_no_scrape_that_may_fail() {
    let canary = answering(|scrape| match scrape.before {
        3 => exposition("# TYPE requests_total counter\nrequests_total{ 1\n"),
        before => exposition(counters(100 * before, 0)),
    });
    let checks = Checks::watching().threshold("sum(requests_total) > 1").set("metrics.max_failed_scrapes", 5);
    let ran = Gate::verify(&canary.url(), checks).run();
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert!(ran.detail("metrics").contains("line 2"), "{}", ran.detail("metrics"));
}

/// A load balancer over three instances whose counters are far apart and grow at the same rate. A sticky one honours a
/// cookie; anonymous instances expose nothing that tells them apart.
fn balanced(sticky: bool, anonymous: bool) -> (Canary, Vec<Canary>) {
    let instances: Vec<Canary> = (1..=3_u32)
        .map(|number| {
            exposing(move |since| {
                let count = f64::from(number) * 100_000.0 + (since.as_secs_f64() * 1000.0).floor();
                let start = if anonymous { String::new() } else { format!("process_start_time_seconds {number}\n") };
                format!("{start}# TYPE requests_total counter\nrequests_total {count}\n")
            })
        })
        .collect();
    let addresses: Vec<String> = instances.iter().map(Canary::url).collect();
    let turn = AtomicUsize::new(0);
    let balancer = Canary::start(Arc::new(move |request: &Request| {
        let cookie = request.headers.get("cookie").and_then(|cookie| cookie.strip_prefix("affinity=")?.parse().ok());
        let index = cookie.filter(|_| sticky).unwrap_or_else(|| turn.fetch_add(1, Ordering::SeqCst) % 3);
        let reply = forward(&addresses[index], request);
        if sticky { reply.header("Set-Cookie", &format!("affinity={index}; Path=/; HttpOnly")) } else { reply }
    }));
    (balancer, instances)
}

#[test]
fn behind_a_load_balancer_no_rate_mixes_two_instances() {
    let expr = "max(rate(requests_total[3s])) < 2000";
    each(&[true, false], |&sticky| {
        let (balancer, _instances) = balanced(sticky, false);
        let ran = Gate::verify(&balancer.url(), Checks::watching().threshold(expr)).run();
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        let met = notes(&ran, "instances");
        if sticky {
            assert_eq!(met, ["one instance answered all 11 scrapes"]);
        } else {
            let value = seen(&ran, expr)["value"].as_f64().unwrap();
            assert!((400.0..2000.0).contains(&value), "{value}");
            assert!(met[0].starts_with("3 instances answered, with 4, 4, 3 scrapes"), "{met:?}");
        }
        Ok(())
    });
}

#[test]
fn instances_that_cannot_be_told_apart_are_warned_of() {
    let (balancer, _instances) = balanced(false, true);
    let checks = Checks::watching().threshold("max(rate(requests_total[3s])) > 0");
    let ran = Gate::verify(&balancer.url(), checks).run();
    assert_eq!(ran.status("metrics"), "warn", "{}", ran.stderr);
    assert!(
        ran.detail("metrics").contains("requests_total went down between two scrapes"),
        "{}",
        ran.detail("metrics")
    );
}

#[test]
fn canary_and_stable_are_compared() {
    let histogram = |since: Duration, slow: f64| {
        let count = 1000.0 + (since.as_secs_f64() * 1000.0).floor();
        format!(
            "process_start_time_seconds 5\n# TYPE d histogram\nd_bucket{{le=\"0.1\"}} {}\nd_bucket{{le=\"1\"}} {count}\n\
             d_bucket{{le=\"+Inf\"}} {count}\nd_sum 1\nd_count {count}\n",
            (count * (1.0 - slow)).floor()
        )
    };
    let stable = exposing(move |since| histogram(since, 0.01));
    let p95 =
        |target: &str| format!("histogram_quantile(0.95, sum by (le) (rate(d_bucket{{target=\"{target}\"}}[3s])))");
    let expr = format!("{} < 2 * {}", p95("canary"), p95("stable"));
    let both = "count(histogram_quantile(0.95, sum by (le, target) (rate(d_bucket[3s])))) == 2";
    each(&[(0.01, 0), (0.3, 1)], |&(slow, code)| {
        let canary = exposing(move |since| histogram(since, slow));
        let checks = Checks::watching().threshold(&expr).threshold(both).set("metrics.baseline", stable.url());
        let ran = Gate::verify(&canary.url(), checks).run();
        assert_eq!(ran.code, code, "{}{}", ran.stdout, ran.stderr);
        assert_eq!(seen(&ran, both)["verdict"], "pass");
        assert_eq!(notes(&ran, "instances of stable"), ["one instance answered all 11 scrapes"]);
        Ok(())
    });
}

#[test]
fn a_stable_revision_that_is_down_is_named() {
    let canary = exposing(|since| counters(growing(since, 10), growing(since, 0)));
    let checks = Checks::watching().threshold("sum(requests_total) > 0").set("metrics.baseline", "http://127.0.0.1:1");
    let ran = Gate::verify(&canary.url(), checks).run();
    // It stands beside the canary: that it cannot be seen is no failure of the canary.
    assert_eq!((ran.code, ran.status("metrics")), (3, "error"));
    assert!(
        ran.detail("metrics").contains("the stable revision: GET /api/metrics: the connection was refused"),
        "{}",
        ran.detail("metrics")
    );
}

const RULES: &str = "
groups:
- name: app
  labels: {severity: critical}
  rules:
  - record: error_ratio
    expr: sum(rate(errors_total[1500ms])) / sum(rate(requests_total[1500ms]))
  - alert: ManyErrors
    expr: error_ratio > 0.2
    for: 900ms
    annotations: {summary: too many errors}
  - alert: Down
    expr: up == 0
  - alert: Busy
    expr: sum(rate(requests_total[1500ms])) > 100
    for: 5m
    labels: {severity: warning}
";

fn run_rules(canary: &Canary, rules: &str) -> Ran {
    let mut gate = Gate::verify(&canary.url(), Checks::watching().set("metrics.rules", "rules.yaml"));
    gate.file("rules.yaml", rules);
    gate.run()
}

#[test]
fn alerts_of_a_rules_file_gate_as_they_are() {
    each(&[10, 500], |&errors| {
        let canary = exposing(move |since| counters(growing(since, 1000), growing(since, errors)));
        let ran = run_rules(&canary, RULES);
        if errors == 10 {
            assert_eq!((ran.code, ran.status("metrics")), (0, "warn"), "{}{}", ran.stdout, ran.stderr);
            assert_eq!(seen(&ran, "error_ratio > 0.2")["detail"], "does not fire");
        } else {
            assert_eq!((ran.code, ran.status("metrics")), (1, "fail"), "{}{}", ran.stdout, ran.stderr);
            let detail = ran.detail("metrics");
            assert!(detail.starts_with("ManyErrors: fires: error_ratio{severity=\"critical\"} 0."), "{detail}");
            assert!(detail.contains("too many errors"), "{detail}");
        }
        Ok(())
    });
}

#[test]
fn an_alert_over_metrics_that_do_not_exist_has_no_data() {
    let canary = exposing(|since| counters(growing(since, 1000), growing(since, 0)));
    let ran = run_rules(&canary, "groups: [{name: a, rules: [{alert: Lost, expr: 'lost_errors_total > 5'}]}]");
    assert_eq!((ran.code, ran.status("metrics")), (1, "fail"));
    assert!(
        ran.detail("metrics").contains("Lost: no data: there is no metric lost_errors_total"),
        "{}",
        ran.detail("metrics")
    );
}

#[test]
fn bad_windows_and_rules_are_named_before_any_request() {
    let canary = exposing(|_| String::new());
    let base = Checks::watching().threshold("a > 1");
    let with = |keys: &[(&str, &str)]| {
        keys.iter().fold(base.clone(), |checks, (key, value)| checks.set(&format!("metrics.{key}"), *value))
    };
    for (checks, piece) in [
        (with(&[("window", "40s")]), "metrics.window (40s) does not fit into metrics.timeout (20s)"),
        (with(&[("interval", "0s")]), "must be greater than 0"),
        (with(&[("window", "1s"), ("interval", "2s")]), "metrics.interval (2s) is longer than metrics.window (1s)"),
        (with(&[("rules", "missing.yaml")]), "missing.yaml: the file cannot be opened"),
        (with(&[("rules", "bad.yaml")]), "bad.yaml:1:51: unknown key \"exp\"; did you mean \"expr\"?"),
        (with(&[("source", "prometheus")]), "source: prometheus needs metrics.url"),
        (with(&[("url", "http://127.0.0.1:9090")]), "belong to source: prometheus"),
        (
            with(&[("source", "prometheus"), ("url", "http://x"), ("baseline", "http://y")]),
            "tell revisions apart by their labels",
        ),
        (
            with(&[("source", "prometheus"), ("url", "http://x"), ("token", "abcdef")]),
            "secrets are never written inline",
        ),
        (with(&[("baseline", "stable.example.com")]), "has no scheme"),
    ] {
        let mut gate = Gate::verify(&canary.url(), &checks);
        gate.file("bad.yaml", "groups: [{name: a, rules: [{alert: A, labels: {}, exp: x}]}]");
        let ran = gate.run();
        assert_eq!(ran.code, 2, "{checks}: {}", ran.stderr);
        assert!(ran.stderr.contains(piece), "{checks}: {}", ran.stderr);
    }
    assert!(canary.seen().is_empty());
}
