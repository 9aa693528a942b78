//! Finds a series that stands twice at one timestamp, in one pass and whatever the order of its labels.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::scan::Span;
use super::{Exposition, RawSample};

/// The samples seen so far, by series and timestamp.
pub(super) struct Seen {
    table: HashTable<(u64, u32)>,
    state: FixedState,
}

impl Seen {
    pub(super) fn new(text: &str) -> Self {
        // As many series as an ordinary text of this length has; more make the table grow.
        Self { table: HashTable::with_capacity((text.len() / 96).min(1 << 20)), state: FixedState::default() }
    }

    /// Notes the newest sample of the exposition; answers with the index of an earlier one that has the same name, labels
    /// and timestamp.
    pub(super) fn note(&mut self, exposition: &Exposition) -> Option<u32> {
        let samples = &exposition.samples;
        let sample = samples.last()?;
        let mut hasher = self.state.build_hasher();
        write(&mut hasher, exposition.text, sample.name);
        hasher.write_u64(sample.timestamp.to_bits());
        let hash = hasher.finish().wrapping_add(self.labels_hash(exposition, sample, None));
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

    /// A hash of the labels but the one to leave out, the same for every order of them. A label with an empty value counts
    /// as none.
    pub(super) fn labels_hash(&self, exposition: &Exposition, sample: &RawSample, leave_out: Option<&str>) -> u64 {
        let (text, first) = (exposition.text, sample.first_label as usize);
        let mut sum = 0_u64;
        for label in &exposition.labels[first..first + sample.label_count as usize] {
            let left_out = leave_out.is_some_and(|name| label.name.text(text) == name);
            if label.value.bytes(text).is_empty() || left_out {
                continue;
            }
            let mut hasher = self.state.build_hasher();
            write(&mut hasher, text, label.name);
            write(&mut hasher, text, label.value);
            sum = sum.wrapping_add(hasher.finish());
        }
        sum
    }
}

fn write(hasher: &mut impl Hasher, text: &str, span: Span) {
    if span.is_escaped() { hasher.write(span.text(text).as_bytes()) } else { hasher.write(span.bytes(text)) }
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
