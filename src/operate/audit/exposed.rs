//! What the application exposes: the families are there, their counters move, and the histograms are well formed. Two scrapes of
//! one instance.

use std::collections::{BTreeMap, BTreeSet};

use promeval::exposition::{Exposition, Format, Kind, Summary};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::Audit;
use super::row::Seen;
use super::subject::Subject;
use crate::check::{Alone, ScrapeAlone};
use crate::outcome::{CheckId, Observation, Observer, Seen as SeenAs, Status};
use crate::plan::{self, MetricsSource};
use crate::text;

/// How many scrapes are taken until one instance was met twice.
const MOST_SCRAPES: u32 = 6;

/// How many bad histograms are told of.
const SHOWN: usize = 5;

/// What one scrape says.
#[derive(Debug)]
struct Digest {
    /// Which of the wanted families are not declared.
    missing: Vec<String>,
    /// Which of the counters that must move are not there.
    absent: Vec<String>,
    /// The sum over the series of every counter, by the name of its samples.
    counters: BTreeMap<String, f64>,
    /// Tells one instance from another; nothing where the application does not say.
    instance: Option<u64>,
    /// What is wrong with histograms.
    malformed: Vec<(String, String)>,
    histograms: usize,
    samples: usize,
}

impl Audit<'_> {
    pub(super) async fn exposed(&self, subject: &Subject, check: Option<CheckId>, observer: &dyn Observer) -> Seen {
        let (Some(spec), Some(check)) = (self.spec("metrics"), check) else {
            return Seen::none("the plan has no metrics");
        };
        let plan::Kind::Metrics(metrics) = &spec.kind else { return Seen::none("the plan has no metrics") };
        if !spec.policy.enabled {
            return Seen::not_asked("metrics are switched off in the checks file");
        }
        if let MetricsSource::Prometheus(..) = metrics.source {
            return Seen::not_asked("the metrics come from a Prometheus server, and not from a scrape");
        }
        let client = match self.service_client(subject) {
            Ok(client) => client,
            Err(why) => return Seen::none(why),
        };
        let alone = Alone { spec, client: &client, access: &self.access, observer, check, deadline: self.deadline };
        let Some(scraper) = alone.scraper() else { return Seen::none("the plan has no metrics") };
        self.twice(&alone, scraper, &metrics.instance).await
    }

    /// Scrapes until one instance was met twice, and compares these scrapes.
    async fn twice(&self, alone: &Alone<'_>, mut scraper: ScrapeAlone, instance: &str) -> Seen {
        let checklist = &self.plan.audit;
        let wanted = Wanted {
            families: checklist.families.clone(),
            moving: checklist.moving.clone(),
            instance: instance.to_owned(),
        };
        let mut before: Vec<Digest> = Vec::new();
        for scrape in 1..=MOST_SCRAPES {
            let digest = match digest(alone, &mut scraper, &wanted).await {
                Ok(digest) => digest,
                Err((status, why)) => {
                    let seen = if status == Status::Fail { Seen::bad(why) } else { Seen::none(why) };
                    return seen.attempted(scrape);
                }
            };
            if let Some(seen) = digest.lacks() {
                return seen.attempted(scrape);
            }
            if let Some(first) = before.iter().find(|first| first.instance == digest.instance) {
                return compared(first, &digest, checklist).attempted(scrape);
            }
            before.push(digest);
            // The first wait is what counters are watched for; later ones only look for the same instance again.
            let waits = if scrape == 1 { 1 } else { MOST_SCRAPES };
            sleep(checklist.interval / waits).await;
        }
        Seen::none(format!(
            "{MOST_SCRAPES} scrapes met {MOST_SCRAPES} instances, none of them twice: whether counters move is not seen"
        ))
        .attempted(MOST_SCRAPES)
    }
}

/// What is looked for in a scrape.
#[derive(Clone)]
struct Wanted {
    families: Vec<String>,
    moving: Vec<String>,
    instance: String,
}

/// One scrape, digested beside the thread of the I/O.
///
/// # Errors
/// Why there is none, and whether that is a failure of the application.
async fn digest(alone: &Alone<'_>, scraper: &mut ScrapeAlone, wanted: &Wanted) -> Result<Digest, (Status, String)> {
    let (body, format) = scraper.scrape(alone).await?;
    let wanted = wanted.clone();
    let read = spawn_blocking(move || Digest::read(&body, format.unwrap_or(Format::Prometheus), &wanted));
    let read = read.await.map_err(|_| (Status::Error, "the scrape could not be read".to_owned()))?;
    read.map_err(|why| (Status::Fail, format!("the exposition is malformed: {why}")))
}

