//! What an expression reads and did not get, although it is there: under another name, without the label that is asked for,
//! in too few samples for a range, or gone since. A value made without it, such as the 0 of `or vector(0)`, is no evidence.

use std::collections::BTreeSet;

use promeval::labels::METRIC_NAME;
use promeval::promql::ast::{BinaryOp, Expr, ExprKind, Matcher, Selector, SetOp, Type};
use promeval::promql::{Evaluator, Value};
use promeval::series::{Storage, StoredSeries};

use super::Inventory;
use crate::text;

/// Functions that tell nothing of one sample of a series.
const OF_TWO: [&str; 13] = [
    "rate",
    "irate",
    "increase",
    "delta",
    "idelta",
    "deriv",
    "predict_linear",
    "double_exponential_smoothing",
    "changes",
    "resets",
    "stddev_over_time",
    "stdvar_over_time",
    "mad_over_time",
];

/// Whether a function tells nothing of one sample of a series.
pub(crate) fn needs_two_samples(function: &str) -> bool {
    OF_TWO.contains(&function)
}

/// What there is to read, and when.
struct Reading<'r> {
    storage: &'r Storage,
    inventory: &'r Inventory,
    time: i64,
    /// All that the expression reads.
    selectors: Vec<&'r Selector>,
}

/// What an expression reads that is there and that it did not get; nothing where it got all that there is.
pub(crate) fn unread(expr: &Expr, storage: &Storage, inventory: &Inventory, time: i64) -> Option<String> {
    Reading { storage, inventory, time, selectors: expr.selectors() }.unread(expr, None)
}

