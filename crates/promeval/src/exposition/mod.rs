//! Exposition text to samples: a strict, zero-copy parser of the Prometheus text format 0.0.4 and OpenMetrics 1.0.
//!
//! Strict means that whatever a format forbids is an error that names line, column and cause; nothing is skipped in
//! silence. Zero-copy means that an [`Exposition`] holds positions in the text it was parsed from.
//!
//! Formats: <https://prometheus.io/docs/instrumenting/exposition_formats/> and
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

mod duplicates;
mod error;
mod openmetrics;
mod openmetrics_rules;
mod print;
mod prometheus;
mod scan;

use std::borrow::Cow;
use std::collections::HashMap;

pub use error::ParseError;
use scan::Span;

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
    labels: Vec<RawLabel>,
    exemplars: HashMap<u32, RawExemplar>,
}

#[derive(Clone, Copy, Debug)]
struct RawSample {
    name: Span,
    first_label: u32,
    label_count: u32,
    value: f64,
    /// Seconds since the Unix epoch; NaN where the line has none.
    timestamp: f64,
}

#[derive(Clone, Copy, Debug)]
struct RawLabel {
    name: Span,
    value: Span,
}

#[derive(Clone, Copy, Debug)]
struct RawExemplar {
    first_label: u32,
    label_count: u32,
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
        let start = sample.raw().name.start();
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

impl<'e> Sample<'e> {
    fn raw(&self) -> &'e RawSample {
        &self.exposition.samples[self.index as usize]
    }

    /// The metric's name.
    #[must_use]
    pub fn name(&self) -> Cow<'e, str> {
        self.raw().name.text(self.exposition.text)
    }

    /// The name as written, for comparisons with that of a neighbour.
    pub(crate) fn raw_name(&self) -> &'e [u8] {
        self.raw().name.bytes(self.exposition.text)
    }

    /// The text of name and labels, from the first to the last of them: in two expositions, samples with the same key are of
    /// the same series.
    pub(crate) fn key(&self) -> &'e [u8] {
        let raw = self.raw();
        let first = raw.first_label as usize;
        let labels = &self.exposition.labels[first..first + raw.label_count as usize];
        let (mut start, mut end) = (raw.name.start(), raw.name.end());
        if let (Some(first), Some(last)) = (labels.first(), labels.last()) {
            // A quoted name may be anywhere among the labels.
            (start, end) = (start.min(first.name.start()), end.max(last.value.end()));
        }
        &self.exposition.text.as_bytes()[start..end]
    }

    /// The labels as written, without the metric's name.
    pub fn labels(&self) -> impl Iterator<Item = (Cow<'e, str>, Cow<'e, str>)> + use<'e> {
        let raw = self.raw();
        self.exposition.label_pairs(raw.first_label, raw.label_count)
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> f64 {
        self.raw().value
    }

    /// Seconds since the Unix epoch, where the line has a timestamp.
    #[must_use]
    pub fn timestamp(&self) -> Option<f64> {
        let timestamp = self.raw().timestamp;
        (!timestamp.is_nan()).then_some(timestamp)
    }

    /// The line's number, counted from 1. Counts lines anew at each call: for messages, not for loops.
    #[must_use]
    pub fn line(&self) -> usize {
        error::line_of(self.exposition.text, self.raw().name.start()).0
    }
}

impl<'a> Exposition<'a> {
    /// Parses a whole body.
    ///
    /// # Errors
    /// The first line that the format forbids, with line, column and cause; a body that is not UTF-8 or over 2 GiB.
    pub fn parse(body: &'a [u8], format: Format) -> Result<Self, ParseError> {
        let text = scan::text_of(body)?;
        match format {
            Format::Prometheus => prometheus::parse(text),
            Format::OpenMetrics => openmetrics::parse(text),
        }
    }

    fn new(text: &'a str, lines: usize, format: Format) -> Self {
        Self {
            text,
            format,
            families: Vec::new(),
            types: Vec::new(),
            samples: Vec::with_capacity(lines),
            labels: Vec::with_capacity(text.len() / 32),
            exemplars: HashMap::new(),
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

    /// The names that samples may have by what is declared: `a_bucket`, `a_count` and `a_sum` of a histogram `a`.
    pub fn declared_names(&self) -> impl Iterator<Item = String> {
        self.families.iter().filter(|family| family.kind.is_some()).flat_map(|family| {
            let suffixes = family.kind.map_or(&[][..], |kind| kind.suffixes(self.format));
            suffixes.iter().map(|suffix| format!("{}{suffix}", family.name))
        })
    }

    /// The kinds that `# TYPE` lines announce, for samples in the order of the text.
    pub(crate) fn kinds(&self) -> Kinds<'_> {
        Kinds { rest: self.types.iter(), current: None }
    }

    fn label_pairs(&self, first: u32, count: u32) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> + use<'_> {
        let first = first as usize;
        let text = self.text;
        self.labels[first..first + count as usize]
            .iter()
            .map(move |label| (label.name.text(text), label.value.text(text)))
    }
}
