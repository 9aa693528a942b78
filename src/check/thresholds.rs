//! Thresholds to observations: required families, comparisons and alerts. Pure.

use super::alerts::{Activity, Firing};
use crate::judge::decision::{Answer, Decision, limit_on_left};
use crate::judge::inventory::Inventory;
use crate::outcome::{ElementSeen, Observation, ObservationKind, Status, ThresholdSeen, ThresholdVerdict};
use crate::plan::{Alert, Comparison, Metrics, NoData, Threshold};
use crate::probe::shown;
use promeval::number::format_value;
use promeval::promql::Compared;

/// How many elements of one threshold the reports keep.
const KEPT: usize = 20;

/// How many elements a sentence shows.
const SHOWN: usize = 3;

/// One observation for each required family that is missing.
pub(super) fn missing_families(metrics: &Metrics, inventory: &Inventory) -> Vec<Observation> {
    let missing = |name: &&String| !inventory.declares(name);
    let observation = |name: &String| {
        let similar = inventory.similar(name);
        let hint = if similar.is_empty() { String::new() } else { format!("; similar: {}", similar.join(", ")) };
        Observation {
            kind: ObservationKind::Family,
            name: name.clone(),
            status: Status::Fail,
            detail: format!("the family is not declared (no # TYPE line): its instrumentation is lost{hint}"),
            threshold: None,
        }
    };
    metrics.require.iter().filter(missing).map(observation).collect()
}

/// Something that a person should know.
pub(super) fn note(name: &str, status: Status, detail: String) -> Observation {
    Observation { kind: ObservationKind::Note, name: name.to_owned(), status, detail, threshold: None }
}

/// The worst of what was seen, in one line; nothing where all is well.
pub(super) fn worst(observations: &[Observation]) -> Option<(Status, String)> {
    [Status::Fail, Status::Warn].into_iter().find_map(|status| {
        let mut bad = observations.iter().filter(|observation| observation.status == status);
        let first = bad.next()?;
        let more = bad.count();
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        Some((status, format!("{}: {}{more}", first.name, first.detail)))
    })
}

/// What the answer of a threshold does to the check.
fn effect(threshold: &Threshold, answer: Answer) -> (ThresholdVerdict, Status) {
    let failed = if threshold.blocking { Status::Fail } else { Status::Warn };
    match (answer, threshold.on_no_data) {
        (Answer::Holds, _) => (ThresholdVerdict::Pass, Status::Pass),
        (Answer::Fails, _) => (ThresholdVerdict::Fail, failed),
        (Answer::NoData, NoData::Fail) => (ThresholdVerdict::NoData, Status::Fail),
        (Answer::NoData, NoData::Warn) => (ThresholdVerdict::NoData, Status::Warn),
        (Answer::NoData, NoData::Pass) => (ThresholdVerdict::NoData, Status::Pass),
    }
}

fn observation(threshold: &Threshold, answer: Answer, why: String, elements: Vec<ElementSeen>) -> Observation {
    let (verdict, status) = effect(threshold, answer);
    let detail = match verdict {
        ThresholdVerdict::NoData => format!("no data: {why}"),
        ThresholdVerdict::Pass | ThresholdVerdict::Fail => why,
    };
    let expression = threshold.rule.source().to_owned();
    let seen = ThresholdSeen { expression, verdict, blocking: threshold.blocking, elements };
    let name = threshold.label().to_owned();
    Observation { kind: ObservationKind::Threshold, name, status, detail, threshold: Some(seen) }
}

/// A decided comparison.
pub(super) fn compared(threshold: &Threshold, comparison: &Comparison, decision: Decision) -> Observation {
    let swapped = limit_on_left(comparison.parts());
    let element = |element: &Compared| {
        let (value, limit) = if swapped { (element.right, element.left) } else { (element.left, element.right) };
        ElementSeen { labels: pairs(&element.labels), value, limit: Some(limit) }
    };
    let elements = decision.seen.iter().take(KEPT).map(element).collect();
    observation(threshold, decision.answer, decision.why, elements)
}

/// An alert after its evaluations. `unseen` says which of its metrics do not exist at all, if so.
pub(super) fn alerted(
    threshold: &Threshold,
    alert: &Alert,
    activity: &Activity,
    unseen: Option<String>,
) -> Observation {
    let firing = activity.firing(alert);
    let elements: Vec<ElementSeen> = firing
        .iter()
        .take(KEPT)
        .map(|firing| ElementSeen { labels: pairs(&firing.labels), value: firing.value, limit: None })
        .collect();
    if !firing.is_empty() {
        return observation(threshold, Answer::Fails, firing_sentence(alert, &firing), elements);
    }
    if let Some(error) = activity.error() {
        return observation(threshold, Answer::NoData, format!("it cannot be evaluated: {error}"), elements);
    }
    if let Some(why) = unseen {
        observation(threshold, Answer::NoData, why, elements)
    } else {
        let pending = activity.pending(alert);
        let pending = if pending > 0 { format!(" ({pending} pending)") } else { String::new() };
        observation(threshold, Answer::Holds, format!("does not fire{pending}"), elements)
    }
}

fn firing_sentence(alert: &Alert, firing: &[Firing]) -> String {
    let one = |firing: &Firing| {
        let labels = if firing.labels.is_empty() { String::new() } else { format!("{} ", firing.labels) };
        let since =
            if firing.since.is_zero() { String::new() } else { format!(", active for {}", shown(firing.since)) };
        format!("{labels}{}{since}", format_value(firing.value))
    };
    let values: Vec<String> = firing.iter().take(SHOWN).map(one).collect();
    let more = if firing.len() > SHOWN { format!(" and {} more", firing.len() - SHOWN) } else { String::new() };
    let short = firing.iter().all(|firing| firing.since < alert.hold);
    let capped = if short {
        format!(" (for the whole window; its for of {} is longer)", shown(alert.hold))
    } else {
        String::new()
    };
    let summary = if alert.summary.is_empty() { String::new() } else { format!("; {}", alert.summary) };
    format!("fires: {}{more}{capped}{summary}", values.join("; "))
}

fn pairs(labels: &promeval::labels::Labels) -> Vec<(String, String)> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
