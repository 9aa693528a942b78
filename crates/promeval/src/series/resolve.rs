//! The labels of a sample, as a server stores them: with those of its target, and with bounds and quantiles written one way.

use std::borrow::Cow;
use std::mem;

use super::kept::Wanted;
use super::{Full, Storage};
use crate::exposition::{Exposition, Kind, Kinds, Sample};
use crate::labels::{LabelValues, METRIC_NAME};
use crate::number::open_metrics_float;
use crate::symbols::Pair;

/// Finds the series of samples, one after the other.
///
/// A line often begins as the one before it does, and has the same labels with other values: then only what differs is read, and
/// only new values are looked up. That is half of the time in which each line on its own would be stored.
pub(super) struct Resolver<'e> {
    target: &'e [(String, String)],
    honor_labels: bool,
    kinds: Kinds<'e>,
    labels: Vec<Label<'e>>,
    /// The sample before, as it was written; empty where the next one cannot follow it.
    key: &'e [u8],
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
    /// Where the value ends in the key.
    end: usize,
    /// Where the value is among the labels that are stored.
    slot: usize,
}

impl<'e> Resolver<'e> {
    pub(super) fn new(exposition: &'e Exposition<'_>, target: &'e [(String, String)], honor_labels: bool) -> Self {
        Self {
            target,
            honor_labels,
            kinds: exposition.kinds(),
            labels: Vec::new(),
            key: &[],
            normalised: Normalised::Nothing,
            own: Vec::new(),
            pairs: Vec::new(),
            order: Vec::new(),
            sorted: Vec::new(),
        }
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
        storage.series_of(&self.sorted).map(Some)
    }

    /// Finds the labels from those of the sample before; false where they are not of the same names.
    fn follow(&mut self, storage: &mut Storage, sample: Sample<'e>) -> Result<bool, Full> {
        let before = mem::take(&mut self.key);
        let key = sample.key();
        let shared = crate::exposition::common_prefix(before, key);
        let kept = self.own.iter().take_while(|label| label.end < shared).count();
        // Without a label in common it may be another metric.
        let Some(last) = kept.checked_sub(1) else { return Ok(false) };
        let mut rest = sample.written_after(self.own[last].end + 1);
        for own in &mut self.own[kept..] {
            let Some(label) = rest.next() else { return Ok(false) };
            if label.raw_name != own.name || label.raw_value.is_empty() {
                return Ok(false);
            }
            own.end = label.end;
            if label.raw_value != own.value {
                own.value = label.raw_value;
                let mut value = label.value();
                if self.normalised.is(own.name) {
                    value = open_metrics_float(value);
                }
                self.pairs[own.slot].1 = storage.intern(&value)?;
            }
        }
        if rest.next().is_some() {
            return Ok(false);
        }
        self.key = key;
        Ok(true)
    }

    /// Reads the labels, without those that have an empty value: they are the same as none.
    fn read(&mut self, sample: Sample<'e>) {
        self.labels.clear();
        self.own.clear();
        self.labels.push((Cow::Borrowed(METRIC_NAME), sample.name()));
        self.key = sample.key();
        for label in sample.written() {
            let (name, mut value) = (label.name(), label.value());
            if value.is_empty() {
                self.key = &[];
                continue;
            }
            if self.normalised.is(name.as_bytes()) {
                value = open_metrics_float(value);
            }
            let slot = self.labels.len();
            self.own.push(Own { name: label.raw_name, value: label.raw_value, end: label.end, slot });
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
        if self.key.first() == Some(&b'{') {
            // The metric's name may be anywhere among the labels.
            self.key = &[];
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
