//! The report in the Test Anything Protocol, version 14: a test point for each check and each threshold.
//!
//! Specification: <https://testanything.org/tap-version-14-specification.html>.

use std::fmt::Write as _;

use super::cases::{self, Case};
use crate::outcome::{Status, Summary};
use crate::text;

pub(super) fn render(summary: &Summary) -> String {
    let cases: Vec<Case<'_>> = cases::of(summary).into_iter().flatten().collect();
    let mut text = format!("TAP version 14\n1..{}\n", cases.len());
    for (index, case) in cases.iter().enumerate() {
        point(&mut text, index + 1, case);
    }
    text
}

fn point(text: &mut String, number: usize, case: &Case<'_>) {
    let ok = match case.status {
        Status::Pass | Status::Warn | Status::Skipped => "ok",
        Status::Fail | Status::Error => "not ok",
    };
    let name = if case.observation.is_some() { format!("{}: {}", case.check, case.name) } else { case.name.to_owned() };
    let skip = if case.status == Status::Skipped { format!(" # SKIP {}", plain(case.detail)) } else { String::new() };
    let _ = writeln!(text, "{ok} {number} - {}{skip}", plain(&name));
    if case.status == Status::Skipped {
        return;
    }
    let _ = writeln!(text, "  ---\n  severity: {}\n  message: {}", case.status.word(), quoted(case.detail));
    if let Some(duration) = case.duration {
        let _ = writeln!(text, "  duration_ms: {}", duration.as_millis());
    }
    for (key, value) in [("retries", case.retries.iter().map(|retry| &*retry.cause).collect()), ("more", beneath(case))]
    {
        if !value.is_empty() {
            let _ = writeln!(text, "  {key}:");
            for line in value {
                let _ = writeln!(text, "    - {}", quoted(line));
            }
        }
    }
    text.push_str("  ...\n");
}

fn beneath<'s>(case: &Case<'s>) -> Vec<&'s str> {
    super::beneath(case.observation.filter(|_| !matches!(case.status, Status::Pass)))
}

/// Text behind a test point's number: on one line, with no character that begins a directive.
fn plain(said: &str) -> String {
    text::escaped(said).replace('\\', "\\\\").replace('#', "\\#")
}

/// A scalar of YAML in double quotes, as JSON writes it.
fn quoted(said: &str) -> String {
    serde_json::Value::from(&*text::escaped(said)).to_string()
}
