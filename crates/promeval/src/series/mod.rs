//! Series over time: what scrapes or a saved exposition gave, ready for PromQL.

mod cache;
mod kept;
mod limits;
mod matching;
mod points;
mod resolve;
mod rule;
mod scrape;
mod view;

use std::collections::HashMap;
use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

use crate::exposition::Exposition;
use crate::labels::Labels;
use crate::promql::ast::Selector;
use crate::symbols::{Pair, Symbol, Symbols};
use crate::table::Table;
use kept::{Run, Wanted, WantedNames};
pub use limits::{Full, Limits};
use points::{Added, Adding, Points};
use resolve::Resolver;
pub use rule::RuleSeries;
pub use scrape::Target;
pub use view::{StoredLabels, StoredSeries};

/// The value that ends a series: from its time on the series has no value, until it has another sample. Prometheus writes
/// this NaN when a scrape no longer has a series, or fails.
pub const STALE: f64 = f64::from_bits(STALE_BITS);

const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// A value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Milliseconds since the Unix epoch.
    pub time: i64,
    /// The sample's value, or [`STALE`].
    pub value: f64,
}

impl Point {
    /// Whether this ends the series. Any other NaN is a value.
    pub fn is_stale(&self) -> bool {
        self.value.to_bits() == STALE_BITS
    }
}

/// One series: labels, and points sorted by time, each time once.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What identifies the series, with the metric's name as `__name__`.
    pub labels: Labels,
    /// The points, oldest first.
    pub points: Vec<Point>,
}

/// The times of the oldest and the newest sample, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The oldest sample's time.
    pub oldest: i64,
    /// The newest sample's time.
    pub newest: i64,
}

/// The series that expressions are evaluated over.
///
/// Memory is bounded by [`Limits`]. Storing takes time linear in the number of samples, in whatever order they come, except
/// for [`Storage::append`] of points that are older than the series' newest.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    symbols: Symbols,
    /// The label sets of all series, one after the other, each sorted by the names.
    pairs: Vec<Pair>,
    series: Vec<Stored>,
    /// Indices of series by the hash of their labels, so that no label set is kept twice.
    by_labels: Table,
    /// How many series are in there: those that were known to be new are entered when somebody looks for one.
    indexed: usize,
    names: Vec<Name>,
    name_indices: HashMap<Symbol, u32, RandomState>,
    state: RandomState,
    /// The number of points of all series.
    points: usize,
    limits: Limits,
    /// What is stored; everything where there is none.
    kept: Option<Vec<Selector>>,
    /// Whether a series has only its newest two points of scrapes.
    newest_two: bool,
}

/// A series: 32 bytes, and 8 for each label. Three allocations a label, as there were once, took eight times that.
#[derive(Clone, Debug)]
struct Stored {
    /// Its labels end where those of the next series begin.
    first_pair: u32,
    /// The index of its metric name.
    name: u32,
    points: Points,
}

/// What is known of one metric name.
#[derive(Clone, Debug, Default)]
struct Name {
    series: Vec<u32>,
    /// Of the samples; stale markers do not count.
    span: Option<Span>,
}

impl Storage {
    /// A storage that keeps no more than the limits allow.
    #[must_use]
    pub fn with_limits(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Keeps only series that one of the selectors matches, whatever their times: all others cost neither memory nor time.
    #[must_use]
    pub fn keeping<'q>(self, selectors: impl IntoIterator<Item = &'q Selector>) -> Self {
        Self { kept: Some(selectors.into_iter().cloned().collect()), ..self }
    }

    /// Of what a [`Target`] scrapes without timestamps, keeps the newest two points of each series. That is enough for expressions
    /// that do not [read the past](crate::promql::ast::Expr::reads_past), evaluated at the time of the newest or the last but one scrape
    /// or later; a window of scrapes then takes the memory of one of them.
    #[must_use]
    pub fn newest_two(self) -> Self {
        Self { newest_two: true, ..self }
    }

    /// Adds a point. If a series gets two points at the same millisecond, the later call wins.
    ///
    /// # Errors
    /// The limit that the storage has reached.
    pub fn append(&mut self, labels: &Labels, point: Point) -> Result<(), Full> {
        let Some(series) = self.kept_series(labels)? else { return Ok(()) };
        self.add(series, point, Adding::LastWins).map(drop)
    }

