//! `JUnit`: a suite each for the faults, the thresholds and the checks; what is let through is a failure.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Drill;
use crate::drill::Made;
use crate::drill::verdict::Fails;
use crate::text::escaped;

/// # Errors
/// A defect of the gate, in a sentence.
pub(super) fn render(drill: &Drill) -> Result<String, String> {
    let mut report = Report::new("canary-gate drill");
    report.set_time(drill.duration);
    let faults = drill.faults.iter().map(|played| {
        let status = match &played.made {
            Made::Caught(_) | Made::Warned { meant: Some(_), .. } => TestCaseStatus::success(),
            Made::Missed | Made::Warned { meant: None, .. } => not_well(NonSuccessKind::Failure, &played.made.said()),
            Made::Unclear(why) => not_well(NonSuccessKind::Error, why),
            Made::LeftOut(why) => skipped(why),
        };
        case(played.name, "faults", status, &played.made.said())
    });
    suite(&mut report, "faults", faults.collect());
    let thresholds = drill.thresholds.iter().map(|threshold| {
        let status = match &threshold.fails {
            Fails::ByValue(_) | Fails::ByLoss(_) | Fails::Already(_) => TestCaseStatus::success(),
            Fails::Never(why) => not_well(NonSuccessKind::Failure, &format!("vacuous: {why}")),
            Fails::Unknown(why) => not_well(NonSuccessKind::Error, why),
        };
        case(&threshold.name, "thresholds", status, &threshold.fails.said())
    });
    suite(&mut report, "thresholds", thresholds.collect());
    let checks = drill.checks.iter().map(|check| {
        let said = format!("not well in {} of {} faults meant for it", check.failed, check.faults);
        let status = if check.is_vacuous() {
            not_well(NonSuccessKind::Failure, "vacuous: no fault that is meant for it makes it fail")
        } else {
            TestCaseStatus::success()
        };
        case(&check.name, "checks", status, &said)
    });
    suite(&mut report, "checks", checks.collect());
    if let Some(why) = drill.proves_nothing() {
        let one = case("the drill", "drill", not_well(NonSuccessKind::Error, why), why);
        suite(&mut report, "drill", vec![one]);
    }
    let xml = report.to_string().map_err(|error| format!("the JUnit report cannot be made: {error}"))?;
    // The schema that Jenkins validates by has this total at the suites only; it comes first at the root.
    Ok(xml.replacen(&format!(" skipped=\"{}\"", report.skipped), "", 1))
}

fn suite(report: &mut Report, name: &str, cases: Vec<TestCase>) {
    if cases.is_empty() {
        return;
    }
    let mut suite = TestSuite::new(name);
    suite.set_time(std::time::Duration::ZERO);
    suite.add_test_cases(cases);
    report.add_test_suite(suite);
}

fn case(name: &str, suite: &str, status: TestCaseStatus, said: &str) -> TestCase {
    let is_well = matches!(status, TestCaseStatus::Success { .. });
    let mut case = TestCase::new(escaped(name).into_owned(), status);
    case.set_classname(suite);
    case.set_time(std::time::Duration::ZERO);
    if is_well {
        case.set_system_out(escaped(said).into_owned());
    }
    case
}

fn not_well(kind: NonSuccessKind, why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(escaped(why).into_owned());
    status.set_type(match kind {
        NonSuccessKind::Failure => "fail",
        NonSuccessKind::Error => "error",
    });
    status
}

fn skipped(why: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(escaped(why).into_owned());
    status
}
