//! What an exposition holds by name, kept when its text is gone.

use std::sync::OnceLock;

use super::{Exposition, Format, Kind};
use crate::symbols::{Symbol, Symbols};

/// The metric names of an exposition: which have samples, which are declared.
///
/// Made in time linear in the number of names, however many samples they have. Each scrape of a window has one and few are asked:
/// the names are only copied, and looked up in an index that the first question makes.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The names with samples and those of the families, one after the other.
    text: String,
    /// Where the name ends, and how many samples it has.
    sampled: Vec<(usize, u32)>,
    /// Where the name of a family ends whose kind is declared.
    families: Vec<(usize, Kind)>,
    format: Option<Format>,
    samples: usize,
    index: OnceLock<Index>,
}

#[derive(Clone, Debug, Default)]
struct Index {
    names: Symbols,
    /// By symbol.
    known: Vec<Known>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    samples: u32,
    declared: bool,
    kind: Option<Kind>,
}

impl Summary {
    /// Sums up an exposition.
    #[must_use]
    pub fn new(exposition: &Exposition<'_>) -> Self {
        let format = Some(exposition.format);
        let mut summary = Self { samples: exposition.samples.len(), format, ..Self::default() };
        for (name, samples) in exposition.names() {
            summary.text.push_str(&name);
            summary.sampled.push((summary.text.len(), samples));
        }
        for (family, kind) in exposition.families.iter().filter_map(|family| Some((family, family.kind?))) {
            summary.text.push_str(&family.name);
            summary.families.push((summary.text.len(), kind));
        }
        summary
    }

    /// Whether the exposition has neither samples nor declared families.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sampled.is_empty() && self.families.is_empty()
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| {
            let mut index = Index::default();
            let mut start = 0;
            for (end, samples) in &self.sampled {
                index.enter(&self.text[start..*end], |known| known.samples = *samples);
                start = *end;
            }
            for (end, kind) in &self.families {
                let family = &self.text[start..*end];
                index.enter(family, |known| (known.declared, known.kind) = (true, Some(*kind)));
                start = *end;
                let format = self.format.unwrap_or(Format::Prometheus);
                let declared: Vec<String> =
                    kind.declares(family, format, |name| index.known(name).samples > 0).collect();
                for name in declared {
                    index.enter(&name, |known| known.declared = true);
                }
            }
            index
        })
    }

    fn known(&self, name: &str) -> Known {
        self.index().known(name)
    }

    /// Whether a `# TYPE` line declares a family or a metric of this name.
    #[must_use]
    pub fn declares(&self, name: &str) -> bool {
        self.known(name).declared
    }

    /// What a `# TYPE` line says that the family of this name measures.
    #[must_use]
    pub fn kind_of(&self, family: &str) -> Option<Kind> {
        self.known(family).kind
    }

    /// How many samples a metric has.
    #[must_use]
    pub fn samples_of(&self, name: &str) -> usize {
        self.known(name).samples as usize
    }

    /// How many samples there are.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// How many metric names have samples.
    #[must_use]
    pub fn names(&self) -> usize {
        self.sampled.len()
    }

    /// Other names that somebody may have meant, best first: of metrics with samples, and of what is declared.
    #[must_use]
    pub fn similar(&self, name: &str) -> Vec<&str> {
        let index = self.index();
        let known = (0..).zip(&index.known).filter(|(_, known)| known.samples > 0 || known.declared);
        crate::similar(name, known.map(|(symbol, _)| index.names.get(Symbol(symbol))))
    }
}

impl Index {
    fn enter(&mut self, name: &str, change: impl FnOnce(&mut Known)) {
        // Names are shorter than the text that they are of, so that there is always room.
        let Some(symbol) = self.names.intern(name) else { return };
        self.known.resize(self.names.len() as usize, Known::default());
        change(&mut self.known[symbol.0 as usize]);
    }

    fn known(&self, name: &str) -> Known {
        let symbol = self.names.find(name);
        symbol.and_then(|symbol| self.known.get(symbol.0 as usize).copied()).unwrap_or_default()
    }
}
