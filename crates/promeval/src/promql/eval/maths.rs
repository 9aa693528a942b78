//! Small functions of one number, and minima and maxima that keep NaN.

/// Radians to degrees.
pub(in crate::promql) fn deg(value: f64) -> f64 {
    value * 180.0 / std::f64::consts::PI
}

/// Degrees to radians.
pub(in crate::promql) fn rad(value: f64) -> f64 {
    value * std::f64::consts::PI / 180.0
}

/// -1, 0 or 1; zero and NaN as they are.
pub(in crate::promql) fn sgn(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}

/// The smaller one; NaN if one of them is and nothing is -Inf, as in Go.
pub(super) fn min(a: f64, b: f64) -> f64 {
    let nan = (a.is_nan() || b.is_nan()) && a != f64::NEG_INFINITY && b != f64::NEG_INFINITY;
    if nan { f64::NAN } else { a.min(b) }
}

/// The larger one; NaN if one of them is and nothing is +Inf, as in Go.
pub(super) fn max(a: f64, b: f64) -> f64 {
    let nan = (a.is_nan() || b.is_nan()) && a != f64::INFINITY && b != f64::INFINITY;
    if nan { f64::NAN } else { a.max(b) }
}
