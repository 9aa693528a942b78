//! Quantiles and fractions of classic histograms.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::label_set::LabelSet;
use super::{Evaluation, Item};
use crate::number::parse_go_float;
use crate::symbols::Symbol;

#[derive(Clone, Copy)]
struct Bucket {
    bound: f64,
    count: f64,
}

/// Differences of counts as small as rounding makes them.
const TOLERANCE: f64 = 1e-12;

impl<'s> Evaluation<'s> {
    /// The φ-quantile of each histogram whose buckets are among the elements.
    pub(super) fn quantiles(&mut self, phi: f64, items: Vec<Item<'s>>) -> Vec<Item<'s>> {
        let unbounded = self.unbounded_quantiles;
        let value = |buckets| match bucket_quantile(phi, buckets) {
            Quantile::Beyond(_) if unbounded => f64::INFINITY,
            Quantile::Beyond(value) | Quantile::Within(value) => value,
        };
        let quantile = |(labels, buckets)| Item { labels, value: value(buckets) };
        self.histograms(items).into_iter().map(quantile).collect()
    }

    /// The fraction of the observations that lie between two values, for each histogram whose buckets are among the elements.
    pub(super) fn fractions(&mut self, lower: f64, upper: f64, items: Vec<Item<'s>>) -> Vec<Item<'s>> {
        let fraction = |(labels, buckets)| Item { labels, value: bucket_fraction(lower, upper, buckets) };
        self.histograms(items).into_iter().map(fraction).collect()
    }

    /// The buckets by the histogram that they belong to, each with the labels of its result.
    fn histograms(&mut self, items: Vec<Item<'s>>) -> Vec<(LabelSet<'s>, Vec<Bucket>)> {
        let le = self.texts.symbol("le");
        let mut histograms: Vec<(LabelSet<'s>, Vec<Bucket>)> = Vec::new();
        let mut known: HashMap<LabelSet<'s>, usize, RandomState> = HashMap::default();
        for Item { mut labels, value } in items {
            // An element without a bound is not a bucket.
            let Some(bound) = parse_go_float(self.texts.get(labels.value_of(le))) else {
                continue;
            };
            self.texts.set(&mut labels, le, Symbol::EMPTY);
            let index = *known.entry(labels).or_insert_with_key(|labels| {
                histograms.push((labels.clone().without_metric_name(&self.texts), Vec::new()));
                histograms.len() - 1
            });
            histograms[index].1.push(Bucket { bound, count: value });
        }
        histograms
    }
}

/// A quantile of a histogram.
enum Quantile {
    Within(f64),
    /// Beyond the highest finite bound, which is this one.
    Beyond(f64),
}

fn bucket_quantile(phi: f64, buckets: Vec<Bucket>) -> Quantile {
    if phi.is_nan() {
        return Quantile::Within(f64::NAN);
    }
    if phi < 0.0 {
        return Quantile::Within(f64::NEG_INFINITY);
    }
    if phi > 1.0 {
        return Quantile::Within(f64::INFINITY);
    }
    let Some(mut buckets) = complete(buckets) else { return Quantile::Within(f64::NAN) };
    make_monotonic(&mut buckets);
    let [.., before_last, last] = buckets.as_slice() else {
        return Quantile::Within(f64::NAN);
    };
    let observations = last.count;
    if observations == 0.0 {
        return Quantile::Within(f64::NAN);
    }
    let rank = phi * observations;
    let finite = &buckets[..buckets.len() - 1];
    // A NaN count is skipped, because no comparison with it holds: halving must go the way that Prometheus's goes.
    let (mut index, mut end) = (0, finite.len());
    while index < end {
        let middle = usize::midpoint(index, end);
        if finite[middle].count >= rank { end = middle } else { index = middle + 1 }
    }
    if index == finite.len() {
        return Quantile::Beyond(before_last.bound);
    }
    let bucket = finite[index];
    if index == 0 && bucket.bound <= 0.0 {
        return Quantile::Within(bucket.bound);
    }
    let below = index.checked_sub(1).map_or(Bucket { bound: 0.0, count: 0.0 }, |before| finite[before]);
    let part = (rank - below.count) / (bucket.count - below.count);
    Quantile::Within(below.bound + (bucket.bound - below.bound) * part)
}

fn bucket_fraction(lower: f64, upper: f64, buckets: Vec<Bucket>) -> f64 {
    let Some(buckets) = complete(buckets) else { return f64::NAN };
    let count = buckets.last().map_or(0.0, |last| last.count);
    if count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank = |value: f64| {
        let rank = rank_of(value, &buckets).unwrap_or(count);
        if rank > count { count } else { rank }
    };
    (rank(upper) - rank(lower)) / count
}

/// How many observations are below a value, evenly spread within each bucket; nothing where it is above all bounds.
fn rank_of(value: f64, buckets: &[Bucket]) -> Option<f64> {
    // Buckets of positive bounds alone begin at zero.
    let positive = buckets.first().is_some_and(|first| first.bound > 0.0);
    let mut below = Bucket { bound: if positive { 0.0 } else { f64::NEG_INFINITY }, count: 0.0 };
    for bucket in buckets {
        if below.bound >= value {
            return Some(below.count);
        }
        if bucket.bound > value {
            // A bucket without a lower end has nothing to interpolate between.
            let part = (value - below.bound) / (bucket.bound - below.bound);
            let open = below.bound == f64::NEG_INFINITY;
            return Some(if open { bucket.count } else { below.count + (bucket.count - below.count) * part });
        }
        below = *bucket;
    }
    None
}

/// The buckets in the order of their bounds, each bound once; nothing where the last is not that of all observations.
fn complete(mut buckets: Vec<Bucket>) -> Option<Vec<Bucket>> {
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    buckets.last().filter(|last| last.bound == f64::INFINITY)?;
    Some(coalesced(buckets))
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
