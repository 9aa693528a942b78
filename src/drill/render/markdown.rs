//! Markdown: the tables of a drill.

use super::{Drill, subject};
use crate::text::{duration, escaped};

pub(super) fn render(drill: &Drill) -> String {
    let mut out = format!("# Drill of {}\n\n**{}**\n\n", cell(subject(drill)), cell(&drill.headline()));
    let started = humantime::format_rfc3339_seconds(drill.started_at);
    out += &format!("{started}, {}, {} requests to the service\n", duration(drill.duration), drill.requests);
    if !drill.faults.is_empty() {
        out += "\n## Faults\n\n| result | fault | the service | what the gate says |\n|---|---|---|---|\n";
    }
    for played in &drill.faults {
        let (word, said) = (played.made.word(), cell(&played.made.said()));
        out += &format!("| {word} | `{}` | {} | {said} |\n", played.name, cell(played.about));
    }
    if !drill.thresholds.is_empty() {
        out += "\n## Thresholds\n\n| result | threshold | expression | by what |\n|---|---|---|---|\n";
    }
    for threshold in &drill.thresholds {
        let (name, said) = (cell(&threshold.name), cell(&threshold.fails.said()));
        out += &format!("| {} | {name} | {} | {said} |\n", threshold.fails.word(), cell(&threshold.expression));
    }
    if !drill.checks.is_empty() {
        out += "\n## Checks\n\n| check | faults meant for it | not well in |\n|---|---|---|\n";
    }
    for check in &drill.checks {
        let word = if check.is_vacuous() { " (VACUOUS)" } else { "" };
        out += &format!("| {}{word} | {} | {} |\n", cell(&check.name), check.faults, check.failed);
    }
    if !drill.notes.is_empty() {
        out += "\n## Other than in a verification\n\n";
    }
    for note in &drill.notes {
        out += &format!("- {}\n", cell(note));
    }
    out
}

/// A text that stays in its cell and is no markup.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in escaped(text).chars() {
        match c {
            '|' | '*' | '_' | '`' | '[' | ']' | '<' | '>' | '\\' | '#' => out.extend(['\\', c]),
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
