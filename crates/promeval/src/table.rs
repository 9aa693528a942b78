//! Finds things by a hash that was made elsewhere: things that are kept in a list, by their index.

use hashbrown::HashTable;

/// Indices by hash.
///
/// An entry holds half of its hash: growing the table reads nothing but the table. While it hashed everything anew, that took
/// a quarter of the time in which 300,000 series are stored.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table(HashTable<(u32, u32)>);

impl Table {
    /// The index of an entry with this hash that is the one looked for.
    pub(crate) fn find(&self, hash: u64, is_wanted: impl Fn(usize) -> bool) -> Option<u32> {
        let half = half(hash);
        let found = self.0.find(whole(half), |(other, index)| *other == half && is_wanted(*index as usize))?;
        Some(found.1)
    }

    /// Adds an entry that is not there yet.
    pub(crate) fn insert(&mut self, hash: u64, index: u32) {
        let half = half(hash);
        self.0.insert_unique(whole(half), (half, index), |(half, _)| whole(*half));
    }
}

fn half(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// 64 bits of what is left of a hash: the table uses the upper and the lower ones.
fn whole(half: u32) -> u64 {
    u64::from(half).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_hash_and_by_what_they_are() {
        let mut table = Table::default();
        for index in 0..1000_u32 {
            // Some hashes are the same.
            table.insert(u64::from(index / 2) << 32, index);
        }
        for wanted in [0, 1, 998, 999] {
            assert_eq!(table.find(u64::from(wanted / 2) << 32, |index| index == wanted as usize), Some(wanted));
        }
        assert_eq!(table.find(0, |index| index == 2), None);
    }
}