impl Reading<'_> {
    /// Looks at an expression, of which it may be known already whether it has no element: each is evaluated once.
    fn unread(&self, expr: &Expr, is_empty: Option<bool>) -> Option<String> {
        let expr = expr.unwrapped();
        match &expr.kind {
            ExprKind::Selector(selector) => self.missed(selector).or_else(|| self.gone(expr, selector)),
            ExprKind::Matrix(selector, _) => self.missed(selector),
            ExprKind::Call(call) if call.name().starts_with("absent") => None,
            ExprKind::Call(call) => {
                let inside = call.args().iter().find_map(|argument| self.unread(argument, None));
                let range = call.args().iter().find(|argument| argument.value_type() == Type::Matrix);
                inside
                    .or_else(|| range.filter(|_| needs_two_samples(call.name())).and_then(|range| self.too_few(range)))
            }
            ExprKind::Binary(binary) => match binary.op {
                BinaryOp::Set(SetOp::Unless) => self.unread(&binary.lhs, None),
                BinaryOp::Set(SetOp::Or | SetOp::And) | BinaryOp::Compare(..) => {
                    self.unread(&binary.lhs, None).or_else(|| self.unread(&binary.rhs, None))
                }
                BinaryOp::Arithmetic(_) => {
                    // What has elements has them from both sides.
                    let is_empty = is_empty.unwrap_or_else(|| self.is_empty(expr));
                    let [left, right] = [&binary.lhs, &binary.rhs].map(|side| is_empty && self.is_empty(side));
                    let sides =
                        || self.unread(&binary.lhs, Some(left)).or_else(|| self.unread(&binary.rhs, Some(right)));
                    let strangers = is_empty && !left && !right;
                    sides().or_else(|| strangers.then(|| "its parts find each other in no label".to_owned()))
                }
            },
            _ => expr.children().into_iter().find_map(|child| self.unread(child, None)),
        }
    }

    fn matching<'s>(&'s self, selector: &'s Selector) -> impl Iterator<Item = StoredSeries<'s>> {
        self.storage.series().filter(|series| selector.matches(&series.labels))
    }

    fn is_empty(&self, expr: &Expr) -> bool {
        let value = Evaluator::new(self.storage, self.time).value(expr);
        matches!(value, Ok(Value::Vector(elements)) if elements.is_empty())
    }

    /// What a selector matches none of because it asks for it by another name, or by a label that it does not have.
    fn missed(&self, selector: &Selector) -> Option<String> {
        if self.matching(selector).next().is_some() {
            return None;
        }
        let Some(name) = selector.metric_name() else { return self.inventory.absence(selector, self.storage) };
        if !self.inventory.has_samples(name) {
            let mut relatives = self.inventory.relatives(name);
            relatives.retain(|other| !self.selectors.iter().any(|selector| selector.wants(other)));
            let others = text::joined(relatives.iter(), 3, ", ");
            return (!relatives.is_empty())
                .then(|| format!("no sample is called {name}; there are samples of {others}"));
        }
        let matchers = selector.matchers.iter().filter(|matcher| matcher.label != METRIC_NAME);
        let unmet = |matcher: &&Matcher| {
            !self.storage.named(name).any(|series| matcher.test.holds(series.labels.get(&matcher.label)))
        };
        let mut unmet = matchers.filter(unmet);
        unmet.find_map(|matcher| {
            let label = &*matcher.label;
            let has = self.storage.named(name).any(|series| !series.labels.get(label).is_empty());
            // The sides of a comparison are known, also the one that has nothing to show.
            let mut targets = self.storage.named(name).map(|series| series.labels.get(label));
            let is_side = |target: &str| ["", "canary", "stable"].contains(&target);
            if has
                && label == "target"
                && ["canary", "stable"].iter().any(|side| matcher.test.holds(side))
                && targets.all(is_side)
            {
                return None;
            }
            if has && matches!(label, "le" | "quantile" | "job" | "instance" | "target") {
                return self.inventory.absence(selector, self.storage);
            }
            (!has).then(|| {
                let labels = self.storage.named(name).map(|series| series.labels.to_labels()).collect::<Vec<_>>();
                let labels: BTreeSet<&str> = labels
                    .iter()
                    .flat_map(|labels| labels.iter().map(|(name, _)| name))
                    .filter(|name| *name != METRIC_NAME)
                    .collect();
                format!("no series of {name} has a label {label}; there are {}", text::joined(labels, 8, ", "))
            })
        })
    }

    /// Which counter was there, and is gone from the newest scrape.
    fn gone(&self, expr: &Expr, selector: &Selector) -> Option<String> {
        let name = selector.metric_name()?;
        let mut known = self.matching(selector).peekable();
        known.peek()?;
        let is_counter = self.inventory.counts(name) || name.ends_with("_total");
        let ended = |series: StoredSeries<'_>| {
            let before = series.points.partition_point(|point| point.time <= self.time);
            before.checked_sub(1).is_some_and(|newest| series.points[newest].is_stale())
        };
        (is_counter && known.all(ended) && self.is_empty(expr))
            .then(|| format!("{name} had samples at first, and is gone from the newest scrape"))
    }

    /// Why what holds a range of a series tells nothing of series that are there: of none it holds two samples.
    fn too_few(&self, range: &Expr) -> Option<String> {
        let Ok(Value::Matrix(held)) = Evaluator::new(self.storage, self.time).value(range) else { return None };
        if held.iter().any(|series| series.points.len() > 1) {
            return None;
        }
        let is_alive = |series: &StoredSeries<'_>| series.points.last().is_some_and(|newest| !newest.is_stale());
        let several = |series: &StoredSeries<'_>| series.points.iter().filter(|point| !point.is_stale()).count() > 1;
        let selectors = range.selectors();
        let matching = selectors.iter().flat_map(|selector| self.matching(selector));
        let living: Vec<StoredSeries<'_>> = matching.filter(is_alive).collect();
        if living.is_empty() {
            return None;
        }
        Some(if living.iter().any(several) {
            "its range is too short to hold two samples".into()
        } else {
            "there are too few scrapes for its range: rates and changes need at least two".into()
        })
    }
}

#[cfg(test)]
mod tests {
    use promeval::exposition::{Exposition, Format};
    use promeval::promql::parse;
    use promeval::series::Target;

    use super::*;

    /// What two scrapes, a second apart, leave unread.
    fn unread_of(scrapes: [&str; 2], source: &str) -> Option<String> {
        let (mut storage, mut inventory) = (Storage::default(), Inventory::default());
        let mut target = Target::new([("job".to_owned(), "app".to_owned())]);
        for (number, scrape) in scrapes.iter().filter(|scrape| !scrape.is_empty()).enumerate() {
            let exposition = Exposition::parse(scrape.as_bytes(), Format::of_file(scrape.as_bytes())).unwrap();
            target.scraped(&mut storage, &exposition, i64::try_from(number).unwrap() * 1000).unwrap();
            inventory = Inventory::new(&exposition);
        }
        let time = if scrapes[1].is_empty() { 0 } else { 1000 };
        unread(&parse(source).unwrap(), &storage, &inventory, time)
    }

