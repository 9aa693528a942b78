//! What the canary must keep by itself: errors, latency, the first answer. A share is judged by what so many requests prove.

use std::collections::BTreeMap;
use std::time::Duration;

use super::measured::{Answers, Measured};
use crate::judge::proof::{Proof, proof};
use crate::judge::quantile::Sorted;
use crate::outcome::{Observation, Seen, Side, Status, ThresholdVerdict, TrafficEnd, ValueNow};
use crate::plan::TrafficLimits;
use crate::text;

/// The share of requests that may be slower than the 95th percentile.
const BEYOND_P95: f64 = 0.05;

/// How many causes a sentence shows.
const SHOWN: usize = 3;

/// Whether so many requests prove that the limits are kept, or are not.
pub(super) fn are_proven(measured: &Measured, limits: &TrafficLimits) -> bool {
    let none = Answers::default();
    let answers = measured.of(Side::Canary).unwrap_or(&none);
    let decided = |exceptions, share| !matches!(proof(answers.requests, exceptions, share), Proof::Unproven { .. });
    limits.errors.is_none_or(|share| decided(answers.failed, share))
        && limits.p95.is_none_or(|limit| decided(slow(answers, limit), BEYOND_P95))
}

/// How many requests took longer than a limit, or failed: one that never ends well is no quick one.
fn slow(answers: &Answers, limit: Duration) -> usize {
    answers.failed + answers.good_since_due().filter(|seconds| *seconds > limit.as_secs_f64()).count()
}

/// Why the gate itself was too slow for what it measured to count; nothing where it was not.
pub(super) fn lag(measured: &Measured, most: Duration) -> Option<String> {
    let lag = Duration::from_secs_f64(quantile(&measured.lags, 0.99)?);
    (lag > most).then(|| {
        format!(
            "no data: the gate itself was {} behind its schedule (99th percentile, at most {} is allowed), so that its latencies would \
             be its own; give it more of a CPU or lower the rate",
            text::duration(lag),
            text::duration(most)
        )
    })
}

/// Why the gate itself kept requests back: both sides were answered meanwhile, and not quickly enough for so many at once. Where
/// stable is not kept back, the canary is what is slow.
pub(super) fn crowded(measured: &Measured, most: usize) -> Option<String> {
    let crowded = |side| measured.crowded.get(side).copied().unwrap_or(0);
    let counts: Vec<usize> = measured.judged.keys().map(crowded).collect();
    let all = !counts.is_empty() && counts.iter().all(|count| *count > 0);
    all.then(|| {
        format!(
            "no data: {} could not be sent in time, since at most {most} may run at once (max_in_flight) and each takes its time; raise it, \
             or lower the rate",
            text::counted(counts.iter().sum(), "request")
        )
    })
}

