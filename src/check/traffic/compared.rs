//! The canary beside the stable revision: what came of the same request, asked of both within half a period.

use std::collections::{BTreeMap, HashMap};

use super::drive::Sent;
use super::limits::time;
use crate::judge::compare::{
    Comparison, Decision, Finding, Judgement, Measure, Pair, Settings, Side as PairSide, Stop,
};
use crate::judge::quantile::Sorted;
use crate::judge::shape::{Noise, Shape, Weight, compare, noise};
use crate::outcome::{
    Answered, IntervalSeen, IntervalUnit, Observation, Seen, Side, Status, ThresholdVerdict, ValueNow,
};
use crate::plan::{Compare, Traffic};
use crate::text;

/// How often a difference is seen before it is one of the revisions, and not of a moment: less often only where every pair has it.
const SEEN: usize = 3;

/// How many differences a sentence shows.
const SHOWN: usize = 3;

/// After how many pairs it is looked at whether a difference that is proven is large enough.
const LOOKED_AT: usize = 16;

/// What a pair has so far.
#[derive(Default)]
struct Half {
    canary: Option<Answer>,
    stable: Option<Answer>,
}

struct Answer {
    side: PairSide,
    /// Whether it came at the second time of asking.
    was_cut_off: bool,
    /// Of a good answer: what is not good is judged as that.
    shape: Option<Shape>,
}

/// The shapes of the answers to one request.
#[derive(Default)]
struct Shapes {
    /// Stable's newest.
    stable: Option<Shape>,
    /// How often a place differed between one of stable's answers and the next.
    noise: BTreeMap<String, usize>,
    /// Objects of stable whose keys are no part of their shape.
    maps: Noise,
    /// How many pairs had an answer of both that can be compared.
    pairs: usize,
    /// Of how many the keys and types of JSON are known.
    json: usize,
    /// What differed, by its place: the pair that showed it first, and how many did.
    differences: BTreeMap<String, Difference>,
}

struct Difference {
    weight: Weight,
    sentence: String,
    canary: Shape,
    stable: Shape,
    count: usize,
}

/// The pairs so far.
pub(super) struct Compared {
    /// Of all pairs: which side fails more often.
    errors: Comparison,
    /// Of the pairs that both answered well: a failure of either is no latency.
    latency: Comparison,
    open: HashMap<usize, Half>,
    /// How many are complete.
    pairs: usize,
    /// By the request's index.
    shapes: BTreeMap<usize, Shapes>,
    /// The latencies of the canary and of stable, in seconds, where both answered well.
    latencies: Vec<(f64, f64)>,
    /// The smallest difference that matters, in seconds.
    matters: f64,
}

impl Compared {
    pub(super) fn new(traffic: &Traffic, seed: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most some hundred thousand")]
        let planned = (traffic.rate * traffic.duration.as_secs_f64() / 2.0) as usize;
        let settings = Settings::new(planned.max(1), seed);
        Self {
            errors: Comparison::new(settings),
            latency: Comparison::new(settings),
            open: HashMap::new(),
            pairs: 0,
            shapes: BTreeMap::new(),
            latencies: Vec::new(),
            matters: traffic.min_difference.as_secs_f64(),
        }
    }

    /// Takes what came of a request; true where the canary is proven to be bad already.
    pub(super) fn take(&mut self, sent: Sent) -> bool {
        let Sent { seen, shape } = sent;
        if seen.is_warm_up {
            return false;
        }
        let Answered { pair, request, side, .. } = seen;
        let failed = seen.failure.is_some();
        // What a server in trouble answers has no shape of its own.
        let in_trouble = |status| matches!(status, 408 | 425 | 429 | 500..);
        let shape = shape.filter(|shape| !failed || !in_trouble(shape.status));
        let own = PairSide { latency: seen.latency.as_secs_f64(), failed };
        let answered = Answer { side: own, was_cut_off: seen.was_cut_off, shape };
        let half = self.open.entry(pair).or_default();
        match side {
            Side::Canary => half.canary = Some(answered),
            Side::Stable => half.stable = Some(answered),
        }
        if half.canary.is_none() || half.stable.is_none() {
            return false;
        }
        let Some(Half { canary: Some(canary), stable: Some(stable) }) = self.open.remove(&pair) else { return false };
        self.pairs += 1;
        // Whoever does not ask once more sees an error there.
        let as_sent = |answer: &Answer| PairSide { failed: answer.side.failed || answer.was_cut_off, ..answer.side };
        let as_sent = Pair { canary: as_sent(&canary), stable: as_sent(&stable) };
        // What stable answers wrongly is no model.
        let model = stable.shape.filter(|_| !stable.side.failed);
        self.shapes.entry(request).or_default().add(canary.shape, model);
        if self.errors.take(as_sent, false) == Some(Stop::Errors) {
            return true;
        }
        if canary.side.failed || stable.side.failed {
            return false;
        }
        self.latencies.push((canary.side.latency, stable.side.latency));
        // Not with each pair: it takes all of them.
        let looks = self.latencies.len().is_multiple_of(LOOKED_AT);
        let pair = Pair { canary: canary.side, stable: stable.side };
        self.latency.take(pair, looks) == Some(Stop::Latency) && !self.is_too_little(self.difference(Measure::Latency))
    }