    #[test]
    fn samples_under_another_name_are_no_zero() {
        for (scrape, asked, wanted) in [
            ("# TYPE errs counter\nerrs 50\n", "errs_total", Some("samples of errs")),
            ("# TYPE errs_total counter\nerrs 50\n", "errs_total", Some("samples of errs")),
            ("# TYPE errs counter\nerrs_total 50\n", "errs", Some("samples of errs_total")),
            ("# TYPE errs_total counter\nerrs_total_total 50\n", "errs_total", Some("samples of errs_total_total")),
            (
                "# TYPE errs_total histogram\nerrs_total_bucket{le=\"+Inf\"} 50\nerrs_total_sum 1\nerrs_total_count 50\n",
                "errs_total",
                Some("samples of errs_total_bucket, errs_total_count, errs_total_sum"),
            ),
            ("# TYPE errs counter\nerrs_created 50\n# EOF\n", "errs_total", Some("samples of errs_created")),
            ("# TYPE errs counter\n# TYPE errs_total gauge\nerrs_total 1\n", "errs", None),
            ("# TYPE errs counter\nerrs_total 1\n", "errs or errs_total", None),
            ("# TYPE errs_total counter\n", "errs_total", None),
            ("# TYPE other_total counter\nother_total 5\n", "errs_total", None),
        ] {
            let found = unread_of([scrape, ""], &format!("sum({asked}) or vector(0)"));
            match wanted {
                Some(piece) => assert!(found.as_ref().is_some_and(|why| why.contains(piece)), "{scrape}: {found:?}"),
                None => assert_eq!(found, None, "{scrape}"),
            }
        }
    }

    #[test]
    fn labels_ranges_and_ends_are_looked_at() {
        const ERRS: &str = "# TYPE e_total counter\ne_total{status=\"500\"} 50\n";
        const EMPTY: &str = "# TYPE e_total counter\n";
        const TWO: &str = "a{path=\"/\"} 1\nb{code=\"500\"} 2\n";
        for (scrapes, source, wanted) in [
            ([ERRS, ""], "sum(e_total{code=\"500\"}) or vector(0)", Some("has a label code; there are job, status")),
            ([ERRS, ""], "sum(e_total{status=\"404\"}) or vector(0)", None),
            ([ERRS, ""], "sum(e_total{job=\"ap\"}) or vector(0)", Some("its values are \"app\"")),
            ([ERRS, ""], "sum(e_total{target=\"canry\"}) or vector(0)", Some("has a label target")),
            ([ERRS, ""], "sum(e_total{target=\"stable\"}) or vector(0)", Some("has a label target")),
            ([ERRS, ""], "absent(e_total{code=\"500\"})", None),
            ([ERRS, ""], "e_total unless e_total{code=\"500\"}", None),
            ([ERRS, ""], "sum(rate(e_total[1m])) or vector(0)", Some("too few scrapes")),
            ([ERRS, ""], "changes(e_total[1m])", Some("too few scrapes")),
            ([ERRS, ERRS], "sum(rate(e_total[1m])) or vector(0)", None),
            ([ERRS, ERRS], "sum(rate(e_total[900ms])) or vector(0)", Some("too short")),
            ([ERRS, ERRS], "sum(changes(e_total[900ms])) or vector(0)", Some("too short")),
            ([ERRS, ""], "stddev_over_time(e_total[1m])", Some("too few scrapes")),
            ([ERRS, ERRS], "sum(changes(e_total[1m])) or vector(0)", None),
            ([ERRS, ERRS], "sum(changes(e_total[2s:1s])) or vector(0)", None),
            ([ERRS, ERRS], "sum(changes(e_total[1s:1s])) or vector(0)", Some("too short")),
            ([ERRS, EMPTY], "sum(e_total) or vector(0)", Some("is gone from the newest scrape")),
            ([TWO, ""], "sum(a / b) or vector(0)", Some("in no label")),
            ([TWO, ""], "sum(a / on() b) or vector(0)", None),
        ] {
            let found = unread_of(scrapes, source);
            match wanted {
                Some(piece) => assert!(found.as_ref().is_some_and(|why| why.contains(piece)), "{source}: {found:?}"),
                None => assert_eq!(found, None, "{source}"),
            }
        }
    }
}
