//! Finds a series that stands twice at one timestamp, in one pass and whatever the order of its labels.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::{Exposition, RawSample};

/// The samples seen so far, by series and timestamp.
pub(super) struct Seen {
    table: HashTable<(u64, u32)>,
    state: FixedState,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self { table: HashTable::new(), state: FixedState::default() }
    }

    /// Notes the newest sample of the exposition; answers with the index of an earlier one that has the same name, labels
    /// and timestamp.
    pub(super) fn note(&mut self, exposition: &Exposition) -> Option<u32> {
        let samples = &exposition.samples;
        let sample = samples.last()?;
        let mut hasher = self.state.build_hasher();
        hasher.write(sample.name.text(exposition.text).as_bytes());
        hasher.write_u64(sample.timestamp.to_bits());
        let hash = hasher.finish().wrapping_add(self.labels_hash(exposition, sample, |_| true));
        let same =
            |(other, index): &(u64, u32)| *other == hash && same_series(exposition, &samples[*index as usize], sample);
        if let Some((_, index)) = self.table.find(hash, same) {
            return Some(*index);
        }
        // Fewer samples than bytes, and those are bounded by 2^31.
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the text's length")]
        let index = (samples.len() - 1) as u32;
        self.table.insert_unique(hash, (hash, index), |(hash, _)| *hash);
        None
    }

    /// A hash of the labels whose names are wanted, the same for every order of them. A label with an empty value counts
    /// as none.
    pub(super) fn labels_hash(
        &self,
        exposition: &Exposition,
        sample: &RawSample,
        wanted: impl Fn(&str) -> bool,
    ) -> u64 {
        let mut sum = 0_u64;
        for (name, value) in exposition.label_pairs(sample.first_label, sample.label_count) {
            if value.is_empty() || !wanted(&name) {
                continue;
            }
            let mut hasher = self.state.build_hasher();
            hasher.write(name.as_bytes());
            hasher.write(value.as_bytes());
            hasher.write_usize(name.len());
            sum = sum.wrapping_add(hasher.finish());
        }
        sum
    }
}

/// Only reached when 64 bits of hash agree, so it may take its time.
fn same_series(exposition: &Exposition, a: &RawSample, b: &RawSample) -> bool {
    let labels = |sample: &RawSample| {
        let mut pairs: Vec<_> = exposition
            .label_pairs(sample.first_label, sample.label_count)
            .filter(|(_, value)| !value.is_empty())
            .collect();
        pairs.sort();
        pairs
    };
    let text = exposition.text;
    a.name.text(text) == b.name.text(text) && a.timestamp.to_bits() == b.timestamp.to_bits() && labels(a) == labels(b)
}
