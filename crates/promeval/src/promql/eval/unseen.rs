//! Samples that an evaluation cannot see, because they are too old or ahead of its time.

use std::collections::HashSet;

use super::{Evaluator, LOOKBACK};
use crate::promql::Error;
use crate::promql::ast::{Expr, ExprKind, Selector, Shift};
use crate::promql::duration::Role;
use crate::series::Point;
use crate::series::StoredSeries;

/// A series that an expression selects and whose samples it cannot see: all of them are outside the times that it reads.
///
/// A series that ended with a stale marker is none: it has no value, and that is known.
#[derive(Clone, Copy, Debug)]
pub struct Unseen<'s> {
    /// The series.
    pub series: StoredSeries<'s>,
    /// The time of its newest sample before what is read, or else of its first one ahead, in milliseconds since the Unix epoch.
    pub sample: i64,
    /// What is read: samples after this time,
    pub after: i64,
    /// up to and with this one.
    pub until: i64,
}

impl Unseen<'_> {
    /// How far the sample is from what is read, in milliseconds: into the past where it is too old (positive), into the future
    /// where it is ahead (negative).
    #[must_use]
    pub fn age(&self) -> i64 {
        self.until.saturating_sub(self.sample)
    }
}

impl<'s> Evaluator<'s> {
    /// The series whose samples the expression selects by labels and cannot see, the oldest and the farthest ahead last.
    ///
    /// # Errors
    /// A duration that the query's range makes invalid.
    pub fn unseen(&self, expr: &Expr) -> Result<Vec<Unseen<'s>>, Error> {
        let mut unseen = Vec::new();
        self.find_unseen(expr, self.time, self.time, &mut unseen)?;
        unseen.sort_by_key(|unseen| unseen.age().unsigned_abs());
        Ok(unseen)
    }

    /// Looks at an expression that is evaluated from one time to another.
    fn find_unseen(&self, expr: &Expr, start: i64, end: i64, unseen: &mut Vec<Unseen<'s>>) -> Result<(), Error> {
        let shifted = |shift: &Shift| Ok::<_, Error>((shift.from(start, &self.query)?, shift.from(end, &self.query)?));
        match &expr.kind {
            ExprKind::Selector(selector) => {
                let (start, end) = shifted(&selector.shift)?;
                self.unseen_between(selector, start.saturating_sub(LOOKBACK), end, unseen);
            }
            ExprKind::Matrix(selector, range) => {
                let (start, end) = shifted(&selector.shift)?;
                let range = range.within(&self.query, Role::Range)?;
                self.unseen_between(selector, start.saturating_sub(range), end, unseen);
            }
            ExprKind::Subquery(subquery) => {
                let (start, end) = shifted(&subquery.shift)?;
                let range = subquery.range.within(&self.query, Role::Range)?;
                let step = subquery.step.within(&self.query, Role::Step)?.max(1);
                // Within the range anything is read at whole multiples of the step only.
                let before = start.saturating_sub(range);
                let first = before.div_euclid(step).saturating_add(1).saturating_mul(step);
                let last = end.div_euclid(step).saturating_mul(step);
                let (first, last) = if first <= last { (first, last) } else { (before, before) };
                self.find_unseen(&subquery.expr, before, end, unseen)?;
                let mut between_steps = Vec::new();
                self.find_unseen(&subquery.expr, first, last, &mut between_steps)?;
                let known: HashSet<*const Point> = unseen.iter().map(|known| known.series.points.as_ptr()).collect();
                between_steps.retain(|found| !known.contains(&found.series.points.as_ptr()));
                unseen.append(&mut between_steps);
            }
            _ => {
                for child in expr.children() {
                    self.find_unseen(child, start, end, unseen)?;
                }
            }
        }
        Ok(())
    }

    fn unseen_between(&self, selector: &Selector, after: i64, until: i64, unseen: &mut Vec<Unseen<'s>>) {
        for series in self.storage.matching(selector) {
            let series = self.storage.view(series as usize);
            let (before, ahead) = series.points.split_at(series.points.partition_point(|point| point.time <= until));
            let sample = match before.last() {
                Some(newest) if newest.is_stale() || newest.time > after => continue,
                Some(newest) => newest.time,
                None => match ahead.iter().find(|point| !point.is_stale()) {
                    Some(point) => point.time,
                    None => continue,
                },
            };
            unseen.push(Unseen { series, sample, after, until });
        }
    }
}
