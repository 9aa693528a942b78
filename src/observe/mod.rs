//! What a run says while it goes on: lines of a terminal that are drawn anew, lines one after the other, or a log.

mod bars;
mod board;
mod lines;
mod log;

use std::convert::Infallible;

pub(crate) use log::{Asked, Log, start as start_log};
pub use log::{LogFormat, LogLevel};

use bars::Bars;
use lines::Lines;

use crate::outcome::{CheckId, Event, Observer, Status, TrafficNow};
use crate::text::{self, Redactor};

/// The progress of a run on standard error.
pub(crate) enum Progress {
    /// On a terminal.
    Drawn(Box<Bars>),
    /// Anywhere else.
    Told(Box<Lines>),
}

impl Progress {
    /// `names` are those of the checks, in the plan's order; `on_terminal` is whether lines can be drawn anew.
    pub(crate) fn new(names: &[String], redactor: &Redactor, on_terminal: bool) -> Self {
        if on_terminal {
            Self::Drawn(Box::new(Bars::new(names, redactor)))
        } else {
            Self::Told(Box::new(Lines::new(names, redactor)))
        }
    }

    /// Lets clocks go on and breaks silences, for as long as it is polled.
    pub(crate) async fn pulse(&self) -> Infallible {
        match self {
            Self::Drawn(bars) => bars.pulse().await,
            Self::Told(lines) => lines.pulse().await,
        }
    }
}

impl Observer for Progress {
    fn hear(&self, event: &Event) {
        match self {
            Self::Drawn(bars) => bars.hear(event),
            Self::Told(lines) => lines.hear(event),
        }
    }

    fn follows(&self) -> bool {
        true
    }
}

/// What happened in one sentence, with the check's name in front. Its parts are redacted: the gate's own words stay.
fn sentence(event: &Event, names: &[String], redactor: &Redactor) -> String {
    let clean = |text: &str| redactor.clean(text);
    let name = |check: &CheckId| names.get(check.index()).map(|name| clean(name)).unwrap_or_default();
    let ended = |check: &CheckId, word: &str, why: &str| format!("{}: {word}: {}", name(check), clean(why));
    match event {
        Event::Started { check, .. } => format!("{}: started", name(check)),
        Event::Skipped { check, why } => ended(check, Status::Skipped.word(), why),
        Event::Located { address, .. } => format!("the canary is at {}", clean(address)),
        Event::Retrying { check, attempt, of, cause, next_in, .. } => {
            let of = of.map_or(String::new(), |of| format!(" of {of}"));
            let (cause, next) = (clean(cause), text::duration(*next_in));
            format!("{}: attempt {attempt}{of}: {cause}; next in {next}", name(check))
        }
        Event::Scraped { check, .. } => format!("{}: scraped", name(check)),
        Event::Judged { check, .. } => format!("{}: judged", name(check)),
        Event::Asked { check, .. } => format!("{}: asked", name(check)),
        Event::Answered { check, .. } => format!("{}: answered", name(check)),
        Event::Traffic { check, .. } => format!("{}: traffic", name(check)),
        Event::Sampled { check, scrape, of, .. } => format!("{}: scrape {scrape} of {of}", name(check)),
        Event::Measured { check, traffic: TrafficNow { requests, failed, .. } } => {
            format!("{}: {requests} requests, {failed} failed", name(check))
        }
        Event::Ended { check, status, detail, .. } => ended(check, status.word(), detail),
        Event::Overturned { check, status, why } => ended(check, status.word(), why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gates_own_words_stay_whatever_the_secret_is() {
        let redactor = Redactor::default();
        for secret in ["pass", "skipped", "started", "s3cret"] {
            redactor.hide(secret);
        }
        let check = CheckId::all(1).next().unwrap();
        let ended = |detail: &str| Event::Ended {
            check,
            status: Status::Pass,
            attempts: 1,
            detail: detail.into(),
            observations: Vec::new(),
        };
        for (event, wanted) in [
            (Event::Started { check, limit: std::time::Duration::ZERO }, "health: started"),
            (ended("got s3cret"), "health: pass: got ***"),
            (Event::Skipped { check, why: "off".into() }, "health: skipped: off"),
        ] {
            assert_eq!(sentence(&event, &["health".into()], &redactor), wanted);
        }
    }
}
