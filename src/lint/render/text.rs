//! For people: a line for what is wrong, and below it the other place, why it bites, and the fix.

use crate::text::counted;

use super::Report;

pub(super) fn render(report: &Report<'_>) -> String {
    let mut out = String::new();
    for finding in report.open() {
        let rule = finding.rule;
        let place = format!("{}:{}", report.path(&finding.at.file), finding.at.place);
        out += &format!("{place}: {}: {} [{}]\n", rule.level.word(), finding.message, rule.id);
        for (other, note) in &finding.beside {
            out += &format!("  {}:{}: {note}\n", report.path(&other.file), other.place);
        }
        out += &format!("  why: {}\n  fix: {}\n", rule.why, rule.fix);
        if finding.edit.is_some() {
            out += "  --fix makes this change\n";
        }
    }
    for (finding, ignored) in report.ignored() {
        let place = format!("{}:{}", report.path(&finding.at.file), finding.at.place);
        out += &format!("{place}: ignored [{}]: {}\n", finding.rule.id, ignored.reason);
    }
    for file in report.fixed {
        out += &format!("{}: changed\n", report.path(file));
    }
    let (open, ignored) = (report.open().count(), report.ignored().count());
    out += &format!(
        "{}, {}",
        counted(report.files, "file"),
        if open == 0 { "clean".into() } else { counted(open, "finding") }
    );
    if ignored > 0 {
        out += &format!(", {ignored} ignored");
    }
    out + "\n"
}
