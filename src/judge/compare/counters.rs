//! Errors of real users' traffic, counted by scrapes on both sides: by the share of traffic in each interval.

use crate::judge::distribution::{count, normal_above, real, share_limits};
use crate::judge::proof;

/// Up to so many errors the distribution is summed exactly; beyond, the normal one is near enough.
const EXACT: usize = 2_000;

/// A pass proves that at most this share of requests more fails on the canary.
const EXCESS: f64 = 0.01;

/// The probability with which that proof may err.
const DOUBT: f64 = 0.05;

/// What both sides counted between two scrapes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Interval {
    pub(crate) canary_requests: usize,
    pub(crate) canary_errors: usize,
    pub(crate) stable_requests: usize,
    pub(crate) stable_errors: usize,
}

/// What the counts prove.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Counted {
    /// The canary fails more often than stable: its errors are more than its share of the traffic explains.
    Fail { p: f64 },
    /// At most 1 % of requests more fails on the canary.
    Pass { p: f64 },
    /// Neither.
    NoData {
        p: f64,
        /// About the canary's requests that a pass takes; `None` where more would not help, or the counts are none.
        needed: Option<usize>,
    },
}

/// Compares what both sides counted, at a level such as 0.01.
///
/// Were both to fail at the same rate, each error of an interval would fall on the canary with the probability of its share
/// of that interval's requests, whatever the rate is and however it changes between the intervals (Przyborowski and
/// Wilenski, "Homogeneity of results in testing samples from Poisson series", Biometrika 31, 1940). The scrapes
/// themselves are no sample: six intervals of nothing are as good as one.
///
/// It takes each error as an event of its own: where one user's retries make many, it finds a difference too easily.
pub(crate) fn compare_counters(intervals: &[Interval], level: f64) -> Counted {
    if intervals.iter().any(|one| one.canary_errors > one.canary_requests || one.stable_errors > one.stable_requests) {
        return Counted::NoData { p: f64::NAN, needed: None };
    }
    let sum = |of: fn(&Interval) -> usize| intervals.iter().map(of).sum::<usize>();
    let (canary, stable) = (sum(|one| one.canary_requests), sum(|one| one.stable_requests));
    let (canary_errors, stable_errors) = (sum(|one| one.canary_errors), sum(|one| one.stable_errors));
    let p = p_above(intervals, canary_errors);
    if p <= level {
        return Counted::Fail { p };
    }
    if canary == 0 || stable == 0 {
        return Counted::NoData { p, needed: proof::needed(canary_errors, EXCESS).filter(|_| canary == 0) };
    }
    let (canary_rate, stable_rate) = (real(canary_errors) / real(canary), real(stable_errors) / real(stable));
    let canary_high = share_limits(canary_errors, canary, DOUBT).1;
    let stable_low = share_limits(stable_errors, stable, DOUBT).0;
    let excess = canary_rate - stable_rate;
    let reach = (canary_high - canary_rate).hypot(stable_rate - stable_low);
    if excess + reach <= EXCESS {
        return Counted::Pass { p };
    }
    let scaled = (real(canary) * (reach / (EXCESS - excess)).powi(2)).ceil();
    let least = if stable_errors == 0 { proof::needed(canary_errors, EXCESS) } else { None };
    let needed = least.filter(|&least| least > canary);
    Counted::NoData { p, needed: needed.or_else(|| (excess < EXCESS).then(|| count(scaled).max(canary + 1))) }
}

