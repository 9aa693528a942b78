//! Who answers: not only what the API says, and not only at first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::canary::FAULTS;
use crate::canary::app::answer;
use crate::canary::google::{DEPLOYED, PRIOR, World, environment, id_token};
use crate::canary::server::{Body, Canary, Reply, Request};
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
        ("no generation", |world| world.edit = |_, value| if is_service(value) {
            value.as_object_mut().unwrap().retain(|name, _| !matches!(&**name, "generation" | "observedGeneration"));
        }, 3, "names no generation of the service emergence-app"),
        ("the tag is there twice", |world| world.edit = |_, value| if is_service(value) {
            value["trafficStatuses"].as_array_mut().unwrap().push(json!({"revision": PRIOR, "tag": "canary", "uri": "https://x"}));
        }, 3, "the tag canary is there more than once"),
        ("shares over 100 %", |world| world.edit = |_, value| if is_service(value) {
            value["trafficStatuses"][1]["percent"] = u32::MAX.into();
        }, 3, "add up to 4294967395 %"),
        ("shares under 100 %", |world| world.edit = |_, value| if is_service(value) {
            value["trafficStatuses"][2]["percent"] = 40.into();
        }, 3, "add up to 60 %"),
        ("the service is being deleted", |world| world.edit = |_, value| if is_service(value) {
            value["deleteTime"] = "2026-01-01T00:00:00Z".into();
        }, 1, "the service emergence-app is deleted (since 2026-01-01T00:00:00Z)"),
        ("the revision is being deleted", |world| world.edit = |_, value| if !is_service(value) {
            value["deleteTime"] = "2026-01-01T00:00:00Z".into();
        }, 1, "the revision emergence-app-00042-new is deleted"),
        ("the revision is still reconciling", |world| world.edit = |_, value| if !is_service(value) {
            value["reconciling"] = true.into();
        }, 1, "the revision emergence-app-00042-new is still reconciling"),
        ("the revision's newest change is not taken up", |world| world.edit = |_, value| if !is_service(value) {
            (value["generation"], value["observedGeneration"]) = ("2".into(), "1".into());
        }, 1, "generation 2, observed 1"),
        ("two conditions that differ", |world| world.edit = |_, value| if !is_service(value) {
            value["conditions"].as_array_mut().unwrap().push(json!({"type": "Ready", "state": "CONDITION_FAILED"}));
        }, 3, "several Ready conditions that differ"),
        ("the tag's address is the service's", |world| world.edit = |_, value| if is_service(value) {
            value["uri"] = value["trafficStatuses"][1]["uri"].clone();
        }, 3, "answers from other revisions"),
        ("the tag's address is another tag's", |world| world.edit = |_, value| if is_service(value) {
            let uri = value["trafficStatuses"][1]["uri"].clone();
            value["trafficStatuses"].as_array_mut().unwrap().push(json!({"revision": PRIOR, "tag": "prior", "uri": uri}));
        }, 3, "answers from other revisions"),
        ("the tag has no address", |world| world.canary.clear(), 3, "names no address for the tag canary of emergence-app-00042-new"),
        ("the tag's address changes meanwhile", |world| world.edit = |number, value| if number >= 2 && is_service(value) {
            value["trafficStatuses"][1]["uri"] = "https://elsewhere".into();
        }, 1, "the rollout changed under the gate: it was generation 42"),
        ("a page that is not the API's", |world| world.instead = |_| Some(Reply::new(404, "text/html", "<html>nothing here")), 3, "answers 404 for GET /v2/projects/emergence-469005/"),
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
        let ran = Gate::verify(&canary.url(), Checks::fast()).args(flags.iter().copied()).run();
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(piece), "{}", ran.stderr);
    }
    let ran = Gate::verify(&canary.url(), "identity: {path: /, header: X-Revision}").run();
    assert!(ran.code == 2 && ran.stderr.contains("identity in the checks file needs a deployment"), "{}", ran.stderr);
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

