//! One thing that a check saw: what it is, what was wanted, what came, and the sentence for a person.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Severity, Source, Status, effect};

/// One thing that a check saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Observation {
    /// A path, a family, a threshold.
    pub(crate) name: String,
    pub(crate) status: Status,
    /// One sentence with what came and what was wanted.
    pub(crate) detail: String,
    /// What was wanted, as data: `200`, `<= 2`. Nothing where the sentence is all there is.
    pub(crate) expected: Option<String>,
    /// What came, as data.
    pub(crate) actual: Option<String>,
    /// Where the checks file (or a rules file) asks for it.
    pub(crate) place: Option<Source>,
    pub(crate) seen: Seen,
    /// What a comparison of two revisions proves of a measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) interval: Option<Box<IntervalSeen>>,
    /// The command that shows the same, for what is not good; secrets are references in it.
    pub(crate) reproduce: Option<String>,
    /// Whether the check's own line says it already: a check of one request.
    pub(crate) is_quoted: bool,
}

/// What was looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Seen {
    /// A request and its answer.
    Request,
    /// A script, a style sheet or a preloaded module of a page.
    Asset,
    /// A family that must be declared.
    Family,
    Threshold(ThresholdSeen),
    /// Something measured by requests of the gate's own, and its limit.
    Measure,
    /// Something that a person should know.
    Note,
}

impl Observation {
    /// Something seen that ended in a status.
    pub(crate) fn new(seen: Seen, name: impl Into<String>, status: Status, detail: impl Into<String>) -> Self {
        let (name, detail) = (name.into(), detail.into());
        Self {
            name,
            status,
            detail,
            expected: None,
            actual: None,
            place: None,
            seen,
            interval: None,
            reproduce: None,
            is_quoted: false,
        }
    }

    /// Something that a person should know.
    pub(crate) fn note(name: &str, status: Status, detail: impl Into<String>) -> Self {
        Self::new(Seen::Note, name, status, detail)
    }

    /// Something that was looked at: good with what was seen, or not good for a cause.
    pub(crate) fn of(seen: Seen, name: impl Into<String>, result: Result<String, Cause>) -> Self {
        match result {
            Ok(detail) => Self::new(seen, name, Status::Pass, detail),
            Err(Cause { text, wanted }) => {
                let (expected, actual) = wanted.unzip();
                Self { expected, actual, ..Self::new(seen, name, Status::Fail, text) }
            }
        }
    }

    pub(crate) fn threshold(&self) -> Option<&ThresholdSeen> {
        match &self.seen {
            Seen::Threshold(seen) => Some(seen),
            Seen::Request | Seen::Asset | Seen::Family | Seen::Measure | Seen::Note => None,
        }
    }
}

/// Why something is not good: the sentence, and what was wanted and what came where a word says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) text: String,
    pub(crate) wanted: Option<(String, String)>,
}

impl Cause {
    pub(crate) fn wanting(text: impl Into<String>, expected: impl fmt::Display, actual: impl fmt::Display) -> Self {
        Self { text: text.into(), wanted: Some((expected.to_string(), actual.to_string())) }
    }

    /// The same cause with what it is about in front.
    pub(crate) fn about(self, what: &str) -> Self {
        Self { text: format!("{what}: {}", self.text), ..self }
    }
}

impl From<String> for Cause {
    fn from(text: String) -> Self {
        Self { text, wanted: None }
    }
}

impl From<&str> for Cause {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The three answers of a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum ThresholdVerdict {
    /// Every element satisfies it.
    Pass,
    /// At least one element does not.
    Fail,
    /// There is no element, or what there is cannot be compared.
    NoData,
}

impl ThresholdVerdict {
    /// What the answer does to a check. `no_data` is what the plan says of a threshold without data.
    pub(crate) fn status(self, severity: Severity, no_data: Status) -> Status {
        match self {
            Self::Pass => Status::Pass,
            Self::Fail => effect(Status::Fail, severity),
            Self::NoData => no_data,
        }
    }
}

/// What a threshold saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ThresholdSeen {
    /// The PromQL expression as written.
    pub(crate) expression: String,
    pub(crate) verdict: ThresholdVerdict,
    pub(crate) severity: Severity,
    /// How many elements were compared.
    #[serde(default)]
    pub(crate) compared: usize,
    /// The elements compared, the worst first; at most as many as a report keeps.
    pub(crate) elements: Vec<ElementSeen>,
    /// How the elements went over the window, where somebody asked for that; at most as many as a report keeps.
    #[serde(default)]
    pub(crate) courses: Vec<Course>,
}

