//! What a recorded run did not look at is no pass: not by another plan, and not where a part of the evidence is gone.

use std::fs;

use serde_json::{Value, json};

use crate::canary::{FAULTS, Fault};
use crate::checks::Checks;
use crate::gate::{Gate, Ran, each};
use crate::replay::{Shelf, counting, traffic};

/// Metrics with a lag of 5 for so many milliseconds, and of 1 after them.
fn lagging(milliseconds: u128) -> impl Fn(u128) -> String {
    move |since| format!("# TYPE lag gauge\nlag {}\n", if since < milliseconds { 5 } else { 1 })
}

fn lag(limit: u32) -> Checks {
    let checks = Checks::watching().set("metrics.require", json!([])).set("metrics.thresholds", json!([]));
    checks.threshold(&format!("lag < {limit}"))
}

impl Shelf {
    /// Judges one file by a checks file.
    fn judge_by(&self, name: &str, checks: &str) -> Ran {
        let mut gate = Gate::new();
        gate.file("new.yaml", checks);
        let path = self.path(name);
        gate.args(["replay", path.to_str().unwrap(), "--checks", "new.yaml", "--report", "json=report.json"]).run()
    }

    /// A run of a canary that is well, by a checks file.
    fn healthy(&self, name: &str, checks: Checks) {
        let canary = counting(lagging(0));
        let ran = self.of(name, Gate::verify(&canary.url(), checks)).run();
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    }
}

/// No verdict, and nothing that reads as a pass; with why.
fn is_open(ran: &Ran, piece: &str) -> Result<(), String> {
    let is = ran.code == 3
        && ran.report["verdict"] == "error"
        && !ran.stdout.contains("\nPASS")
        && ran.stderr.contains("not judged again: ")
        && ran.stderr.contains(piece);
    if is { Ok(()) } else { Err(format!("{piece}: exit {}\n{}{}", ran.code, ran.stdout, ran.stderr)) }
}

#[test]
fn a_window_that_was_stopped_is_no_pass_of_other_thresholds() {
    let shelf = Shelf::new();
    let canary = counting(lagging(u128::MAX));
    let ran = shelf.of("e.gz", Gate::verify(&canary.url(), lag(3).set("metrics.fail_fast", true))).run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stdout.contains("stopped after 1 of "), "{}", ran.stdout);
    // Nobody saw the rest of the window.
    let ran = shelf.judge_by("e.gz", &lag(9).to_string());
    assert!(ran.stderr.contains("by these thresholds it would have gone on"), "{}", ran.stderr);
    assert_eq!((ran.code, ran.status("metrics")), (1, "fail"), "{}", ran.stdout);
    // What fails there too would have stopped it there.
    let ran = shelf.judge_by("e.gz", &lag(4).to_string());
    assert_eq!((ran.code, &*ran.stderr), (1, ""), "{}", ran.stdout);
    assert!(ran.stdout.contains("want < 4") && ran.stdout.contains("stopped after 1 of "), "{}", ran.stdout);
}

#[test]
fn a_failure_that_would_have_stopped_a_window_is_seen_also_where_it_passed_by() {
    let shelf = Shelf::new();
    let canary = counting(lagging(300));
    let checks = |limit| lag(limit).set("metrics.fail_fast", true).set("metrics.window", "1s");
    let ran = shelf.of("e.gz", Gate::verify(&canary.url(), checks(9))).run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let ran = shelf.judge_by("e.gz", &checks(3).to_string());
    assert_eq!((ran.code, ran.detail("metrics"), &*ran.stderr), (1, "lag < 3: lag 5, want < 3", ""), "{}", ran.stdout);
    assert_eq!(ran.stdout.matches("stopped after 1 of ").count(), 1, "{}", ran.stdout);
    // Without fail_fast only the end counts.
    let other = Shelf::new();
    let canary = counting(lagging(300));
    let gate = Gate::verify(&canary.url(), checks(9).set("metrics.fail_fast", false));
    assert_eq!(other.of("e.gz", gate).run().code, 0);
    assert_eq!(other.judge_by("e.gz", &checks(3).to_string()).code, 0);
}