impl Digest {
    fn read(body: &[u8], format: Format, wanted: &Wanted) -> Result<Self, String> {
        let exposition = Exposition::parse(body, format).map_err(|error| error.to_string())?;
        let summary = Summary::new(&exposition);
        let is_declared = |name: &&String| !summary.declares(name);
        let mut counters = BTreeMap::new();
        let mut malformed = Vec::new();
        let mut histograms = 0;
        for family in exposition.families() {
            match family.kind {
                Some(Kind::Counter) => {
                    let name = samples_name(&family.name, &summary);
                    let sum = exposition.samples_of(&name).map(|sample| sample.value()).sum::<f64>();
                    counters.insert(name, sum);
                }
                Some(Kind::Histogram) => {
                    histograms += 1;
                    malformed.extend(histogram(&exposition, &family.name).err().map(|why| (family.name.clone(), why)));
                }
                _ => {}
            }
        }
        let instance = exposition.samples_of(&wanted.instance).next().map(|sample| sample.value().to_bits());
        Ok(Self {
            missing: wanted.families.iter().filter(is_declared).cloned().collect(),
            absent: wanted.moving.iter().filter(|name| !counters.contains_key(*name)).cloned().collect(),
            counters,
            instance,
            malformed,
            histograms,
            samples: summary.samples(),
        })
    }

    /// What one scrape alone shows to be bad.
    fn lacks(&self) -> Option<Seen> {
        let observed = |name: &str, why: &str| Observation::new(SeenAs::Family, name, Status::Fail, why);
        if !self.missing.is_empty() {
            let shown = text::joined(&self.missing, 5, ", ");
            let all = self.missing.iter().map(|name| observed(name, "is not exposed"));
            let count = if self.missing.len() == 1 {
                "1 family is".into()
            } else {
                format!("{} families are", self.missing.len())
            };
            return Some(Seen::bad(format!("{count} not exposed: {shown}")).seeing(all.collect()));
        }
        if self.samples == 0 {
            return Some(Seen::bad("the exposition holds no sample"));
        }
        if let Some((name, why)) = self.malformed.first() {
            let all = self.malformed.iter().take(SHOWN).map(|(name, why)| observed(name, why));
            return Some(Seen::bad(format!("the histogram {name} is malformed: {why}")).seeing(all.collect()));
        }
        let absent = self.absent.first()?;
        Some(Seen::bad(format!("{absent}, which must move, is no counter that is exposed")))
    }
}

/// The name that the samples of a counter have.
fn samples_name(family: &str, summary: &Summary) -> String {
    let total = format!("{family}_total");
    if summary.samples_of(family) == 0 && summary.samples_of(&total) > 0 { total } else { family.to_owned() }
}

/// What two scrapes of one instance say.
fn compared(first: &Digest, then: &Digest, checklist: &plan::Audit) -> Seen {
    let grown = |name: &str| match (first.counters.get(name), then.counters.get(name)) {
        (Some(first), Some(then)) => then > first,
        // A series that was not there before has counted.
        (None, Some(then)) => *then > 0.0,
        (_, None) => false,
    };
    let fell = then.counters.iter().find(|(name, then)| first.counters.get(*name).is_some_and(|first| *then < first));
    if let Some((name, _)) = fell {
        let what = format!("the counter {name} went down between two scrapes");
        // Behind a load balancer the second one may be of another instance.
        return match then.instance {
            Some(_) => Seen::bad(format!("{what} of one instance")),
            None => Seen::none(format!("{what}, and nothing that is exposed tells whether another instance answered")),
        };
    }
    let interval = text::duration(checklist.interval);
    if let Some(stuck) = checklist.moving.iter().find(|name| !grown(name)) {
        return Seen::bad(format!("the counter {stuck} did not move in {interval}"));
    }
    let own: BTreeSet<&str> = checklist
        .families
        .iter()
        .flat_map(|family| [family.as_str(), family.strip_suffix("_total").unwrap_or(family)])
        .collect();
    // Where none is named, all of them are looked at.
    let of_the_families = |name: &str| {
        own.is_empty() || own.contains(name) || name.strip_suffix("_total").is_some_and(|family| own.contains(family))
    };
    let moved = then.counters.keys().filter(|name| of_the_families(name) && grown(name)).count();
    let families = text::counted(checklist.families.len(), "family").replace("familys", "families");
    let histograms = text::counted(then.histograms, "histogram");
    if moved > 0 || !checklist.moving.is_empty() {
        let moved = moved.max(checklist.moving.len());
        return Seen::good(format!(
            "{families} exposed, {} moved in {interval}, {histograms} well formed",
            text::counted(moved, "counter")
        ));
    }
    if !then.counters.keys().any(|name| of_the_families(name)) {
        return Seen::good(format!("{families} exposed, no counter among them; {histograms} well formed"));
    }
    let alive = then.counters.keys().any(|name| grown(name));
    let why = if alive {
        "others did: nobody used what they count"
    } else {
        "no other did: they may be frozen, or nobody uses the application"
    };
    Seen::nothing(format!("{families} exposed, and none of their counters moved in {interval}; {why}"))
}

