//! The label names and values that an evaluation meets: those of the storage, and those that it makes.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::label_set::LabelSet;
use crate::labels::{Labels, METADATA};
use crate::symbols::{Pair, Symbol, Symbols};

/// Symbols of the storage, and behind them those of texts that only the evaluation has.
///
/// Within an evaluation all labels are symbols, so that comparing, grouping and hashing them is comparing numbers: `sum` over
/// 300,000 series took 370 ms and 170 MB while each of them had its texts cloned.
pub(super) struct Texts<'s> {
    stored: &'s Symbols,
    own: Symbols,
    /// The labels that say what a metric is.
    pub(super) metadata: [Symbol; METADATA.len()],
    /// Whether there was no room for a text, so that what was evaluated is not right.
    pub(super) full: bool,
    /// Texts as label sets share them.
    shared: HashMap<Symbol, Arc<str>, RandomState>,
}

impl<'s> Texts<'s> {
    pub(super) fn new(stored: &'s Symbols) -> Self {
        let shared = HashMap::with_hasher(RandomState::default());
        let mut texts =
            Self { stored, own: Symbols::default(), metadata: [Symbol::METRIC_NAME; 3], full: false, shared };
        texts.metadata = METADATA.map(|name| texts.symbol(name));
        texts
    }

    pub(super) fn get(&self, symbol: Symbol) -> &str {
        let stored = self.stored.len();
        if symbol.0 < stored { self.stored.get(symbol) } else { self.own.get(Symbol(symbol.0 - stored)) }
    }

    /// The symbol of a text, made where there is none.
    pub(super) fn symbol(&mut self, text: &str) -> Symbol {
        if let Some(known) = self.stored.find(text) {
            return known;
        }
        let own = self.own.intern(text).map(|own| Symbol(own.0.saturating_add(self.stored.len())));
        self.full |= own.is_none();
        own.unwrap_or(Symbol::EMPTY)
    }

    pub(super) fn symbols<'t>(&mut self, texts: impl IntoIterator<Item = &'t String>) -> Vec<Symbol> {
        texts.into_iter().map(|text| self.symbol(text)).collect()
    }

    /// Sets a label; an empty value removes it.
    pub(super) fn set(&self, labels: &mut LabelSet<'s>, name: Symbol, value: Symbol) {
        labels.set(name, value, |a, b| self.get(a).cmp(self.get(b)));
    }

    /// The order of labels as they are shown: by the texts.
    pub(super) fn compare(&self, a: &LabelSet, b: &LabelSet) -> Ordering {
        let text = |pair: &Pair| (self.get(pair.0), self.get(pair.1));
        let differing = a.pairs().iter().zip(b.pairs()).find(|(a, b)| a != b);
        differing.map_or_else(|| a.pairs().len().cmp(&b.pairs().len()), |(a, b)| text(a).cmp(&text(b)))
    }

    /// The labels on their own.
    pub(super) fn labels(&mut self, set: &LabelSet) -> Labels {
        let pairs = set.pairs().iter().map(|(name, value)| (self.shared(*name), self.shared(*value)));
        Labels::of_sorted(pairs.collect())
    }

    fn shared(&mut self, symbol: Symbol) -> Arc<str> {
        if let Some(shared) = self.shared.get(&symbol) {
            return shared.clone();
        }
        let shared: Arc<str> = self.get(symbol).into();
        self.shared.insert(symbol, shared.clone());
        shared
    }

    pub(super) fn label_set(&mut self, labels: &Labels) -> LabelSet<'s> {
        LabelSet::made(labels.iter().map(|(name, value)| (self.symbol(name), self.symbol(value))).collect())
    }
}
