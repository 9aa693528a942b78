//! Stored series as they are read.

use std::fmt;

use super::Point;
use crate::labels::{self, LabelValues, Labels};
use crate::symbols::{Pair, Symbol, Symbols};

/// A series of a storage.
#[derive(Clone, Copy, Debug)]
pub struct StoredSeries<'s> {
    /// What identifies the series, with the metric's name as `__name__`.
    pub labels: StoredLabels<'s>,
    /// The points, oldest first, each time once.
    pub points: &'s [Point],
}

/// The labels of a stored series: sorted by name, each name once, no empty values.
#[derive(Clone, Copy)]
pub struct StoredLabels<'s> {
    symbols: &'s Symbols,
    pairs: &'s [Pair],
}

impl<'s> StoredLabels<'s> {
    pub(super) fn new(symbols: &'s Symbols, pairs: &'s [Pair]) -> Self {
        Self { symbols, pairs }
    }

    /// The value of a label; empty where the label is missing.
    #[must_use]
    pub fn get(&self, name: &str) -> &'s str {
        self.iter().find(|(other, _)| *other == name).map_or("", |(_, value)| value)
    }

    /// The metric's name; empty where it has none.
    #[must_use]
    pub fn metric_name(&self) -> &'s str {
        let pair = self.pairs.iter().find(|(name, _)| *name == Symbol::METRIC_NAME);
        pair.map_or("", |(_, value)| self.symbols.get(*value))
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'s str, &'s str)> + use<'s> {
        let symbols = self.symbols;
        self.pairs.iter().map(move |(name, value)| (symbols.get(*name), symbols.get(*value)))
    }

    /// The labels on their own.
    #[must_use]
    pub fn to_labels(&self) -> Labels {
        Labels::new(self.iter())
    }
}

impl LabelValues for StoredLabels<'_> {
    fn value_of(&self, name: &str) -> &str {
        self.get(name)
    }
}

impl fmt::Debug for StoredLabels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As PromQL writes a series: `name{label="value"}`.
impl fmt::Display for StoredLabels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        labels::write_series(f, self.metric_name(), self.iter())
    }
}
