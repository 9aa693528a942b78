//! Alerts as a gate: they mean what they mean on a Prometheus server, and what cannot be told is no silence.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::canary::app::{TEXT, answer};
use crate::canary::server::{Canary, Reply, Request};
use crate::checks::Checks;
use crate::gate::{Gate, Ran, each};

/// A canary whose n-th scrape (counted from 0) exposes so.
fn scraped(text: impl Fn(usize) -> String + Send + Sync + 'static) -> Canary {
    let count = AtomicUsize::new(0);
    Canary::start(Arc::new(move |request: &Request| match &*request.path {
        "/api/metrics" => Reply::new(200, TEXT, text(count.fetch_add(1, Ordering::SeqCst))),
        _ => answer(request),
    }))
}

/// One scrape, or a window of six.
fn checks(windowed: bool) -> Checks {
    let checks = Checks::watching().set("metrics.window", "1500ms");
    if windowed { checks } else { checks.set("metrics.window", Value::Null) }
}

fn judged(canary: &Canary, checks: Checks, files: &[(&str, &str)]) -> Ran {
    let mut gate = Gate::verify(&canary.url(), checks);
    std::fs::create_dir(gate.folder().join("rules")).unwrap();
    for (name, text) in files {
        gate.file(name, text);
    }
    gate.run()
}

fn ruled(canary: &Canary, checks: Checks, rules: &str) -> Ran {
    judged(canary, checks.set("metrics.rules", "rules.yaml"), &[("rules.yaml", rules)])
}

fn group(rules: &str) -> String {
    format!(
        "groups:\n- name: a\n  rules:\n{}",
        rules.lines().map(|rule| format!("  - {{{rule}}}\n")).collect::<String>()
    )
}

/// The detail of the alert of this name.
fn said<'r>(ran: &'r Ran, alert: &str) -> &'r str {
    let observations = ran.check("metrics")["observations"].as_array().unwrap();
    let seen = observations.iter().find(|seen| seen["name"] == alert).unwrap_or_else(|| panic!("{}", ran.stderr));
    seen["detail"].as_str().unwrap()
}