/// What the limits say.
pub(super) fn observations(measured: &Measured, limits: &TrafficLimits) -> Vec<Observation> {
    let none = Answers::default();
    let answers = measured.of(Side::Canary).unwrap_or(&none);
    let first = measured.first_answers.get(&Side::Canary).copied();
    if answers.failed == answers.requests {
        // Whatever is limited, and whatever stable does.
        let detail = if answers.requests == 0 {
            "no data: no request was answered".into()
        } else {
            format!("every one of {} failed{}", text::counted(answers.requests, "request"), causes(answers))
        };
        let (expected, actual) = ("a good answer".into(), format!("{} of {} failed", answers.failed, answers.requests));
        return vec![measure("errors", Status::Fail, detail, expected, actual)];
    }
    [
        limits.errors.map(|share| errors(answers, share)),
        limits.p95.map(|limit| p95(answers, limit)),
        limits.first_answer.map(|limit| first_answer(first, limit)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What the limits say by now: values, and no proof.
pub(super) fn by_now(measured: &Measured, limits: &TrafficLimits) -> Vec<ValueNow> {
    let Some(answers) = measured.of(Side::Canary) else { return Vec::new() };
    let value = |name: &str, holds: bool, said: String, wanted: String| {
        let verdict = if holds { ThresholdVerdict::Pass } else { ThresholdVerdict::Fail };
        ValueNow { name: name.into(), verdict, value: None, said: Some(said), wanted: Some(format!("<= {wanted}")) }
    };
    let errors = limits.errors.map(|share| {
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let holds = answers.failed as f64 <= share * answers.requests as f64;
        value("errors", holds, format!("{} of {}", answers.failed, answers.requests), percent(share))
    });
    let p95 = limits.p95.and_then(|limit| {
        let seconds = quantile(&answers.since_due, 0.95)?;
        Some(value("p95", seconds <= limit.as_secs_f64(), time(seconds), text::duration(limit)))
    });
    errors.into_iter().chain(p95).collect()
}

fn measure(name: &str, status: Status, detail: String, expected: String, actual: String) -> Observation {
    let mut observation = Observation::new(Seen::Measure, name, status, detail);
    (observation.expected, observation.actual) = (Some(expected), Some(actual));
    observation
}

fn errors(answers: &Answers, share: f64) -> Observation {
    let Answers { requests, failed, .. } = answers;
    let most = percent(share);
    let (status, detail) = match proof(*requests, *failed, share) {
        Proof::Proven => (
            Status::Pass,
            format!("{failed} of {requests} requests failed: at most {most} is proven (95 %){}", causes(answers)),
        ),
        Proof::Refuted => (
            Status::Fail,
            format!(
                "{failed} of {requests} requests failed ({}), over the limit of {most}{}",
                ratio(*failed, *requests),
                causes(answers)
            ),
        ),
        Proof::Unproven { needed } => (
            Status::Fail,
            format!(
                "no data: {requests} requests, {} needed to prove that at most {most} fail ({failed} did){}",
                number(needed),
                causes(answers)
            ),
        ),
    };
    measure("errors", status, detail, format!("<= {most}"), format!("{failed} of {requests}"))
}

fn p95(answers: &Answers, limit: Duration) -> Observation {
    let beyond = slow(answers, limit);
    let requests = answers.requests;
    let measured = |seconds: &[f64]| quantile(seconds, 0.95).map_or_else(|| "nothing".into(), time);
    let (due, sent) = (measured(&answers.since_due), measured(&answers.latencies));
    let seen = format!("{due} from the moment when it was due ({sent} from when it was sent)");
    let limit = text::duration(limit);
    let (status, detail) = match proof(requests, beyond, BEYOND_P95) {
        Proof::Proven => (Status::Pass, format!("{seen}, over {requests} requests; limit {limit}")),
        Proof::Refuted => (
            Status::Fail,
            format!("{seen}, over the limit of {limit}: {beyond} of {requests} requests took longer or failed"),
        ),
        Proof::Unproven { needed } => (
            Status::Fail,
            format!(
                "no data: {requests} requests, {} needed to prove a 95th percentile of at most {limit} ({beyond} took longer or \
                 failed); measured: {seen}",
                number(needed)
            ),
        ),
    };
    measure("p95", status, detail, format!("<= {limit}"), due)
}

fn first_answer(seconds: Option<f64>, limit: Duration) -> Observation {
    let wanted = text::duration(limit);
    let (status, detail, actual) = match seconds {
        None => (Status::Fail, "no data: no request was answered well".to_owned(), "nothing".to_owned()),
        Some(seconds) if seconds > limit.as_secs_f64() => {
            (Status::Fail, format!("{}, over the limit of {wanted}", time(seconds)), time(seconds))
        }
        Some(seconds) => (Status::Pass, format!("{}; limit {wanted}", time(seconds)), time(seconds)),
    };
    measure("first answer", status, detail, format!("<= {wanted}"), actual)
}

/// What is to be said of a side whose connections were closed as requests went out. A server that closes what was idle for long is not
/// at fault; one that dies of requests looks the same, and where more are so than may fail, the limit is not kept.
fn cut_off(measured: &Measured, limits: &TrafficLimits) -> Vec<Observation> {
    let most = limits.errors.unwrap_or(0.0);
    let counted = measured.cut_off.iter().filter(|(_, count)| **count > 0);
    let told = counted.map(|(side, count)| {
        let sent = |part: &BTreeMap<Side, Answers>| part.get(side).map_or(0, |answers| answers.requests);
        let requests = sent(&measured.judged) + sent(&measured.warm_up);
        let detail = format!(
            "{count} of {requests} requests ({}) were asked once more on a new connection, since the server closed the one that was kept \
             alive as they went out",
            ratio(*count, requests)
        );
        let is_much = *side == Side::Canary && share(*count, requests) > most;
        let status = if is_much { Status::Fail } else { Status::Pass };
        let detail = if is_much { format!("{detail}: more than the {} that may fail", percent(most)) } else { detail };
        Observation::note(&format!("connections to {}", side.word()), status, detail)
    });
    told.collect()
}

/// What was sent, and how that went.
pub(super) fn notes(measured: &Measured, limits: &TrafficLimits, ended: &TrafficEnd, seed: u64) -> Vec<Observation> {
    let note = |name: &str, detail: String| Observation::note(name, Status::Pass, detail);
    let mut notes = Vec::new();
    for (side, answers) in &measured.judged {
        let quantiles = |seconds: &[f64]| {
            let all = Sorted::new(seconds.to_vec());
            let at = |share| all.as_ref().and_then(|all| all.quantile(share)).map_or_else(|| "nothing".into(), time);
            format!("p50 {}, p95 {}, p99 {}", at(0.5), at(0.95), at(0.99))
        };
        let warm_up = measured.warm_up.get(side).map_or(String::new(), |warm_up| {
            format!("; before that {} to warm up, of which {} failed", warm_up.requests, warm_up.failed)
        });
        let detail = format!(
            "{} requests, {} failed; from the moment due {}; from the moment sent {}{warm_up}",
            answers.requests,
            answers.failed,
            quantiles(&answers.since_due),
            quantiles(&answers.latencies),
        );
        notes.push(note(&format!("requests to {}", side.word()), detail));
    }
    if let Some(warm_up) = measured.warm_up.get(&Side::Canary).filter(|warm_up| warm_up.failed > 0) {
        let detail = format!("{} of {} requests failed{}", warm_up.failed, warm_up.requests, causes(warm_up));
        notes.push(Observation::note("warm-up", Status::Warn, detail));
    }
    if measured.unmarked > 0 {
        let detail = format!(
            "nothing marks the end of {} bodies (no Content-Length, not chunked): cut ones look whole",
            measured.unmarked
        );
        notes.push(Observation::note("ends of bodies", Status::Warn, detail));
    }
    notes.extend(cut_off(measured, limits));
    let connections = quantile(&measured.setups, 0.5).map_or_else(
        || "no connection was set up".into(),
        |median| {
            let count = text::counted(measured.setups.len(), "new connection");
            format!("{count}, set up in {} (median)", time(median))
        },
    );
    let behind = quantile(&measured.lags, 0.99)
        .map_or(String::new(), |lag| format!("; the gate was at most {} behind its schedule in 99 of 100", time(lag)));
    let when = match ended {
        TrafficEnd::InTime { extended: true } => "; it went on for longer than planned, since what it had was no proof",
        TrafficEnd::Proven { .. } => "; it ended early: the comparison had its proof",
        TrafficEnd::InTime { extended: false } | TrafficEnd::TooMuch | TrafficEnd::Unkept(_) => "",
    };
    notes.push(note("schedule", format!("{connections}{behind}{when}; seed {seed}")));
    notes
}

/// One line where all is well.
pub(super) fn held(observations: &[Observation]) -> String {
    let measures = observations.iter().filter(|observation| observation.seen == Seen::Measure);
    let thresholds = observations.iter().filter(|observation| observation.threshold().is_some()).count();
    let mut parts: Vec<String> =
        measures.map(|observation| format!("{}: {}", observation.name, observation.detail)).collect();
    if thresholds > 0 {
        parts.push(format!("{thresholds} thresholds hold"));
    }
    if parts.is_empty() { "no limits, no thresholds and no comparison".into() } else { text::joined(parts, 2, "; ") }
}

fn number(needed: Option<usize>) -> String {
    needed.map_or_else(|| "more than can be made".into(), |needed| needed.to_string())
}

/// The quantile of values; nothing where there are none.
fn quantile(values: &[f64], share: f64) -> Option<f64> {
    Sorted::new(values.to_vec())?.quantile(share)
}

/// Why requests failed, each with how often.
fn causes(answers: &Answers) -> String {
    let Some(first) = &answers.first_failure else { return String::new() };
    let each = answers.causes.iter().map(|(cause, count)| format!("{count} × {cause}"));
    format!(": {}; the first: {first}", text::joined(each.collect::<Vec<_>>(), SHOWN, "; "))
}

/// A latency for a sentence: `0.42 ms`, `12.3 ms`, `1.25 s`.
pub(super) fn time(seconds: f64) -> String {
    let (value, unit) = if seconds < 1.0 { (seconds * 1e3, "ms") } else { (seconds, "s") };
    let digits = if value >= 100.0 { 0 } else { usize::from(value < 10.0) + 1 };
    format!("{value:.digits$} {unit}")
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    // As it is written: 0.01 is 1 %, and not 1.0000000000000002 %.
    let rounded = (percent * 1e6).round() / 1e6;
    format!("{rounded} %")
}

fn ratio(part: usize, whole: usize) -> String {
    format!("{:.1} %", 100.0 * share(part, whole))
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}
