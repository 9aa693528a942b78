//! When which request is due: an open schedule, whatever the answers do. Pure, and the same for the same seed.

use std::time::Duration;

use fastrand::Rng;

use crate::outcome::Side;
use crate::plan::TrafficRequest;

/// A request that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// Since the start of the schedule.
    pub(super) at: Duration,
    /// The number of its pair; without a stable revision each request is one by itself.
    pub(super) pair: usize,
    pub(super) side: Side,
    /// Its index in the plan.
    pub(super) request: usize,
    /// The W3C trace context that finds it in the traces of the service: <https://www.w3.org/TR/trace-context/>.
    pub(super) traceparent: String,
}

/// Due requests without end. Of a pair both sides are asked the same, half a period apart, in an order that is drawn for
/// each pair: what drifts in time meets both alike, and that is what makes their comparison exact.
pub(super) struct Schedule {
    rng: Rng,
    weights: Vec<f64>,
    /// How far each request is behind its share.
    behind: Vec<f64>,
    /// From one request to the next.
    step: Duration,
    is_paired: bool,
    index: u32,
    /// The second request of the pair that has begun.
    second: Option<(usize, Side, usize)>,
    pairs: usize,
}

impl Schedule {
    pub(super) fn new(requests: &[TrafficRequest], rate: f64, is_paired: bool, seed: u64) -> Self {
        let weights: Vec<f64> = requests.iter().map(|request| request.weight).collect();
        let mut rng = Rng::with_seed(seed);
        // No pattern of the weights alone.
        let behind = weights.iter().map(|weight| weight * rng.f64()).collect();
        let step = Duration::from_secs_f64(1.0 / rate);
        Self { rng, weights, behind, step, is_paired, index: 0, second: None, pairs: 0 }
    }

    /// The request that is furthest behind its share: each gets its share over any stretch, also one that is asked seldom.
    fn draw(&mut self) -> usize {
        let whole: f64 = self.weights.iter().sum();
        for (behind, weight) in self.behind.iter_mut().zip(&self.weights) {
            *behind += weight;
        }
        let furthest = self.behind.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(index, _)| index);
        if let Some(behind) = self.behind.get_mut(furthest) {
            *behind -= whole;
        }
        furthest
    }

    fn traceparent(&mut self) -> String {
        // Neither may be zero.
        let (trace, parent) = (self.rng.u128(1..), self.rng.u64(1..));
        format!("00-{trace:032x}-{parent:016x}-01")
    }
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        let (pair, side, request) = if let Some(second) = self.second.take() {
            second
        } else {
            let (pair, request) = (self.pairs, self.draw());
            self.pairs += 1;
            let (first, second) = if self.is_paired && self.rng.bool() {
                (Side::Stable, Side::Canary)
            } else {
                (Side::Canary, Side::Stable)
            };
            self.second = self.is_paired.then_some((pair, second, request));
            (pair, first, request)
        };
        let at = self.step.checked_mul(self.index)?;
        self.index = self.index.checked_add(1)?;
        Some(Due { at, pair, side, request, traceparent: self.traceparent() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Request;

    fn requests(weights: &[f64]) -> Vec<TrafficRequest> {
        let request = |weight: &f64| TrafficRequest { request: Request::get("/"), weight: *weight, expect: None };
        weights.iter().map(request).collect()
    }

    #[test]
    fn pairs_ask_both_sides_the_same_in_an_order_that_is_drawn() {
        let schedule = || Schedule::new(&requests(&[1.0, 3.0]), 10.0, true, 7);
        let due: Vec<Due> = schedule().take(4000).collect();
        assert_eq!(due, schedule().take(4000).collect::<Vec<_>>(), "the same seed");
        let mut canary_first = 0;
        for (number, pair) in due.chunks(2).enumerate() {
            let [first, second] = pair else { panic!("whole pairs") };
            assert_eq!((first.pair, second.pair), (number, number));
            assert_eq!(first.request, second.request);
            assert_ne!(first.side, second.side);
            assert_eq!(second.at.checked_sub(first.at), Some(Duration::from_millis(100)));
            canary_first += usize::from(first.side == Side::Canary);
        }
        // Five standard deviations.
        assert!((888..=1112).contains(&canary_first), "{canary_first} of 2000");
        let heavy = due.iter().filter(|due| due.request == 1).count();
        assert!((2998..=3002).contains(&heavy), "{heavy} of 4000 with three quarters of the weight");
        assert_eq!(due[3999].at, Duration::from_millis(399_900));
    }

    #[test]
    fn alone_the_canary_is_asked_at_the_whole_rate() {
        let due: Vec<Due> = Schedule::new(&requests(&[1.0]), 4.0, false, 1).take(3).collect();
        assert!(due.iter().all(|due| due.side == Side::Canary && due.request == 0));
        assert_eq!(due.iter().map(|due| due.pair).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(due[2].at, Duration::from_millis(500));
        let ids: Vec<&str> = due[0].traceparent.split('-').collect();
        assert_eq!((ids.len(), ids[1].len(), ids[2].len()), (4, 32, 16));
        assert_ne!(due[0].traceparent, due[1].traceparent);
    }
}
