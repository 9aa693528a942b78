//! Thresholds over what was scraped: required families and comparisons to observations. Pure.

use crate::metrics::decision::{Answer, decide, limit_on_left};
use crate::metrics::inventory::Inventory;
use crate::metrics::promql::Compared;
use crate::metrics::series::Storage;
use crate::outcome::{ElementSeen, Observation, ObservationKind, Status, ThresholdSeen, ThresholdVerdict};
use crate::plan::{Metrics, NoData, Threshold};

/// How many elements of one threshold the reports keep.
const KEPT: usize = 20;

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

/// One observation for each threshold, evaluated at a time in milliseconds since the epoch.
pub(super) fn evaluate(metrics: &Metrics, storage: &Storage, inventory: &Inventory, time: i64) -> Vec<Observation> {
    metrics.thresholds.iter().map(|threshold| one(threshold, storage, inventory, time)).collect()
}

fn one(threshold: &Threshold, storage: &Storage, inventory: &Inventory, time: i64) -> Observation {
    let comparison = &threshold.comparison;
    let decision = decide(comparison.expr(), comparison.parts(), storage, inventory, time);
    let failed = if threshold.blocking { Status::Fail } else { Status::Warn };
    let (verdict, status) = match (decision.answer, threshold.on_no_data) {
        (Answer::Holds, _) => (ThresholdVerdict::Pass, Status::Pass),
        (Answer::Fails, _) => (ThresholdVerdict::Fail, failed),
        (Answer::NoData, NoData::Fail) => (ThresholdVerdict::NoData, Status::Fail),
        (Answer::NoData, NoData::Warn) => (ThresholdVerdict::NoData, Status::Warn),
        (Answer::NoData, NoData::Pass) => (ThresholdVerdict::NoData, Status::Pass),
    };
    let detail = match verdict {
        ThresholdVerdict::NoData => format!("no data: {}", decision.why),
        ThresholdVerdict::Pass | ThresholdVerdict::Fail => decision.why,
    };
    let swapped = limit_on_left(comparison.parts());
    let element = |element: &Compared| {
        let (value, limit) = if swapped { (element.right, element.left) } else { (element.left, element.right) };
        let labels = element.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        ElementSeen { labels, value, limit }
    };
    let elements = decision.seen.iter().take(KEPT).map(element).collect();
    Observation {
        kind: ObservationKind::Threshold,
        name: threshold.label().to_owned(),
        status,
        detail,
        threshold: Some(ThresholdSeen {
            expression: comparison.source.clone(),
            verdict,
            blocking: threshold.blocking,
            elements,
        }),
    }
}
