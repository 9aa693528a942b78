//! Tails of the normal and the binomial distribution, and the exact limits of a share.

use statrs::function::beta::checked_beta_reg;
use statrs::function::erf::{erfc, erfc_inv};
use std::f64::consts::SQRT_2;

/// P(Z > z) of a standard normal Z.
pub(super) fn normal_above(z: f64) -> f64 {
    erfc(z / SQRT_2) / 2.0
}

/// The z that a standard normal exceeds with this probability.
pub(super) fn normal_exceeded(probability: f64) -> f64 {
    SQRT_2 * erfc_inv(2.0 * probability)
}

/// P(X ≥ k) of n trials with probability p each, by the incomplete beta function (DLMF 8.17.5). NaN where p is not a
/// probability.
pub(super) fn at_least(k: usize, n: usize, p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if k == 0 {
        return 1.0;
    }
    if k > n {
        return 0.0;
    }
    checked_beta_reg(real(k), real(n - k) + 1.0, p).unwrap_or(f64::NAN)
}

/// P(X ≤ k) of n trials with probability p each, summed on its own side, so that a small one keeps its digits.
pub(super) fn at_most(k: usize, n: usize, p: f64) -> f64 {
    if k >= n { 1.0 } else { at_least(n - k, n, 1.0 - p) }
}

/// The limits of a share of which k in n were seen: each is exceeded with at most this probability (Clopper and Pearson,
/// "The use of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26, 1934).
pub(super) fn share_limits(k: usize, n: usize, probability: f64) -> (f64, f64) {
    let low = if k == 0 { 0.0 } else { bisect(0.0, 1.0, |p| at_least(k, n, p) < probability) };
    let high = if k >= n { 1.0 } else { bisect(0.0, 1.0, |p| at_most(k, n, p) > probability) };
    (low, high)
}

/// Where a condition that holds from `low` on ceases to hold, up to `high`.
pub(super) fn bisect(mut low: f64, mut high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// A count as a number to calculate with.
#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
pub(super) fn real(count: usize) -> f64 {
    count as f64
}

/// A number as a count: 0 for what is negative or NaN.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
pub(super) fn count(number: f64) -> usize {
    number as usize
}
