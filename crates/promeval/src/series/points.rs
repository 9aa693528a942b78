//! The points of one series.

use std::slice;

use super::Point;

/// Points sorted by time, each time once. Most series of a single scrape have one point: it needs no allocation.
///
/// The newest point of many is also kept apart: another scrape, and an evaluation at its time, then read the series one after the
/// other and none of the lists. With 24 points each that is a third of the time.
#[derive(Clone, Debug)]
pub(super) enum Points {
    None,
    One(Point),
    /// The newest two, where older ones are not wanted.
    Two([Point; 2]),
    Many {
        newest: Point,
        all: Vec<Point>,
    },
}

/// How a point is added, and which of two at one time stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Adding {
    /// [`Points::push`]
    FirstStays,
    /// [`Points::push_newest`]
    NewestTwo,
    /// [`Points::set`]
    LastWins,
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
            Self::Two(points) => points,
            Self::Many { all, .. } => all,
        }
    }

    pub(super) fn newest(&self) -> Option<Point> {
        match self {
            Self::None => None,
            Self::One(point) | Self::Two([_, point]) | Self::Many { newest: point, .. } => Some(*point),
        }
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
        match self {
            Self::None => {
                *self = Self::One(point);
                return Added::New;
            }
            Self::Many { newest, all } if newest.time < point.time => {
                all.push(point);
                *newest = point;
                return Added::New;
            }
            Self::One(_) | Self::Two(_) | Self::Many { .. } => {}
        }
        let newest = self.newest().map_or(i64::MIN, |newest| newest.time);
        if newest == point.time {
            return Added::Known;
        }
        self.change(|points| points.push(point));
        if newest < point.time { Added::New } else { Added::Unsettled }
    }

    /// Adds a point as [`Points::push`] does; of those before, only the newest one stays where all were added like this.
    pub(super) fn push_newest(&mut self, point: Point) -> Added {
        match *self {
            Self::One(before) if before.time < point.time => {
                *self = Self::Two([before, point]);
                Added::New
            }
            Self::Two([_, before]) if before.time < point.time => {
                *self = Self::Two([before, point]);
                Added::Known
            }
            _ => self.push(point),
        }
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
        let mut all = match std::mem::replace(self, Self::None) {
            Self::None => Vec::new(),
            Self::One(point) => vec![point],
            Self::Two(points) => points.to_vec(),
            Self::Many { all, .. } => all,
        };
        let result = change(&mut all);
        if let Some(newest) = all.last().copied() {
            *self = Self::Many { newest, all };
        }
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
