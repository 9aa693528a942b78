//! The assembled judge on simulated services with fixed seeds: how often it fails the same code, finds what is worse, and
//! passes what it must not. `scripts/judge.sh` runs it often enough to read the shares, and prints the table.

use super::random::Random;
use super::tests::uniform;
use super::*;
use crate::judge::distribution::{at_least, at_most, normal_above};

/// How often each scenario is run.
const RUNS: &str = "JUDGE_RUNS";

/// A part of the names of the scenarios to run.
const ONLY: &str = "JUDGE_ONLY";

/// Few, for every build; a share is then held only to what so few can refute.
const FEW: usize = 4;

fn runs() -> usize {
    std::env::var(RUNS).map_or(FEW, |runs| runs.parse().unwrap())
}

/// A simulated service's chance.
struct Dice(Random);

impl Dice {
    fn normal(&mut self) -> f64 {
        (-2.0 * uniform(&mut self.0).ln()).sqrt() * (std::f64::consts::TAU * uniform(&mut self.0)).cos()
    }

    fn happens(&mut self, share: f64) -> bool {
        uniform(&mut self.0) < share
    }

    /// 50 ms in the middle, spread by the deviation of its logarithm.
    fn answer(&mut self, sigma: f64) -> Side {
        Side { latency: 0.05 * (sigma * self.normal()).exp(), failed: false }
    }
}

/// What is counted: how many of the runs end so.
#[derive(Clone, Copy)]
enum Counts {
    /// Any measure fails.
    Fails,
    /// This one fails.
    Finds(Measure),
    /// This one passes.
    Passes(Measure),
}

#[derive(Clone, Copy)]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
    /// Only shown.
    Shown,
}

type Service = Box<dyn Fn(&mut Dice, usize) -> Vec<Pair>>;

struct Scenario {
    name: &'static str,
    planned: usize,
    /// Pairs beyond the planned ones, asked for where not everything has passed.
    extension: usize,
    counts: Counts,
    goal: Goal,
    /// Makes the pairs of a run.
    service: Service,
}

fn scenario(
    name: &'static str,
    planned: usize,
    counts: Counts,
    goal: Goal,
    mut pair: impl FnMut(&mut Dice, usize) -> Pair + Clone + 'static,
) -> Scenario {
    pair = pair.clone();
    let service = Box::new(move |dice: &mut Dice, n: usize| {
        let mut pair = pair.clone();
        (0..n).map(|at| pair(dice, at)).collect()
    });
    Scenario { name, planned, extension: 0, counts, goal, service }
}

fn slower(dice: &mut Dice, sigma: f64, factor: f64) -> Pair {
    let mut canary = dice.answer(sigma);
    canary.latency *= factor;
    Pair { canary, stable: dice.answer(sigma) }
}

fn failing(dice: &mut Dice, sigma: f64, canary: f64, stable: f64) -> Pair {
    let mut pair = slower(dice, sigma, 1.0);
    pair.canary.failed = dice.happens(canary);
    pair.stable.failed = dice.happens(stable);
    pair
}

/// Answers beyond a limit fail.
fn limited(mut pair: Pair, limit: f64) -> Pair {
    for side in [&mut pair.canary, &mut pair.stable] {
        side.failed = side.latency > limit;
    }
    pair
}

fn cached(dice: &mut Dice) -> Side {
    let factor = if dice.happens(0.7) { 0.05 } else { 1.0 };
    let mut side = dice.answer(0.3);
    side.latency *= factor;
    side
}

/// The typical load rises or falls by some 30 % over the window, step by step.
fn drifting(planned: usize) -> impl FnMut(&mut Dice, usize) -> Pair + Clone {
    let mut level = 0.0;
    move |dice, _| {
        level += 0.3 / real(planned).sqrt() * dice.normal();
        let mut pair = slower(dice, 0.5, 1.0);
        pair.canary.latency *= f64::exp(level);
        pair.stable.latency *= f64::exp(level);
        pair
    }
}

/// The first 40 answers of the canary are slow.
fn cold(sigma: f64, factor: f64) -> impl FnMut(&mut Dice, usize) -> Pair + Clone {
    move |dice, at| slower(dice, sigma, if at < 40 { factor } else { 1.0 })
}