/// The healthy application, whose readiness takes longer than what was seen before counts for the verdict.
fn slowly(request: &Request) -> Reply {
    if request.path == "/health/readiness" {
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    answer(request)
}

fn patient() -> Checks {
    Checks::fast().set("readiness.request_timeout", "5s").set("readiness.timeout", "5s")
}

#[test]
fn health_is_asked_once_more_before_the_verdict() {
    for (bad, code) in [(2, 1), (usize::MAX, 0)] {
        let asked = AtomicUsize::new(0);
        let canary = Canary::start(Arc::new(move |request: &Request| {
            if request.path == "/api/health" && asked.fetch_add(1, Ordering::SeqCst) + 1 >= bad {
                return Reply::json(200, r#"{"status":"degraded"}"#);
            }
            slowly(request)
        }));
        let ran = Gate::verify(&canary.url(), patient()).run();
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
    // Without a token, it is not the canary that was seen.
    let ran = Gate::verify(&iap.url(), Checks::fast()).env("GCE_METADATA_HOST", "127.0.0.1:1").run();
    assert!(ran.code == 3 && ran.detail("health").contains("Identity-Aware Proxy stands"), "{}", ran.stderr);
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

/// What stands before the fakes of Google's APIs, and may answer in their place.
fn before(google: &Canary, instead: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) -> Canary {
    let address = google.url();
    Canary::start(Arc::new(move |request: &Request| instead(request).unwrap_or_else(|| forward(&address, request))))
}

/// A canary that lets nobody in without the token of the service, as Cloud Run's front end does.
fn private() -> Canary {
    let token = format!("Bearer {}", id_token(crate::canary::google::SERVICE_URL, 4_000_000_000));
    let page = "Your client does not have permission to get URL <code>/</code> from this server.";
    Canary::start(Arc::new(move |request: &Request| match request.headers.get("authorization") {
        Some(sent) if *sent == token => answer(request),
        _ => Reply::new(403, "text/html", page),
    }))
}

#[test]
fn a_token_that_cannot_be_had_is_no_failure_of_the_canary() {
    type Instead = fn(&Request) -> Option<Reply>;
    let cases: &[(&str, Instead, &str)] = &[
        (
            "hangs",
            |request| request.path.ends_with("/identity").then(|| Reply::new(200, "", "").body(Body::Hang)),
            "there is no identity token",
        ),
        (
            "a page",
            |request| request.path.ends_with("/identity").then(|| Reply::new(200, "text/html", "<html>sign in</html>")),
            "the metadata server's identity token is no token",
        ),
        (
            "empty",
            |request| request.path.ends_with("/identity").then(|| Reply::new(200, "text/html", "")),
            "the metadata server's identity token is empty",
        ),
        (
            "the account hangs",
            |request| match &*request.path {
                path if path.ends_with("/identity") => Some(Reply::new(404, "text/html", "")),
                path if path.ends_with("/email") => Some(Reply::new(200, "", "").body(Body::Hang)),
                _ => None,
            },
            "there is no identity token",
        ),
    ];
    each(cases, |(name, instead, piece)| {
        let canary = private();
        let fakes = World::of(&canary).serve();
        let metadata = before(&fakes, *instead);
        let checks = Checks::fast().set("health.timeout", "1s");
        for mode in ["auto", "always"] {
            let mut gate = verify(&fakes)
                .env("GCE_METADATA_HOST", metadata.url().trim_start_matches("http://"))
                .args(["--auth", mode]);
            gate.file("checks.yaml", checks.to_string());
            let ran = gate.run();
            if ran.code != 3 || !ran.detail("health").contains(piece) {
                return Err(format!("{name}, {mode}: exit {}:\n{}{}", ran.code, ran.stdout, ran.stderr));
            }
        }
        Ok(())
    });
}

#[test]
fn a_busy_iam_is_waited_for() {
    let canary = private();
    let google = World { identity: 404, ..World::of(&canary) }.serve();
    let asked = AtomicUsize::new(0);
    let iam = before(&google, move |_| {
        (asked.fetch_add(1, Ordering::SeqCst) < 1).then(|| Reply::json(503, r#"{"error":{"status":"UNAVAILABLE"}}"#))
    });
    let ran = verify(&google).env("CANARY_GATE_IAM_ENDPOINT", &iam.url()).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    // A token of its that is none.
    let iam = before(&google, |_| Some(Reply::json(200, r#"{"token":""}"#)));
    let ran = verify(&google).env("CANARY_GATE_IAM_ENDPOINT", &iam.url()).run();
    assert_eq!((ran.code, ran.status("health")), (3, "error"), "{}", ran.stderr);
    assert!(ran.detail("health").contains("identity token is empty"), "{}", ran.detail("health"));
}

#[test]
fn a_token_by_hand_has_to_be_one() {
    let canary = private();
    let token = id_token(crate::canary::google::SERVICE_URL, 4_000_000_000);
    for (written, code) in [
        (format!("\u{feff}{token} \r\n"), 0),
        (format!("{token}\n{token}"), 2),
        ("not a token".into(), 2),
        (" \n".into(), 2),
    ] {
        let mut gate = Gate::verify(&canary.url(), Checks::fast()).args(["--id-token-file", "token"]);
        gate.file("token", written.clone());
        let ran = gate.run();
        assert_eq!(ran.code, code, "{written:?}: {}", ran.stderr);
        assert!(code == 0 || ran.stderr.contains("--id-token-file"), "{}", ran.stderr);
    }
    let ran = Gate::verify(&canary.url(), Checks::fast()).env("CANARY_GATE_ID_TOKEN", "a b").run();
    assert!(ran.code == 2 && ran.stderr.contains("CANARY_GATE_ID_TOKEN: the token"), "{}", ran.stderr);
}

#[test]
fn what_the_runs_own_limit_cuts_is_no_failure_of_the_canary() {
    let hangs = |from: usize| {
        let asked = AtomicUsize::new(0);
        Canary::start(Arc::new(move |request: &Request| {
            if request.path == "/api/health" && asked.fetch_add(1, Ordering::SeqCst) >= from {
                return Reply::new(200, "", "").body(Body::Hang);
            }
            slowly(request)
        }))
    };
    let checks = patient().set("health.request_timeout", "20s").set("health.timeout", "30s");
    for from in [0, 1] {
        let ran = Gate::verify(&hangs(from).url(), &checks).args(["--timeout", "3s"]).run();
        assert_eq!((ran.code, ran.status("health")), (3, "error"), "{}", ran.stderr);
    }
    // It had the time of a whole request.
    let ran = Gate::verify(&hangs(0).url(), Checks::fast().set("health.timeout", "600ms")).run();
    assert_eq!((ran.code, ran.status("health")), (1, "fail"), "{}", ran.stderr);
}

#[test]
fn the_healthy_path_stays_as_short_as_it_was() {
    for (handler, wanted) in [(answer as fn(&Request) -> Reply, [1, 2].as_slice()), (slowly, &[2])] {
        let canary = Canary::start(Arc::new(handler));
        let ran = Gate::verify(&canary.url(), patient()).run();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let health = canary.seen().iter().filter(|request| request.path == "/api/health").count();
        // Once at first, and once before the verdict where the rest took a moment: on a busy machine it always does.
        assert!(wanted.contains(&health), "{health} of {wanted:?}");
    }
}

/// A canary whose n-th answer (counted from 0, over all paths) names the revision that `revision` gives.
fn naming(revision: impl Fn(usize) -> &'static str + Send + Sync + 'static) -> Canary {
    let count = AtomicUsize::new(0);
    Canary::start(Arc::new(move |request: &Request| {
        let revision = revision(count.fetch_add(1, Ordering::SeqCst));
        match &*request.path {
            "/api/version" => Reply::json(200, &json!({"revision": revision}).to_string()),
            _ => answer(request).header("X-Revision", revision),
        }
    }))
}

fn telling(google: &Canary, identity: &Value, more: &[&str]) -> crate::gate::Ran {
    let mut gate = Gate::new().args(["verify", "--checks", "checks.yaml", "--report", "json=report.json"]);
    gate.file("checks.yaml", Checks::fast().set("identity", identity.clone()).to_string());
    let gate = environment(google).into_iter().fold(gate, |gate, (name, value)| gate.env(name, &value));
    gate.args(more.iter().copied()).run()
}

#[test]
fn answers_that_do_not_tell_the_revision_show_neither_it_nor_another() {
    // How many answers name the deployed revision at first, what comes then, and how the gate ends.
    let cases = [
        (0, 200, None, (1, "fail")),
        (0, 400, Some(DEPLOYED), (1, "fail")),
        // Before the verdict it could not be seen once more: that is no other revision.
        (2, 200, None, (3, "error")),
        (2, 400, Some(PRIOR), (3, "error")),
        (2, 200, Some(PRIOR), (1, "fail")),
    ];
    each(&cases, |&(named, status, revision, wanted)| {
        let count = AtomicUsize::new(0);
        let canary = Canary::start(Arc::new(move |request: &Request| match &*request.path {
            "/api/version" if count.fetch_add(1, Ordering::SeqCst) < named => {
                Reply::new(200, "text/plain", "1.2.3").header("X-Revision", DEPLOYED)
            }
            "/api/version" => {
                let reply = Reply::new(status, "text/plain", "1.2.3");
                revision.into_iter().fold(reply, |reply, revision| reply.header("X-Revision", revision))
            }
            _ => answer(request),
        }));
        let identity = json!({"path": "/api/version", "header": "X-Revision"});
        let ran = telling(&World::of(&canary).serve(), &identity, &[]);
        assert_eq!((ran.code, ran.status("ready")), wanted, "{named} {status} {revision:?}: {}", ran.stderr);
        Ok(())
    });
}

#[test]
fn the_gate_waits_until_the_deployed_revision_answers() {
    for identity in
        [json!({"path": "/", "header": "X-Revision"}), json!({"path": "/api/version", "json": "$.revision"})]
    {
        let canary = naming(|number| if number < 5 { PRIOR } else { DEPLOYED });
        let ran = telling(&World::of(&canary).serve(), &identity, &[]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("the answer is of {PRIOR}, want {DEPLOYED}")), "{}", ran.stderr);
        assert!(ran.stdout.contains("2 answers in a row are of"), "{}", ran.stdout);
        let canary = naming(|_| PRIOR);
        let ran = telling(&World::of(&canary).serve(), &identity, &[]);
        assert_eq!((ran.code, ran.status("ready")), (1, "fail"), "{}", ran.stderr);
        assert!(ran.detail("ready").contains("the answer is of emergence-app-00041-old"), "{}", ran.detail("ready"));
        // Every other answer is of the other revision: two in a row never come.
        let canary = naming(|number| if number % 2 == 0 { PRIOR } else { DEPLOYED });
        let ran = telling(&World::of(&canary).serve(), &identity, &[]);
        assert_eq!(ran.code, 1, "{}", ran.stderr);
    }
    // Well at first, and another revision at the end.
    let canary = naming(|number| if number < 9 { DEPLOYED } else { PRIOR });
    let ran = telling(&World::of(&canary).serve(), &json!({"path": "/", "header": "X-Revision"}), &[]);
    assert!(ran.code == 1 && ran.detail("ready").contains("changed under the gate"), "{}", ran.stderr);
}

#[test]
fn a_revision_that_is_wanted_is_waited_for_before_any_check() {
    // Only the last look would see the deployed revision.
    let canary = naming(|number| if number < 7 { PRIOR } else { DEPLOYED });
    let google = World::of(&canary).serve();
    let checks =
        Checks::fast().set("ready.enabled", false).set("identity", json!({"path": "/", "header": "X-Revision"}));
    let mut gate = verify(&google);
    gate.file("checks.yaml", checks.to_string());
    let ran = gate.run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let first = canary.seen().iter().position(|request| request.path != "/").unwrap();
    assert!(first >= 9, "{first} requests before the first check");
    assert!(ran.detail("ready").contains("identity proven"), "{}", ran.detail("ready"));
}

#[test]
fn an_error_does_not_show_which_revision_answers() {
    let canary = Canary::start(Arc::new(|request: &Request| match &*request.path {
        "/who" => Reply::new(500, "text/plain", "").header("X-Revision", DEPLOYED),
        _ => answer(request),
    }));
    let ran = telling(&World::of(&canary).serve(), &json!({"path": "/who", "header": "X-Revision"}), &[]);
    assert_eq!((ran.code, ran.status("ready")), (1, "fail"), "{}", ran.stderr);
    assert!(ran.detail("ready").contains("500, and an error does not show"), "{}", ran.detail("ready"));
    // At the end, it is no change of the rollout either.
    let canary = Canary::start(Arc::new(|request: &Request| match &*request.path {
        "/who" if request.before >= 2 => Reply::new(503, "text/plain", ""),
        "/who" => Reply::new(200, "text/plain", "").header("X-Revision", DEPLOYED),
        _ => answer(request),
    }));
    let ran = telling(&World::of(&canary).serve(), &json!({"path": "/who", "header": "X-Revision"}), &[]);
    assert_eq!((ran.code, ran.status("ready")), (3, "error"), "{}", ran.stderr);
    assert!(ran.detail("ready").starts_with("the identity could not be proven once more"), "{}", ran.detail("ready"));
}

#[test]
fn a_share_that_was_asked_for_has_to_be_seen() {
    let canary = healthy();
    let google = World { api: |_| 403, ..World::of(&canary) }.serve();
    let ran = verify(&google).args(["--url", &canary.url(), "--expect-percent", "20"]).run();
    assert_eq!((ran.code, ran.status("ready")), (3, "error"), "{}", ran.stderr);
    assert!(ran.detail("ready").contains("has 20 % of the traffic (--expect-percent)"), "{}", ran.detail("ready"));
}

#[test]
fn every_address_that_is_the_revisions_alone_is_proven() {
    let (canary, other) = (healthy(), healthy());
    let at = |percent: u32, edit: fn(usize, &mut Value), share: &str| {
        let google = World { percent, edit, prior: String::new(), ..World::of(&canary) }.serve();
        verify(&google).args(["--url", &canary.url(), "--require-identity", "--expect-percent", share]).run()
    };
    // The tag canary is elsewhere; the address is that of another tag of the same revision.
    let ran = at(
        20,
        |_, value| {
            if is_service(value) {
                let uri = value["trafficStatuses"][1]["uri"].clone();
                value["trafficStatuses"][1]["uri"] = "https://canary---app".into();
                let blue = json!({"revision": DEPLOYED, "tag": "blue", "uri": uri});
                value["trafficStatuses"].as_array_mut().unwrap().push(blue);
            }
        },
        "20",
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    // With all of the traffic, each of the service's own addresses is the revision's.
    let ran = at(
        100,
        |_, value| {
            if is_service(value) {
                let uri = value["trafficStatuses"][1]["uri"].clone();
                value["urls"].as_array_mut().unwrap().push(uri);
                value["trafficStatuses"].as_array_mut().unwrap().remove(1);
            }
        },
        "100",
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    // Where the addresses under run.app are switched off, the one that was given is looked at first.
    let switched_off = |_: usize, value: &mut Value| {
        if is_service(value) {
            value["defaultUriDisabled"] = true.into();
            value["trafficStatuses"][1].as_object_mut().unwrap().remove("uri");
        }
    };
    let identity = json!({"path": "/", "header": "X-Revision"});
    let google = World { edit: switched_off, ..World::of(&canary) }.serve();
    let domain = naming(|_| DEPLOYED);
    let ran = telling(&google, &identity, &["--url", &domain.url(), "--require-identity"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let ran = telling(&google, &identity, &["--url", &other.url(), "--require-identity"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
}

#[test]
fn a_custom_domain_is_proven_by_its_answers() {
    let identity = json!({"path": "/", "header": "X-Revision"});
    let (canary, elsewhere) = (healthy(), naming(|_| DEPLOYED));
    let google = World::of(&canary).serve();
    let ran = telling(&google, &identity, &["--url", &elsewhere.url(), "--require-identity"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.detail("ready").contains("proven by its answers"), "{}", ran.detail("ready"));
    // A fifth of the answers is not enough.
    let mixed = naming(|number| if number % 5 == 0 { DEPLOYED } else { PRIOR });
    let ran = telling(&google, &identity, &["--url", &mixed.url(), "--require-identity"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
}

#[test]
fn a_prometheus_server_is_asked_with_the_metadata_servers_token() {
    let canary = healthy();
    let google = World::of(&canary).serve();
    let wanted = format!("Bearer {}", crate::canary::google::ACCESS);
    let monitoring = Canary::start(Arc::new(move |request: &Request| {
        if request.headers.get("authorization") != Some(&wanted) {
            return Reply::json(401, "{}");
        }
        let (_, time) = crate::prometheus::asked(request);
        let result = json!([{"metric": {}, "value": [time, "1"]}]);
        Reply::json(200, &json!({"status": "success", "data": {"resultType": "vector", "result": result}}).to_string())
    }));
    let checks = Checks::fast()
        .set("metrics.source", "prometheus")
        .set("metrics.url", monitoring.url())
        .set("metrics.token", "google")
        .set("metrics.require", Value::Array(Vec::new()))
        .set("metrics.thresholds", json!([{"expr": "up >= 1"}]));
    let verify = |metadata: &str| {
        Gate::verify(&canary.url(), &checks).env("GCE_METADATA_HOST", metadata.trim_start_matches("http://")).run()
    };
    let ran = verify(&google.url());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.everything().contains(crate::canary::google::ACCESS));
    let ran = verify("127.0.0.1:1");
    assert_ne!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.detail("metrics").contains("there is no metadata server"), "{}", ran.detail("metrics"));
}
