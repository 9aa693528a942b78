//! The summary that a person reads at a glance: a table, the thresholds, the verdict, what to do next.

use std::fmt::Write as _;

use crate::outcome::{DeploymentFacts, Observation, Outcome, Purpose, Seen, Status, Summary, Verdict};
use crate::text;

/// Whether the text is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// No escape sequences.
    Plain,
    /// ANSI colours.
    Coloured,
}

const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";
const FAINT: &str = "2";
const BOLD: &str = "1";

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Coloured => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    fn status(self, status: Status, width: usize) -> String {
        let code = match status {
            Status::Pass => GREEN,
            Status::Warn => YELLOW,
            Status::Fail | Status::Error => RED,
            Status::Skipped => FAINT,
        };
        self.paint(code, &format!("{:width$}", status.word()))
    }
}

/// The summary as text, for a terminal of so many columns, where it is for one.
pub(crate) fn render(summary: &Summary, style: Style, columns: Option<usize>) -> String {
    let hanging = |text: &str, used: usize| text::hanging(text, used, columns);
    let nowhere = match summary.purpose {
        Purpose::Verify => "(the canary was not located)",
        Purpose::Audit => "(the service's address is not known)",
    };
    let url = summary.url.as_deref().map_or(nowhere.into(), field);
    let facts = summary.deployment.iter().flat_map(DeploymentFacts::known);
    let facts: Vec<String> = facts.map(|(name, value)| format!("{name} {}", field(value))).collect();
    let facts = if facts.is_empty() { String::new() } else { format!("{}\n", hanging(&facts.join(", "), 0)) };
    let mut text = format!("{url}\n{facts}\n");
    let name_width = summary.checks.iter().map(|check| field(&check.name).chars().count()).max().unwrap_or(0).max(5);
    let time_width = summary.checks.iter().map(|check| super::time(check).len()).max().unwrap_or(0).max(9);
    let head =
        format!("{:name_width$}  {:7}  {:>8}  {:>time_width$}  {}", "check", "status", "attempts", "time", "why");
    text.push_str(&style.paint(FAINT, head.trim_end()));
    text.push('\n');
    for check in &summary.checks {
        let (name, status) = (field(&check.name), style.status(check.status, 7));
        let (attempts, time) = (check.attempts, super::time(check));
        // Before the reason: the name, and the other columns with what is between them.
        let why = hanging(&field(&check.detail), name_width.max(name.chars().count()) + 23 + time_width);
        let line = format!("{name:name_width$}  {status}  {attempts:>8}  {time:>time_width$}");
        let between = if why.is_empty() || why.starts_with('\n') { "" } else { "  " };
        text.push_str(&format!("{line}{between}{why}"));
        text.push('\n');
    }
    observations(&mut text, summary, style, columns);
    links(&mut text, summary, style);
    text.push('\n');
    text.push_str(&verdict(summary, style, columns));
    text
}

/// Text that may hold what a canary said, for one line of a terminal.
fn field(text: &str) -> String {
    const SHOWN: usize = 600;
    let line = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    text::escaped(&text::cut(&line, SHOWN)).into_owned()
}

/// Every threshold, whatever its answer, and everything else that is not good. A sentence that the check's own line says
/// already is not repeated.
fn observations(text: &mut String, summary: &Summary, style: Style, columns: Option<usize>) {
    const INDENT: usize = 8;
    let is_said = |check: &Outcome, observation: &Observation| {
        observation.is_quoted || check.detail.contains(&format!("{}: {}", observation.name, observation.detail))
    };
    let told = |check: &Outcome, observation: &Observation| {
        if observation.threshold().is_none() && is_said(check, observation) {
            return observation.reproduce.is_some();
        }
        let always = match observation.seen {
            Seen::Threshold(_) | Seen::Measure | Seen::Note => true,
            Seen::Request | Seen::Asset | Seen::Family => false,
        };
        always || !matches!(observation.status, Status::Pass | Status::Skipped)
    };
    for check in &summary.checks {
        let told: Vec<&Observation> =
            check.observations.iter().filter(|observation| told(check, observation)).collect();
        if told.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{}", style.paint(BOLD, &field(&check.name)));
        for observation in told {
            let status = style.status(observation.status, 4);
            let name = field(&observation.name);
            let detail =
                if is_said(check, observation) { String::new() } else { format!(": {}", field(&observation.detail)) };
            let told = text::hanging(&format!("{name}{detail}"), INDENT, columns);
            let _ = writeln!(text, "  {status}  {told}");
            if let Some(seen) = observation.threshold().filter(|seen| field(&seen.expression) != name) {
                let expression = text::hanging(&field(&seen.expression), INDENT, columns);
                let _ = writeln!(text, "{:INDENT$}{}", "", style.paint(FAINT, &expression));
            }
            if let Some(command) = &observation.reproduce {
                let _ = writeln!(text, "        $ {}", text::escaped(command));
            }
        }
    }
}