#[test]
fn what_one_scrape_tells_of_an_alert() {
    const METRICS: &str = "# TYPE a gauge\na{x=\"1\"} 5\na{x=\"2\"} 7\n# TYPE errors_total counter\n# TYPE fell_total counter\nfell_total -1\n# TYPE hits_total counter\nhits_total 4\n\
                           # TYPE d histogram\nd_bucket{le=\"1\"} 3\nd_bucket{le=\"+Inf\"} 3\nd_sum 1\nd_count 3\n";
    each(
        &[
            ("alert: A, expr: 1", 1, "fires: 1"),
            ("record: lim, expr: 6\nalert: A, expr: a > on() group_left() lim", 1, "fires: a{x=\"2\"} 7"),
            ("record: my.rec, expr: a\nalert: A, expr: '{\"my.rec\"} > 9'", 0, "does not fire"),
            // Rules see what the others give, also those behind them: a server would, a turn later.
            ("record: r, expr: a * 2\nrecord: s, expr: sum(r)\nalert: A, expr: s == 24", 1, "fires: s 24"),
            ("alert: A, expr: r > 6\nrecord: r, expr: a", 1, "fires: r{x=\"2\"} 7"),
            ("alert: A, expr: s > 9\nrecord: s, expr: r\nrecord: r, expr: a", 0, "does not fire"),
            ("alert: A, expr: s > 6\nrecord: s, expr: r\nrecord: r, expr: a", 1, "fires: s{x=\"2\"} 7"),
            // The states of alerts.
            (
                "alert: X, expr: a > 6, labels: {severity: info}\nalert: A, expr: 'ALERTS{alertname=\"X\",alertstate=\"firing\"} == 1'",
                1,
                "fires: ALERTS{alertname=\"X\", alertstate=\"firing\", severity=\"info\", x=\"2\"} 1",
            ),
            ("alert: X, expr: a > 9\nalert: A, expr: 'ALERTS{alertname=\"X\"} == 1'", 0, "does not fire"),
            (
                "alert: X, expr: a > 9\nalert: A, expr: 'ALERTS{alertname=\"Y\"} == 1'",
                1,
                "no data: no alert of the rules has",
            ),
            (
                "alert: X, expr: a > 9, labels: {team: a}\nalert: A, expr: 'ALERTS{team=\"b\"} == 1'",
                1,
                "no data: the rules that would make it only read one another",
            ),
            ("alert: X, expr: a > 9\nalert: A, expr: 'ALERTS{alertname!=\"A\"} == 1'", 0, "does not fire"),
            ("alert: X, expr: ALERTS == 1\nalert: A, expr: ALERTS == 1", 1, "no data: "),
            (
                "alert: X, expr: lost > 9\nalert: A, expr: 'ALERTS{alertname=\"X\"} == 1'",
                1,
                "no data: of the rule X: there is no metric lost",
            ),
            ("alert: A, expr: a > 6\nalert: B, expr: time() - ALERTS_FOR_STATE < 60", 1, "fires: a{x=\"2\"} 7"),
            // Rules that cannot tell.
            ("record: r, expr: sum(lost)\nalert: A, expr: r > 1", 1, "no data: of the rule r: there is no metric lost"),
            (
                "record: r, expr: a, labels: {x: same}\nalert: A, expr: r > 9",
                1,
                "no data: the rule r cannot be evaluated: two of its elements",
            ),
            (
                "record: r, expr: a\nalert: A, expr: 'r{x=\"3\"} > 1'",
                1,
                "no data: the rule r gives no series with the labels",
            ),
            ("record: r, expr: a > 6\nalert: A, expr: 'r{x=\"1\"} > 1'", 0, "does not fire"),
            ("alert: A, expr: 'a > 1', labels: {x: same}", 1, "no data: it cannot be evaluated: two of its elements"),
            ("alert: A, expr: 'rate(hits_total[1m]) > 1'", 1, "no data: there are too few scrapes for its range"),
            (
                "record: r, expr: 'rate(hits_total[1m])'\nalert: A, expr: r > 1",
                1,
                "no data: of the rule r: there are too few scrapes",
            ),
            ("alert: A, expr: 'rate(errors_total[1m]) > 1'", 0, "does not fire"),
            (
                "alert: A, expr: 'histogram_quantile(0.9, rate(d[1m])) > 1'",
                1,
                "no data: d is a histogram and no series: its samples end in _bucket, _sum and _count; write d_bucket",
            ),
            (
                "alert: X, expr: a > 1, labels: {x: same}\nalert: A, expr: 'ALERTS{alertname=\"X\"} == 1'",
                1,
                "no data: the rule X cannot be evaluated: two of its elements",
            ),
            (
                "record: r, expr: sum(fell_total)\nalert: A, expr: r > 1",
                1,
                "no data: of the rule r: the counter fell_total is -1",
            ),
            // What is said of it.
            (
                "alert: A, expr: a > 5, annotations: {summary: '{{ $labels.x }} has {{ $value }}, {{ $value | humanize }}'}",
                1,
                "; 2 has 7, {{ $value | humanize }}",
            ),
            (
                "alert: A, expr: a > 5, for: 5m",
                1,
                "fires: a{x=\"2\"} 7 (for the whole window; its for of 5m is longer)",
            ),
            ("alert: A, expr: a > 9, for: 5m", 0, "does not fire (its for of 5m is longer than the window)"),
            // A rule that nobody reads may fail.
            ("record: r, expr: a, labels: {x: same}\nalert: A, expr: a > 9", 0, "does not fire"),
        ],
        |(rules, code, wanted)| {
            let ran = ruled(&scraped(|_| METRICS.into()), checks(false), &group(rules));
            let said = said(&ran, "A");
            if ran.code == *code && said.contains(wanted) {
                Ok(())
            } else {
                Err(format!("{rules}: exit {}: {said}", ran.code))
            }
        },
    );
}

