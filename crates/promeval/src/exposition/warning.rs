//! What a format forbids and mainstream clients send all the same: accepted, and named.

use std::fmt;

/// Something in an exposition that is not as its format wants it, and that does no harm to what is measured, except
/// [`WarningKind::BadCounter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What is wrong.
    pub kind: WarningKind,
    /// The metric or the family.
    pub name: String,
    /// The line of the first case, counted from 1.
    pub line: usize,
    /// How many lines are like it.
    pub count: usize,
}

/// The kinds of warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WarningKind {
    /// A counter has a value that no counter can have: negative, NaN or `-Inf`. It is not data.
    BadCounter,
    /// A family has a second `# HELP` line before its samples, in the Prometheus text format; the first one stays.
    SecondHelp,
    /// A series is there twice, with the same value and timestamp.
    Duplicate,
    /// Two `OpenMetrics` families have one name, and samples of different names: the Go client writes a gauge
    /// `go_memstats_alloc_bytes` beside the counter of that name.
    SharedName,
    /// An `OpenMetrics` histogram with negative bounds has a `_count` and no `_sum`, as the Python client writes it.
    NoSum,
    /// An `OpenMetrics` histogram with negative bounds has a `_sum`, as the Go client writes it.
    NegativeBounds,
    /// An `OpenMetrics` summary has negative quantiles or a negative sum, as the Go client writes it.
    NegativeSummary,
    /// The text is written as `OpenMetrics`, with `# EOF` or `# UNIT`, and was read as the Prometheus text format.
    OpenMetricsText,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, line, count } = self;
        write!(f, "line {line}: ")?;
        match kind {
            WarningKind::BadCounter => write!(f, "the counter {name:?} is negative or NaN, which no counter can be"),
            WarningKind::SecondHelp => write!(f, "a second HELP line for {name:?}"),
            WarningKind::Duplicate => write!(f, "a series of {name:?} is repeated with the same value"),
            WarningKind::SharedName => write!(f, "a second family has the name {name:?}"),
            WarningKind::NoSum => write!(f, "the histogram {name:?} has a _count and no _sum"),
            WarningKind::NegativeBounds => write!(f, "the histogram {name:?} has negative bounds and a _sum"),
            WarningKind::NegativeSummary => write!(f, "the summary {name:?} has negative values"),
            WarningKind::OpenMetricsText => write!(
                f,
                "{name:?} is OpenMetrics, and the text is read as the Prometheus text format: its content type should be \
                 application/openmetrics-text"
            ),
        }?;
        if *count > 1 { write!(f, " ({count} lines)") } else { Ok(()) }
    }
}

/// The warnings so far, each kind once a name: a million lines must not make a million of them.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    pub(super) list: Vec<Warning>,
    /// The place of the first line of each warning, and the number of lines before it that were counted.
    offsets: Vec<usize>,
}

/// Names beyond this number are counted with the last one.
const NAMED: usize = 100;

impl Warnings {
    /// Adds a warning about the place at `offset` bytes.
    pub(super) fn add(&mut self, kind: WarningKind, name: &str, offset: usize) {
        let alike = |warning: &&mut Warning| warning.kind == kind && warning.name == name;
        if let Some(known) = self.list.iter_mut().rev().find(alike) {
            known.count += 1;
            return;
        }
        let of_kind = self.list.iter().filter(|warning| warning.kind == kind).count();
        if let Some(last) = self.list.iter_mut().rev().find(|warning| of_kind >= NAMED && warning.kind == kind) {
            last.count += 1;
            return;
        }
        self.list.push(Warning { kind, name: name.to_owned(), line: 0, count: 1 });
        self.offsets.push(offset);
    }

    /// Finds the lines of all warnings in one pass.
    pub(super) fn settle(&mut self, text: &str) {
        let mut order: Vec<usize> = (0..self.list.len()).collect();
        order.sort_by_key(|index| self.offsets[*index]);
        let (mut line, mut counted) = (1, 0);
        for index in order {
            let offset = self.offsets[index];
            line += memchr::memchr_iter(b'\n', &text.as_bytes()[counted..offset]).count();
            counted = offset;
            self.list[index].line = line;
        }
    }
}
