//! Annotations in a GitHub workflow: commands on standard output.

use super::Report;

pub(super) fn render(report: &Report<'_>) -> String {
    let mut out = String::new();
    for finding in report.open() {
        let beside: String = finding
            .beside
            .iter()
            .map(|(at, note)| format!("\n{}:{}: {note}", report.path(&at.file), at.place))
            .collect();
        let message = format!("{}{beside}\nwhy: {}\nfix: {}", finding.message, finding.rule.why, finding.rule.fix);
        out += &command(finding.rule.level.word(), report, finding, &message);
    }
    for (finding, ignored) in report.ignored() {
        out += &command("notice", report, finding, &format!("ignored: {}", ignored.reason));
    }
    out
}

fn command(kind: &str, report: &Report<'_>, finding: &super::Finding, message: &str) -> String {
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let (file, place) = (property(&report.path(&finding.at.file)), finding.at.place);
    let title = property(&format!("canary-gate {}", finding.rule.id));
    format!("::{kind} file={file},line={},col={},title={title}::{}\n", place.line, place.column, data(message))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}
