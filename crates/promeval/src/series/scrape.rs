//! What a Prometheus server does between a scrape and its storage: labels of the target, stale markers, the series `up`.

use super::cache::Cache;
use super::kept::{Run, Wanted, WantedNames};
use super::resolve::Resolver;
use super::{Full, Point, STALE, Storage, milliseconds};
use crate::exposition::{Exposition, Sample};
use crate::labels::{Labels, METRIC_NAME};

/// One target that is scraped again and again.
///
/// A series that is gone from a scrape ends with a stale marker, and a failed scrape ends all of them, as on a server; and as
/// there, series whose samples have timestamps of their own do not end, but with
/// [`Target::track_timestamps_staleness`]. Each scrape also gives `up`, `scrape_samples_scraped` and
/// `scrape_samples_post_metric_relabeling`.
///
/// A target belongs to one storage, and its scrapes come in the order of time.
///
/// ```
/// use promeval::{Evaluator, Exposition, Format, Storage, Target, Value, parse};
///
/// let mut storage = Storage::default();
/// let mut target = Target::new([("job", "shop"), ("instance", "shop:8080")]);
/// for (at, body) in [(0, "orders 1\nfaults 2\n"), (15_000, "orders 3\n")] {
///     let exposition = Exposition::parse(body.as_bytes(), Format::Prometheus)?;
///     target.scraped(&mut storage, &exposition, at)?;
/// }
/// target.failed(&mut storage, 30_000)?;
///
/// let count = |time: i64, source: &str| {
///     let value = parse(source).and_then(|expr| Evaluator::new(&storage, time).value(&expr));
///     value.map(|value| if let Value::Vector(elements) = value { elements.len() } else { 0 })
/// };
/// assert_eq!(count(10_000, "faults{job='shop'}")?, 1);
/// assert_eq!(count(15_000, "faults")?, 0);
/// assert_eq!(count(30_000, "orders")?, 0);
/// assert_eq!(count(30_000, "up{job='shop'} == 0")?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Target {
    labels: Vec<(String, String)>,
    honor_labels: bool,
    honor_timestamps: bool,
    track_timestamps_staleness: bool,
    cache: Cache,
    names: WantedNames,
}

