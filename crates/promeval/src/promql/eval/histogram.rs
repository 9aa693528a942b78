//! Quantiles of classic histograms.

use std::collections::HashMap;

use super::Element;
use crate::labels::Labels;
use crate::number::parse_float;

#[derive(Clone, Copy)]
struct Bucket {
    bound: f64,
    count: f64,
}

/// Differences of counts as small as rounding makes them.
const TOLERANCE: f64 = 1e-12;

/// The φ-quantile of each histogram whose buckets are among the elements.
pub(super) fn quantiles(phi: f64, elements: Vec<Element>) -> Vec<Element> {
    let mut histograms: Vec<(Labels, Vec<Bucket>)> = Vec::new();
    let mut known = HashMap::new();
    for element in elements {
        // An element without a bound is not a bucket.
        let Some(bound) = parse_float(element.labels.get("le")) else {
            continue;
        };
        let mut labels = element.labels;
        labels.set("le", "");
        let index = *known.entry(labels.clone()).or_insert_with(|| {
            histograms.push((labels.without_metric_name(), Vec::new()));
            histograms.len() - 1
        });
        histograms[index].1.push(Bucket { bound, count: element.value });
    }
    let quantile = |(labels, buckets)| Element { labels, value: bucket_quantile(phi, buckets) };
    histograms.into_iter().map(quantile).collect()
}

fn bucket_quantile(phi: f64, mut buckets: Vec<Bucket>) -> f64 {
    if phi.is_nan() {
        return f64::NAN;
    }
    if phi < 0.0 {
        return f64::NEG_INFINITY;
    }
    if phi > 1.0 {
        return f64::INFINITY;
    }
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    if buckets.last().is_none_or(|last| last.bound != f64::INFINITY) {
        return f64::NAN;
    }
    let mut buckets = coalesced(buckets);
    make_monotonic(&mut buckets);
    let [.., before_last, last] = buckets.as_slice() else {
        return f64::NAN;
    };
    let observations = last.count;
    if observations == 0.0 {
        return f64::NAN;
    }
    let rank = phi * observations;
    let finite = &buckets[..buckets.len() - 1];
    // A NaN count is skipped: no comparison with it holds.
    let reached = |bucket: &Bucket| bucket.count >= rank;
    let index = finite.partition_point(|bucket| !reached(bucket));
    if index == finite.len() {
        return before_last.bound;
    }
    let bucket = finite[index];
    if index == 0 && bucket.bound <= 0.0 {
        return bucket.bound;
    }
    let below = index.checked_sub(1).map_or(Bucket { bound: 0.0, count: 0.0 }, |before| finite[before]);
    below.bound + (bucket.bound - below.bound) * ((rank - below.count) / (bucket.count - below.count))
}

/// Merges buckets that have the same bound.
fn coalesced(buckets: Vec<Bucket>) -> Vec<Bucket> {
    let mut merged: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        match merged.last_mut() {
            #[expect(clippy::float_cmp, reason = "the same bound")]
            Some(last) if last.bound == bucket.bound => last.count += bucket.count,
            _ => merged.push(bucket),
        }
    }
    merged
}

/// Raises counts that fall, as they do where buckets were scraped at slightly different times, to the highest so far, and
/// evens out differences that only rounding makes.
fn make_monotonic(buckets: &mut [Bucket]) {
    let Some(first) = buckets.first() else { return };
    let mut highest = first.count;
    for bucket in &mut buckets[1..] {
        if bucket.count < highest || nearly_equal(highest, bucket.count) {
            bucket.count = highest;
        } else {
            highest = bucket.count;
        }
    }
}

#[expect(clippy::float_cmp, reason = "equal values need no tolerance")]
fn nearly_equal(a: f64, b: f64) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}
