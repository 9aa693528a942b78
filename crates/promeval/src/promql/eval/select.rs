//! Selectors, ranges and subqueries: which points an expression sees.

use std::collections::HashMap;
use std::ops::Range;

use super::over_time::Window;
use super::{Element, Evaluator, LOOKBACK, Value};
use crate::promql::Error;
use crate::promql::ast::{At, Expr, ExprKind, Selector, Shift, Subquery};
use crate::promql::duration::Role;
use crate::series::{Point, Series, StoredSeries};

/// Series cut to a window.
pub(super) struct RangeVector {
    pub(super) series: Vec<Series>,
    pub(super) window: Window,
}

impl<'s> Evaluator<'s> {
    /// The newest point of each matching series within the lookback, with its own time.
    pub(super) fn instant_points(
        &self,
        selector: &Selector,
        time: i64,
        span: &Range<usize>,
    ) -> Result<Vec<(StoredSeries<'s>, Point)>, Error> {
        let time = self.shifted(&selector.shift, time)?;
        let mut found = Vec::new();
        for series in self.matching(selector) {
            // The window is open on the left: a point exactly as old as the lookback no longer counts.
            let newest = within(series.points, time.saturating_sub(LOOKBACK), time).last();
            if let Some(point) = newest.filter(|point| !point.is_stale()) {
                found.push((series, *point));
            }
        }
        self.touch(found.len(), span)?;
        Ok(found)
    }

    pub(super) fn instant(&self, selector: &Selector, time: i64, span: &Range<usize>) -> Result<Vec<Element>, Error> {
        let points = self.instant_points(selector, time, span)?;
        Ok(points
            .into_iter()
            .map(|(series, point)| Element { labels: series.labels.to_labels(), value: point.value })
            .collect())
    }

    /// The series of a range selector or subquery, cut to its window; series without a point in it are left out.
    pub(super) fn range(&self, expr: &Expr, time: i64) -> Result<RangeVector, Error> {
        match &expr.unwrapped().kind {
            ExprKind::Matrix(selector, range) => {
                let end = self.shifted(&selector.shift, time)?;
                let range = range.within(&self.query, Role::Range)?;
                let window = Window { start: end.saturating_sub(range), end };
                let mut series = Vec::new();
                for stored in self.matching(selector) {
                    let points = within(stored.points, window.start, window.end);
                    self.touch(points.len(), &expr.span)?;
                    let points: Vec<Point> = points.iter().filter(|point| !point.is_stale()).copied().collect();
                    if !points.is_empty() {
                        series.push(Series { labels: stored.labels.to_labels(), points });
                    }
                }
                Ok(RangeVector { series, window })
            }
            ExprKind::Subquery(subquery) => self.subquery(subquery, time, &expr.span),
            _ => Err(Error::new("want a range vector", expr.span.clone())),
        }
    }

    /// Evaluates at whole multiples of the step, so that the points do not depend on the query's time.
    fn subquery(&self, subquery: &Subquery, time: i64, span: &Range<usize>) -> Result<RangeVector, Error> {
        let end = self.shifted(&subquery.shift, time)?;
        let range = subquery.range.within(&self.query, Role::Range)?;
        let step = subquery.step.within(&self.query, Role::Step)?.max(1);
        let window = Window { start: end.saturating_sub(range), end };
        let mut at = step * (window.start / step);
        if at <= window.start {
            at += step;
        }
        let mut series: Vec<Series> = Vec::new();
        let mut known = HashMap::new();
        while at <= end {
            self.touch(1, span)?;
            if let Value::Vector(elements) = self.eval(&subquery.expr, at)? {
                self.touch(elements.len(), span)?;
                for element in elements {
                    let index = *known.entry(element.labels.clone()).or_insert_with(|| {
                        series.push(Series { labels: element.labels, points: Vec::new() });
                        series.len() - 1
                    });
                    series[index].points.push(Point { time: at, value: element.value });
                }
            }
            at += step;
        }
        Ok(RangeVector { series, window })
    }

    pub(super) fn matching(&self, selector: &Selector) -> Vec<StoredSeries<'s>> {
        let matches = |series: &StoredSeries<'s>| selector.matches(&series.labels);
        let mut found: Vec<StoredSeries<'s>> = match selector.metric_name() {
            Some(name) => self.storage.named(name).filter(matches).collect(),
            None => self.storage.series().filter(matches).collect(),
        };
        found.sort_by(|a, b| a.labels.iter().cmp(b.labels.iter()));
        found
    }

    pub(super) fn shifted(&self, shift: &Shift, time: i64) -> Result<i64, Error> {
        let base = match shift.at {
            None => time,
            Some(At::Time(at)) => at,
            Some(At::Start) => self.query.start,
            Some(At::End) => self.query.end,
        };
        let offset = shift.offset.as_ref().map(|offset| offset.within(&self.query, Role::Offset)).transpose()?;
        Ok(base.saturating_sub(offset.unwrap_or(0)))
    }
}

/// The points after `start`, up to and with `end`.
fn within(points: &[Point], start: i64, end: i64) -> &[Point] {
    let first = points.partition_point(|point| point.time <= start);
    let after = points.partition_point(|point| point.time <= end);
    &points[first.min(after)..after]
}
