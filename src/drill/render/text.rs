//! For people: a line a fault, what is wrong below, and the verdict last.

use super::{Drill, subject};
use crate::text::{counted, cut, duration, escaped};

/// How much of a cause is shown, in characters; the reports have it whole.
const SHOWN: usize = 200;

pub(super) fn render(drill: &Drill) -> String {
    let mut out = format!("Drill of {}\n\n", escaped(subject(drill)));
    let width = drill.faults.iter().map(|played| played.name.len()).max().unwrap_or(0);
    for played in &drill.faults {
        out += &format!(
            "{:8}  {:width$}  {}\n",
            played.made.word(),
            played.name,
            escaped(&cut(&played.made.said(), SHOWN))
        );
    }
    if !drill.thresholds.is_empty() {
        out += "\nthresholds\n";
    }
    for threshold in &drill.thresholds {
        out += &format!(
            "{:9}  {}: {}\n",
            threshold.fails.word(),
            escaped(&threshold.name),
            escaped(&cut(&threshold.fails.said(), SHOWN))
        );
        if threshold.fails.is_vacuous() {
            let place = threshold.place.as_ref().map(|place| format!("  ({}:{})", place.file, place.place));
            out += &format!("           {}{}\n", escaped(&threshold.expression), escaped(&place.unwrap_or_default()));
        }
    }
    if !drill.checks.is_empty() {
        out += "\nchecks\n";
    }
    for check in &drill.checks {
        let word = if check.is_vacuous() { "VACUOUS" } else { "can fail" };
        let faults = counted(check.faults, "fault");
        out += &format!("{word:9}  {}: not well in {} of {faults} meant for it\n", escaped(&check.name), check.failed);
    }
    if !drill.notes.is_empty() {
        out += "\nother than in a verification\n";
    }
    for note in &drill.notes {
        out += &format!("  {}\n", escaped(note));
    }
    let requests = counted(drill.requests, "request");
    out += &format!("\n{} ({}, {requests} to the service)\n", escaped(&drill.headline()), duration(drill.duration));
    out
}