    /// Adds the samples whose metric name is wanted, each with the extra labels (a label of its own that has the same name
    /// becomes `exported_…`, as a Prometheus server has it). A sample without a timestamp of its own counts as taken at
    /// `scraped_at` milliseconds since the epoch. For scrapes that follow one another there is [`Target`].
    ///
    /// # Errors
    /// The limit that the storage has reached; what came before it is stored.
    pub fn ingest(
        &mut self,
        exposition: &Exposition<'_>,
        scraped_at: i64,
        extra: &[(&str, &str)],
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), Full> {
        let extra: Vec<_> = extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        // A first exposition without timestamps has each series once: looking for it would be a fifth of the time.
        let all_new = self.series.is_empty() && extra.is_empty() && !exposition.has_timestamps();
        let mut resolver = Resolver::new(exposition, &extra, false).all_new(all_new);
        let (mut names, mut run) = (WantedNames::default(), Run::default());
        let mut unsettled = Vec::new();
        let stored = exposition.samples().try_for_each(|sample| {
            let find = |name: &str| if wanted(name) { self.wanted(name) } else { Wanted::Nothing };
            let wanted = names.of(&mut run, &sample, find);
            if *wanted == Wanted::Nothing {
                return Ok(());
            }
            let Some(series) = resolver.series(self, sample, wanted)? else { return Ok(()) };
            let time = sample.timestamp().map_or(scraped_at, milliseconds);
            self.push(series, Point { time, value: sample.value() }, &mut unsettled)
        });
        self.settle(unsettled);
        stored
    }

