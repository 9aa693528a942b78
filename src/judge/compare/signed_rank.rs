//! Wilcoxon's signed-rank test, one-sided: whether differences lie above zero; its estimate, its limits, its power.

use crate::judge::distribution::{bisect, count, normal_above, normal_exceeded, real};

/// Up to so many differences the distribution is summed exactly; beyond, the normal one is near enough.
const EXACT: usize = 50;

/// The probability of ranks so high above zero, were the differences symmetric about zero or below (Wilcoxon, "Individual
/// Comparisons by Ranking Methods", Biometrics Bulletin 1, 1945). Zeros are left out, ties share their mean rank. 1 where
/// nothing differs from zero.
pub(super) fn p_above(differences: impl Iterator<Item = f64>) -> f64 {
    let mut differences: Vec<f64> = differences.filter(|difference| *difference != 0.0).collect();
    differences.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
    // Twice the ranks, which are whole numbers also where several share one.
    let mut doubled = Vec::with_capacity(differences.len());
    for tied in differences.chunk_by(|a, b| a.abs() == b.abs()) {
        let rank = 2 * doubled.len() + tied.len() + 1;
        doubled.extend(std::iter::repeat_n(rank, tied.len()));
    }
    let above = differences.iter().zip(&doubled).filter(|(difference, _)| **difference > 0.0);
    let above: usize = above.map(|(_, rank)| rank).sum();
    match doubled.len() {
        0 => 1.0,
        1..=EXACT => exact(&doubled, above),
        _ => normal(&doubled, above),
    }
}

/// Every rank counts as above or below with one half each: the distribution of their sum, added rank by rank.
fn exact(doubled: &[usize], above: usize) -> f64 {
    let total: usize = doubled.iter().sum();
    let mut ways = vec![0.0; total + 1];
    ways[0] = 1.0;
    let mut reached = 0;
    for &rank in doubled {
        reached += rank;
        for sum in (0..=reached).rev() {
            let with = if sum >= rank { ways[sum - rank] } else { 0.0 };
            ways[sum] = f64::midpoint(ways[sum], with);
        }
    }
    ways[above..].iter().sum::<f64>().min(1.0)
}

/// The sum of ranks has the mean ½Σr and the variance ¼Σr², ties or not.
fn normal(doubled: &[usize], above: usize) -> f64 {
    let total: usize = doubled.iter().sum();
    let squares: usize = doubled.iter().map(|rank| rank * rank).sum();
    normal_above((real(above) - real(total) / 2.0) / (real(squares).sqrt() / 2.0))
}

/// Differences in rising order, asked by the means of every two of them (and of each with itself): n(n + 1)/2 Walsh
/// averages, which are counted and never stored.
pub(super) struct Walsh {
    sorted: Vec<f64>,
}

impl Walsh {
    pub(super) fn new(differences: &[f64]) -> Self {
        let mut sorted = differences.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        Self { sorted }
    }

    /// For each difference, the highest first, how many partners (itself too) give a mean above this value.
    fn partners(&self, value: f64) -> impl Iterator<Item = usize> {
        let mut lowest = 0;
        // The higher the one, the lower the other may be: as the one falls, the least partner rises.
        self.sorted.iter().rev().map(move |one| {
            while lowest < self.sorted.len() && (one + self.sorted[lowest]) / 2.0 <= value {
                lowest += 1;
            }
            self.sorted.len() - lowest
        })
    }

    /// How many of the averages lie above a value.
    fn above(&self, value: f64) -> usize {
        let ordered: usize = self.partners(value).sum();
        let own = self.sorted.len() - self.sorted.partition_point(|one| *one <= value);
        usize::midpoint(ordered, own)
    }

    fn averages(&self) -> usize {
        self.sorted.len() * (self.sorted.len() + 1) / 2
    }

    /// The least value that at most so many averages exceed.
    fn exceeded_by(&self, averages: usize) -> f64 {
        let (Some(low), Some(high)) = (self.sorted.first(), self.sorted.last()) else { return f64::NAN };
        bisect(*low, *high, |value| self.above(value) > averages)
    }

    /// The median of the averages (Hodges and Lehmann, "Estimates of Location Based on Rank Tests", Annals of Mathematical
    /// Statistics 34, 1963).
    pub(super) fn estimate(&self) -> f64 {
        self.exceeded_by(self.averages() / 2)
    }

    /// The limits of the centre that the test would reject on either side with this probability (Hollander, Wolfe and
    /// Chicken, "Nonparametric Statistical Methods", 3.3).
    pub(super) fn limits(&self, probability: f64) -> (f64, f64) {
        let n = real(self.sorted.len());
        let spread = (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0).sqrt();
        let cut = count((n * (n + 1.0) / 4.0 - normal_exceeded(probability) * spread).floor());
        let last = self.averages().saturating_sub(1);
        (self.exceeded_by((last + 1).saturating_sub(cut).min(last)), self.exceeded_by(cut.saturating_sub(1).min(last)))
    }

    /// By how many of its deviations the test would on average pass what it takes to reject at a level, were these
    /// differences higher by `shift`, and as many as `pairs`. The variance of the share of averages above zero is that of a U statistic's first projection
    /// (Hoeffding, "A Class of Statistics with Asymptotically Normal Distribution", 1948).
    pub(super) fn margin(&self, shift: f64, level: f64, pairs: usize) -> f64 {
        let own = real(self.sorted.len());
        let shares: Vec<f64> = self.partners(-shift).map(|partners| real(partners) / own).collect();
        let share = shares.iter().sum::<f64>() / own;
        let variance = shares.iter().map(|one| (one - share).powi(2)).sum::<f64>() / own;
        let n = real(pairs);
        let needed = 0.5 + normal_exceeded(level) * ((2.0 * n + 1.0) / (6.0 * n * (n + 1.0))).sqrt();
        let deviation = 2.0 * (variance / n).sqrt();
        if deviation > 0.0 { (share - needed) / deviation } else { f64::INFINITY.copysign(share - needed) }
    }
}

/// Ranks of differences as they come: each among those before it. The sign is independent of it wherever the differences are
/// symmetric about zero (Reynolds, "A Sequential Signed-Rank Test for Location", Annals of Statistics 3, 1975).
#[derive(Clone, Debug, Default)]
pub(super) struct SequentialRanks {
    /// The differences' sizes so far, in rising order.
    sizes: Vec<f64>,
}

impl SequentialRanks {
    /// The difference's sign times its rank among those so far, as a share of their number.
    pub(super) fn score(&mut self, difference: f64) -> f64 {
        let size = difference.abs();
        let below = self.sizes.partition_point(|other| *other < size);
        let not_above = self.sizes.partition_point(|other| *other <= size);
        self.sizes.insert(not_above, size);
        // It shares the mean rank with those of its own size.
        let rank = real(below + 1 + not_above + 1) / 2.0;
        let sign = if difference == 0.0 { 0.0 } else { difference.signum() };
        sign * rank / real(self.sizes.len())
    }
}