fn in_milliseconds(mut pair: Pair) -> Pair {
    for side in [&mut pair.canary, &mut pair.stable] {
        side.latency = (side.latency * 60.0).ceil() / 1_000.0;
    }
    pair
}

fn tailed(dice: &mut Dice, sigma: f64, share: f64, factor: f64) -> Pair {
    let mut pair = slower(dice, sigma, 1.0);
    if dice.happens(share) {
        pair.canary.latency *= factor;
    }
    pair
}

fn scenarios() -> Vec<Scenario> {
    use Counts::{Fails, Finds, Passes};
    use Goal::{AtLeast, AtMost, Shown};
    use Measure::{Errors, Latency, P95, P99};
    let mut all = vec![
        // The same code, and what is tolerated.
        scenario("same code, σ 0.5", 600, Fails, AtMost(0.01), |dice, _| slower(dice, 0.5, 1.0)),
        scenario("same code, σ 1.0", 600, Fails, AtMost(0.01), |dice, _| slower(dice, 1.0, 1.0)),
        scenario("same code, σ 1.5", 600, Fails, AtMost(0.01), |dice, _| slower(dice, 1.5, 1.0)),
        scenario("same code, a cache", 600, Fails, AtMost(0.01), |dice, _| Pair {
            canary: cached(dice),
            stable: cached(dice),
        }),
        scenario("same code, drift", 600, Fails, AtMost(0.01), drifting(600)),
        scenario("same code, whole ms", 600, Fails, AtMost(0.01), |dice, _| in_milliseconds(slower(dice, 0.5, 1.0))),
        scenario("same code, 2 % time out", 600, Fails, AtMost(0.01), |dice, _| {
            limited(slower(dice, 1.0, 1.0), 0.05 * 7.8)
        }),
        scenario("same code, 5 % fail", 600, Fails, AtMost(0.01), |dice, _| failing(dice, 0.5, 0.05, 0.05)),
        scenario("same code, 100 pairs", 100, Fails, AtMost(0.01), |dice, _| slower(dice, 1.5, 1.0)),
        scenario("10 % slower, σ 0.5", 600, Fails, AtMost(0.01), |dice, _| slower(dice, 0.5, 1.1)),
        scenario("10 % slower, σ 1.5", 600, Fails, AtMost(0.01), |dice, _| slower(dice, 1.5, 1.1)),
        scenario("cold start ×4, σ 0.5", 600, Fails, AtMost(0.002), cold(0.5, 4.0)),
        scenario("cold start ×10, σ 0.5", 600, Fails, AtMost(0.002), cold(0.5, 10.0)),
        scenario("cold start ×4, σ 1.5", 600, Fails, AtMost(0.01), cold(1.5, 4.0)),
        scenario("cold start ×10, σ 1.5", 600, Fails, AtMost(0.01), cold(1.5, 10.0)),
        scenario("cold start ×10, 150 pairs", 150, Fails, AtMost(0.01), cold(0.5, 10.0)),
        // What has to be found.
        scenario("+50 %, σ 0.5", 600, Fails, AtLeast(0.99), |dice, _| slower(dice, 0.5, 1.5)),
        scenario("+30 %, σ 0.5", 600, Fails, AtLeast(0.80), |dice, _| slower(dice, 0.5, 1.3)),
        scenario("+50 %, σ 1.0", 1_200, Fails, AtLeast(0.99), |dice, _| slower(dice, 1.0, 1.5)),
        scenario("5 % ×5, σ 0.5", 600, Fails, AtLeast(0.90), |dice, _| tailed(dice, 0.5, 0.05, 5.0)),
        scenario("2 % ×10, σ 0.5", 600, Finds(P99), Shown, |dice, _| tailed(dice, 0.5, 0.02, 10.0)),
        scenario("errors 0.1 → 1 %", 1_200, Fails, AtLeast(0.45), |dice, _| failing(dice, 0.5, 0.01, 0.001)),
        scenario("errors 0.1 → 1 %", 2_400, Fails, AtLeast(0.90), |dice, _| failing(dice, 0.5, 0.01, 0.001)),
        scenario("errors 0.1 → 5 %", 300, Fails, AtLeast(0.90), |dice, _| failing(dice, 0.5, 0.05, 0.001)),
        scenario("×3, 10 % time out", 600, Fails, AtLeast(0.99), |dice, _| {
            limited(slower(dice, 0.5, 3.0), 0.05 * 5.7)
        }),
        // What must not pass.
        scenario("+25 %, σ 0.5", 600, Passes(Latency), AtMost(0.05), |dice, _| slower(dice, 0.5, 1.25)),
        scenario("+25 %, σ 0.5, 60 pairs", 60, Passes(Latency), AtMost(0.05), |dice, _| slower(dice, 0.5, 1.25)),
        scenario("×2, σ 0.5", 600, Passes(P95), AtMost(0.05), |dice, _| slower(dice, 0.5, 2.0)),
        scenario("×2, σ 0.5", 600, Passes(P99), AtMost(0.05), |dice, _| slower(dice, 0.5, 2.0)),
        scenario("5 % ×5 (p99 ×2.38)", 600, Passes(P99), AtMost(0.05), |dice, _| tailed(dice, 0.5, 0.05, 5.0)),
        scenario("errors 0.1 → 1.1 %", 600, Passes(Errors), AtMost(0.05), |dice, _| failing(dice, 0.5, 0.011, 0.001)),
        scenario("errors 3 → 4 %", 2_400, Passes(Errors), AtMost(0.05), |dice, _| failing(dice, 0.5, 0.04, 0.03)),
        scenario("errors 0 → 1 %", 299, Passes(Errors), AtMost(0.05), |dice, _| failing(dice, 0.5, 0.01, 0.0)),
        // What a healthy service is told.
        scenario("same code, σ 0.5", 600, Passes(Latency), Shown, |dice, _| slower(dice, 0.5, 1.0)),
        scenario("same code, σ 0.5", 600, Passes(P95), Shown, |dice, _| slower(dice, 0.5, 1.0)),
        scenario("same code, σ 0.5", 600, Passes(P99), Shown, |dice, _| slower(dice, 0.5, 1.0)),
        scenario("same code, σ 1.0", 600, Passes(Latency), Shown, |dice, _| slower(dice, 1.0, 1.0)),
        scenario("same code, σ 1.0", 1_200, Passes(Latency), Shown, |dice, _| slower(dice, 1.0, 1.0)),
        scenario("same code, σ 1.0", 1_200, Passes(P99), Shown, |dice, _| slower(dice, 1.0, 1.0)),
        scenario("errors 0.1 %", 600, Passes(Errors), Shown, |dice, _| failing(dice, 0.5, 0.001, 0.001)),
    ];
    let extended = |name, counts, goal, factor| Scenario {
        extension: 600,
        ..scenario(name, 600, counts, goal, move |dice: &mut Dice, _| slower(dice, 1.0, factor))
    };
    all.push(extended("+25 %, σ 1.0, extended", Passes(Latency), AtMost(0.075), 1.25));
    all.push(extended("10 % slower, σ 1.0, extended", Fails, AtMost(0.01), 1.1));
    all
}

