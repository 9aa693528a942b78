//! Selectors, ranges and subqueries: which points an expression sees.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

use super::label_set::LabelSet;
use super::over_time::Window;
use super::{Evaluation, Found, Item, LOOKBACK, MAX_SAMPLES, RangeItem, seconds};
use crate::promql::Error;
use crate::promql::ast::{At, Expr, ExprKind, Selector, Shift, Subquery};
use crate::promql::duration::{QueryRange, Role};
use crate::series::Point;

/// Series cut to a window.
pub(super) struct RangeVector<'s> {
    pub(super) series: Vec<RangeItem<'s>>,
    pub(super) window: Window,
}

impl<'s> Evaluation<'s> {
    /// The newest point of each matching series within the lookback.
    pub(super) fn instant(
        &mut self,
        selector: &Selector,
        time: i64,
        span: &Range<usize>,
    ) -> Result<Vec<Item<'s>>, Error> {
        let storage = self.storage;
        let mut items = Vec::new();
        self.for_each_point(selector, time, span, |series, point| {
            items.push(Item { labels: LabelSet::stored(storage.pairs(series)), value: point.value });
        })?;
        Ok(items)
    }

    /// Visits the newest point of each matching series within the lookback.
    pub(super) fn for_each_point(
        &mut self,
        selector: &Selector,
        time: i64,
        span: &Range<usize>,
        mut visit: impl FnMut(u32, Point),
    ) -> Result<(), Error> {
        let time = selector.shift.from(time, &self.query)?;
        // The window is open on the left: a point exactly as old as the lookback no longer counts.
        let oldest = time.saturating_sub(LOOKBACK);
        let mut found = 0;
        self.storage.for_each_matching(selector, |series| {
            let newest = self.storage.newest_until(series, time);
            if let Some(point) = newest.filter(|point| point.time > oldest && !point.is_stale()) {
                found += 1;
                visit(series, point);
            }
        });
        self.touch(found, span)
    }

    /// The series of a range selector or subquery, cut to its window; series without a point in it are left out.
    pub(super) fn range(&mut self, expr: &Expr, time: i64) -> Result<RangeVector<'s>, Error> {
        match &expr.unwrapped().kind {
            ExprKind::Matrix(selector, range) => {
                let end = selector.shift.from(time, &self.query)?;
                let range = range.within(&self.query, Role::Range)?;
                let window = Window { start: end.saturating_sub(range), end };
                let mut series = Vec::new();
                for stored in self.storage.matching(selector) {
                    let points = within(self.storage.points(stored), window.start, window.end);
                    self.touch(points.len(), &expr.span)?;
                    let points = if points.iter().any(Point::is_stale) {
                        points.iter().filter(|point| !point.is_stale()).copied().collect()
                    } else {
                        Cow::Borrowed(points)
                    };
                    if !points.is_empty() {
                        let labels = LabelSet::stored(self.storage.pairs(stored));
                        series.push(RangeItem { labels, points });
                    }
                }
                Ok(RangeVector { series, window })
            }
            ExprKind::Subquery(subquery) => self.subquery(subquery, time, &expr.span),
            _ => Err(Error::new("want a range vector", expr.span.clone())),
        }
    }

    /// Evaluates at whole multiples of the step, so that the points do not depend on the query's time.
    fn subquery(&mut self, subquery: &Subquery, time: i64, span: &Range<usize>) -> Result<RangeVector<'s>, Error> {
        let end = subquery.shift.from(time, &self.query)?;
        let range = subquery.range.within(&self.query, Role::Range)?;
        let step = subquery.step.within(&self.query, Role::Step)?.max(1);
        let window = Window { start: end.saturating_sub(range), end };
        let mut at = step * (window.start / step);
        if at <= window.start {
            at += step;
        }
        // Each evaluation counts as a sample: what is too many by that alone is told before any of them is made.
        let steps = if at > end { 0 } else { end.abs_diff(at) / step.unsigned_abs() + 1 };
        self.touched = self.touched.saturating_add(usize::try_from(steps).unwrap_or(usize::MAX));
        if self.touched > MAX_SAMPLES {
            let message = format!(
                "a range of {} s in steps of {} s has {steps} evaluations, and the expression may read {MAX_SAMPLES} samples in all",
                seconds(range),
                seconds(step)
            );
            return Err(Error::new(message, span.clone()));
        }
        let mut gathered = Gathered::default();
        while at <= end {
            if let Found::Vector(items) = self.eval(&subquery.expr, at)? {
                self.touch(items.len(), span)?;
                gathered.add(items, at);
            }
            at += step;
        }
        Ok(RangeVector { series: gathered.series, window })
    }
}

impl Shift {
    /// The time that is looked at from a time of evaluation.
    pub(super) fn from(&self, time: i64, query: &QueryRange) -> Result<i64, Error> {
        let base = match self.at {
            None => time,
            Some(At::Time(at)) => at,
            Some(At::Start) => query.start,
            Some(At::End) => query.end,
        };
        let offset = self.offset.as_ref().map(|offset| offset.within(query, Role::Offset)).transpose()?;
        Ok(base.saturating_sub(offset.unwrap_or(0)))
    }
}

/// Vectors of several times, as series.
#[derive(Default)]
pub(super) struct Gathered<'s> {
    pub(super) series: Vec<RangeItem<'s>>,
    known: HashMap<LabelSet<'s>, usize, RandomState>,
}

impl<'s> Gathered<'s> {
    pub(super) fn add(&mut self, items: Vec<Item<'s>>, time: i64) {
        let Self { series, known } = self;
        for Item { labels, value } in items {
            let index = *known.entry(labels).or_insert_with_key(|labels| {
                series.push(RangeItem { labels: labels.clone(), points: Cow::Owned(Vec::new()) });
                series.len() - 1
            });
            series[index].points.to_mut().push(Point { time, value });
        }
    }
}

/// The points after `start`, up to and with `end`.
fn within(points: &[Point], start: i64, end: i64) -> &[Point] {
    let first = points.partition_point(|point| point.time <= start);
    let after = points.partition_point(|point| point.time <= end);
    &points[first.min(after)..after]
}
