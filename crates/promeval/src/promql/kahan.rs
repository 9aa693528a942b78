//! Sums that do not lose what is small beside what is large, as Prometheus makes them.

/// A compensated sum (Kahan, with Neumaier's improvement).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    pub(super) sum: f64,
    pub(super) compensation: f64,
}

impl Sum {
    pub(super) fn add(&mut self, value: f64) {
        let total = self.sum + value;
        self.compensation = if total.is_infinite() {
            0.0
        } else if self.sum.abs() >= value.abs() {
            self.compensation + ((self.sum - total) + value)
        } else {
            self.compensation + ((value - total) + self.sum)
        };
        self.sum = total;
    }

    pub(super) fn value(self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.compensation }
    }
}

impl FromIterator<f64> for Sum {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut sum = Self::default();
        values.into_iter().for_each(|value| sum.add(value));
        sum
    }
}

/// The mean of values; where their sum would overflow, the mean is carried along instead.
pub(super) fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sum = Sum::default();
    let mut count = 0.0;
    let mut incremental = false;
    for value in values {
        count += 1.0;
        if !incremental {
            let mut next = sum;
            next.add(value);
            if count == 1.0 || next.sum.is_finite() || next.sum.is_nan() {
                sum = next;
                continue;
            }
            incremental = true;
            sum = Sum { sum: sum.sum / (count - 1.0), compensation: sum.compensation / (count - 1.0) };
        }
        if sum.sum.is_infinite() && (value == sum.sum || value.is_finite()) {
            // An infinite mean stays as it is: subtracting infinities would make a NaN of it.
            continue;
        }
        // Both sides are divided before they are subtracted, so that nothing overflows.
        sum.add(value / count - sum.value() / count);
    }
    if incremental { sum.value() } else { sum.sum / count + sum.compensation / count }
}

/// The population variance of values (Welford).
pub(super) fn variance(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut mean, mut squares, mut count) = (Sum::default(), Sum::default(), 0.0);
    for value in values {
        count += 1.0;
        let delta = value - mean.value();
        mean.add(delta / count);
        squares.add(delta * (value - mean.value()));
    }
    squares.value() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_values_survive_beside_large_ones() {
        assert_eq!(Sum::from_iter([1.0, 1e100, 1.0, -1e100]).value(), 2.0);
        assert_eq!(mean([5.0, 1e100, -1e100, 5.0]), 2.5);
    }

    #[test]
    fn the_mean_of_huge_values_is_finite() {
        assert_eq!(mean([f64::MAX, f64::MAX]), f64::MAX);
        assert_eq!(mean([-f64::MAX, -f64::MAX, -f64::MAX]), -f64::MAX);
    }

    #[test]
    fn infinities_are_carried_through() {
        assert_eq!(mean([1.0, f64::INFINITY]), f64::INFINITY);
        assert_eq!(mean([f64::NEG_INFINITY, 5.0, f64::NEG_INFINITY]), f64::NEG_INFINITY);
        assert!(mean([f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        assert!(mean([f64::NAN, 1.0]).is_nan());
        assert_eq!(Sum::from_iter([f64::INFINITY, 1.0]).value(), f64::INFINITY);
    }
}
