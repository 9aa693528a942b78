//! What was measured as an exposition, so that thresholds over it are judged as those over a scrape are.

use std::fmt::Write as _;

use super::measured::Measured;
use crate::judge::quantile::Sorted;
use crate::outcome::Side;

/// The upper bounds of the histogram's buckets, in seconds: those of Prometheus's client libraries.
const BOUNDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const QUANTILES: [f64; 4] = [0.5, 0.9, 0.95, 0.99];

/// The exposition, in the Prometheus text format.
pub(super) fn exposition(measured: &Measured) -> String {
    let mut text = String::from("# TYPE canary_gate_requests_total counter\n");
    for (side, answers) in &measured.judged {
        for (path, seen) in &answers.paths {
            let labels = labels(side.word(), path);
            for (code, count) in &seen.codes {
                let _ = writeln!(text, "canary_gate_requests_total{{{labels},code=\"{code}\"}} {count}");
            }
        }
    }
    // A histogram, and beside its samples the exact quantiles as a summary has them.
    text.push_str("# TYPE canary_gate_request_duration_seconds histogram\n");
    for (side, answers) in &measured.judged {
        for (path, seen) in &answers.paths {
            duration(&mut text, &labels(side.word(), path), &seen.since_due);
        }
    }
    text.push_str("# TYPE canary_gate_first_answer_seconds gauge\n");
    for (side, seconds) in &measured.first_answers {
        let _ = writeln!(text, "canary_gate_first_answer_seconds{{target=\"{}\"}} {seconds}", side.word());
    }
    text
}

/// What the traffic to these paths would be measured as where all is well: a hundred answers each, of 10 ms.
pub(crate) fn healthy<'p>(paths: impl Iterator<Item = &'p str>) -> String {
    const ANSWERS: usize = 100;
    const SECONDS: f64 = 0.01;
    let mut measured = Measured::default();
    for path in paths {
        for side in [Side::Canary, Side::Stable] {
            let answers = measured.judged.entry(side).or_default();
            let seen = answers.paths.entry(path.to_owned()).or_default();
            seen.codes.insert("200".into(), ANSWERS);
            seen.since_due = vec![SECONDS; ANSWERS];
            measured.first_answers.insert(side, SECONDS);
        }
    }
    exposition(&measured)
}

fn duration(text: &mut String, labels: &str, seconds: &[f64]) {
    const NAME: &str = "canary_gate_request_duration_seconds";
    for bound in BOUNDS {
        let within = seconds.iter().filter(|seconds| **seconds <= bound).count();
        let _ = writeln!(text, "{NAME}_bucket{{{labels},le=\"{bound:?}\"}} {within}");
    }
    let _ = writeln!(text, "{NAME}_bucket{{{labels},le=\"+Inf\"}} {}", seconds.len());
    let _ = writeln!(text, "{NAME}_sum{{{labels}}} {}", seconds.iter().sum::<f64>());
    let _ = writeln!(text, "{NAME}_count{{{labels}}} {}", seconds.len());
    let all = Sorted::new(seconds.to_vec());
    for quantile in QUANTILES {
        if let Some(value) = all.as_ref().and_then(|all| all.quantile(quantile)) {
            let _ = writeln!(text, "{NAME}{{{labels},quantile=\"{quantile}\"}} {value}");
        }
    }
}

fn labels(side: &str, path: &str) -> String {
    let path = path.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("target=\"{side}\",path=\"{path}\"")
}
