//! What buckets do not tell of a quantile: how far it lies beyond their highest bound, and anything where their counts fall.

use std::collections::BTreeMap;

use promeval::labels::{Labels, METRIC_NAME};
use promeval::number::{format_value, parse_go_float};
use promeval::promql::ast::{Call, Expr, ExprKind};
use promeval::promql::{Element, Evaluator, Value};
use promeval::series::Storage;

use super::Shown;

/// What a count may fall by from one bucket to the next, relative to it: rates of one scrape differ by rounding only.
const ROUNDING: f64 = 1e-9;

/// Why what an expression says is no evidence, because buckets do not tell the quantiles that it reads. `is_sure` tells whether
/// it says the same where each quantile beyond the highest bound is taken for infinite: what holds at both ends is sure.
pub(super) fn untold(
    expr: &Expr,
    storage: &Storage,
    time: i64,
    is_sure: impl FnOnce(&Evaluator<'_>) -> bool,
) -> Option<String> {
    let calls = of_buckets(expr);
    if calls.is_empty() {
        return None;
    }
    let bounded = Evaluator::new(storage, time);
    if let Some(why) = calls.iter().find_map(|(_, call)| falling(call, &bounded)) {
        return Some(why);
    }
    let unbounded = Evaluator::new(storage, time).unbounded_quantiles();
    if is_sure(&unbounded) {
        return None;
    }
    let beyond = calls.iter().find_map(|(call, _)| {
        let (within, beyond) = (vector(&bounded, call), vector(&unbounded, call));
        within.into_iter().zip(beyond).find(|(within, beyond)| beyond.value > within.value).map(|(within, _)| within)
    });
    let (labels, bound) = beyond.map_or_else(Default::default, |Element { labels, value }| {
        (Shown::of(std::iter::once(&labels)).prefix(&labels), format!(", {}", format_value(value)))
    });
    Some(format!(
        "{labels}the quantile lies beyond the highest bucket bound{bound}: how far is not known, the histogram needs a bound at the \
         limit or above"
    ))
}

/// The functions of a histogram's buckets in an expression, each with its call.
fn of_buckets(expr: &Expr) -> Vec<(&Expr, &Call)> {
    let own = match &expr.kind {
        ExprKind::Call(call) if matches!(call.name(), "histogram_quantile" | "histogram_fraction") => {
            Some((expr, call))
        }
        _ => None,
    };
    own.into_iter().chain(expr.children().into_iter().flat_map(of_buckets)).collect()
}

fn vector(evaluator: &Evaluator<'_>, expr: &Expr) -> Vec<Element> {
    match evaluator.value(expr) {
        Ok(Value::Vector(elements)) => elements,
        _ => Vec::new(),
    }
}

/// Which buckets have less in them than those of a lower bound.
fn falling(call: &Call, evaluator: &Evaluator<'_>) -> Option<String> {
    let buckets = call.args().last()?;
    let mut histograms: BTreeMap<Labels, Vec<(f64, Element)>> = BTreeMap::new();
    for element in vector(evaluator, buckets) {
        let Some(bound) = parse_go_float(element.labels.get("le")) else { continue };
        let mut labels = element.labels.clone();
        labels.set("le", "");
        histograms.entry(labels).or_default().push((bound, element));
    }
    histograms.into_iter().find_map(|(mut labels, mut buckets_of)| {
        buckets_of.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let pairs = buckets_of.windows(2).map(|pair| (&pair[0].1, &pair[1].1));
        let (lower, higher) =
            pairs.into_iter().find(|(lower, higher)| lower.value - higher.value > ROUNDING * lower.value.abs())?;
        let names = buckets.selectors();
        if let Some(name) = names.first().and_then(|selector| selector.metric_name()) {
            labels.set(METRIC_NAME, name);
        }
        let shown = Shown::of(std::iter::once(&labels)).prefix(&labels);
        let one = |bucket: &Element| format!("{} at le={:?}", format_value(bucket.value), bucket.labels.get("le"));
        Some(format!("the buckets {shown}are not cumulative: {}, {}", one(lower), one(higher)))
    })
}
