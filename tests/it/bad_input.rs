//! Bad input: one paragraph that names the mistake and the way out, exit 2, and no request.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;
use std::{fs, thread};

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
    ("smoke: {min_assets: 3, assets: false}\n", "checks.yaml:1:21: min_assets wants assets, and none are loaded"),
    ("smoke: {min_assets: 3, page: null}\n", "min_assets wants assets, and none are loaded"),
    ("health: {max_body: lots}\n", "checks.yaml:1:20: \"lots\" is not a size"),
    ("health: {expect: {status: [99]}}\n", "checks.yaml:1:28: 99 is not a final HTTP status"),
    ("health: {expect: {status: []}}\n", "expect.status is empty"),
    ("health: {expect: {json: [{path: status, equals: ok}]}}\n", "checks.yaml:1:33: \"status\" is not a path to one JSON value"),
    ("health: {expect: {json: [{path: $.status}]}}\n", "wants exactly one of equals, matches and exists"),
    ("health: {expect: {body: [\"(\"]}}\n", "checks.yaml:1:26: invalid regular expression"),
    ("metrics:\n  thresholds:\n    - expr: sum(a) <=\n", "checks.yaml:3:22: unexpected end of the expression"),
    ("metrics:\n  thresholds:\n    - expr: sum(a)\n", "checks.yaml:3:13: a threshold is a comparison"),
    ("metrics:\n  thresholds:\n    - expr: rat(a[5m]) > 1\n", "did you mean rate?"),
    ("metrics: {thresholds: [{expr: a > 1, severity: warn, on_no_data: fail}]}\n", "on_no_data: fail on a threshold with severity: warn"),
    ("headers: {Authorization: Bearer abcdef}\n", "secrets are never written inline"),
    ("headers: {Authorization: \"env:NO_SUCH_VARIABLE\"}\n", "the environment variable NO_SUCH_VARIABLE is not set"),
    ("headers: {X-Key: \"file:/no/such/file\"}\n", "the file /no/such/file cannot be read"),
    ("headers: {X-Key: \"file:/dev/zero\"}\n", "the file /dev/zero is larger than the 64.0 KiB that are read"),
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
    // The key, what is wanted, what was found.
    ("timeout: 30\n", "checks.yaml:1:10: timeout wants a duration such as 30s, found 30 [wrong-type]"),
    ("timeout: \"30\"\n", "checks.yaml:1:10: \"30\" is not a duration"),
    ("timeout: true\n", "checks.yaml:1:10: timeout wants a duration such as 30s, found true [wrong-type]"),
    ("timeout:\n", "checks.yaml:1:1: timeout wants a duration such as 30s, found nothing [wrong-type]"),
    ("timeout: ~\n", "checks.yaml:1:10: timeout wants a duration such as 30s, found ~ [wrong-type]"),
    ("timeout: [1m]\n", "checks.yaml:1:10: timeout wants a duration such as 30s, found a list [wrong-type]"),
    ("health: true\n", "checks.yaml:1:9: health wants a mapping such as {path: /health}, found true [wrong-type]"),
    ("health:\n", "checks.yaml:1:1: health wants a mapping such as {path: /health}, found nothing [wrong-type]"),
    ("health: null\n", "checks.yaml:1:9: health wants a mapping such as {path: /health}, found null [wrong-type]"),
    ("health:\n- path: /\n", "checks.yaml:1:1: health wants a mapping such as {path: /health}, found a list [wrong-type]"),
    ("health: {enabled: yes}\n", "checks.yaml:1:19: health.enabled wants true or false, found the text \"yes\" [wrong-type]"),
    ("health: {enabled: on}\n", "checks.yaml:1:19: health.enabled wants true or false, found the text \"on\" [wrong-type]"),
    ("health: {enabled: \"true\"}\n", "checks.yaml:1:19: health.enabled wants true or false, found the text \"true\" [wrong-type]"),
    ("health: {enabled: 1}\n", "checks.yaml:1:19: health.enabled wants true or false, found 1 [wrong-type]"),
    ("health: {severity: true}\n", "checks.yaml:1:20: health.severity wants one of block, warn, found true [wrong-type]"),
    ("health: {severity: [block]}\n", "checks.yaml:1:20: health.severity wants one of block, warn, found a list [wrong-type]"),
    ("health: {retries: many}\n", "checks.yaml:1:19: health.retries wants a whole number, found the text \"many\" [wrong-type]"),
    ("health: {retries: -1}\n", "checks.yaml:1:19: health.retries wants a whole number, 0 or more, found -1 [wrong-type]"),
    ("health: {retries: 1.5}\n", "checks.yaml:1:19: health.retries wants a whole number, found 1.5 [wrong-type]"),
    ("health: {retries: 4294967296}\n", "checks.yaml:1:19: health.retries wants a whole number up to 4294967295, found 4294967296 [wrong-type]"),
    ("health: {retries: null}\n", "checks.yaml:1:19: health.retries wants a whole number, found null [wrong-type]"),
    ("health: {body: [x]}\n", "checks.yaml:1:16: health.body wants text, found a list [wrong-type]"),
    ("health: {method: [GET]}\n", "checks.yaml:1:18: health.method wants a method such as GET, found a list [wrong-type]"),
    ("health: {path: {a: b}}\n", "checks.yaml:1:16: health.path wants a path such as /health, found a mapping [wrong-type]"),
    ("health: {max_body: 0.5}\n", "checks.yaml:1:20: health.max_body wants a size such as 64MiB, found 0.5 [wrong-type]"),
    ("health: {headers: [\"X-Team: blue\"]}\n", "checks.yaml:1:19: health.headers wants a mapping such as {name: value}, found a list [wrong-type]"),
    ("health: {headers: {X-Team: [blue]}}\n", "checks.yaml:1:28: health.headers.X-Team wants text, found a list [wrong-type]"),
    ("health: {headers: {X-Team: }}\n", "checks.yaml:1:20: health.headers.X-Team wants text, found nothing [wrong-type]"),
    ("health: {backoff: 1s}\n", "checks.yaml:1:19: health.backoff wants a mapping such as {initial: 250ms, max: 2s}, found the text \"1s\" [wrong-type]"),
    ("health: {expect: 200}\n", "checks.yaml:1:18: health.expect wants a mapping such as {status: [200]}, found 200 [wrong-type]"),
    ("health: {expect: {status: {is: 200}}}\n", "checks.yaml:1:27: health.expect.status wants a list such as [200], found a mapping [wrong-type]"),
    ("health: {expect: {status: [ok]}}\n", "checks.yaml:1:28: health.expect.status[0] wants a whole number, found the text \"ok\" [wrong-type]"),
    ("health: {expect: {status: [200, [201]]}}\n", "checks.yaml:1:33: health.expect.status[1] wants a whole number, found a list [wrong-type]"),
    ("health: {expect: {status: 70000}}\n", "checks.yaml:1:27: health.expect.status wants a whole number up to 65535, found 70000 [wrong-type]"),
    ("health: {expect: {json: {path: $.status, equals: ok}}}\n", "checks.yaml:1:25: health.expect.json wants a list such as [{path: $.status, equals: ok}], found a mapping [wrong-type]"),
    ("health: {expect: {json: [$.status]}}\n", "checks.yaml:1:26: health.expect.json[0] wants a mapping such as {path: $.status, equals: ok}, found the text \"$.status\" [wrong-type]"),
    ("health: {expect: {json: [{path: $.a, exists: yes}]}}\n", "checks.yaml:1:46: health.expect.json[0].exists wants true or false, found the text \"yes\" [wrong-type]"),
    ("health: {expect: {json: [{path: $.a, equals: .inf}]}}\n", "checks.yaml:1:46: health.expect.json[0].equals wants a number that JSON has, found .inf [wrong-type]"),
    ("health: {expect: {body: {x: y}}}\n", "checks.yaml:1:25: health.expect.body wants a list such as [welcome], found a mapping [wrong-type]"),
    ("health: {expect: {headers: {x-a: \"(\"}}}\n", "checks.yaml:1:34: invalid regular expression"),
    ("metrics: {require: {up: 1}}\n", "checks.yaml:1:20: metrics.require wants a list such as [requests_total], found a mapping [wrong-type]"),
    ("metrics: {thresholds: up > 0}\n", "checks.yaml:1:23: metrics.thresholds wants a list such as [{expr: up > 0}], found the text \"up > 0\" [wrong-type]"),
    ("metrics:\n  thresholds:\n    expr: up > 0\n", "checks.yaml:2:3: metrics.thresholds wants a list such as [{expr: up > 0}], found a mapping [wrong-type]"),
    ("metrics: {thresholds: [up > 0]}\n", "checks.yaml:1:24: metrics.thresholds[0] wants a mapping such as {expr: up > 0}, found the text \"up > 0\" [wrong-type]"),
    ("metrics: {thresholds: [{expr: }]}\n", "checks.yaml:1:25: metrics.thresholds[0].expr wants text, found nothing [wrong-type]"),
    ("metrics: {thresholds: [{expr: a > 1, on_no_data: 0}]}\n", "checks.yaml:1:50: metrics.thresholds[0].on_no_data wants one of fail, warn, pass, found 0 [wrong-type]"),
    ("metrics: {window: 30}\n", "checks.yaml:1:19: metrics.window wants a duration such as 30s, found 30 [wrong-type]"),
    ("metrics: {severities: {critical: bad}}\n", "checks.yaml:1:34: unknown value \"bad\"; want one of block, warn [unknown-value]"),
    ("metrics: {source: promethius}\n", "checks.yaml:1:19: unknown value \"promethius\"; want one of scrape, prometheus [unknown-value]"),
    ("metrics: {baseline: Stable}\n", "checks.yaml:1:21: the URL \"Stable\" has no scheme"),
    ("metrics: {source: prometheus, url: 9090}\n", "checks.yaml:1:36: metrics.url wants an address such as https://prometheus.example.com, found 9090 [wrong-type]"),
    ("smoke: {requests: [/]}\n", "checks.yaml:1:20: smoke.requests[0] wants a mapping such as {path: /}, found the text \"/\" [wrong-type]"),
    ("smoke: {concurrency: 65}\n", "checks.yaml:1:22: concurrency is 65; want 1 to 64 [number]"),
    ("http: {name: a, path: /}\n", "checks.yaml:1:7: http wants a list such as [{name: search, path: /search}], found a mapping [wrong-type]"),
    ("http: [{name: a, path: /}, {name: a, path: /}]\n", "checks.yaml:1:35: the check name \"a\" is taken: it is that of the check at 1:15"),
    ("headers: {\"a b\": c}\n", "\"a…\" is not a header name [header]"),
    ("headers: Authorization\n", "checks.yaml:1:10: headers wants a mapping such as {name: value}, found text [wrong-type]"),
    // Nearest names, lists of keys, first places.
    ("health: {expect: {statuses: 200}}\n", "checks.yaml:1:19: unknown key \"statuses\"; did you mean \"status\"?"),
    ("health: {expect: {xyz: 200}}\n", "checks.yaml:1:19: unknown key \"xyz\"; the keys here are status, json, headers, body"),
    ("health:\n  path: /a\n  timeout: 1m\n  path: /b\n", "checks.yaml:4:3: the key \"path\" is duplicated; the first one is at 2:3"),
    ("metrics: {ünknown: 1, x: 2}\n", "checks.yaml:1:23: unknown key \"x\""),
    // YAML itself.
    ("timeout: 1m\n\thealth: {}\n", "found a tab"),
    ("timeout: \"1m\nhealth: {}\n", "the file is not valid YAML"),
    ("timeout: *missing\n", "checks.yaml:1:10: the file is not valid YAML"),
    ("timeout: !ms 5\n", "the tag !ms has no meaning here"),
    // Expressions of several lines.
    ("metrics:\n  thresholds:\n    - expr: |\n        sum(a)\n          <= b c\n", "checks.yaml:5:16: unexpected \"c\", want an operator or the end [promql]\n  <= b c\n       ^"),
    ("metrics:\n  thresholds:\n    - expr: >-\n        sum(a)\n        <= b c\n", "checks.yaml:5:14: unexpected \"c\""),
    ("metrics:\n  thresholds:\n    - expr: sum(a)\n        <= b c\n", "checks.yaml:4:14: unexpected \"c\""),
    ("metrics:\n  thresholds:\n    - expr: 'sum(a)\n\n        <= b c'\n", "checks.yaml:5:14: unexpected \"c\""),
    ("metrics:\n  thresholds:\n    - expr: \"sum(a) \\\n        <= b c\"\n", "checks.yaml:4:14: unexpected \"c\""),
];

