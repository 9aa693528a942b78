//! The canary beside the stable revision: what came of the same request, asked of both within half a period.

use std::collections::{BTreeMap, HashMap};

use super::drive::Sent;
use super::limits::time;
use crate::http::Client;
use crate::judge::compare::{
    Comparison, Decision, Finding, Judgement, Measure, Pair, Settings, Side as PairSide, Stop,
};
use crate::judge::quantile::Sorted;
use crate::judge::shape::{Noise, Shape, compare, noise};
use crate::outcome::{Observation, Seen, Side, Status};
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
    canary: Option<Answered>,
    stable: Option<Answered>,
}

struct Answered {
    side: PairSide,
    /// Of a good answer: what is not good is judged as that.
    shape: Option<Shape>,
}

/// The shapes of the answers to one request.
#[derive(Default)]
struct Shapes {
    /// Stable's newest.
    stable: Option<Shape>,
    /// What differs between one of stable's answers and the next.
    noise: Noise,
    /// How many pairs had a good answer of both.
    pairs: usize,
    /// What differed, by its place: the pair that showed it first, and how many did.
    differences: BTreeMap<String, Difference>,
}

struct Difference {
    sentence: String,
    canary: Shape,
    stable: Shape,
    count: usize,
}

/// The pairs so far.
pub(super) struct Compared {
    comparison: Comparison,
    open: HashMap<usize, Half>,
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
            comparison: Comparison::new(settings),
            open: HashMap::new(),
            shapes: BTreeMap::new(),
            latencies: Vec::new(),
            matters: traffic.min_difference.as_secs_f64(),
        }
    }

    /// Takes what came of a request; true where the canary is proven to be bad already.
    pub(super) fn take(&mut self, sent: Sent) -> bool {
        if sent.is_warm_up {
            return false;
        }
        let (pair, request, side) = (sent.due.pair, sent.due.request, sent.due.side);
        let failed = sent.failure.is_some();
        let shape = sent.shape.filter(|_| !failed);
        let answered = Answered { side: PairSide { latency: sent.latency, failed }, shape };
        let half = self.open.entry(pair).or_default();
        match side {
            Side::Canary => half.canary = Some(answered),
            Side::Stable => half.stable = Some(answered),
        }
        if half.canary.is_none() || half.stable.is_none() {
            return false;
        }
        let Some(Half { canary: Some(canary), stable: Some(stable) }) = self.open.remove(&pair) else { return false };
        self.shapes.entry(request).or_default().add(canary.shape, stable.shape);
        if !canary.side.failed && !stable.side.failed {
            self.latencies.push((canary.side.latency, stable.side.latency));
        }
        match self.comparison.push(Pair { canary: canary.side, stable: stable.side }) {
            Some(Stop::Errors) => true,
            // Not with each pair: it takes all of them.
            Some(Stop::Latency) => {
                self.latencies.len().is_multiple_of(LOOKED_AT) && !self.is_too_little(Measure::Latency)
            }
            None => false,
        }
    }

    /// By how much the canary is slower where both answer well, in seconds.
    fn difference(&self, measure: Measure) -> Option<f64> {
        let quantile = |share: f64, of: fn(&(f64, f64)) -> f64| {
            Sorted::new(self.latencies.iter().map(of).collect())?.quantile(share)
        };
        let between = |share| Some(quantile(share, |pair| pair.0)? - quantile(share, |pair| pair.1)?);
        match measure {
            Measure::Latency => quantile(0.5, |pair| pair.0 - pair.1),
            Measure::P95 => between(0.95),
            Measure::P99 => between(0.99),
            Measure::Errors => None,
        }
    }

    /// Whether the canary is slower by less than matters. Where its requests fail instead, that is no difference of latency.
    fn is_too_little(&self, measure: Measure) -> bool {
        self.difference(measure).is_some_and(|difference| difference.abs() < self.matters)
    }

    /// Whether more pairs may prove what is not proven yet. The tails are told and not waited for: proving them takes tens of
    /// thousands of pairs.
    pub(super) fn is_unproven(&self) -> bool {
        let Judgement { latency, errors, .. } = self.comparison.judge();
        [latency, errors].iter().any(|finding| {
            let is_open = finding.decision == Decision::Unproven && finding.needed.is_some();
            is_open && !self.is_too_little(finding.measure)
        })
    }

    /// What the pairs say; `client` shows requests as sentences do.
    pub(super) fn observations(&self, client: &Client, traffic: &Traffic) -> Vec<Observation> {
        let judgement = self.comparison.judge();
        let findings = judgement.findings().into_iter().map(|finding| self.compared(finding, traffic));
        findings.chain([self.shape(client, traffic)]).collect()
    }

    fn compared(&self, finding: &Finding, traffic: &Traffic) -> Observation {
        let is_tail = matches!(finding.measure, Measure::P95 | Measure::P99);
        let is_too_little = finding.tally.canary_alone == 0 && self.is_too_little(finding.measure);
        let status = match finding.decision {
            Decision::Fail | Decision::Healed | Decision::Unproven if is_too_little => Status::Pass,
            Decision::Pass => Status::Pass,
            Decision::Healed => Status::Warn,
            Decision::Fail => Status::Fail,
            Decision::Unproven if is_tail => Status::Pass,
            Decision::Unproven => traffic.on_unproven.status(),
        };
        let name = format!("{} beside stable", finding.measure.name());
        let sentence = finding.sentence();
        let mut detail =
            sentence.strip_prefix(finding.measure.name()).unwrap_or(&sentence).trim_start_matches(": ").to_owned();
        if let Some(difference) = self.difference(finding.measure).filter(|_| finding.decision != Decision::Pass) {
            let sign = if difference < 0.0 { "-" } else { "+" };
            detail += &format!(" ({sign}{}", time(difference.abs()));
            detail += if is_too_little { ", less than matters)" } else { ")" };
        }
        let mut observation = Observation::new(Seen::Measure, name, status, detail);
        let shown = |value: f64| match finding.measure {
            Measure::Errors => format!("{:+.2} %", 100.0 * value),
            Measure::Latency | Measure::P95 | Measure::P99 => format!("{value:.2}×"),
        };
        observation.expected = Some(format!("<= {}", shown(finding.bound)));
        observation.actual = finding.estimate.is_finite().then(|| shown(finding.estimate));
        observation
    }

    fn shape(&self, client: &Client, traffic: &Traffic) -> Observation {
        let mut broken = Vec::new();
        for (request, shapes) in &self.shapes {
            let what = client.shown(&traffic.requests[*request].request);
            broken.extend(shapes.broken().map(|why| format!("{what}: {why}")));
        }
        let pairs: usize = self.shapes.values().map(|shapes| shapes.pairs).sum();
        let (status, detail) = if !broken.is_empty() {
            (Status::Fail, text::joined(broken, SHOWN, "; "))
        } else if pairs == 0 {
            // Where it must be compared, there was nothing to compare with.
            let status =
                if matches!(traffic.compare, Compare::On(_)) { Status::Error } else { traffic.on_unproven.status() };
            (status, "unproven: no pair was answered well by both".into())
        } else {
            let pairs = text::counted(pairs, "pair");
            (Status::Pass, format!("status, media type, keys and types of JSON are those of stable, over {pairs}"))
        };
        Observation::new(Seen::Measure, "shape beside stable", status, detail)
    }
}

