//! Pairs made up by hand, and what they prove.

use super::random::Random;
use super::*;

/// A number above 0 and below 1.
pub(super) fn uniform(random: &mut Random) -> f64 {
    (f64::from(u32::try_from(random.bits() >> 32).unwrap()) + 0.5) / 2f64.powi(32)
}

fn answer(latency: f64) -> Side {
    Side { latency, failed: false }
}

const FAILED: Side = Side { latency: f64::NAN, failed: true };

/// So many pairs, the canary slower by a factor; both sides vary by up to 20 %.
fn pairs(n: usize, factor: f64) -> Vec<Pair> {
    let mut random = Random::new(7);
    let mut side = |factor: f64| answer(factor * (0.9 + 0.2 * uniform(&mut random)));
    (0..n).map(|_| Pair { canary: side(0.1 * factor), stable: side(0.1) }).collect()
}

fn judge(planned: usize, pairs: &[Pair]) -> (Option<(usize, Stop)>, Judgement) {
    let mut comparison = Comparison::new(Settings::new(planned, 1));
    for (at, pair) in pairs.iter().enumerate() {
        if let Some(stop) = comparison.push(*pair) {
            return (Some((at + 1, stop)), comparison.judge());
        }
    }
    (None, comparison.judge())
}

fn decisions(judgement: &Judgement) -> [Decision; 4] {
    judgement.findings().map(|finding| finding.decision)
}

#[test]
fn alike_is_proven_and_slower_fails() {
    use Decision::{Fail, Pass};
    let (stop, judgement) = judge(600, &pairs(600, 1.0));
    assert_eq!((stop, decisions(&judgement)), (None, [Pass; 4]), "{judgement:#?}");
    // A little slower is tolerated.
    let (stop, judgement) = judge(600, &pairs(600, 1.08));
    assert_eq!((stop, decisions(&judgement)), (None, [Pass; 4]), "{judgement:#?}");
    // More than that is found as soon as a start cannot be the reason.
    let (stop, judgement) = judge(600, &pairs(600, 1.3));
    assert_eq!(stop, Some((300, Stop::Latency)));
    assert_eq!(judgement.latency.decision, Fail);
    let (stop, judgement) = judge(600, &pairs(600, 3.0));
    assert_eq!(stop, Some((150, Stop::Latency)));
    assert_eq!(judgement.latency.decision, Fail);
}

#[test]
fn what_empties_the_evidence_never_passes() {
    use Decision::Unproven;
    let clock = |latency| Pair { canary: answer(latency), stable: answer(0.1) };
    for (name, pairs) in [
        ("no pairs", vec![]),
        ("all failed on both", vec![Pair { canary: FAILED, stable: FAILED }; 600]),
        ("a few", pairs(20, 1.0)),
        ("less than any latency needs", pairs(59, 1.0)),
    ] {
        let (stop, judgement) = judge(600, &pairs);
        assert_eq!((stop, decisions(&judgement)), (None, [Unproven; 4]), "{name}");
    }
    for latency in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let (stop, judgement) = judge(600, &vec![clock(latency); 600]);
        assert_eq!((stop, &decisions(&judgement)[..3]), (None, &[Unproven; 3][..]), "{latency}");
        // One that is no measurement among many that are.
        let mut some = pairs(600, 1.0);
        some[300] = clock(latency);
        let (_, judgement) = judge(600, &some);
        assert_eq!(&decisions(&judgement)[..3], &[Unproven; 3], "{latency}");
        assert_eq!(judgement.latency.doubt, Some(Doubt::Unusable));
        assert_eq!(judgement.latency.tally.unusable, 1);
    }
}

#[test]
fn settings_that_mean_nothing_prove_nothing() {
    for settings in [
        Settings { bound: f64::NAN, ..Settings::new(600, 1) },
        Settings { tolerance: f64::NAN, ..Settings::new(600, 1) },
        Settings { alpha: 0.0, ..Settings::new(600, 1) },
        Settings { alpha: f64::NAN, ..Settings::new(600, 1) },
        Settings::new(0, 1),
    ] {
        let mut comparison = Comparison::new(settings);
        let stops = pairs(600, 1.05).into_iter().filter(|pair| comparison.push(*pair).is_some()).count();
        let judgement = comparison.judge();
        let fails = judgement.findings().iter().any(|finding| finding.decision == Decision::Fail);
        assert!(stops == 0 && !fails, "{settings:?}: {judgement:#?}");
        assert!(!settings.bound.is_nan() || judgement.latency.decision != Decision::Pass, "{settings:?}");
    }
    // The pairs of no planned window have no test that looks once.
    let mut comparison = Comparison::new(Settings::new(0, 1));
    for pair in pairs(600, 1.0) {
        assert_eq!(comparison.push(pair), None);
    }
    let judgement = comparison.judge();
    assert!(judgement.findings().iter().all(|finding| finding.decision != Decision::Fail && finding.p == 1.0));
}

