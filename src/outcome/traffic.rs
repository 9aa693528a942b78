//! What the traffic check sent and what came of it, step by step, as data that can be kept and judged again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Observation, Side};

/// What came of one request.
#[expect(clippy::struct_excessive_bools, reason = "facts, each by itself")]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answered {
    /// When it was due, since the start of the schedule.
    #[serde(with = "nanoseconds")]
    pub(crate) due: Duration,
    /// The number of its pair; without a stable revision each request is one by itself.
    pub(crate) pair: usize,
    pub(crate) side: Side,
    /// Its index in the plan.
    pub(crate) request: usize,
    /// The W3C trace context that finds it in the traces of the service: <https://www.w3.org/TR/trace-context/>. It is kept of
    /// a request that failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) traceparent: String,
    /// Whether it was a part of the warm-up.
    #[serde(default, skip_serializing_if = "is_not")]
    pub(crate) is_warm_up: bool,
    /// From the moment when it was due to the last byte of the answer, without setting up a connection.
    #[serde(with = "nanoseconds")]
    pub(crate) since_due: Duration,
    /// From the moment when it was sent, likewise.
    #[serde(with = "nanoseconds")]
    pub(crate) latency: Duration,
    /// How long setting up a connection took, where one was.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "nanoseconds_option")]
    pub(crate) setup: Option<Duration>,
    /// How long the gate itself was behind the schedule; nothing where the service kept the request waiting.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "nanoseconds_option")]
    pub(crate) lag: Option<Duration>,
    /// The status as a word, or what kept an answer from coming.
    pub(crate) code: String,
    /// Why the answer is not good; nothing where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<String>,
    pub(crate) bytes: u64,
    /// Whether nothing marks the end of the body, so that a cut one looks whole.
    #[serde(default, skip_serializing_if = "is_not")]
    pub(crate) is_unmarked: bool,
    /// Whether a connection that was kept alive was closed as it went out, so that it was asked once more on a new one.
    #[serde(default, skip_serializing_if = "is_not")]
    pub(crate) was_cut_off: bool,
    /// Whether it could not be sent although others were answered meanwhile: more would have to run at once.
    #[serde(default, skip_serializing_if = "is_not")]
    pub(crate) is_crowded: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_not(value: &bool) -> bool {
    !value
}

/// What the traffic check did beside the requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TrafficStep {
    /// The first: how the requests are sent.
    Began {
        /// Of the order of requests, and of the comparison's random swaps.
        seed: u64,
        /// Whether the stable revision is asked too.
        is_paired: bool,
        /// The plan's requests as sentences name them.
        names: Vec<String>,
        /// Why the stable revision is not asked, where that is to be told.
        note: Option<Box<Observation>>,
    },
    /// What was measured so far became a sample of its series: milliseconds since the Unix epoch.
    Sampled { at: i64 },
    /// It was looked at whether enough is proven: at the end of the planned time, or in what was added to it.
    Looked {
        /// Since the start of the schedule.
        #[serde(with = "nanoseconds")]
        at: Duration,
        is_planned_end: bool,
    },
    /// What real users got meanwhile.
    Users {
        /// Requests and errors of the canary, requests and errors of stable, between two scrapes.
        intervals: Vec<[usize; 4]>,
        /// Why an interval is missing, the newest.
        trouble: Option<String>,
    },
    /// The last.
    Ended { how: TrafficEnd },
}

/// How the measuring ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TrafficEnd {
    /// In its time, or in what was added to it.
    InTime { extended: bool },
    /// Early: with the answer of this number, from 1 on, the comparison had proven the canary bad.
    Proven { answer: usize },
    /// More bytes came than may.
    TooMuch,
    /// What was measured cannot be kept.
    Unkept(String),
}

/// Durations as whole nanoseconds, so that they are the same again.
mod nanoseconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_nanos)
    }
}

/// As [`nanoseconds`], where there may be none.
mod nanoseconds_option {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "what serde asks for")]
    pub(super) fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => super::nanoseconds::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_nanos))
    }
}
