//! What an exposition holds by name, kept when its text is gone.

use std::borrow::Cow;

use super::Exposition;
use crate::symbols::{Symbol, Symbols};

/// The metric names of an exposition: which have samples, which are declared.
///
/// Made in time linear in the number of names, however many samples they have.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    names: Symbols,
    /// By symbol.
    known: Vec<Known>,
    samples: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    samples: u32,
    declared: bool,
}

impl Summary {
    /// Sums up an exposition.
    #[must_use]
    pub fn new(exposition: &Exposition<'_>) -> Self {
        let mut summary = Self { samples: exposition.samples.len(), ..Self::default() };
        for (name, samples) in exposition.names() {
            summary.enter(&name, |known| known.samples = samples);
        }
        let families = exposition.families.iter().filter(|family| family.kind.is_some());
        let families = families.map(|family| Cow::Borrowed(&*family.name));
        for name in families.chain(exposition.declared_names().map(Cow::Owned)) {
            summary.enter(&name, |known| known.declared = true);
        }
        summary
    }

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

    /// Whether a `# TYPE` line declares a family or a metric of this name.
    #[must_use]
    pub fn declares(&self, name: &str) -> bool {
        self.known(name).declared
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
        self.known.iter().filter(|known| known.samples > 0).count()
    }

    /// Other names that somebody may have meant, best first: of metrics with samples, and of what is declared.
    #[must_use]
    pub fn similar(&self, name: &str) -> Vec<&str> {
        let known = (0..).zip(&self.known).filter(|(_, known)| known.samples > 0 || known.declared);
        crate::similar(name, known.map(|(index, _)| self.names.get(Symbol(index))))
    }
}