    /// How many pairs are complete.
    pub(super) fn pairs(&self) -> usize {
        self.pairs
    }

    /// How much slower the canary is by now, where that can be told.
    pub(super) fn by_now(&self) -> Option<ValueNow> {
        let said = Some(signed(self.difference(Measure::Latency)?));
        let name = "latency beside stable".to_owned();
        Some(ValueNow { name, verdict: ThresholdVerdict::Pass, value: None, said, wanted: None })
    }

    fn judge(&self) -> Judgement {
        Judgement { errors: self.errors.judge().errors, ..self.latency.judge() }
    }

    /// By how much the canary is slower where both answer well, in seconds.
    fn difference(&self, measure: Measure) -> Option<f64> {
        let quantile = |share: f64, of: fn(&(f64, f64)) -> f64| {
            Sorted::new(self.latencies.iter().map(of).collect())?.quantile(share)
        };
        let between = |share| Some(quantile(share, |pair| pair.0)? - quantile(share, |pair| pair.1)?);
        match measure {
            // The mean: of several requests, one may be much slower and the typical one not at all.
            Measure::Latency => {
                let sum: f64 = self.latencies.iter().map(|pair| pair.0 - pair.1).sum();
                #[expect(clippy::cast_precision_loss, reason = "some hundred thousand")]
                let count = self.latencies.len() as f64;
                (count > 0.0).then(|| sum / count)
            }
            Measure::P95 => between(0.95),
            Measure::P99 => between(0.99),
            Measure::Errors => None,
        }
    }

    /// Whether a difference of the two, in seconds, is less than matters.
    fn is_too_little(&self, difference: Option<f64>) -> bool {
        difference.is_some_and(|difference| difference.abs() < self.matters)
    }

    /// Whether more pairs may prove what is not proven yet. The tails are told and not waited for: proving them takes tens of
    /// thousands of pairs.
    pub(super) fn is_unproven(&self) -> bool {
        let Judgement { latency, errors, .. } = self.judge();
        [latency, errors].iter().any(|finding| {
            let is_open = finding.decision == Decision::Unproven && finding.needed.is_some();
            is_open && !self.is_too_little(self.difference(finding.measure))
        })
    }

    /// What the pairs say; `names` are those of the requests.
    pub(super) fn observations(&self, names: &[String], traffic: &Traffic) -> Vec<Observation> {
        let judgement = self.judge();
        let findings = judgement.findings().into_iter().map(|finding| self.compared(finding, traffic));
        findings.chain([self.shape(names, traffic)]).collect()
    }

    fn compared(&self, finding: &Finding, traffic: &Traffic) -> Observation {
        let is_tail = matches!(finding.measure, Measure::P95 | Measure::P99);
        let difference = self.difference(finding.measure);
        let is_too_little = self.is_too_little(difference);
        let status = match finding.decision {
            Decision::Fail | Decision::Healed | Decision::Unproven if is_too_little => Status::Pass,
            Decision::Pass => Status::Pass,
            Decision::Healed => Status::Warn,
            Decision::Fail => Status::Fail,
            // Proven to be beyond what a pass would prove, and not surely enough for a failure.
            Decision::Unproven if is_tail && finding.interval.0 > finding.bound => Status::Warn,
            Decision::Unproven if is_tail => Status::Pass,
            Decision::Unproven => traffic.on_unproven.status(),
        };
        let name = format!("{} beside stable", finding.measure.name());
        let sentence = finding.sentence();
        let mut detail =
            sentence.strip_prefix(finding.measure.name()).unwrap_or(&sentence).trim_start_matches(": ").to_owned();
        if let Some(difference) = difference.filter(|_| finding.decision != Decision::Pass) {
            detail += &format!(" ({}", signed(difference));
            detail += if is_too_little { ", less than matters)" } else { ")" };
        }
        let mut observation = Observation::new(Seen::Measure, name, status, detail);
        let shown = |value: f64| match finding.measure {
            Measure::Errors => format!("{:+.2} %", 100.0 * value),
            Measure::Latency | Measure::P95 | Measure::P99 if value > 1000.0 => "over 1000×".into(),
            Measure::Latency | Measure::P95 | Measure::P99 => format!("{value:.2}×"),
        };
        observation.interval = Some(Box::new(IntervalSeen {
            unit: if finding.measure == Measure::Errors { IntervalUnit::Share } else { IntervalUnit::Ratio },
            estimate: finding.estimate,
            low: finding.interval.0,
            high: finding.interval.1,
            tolerated: finding.tolerated,
            bound: finding.bound,
            pairs: finding.n,
        }));
        observation.expected = Some(format!("<= {}", shown(finding.bound)));
        observation.actual = finding.estimate.is_finite().then(|| shown(finding.estimate));
        observation
    }

