//! Bad input: one paragraph that names the mistake and the way out, exit 2, and no request.

use crate::canary::Fault;
use crate::gate::{Gate, each};

/// A checks file and a piece of the error, with the place where that is known.
#[rustfmt::skip]
const CHECKS: &[(&str, &str)] = &[
    ("", "checks.yaml: the checks file is empty"),
    ("# only a comment\n", "checks.yaml: the checks file is empty"),
    ("timeout: [", "checks.yaml:1:"),
    ("- a\n- b\n", "checks.yaml:1:1:"),
    ("metrics:\n  threshhold: []\n", "checks.yaml:2:3: unknown key \"threshhold\"; did you mean \"thresholds\"?"),
    ("helth: {}\n", "checks.yaml:1:1: unknown key \"helth\"; did you mean \"health\"?"),
    ("metrics: {thresholds: [{expr: a > 1, severity: blok}]}\n", "unknown value \"blok\"; want one of block, warn"),
    ("metrics: {thresholds: [{name: x}]}\n", "the key \"expr\" is missing"),
    ("timeout: 10m\ntimeout: 5m\n", "checks.yaml:2:1: the key \"timeout\" is duplicated"),
    ("timeout: 5 parsecs\n", "checks.yaml:1:10: \"5 parsecs\" is not a duration"),
    ("timeout: 0s\n", "checks.yaml:1:10: the duration \"0s\" must be greater than 0"),
    ("timeout: -5s\n", "checks.yaml:1:10: \"-5s\" is not a duration"),
    ("timeout: 48h\n", "is over a day"),
    ("health:\n  timeout: 10\n", "checks.yaml:2:12:"),
    ("health: {retries: -1}\n", "checks.yaml:1:19:"),
    ("health: {retries: many}\n", "checks.yaml:1:19:"),
    ("health: {enabled: yes please}\n", "checks.yaml:1:"),
    ("health: {backoff: {initial: 1m, max: 1s}}\n", "backoff.initial (1m) is longer than backoff.max (1s)"),
    ("health: {path: api/health}\n", "checks.yaml:1:16: the path \"api/health\" must start with one slash"),
    ("health: {path: \"//evil.example.com/\"}\n", "must start with one slash"),
    ("health: {method: FETCH}\n", "checks.yaml:1:18: unknown method \"FETCH\""),
    ("health: {max_body: lots}\n", "checks.yaml:1:20: \"lots\" is not a size"),
    ("health: {expect: {status: [99]}}\n", "checks.yaml:1:28: 99 is not a final HTTP status"),
    ("health: {expect: {status: []}}\n", "expect.status is empty"),
    ("health: {expect: {json: [{path: status, equals: ok}]}}\n", "checks.yaml:1:33: \"status\" is not a path to one JSON value"),
    ("health: {expect: {json: [{path: $.status}]}}\n", "wants exactly one of equals, matches and exists"),
    ("health: {expect: {body: [\"(\"]}}\n", "checks.yaml:1:26: invalid regular expression"),
    ("metrics:\n  thresholds:\n    - expr: sum(a) <=\n", "checks.yaml:3:13: unexpected end of the expression"),
    ("metrics:\n  thresholds:\n    - expr: sum(a)\n", "checks.yaml:3:13: a threshold is a comparison"),
    ("metrics:\n  thresholds:\n    - expr: rat(a[5m]) > 1\n", "did you mean rate?"),
    ("metrics: {thresholds: [{expr: a > 1, severity: warn, on_no_data: fail}]}\n", "on_no_data: fail on a threshold with severity: warn"),
    ("headers: {Authorization: Bearer abcdef}\n", "secrets are never written inline"),
    ("headers: {Authorization: \"env:NO_SUCH_VARIABLE\"}\n", "the environment variable NO_SUCH_VARIABLE cannot be used"),
    ("headers: {X-Key: \"file:/no/such/file\"}\n", "the file /no/such/file cannot be read"),
    ("http: [{name: health, path: /x}]\n", "the check name \"health\" is taken"),
    ("http: [{name: extra}]\n", "the key \"path\" is missing"),
    ("smoke: {concurrency: 0}\n", "concurrency is 0; want 1 to 64"),
    ("smoke: {requests: [], page: null}\n", "would check nothing"),
    ("{ready: {enabled: false}, health: {enabled: false}, readiness: {enabled: false}, metrics: {enabled: false}, smoke: {enabled: false}}\n", "no enabled check blocks"),
    ("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n", "checks.yaml:1:1: unknown key"),
    ("headers: &a {x: *a}\n", "checks.yaml:1:"),
    ("http: &h [{name: &n [&x [&y [&z [q,q,q,q,q,q,q,q,q,q],*z,*z,*z,*z,*z,*z,*z,*z,*z],*y,*y,*y,*y,*y,*y,*y,*y,*y],*x,*x,*x,*x,*x,*x,*x,*x,*x]}]\n", "checks.yaml:1:"),
    ("timeout: 10m\n---\ntimeout: 5m\n", "want one"),
    ("timeout: \"10m\u{0}\"\n", "checks.yaml"),
];