/// The pages of the Cloud Console.
fn links(text: &mut String, summary: &Summary, style: Style) {
    let links = summary.links();
    let width = links.iter().map(|link| link.name.len()).max().unwrap_or(0);
    if !links.is_empty() {
        text.push('\n');
    }
    for link in links {
        let _ = writeln!(text, "{:width$}  {}", link.name, style.paint(FAINT, &link.url));
    }
}

/// The verdict in one line.
pub(crate) fn headline(summary: &Summary) -> String {
    let still = |lost| {
        let lost = text::duration(lost);
        format!(" (in which the gate itself stood still for {lost}: it had too little of a CPU, or was stopped)")
    };
    let took = text::duration(summary.duration) + &summary.stood_still.map_or(String::new(), still);
    let warned = match summary.warnings().len() {
        0 => String::new(),
        several => format!(", with {}", text::counted(several, "warning")),
    };
    match summary.verdict() {
        Verdict::Pass => format!("PASS in {took}{warned}"),
        Verdict::Fail => format!("FAIL in {took}: {}{warned}", names(summary, Status::Fail)),
        Verdict::Error => {
            let why = match &summary.unfinished {
                Some(unfinished) => field(&unfinished.cause),
                None => format!("not seen: {}", names(summary, Status::Error)),
            };
            format!("NO VERDICT in {took}: {why}")
        }
    }
}

/// The names of the checks that ended in a status.
fn names(summary: &Summary, wanted: Status) -> String {
    let named = summary.checks.iter().filter(|check| check.status == wanted).map(|check| field(&check.name));
    named.collect::<Vec<_>>().join(", ")
}

/// What to do now; with where the cause is told, seen from there.
pub(super) fn next(summary: &Summary, place: &str) -> String {
    if summary.deployment.as_ref().is_some_and(DeploymentFacts::is_rollback) {
        return match summary.verdict() {
            Verdict::Pass => "mend what was rolled back before it is released again".into(),
            Verdict::Fail => format!("look at {} {place} for what stands now", names(summary, Status::Fail)),
            Verdict::Error => "remove the cause and run it again: what is done already is not done twice".into(),
        };
    }
    if summary.purpose == Purpose::Audit {
        return after_audit(summary, place);
    }
    match summary.verdict() {
        Verdict::Pass if summary.warnings().is_empty() => "promote the canary".into(),
        Verdict::Pass => "promote the canary; look at the warnings".into(),
        Verdict::Fail => {
            let failed = names(summary, Status::Fail);
            format!("do not promote; roll back, and look at {failed} {place} for the cause")
        }
        Verdict::Error => "do not promote on this run; remove the cause and run it again".into(),
    }
}

/// What to do after an audit: the traffic is where it is, and not every row is a reason to take it back.
fn after_audit(summary: &Summary, place: &str) -> String {
    match summary.verdict() {
        Verdict::Pass if summary.warnings().is_empty() => "nothing; the deployment is as it should be".into(),
        Verdict::Pass => "look at the warnings".into(),
        Verdict::Fail => {
            let failed = names(summary, Status::Fail);
            format!("look at {failed} {place} for the cause, mend it or roll back, and audit again")
        }
        Verdict::Error => "grant or mend what kept rows from being seen, and audit again".into(),
    }
}

