//! Finds series that appear twice with the same timestamp, whatever the order of their labels: at once, or all at the end.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

use super::{Exposition, RawSample};
use crate::table::Table;

/// Hashes of samples, seeded anew in each process, so that nobody can choose samples that collide.
#[derive(Clone, Default)]
pub(super) struct Hashes(RandomState);

impl Hashes {
    /// A hash of a metric's name, as it is part of that of a series.
    pub(super) fn of_name(&self, name: &str) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(name.as_bytes());
        hasher.finish()
    }

    /// The hash of a series at a time; NaN is none.
    fn at(&self, series: u64, timestamp: f64) -> u64 {
        if timestamp.is_nan() {
            return series;
        }
        let mut hasher = self.0.build_hasher();
        hasher.write_u64(series);
        hasher.write_u64(timestamp.to_bits());
        hasher.finish()
    }
}

/// All samples of an exposition, of which the repeated ones are looked for at the end.
///
/// Sorting numbers takes a third of the time of a hash table that is too large for the processor's caches.
#[derive(Default)]
pub(super) struct Keys {
    /// Half of a sample's hash, and its index.
    list: Vec<u64>,
}

impl Keys {
    pub(super) fn new(lines: usize) -> Self {
        Self { list: Vec::with_capacity(lines) }
    }

    /// Adds the newest sample, whose name and labels have the given hash.
    pub(super) fn add(&mut self, hashes: &Hashes, series: u64, timestamp: f64) {
        let index = self.list.len() as u64;
        self.list.push((hashes.at(series, timestamp) >> 32 << 32) | index);
    }

    /// The samples that repeat the series and the timestamp of an earlier one, in the order of the text, each with the earlier
    /// one.
    pub(super) fn repeated(mut self, exposition: &Exposition) -> Vec<(usize, usize)> {
        self.list.sort_unstable();
        let mut repeated = Vec::new();
        for alike in self.list.chunk_by(|a, b| a >> 32 == b >> 32).filter(|alike| alike.len() > 1) {
            // Mostly of one series; others share half of the hash by chance.
            let mut firsts: Vec<usize> = Vec::new();
            #[expect(clippy::cast_possible_truncation, reason = "the lower half is the index")]
            for index in alike.iter().map(|key| *key as u32 as usize) {
                match firsts.iter().find(|first| same_sample(exposition, **first, index)) {
                    Some(first) => repeated.push((*first, index)),
                    None => firsts.push(index),
                }
            }
        }
        repeated.sort_unstable_by_key(|(_, later)| *later);
        repeated
    }
}

/// The samples seen so far, by series and timestamp.
#[derive(Default)]
pub(super) struct Seen {
    table: Table,
}

impl Seen {
    /// Notes the newest sample of the exposition, whose name and labels have the given hash; returns the index of an earlier one
    /// with the same name, labels and timestamp.
    pub(super) fn note(&mut self, hashes: &Hashes, exposition: &Exposition, series: u64) -> Option<usize> {
        let newest = exposition.samples.len().checked_sub(1)?;
        let hash = hashes.at(series, exposition.timestamp(newest));
        if let Some(index) = self.table.find(hash, |index| same_sample(exposition, index, newest)) {
            return Some(index as usize);
        }
        // Fewer samples than bytes, and those are bounded by 2^31.
        self.table.insert(hash, u32::try_from(newest).unwrap_or(u32::MAX));
        None
    }
}

/// Whether two samples are of one series and of one time.
fn same_sample(exposition: &Exposition, a: usize, b: usize) -> bool {
    let same_time = exposition.timestamp(a).to_bits() == exposition.timestamp(b).to_bits();
    same_time && same_series(exposition, exposition.samples[a], exposition.samples[b])
}

/// Only reached when half of the hash agrees, so it may take its time.
fn same_series(exposition: &Exposition, a: RawSample, b: RawSample) -> bool {
    let text = exposition.text;
    if text.as_bytes()[a.start()..a.end()] == text.as_bytes()[b.start()..b.end()] {
        return true;
    }
    let labels = |sample: RawSample| {
        let mut pairs: Vec<_> = sample.labels(text).filter(|(_, value)| !value.is_empty()).collect();
        pairs.sort();
        pairs
    };
    a.name(text).text(text) == b.name(text).text(text) && labels(a) == labels(b)
}
