//! Whether a comparison holds, fails, or cannot be told: the three answers of a threshold.

use super::blind::{bad_counter, out_of_time};
use super::bucket_quantiles::untold;
use super::reads::unread;
use super::{Inventory, Shown};
use crate::outcome::ThresholdVerdict;
use crate::text;
use promeval::promql::ast::{Binary, Expr, ExprKind, Type};
use promeval::promql::{Compared, Comparison, Evaluator, compare, holds};
use promeval::series::Storage;

/// A decided comparison.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    pub(crate) verdict: ThresholdVerdict,
    /// What was compared, the worst first.
    pub(crate) seen: Vec<Compared>,
    /// One clause for the person: the values beside the limit, or why there is no data.
    pub(crate) why: String,
}

/// How many elements a sentence shows.
const SHOWN: usize = 3;

/// Decides a comparison over stored series at a time in milliseconds since the epoch. What cannot be seen of what it reads
/// makes it no data, whatever stands around it; a failure is one all the same.
pub(crate) fn decide_over(
    expr: &Expr,
    parts: &Binary,
    storage: &Storage,
    inventory: &Inventory,
    time: i64,
) -> Decision {
    let decided = |evaluator: &Evaluator<'_>| {
        let sides = evaluator.value(&parts.lhs).and_then(|lhs| Ok((lhs, evaluator.value(&parts.rhs)?)));
        let comparison = sides.and_then(|(lhs, rhs)| compare(parts, lhs, rhs)).map_err(|error| error.message);
        decide(parts, comparison, || why_empty(expr, storage, inventory))
    };
    let decision = decided(&Evaluator::new(storage, time));
    let passes = |evaluator: &Evaluator<'_>| decided(evaluator).verdict == ThresholdVerdict::Pass;
    let blind = match decision.verdict {
        ThresholdVerdict::Fail => None,
        ThresholdVerdict::Pass => out_of_time(expr, storage, time)
            .or_else(|| bad_counter(expr, inventory))
            .or_else(|| unread(expr, storage, inventory, time))
            .or_else(|| untold(expr, storage, time, passes)),
        ThresholdVerdict::NoData => out_of_time(expr, storage, time),
    };
    match blind {
        Some(why) => Decision { verdict: ThresholdVerdict::NoData, why, ..decision },
        None => decision,
    }
}

/// Decides a comparison of which both sides are known. `why_empty` says why there is no element, if there is none.
pub(crate) fn decide(
    parts: &Binary,
    comparison: Result<Comparison, String>,
    why_empty: impl FnOnce() -> String,
) -> Decision {
    let comparison = match comparison {
        Ok(comparison) => comparison,
        Err(error) => {
            // What cannot be evaluated was not seen to hold.
            let why = format!("it cannot be evaluated: {error}");
            return Decision { verdict: ThresholdVerdict::NoData, seen: Vec::new(), why };
        }
    };
    let mut seen = comparison.compared;
    let rank = |element: &Compared| {
        if element.left.is_nan() || element.right.is_nan() {
            1
        } else if holds(parts.op, element.left, element.right) {
            2
        } else {
            0
        }
    };
    let distance = |element: &Compared| (element.left - element.right).abs();
    // Failures with the farthest first, then what cannot be compared, then what holds with the narrowest first.
    seen.sort_by(|a, b| {
        let by_distance = match rank(a) {
            0 => distance(b).total_cmp(&distance(a)),
            _ => distance(a).total_cmp(&distance(b)),
        };
        rank(a).cmp(&rank(b)).then(by_distance)
    });
    let failed = seen.iter().filter(|element| rank(element) == 0).count();
    let incomparable = seen.iter().filter(|element| rank(element) == 1).count();
    if failed > 0 {
        return Decision { verdict: ThresholdVerdict::Fail, why: values(parts, &seen[..failed]), seen };
    }
    let why_not = if incomparable > 0 {
        Some(nan(parts, &seen[0]))
    } else if let Some(alone) = comparison.alone.first() {
        let more = comparison.alone.len() - 1;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let labels = Shown::of(std::iter::once(&alone.labels)).prefix(&alone.labels);
        Some(format!("{}{more} meets nothing on the other side to be compared with", labels.trim_end()))
    } else if seen.is_empty() {
        Some(why_empty())
    } else {
        None
    };
    if let Some(why) = why_not {
        Decision { verdict: ThresholdVerdict::NoData, seen, why }
    } else {
        Decision { verdict: ThresholdVerdict::Pass, why: values(parts, &seen), seen }
    }
}

/// Whether the limit stands on the left, as in `2 >= x`.
pub(crate) fn limit_on_left(parts: &Binary) -> bool {
    parts.lhs.value_type() == Type::Scalar
}