#[test]
fn a_bad_checks_file_is_named_with_its_place() {
    each(CHECKS, |(checks, piece)| {
        let canary = Fault::named("none").unwrap().start();
        let ran = Gate::verify(&canary.url(), checks).run();
        let one_paragraph = ran.stderr.starts_with("canary-gate: ") && !ran.stderr.trim_end().contains("\n\n");
        if ran.code == 2
            && ran.stderr.contains(piece)
            && one_paragraph
            && canary.seen().is_empty()
            && ran.report.is_null()
        {
            return Ok(());
        }
        Err(format!("{checks:?}: exit {}, want {piece:?}, got {:?}", ran.code, ran.stderr))
    });
}

#[test]
fn a_checks_file_that_is_no_text_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("binary"), [0x7f, b'E', b'L', b'F', 0xff, 0xfe]).unwrap();
    std::fs::write(path("nul"), b"timeout: 1s\n\0").unwrap();
    std::fs::write(path("large"), vec![b'#'; 100_000_000]).unwrap();
    for (path, piece) in [
        (path("missing"), "cannot be opened"),
        (folder.path().display().to_string(), "this is a folder"),
        (path("binary"), "not UTF-8"),
        (path("nul"), "is binary"),
        (path("large"), "over 1 MiB"),
    ] {
        let ran = Gate::new().args(["verify", "--url", "http://127.0.0.1:1", "--checks", &path]).run();
        assert_eq!(ran.code, 2, "{path}: {}", ran.stderr);
        assert!(ran.stderr.contains(piece) && ran.stderr.contains(&path), "{path}: {}", ran.stderr);
    }
}

#[test]
fn a_bad_command_line_is_named() {
    #[rustfmt::skip]
    let cases: &[(&[&str], &str)] = &[
        (&["verify"], "pass --url URL"),
        (&["verify", "--url", "example.com"], "has no scheme"),
        (&["verify", "--url", "https://user:hunter2@example.com"], "holds credentials"),
        (&["verify", "--url", "http://"], "cannot be read"),
        (&["verify", "--url", "http://127.0.0.1:1", "--colour"], "--colour"),
        (&["verify", "--url", "http://127.0.0.1:1", "--timeout", "-5s"], "-5s"),
        (&["verify", "--url", "http://127.0.0.1:1", "--timeout=-5s"], "--timeout: \"-5s\" is not a duration"),
        (&["verify", "--url", "http://127.0.0.1:1", "--timeout", "0s"], "must be greater than 0"),
        (&["verify", "--url", "http://127.0.0.1:1", "--report", "json=/no/such/folder/report.json"], "there is no folder /no/such/folder"),
        (&["verify", "--url", "http://127.0.0.1:1", "--report", "json=/tmp"], "this is a folder"),
        (&["verify", "--url", "http://127.0.0.1:1", "--report", "xml=report.xml"], "unknown report format \"xml\""),
        (&["verify", "--url", "http://127.0.0.1:1", "--report", "report.json"], "names no file"),
        (&["verify", "--url", "http://127.0.0.1:1", "--report", "json=-", "--report", "json=-"], "two reports go to standard output"),
        (&["verify", "--url", "http://127.0.0.1:1", "--threshold", "sum(a) <="], "--threshold \"sum(a) <=\": unexpected end"),
        (&["verify", "--url", "http://127.0.0.1:1", "--threshold", "sum(a)"], "a threshold is a comparison"),
        (&["verify", "--url", "http://127.0.0.1:1", "--warn", "1 > bool 2"], "this is a scalar"),
        (&["verify", "--url", "http://127.0.0.1:1", "--ca-file", "/no/such/ca.pem"], "cannot be read"),
        (&["verify", "--url", "http://127.0.0.1:1", "--ca-file", "/dev/null"], "no certificate"),
        (&["promote"], "promote"),
        (&[], "Usage"),
    ];
    each(cases, |(args, piece)| {
        let ran = Gate::new().args(args.iter().copied()).run();
        let leaked = ran.everything().contains("hunter2");
        if ran.code == 2 && ran.stderr.contains(piece) && !leaked {
            return Ok(());
        }
        Err(format!("{args:?}: exit {}, want {piece:?}, got {:?}", ran.code, ran.stderr))
    });
}

#[test]
fn a_report_that_cannot_be_written_stops_the_run_before_it_starts() {
    let canary = Fault::named("none").unwrap().start();
    let ran = Gate::new().args(["verify", "--url", &canary.url(), "--report", "json=/proc/report.json"]).run();
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("the report /proc/report.json cannot be written"), "{}", ran.stderr);
    assert!(canary.seen().is_empty());
}
