//! The gate in Cloud Deploy: it finds and proves the deployed revision, and shows no token anywhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::canary::Fault;
use crate::canary::app::{Traffic, answer, answer_with};
use crate::canary::google::{ACCESS, ACCOUNT, DEPLOYED, PRIOR, SERVICE_URL, World, environment, id_token};
use crate::canary::server::{Canary, Reply, Request};
use crate::checks::Checks;
use crate::gate::{Gate, Ran, each};

fn verify(google: &Canary) -> Gate {
    verify_by(&Checks::fast(), google)
}

fn verify_by(checks: &Checks, google: &Canary) -> Gate {
    let mut gate = Gate::new().args(["verify", "--checks", "checks.yaml", "--report", "json=report.json"]);
    gate.file("checks.yaml", checks.to_string());
    environment(google).into_iter().fold(gate, |gate, (name, value)| gate.env(name, &value))
}

fn healthy() -> Canary {
    Fault::named("none").unwrap().start()
}

#[test]
fn the_deployed_revision_is_found_and_proven() {
    let canary = healthy();
    let ran = verify(&World::of(&canary).serve()).args(["--expect-percent", "20", "--require-identity"]).run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.report["url"], canary.url());
    assert!(
        ran.detail("ready").contains(&format!("identity proven: {} serves {DEPLOYED}", canary.url())),
        "{}",
        ran.detail("ready")
    );
    let deployment = &ran.report["deployment"];
    assert_eq!(
        (&deployment["revision"], &deployment["release"], &deployment["phase"]),
        (&DEPLOYED.into(), &"release-7".into(), &"canary".into())
    );
    assert!(
        ran.stdout.contains("service emergence-app, revision emergence-app-00042-new, phase canary, release release-7")
    );
}

type Change = fn(&mut World);

/// What is changed, the exit code, and a piece of what `ready` says.
type Case = (&'static str, Change, i32, &'static str);

#[test]
fn every_fault_of_the_apis_gets_its_verdict() {
    #[rustfmt::skip]
    let cases: &[Case] = &[
        ("the tag points elsewhere", |world| world.tagged = PRIOR, 1, "the tag canary points to emergence-app-00041-old, and emergence-app-00042-new was deployed"),
        ("another share", |world| world.percent = 50, 1, "has 50 % of the traffic, want 20 %"),
        ("never ready", |world| world.ready = "CONDITION_RECONCILING", 1, "is not ready yet: Deploying revision. (CONTAINER_MISSING)"),
        ("failed", |world| world.ready = "CONDITION_FAILED", 1, "is not ready: Deploying revision."),
        ("reconciling", |world| world.reconciling = true, 1, "is still reconciling"),
        ("404", |world| world.api = |_| 404, 1, "answers 404"),
        ("busy at first", |world| world.api = |number| if number < 2 { 429 } else { 200 }, 0, "identity proven"),
        ("broken at first", |world| world.api = |number| if number < 2 { 500 } else { 200 }, 0, "identity proven"),
        ("broken for ever", |world| world.api = |_| 500, 3, "the Cloud Run Admin API answers 500"),
        ("slow for ever", |world| world.api = |_| 0, 3, "the Cloud Run Admin API: no whole answer"),
        ("token expired", |world| world.api = |number| if number == 0 { 401 } else { 200 }, 0, "identity proven"),
        ("moves under the gate", |world| world.moves_at = 2, 1, "the rollout changed under the gate: the tag canary points to"),
    ];
    each(cases, |(name, fault, code, piece)| {
        let canary = healthy();
        let mut world = World::of(&canary);
        fault(&mut world);
        let ran = verify(&world.serve()).args(["--expect-percent", "20"]).run();
        if ran.code == *code && ran.detail("ready").contains(piece) {
            return Ok(());
        }
        Err(format!("{name}: exit {}, want {code} with {piece:?}:\n{}{}", ran.code, ran.stdout, ran.stderr))
    });
}

