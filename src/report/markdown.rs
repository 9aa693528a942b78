//! The record of a deployment in Markdown: front matter for machines (`canary-gate history` reads it), and for people what
//! was deployed, what had the traffic, what was seen, and where to look.

use std::fmt::Write as _;
use std::time::SystemTime;

use super::{headline, next};
use crate::outcome::{DeploymentFacts, Observation, Outcome, Purpose, Serving, Share, Status, Summary, Verdict};
use crate::text;

/// What a record is called in a folder of records, without its ending: the day and the release, or whatever else is known.
pub(crate) fn record_name(began: SystemTime, facts: Option<&DeploymentFacts>, host: Option<&str>) -> String {
    const LONGEST: usize = 80;
    let known = facts.and_then(|facts| facts.release.as_deref().or(facts.revision.as_deref())).or(host);
    let of_a_name = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_') { c } else { '-' };
    let name: String = known.unwrap_or("canary").chars().map(of_a_name).take(LONGEST).collect();
    format!("{}-{name}", day(began))
}

fn day(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string().chars().take(10).collect()
}

pub(super) fn render(summary: &Summary) -> String {
    let mut text = front_matter(summary);
    let title = summary.deployment.as_ref().and_then(|facts| facts.release.as_deref().or(facts.revision.as_deref()));
    let title = title.or(summary.url.as_deref()).unwrap_or("a canary");
    let _ = writeln!(text, "\n# {}: {}", inline(title), summary.verdict().word());
    let _ = writeln!(text, "\n**{}**  \nNext: {}", inline(&headline(summary)), inline(&next(summary, "below")));
    deployment(&mut text, summary);
    traffic(&mut text, summary);
    steps(&mut text, summary);
    metrics(&mut text, summary);
    seen(&mut text, summary);
    commands(&mut text, summary);
    links(&mut text, summary);
    text
}

/// What `canary-gate history` lists. Texts are written as JSON writes them, which is YAML too.
fn front_matter(summary: &Summary) -> String {
    let mut text = String::from("---\n");
    let _ = writeln!(text, "date: {}", humantime::format_rfc3339_seconds(summary.started_at));
    let _ = writeln!(text, "verdict: {}", summary.verdict().word());
    if summary.purpose == Purpose::Audit {
        // It tells of a deployment that another record is of.
        text.push_str("purpose: audit\n");
    }
    // A reader that knows no front matter takes it for text.
    let quoted = |said: &str| serde_json::Value::from(&*text::escaped(said)).to_string().replace('<', "\\u003c");
    let _ = writeln!(text, "description: {}", quoted(&description(summary)));
    if let Some(share) = summary.share() {
        let _ = writeln!(text, "share: {share}");
    }
    for (name, value) in facts(summary) {
        let _ = writeln!(text, "{name}: {}", quoted(value));
    }
    // Of a rollback that was not well, the traffic may be anywhere.
    let from = summary.deployment.as_ref().and_then(|facts| facts.rolled_back.as_deref());
    if let Some(from) = from.filter(|_| summary.verdict() == Verdict::Pass) {
        let _ = writeln!(text, "rolled_back: {}", quoted(from));
    }
    text.push_str("---\n");
    text
}

/// What came of it, in a few words.
fn description(summary: &Summary) -> String {
    const LONGEST: usize = 200;
    let bad = |wanted| summary.checks.iter().find(|check| check.status == wanted);
    let sentence = |check: &Outcome| text::cut(&format!("{}: {}", check.name, check.detail), LONGEST).into_owned();
    let passed = summary.checks.iter().filter(|check| matches!(check.status, Status::Pass | Status::Warn)).count();
    match (summary.verdict(), &summary.unfinished) {
        (_, Some(unfinished)) => text::cut(&unfinished.cause, LONGEST).into_owned(),
        (Verdict::Pass, None) => match summary.warnings().len() {
            0 => format!("{} passed", text::counted(passed, "check")),
            several => format!("{} passed, {}", text::counted(passed, "check"), text::counted(several, "warning")),
        },
        (Verdict::Fail, None) => bad(Status::Fail).map(sentence).unwrap_or_default(),
        (Verdict::Error, None) => bad(Status::Error).map(sentence).unwrap_or_default(),
    }
}

/// What is known of the deployment, by the names that the front matter has.
pub(super) fn facts(summary: &Summary) -> Vec<(&'static str, &str)> {
    let Some(facts) = &summary.deployment else {
        return summary.url.iter().map(|url| ("url", &**url)).collect();
    };
    let serving = facts.serving.as_ref();
    let more = [
        ("pipeline", facts.pipeline.as_deref()),
        ("target", facts.target.as_deref()),
        ("image", serving.and_then(|serving| serving.image.as_deref())),
        ("commit", serving.and_then(|serving| serving.commit.as_deref())),
        ("url", summary.url.as_deref()),
    ];
    facts.known().chain(more.into_iter().filter_map(|(name, value)| Some((name, value?)))).collect()
}

fn deployment(text: &mut String, summary: &Summary) {
    let _ = writeln!(text, "\n| deployment | |\n|---|---|");
    let _ = writeln!(text, "| date | {} |", humantime::format_rfc3339_seconds(summary.started_at));
    for (name, value) in facts(summary) {
        let _ = writeln!(text, "| {name} | {} |", inline(value));
    }
}

