//! The drawing of what a comparison proves: the interval of a measure against what is tolerated of it.

use maud::{Markup, html};

use crate::outcome::{IntervalSeen, IntervalUnit};
use crate::text;

/// Of the drawing, in its own units.
const WIDTH: f64 = 480.0;
const LEFT: f64 = 12.0;
const RIGHT: f64 = 468.0;

/// What is drawn reaches to so many times the distance of the bound: beyond it, a bar ends at the edge with an arrow.
const FAR: f64 = 4.0;

struct Scale {
    from: f64,
    to: f64,
}

/// The bar of the interval with its estimate, the line of no difference, and the bound; nothing where there is no interval.
pub(super) fn of(seen: &IntervalSeen) -> Option<Markup> {
    let scale = Scale::of(seen)?;
    let (low, high) = (scale.x(seen.low), scale.x(seen.high));
    let (same, bound, tolerated) = (scale.x(same(seen.unit)), scale.x(seen.bound), scale.x(seen.tolerated));
    let is_beyond = |value: f64| value.is_nan() || value < scale.from || value > scale.to;
    let label = |value| labelled(value, seen.unit);
    Some(html! {
        svg viewBox={ "0 0 " (WIDTH) " 64" } role="img" {
            title {
                (label(seen.estimate)) ", from " (label(seen.low)) " to " (label(seen.high)) ", over " (seen.pairs) " pairs; at most "
                (label(seen.bound)) " is a pass"
            }
            rect class="tolerated" x=(same) y="12" width=(round((tolerated - same).max(0.0))) height="32" {}
            line class="grid" x1=(LEFT) x2=(RIGHT) y1="44" y2="44" {}
            line class="same" x1=(same) x2=(same) y1="8" y2="44" {}
            line class="limit" x1=(bound) x2=(bound) y1="8" y2="44" {}
            rect class="interval" x=(low) y="24" width=(round((high - low).max(2.0))) height="8" {}
            @if is_beyond(seen.low) { polygon class="interval" points={ (LEFT - 8.0) ",28 " (LEFT) ",22 " (LEFT) ",34" } {} }
            @if is_beyond(seen.high) { polygon class="interval" points={ (RIGHT + 8.0) ",28 " (RIGHT) ",22 " (RIGHT) ",34" } {} }
            @if !seen.estimate.is_nan() { circle class="estimate" cx=(scale.x(seen.estimate)) cy="28" r="6" {} }
            text x=(same) y="60" text-anchor=(anchor(same)) { "stable" }
            text class="fail" x=(bound) y="60" text-anchor=(anchor(bound)) { (label(seen.bound)) }
        }
    })
}

fn labelled(value: f64, unit: IntervalUnit) -> String {
    match unit {
        IntervalUnit::Ratio => format!("{}×", text::number(value)),
        IntervalUnit::Share => format!("{} %", text::number(100.0 * value)),
    }
}

/// Where the canary is as stable is.
fn same(unit: IntervalUnit) -> f64 {
    match unit {
        IntervalUnit::Ratio => 1.0,
        IntervalUnit::Share => 0.0,
    }
}

impl Scale {
    fn of(seen: &IntervalSeen) -> Option<Self> {
        let same = same(seen.unit);
        let bound = seen.bound.is_finite().then_some(seen.bound).filter(|bound| *bound > same)?;
        if seen.low.is_nan() && seen.high.is_nan() {
            return None;
        }
        let reach = FAR * (bound - same);
        let ends = [seen.low, seen.high, seen.estimate].into_iter().filter(|value| !value.is_nan());
        let ends: Vec<f64> = ends.map(|value| value.clamp(same - reach, same + reach)).collect();
        let from = ends.iter().copied().fold(same, f64::min);
        let to = ends.iter().copied().fold(bound, f64::max);
        let margin = (to - from) / 20.0;
        Some(Self { from: from - margin, to: to + margin })
    }

    /// What is beyond is at the edge.
    fn x(&self, value: f64) -> f64 {
        let value = if value.is_nan() { self.to } else { value.clamp(self.from, self.to) };
        round(LEFT + (value - self.from) / (self.to - self.from) * (RIGHT - LEFT))
    }
}

fn anchor(x: f64) -> &'static str {
    if x < LEFT + 40.0 {
        "start"
    } else if x > RIGHT - 40.0 {
        "end"
    } else {
        "middle"
    }
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(low: f64, estimate: f64, high: f64, unit: IntervalUnit) -> IntervalSeen {
        let (tolerated, bound) = if unit == IntervalUnit::Ratio { (1.1, 1.25) } else { (0.0, 0.01) };
        IntervalSeen { unit, estimate, low, high, tolerated, bound, pairs: 600 }
    }

    #[test]
    fn whatever_the_interval_is_it_is_drawn_inside() {
        let values = [0.0, 1.02, 1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -0.002, 5e-324];
        for unit in [IntervalUnit::Ratio, IntervalUnit::Share] {
            for (low, estimate) in values.into_iter().flat_map(|low| values.map(|estimate| (low, estimate))) {
                for high in values {
                    let Some(drawn) = of(&seen(low, estimate, high, unit)) else {
                        assert!(low.is_nan() && high.is_nan());
                        continue;
                    };
                    let text = drawn.into_string();
                    let shapes = text.split("</title>").nth(1).unwrap();
                    assert!(!shapes.contains("NaN") && !shapes.contains("inf"), "{text}");
                    for x in shapes.split(" x=\"").skip(1) {
                        let x: f64 = x.split('"').next().unwrap().parse().unwrap();
                        assert!((0.0..=WIDTH).contains(&x), "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn bar_estimate_and_bound_are_where_they_are() {
        let text = of(&seen(0.97, 1.02, 1.08, IntervalUnit::Ratio)).unwrap().into_string();
        assert_eq!(text.matches("class=\"interval\"").count(), 1, "{text}");
        assert!(text.contains(">1.02×, from 0.97× to 1.08×, over 600 pairs; at most 1.25× is a pass<"), "{text}");
        let text = of(&seen(1.4, 2.0, f64::INFINITY, IntervalUnit::Ratio)).unwrap().into_string();
        assert_eq!(text.matches("class=\"interval\"").count(), 2, "an arrow: {text}");
    }
}
