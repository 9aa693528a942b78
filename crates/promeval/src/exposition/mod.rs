//! Exposition text to samples: a strict, zero-copy parser of the Prometheus text format 0.0.4 and OpenMetrics 1.0.
//!
//! Strict means that whatever a format forbids is an error that names line, column and cause; nothing is skipped in
//! silence. Zero-copy means that an [`Exposition`] holds positions in the text it was parsed from.
//!
//! Formats: <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

mod duplicates;
mod error;
mod names;
mod openmetrics;
mod openmetrics_rules;
mod print;
mod prometheus;
mod scan;
mod summary;
mod warning;
mod written;

use std::borrow::Cow;
use std::collections::HashMap;

pub use error::ParseError;
use names::Names;
use scan::Span;
pub use summary::Summary;
use warning::Warnings;
pub use warning::{Warning, WarningKind};
use written::{Written, metric_name};

/// Which text format a body is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The Prometheus text format, 0.0.4 or 1.0.0 (which adds quoted names).
    Prometheus,
    /// `OpenMetrics` 1.0.
    OpenMetrics,
}

impl Format {
    /// The format of a saved exposition: `OpenMetrics` where the last line is `# EOF`.
    #[must_use]
    pub fn of_file(text: &[u8]) -> Self {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let last = text.rsplit(|byte| *byte == b'\n').next().unwrap_or(text);
        if last == b"# EOF" { Self::OpenMetrics } else { Self::Prometheus }
    }
}

/// What a family measures, as its `# TYPE` line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value that only goes up, or starts again from zero.
    Counter,
    /// A value that goes up and down.
    Gauge,
    /// Cumulative buckets with `_count` and `_sum`.
    Histogram,
    /// Buckets that may go down (`OpenMetrics`).
    GaugeHistogram,
    /// Quantiles with `_count` and `_sum`.
    Summary,
    /// Facts that do not change while the process runs (`OpenMetrics`).
    Info,
    /// One of several states (`OpenMetrics`).
    StateSet,
    /// Not known: `untyped` or `unknown`.
    Unknown,
}

impl Kind {
    /// The word for this kind on a `# TYPE` line of the given format.
    #[must_use]
    pub(crate) fn word(self, format: Format) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
            Self::Unknown if format == Format::Prometheus => "untyped",
            Self::Unknown => "unknown",
        }
    }

    /// The names that samples may have by the declaration of a family of this kind.
    fn declares(
        self,
        family: &str,
        format: Format,
        has_samples: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = String> {
        let total = || format!("{family}_total");
        let also = match (self, format) {
            (Self::Counter, Format::OpenMetrics) => Some(family.to_owned()),
            (Self::Counter, Format::Prometheus) => Some(total()).filter(|total| has_samples(total)),
            _ => None,
        };
        self.suffixes(format).iter().map(move |suffix| format!("{family}{suffix}")).chain(also)
    }

    /// The endings that sample names of this kind add to the family's name.
    #[must_use]
    pub fn suffixes(self, format: Format) -> &'static [&'static str] {
        match (self, format) {
            (Self::Counter, Format::OpenMetrics) => &["_total", "_created"],
            (Self::Summary, Format::OpenMetrics) => &["", "_count", "_sum", "_created"],
            (Self::Summary, Format::Prometheus) => &["", "_count", "_sum"],
            (Self::Histogram, Format::OpenMetrics) => &["_bucket", "_count", "_sum", "_created"],
            (Self::Histogram, Format::Prometheus) => &["_bucket", "_count", "_sum"],
            (Self::GaugeHistogram, _) => &["_bucket", "_gcount", "_gsum"],
            (Self::Info, Format::OpenMetrics) => &["_info"],
            _ => &[""],
        }
    }
}