/// A run to its verdict: the judgement, and after how many pairs.
fn run(scenario: &Scenario, run: usize) -> (Judgement, usize) {
    let seed = 1_000_003 * run as u64 + scenario.planned as u64;
    let mut dice = Dice(Random::new(seed));
    let mut comparison = Comparison::new(Settings::new(scenario.planned, seed));
    let pairs = (scenario.service)(&mut dice, scenario.planned + scenario.extension);
    // Where one measure is asked for, the others do not end the run.
    let stops = matches!(scenario.counts, Counts::Fails);
    for (at, pair) in pairs.iter().enumerate() {
        if comparison.push(*pair).is_some() && stops {
            return (comparison.judge(), at + 1);
        }
        if at + 1 == scenario.planned && scenario.extension > 0 {
            let judgement = comparison.judge();
            if counts(scenario.counts, &judgement) || fails(&judgement) {
                return (judgement, at + 1);
            }
        }
    }
    (comparison.judge(), pairs.len())
}

fn fails(judgement: &Judgement) -> bool {
    judgement.findings().iter().any(|finding| finding.decision == Decision::Fail)
}

fn counts(counts: Counts, judgement: &Judgement) -> bool {
    let decided = |measure, decision| {
        judgement.findings().iter().any(|finding| finding.measure == measure && finding.decision == decision)
    };
    match counts {
        Counts::Fails => fails(judgement),
        Counts::Finds(measure) => decided(measure, Decision::Fail),
        Counts::Passes(measure) => decided(measure, Decision::Pass),
    }
}

