//! The metric names of an exposition: how many samples each has, and which family declares it.

use std::borrow::Cow;
use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::RandomState;

use super::scan::Span;
use crate::table::Table;

/// What is known of one name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) span: Span,
    /// The family of this very name, if there is one.
    pub(super) family: Option<u32>,
    /// The first sample of the name.
    pub(super) first: u32,
    pub(super) samples: u32,
}

/// Names in the order in which they first appear.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) list: Vec<Name>,
    table: Table,
    state: RandomState,
}

/// The largest number of different metric names in one exposition. Each takes memory of its own.
pub(super) const MAX_NAMES: usize = 1 << 21;

impl Names {
    pub(super) fn find(&self, text: &str, name: &str) -> Option<usize> {
        self.known(self.hash(name), text, name)
    }

    /// The index of a name, made if it is new.
    pub(super) fn enter(&mut self, text: &str, span: Span) -> usize {
        let name = span.text(text);
        let hash = self.hash(&name);
        if let Some(known) = self.known(hash, text, &name) {
            return known;
        }
        let index = self.list.len();
        self.list.push(Name { span, family: None, first: 0, samples: 0 });
        // A text has fewer names than bytes, and those are bounded by 2^31.
        self.table.insert(hash, u32::try_from(index).unwrap_or(u32::MAX));
        index
    }

    fn known(&self, hash: u64, text: &str, name: &str) -> Option<usize> {
        let found = self.table.find(hash, |index| self.list[index].span.is(text, name))?;
        Some(found as usize)
    }

    fn hash(&self, name: &str) -> u64 {
        let mut hasher = self.state.build_hasher();
        hasher.write(name.as_bytes());
        hasher.finish()
    }

    pub(super) fn sampled<'e>(&'e self, text: &'e str) -> impl Iterator<Item = (Cow<'e, str>, u32)> {
        let sampled = self.list.iter().filter(|name| name.samples > 0);
        sampled.map(|name| (name.span.text(text), name.samples))
    }
}