#[test]
fn what_a_window_tells_of_an_alert() {
    // The gauge is high from the third scrape on, or in the first two only; one series ends.
    let metrics = |scrape: usize| {
        let ending = if scrape < 3 { "e 7\n" } else { "" };
        format!(
            "late {}\nearly {}\ngrows_total {scrape}\n{ending}",
            9 * usize::from(scrape > 1),
            9 * usize::from(scrape < 2)
        )
    };
    each(
        &[
            ("alert: A, expr: early > 5", 0, "does not fire"),
            ("alert: A, expr: early > 5, keep_firing_for: 5m", 1, "fires: early 9, kept firing for"),
            ("alert: A, expr: early > 5, keep_firing_for: 300ms", 0, "does not fire"),
            ("alert: A, expr: late > 5, for: 100ms", 1, "fires: late 9, active for"),
            ("alert: A, expr: late > 5, for: 1200ms", 0, "does not fire: 1 pending, active for"),
            (
                "alert: A, expr: late > 5, for: 5m",
                0,
                "of its for of 5m, which is longer than the window: it fires when it is active in all of it",
            ),
            ("alert: A, expr: grows_total >= 1, for: 5m", 1, "(for the whole window; its for of 5m is longer)"),
            // A recorded series ends when its rule gives nothing, and so does the state of an alert.
            ("record: r, expr: e * 2\nalert: A, expr: r > 1", 0, "does not fire"),
            ("record: r, expr: e * 2\nalert: A, expr: absent(r)", 1, "fires"),
            ("alert: X, expr: early > 5\nalert: A, expr: 'count(ALERTS{alertname=\"X\"}) > 0'", 0, "does not fire"),
            (
                "alert: A, expr: 'rate(grows_total[100ms]) > 99'",
                1,
                "no data: its range is too short to hold two samples",
            ),
            ("alert: A, expr: 'rate(grows_total[1s]) > 99'", 0, "does not fire"),
        ],
        |(rules, code, wanted)| {
            let ran = ruled(&scraped(metrics), checks(true), &group(rules));
            let said = said(&ran, "A");
            if ran.code == *code && said.contains(wanted) {
                Ok(())
            } else {
                Err(format!("{rules}: exit {}: {said}", ran.code))
            }
        },
    );
}

#[test]
fn an_alert_on_a_quantile_needs_buckets_that_tell_it() {
    const BEYOND: &str = "the quantile lies beyond the highest bucket bound, 1: how far is not known";
    // A tenth of the observations is beyond 1 second.
    let metrics = |_| {
        "# TYPE d histogram\nd_bucket{le=\"0.1\"} 50\nd_bucket{le=\"1\"} 90\nd_bucket{le=\"+Inf\"} 100\nd_sum 60\nd_count 100\n"
            .to_owned()
    };
    each(
        &[
            ("alert: A, expr: 'histogram_quantile(0.9, d_bucket) > 2'", 0, "does not fire"),
            ("alert: A, expr: 'histogram_quantile(0.95, d_bucket) > 2'", 1, BEYOND),
            ("alert: A, expr: 'histogram_quantile(0.95, d_bucket) > 0.5'", 1, "fires: 1"),
            ("alert: A, expr: 'histogram_quantile(0.95, d_bucket) < 0.5'", 0, "does not fire"),
            ("alert: A, expr: 'histogram_quantile(0.95, d_bucket) > 2 and d_count > 1000'", 0, "does not fire"),
            ("record: r, expr: 'histogram_quantile(0.95, d_bucket)'\nalert: A, expr: r > 2", 1, BEYOND),
            ("record: r, expr: 'histogram_quantile(0.9, d_bucket)'\nalert: A, expr: r > 2", 0, "does not fire"),
        ],
        |(rules, code, wanted)| {
            let ran = ruled(&scraped(metrics), checks(false), &group(rules));
            let said = said(&ran, "A");
            if ran.code == *code && said.contains(wanted) {
                Ok(())
            } else {
                Err(format!("{rules}: exit {}: {said}", ran.code))
            }
        },
    );
}

#[test]
fn a_group_has_labels_and_a_limit() {
    let metrics = |_| "a{x=\"1\"} 5\na{x=\"2\"} 7\n".to_owned();
    for (limit, code, wanted) in [
        (2, 1, "fires: a{x=\"2\"} 7; a{x=\"1\"} 5"),
        (
            1,
            1,
            "no data: it cannot be evaluated: 2 of its elements are pending or firing, over the 1 of its group's limit",
        ),
    ] {
        let rules = format!("groups:\n- {{name: a, limit: {limit}, rules: [{{alert: A, expr: a > 1}}]}}\n");
        let ran = ruled(&scraped(metrics), checks(false), &rules);
        assert_eq!(ran.code, code, "{limit}: {}", ran.stderr);
        assert!(said(&ran, "A").contains(wanted), "{limit}: {}", said(&ran, "A"));
    }
    let rules = "groups:\n- {name: a, limit: 1, rules: [{record: r, expr: a}, {alert: A, expr: r > 9}]}\n";
    let ran = ruled(&scraped(metrics), checks(false), rules);
    assert!(
        said(&ran, "A").contains("the rule r cannot be evaluated: it gives 2 series, over the 1"),
        "{}",
        said(&ran, "A")
    );
    // A rule's own label beats its group's, and the alert's beat those of its elements.
    let rules = "groups:\n- {name: a, labels: {severity: page, x: g}, rules: [{alert: X, expr: 'a > 6', labels: {severity: info}}, \
                 {alert: A, expr: 'ALERTS{alertname=\"X\", severity=\"info\", x=\"g\"} == 1'}]}\n";
    assert!(said(&ruled(&scraped(metrics), checks(false), rules), "A").starts_with("fires"));
}

