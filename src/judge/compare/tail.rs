//! Whether the canary's slowest requests are slower: p95 and p99, which a typical ratio is blind to.

use super::finding::{Decision, Doubt, Finding, Measure, Power, Tally};
use super::random::Random;
use super::{LOST, Logs, MINIMUM, Rules, START, TAIL, is_within, scaled};
use crate::judge::distribution::{at_most, count, normal_above, real};
use crate::judge::{proof, quantile};

/// The quantiles, the lower one first.
const SHARES: [f64; 2] = [0.95, 0.99];

/// What each has of the tail's level.
const LEVELS: [f64; 2] = [0.3, 0.7];

/// A pass proves that the quantile is at most this many times stable's, and the power is stated for it: a few hundred
/// pairs hold too few of the slowest requests for less.
const BOUND: f64 = 2.0;

/// What follows the start, a sixth of the window at least, has to agree with a failure.
const AGREES: f64 = 0.01;

/// How often pairs are swapped at random.
const DRAWS: usize = 1_999;

/// The most draws, where a level is so strict that [`DRAWS`] could not reach it.
const MOST_DRAWS: usize = 49_999;

/// p95 and p99 of pairs of logarithms of latencies.
pub(super) fn judge(pairs: &[Logs], rules: &Rules, tally: Tally) -> [Finding; 2] {
    // As for the typical latency: this test looks once, at the planned window.
    let once = &pairs[..pairs.len().min(rules.planned)];
    let later = &once[(once.len() / 6).max(START).min(once.len() / 2)..];
    let tolerated = (1.0 + rules.tolerance).ln();
    let levels = LEVELS.map(|share| share * TAIL * rules.alpha);
    let swapped = Swaps::new(once, tolerated).draw(levels, rules.seed);
    let is_worse = [0, 1].map(|at| swapped.p[at] <= levels[at]);
    // Drawn only where it decides something.
    let agrees = if is_worse.contains(&true) {
        Swaps::new(later, tolerated).draw([AGREES; 2], rules.seed ^ 1).p.map(|p| p <= AGREES)
    } else {
        [false; 2]
    };
    [0, 1].map(|at| {
        let n = pairs.len();
        let ratio = Ratio::new(pairs, SHARES[at], rules.doubt(n));
        let (decision, doubt) = if n < MINIMUM {
            (Decision::Unproven, Some(Doubt::Few))
        } else if is_worse[at] && agrees[at] {
            if rules.is_early(n) { (Decision::Unproven, Some(Doubt::Cut)) } else { (Decision::Fail, None) }
        } else if is_worse[at] {
            let limit = Ratio::new(later, SHARES[at], rules.doubt(n)).high;
            let healed = is_within(limit, BOUND.ln()) && tally.unusable == 0;
            if healed { (Decision::Healed, None) } else { (Decision::Unproven, Some(Doubt::First)) }
        } else if ratio.is_lost {
            (Decision::Unproven, Some(Doubt::Lost))
        } else if !is_within(ratio.high, BOUND.ln()) {
            (Decision::Unproven, Some(Doubt::Wide))
        } else if tally.unusable > 0 {
            (Decision::Unproven, Some(Doubt::Unusable))
        } else {
            (Decision::Pass, None)
        };
        let least = proof::needed(0, 1.0 - SHARES[at]).unwrap_or(usize::MAX);
        Finding {
            measure: [Measure::P95, Measure::P99][at],
            decision,
            n,
            estimate: ratio.estimate.exp(),
            interval: (ratio.low.exp(), ratio.high.exp()),
            p: swapped.p[at],
            tolerated: 1.0 + rules.tolerance,
            bound: BOUND,
            power: Power { effect: BOUND, probability: power(once, at, levels, rules) },
            needed: match doubt {
                Some(Doubt::Few) => Some(least.max(MINIMUM)),
                // With fewer, no request need have been slower than the quantile.
                Some(Doubt::Wide) if n < least => Some(least),
                Some(Doubt::Wide) => scaled(n, ratio.estimate, ratio.high, BOUND.ln()),
                _ => None,
            },
            doubt,
            tally,
        }
    })
}