#[test]
fn a_bad_checks_file_is_named_with_its_place() {
    each(CHECKS, |(checks, piece)| {
        let canary = Fault::named("none").unwrap().start();
        let ran = Gate::verify(&canary.url(), checks).run();
        let one_paragraph = ran.stderr.starts_with("canary-gate: ") && !ran.stderr.trim_end().contains("\n\n");
        // The words of the libraries that read.
        let foreign = ["invalid type", "expected sequence", "deserialize", "default.yaml"];
        let one_paragraph = one_paragraph && !foreign.iter().any(|words| ran.stderr.contains(words));
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
        (&["verify", "--url", "http://127.0.0.1:1", "--ca-file", "/dev/zero"], "--ca-file: the file /dev/zero is larger than the 4.0 MiB that are read"),
        (&["verify", "--url", "http://127.0.0.1:1", "--id-token-file", "/dev/zero"], "--id-token-file: the file /dev/zero is larger than the 64.0 KiB that are read"),
        (&["query", "up", "--url", "http://127.0.0.1:1", "--header", "X-Key: file:/dev/zero"], "the file /dev/zero is larger than the 64.0 KiB"),
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
fn a_secret_may_come_through_a_pipe() {
    let canary = Fault::named("none").unwrap().start();
    let mut gate = Gate::new().args(["query", "vector(1)", "--url", &canary.url(), "--header", "X-Key: file:pipe"]);
    let path = gate.folder().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let writer = thread::spawn(move || fs::write(path, "from-the-pipe\n").unwrap());
    gate.command().output().unwrap();
    writer.join().unwrap();
    assert_eq!(canary.seen()[0].headers["x-key"], "from-the-pipe");
}

#[test]
fn a_variable_that_is_not_text_is_named() {
    for name in ["CANARY_GATE_ID_TOKEN", "GCE_METADATA_HOST", "https_proxy", "CLOUD_RUN_REVISION"] {
        let mut gate = Gate::new().args(["verify", "--url", "http://127.0.0.1:1"]);
        gate.command().env(name, OsStr::from_bytes(b"hunter2\xff"));
        let ran = gate.run();
        assert_eq!(ran.code, 2, "{name}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(&format!("{name} is not UTF-8")) && !ran.stderr.contains("hunter2"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn a_report_that_cannot_be_written_stops_the_run_before_it_starts() {
    let canary = Fault::named("none").unwrap().start();
    let ran = Gate::new().args(["verify", "--url", &canary.url(), "--report", "json=/proc/report.json"]).run();
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("the report /proc/report.json cannot be written"), "{}", ran.stderr);
    assert!(canary.seen().is_empty());
}
