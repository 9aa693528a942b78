//! `canary-gate lint`: every rule by a change to the repository's own files that it catches and one that it lets pass.

mod formats;
mod mutations;
mod unreadable;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::gate::{Gate, Ran, each};

/// The repository's own pipeline.
const OWN: [&str; 7] = [
    "clouddeploy.yaml",
    "targets.yaml",
    "skaffold.yaml",
    "verify.yaml",
    "iam.yaml",
    "manifests/service.yaml",
    "pipeline.env",
];

/// A pipeline's files by their names.
pub type Files = BTreeMap<String, String>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn own() -> Files {
    OWN.iter().map(|name| ((*name).to_owned(), std::fs::read_to_string(root().join(name)).unwrap())).collect()
}

/// The gate in a folder with these files.
pub fn gate(files: &Files) -> Gate {
    let mut gate = Gate::new();
    for (name, text) in files {
        if let Some((folder, _)) = name.rsplit_once('/') {
            std::fs::create_dir_all(gate.folder().join(folder)).unwrap();
        }
        gate.file(name, text);
    }
    gate
}

pub fn lint(files: &Files, args: &[&str]) -> Ran {
    gate(files).args(["lint"]).args(args.iter().copied()).run()
}

/// The findings that count, as JSON.
pub fn findings(files: &Files) -> Vec<Value> {
    let ran = lint(files, &["--format", "json"]);
    assert!(ran.code < 2, "{}", ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let found: Vec<Value> = report["findings"].as_array().unwrap().clone();
    let open: Vec<Value> = found.into_iter().filter(|finding| finding["ignored"].is_null()).collect();
    assert_eq!(ran.code, i32::from(!open.is_empty()));
    open
}

/// The ids of the rules that found something.
pub fn rules(files: &Files) -> Vec<String> {
    findings(files).iter().map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
}

/// Makes the changes of a section: `@ FILE`, then `-` lines that are there and `+` lines that take their place. Without `-`
/// lines the file is a new one; `@ FILE is gone` takes it away.
fn changed(section: &str) -> Result<Files, String> {
    let mut files = own();
    for part in section.split("\n@ ").map(|part| part.trim_start_matches("@ ")).filter(|part| !part.trim().is_empty()) {
        let (name, lines) = part.split_once('\n').unwrap_or((part, ""));
        if let Some(name) = name.strip_suffix(" is gone") {
            files.remove(name);
            continue;
        }
        let of = |sign: char| {
            let lines: Vec<&str> = lines.lines().filter_map(|line| line.strip_prefix(sign)).collect();
            lines.join("\n")
        };
        let (old, new) = (of('-'), of('+'));
        let text = match files.get(name) {
            Some(text) if !old.is_empty() && text.contains(&old) => text.replacen(&old, &new, 1),
            None if old.is_empty() => format!("{new}\n"),
            _ => return Err(format!("{name} does not hold {old:?}")),
        };
        files.insert(name.to_owned(), text);
    }
    Ok(files)
}

#[test]
fn each_rule_catches_its_mistake_and_lets_what_is_right_pass() {
    let mut paths: Vec<_> =
        std::fs::read_dir(root().join("tests/lint")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 60, "only {} rules have a file", paths.len());
    each(&paths, |path| {
        let id = path.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let (catches, passes) =
            text.strip_prefix("== catches\n").and_then(|rest| rest.split_once("== passes\n")).unwrap();
        let caught = rules(&changed(catches).map_err(|error| format!("{id}: {error}"))?);
        if !caught.iter().any(|rule| rule == id) {
            return Err(format!("{id} does not catch it; found {caught:?}"));
        }
        let passed = findings(&changed(passes).map_err(|error| format!("{id}: {error}"))?);
        match passed.iter().find(|finding| finding["rule"] == id) {
            Some(finding) => Err(format!("{id} does not let it pass: {finding}")),
            None => Ok(()),
        }
    });
}

#[test]
fn each_rule_has_a_file() {
    let ran = lint(&own(), &["--format", "sarif"]);
    let sarif: Value = serde_json::from_str(&ran.stdout).unwrap();
    let known = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(known.len() > 60);
    for rule in known {
        let id = rule["id"].as_str().unwrap();
        assert!(root().join(format!("tests/lint/{id}.txt")).exists(), "{id} has no file in tests/lint");
        assert_eq!(Gate::new().args(["lint", "explain", id]).run().code, 0, "{id}");
    }
}

#[test]
fn this_repository_is_clean_and_quickly_so() {
    let folder = root().to_str().unwrap();
    let run = || {
        let start = std::time::Instant::now();
        let ran = Gate::new().args(["lint", folder]).run();
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        start.elapsed()
    };
    // The quickest of several: the machine has other things to do.
    let quickest = (0..10).map(|_| run()).min().unwrap();
    let limit = if cfg!(debug_assertions) { 150 } else { 20 };
    assert!(quickest < std::time::Duration::from_millis(limit), "{quickest:?}");
}

#[test]
fn a_slip_in_an_automation_is_told_with_the_key_that_was_meant() {
    let files = changed("@ clouddeploy.yaml\n-sourcePhases: [canary]\n+sourcePhase: [canary]\n").unwrap();
    let ran = lint(&files, &[]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.stdout.contains("error: unknown key \"sourcePhase\"; did you mean \"sourcePhases\"? [unknown-key]"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("[every-phase]"), "{}", ran.stdout);
}