/// The probability that so many of the errors, or more, fall on the canary, were both to fail at the same rate.
fn p_above(intervals: &[Interval], canary_errors: usize) -> f64 {
    let shares: Vec<(usize, f64)> = intervals
        .iter()
        .map(|one| {
            let requests = one.canary_requests + one.stable_requests;
            (one.canary_errors + one.stable_errors, real(one.canary_requests) / real(requests.max(1)))
        })
        .collect();
    let errors: usize = shares.iter().map(|(errors, _)| errors).sum();
    if errors > EXACT {
        let mean: f64 = shares.iter().map(|(errors, share)| real(*errors) * share).sum();
        let variance: f64 = shares.iter().map(|(errors, share)| real(*errors) * share * (1.0 - share)).sum();
        // Where one side has all the traffic, no split is surprising.
        return if variance > 0.0 { normal_above((real(canary_errors) - 0.5 - mean) / variance.sqrt()) } else { 1.0 };
    }
    // The sum of coins that are not all alike: added one by one.
    let mut chances = vec![0.0; errors + 1];
    chances[0] = 1.0;
    let mut reached = 0;
    for (errors, share) in shares {
        for _ in 0..errors {
            reached += 1;
            for at in (1..=reached).rev() {
                chances[at] = chances[at] * (1.0 - share) + chances[at - 1] * share;
            }
            chances[0] *= 1.0 - share;
        }
    }
    chances[canary_errors..].iter().sum::<f64>().min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intervals(requests: (usize, usize), errors: &[(usize, usize)]) -> Vec<Interval> {
        errors
            .iter()
            .map(|&(canary_errors, stable_errors)| Interval {
                canary_requests: requests.0,
                canary_errors,
                stable_requests: requests.1,
                stable_errors,
            })
            .collect()
    }

    fn against_none(errors: &[usize]) -> Vec<Interval> {
        intervals((10, 10), &errors.iter().map(|&errors| (errors, 0)).collect::<Vec<_>>())
    }

    #[test]
    fn errors_are_judged_by_the_share_of_traffic() {
        // As many requests on both sides: a fair coin for each error.
        assert_eq!(
            compare_counters(&against_none(&[0, 1, 2, 1, 0, 0]), 0.01),
            Counted::NoData { p: 0.0625, needed: Some(913) }
        );
        let Counted::Fail { p } = compare_counters(&against_none(&[1, 4, 2, 3, 1]), 0.01) else { panic!() };
        assert_eq!(p, 0.5f64.powi(11));
        // A fifth of the traffic and a fifth of the errors.
        let even = compare_counters(&intervals((2_000, 8_000), &[(2, 8), (3, 12), (1, 4)]), 0.01);
        assert!(matches!(even, Counted::Pass { p } if p > 0.5), "{even:?}");
        // A fifth of the traffic and half of the errors.
        let worse = compare_counters(&intervals((2_000, 8_000), &[(10, 10), (12, 12)]), 0.01);
        assert!(matches!(worse, Counted::Fail { p } if p < 1e-4), "{worse:?}");
        // The canary had its traffic when both failed; its share over all would make it look bad.
        let storm = [
            Interval { canary_requests: 500, canary_errors: 50, stable_requests: 500, stable_errors: 50 },
            Interval { canary_requests: 0, canary_errors: 0, stable_requests: 9_000, stable_errors: 0 },
        ];
        let storm = compare_counters(&storm, 0.01);
        assert!(!matches!(storm, Counted::Fail { .. }), "{storm:?}");
    }

    #[test]
    fn too_little_is_no_data_with_the_number_it_takes() {
        for (name, intervals, needed) in [
            ("nothing", vec![], Some(299)),
            ("no requests", intervals((0, 0), &[(0, 0)]), Some(299)),
            ("nothing on stable", intervals((1_000, 0), &[(0, 0)]), None),
            ("few", intervals((20, 80), &[(0, 0)]), Some(299)),
            ("one error", intervals((300, 1_200), &[(1, 0)]), Some(473)),
            ("as bad as stable, and few", intervals((300, 300), &[(6, 6)]), Some(1_474)),
            ("more errors than requests", intervals((3, 3), &[(4, 0)]), None),
        ] {
            let counted = compare_counters(&intervals, 0.01);
            let Counted::NoData { needed: found, .. } = counted else { panic!("{name}: {counted:?}") };
            match (found, needed) {
                (Some(found), Some(needed)) => assert!(found.abs_diff(needed) * 10 <= needed, "{name}: {counted:?}"),
                _ => assert_eq!(found, needed, "{name}: {counted:?}"),
            }
        }
        let enough = compare_counters(&intervals((299, 1_200), &[(0, 0)]), 0.01);
        assert!(matches!(enough, Counted::Pass { .. }), "{enough:?}");
    }

    #[test]
    fn many_errors_are_judged_as_few_are() {
        let below = p_above(&intervals((20_000, 80_000), &[(430, 1_550)]), 430);
        let above = p_above(&intervals((20_000, 80_000), &[(440, 1_580)]), 440);
        assert!((below - 0.0323).abs() < 0.002 && (above - 0.024).abs() < 0.004, "{below} {above}");
    }
}
