//! Finds a series that appears twice with the same timestamp, in one pass and whatever the order of its labels.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::scan::Span;
use super::{Exposition, RawSample};

/// The samples seen so far, by series and timestamp.
pub(super) struct Seen {
    /// Half of a hash, and the sample's index: small entries, because the table is accessed at random.
    table: HashTable<(u32, u32)>,
    state: FixedState,
}

/// Room is made for at most this many entries; with more, the table grows.
const MAX_ROOM: usize = 1 << 21;

impl Seen {
    /// Makes room for an exposition of so many lines: a table that never grows is a tenth of the parse time.
    pub(super) fn new(lines: usize) -> Self {
        Self { table: HashTable::with_capacity(lines.min(MAX_ROOM)), state: FixedState::default() }
    }

    /// Notes the newest sample of the exposition; returns the index of an earlier one with the same name, labels and
    /// timestamp.
    pub(super) fn note(&mut self, exposition: &Exposition) -> Option<u32> {
        let samples = &exposition.samples;
        let sample = samples.last()?;
        let hash = sample_hash(&self.state, exposition, sample);
        // The halves are of one 64-bit hash, and the table uses the lower one.
        let tag = (hash >> 32) as u32;
        let same =
            |(other, index): &(u32, u32)| *other == tag && same_series(exposition, &samples[*index as usize], sample);
        if let Some((_, index)) = self.table.find(hash, same) {
            return Some(*index);
        }
        // Fewer samples than bytes, and those are bounded by 2^31.
        #[expect(clippy::cast_possible_truncation, reason = "bounded by the text's length")]
        let index = (samples.len() - 1) as u32;
        let Self { table, state } = self;
        let again = |(_, index): &(u32, u32)| sample_hash(state, exposition, &samples[*index as usize]);
        table.insert_unique(hash, (tag, index), again);
        None
    }

    /// A hash of the labels except `leave_out`, whatever their order. A label with an empty value does not count.
    pub(super) fn labels_hash(&self, exposition: &Exposition, sample: &RawSample, leave_out: Option<&str>) -> u64 {
        labels_hash(&self.state, exposition, sample, leave_out)
    }
}

fn sample_hash(state: &FixedState, exposition: &Exposition, sample: &RawSample) -> u64 {
    let mut hasher = state.build_hasher();
    write(&mut hasher, exposition.text, sample.name);
    hasher.write_u64(sample.timestamp.to_bits());
    hasher.finish().wrapping_add(labels_hash(state, exposition, sample, None))
}

fn labels_hash(state: &FixedState, exposition: &Exposition, sample: &RawSample, leave_out: Option<&str>) -> u64 {
    let (text, first) = (exposition.text, sample.first_label as usize);
    let mut sum = 0_u64;
    for label in &exposition.labels[first..first + sample.label_count as usize] {
        let left_out = leave_out.is_some_and(|name| label.name.text(text) == name);
        if label.value.bytes(text).is_empty() || left_out {
            continue;
        }
        let mut hasher = state.build_hasher();
        write(&mut hasher, text, label.name);
        write(&mut hasher, text, label.value);
        sum = sum.wrapping_add(hasher.finish());
    }
    sum
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
