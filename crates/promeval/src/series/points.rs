//! The points of one series.

use std::{mem, slice};

use super::Point;

/// Points sorted by time, each time once. Most series of a single scrape have one point: it needs no allocation.
#[derive(Clone, Debug)]
pub(super) enum Points {
    None,
    One(Point),
    Many(Vec<Point>),
}

/// What came of a point that was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    New,
    /// There was a point at that time already.
    Known,
    /// It is behind later ones, out of order: [`Points::settle`] puts it into its place.
    Unsettled,
}

impl Points {
    pub(super) fn as_slice(&self) -> &[Point] {
        match self {
            Self::None => &[],
            Self::One(point) => slice::from_ref(point),
            Self::Many(points) => points,
        }
    }

    pub(super) fn newest(&self) -> Option<Point> {
        self.as_slice().last().copied()
    }

    /// Adds a point; at a time that there is already, it takes the place of the one before.
    pub(super) fn set(&mut self, point: Point) -> Added {
        self.change(|points| match points.binary_search_by_key(&point.time, |other| other.time) {
            Ok(at) => {
                points[at] = point;
                Added::Known
            }
            Err(at) => {
                points.insert(at, point);
                Added::New
            }
        })
    }

    /// Adds a point at the end, wherever it belongs: many of them take linear time in any order, if they are settled
    /// together.
    pub(super) fn push(&mut self, point: Point) -> Added {
        let Some(Point { time: newest, .. }) = self.newest() else {
            *self = Self::One(point);
            return Added::New;
        };
        if newest == point.time {
            return Added::Known;
        }
        self.change(|points| points.push(point));
        if newest < point.time { Added::New } else { Added::Unsettled }
    }

    /// Sorts the points; of those at one time the first that was added stays. Returns how many were dropped.
    pub(super) fn settle(&mut self) -> usize {
        self.change(|points| {
            let before = points.len();
            points.sort_by_key(|point| point.time);
            points.dedup_by_key(|point| point.time);
            before - points.len()
        })
    }

    fn change<R>(&mut self, change: impl FnOnce(&mut Vec<Point>) -> R) -> R {
        let mut points = match mem::replace(self, Self::Many(Vec::new())) {
            Self::None => Vec::new(),
            Self::One(point) => vec![point],
            Self::Many(points) => points,
        };
        let result = change(&mut points);
        *self = Self::Many(points);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(points: &[(i64, f64)]) -> Vec<Point> {
        points.iter().map(|(time, value)| Point { time: *time, value: *value }).collect()
    }

    #[test]
    fn points_are_sorted_whatever_the_order_they_came_in() {
        let mut points = Points::None;
        let added = of(&[(5, 1.0), (3, 2.0), (3, 9.0), (4, 3.0), (5, 9.0), (6, 4.0)]).into_iter();
        let added: Vec<_> = added.map(|point| points.push(point)).collect();
        assert_eq!(added, [Added::New, Added::Unsettled, Added::Known, Added::New, Added::New, Added::New]);
        assert_eq!(points.settle(), 1);
        assert_eq!(points.as_slice(), of(&[(3, 2.0), (4, 3.0), (5, 1.0), (6, 4.0)]));
    }

    #[test]
    fn a_point_at_a_known_time_is_replaced() {
        let mut points = Points::None;
        let added = of(&[(5, 1.0), (3, 2.0), (5, 3.0)]).into_iter().map(|point| points.set(point)).collect::<Vec<_>>();
        assert_eq!(added, [Added::New, Added::New, Added::Known]);
        assert_eq!(points.as_slice(), of(&[(3, 2.0), (5, 3.0)]));
    }
}
