//! For programs: one object.

use serde_json::{Value, json};

use super::Drill;
use crate::drill::Made;
use crate::drill::verdict::Cause;
use crate::text::escaped_json;

pub(super) fn render(drill: &Drill) -> String {
    let faults: Vec<Value> = drill
        .faults
        .iter()
        .map(|played| {
            let causes = |by: &[Cause]| -> Vec<Value> {
                by.iter()
                    .map(|cause| json!({ "check": cause.check, "status": cause.status.word(), "why": cause.why }))
                    .collect()
            };
            let by = match &played.made {
                Made::Caught(by) | Made::Warned { by, .. } => causes(by),
                Made::Missed | Made::LeftOut(_) | Made::Unclear(_) => Vec::new(),
            };
            json!({
                "name": played.name,
                "about": played.about,
                "result": played.made.word().to_ascii_lowercase().replace(' ', "_"),
                "missed": played.made.is_missed(),
                "by": by,
                "detail": played.made.said(),
            })
        })
        .collect();
    let thresholds: Vec<Value> = drill
        .thresholds
        .iter()
        .map(|threshold| {
            json!({
                "check": threshold.check,
                "name": threshold.name,
                "expression": threshold.expression,
                "severity": threshold.severity,
                "place": threshold.place,
                "result": threshold.fails.word().to_ascii_lowercase().replace(' ', "_"),
                "detail": threshold.fails.said(),
            })
        })
        .collect();
    let checks: Vec<Value> = drill
        .checks
        .iter()
        .map(|check| {
            json!({
                "name": check.name,
                "faults": check.faults,
                "failed": check.failed,
                "vacuous": check.is_vacuous(),
            })
        })
        .collect();
    let exit = drill.exit();
    let whole = json!({
        "url": drill.url,
        "started_at": humantime::format_rfc3339_millis(drill.started_at).to_string(),
        "duration_ms": u64::try_from(drill.duration.as_millis()).unwrap_or(u64::MAX),
        "exit_code": exit.code(),
        "headline": drill.headline(),
        "stopped": drill.stopped,
        "requests": drill.requests,
        "faults": faults,
        "thresholds": thresholds,
        "checks": checks,
        "notes": drill.notes,
    });
    escaped_json(&format!("{whole:#}\n"))
}
