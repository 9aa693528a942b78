//! Which instance of a service answered a scrape: several behind one address, or one that restarted. Pure.

use std::collections::{BTreeMap, HashSet};

use promeval::exposition::{Exposition, Format, Kind};
use promeval::series::{Full, Storage, Target};

use crate::outcome::{Observation, Status};

/// An instance that was not met for so long, in milliseconds, is taken to be gone: its series end. It is less than the five
/// minutes after which its samples would be too old to be seen.
const GONE: i64 = 240_000;

/// Of how many instances, the newest, it is known what their counters said.
const COUNTED: usize = 8;

/// One instance that answers at an address.
struct Instance {
    /// What tells it from others; nothing where its metrics do not.
    key: Option<f64>,
    scrapes: u32,
    target: Target,
    /// When it was scraped first and last.
    first: i64,
    last: i64,
    /// When its process started, where that was after the first scrape of all.
    born: Option<i64>,
    /// What its counters said last, by their names.
    counters: BTreeMap<String, f64>,
    /// Whether another one has taken its place.
    is_replaced: bool,
}

/// The instances of one side, in the order in which they were met.
#[derive(Default)]
pub(super) struct Instances {
    known: Vec<Instance>,
    /// When the first scrape was made.
    began: Option<i64>,
    /// Which one answered the newest scrapes, and how many of them in a row.
    newest: (usize, u32),
    /// A counter that went down from one scrape of an instance to the next.
    fell: Option<String>,
}

impl Instances {
    /// The number of the instance that answered: by the value of the series that tells instances apart. `watch` says whether there
    /// is more than one scrape, and `target` makes the target of a new one.
    pub(super) fn met(
        &mut self,
        exposition: &Exposition<'_>,
        at: i64,
        told_by: &str,
        watch: bool,
        target: impl FnOnce(usize) -> Target,
    ) -> usize {
        let key = exposition.samples_of(told_by).next().map(|sample| sample.value());
        let counters = if watch { counters(exposition) } else { BTreeMap::new() };
        // What stands for scrapes that failed before anybody answered is whoever answers first.
        self.known.retain(|instance| instance.scrapes > 0);
        let began = *self.began.get_or_insert(at);
        let same = |other: &Instance| match (other.key, key) {
            (None, None) => true,
            (Some(other), Some(key)) => other.to_bits() == key.to_bits(),
            (None, Some(_)) | (Some(_), None) => false,
        };
        let found = self.known.iter().position(same);
        let index = found.unwrap_or_else(|| {
            let target = target(self.known.len());
            #[expect(clippy::cast_possible_truncation, reason = "a time; what is no time is not within the window")]
            let born = key.map(|seconds| (seconds * 1000.0) as i64).filter(|born| (began..=at).contains(born));
            self.known.push(Instance {
                key,
                scrapes: 0,
                target,
                first: at,
                last: at,
                born,
                counters: BTreeMap::new(),
                is_replaced: false,
            });
            self.known.len() - 1
        });
        // What one that was met long ago counted takes memory, and tells nothing any more.
        let newest = self.known.len().saturating_sub(COUNTED);
        for (number, instance) in self.known.iter_mut().enumerate() {
            if number < newest && number != index {
                instance.counters = BTreeMap::new();
            }
        }
        let instance = &mut self.known[index];
        if let Some(name) = instance.fallen(&counters) {
            self.fell.get_or_insert(name);
        }
        instance.scrapes += 1;
        (instance.last, instance.counters, instance.is_replaced) = (at, counters, false);
        self.newest = if self.newest.0 == index { (index, self.newest.1 + 1) } else { (index, 1) };
        index
    }

    /// The labels of an instance's target.
    pub(super) fn labels(&self, index: usize) -> Vec<(&str, &str)> {
        self.known.get(index).into_iter().flat_map(|instance| instance.target.labels()).collect()
    }

    /// Stores what an instance answered, and ends the series of those that are gone.
    ///
    /// # Errors
    /// More than can be kept.
    pub(super) fn store(
        &mut self,
        index: usize,
        storage: &mut Storage,
        exposition: &Exposition<'_>,
        at: i64,
    ) -> Result<(), Full> {
        let (first, born) = (self.known[index].first, self.known[index].born);
        // A process that started while the others were watched, and answers alone since then, has taken their place.
        let replaces = born.is_some() && self.newest.1 > 1;
        for (number, instance) in self.known.iter_mut().enumerate() {
            if number == index {
                if let Some(born) = born.filter(|_| instance.scrapes == 1) {
                    let counting = counting(exposition);
                    instance.target.started(storage, exposition, born, |sample| counting.contains(&*sample.name()))?;
                }
                instance.target.scraped(storage, exposition, at)?;
            } else if !instance.is_replaced && (at - instance.last > GONE || (replaces && instance.last < first)) {
                instance.is_replaced = true;
                instance.target.removed(storage, at)?;
            }
        }
        Ok(())
    }

    /// Notes a scrape that failed: what was known has no value from then on. What is too much to be kept is told of when there
    /// is something to keep.
    pub(super) fn missed(&mut self, storage: &mut Storage, at: i64, target: impl FnOnce() -> Target) {
        if self.known.is_empty() {
            let (key, counters) = (None, BTreeMap::new());
            self.known.push(Instance {
                key,
                scrapes: 0,
                target: target(),
                first: at,
                last: at,
                born: None,
                counters,
                is_replaced: false,
            });
        }
        for instance in self.known.iter_mut().filter(|instance| !instance.is_replaced) {
            let _ = instance.target.failed(storage, at);
        }
    }

