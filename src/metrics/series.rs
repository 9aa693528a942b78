//! Series over time: what scrapes or a saved exposition gave, ready for PromQL.

use std::collections::HashMap;

use super::exposition::Exposition;
use super::labels::{Labels, METRIC_NAME};

/// A value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Milliseconds since the Unix epoch.
    pub time: i64,
    /// The sample's value.
    pub value: f64,
}

/// One series: labels, and points sorted by time, no time twice.
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
    by_labels: HashMap<Labels, usize>,
    by_name: HashMap<String, Vec<usize>>,
}

impl Storage {
    /// Adds a point. Of two points of one series at one millisecond the newer one stands.
    pub fn append(&mut self, labels: Labels, point: Point) {
        let index = if let Some(index) = self.by_labels.get(&labels) {
            *index
        } else {
            let index = self.series.len();
            self.by_name.entry(labels.metric_name().to_owned()).or_default().push(index);
            self.by_labels.insert(labels.clone(), index);
            self.series.push(Series { labels, points: Vec::new() });
            index
        };
        let points = &mut self.series[index].points;
        match points.binary_search_by_key(&point.time, |other| other.time) {
            Ok(at) => points[at] = point,
            Err(at) => points.insert(at, point),
        }
    }

    /// Adds the samples whose metric name is wanted, each with the extra labels (a label of its own that has the same name
    /// becomes `exported_…`, as a Prometheus server has it). A sample without a timestamp of its own
    /// counts as taken at `scraped_at` milliseconds since the epoch; with `own_times` off, every sample does.
    pub fn ingest(
        &mut self,
        exposition: &Exposition<'_>,
        scraped_at: i64,
        own_times: bool,
        extra: &[(&str, &str)],
        wanted: impl Fn(&str) -> bool,
    ) {
        for sample in exposition.samples() {
            let name = sample.name();
            if !wanted(&name) {
                continue;
            }
            let mut labels = Labels::new(sample.labels().map(|(name, value)| (name.into_owned(), value.into_owned())));
            labels.set(METRIC_NAME, &name);
            for (name, value) in extra {
                let own = labels.get(name).to_owned();
                labels.set(&format!("exported_{name}"), &own);
                labels.set(name, value);
            }
            let time = sample.timestamp().filter(|_| own_times).map_or(scraped_at, milliseconds);
            self.append(labels, Point { time, value: sample.value() });
        }
    }

    /// All series, in the order in which they came.
    #[must_use]
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The series of a metric name.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &Series> {
        self.by_name.get(name).into_iter().flatten().map(|index| &self.series[*index])
    }

    /// The newest time of any point.
    #[must_use]
    pub fn newest(&self) -> Option<i64> {
        self.series.iter().filter_map(|series| series.points.last()).map(|point| point.time).max()
    }
}

/// Seconds to whole milliseconds.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "a time outside i64 milliseconds is clamped")]
pub fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}
