//! Thresholds to observations: required families, comparisons and alerts. Pure.

use promeval::labels::Labels;
use promeval::number::format_value;
use promeval::promql::Compared;

use super::alerts::{Activity, Firing};
use crate::judge::{Decision, Inventory, Shown, limit_on_left};
use crate::outcome::{ElementSeen, Observation, Seen, Status, ThresholdSeen, ThresholdVerdict};
use crate::plan::{Alert, Metrics, Threshold, ThresholdExpr, template};
use crate::text;

/// How many elements of one threshold the reports keep.
pub(super) const KEPT: usize = 20;

/// How many elements a sentence shows.
const SHOWN: usize = 3;

/// One observation for each required family that is missing.
pub(super) fn missing_families(metrics: &Metrics, inventory: &Inventory) -> Vec<Observation> {
    let missing = |name: &&String| !inventory.declares(name);
    let observation = |name: &String| {
        let similar = inventory.similar(name);
        let hint = if similar.is_empty() { String::new() } else { format!("; similar: {}", similar.join(", ")) };
        let detail = if inventory.has_samples(name) {
            "the family has samples, and no # TYPE line declares it".to_owned()
        } else {
            format!("the family is not declared (no # TYPE line): its instrumentation is lost{hint}")
        };
        Observation::new(Seen::Family, name, Status::Fail, detail)
    };
    metrics.require.iter().filter(missing).map(observation).collect()
}

fn observation(
    threshold: &Threshold,
    verdict: ThresholdVerdict,
    why: String,
    (compared, elements): (usize, Vec<ElementSeen>),
) -> Observation {
    let status = verdict.status(threshold.severity, threshold.on_no_data.status());
    let detail = match verdict {
        ThresholdVerdict::NoData => format!("no data: {why}"),
        ThresholdVerdict::Pass | ThresholdVerdict::Fail => why,
    };
    let actual = elements.first().map(|worst| format_value(worst.value));
    let expression = threshold.rule.source().to_owned();
    let seen =
        ThresholdSeen { expression, verdict, severity: threshold.severity, compared, elements, courses: Vec::new() };
    let mut observation = Observation::new(Seen::Threshold(seen), threshold.label(), status, detail);
    observation.actual = actual;
    observation.place.clone_from(&threshold.place);
    observation
}

/// A decided comparison.
pub(super) fn compared(threshold: &Threshold, comparison: &ThresholdExpr, decision: Decision) -> Observation {
    let swapped = limit_on_left(comparison.parts());
    let element = |element: &Compared| {
        let (value, limit) = if swapped { (element.right, element.left) } else { (element.left, element.right) };
        ElementSeen { labels: pairs(&element.labels), value, limit: Some(limit) }
    };
    let elements = (decision.seen.len(), decision.seen.iter().take(KEPT).map(element).collect());
    let mut observation = observation(threshold, decision.verdict, decision.why, elements);
    let limit = observation.threshold().and_then(|seen| seen.elements.first()?.limit);
    observation.expected = limit.map(|limit| {
        let (limit, symbol) = (format_value(limit), comparison.parts().op.symbol());
        if swapped { format!("{limit} {symbol} it") } else { format!("{symbol} {limit}") }
    });
    observation
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
    let elements = (firing.len(), elements);
    if !firing.is_empty() {
        return observation(threshold, ThresholdVerdict::Fail, firing_sentence(alert, &firing), elements);
    }
    if let Some(error) = activity.error() {
        return observation(threshold, ThresholdVerdict::NoData, format!("it cannot be evaluated: {error}"), elements);
    }
    if let Some(why) = unseen {
        observation(threshold, ThresholdVerdict::NoData, why, elements)
    } else {
        observation(threshold, ThresholdVerdict::Pass, silent_sentence(alert, activity), elements)
    }
}

fn silent_sentence(alert: &Alert, activity: &Activity) -> String {
    let hold = text::duration(alert.hold);
    match (activity.pending(alert), activity.is_capped(alert)) {
        ((0, _), false) => "does not fire".into(),
        ((0, _), true) => format!("does not fire (its for of {hold} is longer than the window)"),
        ((pending, oldest), capped) => {
            let oldest = text::duration(oldest);
            let capped =
                if capped { ", which is longer than the window: it fires when it is active in all of it" } else { "" };
            format!("does not fire: {pending} pending, active for {oldest} of its for of {hold}{capped}")
        }
    }
}

fn firing_sentence(alert: &Alert, firing: &[Firing]) -> String {
    let shown = Shown::of(firing.iter().map(|firing| &firing.labels));
    let one = |firing: &Firing| {
        let labels = shown.prefix(&firing.labels);
        let since = match firing.kept {
            Some(kept) if kept.is_zero() => ", just kept firing".into(),
            Some(kept) => format!(", kept firing for {}", text::duration(kept)),
            None if firing.since.is_zero() => String::new(),
            None => format!(", active for {}", text::duration(firing.since)),
        };
        format!("{labels}{}{since}", text::number(firing.value))
    };
    let values = text::joined(firing.iter().map(one), SHOWN, "; ");
    let short = firing.iter().all(|firing| firing.since < alert.hold);
    let capped = if short {
        format!(" (for the whole window; its for of {} is longer)", text::duration(alert.hold))
    } else {
        String::new()
    };
    let summary = match firing.first() {
        Some(worst) if !alert.summary.is_empty() => {
            format!("; {}", template::fill(&alert.summary, &worst.labels, worst.value))
        }
        _ => String::new(),
    };
    format!("fires: {values}{capped}{summary}")
}

pub(super) fn pairs(labels: &Labels) -> Vec<(String, String)> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