#[test]
fn the_judge_keeps_its_word() {
    let runs = runs();
    let mut table = String::new();
    let mut missed = String::new();
    let only = std::env::var(ONLY).unwrap_or_default();
    for scenario in scenarios().into_iter().filter(|one| one.name.contains(&only)) {
        let results: Vec<(Judgement, usize)> = (0..runs).map(|at| run(&scenario, at)).collect();
        let found = results.iter().filter(|(judgement, _)| counts(scenario.counts, judgement)).count();
        let pairs = results.iter().map(|(_, pairs)| pairs).sum::<usize>() / runs;
        let each = [Measure::Latency, Measure::P95, Measure::P99, Measure::Errors].map(|measure| {
            let failed = results.iter().filter(|(judgement, _)| counts(Counts::Finds(measure), judgement)).count();
            format!("{:.1}", 100.0 * real(failed) / real(runs))
        });
        let healed = results.iter().filter(|(judgement, _)| judgement.latency.decision == Decision::Healed).count();
        let share = real(found) / real(runs);
        let (goal, is_refuted, is_met) = match scenario.goal {
            Goal::AtMost(most) => (format!("≤ {}", percent(most)), at_least(found, runs, most) < 1e-4, share <= most),
            Goal::AtLeast(least) => {
                (format!("≥ {}", percent(least)), at_most(found, runs, least) < 1e-4, share >= least)
            }
            Goal::Shown => (String::new(), false, true),
        };
        let what = match scenario.counts {
            Counts::Fails => "FAIL".to_owned(),
            Counts::Finds(measure) => format!("FAIL {}", measure.name()),
            Counts::Passes(measure) => format!("PASS {}", measure.name()),
        };
        let line = format!(
            "{:30}{:6}  {:13}{:>8}  {goal:9}{:7}{:28}{:>7}{pairs:7}\n",
            scenario.name,
            scenario.planned,
            what,
            percent(share),
            if is_met { "" } else { "missed" },
            each.join(" / "),
            percent(real(healed) / real(runs)),
        );
        if is_refuted {
            missed += &line;
        }
        table += &line;
    }
    let head = format!(
        "{:30}{:>6}  {:13}{:>8}  {:9}{:7}{:28}{:>7}{:>7}\n",
        "service", "pairs", "verdict", "share", "goal", "", "fails: lat / p95 / p99 / err", "healed", "used"
    );
    println!("{runs} runs each\n{head}{table}");
    assert!(missed.is_empty(), "\n{head}{missed}");
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// The power that a healthy run states, beside the share of worse canaries that are found.
#[test]
fn the_stated_power_is_what_happens() {
    use Measure::{Errors, Latency, P95, P99};
    let runs = runs();
    println!("{:34}{:>8}{:>8}", "stated of the same code", "stated", "found");
    for (planned, sigma, measure) in [
        (150, 0.5, Latency),
        (300, 0.5, Latency),
        (600, 1.0, Latency),
        (1_200, 1.5, Latency),
        (300, 0.5, P95),
        (600, 1.0, P95),
        (600, 0.5, P99),
        (1_200, 1.0, P99),
        (1_200, 0.5, Errors),
        (2_400, 0.5, Errors),
    ] {
        let same = scenario("", planned, Counts::Fails, Goal::Shown, move |dice, _| failing(dice, sigma, 0.001, 0.001));
        let of = |judgement: &Judgement| {
            let found = judgement.findings().into_iter().find(|finding| finding.measure == measure);
            found.unwrap().clone()
        };
        let stated: Vec<Finding> = (0..runs).map(|at| of(&run(&same, at).0)).collect();
        let effect = stated[0].power.effect;
        let stated = stated.iter().map(|finding| finding.power.probability).sum::<f64>() / real(runs);
        let worse = scenario("", planned, Counts::Finds(measure), Goal::Shown, move |dice, _| {
            if measure == Errors { failing(dice, sigma, 0.001 + effect, 0.001) } else { slower(dice, sigma, effect) }
        });
        let found = (0..runs).filter(|at| of(&run(&worse, *at).0).decision == Decision::Fail).count();
        let line = format!("{} {effect}, σ {sigma}, {planned} pairs", measure.name());
        println!("{line:34}{:>8}{:>8}", percent(stated), percent(real(found) / real(runs)));
        // It may promise less than what happens, and not much more.
        assert!(
            at_most(found, runs, (stated - 0.1).max(0.0)) > 1e-4,
            "{line}: {stated} stated, {found} of {runs} found"
        );
    }
}

/// By itself in its process, or its memory is that of other tests.
#[test]
fn a_judgement_costs_little() {
    // Of speed and memory: scripts/judge.sh asks for it, optimised.
    if std::env::var_os("JUDGE_COST").is_none() {
        return;
    }
    let mut dice = Dice(Random::new(1));
    let pairs: Vec<Pair> = (0..1_200).map(|_| failing(&mut dice, 1.0, 0.01, 0.01)).collect();
    let before = peak_kilobytes();
    let started = std::time::Instant::now();
    let mut comparison = Comparison::new(Settings::new(1_200, 1));
    for pair in &pairs {
        comparison.push(*pair);
    }
    let pushed = started.elapsed();
    let judgement = comparison.judge();
    let judged = started.elapsed();
    let memory = peak_kilobytes() - before;
    println!("1,200 pairs: taken in {pushed:?}, with the judgement {judged:?}; {memory} kB more at the peak");
    assert!(judged.as_millis() <= 60 && memory <= 4_096, "{judgement:?}");
}

/// The most memory that this process had.
fn peak_kilobytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// What others do, on the same code: stable first and then the canary, and a test that is looked at again and again.
#[test]
fn what_others_do_fails_the_same_code() {
    let runs = runs();
    let blocks = Scenario {
        service: Box::new(|dice, n| {
            // One service under a drifting load, asked 2n times: stable first.
            let mut pair = drifting(n);
            let all: Vec<Side> = (0..2 * n).map(|at| pair(dice, at).stable).collect();
            (0..n).map(|at| Pair { canary: all[n + at], stable: all[at] }).collect()
        }),
        ..scenario("", 600, Counts::Fails, Goal::Shown, |dice, _| slower(dice, 0.5, 1.0))
    };
    let failed = (0..runs).filter(|at| fails(&run(&blocks, *at).0)).count();
    println!("stable first, then the canary, drift: FAIL {}", percent(real(failed) / real(runs)));
    let looks = (0..runs)
        .filter(|run| {
            let mut dice = Dice(Random::new(*run as u64));
            let (mut canary, mut stable) = (Vec::new(), Vec::new());
            (0..24).any(|_| {
                for _ in 0..25 {
                    canary.push(dice.answer(0.5).latency);
                    stable.push(dice.answer(0.5).latency);
                }
                mann_whitney(&canary, &stable) <= 0.01
            })
        })
        .count();
    println!("Mann-Whitney at 1 %, looked at 24 times: FAIL {}", percent(real(looks) / real(runs)));
    if runs >= 1_000 {
        assert!(real(failed) / real(runs) > 0.2 && real(looks) / real(runs) > 0.03, "{failed} {looks} of {runs}");
    }
}

/// The one-sided p of the ranks of one sample above the other's (Mann and Whitney, "On a Test of Whether one of Two Random
/// Variables is Stochastically Larger than the Other", 1947), by the normal distribution, ties sharing their rank.
pub(super) fn mann_whitney(one: &[f64], other: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = one.iter().map(|value| (*value, true)).collect();
    all.extend(other.iter().map(|value| (*value, false)));
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (n, m) = (real(one.len()), real(other.len()));
    let (mut rank, mut sum, mut ties) = (0.0, 0.0, 0.0);
    for tied in all.chunk_by(|a, b| a.0 == b.0) {
        let size = real(tied.len());
        sum += (rank + f64::midpoint(size, 1.0)) * real(tied.iter().filter(|(_, is_one)| *is_one).count());
        ties += size.powi(3) - size;
        rank += size;
    }
    let above = sum - n * (n + 1.0) / 2.0;
    let variance = n * m / 12.0 * (rank + 1.0 - ties / (rank * (rank - 1.0)));
    normal_above((above - n * m / 2.0) / variance.sqrt())
}
