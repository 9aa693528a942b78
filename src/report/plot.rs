//! The plot of one threshold over the window: a curve for each element, the limit, and what failed. Drawing leaves points out
//! where they would cover each other; the data has all.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::labels_of;
use crate::outcome::{Course, CoursePoint};
use crate::text;

/// The most curves of one plot.
const CURVES: usize = 8;

/// The most points of a curve: more than there are pixels is of no use.
const POINTS: usize = 240;

/// The most marks on a curve.
const MARKS: usize = 60;

/// Curves have so many colours.
const COLOURS: usize = 4;

/// Of the drawing, in its own units.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 200.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 176.0;
const LEFT: f64 = 68.0;
const RIGHT: f64 = 472.0;

/// What is drawn where.
struct Scale {
    from: i64,
    to: i64,
    low: f64,
    high: f64,
}

/// The plot and its legend; nothing where no curve has a finite point.
pub(super) fn of(courses: &[Course]) -> Option<Markup> {
    let shown = &courses[..courses.len().min(CURVES)];
    let scale = Scale::of(shown)?;
    let more = courses.len() - shown.len();
    let labelled = labelled(shown, &scale);
    // Mostly all curves have one limit.
    let limits: BTreeSet<String> = shown.iter().flat_map(|course| limit(course, &scale)).collect();
    Some(html! {
        svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" {
            title { "The values over the window" }
            line class="grid" x1=(LEFT) x2=(RIGHT) y1=(BOTTOM) y2=(BOTTOM) {}
            @for (number, course) in shown.iter().enumerate() {
                @for line in lines(&course.points, &scale, |point| point.value) {
                    polyline class={ "curve s" (number % COLOURS) } points=(line) {}
                }
            }
            // Over the curves: one of them may lie on it.
            @for line in limits {
                polyline class="limit" points=(line) {}
            }
            @for point in shown.iter().flat_map(failed) {
                circle class="fail" cx=(scale.x(point)) cy=(scale.y(point.value)) r="4" {
                    title { (text::number(point.value)) " at " (scale.time(point.at)) }
                }
            }
            @for (x, y, label) in labelled {
                text class="fail" x=(x) y=(y) text-anchor=(anchor(x)) { (label) }
            }
            text x="62" y=(round(TOP + 4.0)) text-anchor="end" { (text::number(scale.high)) }
            text x="62" y=(round(BOTTOM + 4.0)) text-anchor="end" { (text::number(scale.low)) }
            text x=(LEFT) y="194" { (scale.time(scale.from)) }
            text x=(RIGHT) y="194" text-anchor="end" { (scale.time(scale.to)) }
        }
        @if shown.len() > 1 || shown.iter().any(|course| !course.labels.is_empty()) {
            ul {
                @for (number, course) in shown.iter().enumerate() {
                    li class={ "k" (number % COLOURS) } { (text::escaped(&labels_of(&course.labels))) }
                }
                @if more > 0 { li { "and " (more) " more" } }
            }
        }
    })
}

impl Scale {
    fn of(courses: &[Course]) -> Option<Self> {
        let points = || courses.iter().flat_map(|course| &course.points);
        let (from, to) = (points().map(|point| point.at).min()?, points().map(|point| point.at).max()?);
        let finite = || points().flat_map(|point| [point.value, point.limit]).filter(|value| value.is_finite());
        let (low, high) = (finite().reduce(f64::min)?, finite().reduce(f64::max)?);
        // Of a curve that never moves, the line is in the middle.
        let (low, high) = if low < high { (low, high) } else { (low - 1.0, high + 1.0) };
        Some(Self { from, to, low, high })
    }

    fn x(&self, point: &CoursePoint) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a day at most")]
        let part = (point.at - self.from) as f64 / (self.to - self.from).max(1) as f64;
        round(LEFT + part * (RIGHT - LEFT))
    }

    /// What is infinite is at the edge.
    fn y(&self, value: f64) -> f64 {
        // Halves first: the distance of two numbers may be none.
        let part = (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0);
        round(BOTTOM - part.clamp(0.0, 1.0) * (BOTTOM - TOP))
    }

    /// A time since the window began.
    fn time(&self, at: i64) -> String {
        let since = u64::try_from(at - self.from).unwrap_or(0);
        text::duration(std::time::Duration::from_millis(since))
    }
}

/// To a tenth: nobody sees less.
fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn anchor(x: f64) -> &'static str {
    if x < LEFT + 30.0 {
        "start"
    } else if x > RIGHT - 30.0 {
        "end"
    } else {
        "middle"
    }
}

fn failed(course: &Course) -> impl Iterator<Item = &CoursePoint> {
    let failed = || course.points.iter().filter(|point| !point.holds);
    failed().step_by(failed().count().div_ceil(MARKS).max(1))
}

