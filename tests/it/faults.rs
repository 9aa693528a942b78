//! Every fault of the sample canary: the verdict, and the check that decides it.

use crate::canary::{FAULTS, Fault};
use crate::checks::Checks;
use crate::gate::{Gate, each};

struct Case {
    fault: &'static str,
    exit: i32,
    /// The check that decides the verdict, its status, and a piece of its detail.
    check: &'static str,
    status: &'static str,
    detail: &'static str,
    attempts: Attempts,
}

#[derive(Debug)]
enum Attempts {
    Exactly(u64),
    Several,
}
use Attempts::{Exactly, Several};

const fn case(
    fault: &'static str,
    exit: i32,
    check: &'static str,
    status: &'static str,
    attempts: Attempts,
    detail: &'static str,
) -> Case {
    Case { fault, exit, check, status, detail, attempts }
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("none", 0, "smoke", "pass", Exactly(1), "2 requests answered, 3 assets loaded"),
    case("late-listening", 0, "ready", "pass", Several, "200"),
    case("starting", 0, "ready", "pass", Several, "200"),
    case("never-up", 1, "ready", "fail", Several, "503, still starting (time ran out"),
    case("bad-gateway", 1, "ready", "fail", Several, "502, still starting (time ran out"),
    case("hanging", 1, "ready", "fail", Several, "no whole answer within"),
    case("closing", 1, "ready", "fail", Several, "closed before an answer came"),
    case("root-404", 1, "smoke", "fail", Exactly(1), "GET /: 404, want 200"),
    case("root-redirects", 0, "smoke", "pass", Exactly(1), "3 assets loaded"),
    case("health-degraded", 1, "health", "fail", Exactly(6), "200, but $.status is \"degraded\", want \"ok\" (attempt 6 of 6)"),
    case("health-nested-ok", 1, "health", "fail", Exactly(6), "$.status is \"fail\", want \"ok\""),
    case("health-plain-text", 1, "health", "fail", Exactly(6), "the body is not JSON"),
    case("health-array", 1, "health", "fail", Exactly(6), "the answer is an array"),
    case("health-almost-ok", 1, "health", "fail", Exactly(6), "$.status is \"ok!\", want \"ok\""),
    case("health-500", 1, "health", "fail", Exactly(6), "500, want 200"),
    case("health-404", 1, "health", "fail", Exactly(6), "404, want 200"),
    case("health-flapping", 0, "health", "pass", Exactly(4), "$.status is \"ok\""),
    case("health-degraded-then-ok", 0, "health", "pass", Exactly(3), "$.status is \"ok\""),
    case("health-hangs-once", 0, "health", "pass", Exactly(2), "$.status is \"ok\""),
    case("health-hangs", 1, "health", "fail", Exactly(6), "no whole answer within 500ms"),
    case("health-drips", 1, "health", "fail", Exactly(6), "no whole answer within 500ms"),
    case("health-redirects", 1, "health", "fail", Exactly(6), "302 to \"/login\" (redirects are not followed here), want 200"),
    case("rate-limited", 0, "health", "pass", Exactly(2), "$.status is \"ok\""),
    case("not-ready", 1, "readiness", "fail", Several, "503, want 200"),
    case("ready-later", 0, "readiness", "pass", Exactly(3), "200"),
    case("readiness-204", 1, "readiness", "fail", Exactly(1), "204, want 200"),
    case("readiness-redirects", 1, "readiness", "fail", Exactly(1), "301 to \"/health/readiness/\""),
    case("readiness-rate-limited", 1, "readiness", "fail", Exactly(1), "the server asks to wait 1h"),
    case("failures-2", 0, "metrics", "pass", Exactly(1), "2 thresholds hold"),
    case("failures-3", 1, "metrics", "fail", Exactly(1), "analysis failures: 3, want <= 2"),
    case("failures-split", 1, "metrics", "fail", Exactly(1), "analysis failures: 3, want <= 2"),
    case("failures-odd-label", 1, "metrics", "fail", Exactly(1), "analysis failures: 5, want <= 2"),
    case("hit-rate-80", 0, "metrics", "warn", Exactly(1), "cache hit rate: 0.8, want > 0.8"),
    case("hit-rate-low", 0, "metrics", "warn", Exactly(1), "cache hit rate: 0.5, want > 0.8"),
    case("no-traffic", 0, "metrics", "warn", Exactly(1), "cache hit rate: no data: the value is NaN (0/0"),
    case("family-missing", 1, "metrics", "fail", Exactly(1), "memory_analysis_failure_total: the family is not declared"),
    case("failures-nan", 1, "metrics", "fail", Exactly(1), "no data: the value is NaN"),
    case("duplicate-series", 1, "metrics", "fail", Exactly(1), "the series is already on line"),
    case("metrics-cut", 1, "metrics", "fail", Exactly(1), "the body is cut"),
    case("metrics-malformed", 1, "metrics", "fail", Exactly(1), "missing value"),
    case("metrics-html", 1, "metrics", "fail", Exactly(1), "the answer is text/html, not metrics"),
    case("metrics-html-as-text", 1, "metrics", "fail", Exactly(1), "malformed: line 1, column 1"),
    case("metrics-json", 1, "metrics", "fail", Exactly(1), "the answer is application/json, not metrics"),
    case("metrics-empty", 1, "metrics", "fail", Exactly(1), "the family is not declared"),
    case("metrics-untyped", 0, "metrics", "warn", Exactly(1), "no Content-Type"),
    case("metrics-gzip", 0, "metrics", "pass", Exactly(1), "2 thresholds hold"),
    case("metrics-bad-gzip", 1, "metrics", "fail", Exactly(1), "cannot be decompressed"),
    case("metrics-bomb", 1, "metrics", "fail", Exactly(1), "larger than the 8.0 MiB"),
    case("metrics-openmetrics", 0, "metrics", "pass", Exactly(1), "2 thresholds hold"),
    case("metrics-openmetrics-cut", 1, "metrics", "fail", Exactly(1), "the last line is not '# EOF': the body is cut"),
    case("metrics-endless", 1, "metrics", "fail", Exactly(1), "larger than the 8.0 MiB"),
    case("metrics-drip", 1, "metrics", "fail", Several, "no whole answer within"),
    case("metrics-reset", 1, "metrics", "fail", Several, "in mid-body"),
    case("metrics-reset-once", 0, "metrics", "pass", Exactly(2), "2 thresholds hold"),
    case("metrics-short-body", 1, "metrics", "fail", Several, "in mid-body"),
    case("metrics-401", 1, "metrics", "fail", Exactly(1), "401, want 200"),
    case("metrics-500-once", 0, "metrics", "pass", Exactly(2), "2 thresholds hold"),
    case("page-empty", 1, "smoke", "fail", Exactly(1), "the page is empty"),
    case("page-json", 1, "smoke", "fail", Exactly(1), "the page is application/json, want text/html"),
    case("assets-404", 1, "smoke", "fail", Exactly(1), "GET /assets/: 404, want 200"),
    case("script-missing", 1, "smoke", "fail", Exactly(1), "script /assets/index-4f2a91c7.js: 404, want 200"),
    case("script-fallback", 1, "smoke", "fail", Exactly(1), "the page is answered for a file that is missing"),
    case("script-fallback-as-script", 1, "smoke", "fail", Exactly(1), "the body is an HTML page"),
    case("script-empty", 1, "smoke", "fail", Exactly(1), "it is empty"),
    case("style-wrong-type", 1, "smoke", "fail", Exactly(1), "of type text/plain, want a style sheet"),
    case("module-missing", 1, "smoke", "fail", Exactly(1), "script /assets/vendor-77d0c1be.js: 404, want 200"),
    case("script-503-once", 0, "smoke", "pass", Exactly(2), "3 assets loaded"),
    case("redirect-loop", 1, "smoke", "fail", Exactly(1), "it redirects over 5 times"),
    case("redirect-elsewhere", 1, "smoke", "fail", Exactly(1), "it redirects to another origin"),
    case("page-text", 1, "smoke", "fail", Exactly(1), "GET /: 200, but the page is not HTML: OK"),
    case("page-gzip-unlabelled", 1, "smoke", "fail", Exactly(1), "the page is compressed with gzip, and no Content-Encoding says so"),
    case("page-without-assets", 0, "smoke", "warn", Exactly(1), "2 requests answered, 0 assets loaded; assets: the page names no script"),
    case("assets-elsewhere", 0, "smoke", "warn", Exactly(1), "2 requests answered, 0 assets loaded, 3 of other origins not loaded"),
    case("base-elsewhere", 0, "smoke", "warn", Exactly(1), "0 assets loaded, 3 of other origins not loaded"),
    case("import-missing", 0, "smoke", "warn", Exactly(1), "(imported by /assets/index-4f2a91c7.js): 404, want 200"),
    case("import-bare", 0, "smoke", "warn", Exactly(1), "it imports what cannot be found: \"react\" is neither"),
    case("script-json", 1, "smoke", "fail", Exactly(1), "the body is JSON: a script is missing"),
    case("script-gzip-unlabelled", 1, "smoke", "fail", Exactly(1), "the body is compressed with gzip"),
    case("script-not-text", 1, "smoke", "fail", Exactly(1), "the body is binary: byte 6 is NUL"),
    case("integrity-broken", 1, "smoke", "fail", Exactly(1), "its integrity attribute does not fit"),
    case("csp-blocks", 0, "smoke", "warn", Exactly(1), "2 of its scripts cannot load under its Content-Security-Policy"),
];

