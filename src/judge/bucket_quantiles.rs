//! What buckets do not tell of a quantile: how far it lies beyond their highest bound, and anything where their counts fall.

use std::collections::BTreeMap;
use std::ops::Range;

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
    let falls = |buckets: &Expr| falling(buckets, vector(&bounded, buckets));
    if let Some(why) = buckets_of(expr).into_iter().find_map(falls) {
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
    Some(beyond_bounds(beyond))
}

/// What is said of a quantile that lies beyond the highest bound, which is the element's value where it is known.
pub(crate) fn beyond_bounds(element: Option<Element>) -> String {
    let (labels, bound) = element.map_or_else(Default::default, |Element { labels, value }| {
        (Shown::of(std::iter::once(&labels)).prefix(&labels), format!(", {}", format_value(value)))
    });
    format!(
        "{labels}the quantile lies beyond the highest bucket bound{bound}: how far is not known, the histogram needs a bound at the \
         limit or above"
    )
}

/// The buckets that functions of histograms in an expression read.
pub(crate) fn buckets_of(expr: &Expr) -> Vec<&Expr> {
    of_buckets(expr).into_iter().filter_map(|(_, call)| call.args().last()).collect()
}

/// An expression for a server that gives what this one gives with each quantile infinite that lies beyond the highest bound;
/// nothing where it has no quantile of buckets. `source` is the text that the expression is a part of.
pub(crate) fn unbounded(expr: &Expr, source: &str) -> Option<String> {
    let text = |part: &Range<usize>| source.get(part.clone()).unwrap_or_default();
    let mut unbounded = String::new();
    let mut end = expr.span.start;
    for (call, of) in of_buckets(expr) {
        let ([phi, buckets], "histogram_quantile") = (of.args(), of.name()) else { continue };
        if call.span.start < end {
            // Within another one that is written anew already.
            continue;
        }
        let (phi, buckets) = (text(&phi.span), text(&buckets.span));
        // All that is beyond the highest bound is spread up to a bound that no unit comes near.
        let far = format!(r#"({buckets}) or label_replace(({buckets}), "le", "1e308", "le", "[+]Inf")"#);
        let quantile = format!("histogram_quantile({phi}, {far})");
        unbounded += text(&(end..call.span.start));
        unbounded += &format!("({quantile} < 1e200 or {quantile} * Inf)");
        end = call.span.end;
    }
    (end > expr.span.start).then(|| unbounded + text(&(end..expr.span.end)))
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

/// Which of the elements of an expression for buckets have less in them than those of a lower bound.
pub(crate) fn falling(buckets: &Expr, elements: Vec<Element>) -> Option<String> {
    let mut histograms: BTreeMap<Labels, Vec<(f64, Element)>> = BTreeMap::new();
    for element in elements {
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

#[cfg(test)]
mod tests {
    use promeval::exposition::{Exposition, Format};
    use promeval::promql::parse;

    use super::*;

    #[test]
    fn a_server_is_asked_for_the_same_unbounded_quantiles() {
        const SCRAPE: &str = "\
d_bucket{x=\"low\",le=\"0.1\"} 50
d_bucket{x=\"low\",le=\"1.0\"} 99
d_bucket{x=\"low\",le=\"+Inf\"} 100
d_bucket{x=\"high\",le=\"0.1\"} 5
d_bucket{x=\"high\",le=\"1.0\"} 9
d_bucket{x=\"high\",le=\"+Inf\"} 100
d_bucket{x=\"none\",le=\"0.1\"} 0
d_bucket{x=\"none\",le=\"1.0\"} 0
d_bucket{x=\"none\",le=\"+Inf\"} 0
";
        let exposition = Exposition::parse(SCRAPE.as_bytes(), Format::Prometheus).unwrap();
        let mut storage = Storage::default();
        storage.ingest(&exposition, 1000, &[], |_| true).unwrap();
        for source in [
            "histogram_quantile(0.5, d_bucket)",
            "histogram_quantile(0.05, d_bucket) - 1",
            "2 * histogram_quantile(0.95, sum by (le) (d_bucket)) - on() histogram_quantile(scalar(vector(0.5)), d_bucket{x=\"low\"})",
            "histogram_quantile(-1, d_bucket) or histogram_quantile(2, d_bucket)",
            "max_over_time(histogram_quantile(0.9, d_bucket)[1s:1s] @ 1)",
        ] {
            let (plain, rewritten) = (parse(source).unwrap(), unbounded(&parse(source).unwrap(), source).unwrap());
            let wanted = vector(&Evaluator::new(&storage, 1000).unbounded_quantiles(), &plain);
            let found = vector(&Evaluator::new(&storage, 1000), &parse(&rewritten).unwrap());
            assert!(!wanted.is_empty(), "{source}");
            assert_eq!(format!("{found:?}"), format!("{wanted:?}"), "{source}: {rewritten}");
        }
        assert_eq!(unbounded(&parse("sum(d_bucket)").unwrap(), "sum(d_bucket)"), None);
    }
}
