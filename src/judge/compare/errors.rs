//! Whether the canary fails more often: the pairs in which one side failed alone.

use super::finding::{Decision, Doubt, Finding, Measure, Power, Tally};
use super::wealth::Wealth;
use super::{FAILURES, Rules, is_within, scaled};
use crate::judge::distribution::{at_least, at_most, count, real, share_limits};
use crate::judge::proof;

/// A pass proves that at most this share of requests more fails on the canary; the power is stated for it, too.
const EXCESS: f64 = 0.01;

/// The share of the errors' level that the end has; the bets have the rest. Failures come whole: with half of it, the end would
/// take 10 failures of the canary alone, and not 9.
const END: f64 = 0.75;

/// The level of the test at the end.
fn end(rules: &Rules) -> f64 {
    rules.alpha * FAILURES * END
}

/// The level of the bets.
fn bets(rules: &Rules) -> f64 {
    rules.alpha * FAILURES * (1.0 - END)
}

/// Pairs by which side failed. Where both failed, or neither, a pair says nothing about who fails more: whatever the
/// rate of failures, a pair with one failure is a fair coin if the sides are alike (McNemar, "Note on the sampling error of
/// the difference between correlated proportions", Psychometrika 12, 1947).
#[derive(Clone, Debug)]
pub(super) struct Errors {
    seen: Seen,
    /// What had been seen when the planned window ended.
    planned: Seen,
    wealth: Wealth,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Pairs with at least one answer.
    pairs: usize,
    canary_alone: usize,
    stable_alone: usize,
}

impl Errors {
    pub(super) fn new() -> Self {
        Self { seen: Seen::default(), planned: Seen::default(), wealth: Wealth::new() }
    }

    /// Takes a pair. True where the canary is proven to fail more often already.
    pub(super) fn push(&mut self, canary_failed: bool, stable_failed: bool, rules: &Rules) -> bool {
        match (canary_failed, stable_failed) {
            // Whatever broke both of them would hide what breaks the canary.
            (true, true) => return false,
            (false, false) => {}
            (true, false) => {
                self.seen.canary_alone += 1;
                self.wealth.play(1.0);
            }
            (false, true) => {
                self.seen.stable_alone += 1;
                self.wealth.play(-1.0);
            }
        }
        self.seen.pairs += 1;
        if self.seen.pairs <= rules.planned {
            self.planned = self.seen;
        }
        self.is_decided(rules)
    }

    fn is_decided(&self, rules: &Rules) -> bool {
        self.wealth.highest_ln() >= -bets(rules).ln()
    }

    pub(super) fn judge(&self, rules: &Rules, tally: Tally) -> Finding {
        let Seen { pairs, canary_alone, stable_alone } = self.seen;
        let (estimate, interval) = self.seen.excess(rules.doubt(pairs));
        let p = self.planned.p();
        let finding = |decision, doubt, needed| Finding {
            measure: Measure::Errors,
            decision,
            n: pairs,
            estimate,
            interval,
            p,
            tolerated: 0.0,
            bound: EXCESS,
            power: Power { effect: EXCESS, probability: self.planned.power(end(rules)) },
            needed,
            doubt,
            tally,
        };
        if self.is_decided(rules) || p <= end(rules) {
            return finding(Decision::Fail, None, None);
        }
        if is_within(interval.1, EXCESS) {
            return finding(Decision::Pass, None, None);
        }
        let least = proof::needed(canary_alone, EXCESS);
        match least {
            Some(least) if pairs < least => finding(Decision::Unproven, Some(Doubt::Few), Some(least)),
            _ if stable_alone == 0 => finding(Decision::Unproven, Some(Doubt::Wide), least),
            _ => finding(Decision::Unproven, Some(Doubt::Wide), scaled(pairs, estimate, interval.1, EXCESS)),
        }
    }
}

impl Seen {
    /// The probability of so many failures of the canary among the failures of one side alone, by the exact binomial.
    fn p(&self) -> f64 {
        at_least(self.canary_alone, self.canary_alone + self.stable_alone, 0.5)
    }

    /// The share that fails on the canary alone, less the share that fails on stable alone, and its limits: those of each
    /// share, exact, joined by the square-and-add rule (Newcombe, "Improved confidence intervals for the difference
    /// between binomial proportions based on paired data", Statistics in Medicine 17, 1998). Without a failure of stable
    /// alone the upper one is the exact limit of the canary's share.
    fn excess(&self, doubt: f64) -> (f64, (f64, f64)) {
        if self.pairs == 0 {
            return (f64::NAN, (f64::NAN, f64::NAN));
        }
        let share = |failed| real(failed) / real(self.pairs);
        let (canary, stable) = (share(self.canary_alone), share(self.stable_alone));
        let (canary_low, canary_high) = share_limits(self.canary_alone, self.pairs, doubt);
        let (stable_low, stable_high) = share_limits(self.stable_alone, self.pairs, doubt);
        let excess = canary - stable;
        let low = excess - (canary - canary_low).hypot(stable_high - stable);
        let high = excess + (canary_high - canary).hypot(stable - stable_low);
        (excess, (low, high))
    }

    /// How often a canary that fails [`EXCESS`] more often than stable did would be found at a level, by the exact
    /// binomial: over every number of stable's failures, the number of the canary's that it takes.
    fn power(&self, level: f64) -> f64 {
        if self.pairs == 0 {
            return 0.0;
        }
        // Half a failure more, or a rate of zero would be taken for granted where none was seen.
        let base = ((real(self.stable_alone) + 0.5) / real(self.pairs)).min(1.0);
        let worse = (base + EXCESS).min(1.0);
        // Six deviations on either side leave out nothing that a percentage would show.
        let middle = base * real(self.pairs);
        let width = 6.0 * (middle * (1.0 - base)).sqrt() + 4.0;
        let mut power = 0.0;
        let mut takes = 0;
        let mut at_most_before = if middle > width { at_most(count(middle - width), self.pairs, base) } else { 0.0 };
        let first = if middle > width { count(middle - width) + 1 } else { 0 };
        for stable in first..=count(middle + width).min(self.pairs) {
            let at_most_now = at_most(stable, self.pairs, base);
            while takes <= self.pairs && at_least(takes, takes + stable, 0.5) > level {
                takes += 1;
            }
            power += (at_most_now - at_most_before) * at_least(takes, self.pairs, worse);
            at_most_before = at_most_now;
        }
        power
    }
}
