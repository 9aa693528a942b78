//! Tails of the normal and the binomial distribution, and the exact limits of a share.

use statrs::function::erf::{erfc, erfc_inv};
use statrs::function::gamma::ln_gamma;
use std::f64::consts::{SQRT_2, TAU};

/// P(Z > z) of a standard normal Z.
pub(super) fn normal_above(z: f64) -> f64 {
    erfc(z / SQRT_2) / 2.0
}

/// The z that a standard normal exceeds with this probability.
pub(super) fn normal_exceeded(probability: f64) -> f64 {
    SQRT_2 * erfc_inv(2.0 * probability)
}

/// P(X ≥ k) of n trials with probability p each; NaN where p is not a probability.
///
/// Summed term by term, away from the mean. The usual way, by the incomplete beta function, is not safe here: the crate's
/// continued fraction stops after 140 terms, and is a negative probability for a hundred million requests.
pub(super) fn at_least(k: usize, n: usize, p: f64) -> f64 {
    if !(0.0..=1.0).contains(&p) {
        f64::NAN
    } else if k == 0 {
        1.0
    } else if k > n {
        0.0
    } else if real(k) > real(n) * p {
        above(k, n, p)
    } else {
        // At most k − 1, seen from the other outcome: at least n − k + 1.
        1.0 - above(n - k + 1, n, 1.0 - p)
    }
}

/// P(X ≤ k) of n trials with probability p each.
pub(super) fn at_most(k: usize, n: usize, p: f64) -> f64 {
    if k >= n { 1.0 } else { at_least(n - k, n, 1.0 - p) }
}

/// The upper tail from a k at or above the mean, where each term is smaller than the one before.
fn above(k: usize, n: usize, p: f64) -> f64 {
    let mut term = exactly(k, n, p);
    let mut sum = term;
    for x in k..n {
        term *= real(n - x) / real(x + 1) * p / (1.0 - p);
        if term <= sum * 1e-17 {
            break;
        }
        sum += term;
    }
    sum.min(1.0)
}

/// P(X = k), by the saddle point, which keeps its digits for any n (Loader, "Fast and Accurate Computation of Binomial
/// Probabilities", 2000).
fn exactly(k: usize, n: usize, p: f64) -> f64 {
    let (x, all) = (real(k), real(n));
    if p == 0.0 || p == 1.0 {
        return f64::from(u8::from(x == all * p));
    }
    if k == 0 || k == n {
        return (all * if k == 0 { (-p).ln_1p() } else { p.ln() }).exp();
    }
    let rest = all - x;
    let error = stirling_error(all) - stirling_error(x) - stirling_error(rest);
    let deviance = deviance(x, all * p) + deviance(rest, all * (1.0 - p));
    (error - deviance).exp() * (all / (TAU * x * rest)).sqrt()
}

/// What Stirling's formula leaves of ln n!.
fn stirling_error(n: f64) -> f64 {
    if n < 16.0 {
        return ln_gamma(n + 1.0) - (n + 0.5) * n.ln() + n - TAU.ln() / 2.0;
    }
    let square = n * n;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / (1680.0 * square)) / square) / square) / n
}

/// x ln(x/m) + m − x, by a series where the two are near, and their logarithm would lose digits.
fn deviance(x: f64, mean: f64) -> f64 {
    let near = (x - mean) / (x + mean);
    if near.abs() >= 0.1 {
        return x * (x / mean).ln() + mean - x;
    }
    let mut sum = (x - mean) * near;
    let mut power = 2.0 * x * near;
    for odd in [3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0, 17.0] {
        power *= near * near;
        sum += power / odd;
    }
    sum
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
