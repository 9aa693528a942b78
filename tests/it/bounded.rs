//! Time, memory and output are bounded, whatever comes.

use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::canary::app::TEXT;
use crate::checks::Checks;
use crate::gate::Gate;
use crate::raw::{Raw, response};

#[test]
fn what_a_canary_says_at_length_is_cut_for_every_sink() {
    let label = "x".repeat(7_000_000);
    let json = format!("{{\"status\":\"{}\"}}", "y".repeat(5_000_000));
    let metrics = format!("# TYPE m gauge\nm{{a=\"{label}\"}} 5\n");
    let server = Raw::start(move |path| match path {
        "/api/metrics" => Some(response(&format!("Content-Type: {TEXT}\r\n"), metrics.as_bytes())),
        "/health/readiness" => Some(response("Content-Type: application/json\r\n", json.as_bytes())),
        _ => None,
    });
    let checks = Checks::fast()
        .set("metrics.require", Value::Array(Vec::new()))
        .set("readiness.expect.json", serde_json::json!([{"path": "$.status", "equals": "ok"}]))
        .threshold("m < 1");
    let ran = Gate::verify(&server.url(), checks).run();
    assert_eq!(ran.code, 1);
    let written = ran.stdout.len() + ran.stderr.len();
    assert!(written < 20_000, "{written} bytes on the console");
    let report = ran.report.to_string().len();
    assert!(report < 50_000, "{report} bytes of report");
}

#[test]
fn a_large_answer_is_not_made_larger() {
    // 8 MB of small numbers: as a tree, some 300 MB.
    let json = format!("{{\"numbers\":[{}1],\"status\":\"ok\"}}", "1,".repeat(3_900_000));
    let server = Raw::start(move |path| {
        (path == "/api/health").then(|| response("Content-Type: application/json\r\n", json.as_bytes()))
    });
    let (ran, peak) = Gate::verify(&server.url(), Checks::fast()).run_measured();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(peak < 64 * 1024, "{peak} KiB");
}

/// Something to write to that is full, and stays so as long as the other end is kept.
fn full() -> (UnixStream, Stdio) {
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.set_nonblocking(true).unwrap();
    while writer.write(&[b'x'; 1024]).is_ok() {}
    while writer.write(b"x").is_ok() {}
    writer.set_nonblocking(false).unwrap();
    (reader, Stdio::from(OwnedFd::from(writer)))
}

#[test]
fn what_nobody_reads_holds_no_run_beyond_its_limit() {
    let canary = crate::canary::FAULTS[0].start();
    for to_stderr in [true, false] {
        let mut gate = Gate::verify(&canary.url(), Checks::fast().set("timeout", "2s"));
        let (_reader, full) = full();
        let command = gate.command().stdout(Stdio::null()).stderr(Stdio::null());
        let command = if to_stderr { command.stderr(full) } else { command.stdout(full) };
        let began = Instant::now();
        let status = command.status().unwrap();
        assert_eq!(status.code(), Some(3), "{to_stderr}");
        assert!(began.elapsed() < Duration::from_secs(20), "{to_stderr}: {:?}", began.elapsed());
        let report: Value = serde_json::from_slice(&std::fs::read(gate.folder().join("report.json")).unwrap()).unwrap();
        // What stands there is what was known: nothing while the run went on, the verdict where it was only not printed.
        let wanted = if to_stderr { "error" } else { "pass" };
        assert_eq!(report["verdict"], wanted, "{to_stderr}: {report}");
    }
}
