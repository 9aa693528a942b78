//! Recorded cases of others: scipy's tests to nine digits, and the public cases of Kayenta's judge.

use super::signed_rank::p_above;
use super::simulation::mann_whitney;
use super::*;
use crate::judge::distribution::{at_least, at_most, share_limits};
use crate::judge::quantile::Sorted;

/// The cells of the rows below a comment and the head.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let rows: Vec<Vec<&str>> =
        text.lines().filter(|line| !line.starts_with('#')).skip(1).map(|line| line.split(',').collect()).collect();
    assert!(!rows.is_empty());
    rows
}

fn numbers(cell: &str) -> Vec<f64> {
    cell.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

fn is_near(found: f64, wanted: &str) -> bool {
    (found - wanted.parse::<f64>().unwrap()).abs() < 1e-9
}

#[test]
fn ranks_and_binomials_agree_with_scipy() {
    let mut cases = 0;
    for row in rows(include_str!("../../../tests/judge/wilcoxon.csv")) {
        let found = p_above(numbers(row[0]).into_iter());
        assert!(is_near(found, row[1]), "{found}, want {row:?}");
        cases += 1;
    }
    for row in rows(include_str!("../../../tests/judge/mannwhitneyu.csv")) {
        let found = mann_whitney(&numbers(row[0]), &numbers(row[1]));
        assert!(is_near(found, row[2]), "{found}, want {row:?}");
        cases += 1;
    }
    for row in rows(include_str!("../../../tests/judge/binomtest.csv")) {
        let (k, n, p) = (row[0].parse().unwrap(), row[1].parse().unwrap(), row[2].parse().unwrap());
        let (low, high) = share_limits(k, n, 0.05);
        let found = [at_least(k, n, p), at_most(k, n, p), low, high];
        assert!(found.iter().zip(&row[3..]).all(|(found, wanted)| is_near(*found, wanted)), "{found:?}, want {row:?}");
        cases += 1;
    }
    assert!(cases >= 200, "{cases}");
}

/// Kayenta compares two samples of a metric; here their values are taken in turn until there are 240 pairs of latencies.
#[test]
fn public_cases_are_decided_as_kayenta_does_or_differ_for_a_reason() {
    let mut wrong = String::new();
    for row in rows(include_str!("../../../tests/judge/kayenta.csv")) {
        let [name, _direction, theirs, ours, why, canary, stable] = row[..] else { panic!("{row:?}") };
        let side = |values: &[f64], at: usize| Side { latency: values[at % values.len()], failed: false };
        let (canary, stable) = (numbers(canary), numbers(stable));
        let mut comparison = Comparison::new(Settings::new(240, 1));
        for at in 0..if canary.is_empty() { 0 } else { 240 } {
            comparison.push(Pair { canary: side(&canary, at), stable: side(&stable, at) });
        }
        let decision = comparison.judge().latency.decision;
        let found = format!("{decision:?}").to_lowercase();
        // A lower latency is no fault.
        let alike = match decision {
            Decision::Fail => theirs == "high",
            Decision::Pass => theirs == "pass" || theirs == "low",
            Decision::Unproven => theirs == "nodata",
            Decision::Healed => false,
        };
        if found != ours || alike != why.is_empty() {
            wrong += &format!("{name}: {found}, want {ours}; Kayenta: {theirs}\n");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn percentiles_are_measured_values_and_not_interpolated() {
    for row in rows(include_str!("../../../tests/judge/kayenta_percentiles.csv")) {
        let percent: f64 = row[0].parse().unwrap();
        let values = numbers(row[3]);
        let found = Sorted::new(values.clone()).unwrap().quantile(percent / 100.0).unwrap();
        assert!(is_near(found, row[2]) && values.contains(&found), "{found}, want {row:?}");
    }
}