/// How one element of a threshold went over a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Course {
    /// Names and values.
    pub(crate) labels: Vec<(String, String)>,
    /// In the order of their times.
    pub(crate) points: Vec<CoursePoint>,
}

/// What a threshold compared at one time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CoursePoint {
    /// In milliseconds since the Unix epoch.
    pub(crate) at: i64,
    #[serde(with = "super::evidence::exact")]
    pub(crate) value: f64,
    #[serde(with = "super::evidence::exact")]
    pub(crate) limit: f64,
    /// Whether the threshold would not have failed with it: of an alert, whether it is not active.
    pub(crate) holds: bool,
}

/// What pairs of requests prove of a measure of the canary beside the same of stable.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct IntervalSeen {
    pub(crate) unit: IntervalUnit,
    #[serde(with = "super::evidence::exact")]
    pub(crate) estimate: f64,
    /// Each end is passed with a probability of at most 5 %; 2.5 % where the traffic went on for longer.
    #[serde(with = "super::evidence::exact")]
    pub(crate) low: f64,
    #[serde(with = "super::evidence::exact")]
    pub(crate) high: f64,
    /// What is proven to be beyond this fails.
    #[serde(with = "super::evidence::exact")]
    pub(crate) tolerated: f64,
    /// A pass proves that it is within this.
    #[serde(with = "super::evidence::exact")]
    pub(crate) bound: f64,
    /// The pairs that it rests on.
    pub(crate) pairs: usize,
}

/// What the numbers of an interval are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum IntervalUnit {
    /// The canary's over stable's.
    Ratio,
    /// A share of all requests: the canary's less stable's.
    Share,
}

/// One element that a threshold compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ElementSeen {
    /// Names and values.
    pub(crate) labels: Vec<(String, String)>,
    #[serde(with = "super::evidence::exact")]
    pub(crate) value: f64,
    /// What it was compared with; nothing for an alert, whose expression holds its limit.
    #[serde(with = "super::evidence::exact_option")]
    pub(crate) limit: Option<f64>,
}

/// The worst of what was seen, in one line; nothing where all is well.
pub(crate) fn worst(observations: &[Observation]) -> Option<(Status, String)> {
    [Status::Fail, Status::Error, Status::Warn].into_iter().find_map(|status| {
        let mut bad = observations.iter().filter(|observation| observation.status == status);
        let first = bad.next()?;
        let more = bad.count();
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        Some((status, format!("{}: {}{more}", first.name, first.detail)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_but_a_pass_is_a_pass() {
        use Severity::{Block, Warn};
        for (verdict, severity, no_data, wanted) in [
            (ThresholdVerdict::Pass, Block, Status::Fail, Status::Pass),
            (ThresholdVerdict::Fail, Block, Status::Pass, Status::Fail),
            (ThresholdVerdict::Fail, Warn, Status::Pass, Status::Warn),
            (ThresholdVerdict::NoData, Block, Status::Fail, Status::Fail),
            (ThresholdVerdict::NoData, Warn, Status::Warn, Status::Warn),
        ] {
            assert_eq!(verdict.status(severity, no_data), wanted, "{verdict:?} {severity:?}");
        }
    }

    #[test]
    fn the_worst_is_told_first() {
        let seen = |name: &str, status| Observation::note(name, status, "x");
        let all = [seen("a", Status::Pass), seen("b", Status::Warn), seen("c", Status::Fail), seen("d", Status::Fail)];
        assert_eq!(worst(&all), Some((Status::Fail, "c: x (and 1 more)".into())));
        assert_eq!(worst(&all[..2]), Some((Status::Warn, "b: x".into())));
        assert_eq!(worst(&all[..1]), None);
    }
}
