//! Comments that take findings away: `# canary-gate: ignore[ID] reason`, behind a line or above it.

use crate::outcome::{Place, Source};

use super::catalogue;
use super::file::Parsed;
use super::finding::{Confidence, Found, Ignored, Level, Rule};
use super::fix::Edit;

pub(super) const UNUSED_IGNORE: Rule = Rule {
    id: "unused-ignore",
    level: Level::Warning,
    confidence: Confidence::High,
    what: "a comment ignores nothing",
    why: "It stays behind when the reason for it is gone, and then hides the next finding at its line, which nobody has looked at.",
    fix: "Take the comment away.",
};

pub(super) const BAD_IGNORE: Rule = Rule {
    id: "bad-ignore",
    level: Level::Warning,
    confidence: Confidence::High,
    what: "a comment to ignore a finding names no rule, an unknown rule, or no reason",
    why: "A comment that is misspelt ignores nothing, and one without a reason cannot be judged by whoever reads it next.",
    fix: "Write `# canary-gate: ignore[ID] reason`, behind the line of the finding or above it; several ids are separated by commas.",
};

struct Ignore<'a> {
    at: Source,
    /// The line that it is about.
    line: u64,
    ids: Vec<&'a str>,
    reason: &'a str,
}

/// Marks the findings that comments ignore, and reports the comments that are wrong or ignore nothing.
pub(super) fn apply(files: &[Parsed<'_>], found: &mut Found) {
    let mut ignores = Vec::new();
    for file in files {
        for (place, comment) in &file.comments {
            let Some(written) = comment.trim().strip_prefix("canary-gate:") else { continue };
            let at = Source { file: file.name.to_owned(), place: *place };
            match read(written) {
                Ok((ids, reason)) => ignores.push(Ignore { at, line: target(file.text, *place), ids, reason }),
                Err(message) => drop(found.add(&BAD_IGNORE, at, message)),
            }
        }
    }
    let mut used = vec![Vec::new(); ignores.len()];
    for finding in &mut found.0 {
        let places = || std::iter::once(&finding.at).chain(finding.beside.iter().map(|(place, _)| place));
        let fits = |ignore: &Ignore<'_>| {
            ignore.ids.contains(&finding.rule.id)
                && places().any(|at| at.file == ignore.at.file && at.place.line == ignore.line)
        };
        if let Some(index) = ignores.iter().position(fits) {
            used[index].push(finding.rule.id);
            let Ignore { at, reason, .. } = &ignores[index];
            finding.ignored = Some(Ignored { at: at.clone(), reason: (*reason).to_owned() });
        }
    }
    for (ignore, used) in ignores.into_iter().zip(used) {
        let unused: Vec<&str> = ignore.ids.iter().filter(|id| !used.contains(*id)).copied().collect();
        if !unused.is_empty() {
            let edit = used.is_empty().then_some(Edit::WithoutComment(ignore.at.place));
            let message = format!("nothing at line {} is found by {}", ignore.line, unused.join(", "));
            found.add(&UNUSED_IGNORE, ignore.at, message).edit(edit);
        }
    }
}

/// The ids and the reason of a comment, behind `canary-gate:`.
fn read(written: &str) -> Result<(Vec<&str>, &str), String> {
    let form = "write it as # canary-gate: ignore[ID] reason";
    let inside = written.trim().strip_prefix("ignore").and_then(|rest| rest.trim_start().strip_prefix('['));
    let Some((ids, reason)) = inside.and_then(|rest| rest.split_once(']')) else {
        return Err(format!("the comment names no rule to ignore; {form}"));
    };
    let ids: Vec<&str> = ids.split(',').map(str::trim).filter(|id| !id.is_empty()).collect();
    if ids.is_empty() {
        return Err(format!("the comment names no rule to ignore; {form}"));
    }
    if let Some(id) = ids.iter().find(|id| catalogue::named(id).is_none()) {
        return Err(catalogue::unknown(id));
    }
    if reason.trim().is_empty() {
        return Err(format!("the comment gives no reason; {form}"));
    }
    Ok((ids, reason.trim()))
}

/// The line that a comment is about: its own, or the next one with something on it.
fn target(text: &str, place: Place) -> u64 {
    let index = usize::try_from(place.line.saturating_sub(1)).unwrap_or(usize::MAX);
    let own = text.lines().nth(index).unwrap_or_default();
    if !own.trim_start().starts_with('#') {
        return place.line;
    }
    let next = text.lines().skip(index + 1).position(|line| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    });
    next.map_or(place.line, |lines| place.line + 1 + u64::try_from(lines).unwrap_or(u64::MAX))
}
