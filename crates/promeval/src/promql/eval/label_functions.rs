//! `label_replace` and `label_join`.

use super::{Evaluation, Item};
use crate::Pattern;

impl<'s> Evaluation<'s> {
    /// Sets `target` to the template, expanded by what `pattern` caught in `source`, where it matches.
    pub(super) fn replace(
        &mut self,
        mut items: Vec<Item<'s>>,
        target: &str,
        template: &str,
        source: &str,
        pattern: &Pattern,
    ) -> Vec<Item<'s>> {
        let [target, source] = [target, source].map(|name| self.texts.symbol(name));
        for item in &mut items {
            if let Some(value) = pattern.expand(self.texts.get(item.labels.value_of(source)), template) {
                let value = self.texts.symbol(&value);
                self.texts.set(&mut item.labels, target, value);
            }
        }
        items
    }

    /// Sets `target` to the values of the sources, joined.
    pub(super) fn join(
        &mut self,
        mut items: Vec<Item<'s>>,
        target: &str,
        separator: &str,
        sources: &[&str],
    ) -> Vec<Item<'s>> {
        let target = self.texts.symbol(target);
        let sources: Vec<_> = sources.iter().map(|source| self.texts.symbol(source)).collect();
        for item in &mut items {
            let values: Vec<&str> =
                sources.iter().map(|source| self.texts.get(item.labels.value_of(*source))).collect();
            let value = self.texts.symbol(&values.join(separator));
            self.texts.set(&mut item.labels, target, value);
        }
        items
    }
}
