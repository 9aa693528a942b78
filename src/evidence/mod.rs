//! What a run's verdict rests on, in one file: the plan, each request's facts, the scrapes and the answers that thresholds
//! and comparisons were judged over, and what it came to. `docs/evidence.md` tells the format.

mod read;
mod record;
mod written;

use serde::{Deserialize, Serialize};

pub(crate) use read::{Bundle, Tape, TrafficLine};
pub(crate) use record::{Recorder, bare};
pub(crate) use written::{Noting, Written};

use crate::outcome::{Answered, Asked, Exchange, Judged, Round, Summary, TrafficStep};

/// The version of the format; a reader of it takes what it does not know for something newer.
const SCHEMA: u32 = 2;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Header {
    /// The version of the format.
    schema: u32,
    /// The version of the gate that wrote it.
    gate: String,
}

/// One line. A check is told by its number in the plan's order.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Evidence(Header),
    Plan(Box<Written>),
    Exchange {
        /// Milliseconds since the start of the run.
        at: u64,
        exchange: Exchange,
    },
    Scraped {
        check: usize,
        round: Round,
        /// Whether something in it was masked.
        masked: bool,
    },
    Judged {
        check: usize,
        judged: Judged,
    },
    /// What a Prometheus server answered.
    Asked {
        check: usize,
        asked: Asked,
    },
    /// What an answer of the traffic is made of; numbered by their order in the file, from 0 on.
    Shape(serde_json::Value),
    Answered {
        check: usize,
        answer: Box<Answered>,
        /// The number of its shape.
        shape: Option<usize>,
    },
    Traffic {
        check: usize,
        step: TrafficStep,
    },
    /// What a check saw was not kept to its end.
    Lost {
        check: usize,
        why: String,
    },
    /// The last line.
    Outcome(Box<Summary>),
}
