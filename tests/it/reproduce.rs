//! The command beneath a failure shows the same, and holds no secret.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::canary::Fault;
use crate::checks::Checks;
use crate::gate::{Gate, Ran};

/// The commands of a report, with what they are about.
fn commands(ran: &Ran) -> Vec<(String, String)> {
    let checks = ran.report["checks"].as_array().unwrap_or_else(|| panic!("no report: {}", ran.stderr));
    let observations = checks.iter().flat_map(|check| check["observations"].as_array().unwrap());
    let command = |seen: &Value| Some((seen["name"].as_str()?.to_owned(), seen["reproduce"].as_str()?.to_owned()));
    observations.filter_map(command).collect()
}

/// What a command prints in a shell that finds the gate.
fn shell(command: &str, folder: &Path) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_canary-gate")).parent().unwrap().display().to_string();
    let output = Command::new("sh")
        .args(["-c", command])
        .env("PATH", format!("{binary}:{}", std::env::var("PATH").unwrap_or_default()))
        .env("TOKEN", "hunter2-and-more")
        .env_remove("http_proxy")
        .current_dir(folder)
        .output()
        .unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_thresholds_command_shows_its_value() {
    let canary = Fault::named("failures-split").unwrap().start();
    let expr = "(sum(memory_analysis_failure_total) or vector(0)) <= 2";
    let checks = Checks::fast().threshold(expr).set("headers.X-Secret", "env:TOKEN").to_string();
    // With a checks file the command names it, without one it is all there is.
    for with_file in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("checks.yaml"), &checks).unwrap();
        let mut gate = Gate::new().args(["verify", "--url", &canary.url(), "--report", "json=report.json"]);
        if with_file {
            gate.file("checks.yaml", &checks);
            gate.command().args(["--checks", "checks.yaml"]);
        }
        let ran = gate.env("TOKEN", "hunter2-and-more").run();
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let commands = commands(&ran);
        let [(_, command)] = &commands[..] else { panic!("{commands:?}") };
        assert_eq!(command.contains("--checks checks.yaml"), with_file, "{command}");
        assert!(ran.stdout.contains(&format!("\n        $ {command}\n")), "{}", ran.stdout);
        assert!(!ran.everything().contains("hunter2"));
        let shown = shell(command, folder.path());
        assert_eq!(shown.split_whitespace().collect::<Vec<_>>(), ["{}", "3"], "{command}: {shown}");
    }
}

#[test]
fn a_requests_command_shows_its_answer() {
    for (fault, name, piece) in
        [("health-degraded", "GET /api/health", "degraded"), ("metrics-malformed", "GET /api/metrics", "HTTP/1.1 200")]
    {
        let Some(fault) = Fault::named(fault) else { panic!("no fault {fault}") };
        let canary = fault.start();
        let checks = Checks::fast().set("headers.X-Secret", "Bearer env:TOKEN").set("health.timeout", "1s");
        let ran = Gate::verify(&canary.url(), checks).env("TOKEN", "hunter2-and-more").run();
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let commands = commands(&ran);
        let (_, command) = commands.iter().find(|(of, _)| of == name).unwrap_or_else(|| panic!("{name}: {commands:?}"));
        assert!(command.starts_with("curl -sS -i -H \"X-Secret: Bearer ${TOKEN}\" http"), "{command}");
        assert!(!ran.everything().contains("hunter2"));
        if Command::new("curl").arg("--version").output().is_ok() {
            let shown = shell(&format!("{command} --noproxy '*'"), Path::new("."));
            assert!(shown.contains(piece), "{command}: {shown}");
        }
    }
}

#[test]
fn what_a_query_cannot_show_has_no_command() {
    let canary = Fault::named("failures-split").unwrap().start();
    let checks = Checks::watching()
        .set("metrics.window", "600ms")
        .set("metrics.rules", "rules.yaml")
        .threshold("sum(memory_analysis_failure_total{job=~\".*\"}) <= 2")
        .threshold("recorded <= 2")
        .threshold("memory_analysis_cache_size <= 0");
    let mut gate = Gate::verify(&canary.url(), checks);
    gate.file(
        "rules.yaml",
        "groups: [{name: a, rules: [{record: recorded, expr: sum(memory_analysis_failure_total)}, {alert: Large, expr: memory_analysis_cache_size > 1e9}]}]",
    );
    let ran = gate.run();
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let commands = commands(&ran);
    assert!(commands.len() == 1, "{commands:#?}");
    assert!(commands[0].1.ends_with(" --window 600ms"), "{commands:?}");
}