impl Shapes {
    fn add(&mut self, canary: Option<Shape>, stable: Option<Shape>) {
        let Some(stable) = stable else { return };
        if let Some(before) = self.stable.replace(stable.clone()) {
            self.noise.add(noise(&before, &stable));
        }
        let Some(canary) = canary else { return };
        self.pairs += 1;
        for difference in compare(&canary, &stable, &Noise::default()).into_iter().filter(|found| found.breaks) {
            let known = self.differences.entry(difference.place).or_insert_with(|| Difference {
                sentence: difference.sentence,
                canary: canary.clone(),
                stable: stable.clone(),
                count: 0,
            });
            known.count += 1;
        }
    }

    /// What differs again and again, and not between two answers of stable as well.
    fn broken(&self) -> impl Iterator<Item = String> {
        let enough = if self.pairs < 2 { usize::MAX } else { SEEN.min(self.pairs) };
        let is_noise = |place: &String, found: &Difference| {
            !compare(&found.canary, &found.stable, &self.noise).iter().any(|other| other.place == *place)
        };
        let broken = self.differences.iter().filter(move |(_, found)| found.count >= enough);
        broken
            .filter(move |(place, found)| !is_noise(place, found))
            .map(|(_, found)| format!("{} (in {} of {} pairs)", found.sentence, found.count, self.pairs))
    }
}