/// `3, want <= 2` for each element, with its labels.
fn values(parts: &Binary, elements: &[Compared]) -> String {
    let shown = Shown::of(elements.iter().map(|element| &element.labels));
    let one = |element: &Compared| {
        let labels = shown.prefix(&element.labels);
        let (left, right) = text::beside(element.left, element.right);
        if limit_on_left(parts) {
            format!("{labels}{right}, want {left} {} it", parts.op.symbol())
        } else {
            format!("{labels}{left}, want {} {right}", parts.op.symbol())
        }
    };
    text::joined(elements.iter().map(one), SHOWN, "; ")
}

fn nan(parts: &Binary, element: &Compared) -> String {
    let labels = Shown::of(std::iter::once(&element.labels)).prefix(&element.labels);
    let side = if element.left.is_nan() { &parts.lhs } else { &parts.rhs };
    let divides = matches!(&side.unwrapped().kind, ExprKind::Binary(binary) if binary.op.symbol() == "/");
    let cause = if divides { " (0/0: there was no traffic to divide by)" } else { "" };
    format!("{labels}the value is NaN{cause}")
}

/// Why an expression has no element at all.
pub(crate) fn why_empty(expr: &Expr, storage: &Storage, inventory: &Inventory) -> String {
    let absences: Vec<String> =
        expr.selectors().into_iter().filter_map(|selector| inventory.absence(selector, storage)).collect();
    if let Some(first) = absences.first() {
        return first.clone();
    }
    if has_range(expr) {
        return "there are too few scrapes for its range: rates need at least two".into();
    }
    "the expression has no element: its parts find each other in no label".into()
}

