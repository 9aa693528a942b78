//! SARIF 2.1.0, for code scanning: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use serde_json::{Value, json};

use super::Report;
use crate::lint::catalogue;
use crate::outcome::Source;

pub(super) fn render(report: &Report<'_>) -> String {
    let location = |at: &Source| {
        json!({ "physicalLocation": {
            "artifactLocation": { "uri": uri(&report.path(&at.file)) },
            "region": { "startLine": at.place.line, "startColumn": at.place.column },
        } })
    };
    let ids: Vec<&str> = catalogue::all().map(|rule| rule.id).collect();
    let rules: Vec<Value> = catalogue::all()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": { "text": rule.what },
                "fullDescription": { "text": rule.why },
                "help": { "text": rule.fix },
                "defaultConfiguration": { "level": rule.level.word() },
                "properties": { "precision": rule.confidence.word() },
            })
        })
        .collect();
    let results: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            let related: Vec<Value> = finding
                .beside
                .iter()
                .map(|(at, note)| {
                    let mut place = location(at);
                    place["message"] = json!({ "text": note });
                    place
                })
                .collect();
            let suppressions: Vec<Value> = finding
                .ignored
                .iter()
                .map(|ignored| json!({ "kind": "inSource", "justification": ignored.reason, "location": location(&ignored.at) }))
                .collect();
            json!({
                "ruleId": finding.rule.id,
                "ruleIndex": ids.iter().position(|id| *id == finding.rule.id),
                "level": finding.rule.level.word(),
                "message": { "text": format!("{}. {}", finding.message, finding.rule.fix) },
                "locations": [location(&finding.at)],
                "relatedLocations": related,
                "suppressions": suppressions,
            })
        })
        .collect();
    let driver = json!({ "name": "canary-gate", "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": rules });
    let whole = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{ "tool": { "driver": driver }, "columnKind": "unicodeCodePoints", "results": results }],
    });
    format!("{whole:#}\n")
}

/// A path as a relative reference.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.trim_start_matches("./").bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => uri.push(char::from(byte)),
            _ => uri += &format!("%{byte:02X}"),
        }
    }
    uri
}
