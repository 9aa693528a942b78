//! What pairs say about one measure, as data and as a sentence.

use crate::text::counted;

/// What is compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Measure {
    /// The typical ratio of latencies within a pair: the median of the means of every two of their logarithms.
    Latency,
    P95,
    P99,
    /// Requests that failed on one side alone.
    Errors,
}

impl Measure {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Errors => "errors",
        }
    }
}

/// What the pairs prove.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Decision {
    /// The canary is proven to be within the bound.
    Pass,
    /// It was worse at first, and is proven to be within the bound since: a warning.
    Healed,
    /// It is proven to be worse than tolerated.
    Fail,
    /// Neither.
    Unproven,
}

/// Why there is no proof.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Doubt {
    /// Fewer pairs than any decision needs.
    Few,
    /// The interval reaches beyond the bound.
    Wide,
    /// It was worse at first, and whether it still is cannot be told.
    First,
    /// It looks worse towards the end, and over all it does not.
    End,
    /// It looks worse, but no more than a start does, and the window was cut short.
    Cut,
    /// The quantile itself is a failed request on one side.
    Lost,
    /// Latencies that are no measurement.
    Unusable,
}

/// How often a canary that is worse by so much would have failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Power {
    /// A ratio to stable for latencies, a share of requests more for errors.
    pub(crate) effect: f64,
    pub(crate) probability: f64,
}

/// Pairs of which something could not be compared, or was compared as a failure.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    /// Pairs in which the canary alone failed: slower than any answer.
    pub(crate) canary_alone: usize,
    /// The same of stable: the canary was faster than any failure.
    pub(crate) stable_alone: usize,
    /// Pairs in which both failed say nothing about either.
    pub(crate) both_failed: usize,
    /// Pairs with an answer whose latency is zero, negative or not a number.
    pub(crate) unusable: usize,
}

/// What pairs say about one measure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) measure: Measure,
    pub(crate) decision: Decision,
    /// The pairs that it rests on.
    pub(crate) n: usize,
    /// The canary's over stable's, a ratio; for errors the share of requests that fail on the canary and not on stable,
    /// less the reverse. NaN where there is none.
    pub(crate) estimate: f64,
    /// Each end is passed with a probability of at most 5 %; 2.5 % once the window was extended, for that is a second look.
    pub(crate) interval: (f64, f64),
    /// Of the test that looks once, at the end: the probability of such pairs, were the canary no worse than tolerated.
    pub(crate) p: f64,
    /// Beyond this, the canary is worse than tolerated.
    pub(crate) tolerated: f64,
    /// A pass proves that the canary is within this.
    pub(crate) bound: f64,
    pub(crate) power: Power,
    /// About how many pairs a proof takes, if nothing else changes; `None` where more would not help.
    pub(crate) needed: Option<usize>,
    pub(crate) doubt: Option<Doubt>,
    pub(crate) tally: Tally,
}

impl Finding {
    /// One line for people: what was measured, on how much, what it proves, and what would have been noticed.
    pub(crate) fn sentence(&self) -> String {
        let mut line = format!("{}: {}", self.measure.name(), self.seen());
        match self.decision {
            Decision::Pass => {}
            Decision::Healed => line += ": slow at first, healed",
            Decision::Fail => line += &format!(": {}", self.worse()),
            Decision::Unproven => line += &format!(": {}", self.unproven()),
        }
        if self.decision != Decision::Fail && self.n > 0 {
            line += &format!("; {} would have been noticed {}", self.hypothesis(), often(self.power.probability));
        }
        line + &self.left_out()
    }

    fn seen(&self) -> String {
        let pairs = counted(self.n, "pair");
        if self.n == 0 || self.estimate.is_nan() {
            return format!("no estimate from {pairs}");
        }
        let (low, high) = self.interval;
        match self.measure {
            Measure::Errors => {
                format!(
                    "{:+.2} % of requests [{:.2}, {:.2}] over {pairs}",
                    100.0 * self.estimate,
                    100.0 * low,
                    100.0 * high
                )
            }
            _ => format!("{}× [{}, {}] over {pairs}", ratio(self.estimate), ratio(low), ratio(high)),
        }
    }

    fn worse(&self) -> String {
        let p = if self.p < 0.0001 { "p < 0.0001".to_owned() } else { format!("p = {:.4}", self.p) };
        match self.measure {
            Measure::Errors => format!("more failures than stable ({p})"),
            _ => format!("slower than the tolerated {}× ({p})", ratio(self.tolerated)),
        }
    }

    fn unproven(&self) -> String {
        let bound = match self.measure {
            Measure::Errors => format!("at most {} % of requests more", 100.0 * self.bound),
            _ => format!("at most {}×", ratio(self.bound)),
        };
        let why = match self.doubt {
            Some(Doubt::First) => "slow at first, and not proven to have healed".to_owned(),
            Some(Doubt::End) => format!("{bound} is not proven: slower towards the end"),
            Some(Doubt::Cut) => "it looks worse, but the window is not half over".to_owned(),
            Some(Doubt::Lost) => format!("{bound} is not proven: failed requests reach into it"),
            Some(Doubt::Unusable) => format!("{bound} is not proven: some latencies are not measurements"),
            Some(Doubt::Few | Doubt::Wide) | None => format!("{bound} is not proven"),
        };
        match self.needed {
            Some(needed) if self.doubt == Some(Doubt::Few) => format!("{why}, {needed} needed"),
            Some(needed) => format!("{why}, about {needed} needed"),
            None => why,
        }
    }

    fn hypothesis(&self) -> String {
        match self.measure {
            Measure::Latency => format!("a canary {}× slower", self.power.effect),
            Measure::P95 | Measure::P99 => format!("a {} {}× as long", self.measure.name(), self.power.effect),
            Measure::Errors => format!("a canary failing {} % of requests more", 100.0 * self.power.effect),
        }
    }

    /// Failures and what was left out: never dropped without a word.
    fn left_out(&self) -> String {
        let Tally { canary_alone, stable_alone, both_failed, unusable } = self.tally;
        let parts = [
            (canary_alone, "failed on the canary alone"),
            (stable_alone, "failed on stable alone"),
            (both_failed, "failed on both"),
            (unusable, "without a usable latency"),
        ];
        let parts: Vec<String> =
            parts.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}")).collect();
        if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
    }
}

/// A ratio with the digits that matter.
fn ratio(value: f64) -> String {
    match value {
        ..0.01 => "0".to_owned(),
        ..10.0 => format!("{value:.2}"),
        ..1000.0 => format!("{value:.0}"),
        _ => "∞".to_owned(),
    }
}

fn often(probability: f64) -> String {
    let percent = 100.0 * probability;
    if percent >= 99.5 {
        "over 99 % of the time".to_owned()
    } else if percent < 1.0 {
        "less than 1 % of the time".to_owned()
    } else {
        format!("{percent:.0} % of the time")
    }
}
