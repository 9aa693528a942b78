//! For programs: one object with every finding.

use serde_json::{Value, json};

use super::Report;
use crate::outcome::Source;

pub(super) fn render(report: &Report<'_>) -> String {
    let place =
        |at: &Source| json!({ "file": report.path(&at.file), "line": at.place.line, "column": at.place.column });
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            let beside: Vec<Value> = finding
                .beside
                .iter()
                .map(|(at, note)| {
                    let mut place = place(at);
                    place["note"] = json!(note);
                    place
                })
                .collect();
            json!({
                "rule": finding.rule.id,
                "level": finding.rule.level.word(),
                "confidence": finding.rule.confidence.word(),
                "place": place(&finding.at),
                "beside": beside,
                "message": finding.message,
                "why": finding.rule.why,
                "fix": finding.rule.fix,
                "fixable": finding.edit.is_some(),
                "ignored": finding.ignored.as_ref().map(|ignored| json!({ "place": place(&ignored.at), "reason": ignored.reason })),
            })
        })
        .collect();
    let fixed: Vec<String> = report.fixed.iter().map(|file| report.path(file)).collect();
    let whole = json!({ "files": report.files, "open": report.open().count(), "fixed": fixed, "findings": findings });
    format!("{whole:#}\n")
}
