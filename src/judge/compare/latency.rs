//! Whether the canary is typically slower: the ratio of latencies within each pair.

use super::finding::{Decision, Doubt, Finding, Measure, Power, Tally};
use super::signed_rank::{SequentialRanks, Walsh, p_above};
use super::wealth::Wealth;
use super::{LOST, MINIMUM, Rules, START, is_within, scaled};
use crate::judge::distribution::{normal_above, real};

/// Before half of the window, only a canary proven to be slower than this fails: a start is slow, too.
const EARLY: f64 = 1.5;

/// The slowdown that the power is stated for.
const EFFECT: f64 = 1.3;

/// The last third has to agree with a failure at the end.
const AGREES: f64 = 0.05;

/// It has to agree more clearly with one before the end, where it is asked again and again. So have all pairs but the start.
const AGREES_EARLY: f64 = 0.005;

/// A pass wants the last third not to look slower: a canary that degrades does so at the end.
const DEGRADES: f64 = 0.01;

/// Bets that the canary is slower than a factor.
#[derive(Clone, Debug)]
struct Bets {
    /// The factor's logarithm.
    factor: f64,
    ranks: SequentialRanks,
    wealth: Wealth,
}

impl Bets {
    fn new(factor: f64) -> Self {
        Self { factor: factor.ln(), ranks: SequentialRanks::default(), wealth: Wealth::new() }
    }

    fn play(&mut self, ratio: f64) {
        let score = self.ranks.score(beyond(ratio, self.factor));
        self.wealth.play(score);
    }
}

/// The ratios of the pairs so far, and what betting on each made.
#[derive(Clone, Debug)]
pub(super) struct Latency {
    /// Logarithms of canary over stable, as they came; ±[`LOST`] where one side failed.
    ratios: Vec<f64>,
    slower: Bets,
    much_slower: Bets,
}

impl Latency {
    pub(super) fn new(rules: &Rules) -> Self {
        let slower = Bets::new(1.0 + rules.tolerance);
        Self { ratios: Vec::new(), slower, much_slower: Bets::new((1.0 + rules.tolerance).max(EARLY)) }
    }

    /// Takes the logarithm of a pair's ratio.
    pub(super) fn push(&mut self, ratio: f64) {
        self.ratios.push(ratio);
        self.slower.play(ratio);
        self.much_slower.play(ratio);
    }

    /// Whether the canary is proven to be slower already. It takes all pairs.
    pub(super) fn is_proven(&self, rules: &Rules) -> bool {
        let n = self.ratios.len();
        if n < rules.earliest() || self.slower.wealth.ln() < rules.decisive() {
            return false;
        }
        let factor = if rules.is_early(n) {
            if self.much_slower.wealth.ln() < rules.decisive() {
                return false;
            }
            self.much_slower.factor
        } else {
            self.slower.factor
        };
        self.agrees(factor, AGREES_EARLY)
    }

    fn last_third(&self) -> &[f64] {
        &self.ratios[self.ratios.len() - self.ratios.len() / 3..]
    }

    /// Whether the canary is slower than a factor not only at first.
    fn agrees(&self, factor: f64, level: f64) -> bool {
        let rest = &self.ratios[START.min(self.ratios.len() / 2)..];
        self.p_recently(factor) < level && p_above(rest.iter().map(|ratio| beyond(*ratio, factor))) < AGREES_EARLY
    }

    fn p_recently(&self, factor: f64) -> f64 {
        p_above(self.last_third().iter().map(|ratio| beyond(*ratio, factor)))
    }

    pub(super) fn judge(&self, rules: &Rules, tally: Tally) -> Finding {
        let n = self.ratios.len();
        let bound = (1.0 + rules.bound).ln();
        let all = Walsh::new(&self.ratios);
        let estimate = all.estimate();
        let interval = all.limits(rules.doubt(n));
        // The test that looks once looks at the planned window: over an extended one it would look a second time.
        let once = &self.ratios[..n.min(rules.planned)];
        let p = p_above(once.iter().map(|ratio| beyond(*ratio, self.slower.factor)));
        let finding = |decision, doubt| Finding {
            measure: Measure::Latency,
            decision,
            n,
            estimate: estimate.exp(),
            interval: (interval.0.exp(), interval.1.exp()),
            p,
            tolerated: 1.0 + rules.tolerance,
            bound: 1.0 + rules.bound,
            power: Power { effect: EFFECT, probability: self.power(&all, estimate, rules) },
            needed: match doubt {
                Some(Doubt::Few) => Some(MINIMUM),
                Some(Doubt::Wide) => scaled(n, estimate, interval.1, bound),
                _ => None,
            },
            doubt,
            tally,
        };
        if n < MINIMUM {
            return finding(Decision::Unproven, Some(Doubt::Few));
        }
        let is_slower = self.slower.wealth.ln() >= rules.decisive() || p <= rules.typical();
        if is_slower && self.agrees(self.slower.factor, AGREES) {
            return if rules.is_early(n) && self.much_slower.wealth.ln() < rules.decisive() {
                finding(Decision::Unproven, Some(Doubt::Cut))
            } else {
                finding(Decision::Fail, None)
            };
        }
        if is_slower || self.slower.wealth.highest_ln() >= rules.decisive() {
            let last = Walsh::new(self.last_third());
            return if is_within(last.limits(rules.doubt(n)).1, bound) && tally.unusable == 0 {
                finding(Decision::Healed, None)
            } else {
                finding(Decision::Unproven, Some(Doubt::First))
            };
        }
        if !is_within(interval.1, bound) {
            finding(Decision::Unproven, Some(Doubt::Wide))
        } else if tally.unusable > 0 {
            finding(Decision::Unproven, Some(Doubt::Unusable))
        } else if self.p_recently(self.slower.factor) < DEGRADES {
            finding(Decision::Unproven, Some(Doubt::End))
        } else {
            finding(Decision::Pass, None)
        }
    }

    /// How often a canary slower by [`EFFECT`] would fail at the end: by the test that looks once, and by the last third.
    fn power(&self, all: &Walsh, estimate: f64, rules: &Rules) -> f64 {
        let n = self.ratios.len().min(rules.planned);
        if n < MINIMUM {
            return 0.0;
        }
        let shift = EFFECT.ln() - estimate - self.slower.factor;
        both(all.margin(shift, rules.typical(), n), all.margin(shift, AGREES, n / 3))
    }
}

/// The probability that two tests reject whose margins are given in deviations, the second on a third of what the first
/// one sees: their correlation is the root of that. Summed over what the second may show.
fn both(all: f64, last: f64) -> f64 {
    const STEPS: usize = 200;
    /// Beyond so many deviations there is nothing left.
    const FAR: f64 = 8.0;
    let (own, other) = ((1.0_f64 / 3.0).sqrt(), (2.0_f64 / 3.0).sqrt());
    let width = (last.clamp(-FAR, FAR) + FAR) / real(STEPS);
    let sum: f64 = (0..STEPS)
        .map(|step| {
            let seen = -last.clamp(-FAR, FAR) + width * (real(step) + 0.5);
            (-seen * seen / 2.0).exp() * normal_above((-all - own * seen) / other)
        })
        .sum();
    sum * width / std::f64::consts::TAU.sqrt()
}

/// How far a ratio lies beyond a factor. A failure is beyond any.
fn beyond(ratio: f64, factor: f64) -> f64 {
    if ratio.abs() >= LOST { ratio } else { ratio - factor }
}