/// The limit of a curve: where it never changes, from its first point to its last.
fn limit(course: &Course, scale: &Scale) -> Vec<String> {
    let of = |point: &CoursePoint| point.limit;
    match &course.points[..] {
        [first, .., last] if course.points.iter().all(|point| point.limit == first.limit) => {
            lines(&[*first, *last], scale, of)
        }
        points => lines(points, scale, of),
    }
}

/// The pieces of a curve between what cannot be drawn: of neighbours that would cover each other, the lowest and the highest.
fn lines(points: &[CoursePoint], scale: &Scale, of: impl Fn(&CoursePoint) -> f64) -> Vec<String> {
    let step = (2 * points.len()).div_ceil(POINTS).max(1);
    let pieces = points.split(|point| of(point).is_nan()).filter(|piece| !piece.is_empty());
    let line = |piece: &[CoursePoint]| {
        let mut points: Vec<&CoursePoint> = Vec::new();
        for near in piece.chunks(step) {
            let by_value = |a: &&CoursePoint, b: &&CoursePoint| of(a).total_cmp(&of(b));
            let ends = [near.iter().min_by(by_value), near.iter().max_by(by_value)];
            let mut ends: Vec<&CoursePoint> = ends.into_iter().flatten().collect();
            ends.sort_by_key(|point| point.at);
            ends.dedup();
            points.extend(ends);
        }
        // A point alone is a line without a length, which is not drawn.
        let mut text: Vec<String> =
            points.iter().map(|point| format!("{},{}", scale.x(point), scale.y(of(point)))).collect();
        if let [only] = &text[..] {
            let (x, y) = only.split_once(',').unwrap_or((only, ""));
            let beside = x.parse::<f64>().map_or(RIGHT, |x| round(x + 2.0));
            text.push(format!("{beside},{y}"));
        }
        text.join(" ")
    };
    pieces.map(line).collect()
}

/// The values beside the points that failed, as many as have room: the others have theirs where a pointer rests on them.
fn labelled(courses: &[Course], scale: &Scale) -> Vec<(f64, f64, String)> {
    const APART: f64 = 44.0;
    const LINE: f64 = 14.0;
    let mut labels: Vec<(f64, f64, String)> = Vec::new();
    for point in courses.iter().flat_map(failed) {
        let (x, y) = (scale.x(point), (scale.y(point.value) - 7.0).max(12.0));
        let is_free =
            |(other_x, other_y, _): &(f64, f64, String)| (x - other_x).abs() >= APART || (y - other_y).abs() >= LINE;
        if labels.iter().all(is_free) {
            labels.push((x, round(y), text::number(point.value)));
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(values: &[f64], limit: f64) -> Course {
        let point = |(number, value): (usize, &f64)| CoursePoint {
            at: i64::try_from(number).unwrap() * 5_000,
            value: *value,
            limit,
            holds: value.is_nan() || *value <= limit,
        };
        Course { labels: Vec::new(), points: values.iter().enumerate().map(point).collect() }
    }

    fn drawn(courses: &[Course]) -> String {
        of(courses).map(Markup::into_string).unwrap_or_default()
    }

    #[test]
    fn curve_limit_and_failures_are_drawn() {
        let text = drawn(&[course(&[1.0, 2.0, 3.0, f64::NAN, 1.0], 2.0)]);
        assert_eq!(text.matches("class=\"curve s0\"").count(), 2, "{text}");
        assert_eq!(text.matches("<circle").count(), 1, "{text}");
        assert!(text.contains("class=\"limit\" points=\"68,99") && text.contains(">3</text>"), "{text}");
        assert!(text.contains("<title>3 at 10s</title>") && text.contains(">20s</text>"), "{text}");
    }

    #[test]
    fn whatever_the_values_are_the_drawing_stays_inside_and_small() {
        let long: Vec<f64> = (0..100_000).map(|number| f64::from(number % 997)).collect();
        for values in [
            &[][..],
            &[f64::NAN],
            &[0.0],
            &[f64::MAX, f64::MIN],
            &[f64::INFINITY, f64::NEG_INFINITY, 1.0],
            &[5e-324, 0.0],
            &long,
        ] {
            let text = drawn(&vec![course(values, 500.0); 20]);
            assert!(text.len() < 80_000, "{}", text.len());
            assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
            for pair in text.split("points=\"").skip(1).flat_map(|rest| rest.split('"').next().unwrap().split(' ')) {
                let (x, y) = pair.split_once(',').unwrap();
                let (x, y): (f64, f64) = (x.parse().unwrap(), y.parse().unwrap());
                assert!((0.0..=WIDTH).contains(&x) && (0.0..=HEIGHT).contains(&y), "{pair}");
            }
        }
    }
}