    /// All series, in the order in which they were first seen.
    pub fn series(&self) -> impl ExactSizeIterator<Item = StoredSeries<'_>> {
        (0..self.series.len()).map(|index| self.view(index))
    }

    /// The series with this metric name.
    pub fn named(&self, name: &str) -> impl Iterator<Item = StoredSeries<'_>> {
        let known = self.name(name).map_or(&[][..], |name| &name.series);
        known.iter().map(|index| self.view(*index as usize))
    }

    /// The times of the oldest and the newest sample that has this metric name, stale markers aside.
    #[must_use]
    pub fn span(&self, name: &str) -> Option<Span> {
        self.name(name)?.span
    }

    fn name(&self, name: &str) -> Option<&Name> {
        let index = self.name_indices.get(&self.symbols.find(name)?)?;
        self.names.get(*index as usize)
    }

    pub(crate) fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    /// The labels of a series.
    pub(crate) fn pairs(&self, series: u32) -> &[Pair] {
        pairs_of(&self.pairs, &self.series, series as usize)
    }

    /// The points of a series.
    pub(crate) fn points(&self, series: u32) -> &[Point] {
        self.series[series as usize].points.as_slice()
    }

    /// The newest point of a series that is not newer than `end`.
    pub(crate) fn newest_until(&self, series: u32, end: i64) -> Option<Point> {
        let points = &self.series[series as usize].points;
        points.newest().filter(|newest| newest.time <= end).or_else(|| {
            let points = points.as_slice();
            points[..points.partition_point(|point| point.time <= end)].last().copied()
        })
    }

    pub(crate) fn view(&self, index: usize) -> StoredSeries<'_> {
        let labels = StoredLabels::new(&self.symbols, pairs_of(&self.pairs, &self.series, index));
        StoredSeries { labels, points: self.series[index].points.as_slice() }
    }

    fn intern(&mut self, text: &str) -> Result<Symbol, Full> {
        self.symbols.intern(text).ok_or(Full::Text)
    }

    /// The series with these labels, made if it is new; nothing where it is not kept.
    fn kept_series(&mut self, labels: &Labels) -> Result<Option<u32>, Full> {
        if !self.keeps(&self.wanted(labels.metric_name()), labels) {
            return Ok(None);
        }
        let mut pairs = Vec::new();
        for (name, value) in labels.iter() {
            pairs.push((self.intern(name)?, self.intern(value)?));
        }
        self.series_of(&pairs).map(Some)
    }

    /// The series of a label set that is sorted by its names, made if it is new.
    fn series_of(&mut self, pairs: &[Pair]) -> Result<u32, Full> {
        for index in self.indexed..self.series.len() {
            let hash = self.state.hash_one(pairs_of(&self.pairs, &self.series, index));
            // Made only where the index fits.
            self.by_labels.insert(hash, u32::try_from(index).unwrap_or(u32::MAX));
        }
        self.indexed = self.series.len();
        let hash = self.state.hash_one(pairs);
        let known = |index: usize| pairs_of(&self.pairs, &self.series, index) == pairs;
        if let Some(index) = self.by_labels.find(hash, known) {
            return Ok(index);
        }
        let index = self.new_series(pairs)?;
        self.by_labels.insert(hash, index);
        self.indexed = self.series.len();
        Ok(index)
    }

    /// Makes the series of a label set that no series has.
    fn new_series(&mut self, pairs: &[Pair]) -> Result<u32, Full> {
        let full = Full::Series(self.limits.series);
        if self.series.len() >= self.limits.series {
            return Err(full);
        }
        let (Ok(index), Ok(first_pair)) = (u32::try_from(self.series.len()), u32::try_from(self.pairs.len())) else {
            return Err(full);
        };
        let name = self.name_of(pairs);
        self.names[name as usize].series.push(index);
        self.pairs.extend_from_slice(pairs);
        self.series.push(Stored { first_pair, name, points: Points::None });
        Ok(index)
    }

    /// The index of the metric name of a label set.
    fn name_of(&mut self, pairs: &[Pair]) -> u32 {
        let name = pairs.iter().find(|(label, _)| *label == Symbol::METRIC_NAME).map_or(Symbol::EMPTY, |pair| pair.1);
        *self.name_indices.entry(name).or_insert_with(|| {
            self.names.push(Name::default());
            // There are no more names than symbols, and those are counted in 32 bits.
            #[expect(clippy::cast_possible_truncation, reason = "bounded by the number of symbols")]
            let index = (self.names.len() - 1) as u32;
            index
        })
    }

    /// Adds a point to a series at the end; see [`Points::push`].
    fn push(&mut self, series: u32, point: Point, unsettled: &mut Vec<u32>) -> Result<(), Full> {
        if self.add(series, point, Adding::FirstStays)? == Added::Unsettled {
            unsettled.push(series);
        }
        Ok(())
    }

    /// Adds points to series at their ends, and empties the list. Of those with timestamps of their own none is dropped.
    fn push_all(
        &mut self,
        points: &mut Vec<(u32, Point)>,
        stamped: bool,
        unsettled: &mut Vec<u32>,
    ) -> Result<(), Full> {
        let adding = if self.newest_two && !stamped { Adding::NewestTwo } else { Adding::FirstStays };
        points.drain(..).try_for_each(|(series, point)| {
            if self.add(series, point, adding)? == Added::Unsettled {
                unsettled.push(series);
            }
            Ok(())
        })
    }

    #[inline]
    fn add(&mut self, series: u32, point: Point, adding: Adding) -> Result<Added, Full> {
        if self.points >= self.limits.points {
            return Err(Full::Points(self.limits.points));
        }
        let Some(stored) = self.series.get_mut(series as usize) else { return Ok(Added::Known) };
        let added = match adding {
            Adding::NewestTwo => stored.points.push_newest(point),
            Adding::FirstStays => stored.points.push(point),
            Adding::LastWins => stored.points.set(point),
        };
        self.points += usize::from(added != Added::Known);
        if !point.is_stale() {
            let span = &mut self.names[stored.name as usize].span;
            let known = span.unwrap_or(Span { oldest: point.time, newest: point.time });
            *span = Some(Span { oldest: known.oldest.min(point.time), newest: known.newest.max(point.time) });
        }
        Ok(added)
    }

    /// The time of the newest point of a series.
    fn newest(&self, series: u32) -> Option<i64> {
        self.series.get(series as usize)?.points.newest().map(|point| point.time)
    }

    /// Puts the points that came out of order into their places.
    fn settle(&mut self, mut unsettled: Vec<u32>) {
        unsettled.sort_unstable();
        unsettled.dedup();
        for series in unsettled {
            self.points -= self.series[series as usize].points.settle();
        }
    }
}

/// The labels of a series.
fn pairs_of<'p>(pairs: &'p [Pair], series: &[Stored], index: usize) -> &'p [Pair] {
    let end = series.get(index + 1).map_or(pairs.len(), |next| next.first_pair as usize);
    &pairs[series[index].first_pair as usize..end]
}

/// Seconds to whole milliseconds.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "a time outside i64 milliseconds is clamped")]
pub fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}
