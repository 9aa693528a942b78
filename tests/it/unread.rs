//! A threshold that holds must have got all that it reads: what is there under another name, without a label, in too few
//! samples, behind a failed scrape or a frozen timestamp is no zero. What stands beside the canary is not the canary.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use crate::canary::app::{TEXT, answer};
use crate::canary::server::{Canary, Reply, Request};
use crate::evidence::{exposing, judged, one, scraped};
use crate::gate::Gate;
use crate::raw::Raw;

#[test]
fn a_zero_for_none_hides_nothing_that_is_there() {
    for (text, threshold, code, piece) in [
        ("# TYPE errs counter\nerrs_total 50\n", "(sum(errs) or vector(0)) <= 2", 1, "there are samples of errs_total"),
        ("# TYPE errs_total counter\nerrs 50\n", "(sum(errs_total) or vector(0)) <= 2", 1, "there are samples of errs"),
        (
            "# TYPE e_total counter\ne_total{status=\"500\"} 50\n",
            "(sum(e_total{code=\"500\"}) or vector(0)) <= 2",
            1,
            "has a label code",
        ),
        (
            "# TYPE e_total counter\ne_total{status=\"500\"} 50\n",
            "(sum(e_total{status=\"404\"}) or vector(0)) <= 2",
            0,
            "0, want <= 2",
        ),
        ("# TYPE e_total counter\ne_total 50\n", "(sum(rate(e_total[1m])) or vector(0)) < 1", 1, "too few scrapes"),
        ("a{path=\"/\"} 50\nb{code=\"500\"} 1\n", "(sum(a / b) or vector(0)) < 1", 1, "in no label"),
        (
            "# TYPE e_total counter\ne_total{a=\"1\"} 50\ne_total{a=\"2\"} -60\n",
            "(sum({__name__=~\"e_.*\"}) or vector(0)) <= 2",
            1,
            "e_total is -60",
        ),
        ("# TYPE d histogram\nd_bucket{le=\"+Inf\"} -50\nd_sum 1\nd_count -50\n", "d_count <= 2", 1, "d_count is -50"),
        (
            "# TYPE e_total counter\ne_total 5\n# TYPE r_total counter\nr_total +Inf\n",
            "e_total / r_total < 1",
            1,
            "r_total is +Inf",
        ),
        ("# TYPE e_total counter\n", "(sum(e_total) or vector(0)) <= 2", 0, "0, want <= 2"),
    ] {
        let ran = judged(&exposing(text), threshold);
        assert_eq!(ran.code, code, "{text}{threshold}: {}", ran.stderr);
        assert!(ran.stdout.contains(piece), "{text}{threshold}: {}", ran.stdout);
    }
}

const FROZEN: [&str; 2] = ["# TYPE e_total counter\ne_total 0 STAMP\n", "# TYPE e_total counter\ne_total 50 STAMP\n"];
fn text(text: &str) -> Reply {
    static STARTED: OnceLock<String> = OnceLock::new();
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis().to_string();
    Reply::new(200, TEXT, text.replace("STAMP", STARTED.get_or_init(now)))
}

#[test]
fn a_window_is_judged_by_its_last_good_scrapes() {
    const BAD: &str = "# TYPE e_total counter\ne_total 50\n";
    type Scrapes = fn(usize) -> Reply;
    let cases: [(&str, Scrapes, &str); 4] = [
        ("the last ones fail", |n| if n < 3 { text(BAD) } else { Reply::new(503, TEXT, "") }, "50, want <= 2"),
        ("the series ends", |n| text(if n < 3 { BAD } else { "# TYPE e_total counter\n" }), "is gone from the newest"),
        ("the stamp is frozen", |n| text(if n < 3 { FROZEN[0] } else { FROZEN[1] }), "and not its timestamp"),
        ("all is well", |_| text("# TYPE e_total counter\n"), ""),
    ];
    for (name, scrapes, piece) in cases {
        let checks = one("(sum(e_total) or vector(0)) <= 2")
            .set("metrics.window", "1200ms")
            .set("metrics.interval", "300ms")
            .set("metrics.max_failed_scrapes", 4);
        let ran = Gate::verify(&scraped(scrapes).url(), checks).run();
        assert_eq!(ran.code, i32::from(!piece.is_empty()), "{name}: {}", ran.stderr);
        assert!(ran.detail("metrics").contains(piece), "{name}: {}", ran.detail("metrics"));
    }
}

