//! Series over time: what scrapes or a saved exposition gave, ready for PromQL.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::exposition::Exposition;
use crate::labels::{Labels, METRIC_NAME};

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

/// The series that expressions are evaluated over.
#[derive(Clone, Debug, Default)]
pub struct Storage {
    series: Vec<Series>,
    /// Indices of series by the hash of their labels, so that no label set is kept twice.
    by_labels: HashTable<usize>,
    by_name: HashMap<String, Vec<usize>>,
    state: FixedState,
}

impl Storage {
    /// Adds a point. If a series gets two points at the same millisecond, the later call wins.
    pub fn append(&mut self, labels: Labels, point: Point) {
        let hash = self.state.hash_one(&labels);
        let known = self.by_labels.find(hash, |index| self.series[*index].labels == labels);
        let Some(index) = known.copied() else {
            let index = self.series.len();
            match self.by_name.get_mut(labels.metric_name()) {
                Some(indices) => indices.push(index),
                None => drop(self.by_name.insert(labels.metric_name().to_owned(), vec![index])),
            }
            let (series, state) = (&self.series, &self.state);
            self.by_labels.insert_unique(hash, index, |index| state.hash_one(&series[*index].labels));
            // Room for one point only: most series of one scrape never get a second.
            self.series.push(Series { labels, points: vec![point] });
            return;
        };
        let points = &mut self.series[index].points;
        match points.binary_search_by_key(&point.time, |other| other.time) {
            Ok(at) => points[at] = point,
            Err(at) => points.insert(at, point),
        }
    }

    /// Adds the samples whose metric name is wanted, each with the extra labels (a label of its own that has the same name
    /// becomes `exported_…`, as a Prometheus server has it). A sample without a timestamp of its own counts as taken at
    /// `scraped_at` milliseconds since the epoch.
    pub fn ingest(
        &mut self,
        exposition: &Exposition<'_>,
        scraped_at: i64,
        extra: &[(&str, &str)],
        wanted: impl Fn(&str) -> bool,
    ) {
        let mut texts = Texts::default();
        for sample in exposition.samples() {
            let name = sample.name();
            if !wanted(&name) {
                continue;
            }
            let own = sample.labels().map(|(name, value)| texts.pair(&name, &value)).collect::<Vec<_>>();
            let mut labels = Labels::new(own.into_iter().chain([texts.pair(METRIC_NAME, &name)]));
            for (name, value) in extra {
                let own = labels.get(name).to_owned();
                labels.set(&format!("exported_{name}"), &own);
                labels.set(name, value);
            }
            let time = sample.timestamp().map_or(scraped_at, milliseconds);
            self.append(labels, Point { time, value: sample.value() });
        }
    }

    /// All series, in the order in which they were first seen.
    #[must_use]
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The series with this metric name.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Series> {
        self.by_name.get(name).into_iter().flatten().map(|index| &self.series[*index])
    }
}

/// Label names, and the last value of each: neighbouring series share most of theirs, and need only one copy.
#[derive(Default)]
struct Texts(Vec<(Arc<str>, Arc<str>)>);

impl Texts {
    fn pair(&mut self, name: &str, value: &str) -> (Arc<str>, Arc<str>) {
        // More names than this are not worth searching.
        const KEPT: usize = 32;
        if let Some((name, last)) = self.0.iter_mut().find(|(known, _)| **known == *name) {
            if **last != *value {
                *last = value.into();
            }
            return (name.clone(), last.clone());
        }
        let pair: (Arc<str>, Arc<str>) = (name.into(), value.into());
        if self.0.len() < KEPT {
            self.0.push(pair.clone());
        }
        pair
    }
}

/// Seconds to whole milliseconds.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "a time outside i64 milliseconds is clamped")]
pub fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}