    /// What a person should know of them; `name` is that of the side, and `told_by` the series that tells instances apart.
    pub(super) fn notes(&self, name: &str, told_by: &str) -> Vec<Observation> {
        let scrapes: Vec<String> = self.known.iter().map(|instance| instance.scrapes.to_string()).collect();
        let restarts = self.known.iter().filter(|instance| instance.is_replaced).count();
        let detail = match scrapes.as_slice() {
            [only] if only == "1" => "one instance answered the one scrape that did not fail".into(),
            [only] => format!("one instance answered all {only} scrapes"),
            several if restarts > 0 => format!(
                "the process restarted in mid-window: instances started anew and took the place of {restarts} that answered before \
                 ({} scrapes of each in turn)",
                several.join(", ")
            ),
            several => format!(
                "{} instances answered, with {} scrapes: each is a series of its own, and rates are of what it gave",
                several.len(),
                several.join(", ")
            ),
        };
        // One that restarts all the time has no rate, and neither have so many that none answers twice.
        let scattered = self.known.len() > 2 && self.known.iter().all(|instance| instance.scrapes == 1);
        let status = if scattered || restarts > 0 { Status::Warn } else { Status::Pass };
        let mut notes = vec![Observation::note(name, status, detail)];
        if let Some(counter) = &self.fell {
            let detail = format!(
                "{counter} went down between two scrapes, and {told_by} does not tell instances apart: the rates may mix several"
            );
            notes.push(Observation::note("instances", Status::Warn, detail));
        }
        notes
    }
}

impl Instance {
    /// A counter that is lower than it was.
    fn fallen(&self, counters: &BTreeMap<String, f64>) -> Option<String> {
        let fell = |(name, before): &(&String, &f64)| counters.get(*name).is_some_and(|now| now < *before);
        self.counters.iter().find(fell).map(|(name, _)| name.clone())
    }
}

/// The sums of all counters, by their names.
fn counters(exposition: &Exposition<'_>) -> BTreeMap<String, f64> {
    let is_counter = |name: &str| {
        let family = if exposition.format() == Format::OpenMetrics { name.strip_suffix("_total") } else { Some(name) };
        let kind = family.and_then(|family| exposition.kind_of(family));
        kind == Some(Kind::Counter) && !name.ends_with("_created")
    };
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for (name, samples) in exposition.runs().filter(|(name, _)| is_counter(name)) {
        let sum: f64 = samples.map(|sample| sample.value()).sum();
        match sums.get_mut(&*name) {
            Some(known) => *known += sum,
            None => drop(sums.insert(name.into_owned(), sum)),
        }
    }
    sums
}

/// The names of series that are 0 when a process starts.
fn counting(exposition: &Exposition<'_>) -> HashSet<String> {
    named(exposition, |kind| match kind {
        Kind::Counter => kind.suffixes(exposition.format()),
        Kind::Histogram => &["_bucket", "_count", "_sum"],
        Kind::Summary => &["_count", "_sum"],
        _ => &[],
    })
}

fn named(exposition: &Exposition<'_>, endings: impl Fn(Kind) -> &'static [&'static str]) -> HashSet<String> {
    let families = exposition.families().iter().filter_map(|family| Some((&family.name, family.kind?)));
    let names = families.flat_map(|(name, kind)| endings(kind).iter().map(move |ending| format!("{name}{ending}")));
    names.filter(|name| !name.ends_with("_created")).collect()
}

#[cfg(test)]
mod tests {
    use promeval::number::format_value as shown;
    use promeval::promql::parse;
    use promeval::{Evaluator, Value};

    use super::*;

    /// What an expression gives after scrapes a second apart, from 1000 s on.
    fn after(scrapes: &[(f64, f64)], source: &str) -> String {
        let (mut instances, mut storage) = (Instances::default(), Storage::default());
        let mut at = 1_000_000;
        for (started, errors) in scrapes {
            let text =
                format!("# TYPE start gauge\nstart {started}\n# TYPE e_total counter\ne_total {errors}\ng {errors}\n");
            let exposition = Exposition::parse(text.as_bytes(), Format::Prometheus).unwrap();
            let target = |number: usize| Target::new([("instance", number.to_string())]);
            let index = instances.met(&exposition, at, "start", true, target);
            instances.store(index, &mut storage, &exposition, at).unwrap();
            at += 1000;
        }
        match Evaluator::new(&storage, at - 1000).value(&parse(source).unwrap()).unwrap() {
            Value::Vector(elements) => {
                elements.iter().map(|element| shown(element.value)).collect::<Vec<_>>().join(" ")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_process_that_restarts_takes_the_place_of_the_one_before() {
        let restarted = [(900.0, 0.0), (900.0, 0.0), (1001.5, 50.0), (1001.5, 50.0), (1001.5, 50.0)];
        assert_eq!(after(&restarted, "sum(increase(e_total[5s])) > bool 40"), "1");
        assert_eq!(after(&restarted, "count(g)"), "1");
        assert_eq!(after(&restarted, "avg(g)"), "50");
        // Both live: neither takes the other's place.
        let beside = [(900.0, 7.0), (1000.5, 1.0), (900.0, 7.0), (1000.5, 1.0)];
        assert_eq!(after(&beside, "sum(e_total)"), "8");
        // Seen once only, nothing says that the other one is gone.
        assert_eq!(after(&[(900.0, 7.0), (1000.5, 1.0)], "sum(e_total)"), "8");
    }
}