/// How often a quantile [`BOUND`] times as long would be found. The canary's latencies are scaled until it is, which
/// gives what swaps would reach then; and until both sides are alike, which gives how much the ratio varies by itself.
fn power(pairs: &[Logs], at: usize, levels: [f64; 2], rules: &Rules) -> f64 {
    let tolerated = (1.0 + rules.tolerance).ln();
    let ratio = Ratio::new(pairs, SHARES[at], rules.doubt(pairs.len()));
    if pairs.len() < MINIMUM || ratio.is_lost {
        return 0.0;
    }
    let deviation = Swaps::new(pairs, ratio.estimate).draw(levels, rules.seed).deviations[at];
    let effect = BOUND.ln();
    let reached = Swaps::new(pairs, tolerated + ratio.estimate - effect).draw(levels, rules.seed).reached[at];
    let ahead = effect - tolerated - reached;
    if deviation > 0.0 { normal_above(-ahead / deviation) } else { f64::from(u8::from(ahead > 0.0)) }
}

/// The logarithm of a quantile's ratio, and its limits.
struct Ratio {
    estimate: f64,
    low: f64,
    high: f64,
    /// The quantile, or its limit, is a failed request.
    is_lost: bool,
}

impl Ratio {
    /// Each side's quantile has exact limits among its own values in order, whatever their distribution (David and
    /// Nagaraja, "Order Statistics", 7.1); the square-and-add rule joins them, on logarithms (Zou and Donner, "Construction of
    /// confidence limits about effect measures", Statistics in Medicine 27, 2008). That pairs resemble each other is left
    /// out, which errs to the wider side.
    fn new(pairs: &[Logs], share: f64, doubt: f64) -> Self {
        let canary = Limits::new(pairs.iter().map(|pair| pair.canary), share, doubt);
        let stable = Limits::new(pairs.iter().map(|pair| pair.stable), share, doubt);
        if [canary.value, canary.high, stable.value].contains(&LOST) {
            return Self { estimate: f64::NAN, low: f64::NAN, high: f64::NAN, is_lost: true };
        }
        let estimate = canary.value - stable.value;
        Self {
            estimate,
            low: estimate - (canary.value - canary.low).hypot(stable.high - stable.value),
            high: estimate + (canary.high - canary.value).hypot(stable.value - stable.low),
            is_lost: false,
        }
    }
}

/// A quantile of one side, with its limits: infinite where there are too few values for one.
struct Limits {
    value: f64,
    low: f64,
    high: f64,
}

impl Limits {
    fn new(values: impl Iterator<Item = f64>, share: f64, doubt: f64) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        let n = values.len();
        let rank = quantile::rank(share, n);
        // The value of rank r exceeds the quantile unless at least r values lie below that.
        let high = (rank..=n).find(|r| at_most(r - 1, n, share) >= 1.0 - doubt);
        let low = (1..=rank).rev().find(|r| at_most(r - 1, n, share) <= doubt);
        let at = |rank: Option<usize>| rank.and_then(|rank| values.get(rank - 1)).copied();
        Self {
            value: at(Some(rank)).unwrap_or(f64::NAN),
            low: at(low).unwrap_or(f64::NEG_INFINITY),
            high: at(high).unwrap_or(f64::INFINITY),
        }
    }
}

/// The latencies of both sides in one falling order. Whichever way the pairs are swapped, a quantile of either side is found
/// by walking down from the slowest: a few steps of hundreds, and nothing is sorted or moved.
struct Swaps {
    /// Twice the pair's number, and 1 more for stable's side.
    order: Vec<(f64, usize)>,
    /// The quantiles' ranks from the slowest, the deeper one first.
    depths: [usize; 2],
    pairs: usize,
}

