//! The labels of a sample, as a server stores them: with those of its target, and with bounds and quantiles written one way.

use std::borrow::Cow;
use std::mem;

use super::{Full, Storage};
use crate::exposition::{Exposition, Kind, Kinds, Sample};
use crate::labels::{LabelValues, METRIC_NAME};
use crate::number::open_metrics_float;
use crate::symbols::{Pair, Symbol};

/// Finds the series of samples, one after the other.
///
/// Neighbouring samples have most names, and many values, in common: each text is compared with that of the sample before,
/// and looked up only where it differs. That is half of the time that a lookup of each would take.
pub(super) struct Resolver<'e> {
    target: &'e [(String, String)],
    honor_labels: bool,
    kinds: Kinds<'e>,
    labels: Vec<Label<'e>>,
    /// The labels of the sample before, and their symbols.
    before: Vec<Label<'e>>,
    symbols: Vec<Pair>,
    /// Where in `labels` the first, the second, … label by name is.
    order: Vec<usize>,
    sorted: Vec<Pair>,
}

type Label<'e> = (Cow<'e, str>, Cow<'e, str>);

impl<'e> Resolver<'e> {
    pub(super) fn new(exposition: &'e Exposition<'_>, target: &'e [(String, String)], honor_labels: bool) -> Self {
        Self {
            target,
            honor_labels,
            kinds: exposition.kinds(),
            labels: Vec::new(),
            before: Vec::new(),
            symbols: Vec::new(),
            order: Vec::new(),
            sorted: Vec::new(),
        }
    }

    /// The series of a sample; nothing where the storage does not keep it.
    pub(super) fn series(&mut self, storage: &mut Storage, sample: Sample<'e>) -> Result<Option<u32>, Full> {
        self.read(sample);
        if !storage.keeps(&Unsorted(&self.labels)) {
            return Ok(None);
        }
        let mut same_names = self.labels.len() == self.before.len();
        self.symbols.resize(self.labels.len(), (Symbol::EMPTY, Symbol::EMPTY));
        for (index, (name, value)) in self.labels.iter().enumerate() {
            let before = self.before.get(index);
            if before.is_none_or(|(other, _)| other != name) {
                same_names = false;
                self.symbols[index].0 = storage.intern(name)?;
            }
            if before.is_none_or(|(_, other)| other != value) {
                self.symbols[index].1 = storage.intern(value)?;
            }
        }
        if !same_names {
            self.order.clear();
            self.order.extend(0..self.labels.len());
            self.order.sort_by(|a, b| self.labels[*a].0.cmp(&self.labels[*b].0));
        }
        mem::swap(&mut self.labels, &mut self.before);
        self.sorted.clear();
        self.sorted.extend(self.order.iter().map(|index| self.symbols[*index]));
        storage.series_of(&self.sorted).map(Some)
    }

    /// Reads the labels, without those that have an empty value: they are the same as none.
    fn read(&mut self, sample: Sample<'e>) {
        let normalised = match self.kinds.at(&sample) {
            Some(Kind::Histogram) => "le",
            Some(Kind::Summary) => "quantile",
            _ => "",
        };
        self.labels.clear();
        self.labels.push((Cow::Borrowed(METRIC_NAME), sample.name()));
        for (name, value) in sample.labels().filter(|(_, value)| !value.is_empty()) {
            let value = if name == normalised { open_metrics_float(value) } else { value };
            self.labels.push((name, value));
        }
        let own = self.labels.len();
        for (name, value) in self.target {
            match self.labels[..own].iter_mut().find(|(other, _)| other == name) {
                Some(_) if self.honor_labels => {}
                Some((_, conflicting)) => {
                    let conflicting = mem::replace(conflicting, Cow::Borrowed(value));
                    self.export(name, conflicting);
                }
                None => self.labels.push((Cow::Borrowed(name), Cow::Borrowed(value))),
            }
        }
    }

    /// Keeps a label of the sample's own whose name the target has as well.
    fn export(&mut self, name: &str, value: Cow<'e, str>) {
        let mut exported = format!("exported_{name}");
        let taken = |exported: &str| {
            self.labels.iter().any(|(other, _)| other == exported)
                || self.target.iter().any(|(other, _)| other == exported)
        };
        while taken(&exported) {
            exported.insert_str(0, "exported_");
        }
        self.labels.push((Cow::Owned(exported), value));
    }
}

/// Labels in the order in which they were read.
struct Unsorted<'l>(&'l [Label<'l>]);

impl LabelValues for Unsorted<'_> {
    fn value_of(&self, name: &str) -> &str {
        self.0.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }
}