fn traffic(text: &mut String, summary: &Summary) {
    let serving = summary.deployment.as_ref().and_then(|facts| facts.serving.as_ref());
    let Some(Serving { traffic, .. }) = serving.filter(|serving| !serving.traffic.is_empty()) else { return };
    text.push_str("\n## Traffic\n\n| revision | share | tag |\n|---|--:|---|\n");
    for Share { revision, percent, tag } in traffic {
        let tag = tag.as_deref().map(inline).unwrap_or_default();
        let _ = writeln!(text, "| {} | {percent} % | {tag} |", inline(revision));
    }
}

fn steps(text: &mut String, summary: &Summary) {
    if summary.checks.is_empty() {
        return;
    }
    text.push_str("\n## Steps\n\n| check | status | attempts | time | why |\n|---|---|--:|--:|---|\n");
    for check in &summary.checks {
        let (name, status, attempts) = (inline(&check.name), check.status.word(), check.attempts);
        let _ =
            writeln!(text, "| {name} | {status} | {attempts} | {} | {} |", super::time(check), inline(&check.detail));
    }
}

fn metrics(text: &mut String, summary: &Summary) {
    let all = summary.checks.iter().flat_map(|check| &check.observations);
    let rows: Vec<String> = all.filter_map(metric).collect();
    if !rows.is_empty() {
        text.push_str("\n## Metrics\n\nOf each threshold the worst value; n is how many values were compared.\n\n");
        text.push_str("| threshold | status | value | limit | n | of |\n|---|---|--:|--:|--:|---|\n");
        text.push_str(&rows.concat());
    }
}

fn metric(observation: &Observation) -> Option<String> {
    let seen = observation.threshold()?;
    let worst = seen.elements.first();
    let (value, limit) = super::compared(worst);
    let labels = worst.map(super::labels).unwrap_or_default();
    let (name, status, n) = (inline(&observation.name), observation.status.word(), seen.compared);
    Some(format!("| {name} | {status} | {value} | {limit} | {n} | {} |\n", inline(&labels)))
}

/// What was not good, in sentences, and what was tried again.
fn seen(text: &mut String, summary: &Summary) {
    let is_bad = |observation: &&Observation| !matches!(observation.status, Status::Pass | Status::Skipped);
    for check in &summary.checks {
        let bad: Vec<&Observation> = check.observations.iter().filter(is_bad).collect();
        if bad.is_empty() && check.retries.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n## {}\n", inline(&check.name));
        for observation in bad {
            let (name, detail) = (inline(&observation.name), inline(&observation.detail));
            let _ = writeln!(text, "- **{}** {name}: {detail}", observation.status.word());
            if let Some(seen) = observation.threshold().filter(|seen| seen.expression != observation.name) {
                let _ = writeln!(text, "  - {}", inline(&seen.expression));
            }
        }
        for retry in &check.retries {
            let at = text::duration(retry.at);
            let _ = writeln!(text, "- attempt {} failed at {at}: {}", retry.attempt, inline(&retry.cause));
        }
    }
}

fn commands(text: &mut String, summary: &Summary) {
    let all = summary.checks.iter().flat_map(|check| &check.observations);
    let commands: Vec<&str> = all.filter_map(|observation| observation.reproduce.as_deref()).collect();
    if commands.is_empty() {
        return;
    }
    text.push_str("\n## To see the same\n\n");
    let shown: Vec<_> = commands.into_iter().map(text::escaped).collect();
    // Longer than any row of them inside.
    let longest = shown.iter().flat_map(|line| line.split(|c| c != '`')).map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let _ = writeln!(text, "{fence}sh\n{}\n{fence}", shown.join("\n"));
}

fn links(text: &mut String, summary: &Summary) {
    let links = summary.links();
    if !links.is_empty() {
        text.push_str("\n## Cloud Console\n\n");
        for link in links {
            let _ = writeln!(text, "- [{}]({})", link.name, link.url);
        }
    }
}

/// Text as a part of one line, in which nothing is markup.
pub(super) fn inline(said: &str) -> String {
    let line = text::one_line(said);
    let mut safe = String::with_capacity(line.len() + 16);
    for c in text::escaped(&line).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' | '!' | '$') {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_record_is_named_by_its_day_and_what_is_known() {
        let began = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_726_154);
        let facts = |release: Option<&str>| DeploymentFacts {
            release: release.map(str::to_owned),
            revision: Some("shop-00042-xyz".into()),
            ..DeploymentFacts::default()
        };
        for (facts, host, wanted) in [
            (Some(facts(Some("rel-042"))), None, "2026-11-26-rel-042"),
            (Some(facts(None)), Some("h"), "2026-11-26-shop-00042-xyz"),
            (None, Some("canary.example.com"), "2026-11-26-canary.example.com"),
            (None, None, "2026-11-26-canary"),
            (Some(facts(Some("../x y"))), None, "2026-11-26-..-x-y"),
        ] {
            assert_eq!(record_name(began, facts.as_ref(), host), wanted);
        }
    }
}
