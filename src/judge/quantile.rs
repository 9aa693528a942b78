//! Exact quantiles of raw values.

use super::distribution::{count, real};

/// Values sorted once, to be asked for any quantile.
///
/// The definition is the nearest rank (type 1 of Hyndman and Fan, "Sample Quantiles in Statistical Packages", The American
/// Statistician 50, 1996): the smallest value that at least this share of the values does not exceed. It is always a value
/// that was measured, never a mean of two that no request took; it errs to the slower side; and it is defined for any
/// number of values.
#[derive(Clone, Debug)]
pub(crate) struct Sorted(Vec<f64>);

impl Sorted {
    /// `None` where a value is not a number: what was not measured has no place among the others.
    pub(crate) fn new(mut values: Vec<f64>) -> Option<Self> {
        if values.iter().any(|value| value.is_nan()) {
            return None;
        }
        values.sort_unstable_by(f64::total_cmp);
        Some(Self(values))
    }

    /// The quantile of a share from 0 to 1; `None` where there are no values, or the share is none.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        if !(0.0..=1.0).contains(&share) {
            return None;
        }
        self.0.get(rank(share, self.0.len()).saturating_sub(1)).copied()
    }
}

/// The rank from 1 of a quantile among n values.
pub(super) fn rank(share: f64, n: usize) -> usize {
    // 0.95 × 20 is 19, though the product of the floats may lie a little above.
    count((share * real(n) - 1e-9).ceil()).clamp(1, n.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value_that_was_measured() {
        let to = |n: u32| (1..=n).rev().map(f64::from).collect::<Vec<_>>();
        for (values, share, wanted) in [
            (to(100), 0.95, Some(95.0)),
            (to(100), 0.99, Some(99.0)),
            (to(100), 0.991, Some(100.0)),
            (to(20), 0.95, Some(19.0)),
            (to(10), 0.99, Some(10.0)),
            (to(10), 0.5, Some(5.0)),
            (to(11), 0.5, Some(6.0)),
            (to(10), 0.0, Some(1.0)),
            (to(10), 1.0, Some(10.0)),
            (to(1), 0.5, Some(1.0)),
            (vec![2.0, f64::INFINITY, 1.0], 0.99, Some(f64::INFINITY)),
            (vec![], 0.5, None),
            (to(10), 1.1, None),
            (to(10), f64::NAN, None),
        ] {
            let sorted = Sorted::new(values.clone()).unwrap();
            assert_eq!(sorted.quantile(share), wanted, "{share} of {values:?}");
        }
        assert!(Sorted::new(vec![1.0, f64::NAN]).is_none());
    }
}