impl Target {
    /// A target with the labels that every series of it gets, such as `job` and `instance`. A label without a value is the same
    /// as none.
    #[must_use]
    pub fn new<N: Into<String>, V: Into<String>>(labels: impl IntoIterator<Item = (N, V)>) -> Self {
        let labels = labels.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self {
            labels: labels.filter(|(name, value)| !value.is_empty() && name != METRIC_NAME).collect(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            cache: Cache::default(),
            names: WantedNames::default(),
        }
    }

    /// Whether a label of the sample's own wins over that of the target; otherwise it becomes `exported_…`, which is the
    /// default.
    #[must_use]
    pub fn honor_labels(self, honor_labels: bool) -> Self {
        Self { honor_labels, ..self }
    }

    /// Whether the timestamps of samples count, which is the default; otherwise all are as of the scrape.
    #[must_use]
    pub fn honor_timestamps(self, honor_timestamps: bool) -> Self {
        Self { honor_timestamps, ..self }
    }

    /// Whether series whose samples have timestamps of their own end as others do, when a scrape no longer has them.
    #[must_use]
    pub fn track_timestamps_staleness(self, track_timestamps_staleness: bool) -> Self {
        Self { track_timestamps_staleness, ..self }
    }

    /// The labels that every series of the target gets.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Stores a scrape that was made at a time in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// The limit that the storage has reached; what came before it is stored.
    pub fn scraped(&mut self, storage: &mut Storage, exposition: &Exposition<'_>, at: i64) -> Result<(), Full> {
        let honor_timestamps = self.honor_timestamps;
        self.store(storage, exposition, |sample| {
            let own = sample.timestamp().filter(|_| honor_timestamps);
            Some((Point { time: own.map_or(at, milliseconds), value: sample.value() }, own.is_some()))
        })?;
        end(storage, &self.cache.gone(), at)?;
        self.cache.forget_unseen();
        let samples = u32::try_from(exposition.samples().len()).unwrap_or(u32::MAX);
        self.report(storage, at, 1.0, f64::from(samples))
    }

    /// Notes that the process behind the target started at a time, before its first scrape is stored: the series that `counts`
    /// picks, which are those of counters, were 0 then. What it had counted by its first scrape is an increase.
    ///
    /// # Errors
    /// The limit that the storage has reached.
    pub fn started(
        &mut self,
        storage: &mut Storage,
        exposition: &Exposition<'_>,
        at: i64,
        counts: impl Fn(&Sample<'_>) -> bool,
    ) -> Result<(), Full> {
        self.store(storage, exposition, |sample| counts(sample).then_some((Point { time: at, value: 0.0 }, false)))
    }

    /// Stores a point for each sample that has one; with whether it has a timestamp of its own.
    fn store(
        &mut self,
        storage: &mut Storage,
        exposition: &Exposition<'_>,
        point: impl Fn(&Sample<'_>) -> Option<(Point, bool)>,
    ) -> Result<(), Full> {
        let Self { labels, honor_labels, honor_timestamps, track_timestamps_staleness, cache, names } = self;
        let mut resolver = Resolver::new(exposition, labels, *honor_labels);
        let mut run = Run::default();
        let stamped = *honor_timestamps && exposition.has_timestamps();
        let (mut points, mut unsettled) = (Vec::with_capacity(TOGETHER), Vec::new());
        cache.begin();
        let read = exposition.samples().try_for_each(|sample| {
            let wanted = names.of(&mut run, &sample, |name| storage.wanted(name));
            if *wanted == Wanted::Nothing {
                return Ok(());
            }
            let Some((point, is_stamped)) = point(&sample) else { return Ok(()) };
            let (line, series) = match cache.find(sample.key().as_bytes()) {
                Some(found) => found,
                None => cache.insert(sample.key().as_bytes(), resolver.series(storage, sample, wanted)?),
            };
            let Some(series) = series else { return Ok(()) };
            if !is_stamped || *track_timestamps_staleness {
                cache.track(line);
            }
            points.push((series, point));
            if points.len() == TOGETHER { storage.push_all(&mut points, stamped, &mut unsettled) } else { Ok(()) }
        });
        let stored = read.and_then(|()| storage.push_all(&mut points, stamped, &mut unsettled));
        storage.settle(unsettled);
        stored
    }

    /// Notes a scrape that failed: all series of the target end.
    ///
    /// # Errors
    /// The limit that the storage has reached.
    pub fn failed(&mut self, storage: &mut Storage, at: i64) -> Result<(), Full> {
        self.cache.begin();
        end(storage, &self.cache.gone(), at)?;
        self.report(storage, at, 0.0, 0.0)
    }

    /// Notes that the target is gone, and is not scraped any more: all series of it end, `up` too.
    ///
    /// # Errors
    /// The limit that the storage has reached.
    pub fn removed(&mut self, storage: &mut Storage, at: i64) -> Result<(), Full> {
        self.cache.begin();
        end(storage, &self.cache.gone(), at)?;
        self.report(storage, at, STALE, STALE)
    }

    /// The series that a server makes of the scrape itself.
    fn report(&self, storage: &mut Storage, time: i64, up: f64, samples: f64) -> Result<(), Full> {
        for (name, value) in
            [("up", up), ("scrape_samples_scraped", samples), ("scrape_samples_post_metric_relabeling", samples)]
        {
            if storage.wanted(name) != Wanted::Nothing {
                let labels = Labels::new(self.labels().chain([(METRIC_NAME, name)]));
                storage.append(&labels, Point { time, value })?;
            }
        }
        Ok(())
    }
}

/// How many points are stored at a time. The points of one series are far from those of the next, and a loop that does nothing
/// else waits for several of them at once.
const TOGETHER: usize = 256;

/// Ends series, unless they have newer points.
pub(super) fn end(storage: &mut Storage, gone: &[u32], time: i64) -> Result<(), Full> {
    let is_older = |series: &&u32| storage.newest(**series).is_none_or(|newest| newest < time);
    let mut ends = gone.iter().filter(is_older).map(|series| (*series, Point { time, value: STALE })).collect();
    storage.push_all(&mut ends, false, &mut Vec::new())
}