fn verdict(summary: &Summary, style: Style, columns: Option<usize>) -> String {
    let code = match summary.verdict() {
        Verdict::Pass => GREEN,
        Verdict::Fail | Verdict::Error => RED,
    };
    let headline = text::hanging(&headline(summary), 0, columns);
    let next = text::hanging(&format!("Next: {}", next(summary, "above")), 0, columns);
    format!("{}\n{next}\n", style.paint(&format!("{BOLD};{code}"), &headline))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::outcome::{Exit, Severity, ThresholdSeen, ThresholdVerdict, Unfinished};
    use crate::report::Format;
    use crate::text::Redactor;

    fn check(name: &str, status: Status, attempts: u32, millis: u64, detail: &str) -> Outcome {
        Outcome {
            name: name.into(),
            status,
            severity: Severity::Block,
            attempts,
            started: Some(Duration::ZERO),
            retries: Vec::new(),
            duration: Duration::from_millis(millis),
            limit: Duration::from_secs(30),
            detail: detail.into(),
            place: None,
            observations: Vec::new(),
        }
    }

    #[test]
    fn the_summary_is_what_a_person_reads() {
        let mut metrics = check("metrics", Status::Fail, 1, 8, "failures: 3, want <= 2");
        let seen = ThresholdSeen {
            expression: "(sum(f) or\n  vector(0)) <= 2".into(),
            verdict: ThresholdVerdict::Fail,
            severity: Severity::Block,
            compared: 0,
            elements: Vec::new(),
            courses: Vec::new(),
        };
        let failed = Observation::new(Seen::Threshold(seen), "failures", Status::Fail, "3, want <= 2");
        let command = "canary-gate query '(sum(f) or vector(0))' --url https://canary.example.com/metrics";
        metrics.observations.push(Observation { reproduce: Some(command.into()), ..failed });
        let summary = Summary {
            purpose: Purpose::Verify,
            url: Some("https://canary.example.com".into()),
            deployment: None,
            started_at: SystemTime::UNIX_EPOCH,
            duration: Duration::from_millis(2345),
            stood_still: None,
            checks: vec![
                check("ready", Status::Pass, 2, 1300, "GET /: 200"),
                check("health", Status::Warn, 1, 3, "slow"),
                metrics,
                check("smoke", Status::Skipped, 0, 0, "switched off in the checks file"),
            ],
            unfinished: None,
        };
        let wanted = "\
https://canary.example.com

check    status   attempts       time  why
ready    pass            2   1s 300ms  GET /: 200
health   warn            1        3ms  slow
metrics  fail            1        8ms  failures: 3, want <= 2
smoke    skipped         0          -  switched off in the checks file

metrics
  fail  failures
        (sum(f) or vector(0)) <= 2
        $ canary-gate query '(sum(f) or vector(0))' --url https://canary.example.com/metrics

FAIL in 2s 345ms: metrics, with 1 warning
Next: do not promote; roll back, and look at metrics above for the cause
";
        assert_eq!(render(&summary, Style::Plain, None), wanted);
        assert!(render(&summary, Style::Coloured, None).contains("\u{1b}[31mfail   \u{1b}[0m"));
    }

    #[test]
    fn what_the_checks_line_quotes_is_told_once_and_names_cannot_draw() {
        let mut ready = check("re\u{200b}ady", Status::Fail, 3, 8, "GET /: refused; the limit was used up");
        let seen = |detail: &str| Observation::new(Seen::Request, "GET /", Status::Fail, detail);
        ready.observations = vec![Observation { is_quoted: true, ..seen("refused") }, seen("reset")];
        let summary = Summary { checks: vec![ready], ..unfinished(None) };
        let text = render(&summary, Style::Plain, None);
        assert_eq!((text.matches("refused").count(), text.matches("reset").count()), (1, 1), "{text}");
        assert!(!text.contains('\u{200b}') && text.contains("FAIL in 0s: re\\u{200b}ady"), "{text}");
    }

    fn unfinished(cause: Option<&str>) -> Summary {
        let unfinished = cause.map(|cause| Unfinished { cause: cause.into(), exit: Exit::NoVerdict });
        Summary {
            purpose: Purpose::Verify,
            url: None,
            deployment: None,
            started_at: SystemTime::UNIX_EPOCH,
            duration: Duration::ZERO,
            stood_still: None,
            checks: Vec::new(),
            unfinished,
        }
    }

    #[test]
    fn redaction_leaves_what_is_the_gates_own() {
        let redactor = Redactor::default();
        for secret in ["pass", "30000", "verdict", "limit_ms", "a\"b\\c"] {
            redactor.hide(secret);
        }
        let mut health = check("health", Status::Pass, 1, 30_000, "got 30000");
        health.observations.push(Observation::note("n", Status::Pass, format!("is {:?}", "a\"b\\c")));
        let summary = Summary { checks: vec![health], ..unfinished(None) }.redacted(&redactor);
        let report: serde_json::Value = serde_json::from_str(&Format::Json.render(&summary).unwrap()).unwrap();
        let check = &report["checks"][0];
        assert_eq!((&report["verdict"], &check["limit_ms"]), (&"pass".into(), &30_000.into()));
        assert_eq!((&check["detail"], &check["status"]), (&"got ***".into(), &"pass".into()));
        assert_eq!(check["observations"][0]["detail"], "is \"***\"");
        let console = render(&summary, Style::Plain, None);
        assert!(console.contains("health  pass            1        30s  got ***\n"));
    }
}