#[test]
fn without_permission_the_address_is_built_and_said_to_be_unproven() {
    // A role is what is lacking where IAM says so, and not where there is no token.
    let cases: [(&str, Change, bool); 2] =
        [("403", |world| world.api = |_| 403, true), ("no token", |world| world.token = 500, false)];
    each(&cases, |(name, fault, lacks_role)| {
        let canary = healthy();
        let mut world = World::of(&canary);
        fault(&mut world);
        let google = world.serve();
        // The constructed address is not on this machine: a proxy that is says who was asked for.
        let proxy = Canary::start(Arc::new(|_| Reply::new(403, "text/plain", "loopback only")));
        let ran = verify(&google).env("HTTPS_PROXY", &proxy.url()).run();
        assert!(ran.detail("ready").contains("the proxy http://127.0.0.1"), "{}", ran.detail("ready"));
        assert_eq!(proxy.seen()[0].path, "canary---emergence-app-abc123-ew.a.run.app:443");
        assert_eq!(
            (ran.code, &ran.report["url"]),
            (3, &"https://canary---emergence-app-abc123-ew.a.run.app".into()),
            "{name}: {}",
            ran.stderr
        );
        let ran = verify(&google).args(["--require-identity"]).run();
        assert_eq!((ran.code, ran.status("ready")), (3, "error"), "{name}");
        assert!(
            ran.detail("ready").contains("cannot be proven (--require-identity)")
                && ran.detail("ready").contains("roles/run.viewer") == *lacks_role,
            "{}",
            ran.detail("ready")
        );
        // With a custom domain no address can be constructed, and the service's address is never used instead.
        let ran = verify(&google).env("CLOUD_RUN_SERVICE_URLS", "https://app.example.com").run();
        assert_eq!((ran.code, ran.status("ready"), ran.status("smoke")), (3, "error", "skipped"), "{name}");
        assert!(ran.detail("ready").contains("the canary's own address is not known"), "{}", ran.detail("ready"));
        // In a phase with all of the traffic the service's address is used, unproven.
        let ran =
            verify(&google).env("CLOUD_DEPLOY_PHASE", "stable").env("CLOUD_RUN_SERVICE_URLS", &canary.url()).run();
        assert_eq!((ran.code, ran.status("ready")), (0, "warn"), "{name}: {}", ran.stderr);
        assert!(ran.detail("ready").contains("not proven"), "{}", ran.detail("ready"));
        Ok(())
    });
}

/// A canary that requires an identity token for an audience, as Cloud Run's front end does.
fn private(audience: &str) -> Canary {
    let wanted = format!("Bearer {}", id_token(audience, 4_000_000_000));
    Canary::start(Arc::new(move |request: &Request| match request.headers.get("authorization") {
        Some(sent) if *sent == wanted => answer(request),
        Some(_) => Reply::new(401, "text/html", "<html><title>401 Unauthorized</title></html>")
            .header("WWW-Authenticate", "Bearer error=\"invalid_token\""),
        None => Reply::new(
            403,
            "text/html; charset=UTF-8",
            "<html><title>403 Forbidden</title>Your client does not have permission to get URL <code>/</code> from this server.</html>",
        ),
    }))
}

fn has_no_secret(ran: &Ran) {
    let written = ran.everything();
    for secret in [ACCESS, &id_token(SERVICE_URL, 4_000_000_000), "signature"] {
        assert!(!written.contains(secret), "{written}");
    }
    assert!(!written.contains("eyJ"), "{written}");
}

#[test]
fn a_private_service_gets_an_identity_token() {
    // 404 is what Cloud Build's metadata server answers: the token then comes from IAM Credentials.
    for (name, identity) in [("metadata", 200), ("IAM Credentials", 404)] {
        let canary = private(SERVICE_URL);
        let world = World { identity, ..World::of(&canary) };
        let ran = verify(&world.serve()).run();
        assert_eq!(ran.code, 0, "{name}: {}{}", ran.stdout, ran.stderr);
        has_no_secret(&ran);
        let ran = verify(&World::of(&canary).serve()).args(["--auth", "always"]).run();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(canary.seen().last().unwrap().headers.contains_key("authorization"));
    }
}

#[test]
fn the_tagged_address_is_the_second_audience() {
    // The token for the service's address is refused; the one for the canary's own address is accepted.
    let slot = Arc::new(std::sync::Mutex::new(String::new()));
    let own = slot.clone();
    let canary = Canary::start(Arc::new(move |request: &Request| {
        let wanted = format!("Bearer {}", id_token(&own.lock().unwrap(), 4_000_000_000));
        match request.headers.get("authorization") {
            Some(sent) if *sent == wanted => answer(request),
            _ => Reply::new(401, "text/html", "").header("WWW-Authenticate", "Bearer error=\"invalid_token\""),
        }
    }));
    *slot.lock().unwrap() = canary.url();
    let ran = verify(&World::of(&canary).serve()).run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    has_no_secret(&ran);
}

#[test]
fn an_identity_token_is_kept_until_it_expires() {
    for (expires, kept) in [(4_000_000_000, true), (1_000_000_000, false)] {
        let canary = healthy();
        let google = World { expires, ..World::of(&canary) }.serve();
        let ran = verify(&google).args(["--auth", "always"]).run();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let asked = google.seen().iter().filter(|request| request.path.ends_with("/identity")).count();
        assert_eq!(asked == 1, kept, "{asked} tokens for {} requests", canary.seen().len());
    }
}