/// What the metadata lines say of one family.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// The family's name, without the endings of its samples.
    pub name: String,
    /// From `# TYPE`.
    pub kind: Option<Kind>,
    /// From `# HELP`, escapes decoded.
    pub help: Option<String>,
    /// From `# UNIT`.
    pub unit: Option<String>,
    /// In `OpenMetrics`, the index of the family's first sample; its samples end where the next family's start.
    first_sample: u32,
}

/// A parsed exposition: samples in the order of the text, and the families that were declared.
#[derive(Debug)]
pub struct Exposition<'a> {
    text: &'a str,
    format: Format,
    families: Vec<Family>,
    /// The offset of each `# TYPE` line, and what it says.
    types: Vec<(u32, Kind)>,
    samples: Vec<RawSample>,
    /// Seconds since the Unix epoch, NaN where a line has none; empty where no line has one.
    timestamps: Vec<f64>,
    exemplars: HashMap<u32, RawExemplar>,
    names: Names,
    warnings: Warnings,
}

/// A sample: 16 bytes.
#[derive(Clone, Copy, Debug)]
struct RawSample {
    /// Where the name begins, or the brace before it.
    start: u32,
    /// Behind the closing brace, or the name.
    end: u32,
    value: f64,
}

impl RawSample {
    /// A text whose offsets do not fit in 31 bits is refused when it comes in.
    #[expect(clippy::cast_possible_truncation, reason = "bounded by the text's length")]
    fn new(start: usize, end: usize, value: f64) -> Self {
        Self { start: start as u32, end: end as u32, value }
    }

    fn start(self) -> usize {
        self.start as usize
    }

    fn end(self) -> usize {
        self.end as usize
    }

    fn name(self, text: &str) -> Span {
        metric_name(text, self.start(), self.end())
    }

    fn labels(self, text: &str) -> Written<'_> {
        Written::new(text, self.start(), self.end())
    }
}

#[derive(Clone, Copy, Debug)]
struct RawExemplar {
    /// Where its labels begin and end.
    start: usize,
    end: usize,
    value: f64,
    /// Seconds since the Unix epoch; NaN where there is none.
    timestamp: f64,
}

/// The kind that the last `# TYPE` line before a sample says, whatever its name: what a Prometheus server goes by.
#[derive(Clone)]
pub(crate) struct Kinds<'e> {
    rest: std::slice::Iter<'e, (u32, Kind)>,
    current: Option<Kind>,
}

impl Kinds<'_> {
    /// The kind for a sample that comes after those asked for before.
    pub(crate) fn at(&mut self, sample: &Sample) -> Option<Kind> {
        let start = sample.raw().start();
        while let Some((_, kind)) = self.rest.as_slice().first().filter(|(offset, _)| (*offset as usize) < start) {
            self.current = Some(*kind);
            self.rest.next();
        }
        self.current
    }
}

/// One sample of an [`Exposition`].
#[derive(Clone, Copy)]
pub struct Sample<'e> {
    exposition: &'e Exposition<'e>,
    index: u32,
}

/// A label as it is written in its line.
pub(crate) struct WrittenLabel<'e> {
    text: &'e str,
    name: Span,
    value: Span,
}

impl<'e> WrittenLabel<'e> {
    pub(crate) fn name(&self) -> Cow<'e, str> {
        self.name.text(self.text)
    }

    pub(crate) fn value(&self) -> Cow<'e, str> {
        self.value.text(self.text)
    }

    fn value_span(&self) -> Span {
        self.value
    }

    pub(crate) fn raw_name(&self) -> &'e [u8] {
        self.name.bytes(self.text)
    }

    pub(crate) fn raw_value(&self) -> &'e [u8] {
        self.value.bytes(self.text)
    }
}

/// A label's value that is followed by a closing quote, and its bytes as written.
pub(crate) fn value_before_quote(written: &str) -> (Cow<'_, str>, &[u8]) {
    let value = scan::until_quote(written, 0);
    (value.text(written), value.bytes(written))
}

impl<'e> Sample<'e> {
    fn raw(&self) -> RawSample {
        self.exposition.samples[self.index as usize]
    }

