//! What a chat is told of a run: a few lines of plain text, in which nothing is a mention or a link of the canary's choosing.

use super::{headline, next};
use crate::outcome::{Status, Summary, Verdict};
use crate::text;

/// How much of what was not good is told.
const CAUSES: usize = 3;
const LONGEST: usize = 300;

pub(crate) fn render(summary: &Summary) -> String {
    let facts = summary.deployment.as_ref();
    let of = [facts.and_then(|facts| facts.service.as_deref()), facts.and_then(|facts| facts.release.as_deref())];
    let mut of: Vec<&str> = of.into_iter().flatten().collect();
    if of.is_empty() {
        of.push(summary.url.as_deref().unwrap_or("a canary"));
    }
    let phase = facts.and_then(|facts| facts.phase.as_deref()).map_or(String::new(), |phase| format!(" ({phase})"));
    let mut lines = vec![format!("{}{phase}: {}", of.join(" "), headline(summary))];
    let bad = summary.checks.iter().filter(|check| matches!(check.status, Status::Fail | Status::Error));
    lines.extend(bad.take(CAUSES).map(|check| format!("{}: {}", check.name, check.detail)));
    lines.push(format!("Next: {}", next(summary, "above")));
    let mut lines: Vec<String> = lines.iter().map(|line| plain(line)).collect();
    if summary.verdict() != Verdict::Pass {
        let links = summary.links().into_iter().filter(|link| matches!(link.name, "logs" | "rollout"));
        lines.extend(links.map(|link| format!("{}: {}", link.name, link.url)));
    }
    lines.join("\n")
}

/// A line without the characters by which chats mark mentions and links.
fn plain(line: &str) -> String {
    let line = text::one_line(&text::cut(line, LONGEST));
    let line = line.replace("<=", "≤").replace(">=", "≥").replace('<', "‹").replace('>', "›").replace('&', "＆");
    text::escaped(&line).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    #[test]
    fn a_chat_is_told_the_verdict_its_causes_and_where_to_look() {
        let all = samples::all();
        let of = |name: &str| render(&all.iter().find(|(known, _)| *known == name).unwrap().1);
        let fail = of("fail");
        let lines: Vec<&str> = fail.lines().collect();
        assert_eq!(lines[0], "shop rel-042 (canary): FAIL in 2m 5s 600ms: readiness, metrics, traffic");
        assert_eq!(lines[1], "readiness: GET /health/readiness: 404, want 200");
        assert!(
            lines[2].contains("3, want ≤ 2")
                && lines[3].starts_with("traffic: ")
                && lines[4].starts_with("Next: do not promote"),
            "{fail}"
        );
        assert!(lines[5].starts_with("logs: https://console.cloud.google.com/logs/"), "{fail}");
        assert_eq!(of("pass").lines().count(), 2);
        let hostile = of("hostile");
        assert!(!hostile.contains(['<', '>', '&']) && !hostile.contains('\u{1b}'), "{hostile}");
    }
}
