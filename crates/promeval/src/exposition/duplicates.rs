//! Finds a series that appears twice with the same timestamp, in one pass and whatever the order of its labels.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

use super::{Exposition, RawSample};
use crate::table::Table;

/// The samples seen so far, by series and timestamp.
pub(super) struct Seen {
    table: Table,
    state: RandomState,
}

/// Room is made for at most this many entries; with more, the table grows.
const MAX_ROOM: usize = 1 << 21;

impl Seen {
    /// Makes room for an exposition of so many lines: a table that never grows is a tenth of the parse time.
    pub(super) fn new(lines: usize) -> Self {
        Self { table: Table::with_capacity(lines.min(MAX_ROOM)), state: RandomState::default() }
    }

    /// A hash of a metric's name, as it is part of that of a series.
    pub(super) fn name_hash(&self, name: &str) -> u64 {
        let mut hasher = self.state.build_hasher();
        hasher.write(name.as_bytes());
        hasher.finish()
    }

    /// Notes the newest sample of the exposition, whose name and labels have the given hash; returns the index of an earlier one
    /// with the same name, labels and timestamp.
    pub(super) fn note(&mut self, exposition: &Exposition, mut hash: u64) -> Option<usize> {
        let samples = &exposition.samples;
        let newest = samples.len().checked_sub(1)?;
        let timestamp = exposition.timestamp(newest);
        if !timestamp.is_nan() {
            let mut hasher = self.state.build_hasher();
            hasher.write_u64(hash);
            hasher.write_u64(timestamp.to_bits());
            hash = hasher.finish();
        }
        let same = |index: usize| {
            let same_time = exposition.timestamp(index).to_bits() == timestamp.to_bits();
            same_time && same_series(exposition, samples[index], samples[newest])
        };
        if let Some(index) = self.table.find(hash, same) {
            return Some(index as usize);
        }
        // Fewer samples than bytes, and those are bounded by 2^31.
        self.table.insert(hash, u32::try_from(newest).unwrap_or(u32::MAX));
        None
    }
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