    /// The metric's name.
    #[must_use]
    pub fn name(&self) -> Cow<'e, str> {
        let text = self.exposition.text;
        self.raw().name(text).text(text)
    }

    /// The name as written, for comparisons with that of a neighbour.
    pub(crate) fn raw_name(&self) -> &'e [u8] {
        let text = self.exposition.text;
        self.raw().name(text).bytes(text)
    }

    /// Whether the name is written like this, without quotes: quicker than asking for the name.
    pub(crate) fn is_named(&self, name: &[u8]) -> bool {
        let rest = self.key().as_bytes().strip_prefix(name).filter(|_| !name.is_empty());
        rest.is_some_and(|rest| rest.first().is_none_or(|byte| !scan::is_metric_name_byte(*byte)))
    }

    /// The text of name and labels: in two expositions, samples with the same key are of the same series.
    pub(crate) fn key(&self) -> &'e str {
        let raw = self.raw();
        &self.exposition.text[raw.start()..raw.end()]
    }

    /// The labels with their places.
    pub(crate) fn written(&self) -> impl Iterator<Item = WrittenLabel<'e>> + use<'e> {
        let (text, raw) = (self.exposition.text, self.raw());
        let mut labels = Written::new(text, raw.start(), raw.end());
        std::iter::from_fn(move || {
            let (name, value) = labels.next_spans()?;
            Some(WrittenLabel { text, name, value })
        })
    }

    /// The labels as written, without the metric's name.
    pub fn labels(&self) -> impl Iterator<Item = (Cow<'e, str>, Cow<'e, str>)> + use<'e> {
        self.raw().labels(self.exposition.text)
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.raw().value
    }

    /// Seconds since the Unix epoch, where the line has a timestamp.
    #[must_use]
    pub fn timestamp(&self) -> Option<f64> {
        let timestamp = self.exposition.timestamp(self.index as usize);
        (!timestamp.is_nan()).then_some(timestamp)
    }

    /// The line's number, counted from 1. Counts lines anew at each call: for messages, not for loops.
    #[must_use]
    pub fn line(&self) -> usize {
        error::line_of(self.exposition.text, self.raw().start()).0
    }
}

impl<'a> Exposition<'a> {
    /// Parses a whole body.
    ///
    /// # Errors
    /// The first line that the format forbids, with line, column and cause; a body that is not UTF-8 or over 2 GiB. What
    /// mainstream clients send all the same is in [`Exposition::warnings`] instead.
    pub fn parse(body: &'a [u8], format: Format) -> Result<Self, ParseError> {
        let text = scan::text_of(body)?;
        let mut exposition = match format {
            Format::Prometheus => prometheus::parse(text)?,
            Format::OpenMetrics => openmetrics::parse(text)?,
        };
        exposition.warnings.settle(text);
        Ok(exposition)
    }

    fn new(text: &'a str, lines: usize, format: Format) -> Self {
        Self {
            text,
            format,
            families: Vec::new(),
            types: Vec::new(),
            samples: Vec::with_capacity(lines),
            timestamps: Vec::new(),
            exemplars: HashMap::new(),
            names: Names::default(),
            warnings: Warnings::default(),
        }
    }

    /// The format that the text was parsed as.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The families that metadata lines declare, in the order of the text.
    #[must_use]
    pub fn families(&self) -> &[Family] {
        &self.families
    }

