//! The canary beside stable, by pairs of the same request to both: slower, failing more often, or proven to be neither.
//!
//! Every test is exact because the order within a pair is random: were the sides alike, a pair with its sides swapped
//! would be as likely, however the load drifts meanwhile. Pure: no clock, no requests, the seed passed in.

pub(crate) mod counters;
mod errors;
mod finding;
mod latency;
mod random;
mod signed_rank;
mod tail;
mod wealth;

use finding::Tally;
pub(crate) use finding::{Decision, Finding, Measure};
#[cfg(test)]
use finding::{Doubt, Power};

use super::distribution::{count, real};
use errors::Errors;
use latency::Latency;

/// Stands for the logarithm of a failed request's latency: slower than any answer, and still a number to rank.
const LOST: f64 = 1_000.0;

/// What each of the three parts has of alpha. Typical latency shows in every pair and needs the least; of a few hundred
/// pairs, only a few are in the tail, or fail.
const TYPICAL: f64 = 0.15;
const TAIL: f64 = 0.5;
const FAILURES: f64 = 0.35;

/// With fewer pairs no latency is decided; it is also what proves 5 % without an exception.
const MINIMUM: usize = 60;

/// So many pairs are a start, or half of what there is: what they alone say fails nobody.
const START: usize = 40;

/// What a comparison is to prove, and how surely.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// The share by which the canary may be slower.
    pub(crate) tolerance: f64,
    /// A pass proves that the typical latency is at most this share above stable's.
    pub(crate) bound: f64,
    /// The probability with which a canary that is no worse than tolerated fails, over the whole run.
    pub(crate) alpha: f64,
    /// The pairs planned for the window. More may come when it is extended.
    pub(crate) planned: usize,
    /// Of the random swaps.
    pub(crate) seed: u64,
}

impl Settings {
    pub(crate) fn new(planned: usize, seed: u64) -> Self {
        Self { tolerance: 0.10, bound: 0.25, alpha: 0.01, planned, seed }
    }
}

/// One request's answer from one side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Side {
    /// In seconds. Not read of a failed request.
    pub(crate) latency: f64,
    pub(crate) failed: bool,
}

/// The same request to both sides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pair {
    pub(crate) canary: Side,
    pub(crate) stable: Side,
}

/// Something is decided before the window ends: the canary fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stop {
    /// It is slower than tolerated.
    Latency,
    /// It fails more often than stable.
    Errors,
}

/// What the pairs prove, measure by measure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judgement {
    pub(crate) latency: Finding,
    pub(crate) p95: Finding,
    pub(crate) p99: Finding,
    pub(crate) errors: Finding,
}

impl Judgement {
    pub(crate) fn findings(&self) -> [&Finding; 4] {
        [&self.latency, &self.p95, &self.p99, &self.errors]
    }
}

/// Logarithms of a pair's latencies; [`LOST`] for a side that failed.
#[derive(Clone, Copy, Debug)]
struct Logs {
    canary: f64,
    stable: f64,
}

impl Logs {
    /// The logarithm of canary over stable; ±[`LOST`] where one side failed.
    fn ratio(self) -> f64 {
        match (self.canary == LOST, self.stable == LOST) {
            (true, false) => LOST,
            (false, true) => -LOST,
            _ => self.canary - self.stable,
        }
    }
}

/// Pairs as they come, and what is decided by them.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    rules: Rules,
    pairs: Vec<Logs>,
    latency: Latency,
    errors: Errors,
    tally: Tally,
}

impl Comparison {
    pub(crate) fn new(settings: Settings) -> Self {
        let rules = Rules(settings);
        let latency = Latency::new(&rules);
        Self { rules, pairs: Vec::new(), latency, errors: Errors::new(), tally: Tally::default() }
    }

    /// Takes a pair, and looks. `Some` where the canary has failed already, whatever would follow.
    #[cfg(test)]
    pub(crate) fn push(&mut self, pair: Pair) -> Option<Stop> {
        self.take(pair, true)
    }

    /// Takes a pair. `Some` where the canary has failed already, whatever would follow; by its latency only where it `looks` at that,
    /// which takes all pairs.
    pub(crate) fn take(&mut self, pair: Pair, looks: bool) -> Option<Stop> {
        let Pair { canary, stable } = pair;
        let fails_more = self.errors.push(canary.failed, stable.failed, &self.rules);
        match (canary.failed, stable.failed) {
            (true, true) => self.tally.both_failed += 1,
            (true, false) => self.tally.canary_alone += 1,
            (false, true) => self.tally.stable_alone += 1,
            (false, false) => {}
        }
        let mut is_slower = false;
        if !(canary.failed && stable.failed) {
            // A failed request counts as slower than any answer: a canary whose slow requests fail is not a fast one.
            match (log(canary), log(stable)) {
                (Some(canary), Some(stable)) => {
                    let pair = Logs { canary, stable };
                    self.pairs.push(pair);
                    self.latency.push(pair.ratio());
                    is_slower = looks && self.latency.is_proven(&self.rules);
                }
                _ => self.tally.unusable += 1,
            }
        }
        if fails_more {
            Some(Stop::Errors)
        } else if is_slower {
            Some(Stop::Latency)
        } else {
            None
        }
    }

    /// What all pairs so far prove; after the window, or after a [`Stop`].
    pub(crate) fn judge(&self) -> Judgement {
        let [p95, p99] = tail::judge(&self.pairs, &self.rules, self.tally);
        Judgement {
            latency: self.latency.judge(&self.rules, self.tally),
            p95,
            p99,
            errors: self.errors.judge(&self.rules, self.tally),
        }
    }
}

/// `None` where the latency is no measurement.
fn log(side: Side) -> Option<f64> {
    if side.failed {
        return Some(LOST);
    }
    (side.latency > 0.0 && side.latency.is_finite()).then(|| side.latency.ln())
}

/// The settings, as the tests use them.
#[derive(Clone, Copy, Debug)]
struct Rules(Settings);

impl std::ops::Deref for Rules {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.0
    }
}

impl Rules {
    /// The level of the bets on typical latency, and of its test that looks once.
    fn typical(&self) -> f64 {
        self.alpha * TYPICAL / 2.0
    }

    /// The logarithm of the wealth that decides on typical latency.
    fn decisive(&self) -> f64 {
        -self.typical().ln()
    }

    /// The probability that an end of an interval is passed. An extended window is a second look, and more careful.
    fn doubt(&self, n: usize) -> f64 {
        if n <= self.planned { 0.05 } else { 0.025 }
    }

    /// Before this number of pairs nothing is decided about latency: a quarter of the window is a start.
    fn earliest(&self) -> usize {
        (self.planned / 4).max(MINIMUM)
    }

    /// Less than half of the window.
    fn is_early(&self, n: usize) -> bool {
        n < self.planned.div_ceil(2)
    }
}

/// Whether a limit keeps to a bound. What is not a number keeps to none.
fn is_within(limit: f64, bound: f64) -> bool {
    limit <= bound
}

/// The number of pairs with which an upper limit would come down to the bound: it nears the estimate by the root of their
/// number. `None` where the estimate is beyond the bound, or no limit is known.
fn scaled(n: usize, estimate: f64, high: f64, bound: f64) -> Option<usize> {
    let factor = ((high - estimate) / (bound - estimate)).powi(2);
    (estimate < bound && factor.is_finite()).then(|| count((real(n) * factor).ceil()).max(n + 1))
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
