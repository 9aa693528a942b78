//! The labels of a sample, as a server stores them: with those of its target, and with bounds and quantiles written one way.

use std::borrow::Cow;
use std::mem;

use super::kept::Wanted;
use super::{Full, Storage};
use crate::exposition::{Exposition, Kind, Kinds, Sample, value_before_quote};
use crate::labels::{LabelValues, METRIC_NAME};
use crate::number::open_metrics_float;
use crate::symbols::Pair;

/// Finds the series of samples, one after the other.
///
/// A line mostly has the labels of the one before it, with some other values: only those are read and looked up. That is half of
/// the time in which each line on its own would be stored.
pub(super) struct Resolver<'e> {
    target: &'e [(String, String)],
    honor_labels: bool,
    /// Whether no two samples are of one series, but for bounds that are written in two ways.
    all_new: bool,
    kinds: Kinds<'e>,
    labels: Vec<Label<'e>>,
    /// The metric's name of the sample before, with the brace behind it; empty where the next one cannot follow it.
    head: &'e str,
    /// The label whose value is written one way, by what the sample is of.
    normalised: Normalised,
    /// The labels of the sample before, in the order of its line.
    own: Vec<Own<'e>>,
    /// Its labels as they are stored, in any order.
    pairs: Vec<Pair>,
    /// Where in `pairs` the first, the second, … label by name is.
    order: Vec<usize>,
    sorted: Vec<Pair>,
}

/// An enum, because comparing two empty strings that point nowhere traps in the processor's vector unit: it took a fifth of the
/// time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Normalised {
    Nothing,
    Le,
    Quantile,
}

impl Normalised {
    fn is(self, name: &[u8]) -> bool {
        match self {
            Self::Nothing => false,
            Self::Le => name == b"le",
            Self::Quantile => name == b"quantile",
        }
    }
}

type Label<'e> = (Cow<'e, str>, Cow<'e, str>);

/// A label of a line.
struct Own<'e> {
    name: &'e [u8],
    value: &'e [u8],
    /// Where the value is among the labels that are stored.
    slot: usize,
}

impl<'e> Own<'e> {
    /// The text behind the opening quote of the value, where a label of this name is written plainly.
    fn value_in(&self, label: &'e str) -> Option<&'e str> {
        let length = label.as_bytes().strip_prefix(self.name)?.strip_prefix(b"=\"")?.len();
        Some(&label[label.len() - length..])
    }
}

impl<'e> Resolver<'e> {
    pub(super) fn new(exposition: &'e Exposition<'_>, target: &'e [(String, String)], honor_labels: bool) -> Self {
        Self {
            target,
            honor_labels,
            all_new: false,
            kinds: exposition.kinds(),
            labels: Vec::new(),
            head: "",
            normalised: Normalised::Nothing,
            own: Vec::new(),
            pairs: Vec::new(),
            order: Vec::new(),
            sorted: Vec::new(),
        }
    }

    /// Takes each sample to be of a series that the storage does not have yet.
    pub(super) fn all_new(self, all_new: bool) -> Self {
        Self { all_new, ..self }
    }

    /// The series of a sample of a name that is wanted; nothing where the storage does not keep it.
    pub(super) fn series(
        &mut self,
        storage: &mut Storage,
        sample: Sample<'e>,
        wanted: &Wanted,
    ) -> Result<Option<u32>, Full> {
        let normalised = match self.kinds.at(&sample) {
            Some(Kind::Histogram) => Normalised::Le,
            Some(Kind::Summary) => Normalised::Quantile,
            _ => Normalised::Nothing,
        };
        let follows = *wanted == Wanted::All && normalised == self.normalised;
        if !follows || !self.follow(storage, sample)? {
            self.normalised = normalised;
            self.read(sample);
            if !storage.keeps(wanted, &Unsorted(&self.labels)) {
                return Ok(None);
            }
            self.pairs.clear();
            for (name, value) in &self.labels {
                self.pairs.push((storage.intern(name)?, storage.intern(value)?));
            }
            self.order.clear();
            self.order.extend(0..self.labels.len());
            self.order.sort_by(|a, b| self.labels[*a].0.cmp(&self.labels[*b].0));
        }
        self.sorted.clear();
        self.sorted.extend(self.order.iter().map(|index| self.pairs[*index]));
        let is_new = self.all_new && self.normalised == Normalised::Nothing;
        let series = if is_new { storage.new_series(&self.sorted) } else { storage.series_of(&self.sorted) };
        series.map(Some)
    }

    /// Finds the labels from those of the sample before; false where the line is not written as the one before it.
    fn follow(&mut self, storage: &mut Storage, sample: Sample<'e>) -> Result<bool, Full> {
        let head = mem::take(&mut self.head);
        let Some(mut rest) = sample.key().strip_prefix(head).filter(|_| !head.is_empty()) else { return Ok(false) };
        for (index, own) in self.own.iter_mut().enumerate() {
            let written = if index == 0 { Some(rest) } else { rest.strip_prefix(',') };
            let Some(value) = written.and_then(|label| own.value_in(label)) else { return Ok(false) };
            let same = value.as_bytes().strip_prefix(own.value);
            if same.is_some_and(|after| after.first() == Some(&b'"')) {
                rest = &value[own.value.len() + 1..];
                continue;
            }
            let (mut text, raw) = value_before_quote(value);
            if raw.is_empty() {
                return Ok(false);
            }
            own.value = raw;
            rest = &value[raw.len() + 1..];
            if self.normalised.is(own.name) {
                text = open_metrics_float(text);
            }
            self.pairs[own.slot].1 = storage.intern(&text)?;
        }
        self.head = head;
        Ok(rest == "}")
    }

    /// Reads the labels, without those that have an empty value: they are the same as none.
    fn read(&mut self, sample: Sample<'e>) {
        self.labels.clear();
        self.own.clear();
        self.labels.push((Cow::Borrowed(METRIC_NAME), sample.name()));
        let key = sample.key();
        self.head = key.find('{').filter(|brace| *brace > 0).map_or("", |brace| &key[..=brace]);
        for label in sample.written() {
            let (name, mut value) = (label.name(), label.value());
            if value.is_empty() {
                // The next line must not be taken to have the same labels.
                self.head = "";
                continue;
            }
            if self.normalised.is(name.as_bytes()) {
                value = open_metrics_float(value);
            }
            let slot = self.labels.len();
            self.own.push(Own { name: label.raw_name(), value: label.raw_value(), slot });
            self.labels.push((name, value));
        }
        let own = self.labels.len();
        for (name, value) in self.target {
            match self.labels[..own].iter().position(|(other, _)| other == name) {
                Some(_) if self.honor_labels => {}
                Some(at) => {
                    let conflicting = mem::replace(&mut self.labels[at].1, Cow::Borrowed(value));
                    self.export(name, conflicting);
                    if let Some(own) = self.own.iter_mut().find(|own| own.slot == at) {
                        own.slot = self.labels.len() - 1;
                    }
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