/// What one series of a histogram has.
#[derive(Default)]
struct Buckets {
    /// Bounds and counts.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    has_sum: bool,
}

/// # Errors
/// What is wrong with the first series that is malformed.
fn histogram(exposition: &Exposition<'_>, family: &str) -> Result<(), String> {
    let [bucket, count, sum] = ["_bucket", "_count", "_sum"].map(|ending| format!("{family}{ending}"));
    let mut series: BTreeMap<Vec<(String, String)>, Buckets> = BTreeMap::new();
    let labels_of = |sample: &promeval::exposition::Sample<'_>| {
        let labels = sample.labels().filter(|(name, _)| name != "le");
        let mut labels: Vec<(String, String)> =
            labels.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
        labels.sort();
        labels
    };
    for sample in exposition.samples_of(&bucket) {
        let bound = sample.labels().find(|(name, _)| name == "le").map(|(_, value)| value.into_owned());
        let bound = bound.ok_or("a bucket has no bound (le)")?;
        let bound = promeval::number::parse_float(&bound)
            .filter(|bound| !bound.is_nan())
            .ok_or_else(|| format!("le={bound:?} is not a bound"))?;
        series.entry(labels_of(&sample)).or_default().buckets.push((bound, sample.value()));
    }
    for sample in exposition.samples_of(&count) {
        series.entry(labels_of(&sample)).or_default().count = Some(sample.value());
    }
    for sample in exposition.samples_of(&sum) {
        series.entry(labels_of(&sample)).or_default().has_sum = true;
    }
    series.into_iter().try_for_each(|(labels, buckets)| {
        let of = if labels.is_empty() {
            String::new()
        } else {
            let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
            format!(" of {{{}}}", text::joined(&pairs, 4, ", "))
        };
        buckets.judge().map_err(|why| format!("{why}{of}"))
    })
}

impl Buckets {
    fn judge(mut self) -> Result<(), String> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let Some((bound, all)) = self.buckets.last().copied() else { return Err("there are no buckets".into()) };
        if bound != f64::INFINITY {
            return Err("the bucket le=\"+Inf\" is missing".into());
        }
        if self.buckets.iter().any(|(_, count)| count.is_nan() || *count < 0.0) {
            return Err("a bucket counts less than nothing, or is NaN".into());
        }
        if let Some(pair) = self.buckets.windows(2).find(|pair| pair[1].1 < pair[0].1) {
            return Err(format!(
                "the bucket le=\"{}\" counts {}, and the one below it {}",
                pair[1].0, pair[1].1, pair[0].1
            ));
        }
        match self.count {
            None => Err("there is no _count".into()),
            Some(count) if count.to_bits() != all.to_bits() => {
                Err(format!("_count is {count}, and the bucket le=\"+Inf\" counts {all}"))
            }
            Some(_) if !self.has_sum && self.buckets.first().is_some_and(|(bound, _)| *bound >= 0.0) => {
                Err("there is no _sum".into())
            }
            Some(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn malformed(text: &str) -> Option<String> {
        let wanted = Wanted { families: Vec::new(), moving: Vec::new(), instance: String::new() };
        match Digest::read(text.as_bytes(), Format::Prometheus, &wanted) {
            Ok(digest) => digest.malformed.first().map(|(_, why)| why.clone()),
            Err(why) => Some(why),
        }
    }

    #[test]
    fn a_histogram_is_whole_or_malformed() {
        let head = "# TYPE h histogram\n";
        for (lines, wanted) in [
            ("h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\n", None),
            ("h_bucket{a=\"x\",le=\"+Inf\"} 3\nh_sum{a=\"x\"} 4\nh_count{a=\"x\"} 3\n", None),
            ("", None),
            ("h_bucket{le=\"1\"} 2\nh_sum 4\nh_count 2\n", Some("le=\"+Inf\" is missing")),
            (
                "h_bucket{le=\"1\"} 4\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 3\n",
                Some("counts 3, and the one below it 4"),
            ),
            ("h_bucket{le=\"+Inf\"} 3\nh_sum 4\nh_count 2\n", Some("_count is 2")),
            ("h_bucket{le=\"+Inf\"} 3\nh_sum 4\n", Some("no _count")),
            ("h_bucket{le=\"+Inf\"} 3\nh_count 3\n", Some("no _sum")),
            ("h_bucket{le=\"+Inf\"} NaN\nh_sum 4\nh_count NaN\n", Some("NaN")),
            ("h_bucket{le=\"x\"} 3\nh_sum 4\nh_count 3\n", Some("the le label \"x\" is not a number")),
            ("h_sum 4\nh_count 3\n", Some("no buckets")),
        ] {
            let found = malformed(&format!("{head}{lines}"));
            let is_as_wanted = match (wanted, &found) {
                (None, None) => true,
                (Some(piece), Some(why)) => why.contains(piece),
                _ => false,
            };
            assert!(is_as_wanted, "{lines}: {found:?}, want {wanted:?}");
        }
    }
}
