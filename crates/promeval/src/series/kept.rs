//! Which samples a storage keeps: decided by the name for a whole run of lines, and by the labels only where a selector asks.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::Storage;
use crate::exposition::Sample;
use crate::labels::{LabelValues, METRIC_NAME};
use crate::promql::ast::Selector;

/// What is kept of a metric name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Wanted {
    #[default]
    Nothing,
    All,
    /// What one of the selectors with these indices matches.
    Matched(Vec<usize>),
}

impl Storage {
    /// What is kept of a metric name.
    pub(super) fn wanted(&self, name: &str) -> Wanted {
        let Some(kept) = &self.kept else { return Wanted::All };
        let indices: Vec<usize> = (0..kept.len()).filter(|index| kept[*index].wants(name)).collect();
        let by_name_alone = |selector: &Selector| selector.matchers.iter().all(|matcher| matcher.label == METRIC_NAME);
        if indices.is_empty() {
            Wanted::Nothing
        } else if indices.iter().any(|index| by_name_alone(&kept[*index])) {
            Wanted::All
        } else {
            Wanted::Matched(indices)
        }
    }

    /// Whether a series of a name is kept.
    pub(super) fn keeps(&self, wanted: &Wanted, labels: &impl LabelValues) -> bool {
        match (wanted, &self.kept) {
            (Wanted::Nothing, _) => false,
            (Wanted::Matched(indices), Some(kept)) => {
                indices.iter().any(|index| kept.get(*index).is_some_and(|selector| selector.matches(labels)))
            }
            (Wanted::All, _) | (Wanted::Matched(_), None) => true,
        }
    }
}

/// What is wanted of the names met so far. Neighbouring samples mostly have one name: it is looked up once for all of them, and
/// held against the selectors once in all.
#[derive(Clone, Debug, Default)]
pub(super) struct WantedNames {
    known: HashMap<Box<[u8]>, Wanted, RandomState>,
}

/// The samples of one name that are read now.
#[derive(Default)]
pub(super) struct Run<'e> {
    name: &'e [u8],
    wanted: Wanted,
}

/// More names than this are forgotten and asked for anew.
const REMEMBERED: usize = 1 << 16;

impl WantedNames {
    /// What is wanted of a sample's name; `find` is asked once a name.
    pub(super) fn of<'r, 'e>(
        &mut self,
        run: &'r mut Run<'e>,
        sample: &Sample<'e>,
        find: impl FnOnce(&str) -> Wanted,
    ) -> &'r Wanted {
        if !sample.is_named(run.name) {
            run.name = sample.raw_name();
            if self.known.len() > REMEMBERED {
                self.known.clear();
            }
            run.wanted = if let Some(known) = self.known.get(run.name) {
                known.clone()
            } else {
                let wanted = find(&sample.name());
                self.known.insert(run.name.into(), wanted.clone());
                wanted
            };
        }
        &run.wanted
    }
}
