//! The summary that a person reads at a glance: a table, the thresholds, the verdict, what to do next.

use std::fmt::Write as _;

use crate::outcome::{DeploymentFacts, Observation, Outcome, Seen, Status, Summary, Verdict};
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

/// The summary as text.
pub(crate) fn render(summary: &Summary, style: Style) -> String {
    let url = summary.url.as_deref().map_or("(the canary was not located)".into(), field);
    let facts = summary.deployment.iter().flat_map(DeploymentFacts::known);
    let facts: Vec<String> = facts.map(|(name, value)| format!("{name} {}", field(value))).collect();
    let facts = if facts.is_empty() { String::new() } else { format!("{}\n", facts.join(", ")) };
    let mut text = format!("{url}\n{facts}\n");
    let name_width = summary.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0).max(5);
    let head = format!("{:name_width$}  {:7}  {:>8}  {:>9}  {}", "check", "status", "attempts", "time", "why");
    text.push_str(&style.paint(FAINT, head.trim_end()));
    text.push('\n');
    for check in &summary.checks {
        let (name, status) = (&check.name, style.status(check.status, 7));
        let (attempts, time) = (check.attempts, shown_time(check));
        let line = format!("{name:name_width$}  {status}  {attempts:>8}  {time:>9}  {}", field(&check.detail));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    observations(&mut text, summary, style);
    text.push('\n');
    text.push_str(&verdict(summary, style));
    text
}

fn shown_time(check: &Outcome) -> String {
    if check.status == Status::Skipped {
        return "-".into();
    }
    let milliseconds = check.duration.as_millis();
    if milliseconds < 1000 { format!("{milliseconds} ms") } else { format!("{:.1} s", check.duration.as_secs_f64()) }
}

/// Text that may hold what a canary said, for one line of a terminal.
fn field(text: &str) -> String {
    const SHOWN: usize = 600;
    let line = text.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    text::escaped(&text::cut(&line, SHOWN)).into_owned()
}

/// Every threshold, whatever its answer, and everything else that is not good.
fn observations(text: &mut String, summary: &Summary, style: Style) {
    let told = |check: &Outcome, observation: &Observation| {
        // A check of one request says it all in its own line.
        if observation.seen == Seen::Request && check.detail.ends_with(&observation.detail) {
            return false;
        }
        let always =
            observation.threshold().is_some() || (observation.seen == Seen::Note && observation.status == Status::Pass);
        always || !matches!(observation.status, Status::Pass | Status::Skipped)
    };
    for check in &summary.checks {
        let told: Vec<&Observation> =
            check.observations.iter().filter(|observation| told(check, observation)).collect();
        if told.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n{}", style.paint(BOLD, &check.name));
        for observation in told {
            let status = style.status(observation.status, 4);
            let name = field(&observation.name);
            let _ = writeln!(text, "  {status}  {name}: {}", field(&observation.detail));
            if let Some(seen) = observation.threshold().filter(|seen| field(&seen.expression) != name) {
                let _ = writeln!(text, "        {}", style.paint(FAINT, &field(&seen.expression)));
            }
        }
    }
}

fn verdict(summary: &Summary, style: Style) -> String {
    let verdict = summary.verdict();
    let took = text::duration(summary.duration);
    let names = |wanted: Status| {
        let named = summary.checks.iter().filter(|check| check.status == wanted).map(|check| &*check.name);
        named.collect::<Vec<_>>().join(", ")
    };
    let warnings = summary.warnings().len();
    let warned = match warnings {
        0 => String::new(),
        several => format!(", with {}", text::counted(several, "warning")),
    };
    let (code, line, next) = match verdict {
        Verdict::Pass => {
            let next = if warnings == 0 { "promote the canary" } else { "promote the canary; look at the warnings" };
            (GREEN, format!("PASS in {took}{warned}"), next.to_owned())
        }
        Verdict::Fail => {
            let failed = names(Status::Fail);
            let next = format!("do not promote; roll back, and look at {failed} above for the cause");
            (RED, format!("FAIL in {took}: {failed}{warned}"), next)
        }
        Verdict::Error => {
            let why = match &summary.unfinished {
                Some(unfinished) => field(&unfinished.cause),
                None => format!("not seen: {}", names(Status::Error)),
            };
            (
                RED,
                format!("NO VERDICT in {took}: {why}"),
                "do not promote on this run; remove the cause and run it again".into(),
            )
        }
    };
    format!("{}\nNext: {next}\n", style.paint(&format!("{BOLD};{code}"), &line))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::outcome::{Severity, ThresholdSeen, ThresholdVerdict};

    fn check(name: &str, status: Status, attempts: u32, millis: u64, detail: &str) -> Outcome {
        Outcome {
            name: name.into(),
            status,
            severity: Severity::Block,
            attempts,
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
            elements: Vec::new(),
        };
        metrics.observations.push(Observation::new(Seen::Threshold(seen), "failures", Status::Fail, "3, want <= 2"));
        let summary = Summary {
            url: Some("https://canary.example.com".into()),
            deployment: None,
            started_at: SystemTime::UNIX_EPOCH,
            duration: Duration::from_millis(2345),
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
ready    pass            2      1.3 s  GET /: 200
health   warn            1       3 ms  slow
metrics  fail            1       8 ms  failures: 3, want <= 2
smoke    skipped         0          -  switched off in the checks file

metrics
  fail  failures: 3, want <= 2
        (sum(f) or vector(0)) <= 2

FAIL in 2s 345ms: metrics, with 1 warning
Next: do not promote; roll back, and look at metrics above for the cause
";
        assert_eq!(render(&summary, Style::Plain), wanted);
        assert!(render(&summary, Style::Coloured).contains("\u{1b}[31mfail   \u{1b}[0m"));
    }
}
