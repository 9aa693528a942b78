//! What a verdict rests on, as data that can be kept and judged again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The two revisions that a check may look at side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    Canary,
    Stable,
}

impl Side {
    /// As labels and sentences name it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Stable => "stable",
        }
    }
}

/// The formats of a scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ScrapeFormat {
    Prometheus,
    OpenMetrics,
}

/// One scrape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Scrape {
    /// Milliseconds since the Unix epoch.
    pub(crate) at: i64,
    /// Nothing where the answer had no content type.
    pub(crate) format: Option<ScrapeFormat>,
    /// Whole, or the lines of the metrics that were read.
    pub(crate) text: String,
}

/// What one side brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SideSeen {
    pub(crate) side: Side,
    /// Nothing where the scrape failed.
    pub(crate) scrape: Option<Scrape>,
}

/// What all sides brought at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Round {
    /// Milliseconds since the Unix epoch.
    pub(crate) time: i64,
    pub(crate) sides: Vec<SideSeen>,
}

/// How the thresholds were judged over the rounds before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Judged {
    /// Milliseconds since the Unix epoch.
    pub(crate) time: i64,
    /// What they were judged over, in words.
    pub(crate) seen: String,
    /// The labels that the series of each side were given.
    pub(crate) labels: Vec<(Side, Vec<(String, String)>)>,
    /// The metrics of which lines were kept, by their names without the endings of samples; nothing where all were.
    pub(crate) kept: Option<Vec<String>>,
}

/// An expression that a Prometheus server was asked for, and what it answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) expr: String,
    /// The time that it was asked for, in milliseconds since the Unix epoch.
    pub(crate) time: i64,
    pub(crate) answer: ServerAnswer,
}

/// What a Prometheus server answers to an expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ServerAnswer {
    /// A number, as text.
    Scalar(String),
    /// The labels and the value of each element.
    Vector(Vec<(Vec<(String, String)>, String)>),
    /// Why there is no value: it cannot evaluate the expression, or saw only a part.
    NoValue(String),
    /// Why it was not reached, or answers what it cannot.
    Unseen(String),
}

/// One request and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    pub(crate) url: String,
    /// Nothing where no whole answer came.
    pub(crate) status: Option<u16>,
    /// Those of the decoded body.
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
    /// Why no whole answer came.
    pub(crate) failure: Option<String>,
}

/// Numbers as text: JSON has neither NaN nor the infinities.
pub(super) mod exact {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
    pub(in crate::outcome) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(in crate::outcome) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<f64, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not a number")))
    }
}

/// As [`exact`], where there may be none.
pub(super) mod exact_option {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[expect(clippy::ref_option, reason = "what serde asks for")]
    pub(in crate::outcome) fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::outcome) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let number = |text: String| text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not a number")));
        text.map(number).transpose()
    }
}
