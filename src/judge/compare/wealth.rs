//! Wealth from bets against "the canary is no worse": evidence that may be looked at after every pair.

use crate::judge::distribution::real;

/// The shares of the wealth that are staked on each pair, from none to all: 0, 0.1, … 1.
const BETS: usize = 11;

/// What became of 1 that was betted on the canary being worse, pair after pair, as the mean over eleven bettors that each
/// stake another share.
///
/// Each pair gives a score between −1 and 1 whose sign, were the canary no worse, would be at best that of a fair coin. Then
/// the wealth is a nonnegative supermartingale that begins at 1, and reaches w with a probability of at most 1/w, ever
/// (Ville, "Étude critique de la notion de collectif", 1939). Betting on bounded means and mixing over the stakes: Waudby-Smith
/// and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86, 2024.
#[derive(Clone, Debug)]
pub(super) struct Wealth {
    /// Logarithms: the products themselves leave the range of a float after a thousand pairs.
    bettors: [f64; BETS],
    highest: f64,
}

impl Wealth {
    pub(super) fn new() -> Self {
        Self { bettors: [0.0; BETS], highest: 0.0 }
    }

    /// Plays a pair of this score.
    pub(super) fn play(&mut self, score: f64) {
        for (at, bettor) in self.bettors.iter_mut().enumerate() {
            // All staked and lost is −∞, and stays there.
            *bettor += (stake(at) * score).ln_1p();
        }
        self.highest = self.highest.max(self.ln());
    }

    /// The logarithm of the wealth by now.
    pub(super) fn ln(&self) -> f64 {
        // The bettor who stakes nothing keeps the greatest at 0 or above.
        let greatest = self.bettors.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.bettors.iter().map(|bettor| (bettor - greatest).exp()).sum();
        greatest + (sum / real(BETS)).ln()
    }

    /// The logarithm of the most wealth there has been.
    pub(super) fn highest_ln(&self) -> f64 {
        self.highest
    }
}

fn stake(at: usize) -> f64 {
    real(at) / real(BETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(wins: usize, losses: usize) -> f64 {
        let mut wealth = Wealth::new();
        (0..wins).for_each(|_| wealth.play(1.0));
        (0..losses).for_each(|_| wealth.play(-1.0));
        wealth.ln().exp()
    }

    #[test]
    fn wealth_is_the_mean_over_the_bettors() {
        for (wins, losses, wanted) in [
            (0, 0, 1.0),
            (1, 0, 1.5),
            (0, 1, 0.5),
            // 200 is reached by 10 failures of the canary alone, or by 14 against 1.
            (9, 0, 118.0),
            (10, 0, 219.7),
            (13, 1, 135.0),
            (14, 1, 236.0),
        ] {
            let wealth = after(wins, losses);
            assert!((wealth / wanted - 1.0).abs() < 0.01, "{wins} against {losses}: {wealth}, want {wanted}");
        }
    }

    #[test]
    fn a_long_run_leaves_no_range() {
        let mut wealth = Wealth::new();
        (0..5_000).for_each(|_| wealth.play(1.0));
        let highest = wealth.ln();
        assert!(highest > 3_000.0);
        (0..20_000).for_each(|_| wealth.play(-1.0));
        // Only the bettor who staked nothing is left.
        assert!((wealth.ln() + 11f64.ln()).abs() < 1e-6, "{}", wealth.ln());
        assert_eq!(wealth.highest_ln(), highest);
    }
}
