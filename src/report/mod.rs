//! What a run came to, written down: one file a format, each a function of the summary.

mod cases;
mod console;
mod file;
mod format;
mod github;
mod history;
mod html;
mod interval;
mod json;
mod junit;
mod markdown;
mod message;
mod moment;
mod plot;
#[cfg(test)]
mod samples;
mod tap;

use console::next;
pub(crate) use console::{Style, headline, render as console};
pub(crate) use file::{ReportFile, ReportSpec, replace};
pub(crate) use format::Format;
pub(crate) use history::{Entry, History, Newest, Told, Unreadable, newest_record, told};
pub(crate) use markdown::record_name;
pub(crate) use message::render as message;

use crate::outcome::{ElementSeen, Observation, Outcome, Status};
use crate::text;

/// What a report shows beneath the sentence of something that was seen: the expression of a threshold, where it is not the
/// name, and the command that shows the same.
fn beneath(observation: Option<&Observation>) -> Vec<&str> {
    let Some(observation) = observation else { return Vec::new() };
    let expression =
        observation.threshold().map(|seen| &*seen.expression).filter(|written| *written != observation.name);
    expression.into_iter().chain(observation.reproduce.as_deref()).collect()
}

/// How long a check took.
fn time(check: &Outcome) -> String {
    if check.status == Status::Skipped { "-".into() } else { text::duration(check.duration) }
}

/// The value and the limit of what a threshold compared, for a table.
fn compared(element: Option<&ElementSeen>) -> (String, String) {
    match element {
        None => ("no data".into(), "-".into()),
        Some(ElementSeen { value, limit: None, .. }) => (text::number(*value), "-".into()),
        Some(ElementSeen { value, limit: Some(limit), .. }) => text::beside(*value, *limit),
    }
}

/// The labels of what a threshold compared, as PromQL writes them; nothing where there are none.
fn labels(element: &ElementSeen) -> String {
    labels_of(&element.labels)
}

fn labels_of(labels: &[(String, String)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs = labels.iter().map(|(name, value)| format!("{name}={value:?}"));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}
