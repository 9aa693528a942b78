//! Who answers: not only what the API says, and not only at first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::canary::app::answer;
use crate::canary::google::{DEPLOYED, PRIOR, World, environment, id_token};
use crate::canary::server::{Canary, Reply, Request};
use crate::canary::{FAULTS, Fault};
use crate::checks::Checks;
use crate::forward::forward;
use crate::gate::{Gate, each};

fn healthy() -> Canary {
    FAULTS[0].start()
}

fn verify(google: &Canary) -> Gate {
    let mut gate = Gate::new().args(["verify", "--checks", "checks.yaml", "--report", "json=report.json"]);
    gate.file("checks.yaml", Checks::fast().to_string());
    environment(google).into_iter().fold(gate, |gate, (name, value)| gate.env(name, &value))
}

fn is_service(value: &Value) -> bool {
    value["trafficStatuses"].is_array()
}

/// A fault of the API, the exit code, and a piece of what `ready` says.
type Case = (&'static str, fn(&mut World), i32, &'static str);

#[test]
fn what_the_api_says_is_read_to_the_letter() {
    #[rustfmt::skip]
    let cases: &[Case] = &[
        ("the newest change is not taken up yet", |world| world.edit = |_, value| value["observedGeneration"] = "41".into(), 1, "generation 42, observed 41"),
        ("taken up in a moment", |world| world.edit = |number, value| if number < 4 { value["observedGeneration"] = "41".into() }, 0, "identity proven"),
        ("no terminal condition", |world| world.edit = |_, value| value["terminalCondition"] = Value::Null, 1, "has no terminal condition yet"),
        ("LATEST names no revision", |world| world.edit = |_, value| if is_service(value) {
            for status in value["trafficStatuses"].as_array_mut().unwrap() {
                if status["revision"] == DEPLOYED {
                    status["type"] = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST".into();
                    status.as_object_mut().unwrap().remove("revision");
                }
            }
        }, 0, "identity proven"),
        ("LATEST is another", |world| world.edit = |_, value| if is_service(value) {
            value["latestReadyRevision"] = PRIOR.into();
            for status in value["trafficStatuses"].as_array_mut().unwrap() {
                status["type"] = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST".into();
                status.as_object_mut().unwrap().remove("revision");
            }
        }, 1, "the tag canary points to emergence-app-00041-old"),
        ("the generation changes meanwhile", |world| world.edit = |number, value| if number >= 2 { (value["generation"], value["observedGeneration"]) = ("43".into(), "43".into()) }, 1, "the rollout changed under the gate: it was generation 42"),
        ("the traffic changes meanwhile", |world| world.edit = |number, value| if number >= 2 && is_service(value) {
            value["trafficStatuses"].as_array_mut().unwrap().push(json!({"revision": PRIOR, "tag": "green", "uri": "https://green"}));
        }, 1, "the rollout changed under the gate"),
        ("an empty object", |world| world.instead = |_| Some(Reply::json(200, "{}")), 3, "with something else"),
        ("HTML", |world| world.instead = |_| Some(Reply::new(200, "text/html", "<html>sign in</html>")), 3, "answers no JSON of its kind"),
        ("another service", |world| world.edit = |_, value| value["name"] = "projects/p/locations/r/services/other".into(), 3, "with something else"),
        ("malformed request", |world| world.instead = |_| Some(Reply::json(400, r#"{"error":{"code":400,"message":"bad name","status":"INVALID_ARGUMENT"}}"#)), 3, "answers 400"),
        ("the API is not enabled", |world| world.instead = |_| Some(Reply::json(403, r#"{"error":{"code":403,"message":"Cloud Run Admin API has not been used","status":"PERMISSION_DENIED","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"SERVICE_DISABLED","metadata":{"service":"run.googleapis.com","consumer":"projects/42"}}]}}"#)), 3, "gcloud services enable run.googleapis.com --project=42"),
        ("no address under run.app", |world| world.edit = |_, value| value["defaultUriDisabled"] = true.into(), 3, "defaultUriDisabled"),
    ];
    each(cases, |(name, fault, code, piece)| {
        let canary = healthy();
        let mut world = World::of(&canary);
        fault(&mut world);
        let google = world.serve();
        let ran = verify(&google).args(["--require-identity"]).run();
        let asked = google.seen().iter().filter(|request| request.path.starts_with("/v2/")).count();
        let once = *name != "malformed request" || asked == 2;
        if ran.code == *code && ran.detail("ready").contains(piece) && once {
            return Ok(());
        }
        Err(format!("{name}: exit {}, want {code} with {piece:?}:\n{}{}", ran.code, ran.stdout, ran.stderr))
    });
}

#[test]
fn the_api_is_asked_again_when_it_says() {
    let canary = healthy();
    let instead = |number| (number < 2).then(|| Reply::json(429, "{}").header("Retry-After", "1"));
    let google = World { instead, ..World::of(&canary) }.serve();
    let ran = verify(&google).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.check("ready")["duration_ms"].as_u64().unwrap() >= 1000, "{}", ran.check("ready"));
}

#[test]
fn an_address_beside_a_deployment_has_to_be_the_deployed_revisions() {
    let (canary, prior, elsewhere) = (healthy(), healthy(), healthy());
    let mut world = World::of(&canary);
    world.prior = prior.url();
    world.edit = |_, value| {
        if is_service(value) {
            value["urls"].as_array_mut().unwrap().push("http://127.0.0.2:1".into());
        }
    };
    let google = world.serve();
    let with = |url: &str, more: &[&str]| verify(&google).args(["--url", url]).args(more.iter().copied()).run();
    let ran = with(&canary.url(), &["--require-identity", "--expect-percent", "20"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.detail("ready").contains("identity proven"), "{}", ran.detail("ready"));
    assert_eq!(ran.report["deployment"]["revision"], DEPLOYED);
    let ran = with(&prior.url(), &[]);
    assert_eq!((ran.code, ran.status("ready")), (1, "fail"), "{}", ran.stderr);
    assert!(ran.detail("ready").contains("is the address of the tag prior"), "{}", ran.detail("ready"));
    let ran = with("http://127.0.0.2:1", &[]);
    assert!(
        ran.code == 1 && ran.detail("ready").contains("answers from every revision with traffic"),
        "{}",
        ran.stderr
    );
    // An address that the API does not know: a custom domain, or a slip.
    let ran = with(&elsewhere.url(), &[]);
    assert_eq!((ran.code, ran.status("ready")), (0, "warn"), "{}", ran.stderr);
    assert!(ran.detail("ready").contains("knows no such address"), "{}", ran.detail("ready"));
    let ran = with(&elsewhere.url(), &["--require-identity"]);
    assert_eq!((ran.code, ran.status("ready")), (3, "error"), "{}", ran.stderr);
    let ran = with(&canary.url(), &["--expect-percent", "50"]);
    assert!(ran.code == 1 && ran.detail("ready").contains("want 50 %"), "{}", ran.stderr);
}

#[test]
fn no_address_switches_the_proof_off() {
    let canary = healthy();
    for (flags, piece) in [
        (&["--require-identity"][..], "--require-identity needs a deployment"),
        (&["--expect-percent", "20"], "--expect-percent needs a deployment"),
        (&["--revision", "app-2"], "the project is not known"),
    ] {
        let ran = Gate::verify(&canary.url(), "").args(flags.iter().copied()).run();
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(piece), "{}", ran.stderr);
    }
    let google = World::of(&canary).serve();
    let ran = verify(&google).env("CANARY_GATE_URL", &canary.url()).run();
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("CANARY_GATE_URL is set where a deployment is to be verified"), "{}", ran.stderr);
    // A rollout to something else is verified by its address.
    let ran =
        Gate::verify(&canary.url(), Checks::fast()).env("TARGET_TYPE", "GKE").env("CLOUD_DEPLOY_ROLLOUT", "r-1").run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(canary.seen().iter().all(|request| request.method == "GET"));
}

#[test]
fn health_is_asked_once_more_before_the_verdict() {
    for (bad, code) in [(2, 1), (usize::MAX, 0)] {
        let asked = AtomicUsize::new(0);
        let canary = Canary::start(Arc::new(move |request: &Request| {
            if request.path == "/api/health" && asked.fetch_add(1, Ordering::SeqCst) + 1 >= bad {
                return Reply::json(200, r#"{"status":"degraded"}"#);
            }
            answer(request)
        }));
        let ran = Gate::verify(&canary.url(), Checks::fast()).run();
        assert_eq!(ran.code, code, "{}", ran.stderr);
        if code == 1 {
            assert!(
                ran.detail("health").starts_with("it was well at first, and is not at the end: GET /api/health"),
                "{}",
                ran.detail("health")
            );
        }
    }
}

#[test]
fn one_refusal_does_not_break_authentication_for_good() {
    let token = format!("Bearer {}", id_token(crate::canary::google::SERVICE_URL, 4_000_000_000));
    let canary = Canary::start(Arc::new(move |request: &Request| {
        // Each path refuses the first token that comes, as a front end does whose keys change.
        let taken = request.headers.get("authorization").is_some_and(|sent| *sent == token) && request.before > 0;
        if taken {
            return answer(request);
        }
        Reply::new(401, "text/html", "").header("WWW-Authenticate", "Bearer error=\"invalid_token\"")
    }));
    let google = World::of(&canary).serve();
    let ran = verify(&google).run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.check("health")["attempts"], 1);
}

#[test]
fn the_applications_own_401_is_an_answer_like_any_other() {
    let canary = Canary::start(Arc::new(|request: &Request| match &*request.path {
        "/health/readiness" => {
            Reply::json(401, r#"{"detail":"Not authenticated"}"#).header("WWW-Authenticate", "Bearer")
        }
        _ => answer(request),
    }));
    let google = World::of(&canary).serve();
    let ran = verify(&google).run();
    assert_eq!((ran.code, ran.status("readiness")), (1, "fail"), "{}", ran.stderr);
    assert!(canary.seen().iter().all(|request| !request.headers.contains_key("authorization")));
    assert!(!google.seen().iter().any(|request| request.path.ends_with("/identity")));
}

#[test]
fn who_refuses_is_told_apart() {
    let page =
        "<html><title>Error 404 (Not Found)!!1</title>The requested URL <code>/</code> was not found on this server.";
    let iap = Canary::start(Arc::new(|_: &Request| {
        Reply::new(401, "text/html", "Invalid IAP credentials: empty token")
            .header("X-Goog-IAP-Generated-Response", "true")
    }));
    let ran = Gate::verify(&iap.url(), Checks::fast()).args(["--auth", "never"]).run();
    assert!(ran.code == 1 && ran.detail("health").contains("Identity-Aware Proxy refuses"), "{}", ran.stderr);
    // The API says that the service is open: the ingress is not the cause.
    let canary = Canary::start(Arc::new(move |request: &Request| match &*request.path {
        "/" => answer(request),
        _ => Reply::new(404, "text/html; charset=UTF-8", page),
    }));
    let ran = verify(&World::of(&canary).serve()).run();
    assert!(ran.detail("health").contains("takes traffic from everywhere"), "{}", ran.detail("health"));
    let closed = World { ingress: "INGRESS_TRAFFIC_INTERNAL_ONLY", ..World::of(&canary) };
    let ran = verify(&closed.serve()).run();
    assert!(ran.detail("health").contains("private pool"), "{}", ran.detail("health"));
}

#[test]
fn a_busy_metadata_server_is_waited_for() {
    let canary = healthy();
    let asked = AtomicUsize::new(0);
    let google = World::of(&canary).serve();
    let address = google.url();
    // Two answers of a server that is still starting, then the real ones.
    let busy = Canary::start(Arc::new(move |request: &Request| {
        if asked.fetch_add(1, Ordering::SeqCst) < 2 {
            return Reply::new(503, "text/html", "starting");
        }
        forward(&address, request)
    }));
    let ran = verify(&google)
        .env("GCE_METADATA_HOST", busy.url().trim_start_matches("http://"))
        .args(["--require-identity"])
        .run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn the_healthy_path_stays_as_short_as_it_was() {
    let canary = Fault::named("none").unwrap().start();
    let ran = Gate::verify(&canary.url(), Checks::fast()).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let health = canary.seen().iter().filter(|request| request.path == "/api/health").count();
    assert_eq!(health, 2, "once at first, once before the verdict");
}
