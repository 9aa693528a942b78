//! Texts that are kept once and named by a number: label names and values repeat from series to series.

use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::RandomState;

use crate::labels::METRIC_NAME;
use crate::table::Table;

/// A text of a [`Symbols`] table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Symbol(pub(crate) u32);

/// A label: its name and its value.
pub(crate) type Pair = (Symbol, Symbol);

impl Symbol {
    /// The empty text.
    pub(crate) const EMPTY: Self = Self(0);
    /// `__name__`, the label that holds a metric's name.
    pub(crate) const METRIC_NAME: Self = Self(1);
}

/// Texts, each once.
#[derive(Clone, Debug)]
pub(crate) struct Symbols {
    /// All texts, one after the other: an allocation for each would take more memory than most of them.
    text: String,
    /// Where each text ends; it starts where the one before ends.
    ends: Vec<u32>,
    table: Table,
    /// Seeded anew in each process, so that nobody can choose texts that collide.
    state: RandomState,
}

impl Default for Symbols {
    fn default() -> Self {
        let (text, ends) = (String::new(), Vec::new());
        let mut symbols = Self { text, ends, table: Table::default(), state: RandomState::default() };
        let known = ["", METRIC_NAME].map(|text| symbols.intern(text));
        debug_assert_eq!(known, [Some(Symbol::EMPTY), Some(Symbol::METRIC_NAME)]);
        symbols
    }
}

impl Symbols {
    /// How many there are: all symbols are below.
    pub(crate) fn len(&self) -> u32 {
        // They are counted in 32 bits.
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn get(&self, symbol: Symbol) -> &str {
        let index = symbol.0 as usize;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.text[start..self.ends[index] as usize]
    }

    pub(crate) fn find(&self, text: &str) -> Option<Symbol> {
        self.known(self.hash(text), text)
    }

    /// The symbol of a text, made if it is new; nothing where 4 GiB of text are full.
    pub(crate) fn intern(&mut self, text: &str) -> Option<Symbol> {
        let hash = self.hash(text);
        if let Some(known) = self.known(hash, text) {
            return Some(known);
        }
        let end = u32::try_from(self.text.len() + text.len()).ok()?;
        let index = u32::try_from(self.ends.len()).ok()?;
        self.text.push_str(text);
        self.ends.push(end);
        self.table.insert(hash, index);
        Some(Symbol(index))
    }

    fn known(&self, hash: u64, text: &str) -> Option<Symbol> {
        let is_wanted = |index: usize| {
            let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
            // As bytes: cutting a string checks where its characters begin.
            &self.text.as_bytes()[start..self.ends[index] as usize] == text.as_bytes()
        };
        self.table.find(hash, is_wanted).map(Symbol)
    }

    fn hash(&self, text: &str) -> u64 {
        let mut hasher = self.state.build_hasher();
        hasher.write(text.as_bytes());
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_one_symbol() {
        let mut symbols = Symbols::default();
        let [a, empty, again] = ["a", "", "a"].map(|text| symbols.intern(text).unwrap());
        assert_eq!((a, symbols.get(a), symbols.get(empty)), (again, "a", ""));
        for index in 0..1000 {
            symbols.intern(&index.to_string()).unwrap();
        }
        assert_eq!(symbols.find("999").map(|found| symbols.get(found)), Some("999"));
        assert_eq!((symbols.find("b"), symbols.find(METRIC_NAME)), (None, Some(Symbol::METRIC_NAME)));
    }
}