fn has_range(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Matrix(..) | ExprKind::Subquery(_)) || expr.children().into_iter().any(has_range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use promeval::exposition::{Exposition, Format};
    use promeval::promql::parse;

    const SCRAPE: &str = "\
# TYPE failure_total counter
failure_total{provider=\"a\"} 2
failure_total{provider=\"b\"} 1
# TYPE hits_total counter
hits_total 8
# TYPE misses_total counter
misses_total 2
# TYPE zero gauge
zero 0
# TYPE idle_total counter
# TYPE slow histogram
slow_bucket{le=\"0.1\"} 50
slow_bucket{le=\"1.0\"} 90
slow_bucket{le=\"+Inf\"} 100
slow_sum 60
slow_count 100
# TYPE fresh histogram
fresh_bucket{le=\"0.1\"} 0
fresh_bucket{le=\"0.5\"} 0
fresh_bucket{le=\"1.0\"} 4
fresh_bucket{le=\"+Inf\"} 4
fresh_sum 3
fresh_count 4
# TYPE rounded histogram
rounded_bucket{le=\"0.1\"} 1000000.0000001
rounded_bucket{le=\"1.0\"} 1000000
rounded_bucket{le=\"+Inf\"} 1000000
rounded_sum 3
rounded_count 1000000
# TYPE odd histogram
odd_bucket{path=\"/\",le=\"0.1\"} 9
odd_bucket{path=\"/\",le=\"1.0\"} 5
odd_bucket{path=\"/\",le=\"+Inf\"} 10
odd_sum{path=\"/\"} 6
odd_count{path=\"/\"} 10
";

    fn decided(source: &str) -> (ThresholdVerdict, String) {
        let exposition = Exposition::parse(SCRAPE.as_bytes(), Format::Prometheus).unwrap();
        let mut storage = Storage::default();
        let inventory = Inventory::new(&exposition);
        storage.ingest(&exposition, 1000, &[], |_| true).unwrap();
        let expr = parse(source).unwrap();
        let ExprKind::Binary(parts) = &expr.unwrapped().kind else { panic!("{source} is no comparison") };
        let decision = decide_over(&expr, parts, &storage, &inventory, 1000);
        (decision.verdict, decision.why)
    }

    #[test]
    fn a_comparison_holds_fails_or_has_no_data() {
        for (source, answer, why) in [
            ("sum(failure_total) <= 3", ThresholdVerdict::Pass, "3, want <= 3"),
            ("sum(failure_total) <= 2", ThresholdVerdict::Fail, "3, want <= 2"),
            ("2 >= sum(failure_total)", ThresholdVerdict::Fail, "3, want 2 >= it"),
            ("failure_total < 2", ThresholdVerdict::Fail, "failure_total{provider=\"a\"} 2, want < 2"),
            ("failure_total < bool 2", ThresholdVerdict::Fail, "failure_total{provider=\"a\"} 2, want < 2"),
            ("hits_total / (hits_total + misses_total) > 0.8", ThresholdVerdict::Fail, "0.8, want > 0.8"),
            ("zero / zero > 0.8", ThresholdVerdict::NoData, "0/0"),
            ("zero / zero != 0.8", ThresholdVerdict::NoData, "0/0"),
            ("idle_total < 1", ThresholdVerdict::NoData, "declared but has no sample"),
            ("(sum(idle_total) or vector(0)) < 1", ThresholdVerdict::Pass, "0, want < 1"),
            ("failures_total < 1", ThresholdVerdict::NoData, "no metric failures_total; similar: failure_total"),
            ("failure_total{provider=\"c\"} < 1", ThresholdVerdict::NoData, "its values are \"a\", \"b\""),
            ("rate(failure_total[5m]) < 1", ThresholdVerdict::NoData, "too few scrapes"),
            ("failure_total < on(provider) failure_total{provider=\"b\"}", ThresholdVerdict::Fail, "1, want < 1"),
            ("failure_total <= on(provider) failure_total{provider=\"b\"}", ThresholdVerdict::NoData, "meets nothing"),
            ("failure_total < on() failure_total", ThresholdVerdict::NoData, "many-to-many"),
        ] {
            let (found, sentence) = decided(source);
            assert_eq!(found, answer, "{source}: {sentence}");
            assert!(sentence.contains(why), "{source}: {sentence}");
        }
    }

    #[test]
    fn a_quantile_that_buckets_do_not_tell_is_no_data() {
        use ThresholdVerdict::{Fail, NoData, Pass};
        for (source, answer, why) in [
            // A tenth of the observations is beyond 1 second.
            ("histogram_quantile(0.9, slow_bucket) < 2", Pass, "1, want < 2"),
            (
                "histogram_quantile(0.95, slow_bucket) < 2",
                NoData,
                "the quantile lies beyond the highest bucket bound, 1: how far is not known",
            ),
            ("histogram_quantile(0.95, slow_bucket) < 1", Fail, "1, want < 1"),
            ("histogram_quantile(0.95, slow_bucket) > 0.5", Pass, "1, want > 0.5"),
            ("2 > histogram_quantile(0.95, sum by (le) (slow_bucket))", NoData, "bucket bound, 1"),
            ("abs(histogram_quantile(0.95, slow_bucket) - 1) < 2", NoData, "bucket bound, 1"),
            ("histogram_quantile(0.95, slow_bucket) < 1.5 * histogram_quantile(0.95, slow_bucket)", NoData, "bound, 1"),
            ("histogram_quantile(0.5, slow_bucket) < 1.5 * histogram_quantile(0.95, slow_bucket)", Pass, "want <"),
            ("max_over_time(histogram_quantile(0.95, slow_bucket)[1s:1s]) < 2", NoData, "bucket bound, 1"),
            ("clamp_max(histogram_quantile(0.95, slow_bucket), 1) < 2", Pass, "1, want < 2"),
            ("histogram_fraction(0, 2, slow_bucket) > 0.8", Pass, "0.9, want > 0.8"),
            // Buckets that are empty, or differ by what sums of rates are rounded by, fall nowhere.
            ("histogram_quantile(0.5, fresh_bucket) < 2", Pass, "0.75, want < 2"),
            ("histogram_quantile(0.5, rounded_bucket) < 2", Pass, "want < 2"),
            // What falls as the bounds rise is not the buckets of a histogram.
            (
                "histogram_quantile(0.5, odd_bucket) < 2",
                NoData,
                "the buckets odd_bucket{path=\"/\"} are not cumulative: 9 at le=\"0.1\", 5 at le=\"1.0\"",
            ),
            ("histogram_quantile(0.5, sum by (le) (odd_bucket)) < 2", NoData, "the buckets odd_bucket are not"),
            ("histogram_fraction(0, 1, odd_bucket) > 0.1", NoData, "not cumulative"),
            ("histogram_quantile(0.5, odd_bucket) < 0.01", Fail, "want < 0.01"),
        ] {
            let (found, sentence) = decided(source);
            assert_eq!(found, answer, "{source}: {sentence}");
            assert!(sentence.contains(why), "{source}: {sentence}");
        }
    }

    #[test]
    fn a_failure_counts_whatever_else_cannot_be_compared() {
        let (answer, why) = decided("(failure_total or (zero / zero)) <= 1");
        assert_eq!((answer, &*why), (ThresholdVerdict::Fail, "failure_total{provider=\"a\"} 2, want <= 1"));
        let (answer, _) = decided("(failure_total or (zero / zero)) <= 2");
        assert_eq!(answer, ThresholdVerdict::NoData);
    }
}
