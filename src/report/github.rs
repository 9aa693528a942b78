//! Workflow commands for GitHub Actions: an annotation for everything that is not good, at its place in the checks file.
//!
//! Reference: <https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions>.

use std::fmt::Write as _;

use super::headline;
use crate::outcome::{Observation, Outcome, Source, Status, Summary, Verdict};
use crate::text;

pub(super) fn render(summary: &Summary) -> String {
    let mut text = String::new();
    for check in &summary.checks {
        let bad = check.observations.iter().filter(|observation| command(observation.status).is_some());
        let mut told = false;
        for observation in bad {
            told |= observation.status == check.status;
            annotate(&mut text, check, Some(observation));
        }
        // What a check says is mostly what it saw.
        if !told {
            annotate(&mut text, check, None);
        }
    }
    let command = if summary.verdict() == Verdict::Pass { "notice" } else { "error" };
    let _ = writeln!(text, "::{command} title=canary-gate::{}", data(&headline(summary)));
    text
}

/// The command that tells of a status, if one does.
fn command(status: Status) -> Option<&'static str> {
    match status {
        Status::Pass | Status::Skipped => None,
        Status::Warn => Some("warning"),
        Status::Fail | Status::Error => Some("error"),
    }
}

fn annotate(text: &mut String, check: &Outcome, observation: Option<&Observation>) {
    let (status, detail) = observation.map_or((check.status, &check.detail), |seen| (seen.status, &seen.detail));
    let Some(command) = command(status) else { return };
    let title = observation.map_or(check.name.clone(), |seen| format!("{}: {}", check.name, seen.name));
    let place = observation.and_then(|seen| seen.place.as_ref()).or(check.place.as_ref());
    let mut properties = place.map(at).unwrap_or_default();
    properties.push(format!("title={}", property(&title)));
    let lines = super::beneath(observation);
    let message: Vec<&str> = std::iter::once(&**detail).chain(lines).collect();
    let message: Vec<String> = message.iter().map(|line| text::escaped(line).into_owned()).collect();
    let _ = writeln!(text, "::{command} {}::{}", properties.join(","), data(&message.join("\n")));
}

fn at(source: &Source) -> Vec<String> {
    let place = source.place;
    vec![format!("file={}", property(&source.file)), format!("line={}", place.line), format!("col={}", place.column)]
}

/// The text of an annotation.
fn data(said: &str) -> String {
    said.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(said: &str) -> String {
    data(&text::escaped(said)).replace(':', "%3A").replace(',', "%2C")
}
