//! The lines of the scrapes before, and the series of each: a later scrape mostly has the same lines in the same order.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::RandomState;

use crate::table::Table;

/// Known lines, by the bytes before the value.
///
/// A line that follows the one it followed before is found by one comparison of bytes, without a hash: the second scrape of a
/// target takes a sixth of the time that storing the first one takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache {
    /// The keys of all lines, one after the other.
    keys: Vec<u8>,
    lines: Vec<Line>,
    table: Table,
    state: RandomState,
    /// Counts the scrapes.
    scrape: u32,
    /// The line that probably comes next.
    next: usize,
}

#[derive(Clone, Debug)]
struct Line {
    /// Its key starts where that of the line before ends.
    key_end: u32,
    /// Nothing where the storage does not keep it.
    series: Option<u32>,
    /// The last scrape that had the line.
    seen: u32,
    /// The last scrape in which the line kept its series alive.
    tracked: u32,
}

impl Cache {
    /// Begins another scrape.
    pub(super) fn begin(&mut self) {
        // Lines that were never tracked say 0, which must not be the scrape before this one.
        self.scrape = self.scrape.wrapping_add(1).max(2);
        self.next = 0;
    }

    /// The number of a known line, and its series.
    pub(super) fn find(&mut self, key: &[u8]) -> Option<(usize, Option<u32>)> {
        let index = if self.next < self.lines.len() && self.key(self.next) == key {
            self.next
        } else {
            self.table.find(self.hash(key), |index| self.key(index) == key)? as usize
        };
        self.next = index + 1;
        let line = &mut self.lines[index];
        line.seen = self.scrape;
        Some((index, line.series))
    }

    /// Adds a line that was not found.
    pub(super) fn insert(&mut self, key: &[u8], series: Option<u32>) -> (usize, Option<u32>) {
        let index = self.lines.len();
        self.keys.extend_from_slice(key);
        // The keys of all lines are shorter than the text that they are of, and that is bounded by 2^31; unseen lines go.
        let key_end = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        self.lines.push(Line { key_end, series, seen: self.scrape, tracked: 0 });
        self.enter(index);
        (index, series)
    }

    /// Notes that the line keeps its series alive.
    pub(super) fn track(&mut self, index: usize) {
        self.lines[index].tracked = self.scrape;
    }

    /// The series that the scrape before kept alive and this one does not.
    pub(super) fn gone(&self) -> Vec<u32> {
        let before = self.scrape.wrapping_sub(1);
        let of =
            |scrape: u32| self.lines.iter().filter(move |line| line.tracked == scrape).filter_map(|line| line.series);
        let mut gone: Vec<u32> = of(before).collect();
        if !gone.is_empty() {
            // Other lines may be of the same series: labels in another order, or a bound written otherwise.
            let alive: HashSet<u32> = of(self.scrape).collect();
            gone.retain(|series| !alive.contains(series));
            gone.sort_unstable();
            gone.dedup();
        }
        gone
    }

    /// Forgets the lines that this scrape did not have.
    pub(super) fn forget_unseen(&mut self) {
        if self.lines.iter().all(|line| line.seen == self.scrape) {
            return;
        }
        let old = std::mem::take(self);
        self.scrape = old.scrape;
        for (index, line) in old.lines.iter().enumerate().filter(|(_, line)| line.seen == old.scrape) {
            self.keys.extend_from_slice(old.key(index));
            let key_end = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
            self.lines.push(Line { key_end, ..line.clone() });
            self.enter(self.lines.len() - 1);
        }
    }

    fn enter(&mut self, index: usize) {
        let hash = self.hash(self.key(index));
        self.table.insert(hash, u32::try_from(index).unwrap_or(u32::MAX));
    }

    fn key(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.lines[before].key_end as usize);
        &self.keys[start..self.lines[index].key_end as usize]
    }

    fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.state.build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}
