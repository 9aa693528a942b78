//! The `JUnit` report: a suite for each check, a case for the check and for each of its thresholds, retries as reruns.

use std::time::SystemTime;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::cases::{self, Case};
use crate::outcome::{Retry, Status, Summary};
use crate::text;

/// Writes the report. What XML cannot hold is escaped, so that it is seen.
///
/// # Errors
/// A defect of the gate, in a sentence.
pub(super) fn render(summary: &Summary) -> Result<String, String> {
    let mut report = Report::new("canary-gate");
    report.set_time(summary.duration);
    for cases in cases::of(summary) {
        report.add_test_suite(suite(&cases, summary.started_at));
    }
    let xml = report.to_string().map_err(|error| format!("the JUnit report cannot be made: {error}"))?;
    // The schema that Jenkins validates by has this total at the suites only; it comes first at the root.
    Ok(xml.replacen(&format!(" skipped=\"{}\"", report.skipped), "", 1))
}

fn suite(cases: &[Case<'_>], began: SystemTime) -> TestSuite {
    let mut suite = TestSuite::new(cases.first().map(|case| shown(case.check)).unwrap_or_default());
    suite.set_time(cases.iter().filter_map(|case| case.duration).sum());
    // The schema takes no offset from UTC.
    let began = humantime::format_rfc3339_seconds(began).to_string();
    suite.extra.insert("timestamp".into(), began.trim_end_matches('Z').into());
    suite.add_test_cases(cases.iter().map(case));
    suite
}

fn case(case: &Case<'_>) -> TestCase {
    let mut status = status(case);
    status.add_reruns(case.retries.iter().map(rerun));
    let mut written = TestCase::new(shown(case.name), status);
    written.set_classname(shown(case.check));
    written.set_time(case.duration.unwrap_or_default());
    // A warning passes here: the word is all that tells it.
    match case.status {
        Status::Pass => drop(written.set_system_out(shown(case.detail))),
        Status::Warn => drop(written.set_system_out(format!("warning: {}", shown(case.detail)))),
        Status::Fail | Status::Error | Status::Skipped => {}
    }
    written
}

fn status(case: &Case<'_>) -> TestCaseStatus {
    let mut status = match case.status {
        Status::Pass | Status::Warn => return TestCaseStatus::success(),
        Status::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Status::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
        Status::Skipped => TestCaseStatus::skipped(),
    };
    status.set_message(shown(case.detail));
    if case.status != Status::Skipped {
        status.set_type(case.status.word());
    }
    let lines = super::beneath(case.observation);
    if !lines.is_empty() {
        status.set_description(lines.iter().map(|line| shown(line)).collect::<Vec<_>>().join("\n"));
    }
    status
}

fn rerun(retry: &Retry) -> TestRerun {
    let mut rerun = TestRerun::new(NonSuccessKind::Failure);
    rerun.set_message(format!("attempt {}: {}", retry.attempt, shown(&retry.cause)));
    rerun.set_type("retry");
    rerun
}

fn shown(text: &str) -> String {
    text::escaped(text).into_owned()
}

#[cfg(test)]
mod tests {
    use crate::report::Format;
    use crate::report::samples;

    /// Every element with its attributes, in their order; panics where the text is not well-formed as these reports are.
    fn elements(xml: &str) -> Vec<(String, Vec<(String, String)>)> {
        let allowed =
            |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
        assert!(xml.chars().all(allowed), "a character that XML 1.0 has not");
        let (mut found, mut open) = (Vec::new(), Vec::new());
        let mut pieces = xml.split('<');
        assert_eq!(pieces.next(), Some(""));
        for piece in pieces {
            let (tag, text) = piece.split_once('>').expect("a tag that ends");
            assert!(!text.contains("]]>") && !text.replace("&gt;", "").contains('>'), "{text}");
            for reference in text.split('&').skip(1).chain(tag.split('&').skip(1)) {
                let name = reference.split(';').next().unwrap();
                assert!(matches!(name, "lt" | "gt" | "amp" | "quot" | "apos"), "&{name};");
            }
            if tag.starts_with('?') {
                continue;
            }
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop().as_deref(), Some(name));
                continue;
            }
            let is_empty = tag.ends_with('/');
            let tag = tag.trim_end_matches('/');
            let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
            let mut attributes: Vec<(String, String)> = Vec::new();
            while let Some((key, after)) = rest.split_once("=\"") {
                let (value, after) = after.split_once('"').expect("a value that ends");
                let key = key.trim().to_owned();
                assert!(attributes.iter().all(|(other, _)| *other != key), "{key} is written twice");
                attributes.push((key, value.to_owned()));
                rest = after;
            }
            assert!(rest.trim().is_empty(), "{rest}");
            if !is_empty {
                open.push(name.to_owned());
            }
            found.push((name.to_owned(), attributes));
        }
        assert!(open.is_empty());
        found
    }

    /// The attributes that the schema of Surefire and that of Jenkins know, and those that both want.
    const ATTRIBUTES: [(&str, &[&str], &[&str]); 8] = [
        ("testsuites", &["name", "time", "tests", "failures", "errors"], &[]),
        (
            "testsuite",
            &["name", "tests", "failures", "errors", "skipped", "time", "timestamp"],
            &["name", "time", "tests", "errors", "skipped", "failures"],
        ),
        ("testcase", &["name", "classname", "time"], &["name", "classname", "time"]),
        ("failure", &["message", "type"], &["type"]),
        ("error", &["message", "type"], &["type"]),
        ("skipped", &["message"], &[]),
        ("flakyFailure", &["message", "type"], &["type"]),
        ("rerunFailure", &["message", "type"], &["type"]),
    ];

    #[test]
    fn the_report_is_valid_whatever_a_canary_says() {
        for (name, summary) in samples::all().into_iter().chain([("endless", samples::endless())]) {
            let xml = Format::Junit.render(&summary).unwrap();
            let elements = elements(&xml);
            for (element, attributes) in &elements {
                if matches!(&**element, "system-out") {
                    continue;
                }
                let (_, known, wanted) = ATTRIBUTES
                    .iter()
                    .find(|(known, ..)| known == element)
                    .unwrap_or_else(|| panic!("{name}: {element}"));
                let has = |key: &str| attributes.iter().any(|(other, _)| other == key);
                assert!(attributes.iter().all(|(key, _)| known.contains(&&**key)), "{name}: {element} {attributes:?}");
                assert!(wanted.iter().all(|key| has(key)), "{name}: {element} lacks one of {wanted:?}");
            }
            let count = |wanted: &str| elements.iter().filter(|(element, _)| element == wanted).count();
            let total = |of: &str, key: &str| -> usize {
                let totals =
                    elements.iter().filter(|(element, _)| element == of).flat_map(|(_, attributes)| attributes);
                totals.filter(|(known, _)| known == key).map(|(_, value)| value.parse::<usize>().unwrap()).sum()
            };
            for (key, element) in
                [("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")]
            {
                assert_eq!(total("testsuite", key), count(element), "{name}: {key}");
                assert!(key == "skipped" || total("testsuites", key) == count(element), "{name}: {key}");
            }
            assert_eq!(count("failure") + count("error") == 0, name == "pass" || name == "warn", "{name}");
        }
    }
}