#[test]
fn what_is_to_be_granted_is_said() {
    // A token that is known and may not come in is answered as one that is missing.
    let closed = || {
        Canary::start(Arc::new(|_: &Request| {
            let page = "<html><title>403 Forbidden</title>Your client does not have permission to get URL <code>/</code> from this server.</html>";
            Reply::new(403, "text/html; charset=UTF-8", page)
        }))
    };
    let refused = |fault: Change, args: &[&str], code: i32, status: &str, canary: Canary| {
        let mut world = World::of(&canary);
        fault(&mut world);
        let ran = verify(&world.serve()).args(args.iter().copied()).run();
        assert_eq!((ran.code, ran.status("health")), (code, status), "{}", ran.stderr);
        has_no_secret(&ran);
        ran.detail("health").to_owned()
    };
    let said = refused(|_| {}, &[], 1, "fail", closed());
    assert!(said.contains(&format!("the service is private: grant roles/run.invoker to {ACCOUNT}")), "{said}");
    let said = refused(|_| {}, &[], 1, "fail", private("https://nobody"));
    assert!(said.contains("its audience may be wrong") && said.contains("--audience"), "{said}");
    // Without a token the canary is not seen at all: that is no failure of it.
    let said = refused(|world| (world.identity, world.iam) = (404, 403), &[], 3, "error", private("https://nobody"));
    assert!(said.contains("roles/iam.serviceAccountOpenIdTokenCreator on itself"), "{said}");
    let said = refused(|_| {}, &["--auth", "never"], 1, "fail", private("https://nobody"));
    assert!(said.contains("no token was sent (--auth never)"), "{said}");
}

#[test]
fn a_token_by_hand_is_sent_and_shown_nowhere() {
    let canary = private("by-hand");
    let token = id_token("by-hand", 4_000_000_000);
    let ran = Gate::verify(&canary.url(), Checks::fast()).env("CANARY_GATE_ID_TOKEN", &token).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    has_no_secret(&ran);
    let mut gate = Gate::verify(&canary.url(), Checks::fast()).args(["--id-token-file", "token"]);
    gate.file("token", format!("{token}\n"));
    assert_eq!(gate.run().code, 0);
}

#[test]
fn tokens_never_cross_a_redirect_to_another_origin() {
    let elsewhere = healthy();
    let target = elsewhere.url();
    let canary = Canary::start(Arc::new(move |request: &Request| match &*request.path {
        "/" => Reply::new(302, "", "").header("Location", &target),
        _ => answer(request),
    }));
    let ran = verify(&World::of(&canary).serve()).args(["--auth", "always"]).run();
    assert!(ran.detail("smoke").contains("redirects to another origin"), "{}", ran.detail("smoke"));
    assert!(elsewhere.seen().is_empty());
}

#[test]
fn an_internal_ingress_is_recognised() {
    let canary = healthy();
    let google = World { ingress: "INGRESS_TRAFFIC_INTERNAL_ONLY", ..World::of(&canary) }.serve();
    let ran = verify(&google).run();
    assert!(ran.code == 0 && ran.stdout.contains("takes internal traffic only"), "{}", ran.stdout);
    let page = "<html><title>Error 404 (Not Found)!!1</title>The requested URL <code>/api/health</code> was not found on this server.</html>";
    let canary = Canary::start(Arc::new(move |_: &Request| Reply::new(404, "text/html; charset=UTF-8", page)));
    let ran = Gate::verify(&canary.url(), Checks::fast()).run();
    assert_eq!(ran.code, 1);
    assert!(ran.detail("health").contains("private pool"), "{}", ran.detail("health"));
}

