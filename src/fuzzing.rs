//! What must hold of everything that reads what others wrote, whatever the bytes: for the fuzzer (`fuzz/`), and for the inputs
//! that are kept in `tests/fuzz/`. Each function panics where it does not hold.

#![allow(clippy::panic, clippy::unwrap_used, missing_docs, reason = "outside production code")]

use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::evidence::{Bundle, Noting};
use crate::lint::{self, File, GateArgs, Input, Report};
use crate::outcome::{Diagnostic, Verdict};
use crate::plan::{Lookup, PlanInput, code};
use crate::{check, google, http, report};

/// Every reference leads somewhere; of files, there is one of rules.
struct Given;

const RULES: &str =
    "groups: [{name: g, rules: [{record: 'a:b', expr: 'sum(a)'}, {alert: A, expr: 'a:b > 1', for: 1m}]}]";

impl Lookup for Given {
    fn env(&self, _name: &str) -> Result<String, String> {
        Ok("secret".into())
    }

    fn file(&self, _path: &str) -> Result<String, String> {
        Ok("secret".into())
    }

    fn text(&self, path: &Path) -> Result<String, Diagnostic> {
        let missing = || Diagnostic::new(code::FILE, None, "there is none").in_file(&path.display().to_string());
        path.ends_with("rules.yaml").then(|| RULES.to_owned()).ok_or_else(missing)
    }

    fn names(&self, _folder: &Path) -> Vec<String> {
        vec!["rules.yaml".into()]
    }
}

fn plan_input(text: &str) -> PlanInput {
    PlanInput { file: Some(("checks.yaml".into(), text.into())), ..PlanInput::default() }
}

/// A checks file is a plan, which evidence of it is again; or its mistakes say where they are.
pub fn checks(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let input = plan_input(text);
    let noting = Noting::new(&Given);
    match input.plan(&noting) {
        Ok(plan) => {
            let again = noting.written(input, &plan).plan().unwrap_or_else(|why| panic!("{why}: {text}"));
            assert_eq!(format!("{plan:?}"), format!("{again:?}"));
        }
        Err(mistakes) => {
            assert!(!mistakes.is_empty());
            let lines = text.split(['\n', '\r']).count() as u64;
            for mistake in mistakes {
                assert!(!mistake.message.is_empty());
                let is_inside = mistake.place.is_none_or(|place| (1..=lines + 1).contains(&place.line));
                assert!(is_inside || mistake.file.as_deref() != Some("checks.yaml"), "{mistake}");
            }
        }
    }
    // A threshold of the command line.
    let _ = PlanInput { thresholds: vec![text.to_owned()], ..PlanInput::default() }.plan(&Given);
}

pub fn html(bytes: &[u8]) {
    check::fuzzing::html(bytes);
}

pub fn json(bytes: &[u8]) {
    check::fuzzing::json(bytes);
}

pub fn gzip(bytes: &[u8]) {
    http::fuzzing::gzip(bytes);
}

pub fn api(bytes: &[u8]) {
    google::fuzzing::api(bytes);
    if let Ok(answer) = serde_json::from_slice(bytes) {
        let _ = check::prometheus_value(answer, 1_700_000_000_000);
    }
}

/// Evidence is refused, or judged again and reported in every format. What nothing was seen of is no pass.
pub fn evidence(bytes: &[u8]) {
    let _ = Bundle::read(bytes);
    let mut lines = GzEncoder::new(Vec::new(), Compression::fast());
    let compressed = lines.write_all(bytes).and_then(|()| lines.finish()).unwrap();
    let read = || Bundle::read(&*compressed);
    let Ok(bundle) = read() else { return };
    let replayed = check::replay(bundle, false);
    if replayed.now.verdict() == Verdict::Pass {
        assert!(replayed.now.checks.iter().any(|check| check.status.word() != "skipped"));
    }
    for format in report::Format::ALL {
        let text = format.render(&replayed.now);
        if let (report::Format::Json, Ok(text)) = (format, &text) {
            assert!(serde_json::from_str::<serde_json::Value>(text).is_ok(), "{text}");
        }
    }
    if let (Ok(bundle), Ok(plan)) = (read(), PlanInput::default().plan(&Given)) {
        check::replay_by(bundle, &plan, true);
    }
}

/// Files behind lines of `@ NAME`: they are linted, changed where a change is certain, and shown in every format.
pub fn lint(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let files: Vec<File> = text
        .split("@ ")
        .skip(1)
        .filter_map(|part| part.split_once('\n'))
        .map(|(name, text)| File { name: name.trim().to_owned(), text: text.to_owned() })
        .collect();
    let paths: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
    let Ok(default) = PlanInput::default().plan(&Given) else { panic!("the default plan is none") };
    let input = Input {
        files: &files,
        paths: &paths,
        read_args: &|words| if words.is_empty() { Err("none".into()) } else { Ok(GateArgs::default()) },
        read_checks: &|file| plan_input(&file.text).plan(&Given),
        default: &default,
    };
    let _ = (lint::images(&files), lint::other_sources(&files));
    let Ok(findings) = lint::lint(&input) else { return };
    let report = Report { findings: &findings, files: files.len(), fixed: &[], folder: "" };
    for format in [lint::Format::Text, lint::Format::Json, lint::Format::Sarif, lint::Format::Github] {
        let text = report.render(format);
        if matches!(format, lint::Format::Json | lint::Format::Sarif) {
            assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
        }
    }
    let fixed = lint::fixed(&files, &findings);
    assert!(fixed.iter().all(|file| paths.contains(&file.name)));
    let _ = lint::lint(&Input { files: &fixed, ..input });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A target's name and what must hold.
    type Target = (&'static str, fn(&[u8]));

    const TARGETS: [Target; 7] = [
        ("api", api),
        ("checks", checks),
        ("evidence", evidence),
        ("gzip", gzip),
        ("html", html),
        ("json", json),
        ("lint", lint),
    ];

    #[test]
    fn what_is_kept_of_the_fuzzers_inputs_holds() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz");
        for (name, holds) in TARGETS {
            let mut count = 0;
            for entry in std::fs::read_dir(root.join(name)).unwrap() {
                holds(&std::fs::read(entry.unwrap().path()).unwrap());
                count += 1;
            }
            assert!(count > 0, "{name} has no inputs");
        }
    }
}