/// What swapping pairs at random makes of the ratios.
struct Swapped {
    /// The share of swaps, the real one among them, with a ratio as high as the real one.
    p: [f64; 2],
    /// A ratio above this has a p of at most the level.
    reached: [f64; 2],
    /// The standard deviations of the ratios among the swaps.
    deviations: [f64; 2],
}

impl Swaps {
    /// The canary's latencies are divided by a factor first, given as its logarithm: what is tolerated.
    fn new(pairs: &[Logs], factor: f64) -> Self {
        let mut order = Vec::with_capacity(2 * pairs.len());
        for (at, pair) in pairs.iter().enumerate() {
            order.push((if pair.canary == LOST { LOST } else { pair.canary - factor }, 2 * at));
            order.push((pair.stable, 2 * at + 1));
        }
        order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let n = pairs.len();
        Self { order, depths: SHARES.map(|share| n - quantile::rank(share, n).min(n) + 1), pairs: n }
    }

    /// The ratios with the pairs swapped whose bits are set.
    fn ratios(&self, swapped: &[u64]) -> [f64; 2] {
        let mut passed = [0; 2];
        let mut found = [[f64::NAN; 2]; 2];
        for &(value, of) in &self.order {
            let pair = of / 2;
            let bit = swapped[pair / 64] >> (pair % 64) & 1;
            let side = if bit == 1 { 1 - of % 2 } else { of % 2 };
            passed[side] += 1;
            if passed[side] == self.depths[1] {
                found[1][side] = value;
            }
            if passed[side] == self.depths[0] {
                found[0][side] = value;
                if passed[1 - side] >= self.depths[0] {
                    break;
                }
            }
        }
        found.map(|[canary, stable]| canary - stable)
    }

    /// The test by random swaps of whole pairs: were the canary's latencies stable's times the factor at most, every swap
    /// would be as likely as what was seen (Phipson and Smyth, "Permutation P-values Should Never Be Zero", 2010, for the 1
    /// that is added).
    fn draw(&self, levels: [f64; 2], seed: u64) -> Swapped {
        let strictest = levels[0].min(levels[1]);
        let draws = if strictest > 0.0 { count(2.0 / strictest).clamp(DRAWS, MOST_DRAWS) } else { DRAWS };
        let words = self.pairs.div_ceil(64);
        let mut swapped = vec![0; words];
        let real_one = self.ratios(&swapped);
        let mut as_high = [1; 2];
        let mut highest = levels.map(|level| vec![f64::NEG_INFINITY; count(level * real(draws + 1) + 1e-9)]);
        let mut squares = [0.0; 2];
        let mut random = Random::new(seed);
        for _ in 0..draws {
            swapped.fill_with(|| random.bits());
            let ratios = self.ratios(&swapped);
            for at in [0, 1] {
                // Without pairs there is no ratio, and nothing is surprising.
                as_high[at] += usize::from(!is_below(ratios[at], real_one[at]));
                // Every swap is as likely as its reverse: the mean is 0.
                squares[at] += ratios[at].powi(2);
                keep(&mut highest[at], ratios[at]);
            }
        }
        let reached = highest.map(|highest| highest.last().copied().unwrap_or(f64::INFINITY));
        Swapped {
            p: as_high.map(|number| real(number) / real(draws + 1)),
            reached,
            deviations: squares.map(|sum| (sum / real(draws)).sqrt()),
        }
    }
}

/// By more than what rounding may do; never of what is not a number.
fn is_below(one: f64, other: f64) -> bool {
    one < other - 1e-12
}

/// Puts a value among the highest, which are in falling order, if it is one of them.
fn keep(highest: &mut [f64], value: f64) {
    let at = highest.partition_point(|kept| *kept >= value);
    if at < highest.len() {
        highest[at..].rotate_right(1);
        highest[at] = value;
    }
}