#[test]
fn slow_requests_that_fail_do_not_make_a_canary_fast() {
    // Half of the canary's requests are slow and run into the limit; the rest is faster than stable.
    let mut some = pairs(600, 0.8);
    some.iter_mut().step_by(2).for_each(|pair| pair.canary = FAILED);
    let (stop, judgement) = judge(600, &some);
    assert!(matches!(stop, Some((..30, Stop::Errors))), "{stop:?}");
    assert_eq!(judgement.errors.decision, Decision::Fail);
    // Had nobody stopped it, latency would not have passed.
    let mut comparison = Comparison::new(Settings::new(600, 1));
    for pair in some {
        comparison.push(pair);
    }
    let judgement = comparison.judge();
    assert!(judgement.findings().iter().all(|finding| finding.decision != Decision::Pass), "{judgement:#?}");
    assert_eq!(judgement.latency.tally.canary_alone, 300);
}

#[test]
fn failures_of_the_canary_alone_are_found() {
    for (canary, stable, wanted) in [
        // The end decides at 9 failures of the canary alone.
        (10, 0, Some(Decision::Fail)),
        (9, 0, Some(Decision::Fail)),
        (8, 0, Some(Decision::Unproven)),
        (0, 0, Some(Decision::Pass)),
        (1, 1, Some(Decision::Pass)),
        (0, 12, Some(Decision::Pass)),
        (14, 1, Some(Decision::Fail)),
        (20, 20, Some(Decision::Unproven)),
    ] {
        let mut some = pairs(600, 1.0);
        some.iter_mut().skip(100).step_by(5).take(canary).for_each(|pair| pair.canary = FAILED);
        some.iter_mut().skip(101).step_by(5).take(stable).for_each(|pair| pair.stable = FAILED);
        let (_, judgement) = judge(600, &some);
        assert_eq!(Some(judgement.errors.decision), wanted, "{canary} against {stable}: {:?}", judgement.errors);
    }
}

#[test]
fn a_slow_start_is_a_warning_and_a_slow_end_is_no_pass() {
    let slow = |n| pairs(n, 4.0);
    let mut some = slow(40);
    some.extend(pairs(560, 1.0));
    let (stop, judgement) = judge(600, &some);
    assert_eq!((stop, judgement.latency.decision), (None, Decision::Healed), "{:?}", judgement.latency);
    assert_eq!(judgement.p95.decision, Decision::Healed, "{:?}", judgement.p95);
    // It gets slower by so little that all pairs together do not show it.
    let mut some = pairs(500, 0.98);
    some.extend(pairs(100, 1.5));
    let (_, judgement) = judge(600, &some);
    assert_eq!(judgement.latency.doubt, Some(Doubt::End), "{:?}", judgement.latency);
}

#[test]
fn a_tail_that_the_typical_request_does_not_know_is_found() {
    let mut some = pairs(600, 1.0);
    some.iter_mut().step_by(20).for_each(|pair| pair.canary.latency *= 5.0);
    let (stop, judgement) = judge(600, &some);
    assert_eq!(stop, None);
    assert_eq!(judgement.latency.decision, Decision::Pass);
    assert_eq!((judgement.p99.measure, judgement.p99.decision), (Measure::P99, Decision::Fail), "{:?}", judgement.p99);
    let Power { effect, probability } = judgement.p95.power;
    assert!(effect == 2.0 && probability > 0.99, "{:?}", judgement.p95);
}

#[test]
fn the_same_pairs_and_seed_give_the_same_judgement() {
    let some = pairs(300, 1.05);
    assert_eq!(judge(300, &some).1, judge(300, &some).1);
}

#[test]
fn a_finding_reads_as_a_sentence() {
    let lines = |planned, pairs: &[Pair]| judge(planned, pairs).1.findings().map(Finding::sentence);
    assert_eq!(
        lines(600, &pairs(600, 1.0)),
        [
            "latency: 1.00× [1.00, 1.01] over 600 pairs; a canary 1.3× slower would have been noticed over 99 % of the time",
            "p95: 1.00× [0.99, 1.00] over 600 pairs; a p95 2× as long would have been noticed over 99 % of the time",
            "p99: 1.00× [1.00, 1.00] over 600 pairs; a p99 2× as long would have been noticed over 99 % of the time",
            "errors: +0.00 % of requests [-0.50, 0.50] over 600 pairs; a canary failing 1 % of requests more would have \
             been noticed 14 % of the time",
        ]
    );
    let mut some = pairs(300, 1.3);
    some[7].stable = FAILED;
    some[8] = Pair { canary: FAILED, stable: FAILED };
    let tally = "(1 failed on stable alone, 1 failed on both)";
    assert_eq!(
        lines(300, &some)[0],
        format!("latency: 1.30× [1.29, 1.32] over 150 pairs: slower than the tolerated 1.10× (p < 0.0001) {tally}")
    );
    assert_eq!(
        lines(600, &pairs(20, 1.0))[2..],
        [
            "p99: 1.00× [0, ∞] over 20 pairs: at most 2.00× is not proven, 299 needed; a p99 2× as long would have been \
             noticed less than 1 % of the time",
            "errors: +0.00 % of requests [-13.91, 13.91] over 20 pairs: at most 1 % of requests more is not proven, 299 needed; \
             a canary failing 1 % of requests more would have been noticed less than 1 % of the time",
        ]
    );
    assert_eq!(lines(600, &[])[0], "latency: no estimate from 0 pairs: at most 1.25× is not proven, 60 needed");
}