    /// The samples in the order of the text.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = Sample<'_>> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a text holds fewer samples than bytes, and under 2^31 of those"
        )]
        (0..self.samples.len() as u32).map(|index| Sample { exposition: self, index })
    }

    /// The samples that follow one another and whose names are written alike, each run with that name.
    pub fn runs(&self) -> impl Iterator<Item = (Cow<'_, str>, impl ExactSizeIterator<Item = Sample<'_>>)> {
        let mut samples = self.samples();
        let mut next = samples.next();
        std::iter::from_fn(move || {
            let first = next?;
            let name = first.raw_name();
            next = samples.find(|sample| !sample.is_named(name));
            let end = next.map_or(self.samples.len(), |next| next.index as usize);
            #[expect(clippy::cast_possible_truncation, reason = "the number of samples, which is counted in 32 bits")]
            let run = first.index..end as u32;
            Some((first.name(), run.map(|index| Sample { exposition: self, index })))
        })
    }

    /// What a `# TYPE` line says that the family of this name measures.
    #[must_use]
    pub fn kind_of(&self, family: &str) -> Option<Kind> {
        let index = self.names.find(self.text, family)?;
        self.families[self.names.list[index].family? as usize].kind
    }

    /// The samples of one metric. Quick where they are together, as they mostly are.
    pub fn samples_of<'e>(&'e self, name: &'e str) -> impl Iterator<Item = Sample<'e>> + use<'e, 'a> {
        let known = self.names.find(self.text, name).map(|index| self.names.list[index]);
        let (first, count) = known.map_or((0, 0), |known| (known.first as usize, known.samples as usize));
        self.samples().skip(first).filter(move |sample| sample.name() == name).take(count)
    }

    /// The metric names that have samples, each with their number, in the order in which they first appear.
    pub fn names(&self) -> impl Iterator<Item = (Cow<'_, str>, u32)> {
        self.names.sampled(self.text)
    }

    /// The names that samples may have by what is declared: `a_bucket`, `a_count` and `a_sum` of a histogram `a`. A counter is
    /// declared with and without `_total`: in `OpenMetrics` in any case, and in the other format where its samples end in it.
    pub fn declared_names(&self) -> impl Iterator<Item = String> {
        let families = self.families.iter().filter_map(|family| Some((family, family.kind?)));
        families.flat_map(|(family, kind)| kind.declares(&family.name, self.format, |name| self.has_samples(name)))
    }

    /// What is not as the format wants it, and was accepted.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings.list
    }

    /// Whether a sample has a timestamp of its own.
    #[must_use]
    pub fn has_timestamps(&self) -> bool {
        !self.timestamps.is_empty()
    }

    fn has_samples(&self, name: &str) -> bool {
        self.names.find(self.text, name).is_some_and(|index| self.names.list[index].samples > 0)
    }

    /// Adds a sample; a timestamp that is NaN is none.
    fn push(&mut self, sample: RawSample, timestamp: f64) {
        if !timestamp.is_nan() || !self.timestamps.is_empty() {
            self.timestamps.resize(self.samples.len(), f64::NAN);
            self.timestamps.push(timestamp);
        }
        self.samples.push(sample);
    }

    /// Takes the newest sample back.
    fn pop(&mut self) {
        self.samples.pop();
        self.timestamps.truncate(self.samples.len());
    }

    /// Removes samples by their indices, which are sorted; none of them is the first of its name.
    fn remove(&mut self, indices: &[usize]) {
        if indices.is_empty() {
            return;
        }
        for index in indices {
            let name = self.samples[*index].name(self.text).text(self.text);
            if let Some(known) = self.names.find(self.text, &name) {
                self.names.list[known].samples -= 1;
            }
        }
        for name in &mut self.names.list {
            let before = indices.partition_point(|index| *index < name.first as usize);
            name.first -= u32::try_from(before).unwrap_or(0);
        }
        let keep = |index: usize| indices.binary_search(&index).is_err();
        let mut index = 0..;
        self.samples.retain(|_| index.next().is_none_or(keep));
        let mut index = 0..;
        self.timestamps.retain(|_| index.next().is_none_or(keep));
    }

    fn timestamp(&self, index: usize) -> f64 {
        self.timestamps.get(index).copied().unwrap_or(f64::NAN)
    }

    /// The kinds that `# TYPE` lines announce, for samples in the order of the text.
    pub(crate) fn kinds(&self) -> Kinds<'_> {
        Kinds { rest: self.types.iter(), current: None }
    }
}

/// Whether two samples of one series say the same.
fn same_value(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}
