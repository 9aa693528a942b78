//! Two revisions that share the traffic: each is asked for what the other's page loads, side by side and in time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::canary::app::answer;
use crate::canary::google::{World, environment};
use crate::canary::server::{Body, Canary, Handler, Reply};
use crate::checks::Checks;
use crate::crowd::Crowd;
use crate::front_end::{JS, page, said};
use crate::gate::{Gate, Ran};

const ASSETS: usize = 8;

fn scripts() -> String {
    (0..ASSETS).map(|index| format!("<script src=/assets/{index}.js></script>")).collect()
}

fn verify(canary: &Canary, stable: &Canary, checks: &Checks) -> Ran {
    let google = World { prior: stable.url(), sticky: false, ..World::of(canary) }.serve();
    let mut gate = Gate::new().args(["verify", "--checks", "checks.yaml", "--report", "json=report.json"]);
    gate.file("checks.yaml", checks.to_string());
    environment(&google).into_iter().fold(gate, |gate, (name, value)| gate.env(name, &value)).run()
}

fn canary() -> Canary {
    (0..ASSETS).fold(page(&scripts()), |site, index| site.js(&format!("/assets/{index}.js"), "1")).start()
}

/// A stable revision with the same page, and its own way with the assets.
fn stable(assets: impl Fn() -> Reply + Send + Sync + 'static) -> Canary {
    let handler: Handler = Arc::new(move |request| match &*request.path {
        "/" => Reply::new(200, "text/html", format!("<!doctype html>{}", scripts())),
        path if path.len() > "/assets/".len() && path.starts_with("/assets/") => assets(),
        _ => answer(request),
    });
    Canary::start(handler)
}

#[test]
fn assets_are_asked_for_side_by_side() {
    let crowd = Arc::new(Crowd::default());
    let held = crowd.clone();
    let stable = stable(move || {
        held.hold(4);
        Reply::new(200, JS, "1")
    });
    let ran = verify(&canary(), &stable, &Checks::fast().set("smoke.concurrency", 4));
    assert_eq!((ran.code, ran.status("smoke"), crowd.most()), (0, "pass", 4), "{}", said(&ran));
}

#[test]
fn an_answer_that_could_not_be_had_is_said() {
    let stable = stable(|| Reply::new(503, "text/plain", "busy"));
    let ran = verify(&canary(), &stable, &Checks::fast());
    assert_eq!((ran.code, ran.status("smoke")), (0, "warn"), "{}", said(&ran));
    let piece = "not known: the stable revision cannot be asked for /assets/0.js: it answers 503 and 7 more";
    assert!(ran.detail("smoke").contains(piece), "{}", said(&ran));
}

#[test]
fn a_stable_revision_that_hangs_costs_the_canary_nothing_but_time() {
    let stable = stable(|| Reply::new(200, "", "").body(Body::Hang));
    let began = Instant::now();
    let ran = verify(&canary(), &stable, &Checks::fast());
    assert_eq!((ran.code, ran.status("smoke")), (0, "warn"), "{}", said(&ran));
    assert!(ran.detail("smoke").contains("no whole answer within"), "{}", said(&ran));
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}