#[test]
fn rules_come_from_several_files_and_patterns() {
    let metrics = |_| "a 5\n".to_owned();
    let files = [
        ("rules/1-records.yml", "groups: [{name: r, rules: [{record: r, expr: a * 2}]}]"),
        ("rules/2-alerts.yml", "groups: [{name: a, rules: [{alert: A, expr: r > 9}]}]"),
        ("more.rules", "groups: [{name: a, rules: [{alert: B, expr: r > 10}]}]"),
    ];
    for (rules, code, wanted) in [
        (json!("rules/*.yml"), 1, "A: fires: r 10"),
        (json!(["rules/1-records.yml", "more.rules"]), 0, "B: does not fire"),
        (json!(["rules/[1-2]*.yml", "more.rules", "rules/2-alerts.yml"]), 1, "A: fires: r 10"),
    ] {
        let ran = judged(&scraped(metrics), checks(false).set("metrics.rules", rules.clone()), &files);
        assert_eq!(ran.code, code, "{rules}: {}", ran.stderr);
        assert!(ran.detail("metrics").contains(wanted), "{rules}: {}", ran.detail("metrics"));
    }
    for (rules, wanted) in [
        (json!("rules/*.yaml"), "no rules file fits \"rules/*.yaml\""),
        (json!("rules/1-records.yml"), "the rules have no alert, and no threshold reads what they record"),
        (json!(["more.rules", "none.yml"]), "none.yml: the file cannot be opened"),
    ] {
        let ran = judged(&scraped(metrics), checks(false).set("metrics.rules", rules.clone()), &files);
        assert_eq!(ran.code, 2, "{rules}: {}", ran.stderr);
        assert!(ran.stderr.contains(wanted), "{rules}: {}", ran.stderr);
    }
}

#[test]
fn a_rules_file_may_have_four_megabytes() {
    let of = |bytes: usize| {
        let comment = format!("# {}\n", "x".repeat(98));
        format!("groups: [{{name: a, rules: [{{alert: A, expr: a > 9}}]}}]\n{}", comment.repeat(bytes / comment.len()))
    };
    let ran = ruled(&scraped(|_| "a 5\n".into()), checks(false), &of(4_000_000));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let ran = ruled(&scraped(|_| "a 5\n".into()), checks(false), &of(4_300_000));
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("the file is over 4 MiB"), "{}", ran.stderr);
}

#[test]
fn hints_make_a_pass_of_no_data_for_counters_of_failures_only() {
    const METRICS: &str = "# TYPE app_errors_total counter\n# TYPE logins_total counter\n# TYPE depth gauge\n# TYPE seconds histogram\n\
                           # TYPE latency histogram\nlatency_bucket{le=\"1\"} 3\nlatency_bucket{le=\"+Inf\"} 3\nlatency_sum 1\nlatency_count 3\n\
                           # TYPE took summary\ntook_sum 1\ntook_count 1\n";
    each(
        &[
            ("app_errors_total < 1", "declared but has no sample yet (write \"or vector(0)\" where none means zero)"),
            ("logins_total < 1", "declared but has no sample yet: nothing was counted"),
            ("depth < 1", "declared but has no sample yet: no value was set"),
            ("seconds_bucket < 1", "declared but has no sample yet: nothing was observed"),
            ("histogram_quantile(0.9, rate(latency[1m])) < 1", "write latency_bucket for its buckets"),
            ("took < 1", "took is a summary without quantiles and no series: its samples end in _sum and _count"),
        ],
        |(threshold, wanted)| {
            let ran = judged(&scraped(|_| METRICS.into()), checks(false).threshold(threshold), &[]);
            let detail = ran.detail("metrics");
            let hint = detail.contains("vector(0)");
            if ran.code == 1 && detail.contains(wanted) && hint == threshold.contains("errors") {
                return Ok(());
            }
            Err(format!("{threshold}: exit {}: {detail}", ran.code))
        },
    );
}
