//! What a run says while it goes on: lines for a person, or a log.

mod lines;
mod log;

pub(crate) use lines::Lines;
pub(crate) use log::{Asked, Log, start as start_log};
pub use log::{LogFormat, LogLevel};

use crate::outcome::{CheckId, Event};
use crate::text;

/// What happened in one sentence, with the check's name in front; nothing for what needs no word.
fn sentence(event: &Event, names: &[String]) -> Option<String> {
    let name = |check: &CheckId| names.get(check.index()).map_or("", String::as_str);
    Some(match event {
        Event::Started { .. } | Event::Skipped { .. } => return None,
        Event::Located { address } => format!("the canary is at {address}"),
        Event::Retrying { check, attempt, of, cause, next_in } => {
            let of = of.map_or(String::new(), |of| format!(" of {of}"));
            format!("{}: attempt {attempt}{of}: {cause}; next in {}", name(check), text::duration(*next_in))
        }
        Event::Sampled { check, scrape, of } => format!("{}: scrape {scrape} of {of}", name(check)),
        Event::Ended { check, status, detail, .. } => format!("{}: {}: {detail}", name(check), status.word()),
        Event::Overturned { check, status, why } => format!("{}: {}: {why}", name(check), status.word()),
    })
}