#[test]
fn what_another_plan_looks_at_and_the_run_did_not_is_no_pass() {
    let shelf = Shelf::new();
    let own = Checks::fast()
        .set("smoke.enabled", false)
        .set("readiness.severity", "warn")
        .set("readiness.path", "/missing")
        .set("metrics", json!({"require": [], "thresholds": [{"expr": "lag < 3"}]}));
    shelf.healthy("e.gz", own);
    let same = "metrics: {require: [], thresholds: [{expr: lag < 3}]}\n";
    let metrics = |more: &str| format!("metrics: {{require: [], thresholds: [{{expr: lag < 3}}], {more}}}\n");
    // What a file says nothing of stands, and so does what it says alike.
    for more in ["", "smoke: {enabled: false}\n", "health: {path: /api/health}\n"] {
        let ran = shelf.judge_by("e.gz", &format!("{same}{more}"));
        assert_eq!((ran.code, &*ran.stderr), (0, ""), "{more}: {}", ran.stdout);
    }
    let cases = [
        (format!("{same}http: [{{name: api, path: /api}}]\n"), "api: the recorded run has no such check"),
        (format!("{same}smoke: {{page: /}}\n"), "smoke: it was switched off when it was recorded"),
        (format!("{same}health: {{path: /other}}\n"), "health: what it asks for or expects is other than"),
        (format!("{same}health: {{expect: {{body: [fine]}}}}\n"), "health: what it asks for or expects is other than"),
        (format!("{same}ready: {{path: /other}}\n"), "ready: what it asks for or expects is other than"),
        (format!("{same}readiness: {{path: /missing}}\n"), "readiness: when it was recorded it could only warn"),
        (metrics("path: /other"), "metrics: /api/metrics was scraped when it was recorded, and not /other"),
        (metrics("baseline: 'http://127.0.0.1:1'"), "metrics: the stable revision was not scraped"),
        (metrics("window: 5m"), "metrics: it was scraped once when it was recorded, and not watched for 5m"),
    ];
    each(&cases, |(checks, piece)| is_open(&shelf.judge_by("e.gz", checks), piece));
    let watched = Shelf::new();
    watched.healthy("e.gz", lag(3).set("metrics.window", "600ms"));
    let watch = |window: &str| lag(3).set("metrics.window", window).to_string();
    assert_eq!(watched.judge_by("e.gz", &watch("500ms")).code, 0);
    is_open(&watched.judge_by("e.gz", &watch("700ms")), "it was watched for 600ms when it was recorded").unwrap();
    // A failure is one whatever else was not looked at.
    fs::copy(shelf.path("e.gz"), shelf.path("f.gz")).unwrap();
    let checks = "metrics: {require: [], thresholds: [{expr: lag < 1}]}\nhttp: [{name: api, path: /api}]\n";
    let ran = shelf.judge(checks);
    assert!(ran.stdout.ends_with("would have failed 2 of 2 healthy releases\n"), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn evidence_with_a_gap_is_no_pass() {
    let shelf = Shelf::new();
    shelf.healthy("e.gz", lag(3).set("metrics.window", "600ms").threshold("(sum(nothing) or vector(0)) < 9"));
    let text = shelf.text("e.gz");
    let lines: Vec<&str> = text.lines().collect();
    let is = |line: &&str, kind: &str| line.starts_with(&format!("{{\"{kind}\":"));
    let first = |kind: &str| lines.iter().position(|line| is(line, kind)).unwrap();
    let without = |gone: &dyn Fn(usize, &&str) -> bool| -> Vec<String> {
        let kept = lines.iter().enumerate().filter(|(index, line)| !gone(*index, line));
        kept.map(|(_, line)| (*line).to_owned()).collect()
    };
    let edited = |edit: &dyn Fn(&mut Value)| -> Vec<String> {
        let mut outcome: Value = serde_json::from_str(lines.last().unwrap()).unwrap();
        edit(&mut outcome["outcome"]["checks"]);
        lines[..lines.len() - 1].iter().map(|line| (*line).to_owned()).chain([outcome.to_string()]).collect()
    };
    let index_of =
        |checks: &Value, name: &str| checks.as_array().unwrap().iter().position(|check| check["name"] == name).unwrap();
    let scraped = first("scraped");
    let cases: [(Vec<String>, &str); 9] = [
        (without(&|_, line| is(line, "plan")), "the run: the evidence holds no plan"),
        (without(&|_, line| ["plan", "scraped", "judged"].iter().any(|kind| is(line, kind))), "holds no plan"),
        (without(&|_, line| is(line, "judged")), "metrics: no scrapes of it were recorded"),
        (without(&|_, line| is(line, "scraped")), "metrics: the evidence holds 0 of its "),
        (without(&|index, _| index == scraped), "metrics: the evidence holds "),
        (
            lines.iter().map(|line| line.replace("\"scrape\":{", "\"scrape\":null,\"x\":{")).collect(),
            "metrics: the evidence holds none of its scrapes",
        ),
        (
            edited(&|checks| {
                let index = index_of(checks, "readiness");
                checks.as_array_mut().unwrap().remove(index);
            }),
            "readiness: the evidence does not tell what it came to",
        ),
        (
            edited(&|checks| {
                let index = index_of(checks, "readiness");
                checks[index]["status"] = "skipped".into();
            }),
            "readiness: the evidence does not tell what it came to",
        ),
        (
            {
                let mut swapped: Vec<String> = without(&|index, _| index == scraped);
                let judged = swapped.iter().position(|line| line.starts_with("{\"judged\"")).unwrap();
                swapped.insert(judged, lines[scraped].to_owned());
                swapped
            },
            "metrics: its scrapes are not in their order",
        ),
    ];
    each(&cases, |(lines, piece)| {
        let shelf = Shelf::new();
        shelf.write("e.gz", &(lines.join("\n") + "\n"));
        is_open(&shelf.replay("e.gz", &[]), piece)?;
        fs::copy(shelf.path("e.gz"), shelf.path("f.gz")).unwrap();
        let ran = Gate::new().args(["replay", shelf.path("").to_str().unwrap()]).run();
        if ran.code == 3 { Ok(()) } else { Err(format!("{piece}: exit {}\n{}", ran.code, ran.stdout)) }
    });
    for kind in ["plan", "judged"] {
        let line = lines[first(kind)];
        shelf.write("twice.gz", &text.replacen(line, &format!("{line}\n{line}"), 1));
        let ran = shelf.replay("twice.gz", &[]);
        assert!(ran.code == 2 && ran.stderr.contains("once more"), "{kind}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn counters_that_are_gone_from_the_evidence_are_no_pass() {
    let (canary, stable) = (Fault::named("steady").unwrap().start(), FAULTS[0].start());
    let counters = "  limits: {errors: 0.3}\n  counters: {path: /api/metrics, requests: sum(memory_analysis_success_total), \
                    errors: sum(memory_analysis_failure_total)}\n  on_unproven: warn\n";
    let shelf = Shelf::new();
    let ran = shelf.of("e.gz", Gate::verify(&canary.url(), traffic(&stable, counters))).run();
    let text = shelf.text("e.gz");
    assert!(text.contains("{\"users\":"), "{}{}", ran.stdout, ran.stderr);
    let kept: Vec<&str> = text.lines().filter(|line| !line.contains("{\"users\":")).collect();
    shelf.write("e.gz", &(kept.join("\n") + "\n"));
    let again = shelf.replay("e.gz", &[]);
    assert!(again.stderr.contains("traffic: the evidence does not hold what its users got"), "{}", again.stderr);
    assert!(ran.code != 0 || again.code == 3, "{}", again.stdout);
}

#[test]
fn a_page_of_evidence_draws_what_the_run_did_not() {
    let shelf = Shelf::new();
    shelf.healthy("e.gz", lag(3).set("metrics.window", "600ms"));
    let page = shelf.path("page.html");
    let page = page.to_str().unwrap();
    let ran = shelf.replay("e.gz", &["--report", &format!("html={page}")]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""), "{}", ran.stdout);
    let text = fs::read_to_string(page).unwrap();
    assert!(text.contains("<polyline"), "{text}");
    // Drawn by the run itself, it is the same page.
    let canary = counting(lagging(0));
    let live = shelf.path("live.html");
    let gate = Gate::verify(&canary.url(), lag(3).set("metrics.window", "600ms"));
    let gate = shelf.of("f.gz", gate).args(["--report", &format!("html={}", live.display())]);
    assert_eq!(gate.run().code, 0);
    let ran = shelf.replay("f.gz", &["--report", &format!("html={page}")]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""), "{}", ran.stdout);
    assert_eq!(fs::read_to_string(page).unwrap(), fs::read_to_string(live).unwrap());
}
