//! The labels of an element while it is evaluated.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::texts::Texts;
use crate::symbols::{Pair, Symbol};

/// Labels sorted by the texts of their names, each name once, no empty values.
///
/// They are borrowed from the storage as long as they are a run of what is there: the metric's name comes first in nearly every
/// series, so that dropping it, and grouping by one label, allocates nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct LabelSet<'s>(Cow<'s, [Pair]>);

impl<'s> LabelSet<'s> {
    pub(super) fn stored(pairs: &'s [Pair]) -> Self {
        Self(Cow::Borrowed(pairs))
    }

    /// Of pairs that are sorted.
    pub(super) fn made(pairs: Vec<Pair>) -> Self {
        Self(Cow::Owned(pairs))
    }

    pub(super) fn pairs(&self) -> &[Pair] {
        &self.0
    }

    /// The value of a label; that of the empty text where the label is missing.
    pub(super) fn value_of(&self, name: Symbol) -> Symbol {
        self.0.iter().find(|(other, _)| *other == name).map_or(Symbol::EMPTY, |(_, value)| *value)
    }

    pub(super) fn only(self, names: &[Symbol]) -> Self {
        self.filtered(|name| names.contains(&name))
    }

    pub(super) fn without(self, names: &[Symbol]) -> Self {
        self.filtered(|name| !names.contains(&name))
    }

    pub(super) fn without_metric_name(self, texts: &Texts) -> Self {
        self.without(&texts.metadata)
    }

    fn filtered(self, keep: impl Fn(Symbol) -> bool) -> Self {
        let kept = |pair: &Pair| keep(pair.0);
        let Some(first) = self.0.iter().position(kept) else { return Self::default() };
        let length = self.0[first..].iter().position(|pair| !kept(pair)).unwrap_or(self.0.len() - first);
        let in_one_run = !self.0[first + length..].iter().any(kept);
        match self.0 {
            Cow::Borrowed(pairs) if in_one_run => Self(Cow::Borrowed(&pairs[first..first + length])),
            Cow::Borrowed(pairs) => Self(pairs.iter().copied().filter(kept).collect()),
            Cow::Owned(mut pairs) => {
                pairs.retain(kept);
                Self(Cow::Owned(pairs))
            }
        }
    }

    pub(super) fn set(&mut self, name: Symbol, value: Symbol, order: impl Fn(Symbol, Symbol) -> Ordering) {
        let known = self.0.iter().position(|(other, _)| *other == name);
        if known.is_none() && value == Symbol::EMPTY {
            return;
        }
        let pairs = self.0.to_mut();
        match known {
            Some(at) if value == Symbol::EMPTY => drop(pairs.remove(at)),
            Some(at) => pairs[at].1 = value,
            None => {
                let at = pairs.partition_point(|(other, _)| order(*other, name).is_lt());
                pairs.insert(at, (name, value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::symbols::Symbols;

    #[test]
    fn labels_are_kept_dropped_and_set() {
        let stored = Symbols::default();
        let mut texts = Texts::new(&stored);
        let [a, b, c, x] = ["a", "b", "c", "x"].map(|text| texts.symbol(text));
        let pairs = [(Symbol::METRIC_NAME, x), (a, x), (b, x), (c, x)];
        let shown = |labels: &LabelSet| labels.pairs().iter().map(|(name, _)| texts.get(*name)).collect::<String>();
        for labels in [LabelSet::stored(&pairs), LabelSet::made(pairs.to_vec())] {
            assert_eq!(shown(&labels.clone().only(&[b])), "b");
            assert_eq!(shown(&labels.clone().only(&[c, a])), "ac");
            assert_eq!(shown(&labels.clone().only(&[x])), "");
            assert_eq!(shown(&labels.clone().without(&[b])), "__name__ac");
            assert_eq!(shown(&labels.clone().without_metric_name(&texts)), "abc");
            let mut labels = labels.without(&[b]);
            texts.set(&mut labels, b, a);
            assert_eq!((shown(&labels), labels.value_of(b)), ("__name__abc".into(), a));
            texts.set(&mut labels, c, Symbol::EMPTY);
            texts.set(&mut labels, x, Symbol::EMPTY);
            assert_eq!((shown(&labels), labels.value_of(c)), ("__name__ab".into(), Symbol::EMPTY));
        }
    }
}
