//! Functions over the points of one series within a window.

#![expect(clippy::unnecessary_wraps, reason = "the functions are of one type, and some of them need two points")]

use crate::promql::kahan::{Sum, mean, variance};
use crate::series::Point;

/// The window of a range vector in milliseconds since the epoch: after `start`, up to and with `end`.
#[derive(Clone, Copy, Debug)]
pub(in crate::promql) struct Window {
    pub(super) start: i64,
    pub(super) end: i64,
}

/// Computes a value from points, at least one and oldest first; `None` where there are too few.
pub(in crate::promql) type RangeFunction = fn(&[Point], &Window) -> Option<f64>;

fn values(points: &[Point]) -> impl Iterator<Item = f64> {
    points.iter().map(|point| point.value)
}

#[expect(clippy::cast_precision_loss, reason = "differences of times are far below 2^53 milliseconds")]
fn seconds_between(earlier: i64, later: i64) -> f64 {
    later.saturating_sub(earlier) as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "counts of points are far below 2^53")]
fn count_of(number: usize) -> f64 {
    number as f64
}

pub(in crate::promql) fn avg(points: &[Point], _: &Window) -> Option<f64> {
    Some(mean(values(points)))
}

pub(in crate::promql) fn sum(points: &[Point], _: &Window) -> Option<f64> {
    Some(values(points).collect::<Sum>().value())
}

pub(in crate::promql) fn count(points: &[Point], _: &Window) -> Option<f64> {
    Some(count_of(points.len()))
}

pub(in crate::promql) fn present(_: &[Point], _: &Window) -> Option<f64> {
    Some(1.0)
}

pub(in crate::promql) fn max(points: &[Point], _: &Window) -> Option<f64> {
    values(points).reduce(|best, value| if value > best || best.is_nan() { value } else { best })
}

pub(in crate::promql) fn min(points: &[Point], _: &Window) -> Option<f64> {
    values(points).reduce(|best, value| if value < best || best.is_nan() { value } else { best })
}

pub(in crate::promql) fn stddev(points: &[Point], _: &Window) -> Option<f64> {
    Some(variance(values(points)).sqrt())
}

pub(in crate::promql) fn stdvar(points: &[Point], _: &Window) -> Option<f64> {
    Some(variance(values(points)))
}

pub(in crate::promql) fn changes(points: &[Point], _: &Window) -> Option<f64> {
    #[expect(clippy::float_cmp, reason = "any difference is a change")]
    let changed =
        |pair: &&[Point]| pair[0].value != pair[1].value && !(pair[0].value.is_nan() && pair[1].value.is_nan());
    Some(count_of(points.windows(2).filter(changed).count()))
}

pub(in crate::promql) fn resets(points: &[Point], _: &Window) -> Option<f64> {
    Some(count_of(points.windows(2).filter(|pair| pair[1].value < pair[0].value).count()))
}

pub(in crate::promql) fn rate(points: &[Point], window: &Window) -> Option<f64> {
    extrapolated(points, window, true, true)
}

pub(in crate::promql) fn increase(points: &[Point], window: &Window) -> Option<f64> {
    extrapolated(points, window, true, false)
}

pub(in crate::promql) fn delta(points: &[Point], window: &Window) -> Option<f64> {
    extrapolated(points, window, false, false)
}

/// The change over the window, extrapolated to its ends where the points come close to them, as Prometheus does it.
fn extrapolated(points: &[Point], window: &Window, counter: bool, per_second: bool) -> Option<f64> {
    let [first, .., last] = points else { return None };
    let mut change = last.value - first.value;
    if counter {
        for pair in points.windows(2).filter(|pair| pair[1].value < pair[0].value) {
            change += pair[0].value;
        }
    }
    let sampled = seconds_between(first.time, last.time);
    let between = sampled / count_of(points.len() - 1);
    // A point is close to an end when a next one would have been due there, with a tenth of tolerance.
    let close = between * 1.1;
    let mut to_start = seconds_between(window.start, first.time);
    if to_start >= close {
        to_start = between / 2.0;
    }
    if counter && change > 0.0 && first.value >= 0.0 {
        // A counter is never below zero: where the slope says that it started within the gap, extrapolation stops there.
        to_start = to_start.min(sampled * (first.value / change));
    }
    let mut to_end = seconds_between(last.time, window.end);
    if to_end >= close {
        to_end = between / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if per_second {
        factor /= seconds_between(window.start, window.end);
    }
    Some(change * factor)
}

pub(in crate::promql) fn irate(points: &[Point], _: &Window) -> Option<f64> {
    let [.., before, last] = points else { return None };
    // After a reset the counter has gone up by its whole value.
    let change = if last.value < before.value { last.value } else { last.value - before.value };
    Some(change / seconds_between(before.time, last.time))
}

pub(in crate::promql) fn idelta(points: &[Point], _: &Window) -> Option<f64> {
    let [.., before, last] = points else { return None };
    Some(last.value - before.value)
}

pub(in crate::promql) fn deriv(points: &[Point], _: &Window) -> Option<f64> {
    let first = points.first()?;
    regression(points, first.time).map(|(slope, _)| slope)
}

/// The value of the line through the points, `ahead` seconds after `time`.
pub(super) fn predict_linear(points: &[Point], time: i64, ahead: f64) -> Option<f64> {
    regression(points, time).map(|(slope, intercept)| slope * ahead + intercept)
}

/// Simple linear regression: the slope per second, and the value at `origin`.
fn regression(points: &[Point], origin: i64) -> Option<(f64, f64)> {
    let [first, _, ..] = points else { return None };
    #[expect(clippy::float_cmp, reason = "only equal values make a constant")]
    if points.iter().all(|point| point.value == first.value) {
        let flat = if first.value.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first.value) };
        return Some(flat);
    }
    let [mut x_sum, mut y_sum, mut xy_sum, mut xx_sum] = [Sum::default(); 4];
    for point in points {
        let x = seconds_between(origin, point.time);
        x_sum.add(x);
        y_sum.add(point.value);
        xy_sum.add(x * point.value);
        xx_sum.add(x * x);
    }
    let [x, y, xy, xx] = [x_sum, y_sum, xy_sum, xx_sum].map(|sum| sum.sum + sum.compensation);
    let count = count_of(points.len());
    let slope = (xy - x * y / count) / (xx - x * x / count);
    Some((slope, y / count - slope * x / count))
}

/// The φ-quantile of values, with linear interpolation.
pub(super) fn quantile(phi: f64, mut values: Vec<f64>) -> f64 {
    if values.is_empty() || phi.is_nan() {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    // NaN counts as the smallest value.
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan())));
    let rank = phi * count_of(values.len() - 1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the number of values")]
    let lower = (rank.floor() as usize).min(values.len() - 1);
    let upper = (lower + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}