    fn shape(&self, names: &[String], traffic: &Traffic) -> Observation {
        let name = |request: usize| names.get(request).map_or("", String::as_str);
        let (mut broken, mut hollow) = (Vec::new(), Vec::new());
        for (request, shapes) in &self.shapes {
            let what = name(*request);
            for (weight, why) in shapes.broken() {
                if weight == Weight::Hollow { &mut hollow } else { &mut broken }.push(format!("{what}: {why}"));
            }
        }
        let pairs: usize = self.shapes.values().map(|shapes| shapes.pairs).sum();
        let json: usize = self.shapes.values().map(|shapes| shapes.json).sum();
        let unseen =
            (0..traffic.requests.len()).filter(|request| self.shapes.get(request).is_none_or(Shapes::is_unseen));
        let unseen: Vec<&str> = unseen.map(name).collect();
        let (status, detail) = if !broken.is_empty() {
            (Status::Fail, text::joined(broken, SHOWN, "; "))
        } else if pairs == 0 {
            // Where it must be compared, there was nothing to compare with.
            let status =
                if matches!(traffic.compare, Compare::On(_)) { Status::Error } else { traffic.on_unproven.status() };
            (status, "unproven: no pair was answered well by both".into())
        } else if !unseen.is_empty() {
            let unseen = text::joined(unseen, SHOWN, ", ");
            (traffic.on_unproven.status(), format!("unproven: too few pairs were answered by both of {unseen}"))
        } else if !hollow.is_empty() {
            (Status::Warn, text::joined(hollow, SHOWN, "; "))
        } else {
            let json = if json > 0 { format!(", keys and types of JSON in {json} of them") } else { String::new() };
            let pairs = text::counted(pairs, "pair");
            (Status::Pass, format!("status and media type are those of stable, over {pairs}{json}"))
        };
        Observation::new(Seen::Measure, "shape beside stable", status, detail)
    }
}

/// A difference of latencies in words.
fn signed(difference: f64) -> String {
    let sign = if difference < 0.0 { "-" } else { "+" };
    format!("{sign}{}", time(difference.abs()))
}

impl Shapes {
    fn add(&mut self, canary: Option<Shape>, stable: Option<Shape>) {
        let Some(stable) = stable else { return };
        if let Some(before) = self.stable.replace(stable.clone()) {
            let noise = noise(&before, &stable);
            for place in noise.places() {
                *self.noise.entry(place.to_owned()).or_default() += 1;
            }
            self.maps.add(noise.maps_only());
        }
        let Some(canary) = canary else { return };
        self.pairs += 1;
        self.json += usize::from(canary.is_json() && stable.is_json());
        let differences = compare(&canary, &stable, &Noise::default()).into_iter();
        for found in differences.filter(|found| found.weight != Weight::New) {
            let known = self.differences.entry(found.place).or_insert_with(|| Difference {
                weight: found.weight,
                sentence: found.sentence,
                canary: canary.clone(),
                stable: stable.clone(),
                count: 0,
            });
            known.count += 1;
        }
    }

    /// Whether there are too few answers to tell a difference of the revisions from one of a moment.
    fn is_unseen(&self) -> bool {
        self.pairs < 2
    }

    /// What differs again and again, and far more often than two answers of stable do; what is only empty in all of the canary's.
    fn broken(&self) -> impl Iterator<Item = (Weight, String)> {
        let is_known = |place: &str, found: &Difference| {
            compare(&found.canary, &found.stable, &self.maps).iter().any(|other| other.place == *place)
        };
        let noise = |place: &str| {
            let around = self.noise.iter().filter(|(noisy, _)| place.starts_with(noisy.as_str()));
            around.map(|(_, count)| *count).max().unwrap_or(0)
        };
        let broken = self.differences.iter().filter(move |(place, found)| {
            let enough = match found.weight {
                Weight::Hollow => self.pairs.max(SEEN),
                Weight::Breaks | Weight::New => SEEN.min(self.pairs.max(2)),
            };
            found.count >= enough && found.count > 4 * noise(place) && is_known(place, found)
        });
        broken.map(|(_, found)| {
            (found.weight, format!("{} (in {} of {} pairs)", found.sentence, found.count, self.pairs))
        })
    }
}