#[test]
fn off_google_cloud_the_metadata_server_is_given_up_quickly() {
    let canary = private("nobody");
    let checks = Checks::fast().set("ready.timeout", "2m").set("health.timeout", "2m");
    let began = Instant::now();
    let ran = Gate::verify(&canary.url(), checks).env("GCE_METADATA_HOST", "127.0.0.1:1").run();
    assert_eq!((ran.code, ran.status("health")), (3, "error"), "{}", ran.stderr);
    assert!(ran.detail("health").contains("there is no metadata server"), "{}", ran.detail("health"));
    // Retrying until a limit is reached would take minutes.
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
fn what_is_missing_of_a_deployment_is_named() {
    let google = World::of(&healthy()).serve();
    for (name, value, piece) in [
        ("CLOUD_RUN_REVISION", "", "the revision is not known: pass --revision"),
        ("CLOUD_RUN_REVISION", "other-00001-abc", "does not belong to the service emergence-app"),
        ("TARGET_TYPE", "GKE", "TARGET_TYPE is \"GKE\""),
        ("CANARY_GATE_RUN_ENDPOINT", "run.example.com", "--run-endpoint: the URL"),
        ("CANARY_GATE_EXPECT_PERCENT", "120", "120 is not in 0..=100"),
    ] {
        let ran = verify(&google).env(name, value).run();
        assert_eq!(ran.code, 2, "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(piece), "{name}: {}", ran.stderr);
    }
    let by_hand = [
        "--project",
        "emergence-469005",
        "--region",
        "europe-west1",
        "--service",
        "emergence-app",
        "--revision",
        DEPLOYED,
        "--tag",
        "canary",
    ];
    let canary = healthy();
    let google = World::of(&canary).serve();
    let ran = Gate::new()
        .args(["verify"])
        .args(by_hand)
        .env("CANARY_GATE_RUN_ENDPOINT", &google.url())
        .env("GCE_METADATA_HOST", google.url().trim_start_matches("http://"))
        .run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn the_canary_alone_is_judged_while_the_service_answers_from_the_stable_revision() {
    // The service's address answers from the canary one time in five: a sick canary looks healthy there.
    let canary = Fault::named("failures-3").unwrap().start();
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let service = Canary::start(Arc::new(move |request: &Request| {
        let sick = request.path == "/api/metrics" && turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % 5 == 4;
        let traffic = Traffic { failures: vec![("openai", "timeout", if sick { 3 } else { 0 })], ..Default::default() };
        answer_with(request, &traffic)
    }));
    let ran = Gate::verify(&service.url(), Checks::fast()).run();
    assert_eq!(ran.code, 0, "the service's address hides it: {}", ran.stdout);
    let ran = verify(&World::of(&canary).serve()).env("CLOUD_RUN_SERVICE_URLS", &service.url()).run();
    assert_eq!((ran.code, ran.status("metrics")), (1, "fail"), "{}", ran.stderr);
}

/// A front end whose page names one script, and which serves only that one.
fn front_end(script: &'static str, cache: &'static str) -> Canary {
    Canary::start(Arc::new(move |request: &Request| match &*request.path {
        "/" => Reply::new(200, "text/html", format!("<!doctype html><script type=module src={script}></script>"))
            .header("Cache-Control", cache),
        "/assets/" => answer(request),
        path if path == script => Reply::new(200, "text/javascript", "1"),
        path if path.starts_with("/assets/") => {
            Reply::new(200, "text/html", "<!doctype html>the page, for all that is missing")
        }
        _ => answer(request),
    }))
}

#[test]
fn the_stable_revision_is_found_by_its_tag() {
    let (canary, stable) = (healthy(), healthy());
    let world = World { prior: stable.url(), sticky: true, ..World::of(&canary) };
    let google = world.serve();
    let run = |tag: &str| {
        let checks = "metrics: {require: [], thresholds: [{expr: count(memory_analysis_cache_size) == 2}]}";
        verify_by(&Checks::read(checks).set("metrics.baseline", tag), &google).run()
    };
    assert_eq!(run("prior").code, 0, "{}", run("prior").stderr);
    assert!(stable.seen().iter().any(|request| request.path == "/api/metrics"));
    let missing = run("green");
    assert_eq!((missing.code, missing.status("metrics")), (3, "error"));
    assert!(missing.detail("metrics").contains("there are prior"), "{}", missing.detail("metrics"));
}

#[test]
fn assets_that_the_other_revision_lacks_are_warned_of() {
    let run_by = |checks: &Checks, canary: &Canary, stable: &Canary, sticky: bool| {
        let world = World { prior: stable.url(), sticky, ..World::of(canary) };
        verify_by(checks, &world.serve()).run()
    };
    let run = |canary: &Canary, stable: &Canary, sticky| run_by(&Checks::fast(), canary, stable, sticky);
    let canary = front_end("/assets/index-new.js", "no-cache");
    let stable = front_end("/assets/index-old.js", "no-cache");
    let ran = run(&canary, &stable, false);
    assert_eq!((ran.code, ran.status("smoke")), (0, "warn"), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.detail("smoke").contains("lacks /assets/index-new.js") && ran.detail("smoke").contains("sessionAffinity"),
        "{}",
        ran.detail("smoke")
    );
    assert_eq!(run_by(&Checks::fast().set("smoke.asset_skew", "block"), &canary, &stable, false).code, 1);
    assert_eq!(run(&canary, &stable, true).status("smoke"), "pass", "clients stick to their revision");
    let same = front_end("/assets/index-new.js", "no-cache");
    assert_eq!(run(&canary, &same, false).status("smoke"), "pass");
    for cache in ["public, max-age=31536000", "max-age=60, immutable"] {
        let cached = front_end("/assets/index-new.js", cache);
        let ran = run(&cached, &same, false);
        assert_eq!(ran.status("smoke"), "warn", "{cache}");
        assert!(ran.detail("smoke").contains("may be kept by browsers"), "{}", ran.detail("smoke"));
    }
}