#[test]
fn subqueries_do_not_hold_up_the_time_of_a_run() {
    let checks = one("max_over_time(m[1d:1ms]) < 100").set("metrics.timeout", "1s").set("timeout", "3s");
    let began = Instant::now();
    let ran = Gate::verify(&exposing("m 1\n").url(), checks).run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[test]
fn a_long_expression_takes_no_more_than_its_reads() {
    use std::fmt::Write as _;
    let mut text = String::new();
    for number in 0..15_000 {
        writeln!(text, "a{{x=\"{number}\"}} 1").unwrap();
    }
    let long = vec!["a"; 400].join(" + ");
    let checks = one(&format!("{long} < 500")).set("metrics.timeout", "1s").set("timeout", "3s");
    let began = Instant::now();
    let ran = Gate::verify(&exposing(text.clone()).url(), checks).run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let short = ["a"; 4].join(" + ");
    let ran = judged(&exposing(text), &format!("{short} < 5"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn what_stands_beside_the_canary_is_not_the_canary() {
    let checks = one("vector(1) > 0").set("metrics.source", "prometheus").set("metrics.url", "http://127.0.0.1:1");
    let ran = Gate::verify(&exposing("").url(), checks).run();
    assert_eq!((ran.code, ran.status("metrics")), (3, "error"), "{}", ran.stderr);
}

#[test]
fn cookies_of_the_checks_file_stay_beside_those_of_the_server() {
    let canary = Canary::start(Arc::new(|request: &Request| match &*request.path {
        "/api/metrics" if !request.headers.get("cookie").is_some_and(|cookie| cookie.contains("own=1")) => {
            Reply::new(401, TEXT, "")
        }
        "/api/metrics" => Reply::new(200, TEXT, "m 1\n").header("Set-Cookie", "affinity=7; Path=/"),
        _ => answer(request),
    }));
    let checks = one("m > 0")
        .set("metrics.window", "600ms")
        .set("metrics.interval", "200ms")
        .set("metrics.headers.Cookie", "env:OWN");
    let ran = Gate::verify(&canary.url(), checks).env("OWN", "own=1").run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let last = canary.seen().into_iter().rfind(|request| request.path == "/api/metrics").unwrap();
    assert_eq!(last.headers["cookie"], "own=1; affinity=7");
}

#[test]
fn a_status_counts_before_its_body() {
    let busy = "HTTP/1.1 503 Busy\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nabc";
    let unmarked = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: \r\n\r\n# TYPE m gauge\nm 1\n";
    for (path, times, said, code, piece) in [
        ("/", usize::MAX, busy, 1, "503, and the body has the content coding br"),
        ("/health/readiness", 1, busy, 0, "PASS"),
        ("/api/metrics", 1, busy, 0, "PASS"),
        ("/api/metrics", usize::MAX, unmarked, 1, "want chunked alone"),
    ] {
        let count = AtomicUsize::new(0);
        let server = Raw::start(move |asked| {
            let is_it = asked == path && count.fetch_add(1, Ordering::SeqCst) < times;
            is_it.then(|| said.as_bytes().to_vec())
        });
        let checks = one("memory_analysis_cache_size > -1").set("ready.timeout", "2s").set("timeout", "20s");
        let ran = Gate::verify(&server.url(), checks).run();
        assert_eq!(ran.code, code, "{path}: {}{}", ran.stdout, ran.stderr);
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains(piece), "{path}: {}{}", ran.stdout, ran.stderr);
    }
}
