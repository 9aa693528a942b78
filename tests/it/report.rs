//! The JSON report of every verdict, with and without a deployment, against its schema.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use serde_json::Value;

use crate::canary::Fault;
use crate::canary::google::{PRIOR, World, environment};
use crate::canary::server::Canary;
use crate::checks::Checks;
use crate::gate::{Gate, Ran, each};
use crate::schema::Schema;

/// A run against a canary with a fault; in Cloud Deploy if there is a world to change.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    fault: &'static str,
    checks: fn() -> Checks,
    world: Option<fn(&mut World)>,
    /// Interrupts the run at this text on standard error.
    interrupt: Option<&'static str>,
    code: i32,
    verdict: &'static str,
}

const fn case(name: &'static str, fault: &'static str, code: i32, verdict: &'static str) -> Case {
    Case { name, fault, checks: Checks::fast, world: None, interrupt: None, code, verdict }
}

const fn deployed(case: Case, world: fn(&mut World)) -> Case {
    Case { world: Some(world), ..case }
}

const fn with(case: Case, checks: fn() -> Checks) -> Case {
    Case { checks, ..case }
}

const fn interrupted(case: Case) -> Case {
    Case { interrupt: Some("health: attempt 1"), ..with(case, slow) }
}

/// Retries so slowly that there is time to interrupt it.
fn slow() -> Checks {
    Checks::read("health: {backoff: {initial: 10s, max: 10s}}")
}

/// Alerts and thresholds of a window, with numbers that JSON lacks.
fn watching() -> Checks {
    let checks = Checks::watching().set("metrics.rules", "rules.yaml").set("metrics.window", "600ms");
    let checks = checks.threshold("memory_analysis_cache_size / 0 > 1").threshold("rate(lost_total[1s]) < 1");
    checks.set("smoke.enabled", true)
}

const RULES: &str = "groups: [{name: a, rules: [{alert: Large, expr: memory_analysis_cache_size > 1}]}]";

const CASES: &[Case] = &[
    case("pass", "none", 0, "pass"),
    case("warn", "hit-rate-low", 0, "pass"),
    case("warn, no data", "no-traffic", 0, "pass"),
    case("fail", "failures-split", 1, "fail"),
    case("fail, a family", "family-missing", 1, "fail"),
    case("fail, an asset", "script-missing", 1, "fail"),
    case("fail, the rest skipped", "never-up", 1, "fail"),
    with(case("fail, over a window", "none", 1, "fail"), watching),
    interrupted(case("interrupted", "health-degraded", 3, "error")),
    deployed(case("pass, deployed", "none", 0, "pass"), |_| {}),
    deployed(case("warn, deployed", "hit-rate-low", 0, "pass"), |_| {}),
    deployed(case("fail, deployed", "failures-3", 1, "fail"), |_| {}),
    deployed(case("fail, another revision", "none", 1, "fail"), |world| world.tagged = PRIOR),
    deployed(case("error, deployed", "none", 3, "error"), |world| world.api = |_| 500),
    interrupted(deployed(case("interrupted, deployed", "health-degraded", 3, "error"), |_| {})),
];

fn run(case: &Case) -> Ran {
    let canary = Fault::named(case.fault).unwrap().start();
    let google: Option<Canary> = case.world.map(|change| {
        let mut world = World::of(&canary);
        change(&mut world);
        world.serve()
    });
    let checks = (case.checks)().to_string();
    let mut gate = match &google {
        None => Gate::verify(&canary.url(), checks),
        Some(google) => {
            let mut gate = Gate::new().args(["verify", "--checks", "checks.yaml", "--report", "json=report.json"]);
            gate.file("checks.yaml", checks);
            environment(google).into_iter().fold(gate, |gate, (name, value)| gate.env(name, &value))
        }
    };
    gate.file("rules.yaml", RULES);
    match case.interrupt {
        None => gate.run(),
        Some(piece) => gate.run_until(piece, "-TERM"),
    }
}

/// The words in a report, or those that a schema lists, by key.
type Words = BTreeMap<String, BTreeSet<String>>;

fn words(of: &Value, schema: bool, found: &mut Words) {
    match of {
        Value::Object(map) => {
            for (key, value) in map {
                let listed = if schema { value.get("enum").and_then(Value::as_array) } else { None };
                let texts = listed.into_iter().flatten().chain((!schema).then_some(value)).filter_map(Value::as_str);
                for text in texts {
                    found.entry(key.clone()).or_default().insert(text.to_owned());
                }
                words(value, schema, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| words(value, schema, found)),
        _ => {}
    }
}

#[test]
fn the_report_of_every_verdict_is_valid() {
    let schema = Schema::named("report.schema.json");
    let used = Mutex::new(BTreeMap::new());
    each(CASES, |case| {
        let ran = run(case);
        words(&ran.report, false, &mut used.lock().unwrap());
        if (ran.code, &ran.report["verdict"]) != (case.code, &case.verdict.into()) {
            return Err(format!("{}: exit {}:\n{}{}", case.name, ran.code, ran.stdout, ran.stderr));
        }
        let errors = schema.errors(&ran.report);
        if errors.is_empty() { Ok(()) } else { Err(format!("{}:\n  {}", case.name, errors.join("\n  "))) }
    });
    // The cases reach every status, kind and verdict that the schema has.
    let (mut allowed, used) = (Words::new(), used.into_inner().unwrap());
    words(&schema.0, true, &mut allowed);
    for (key, words) in allowed {
        let unused: Vec<&String> = words.difference(&used[&key]).collect();
        assert!(unused.is_empty(), "no report has {unused:?} as its {key}");
    }
}