#[test]
fn every_fault_gets_its_verdict() {
    each(CASES, |case| {
        let canary = Fault::named(case.fault).ok_or_else(|| format!("there is no fault {}", case.fault))?.start();
        let ran = Gate::verify(&canary.url(), Checks::fast()).run();
        let problem = |what: &str| Err(format!("{}: {what}\n{}{}", case.fault, ran.stdout, ran.stderr));
        let verdict = match case.exit {
            0 => "pass",
            1 => "fail",
            _ => "error",
        };
        if ran.code != case.exit || ran.report["verdict"] != verdict || ran.report["exit_code"] != case.exit {
            return problem(&format!("exit {}, want {}", ran.code, case.exit));
        }
        if ran.status(case.check) != case.status || !ran.detail(case.check).contains(case.detail) {
            return problem(&format!("{} is not {} with {:?}", case.check, case.status, case.detail));
        }
        let attempts = ran.check(case.check)["attempts"].as_u64().unwrap();
        let enough = match case.attempts {
            Exactly(wanted) => attempts == wanted,
            Several => attempts > 1,
        };
        if !enough {
            return problem(&format!("{attempts} attempts, want {:?}", case.attempts));
        }
        // No other check fails.
        for check in ran.report["checks"].as_array().unwrap() {
            let carried = check["name"] == case.check || !matches!(check["status"].as_str(), Some("fail" | "error"));
            if !carried {
                return problem(&format!("{} failed too", check["name"]));
            }
        }
        // A failure of the first two skips the rest.
        let skips = case.status == "fail" && matches!(case.check, "ready" | "health");
        if skips != (ran.status("smoke") == "skipped") {
            return problem("the rest is not skipped as it should");
        }
        Ok(())
    });
}

#[test]
fn every_fault_has_a_case() {
    let tested_elsewhere = ["metrics-large"];
    let beside_stable = crate::traffic::FAULTS;
    for fault in FAULTS {
        let tested = CASES.iter().any(|case| case.fault == fault.name)
            || tested_elsewhere.contains(&fault.name)
            || beside_stable.contains(&fault.name);
        assert!(tested, "{} has no case", fault.name);
    }
}

#[test]
fn twenty_megabytes_of_metrics_are_judged() {
    let canary = Fault::named("metrics-large").unwrap().start();
    let ran = Gate::verify(&canary.url(), "metrics: {timeout: 60s, request_timeout: 30s}").run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.detail("metrics").contains("2 thresholds hold"));
}
