//! Time limits, signals, TLS and reports: what holds no matter what the canary does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::canary::Fault;
use crate::canary::app::answer;
use crate::canary::server::{Canary, Reply, Start};
use crate::checks::Checks;
use crate::crowd::Crowd;
use crate::gate::{Gate, each};

#[test]
fn the_limit_for_the_whole_run_cuts_everything_and_leaves_time_for_the_report() {
    let canary = Fault::named("health-hangs").unwrap().start();
    let ran = Gate::verify(&canary.url(), "timeout: 1s").run();
    // Nothing was seen of the canary in the time of a whole request: that is no failure of it.
    assert_eq!((ran.code, ran.status("health")), (3, "error"), "{}", ran.stderr);
    assert!(ran.detail("health").contains("the limit of 1s for the whole run was used up"), "{}", ran.detail("health"));
    // The only request was cut off: it is allowed 10 s by itself, and five retries.
    assert_eq!(ran.attempts("health"), 1);
    // It was cut off early enough to leave a tenth of the limit for the report.
    let detail = ran.detail("health");
    let waited = detail.split_once("no whole answer within ").and_then(|(_, rest)| rest.split_once("ms")).unwrap().0;
    assert!(waited.parse::<u64>().unwrap() <= 900, "{detail}");
    assert!(ran.report["duration_ms"].as_u64().unwrap() < 8000);
}

#[test]
fn what_failed_for_good_is_a_failure_however_short_the_run_is() {
    let canary = Canary::start(Arc::new(|request| match &*request.path {
        "/api/health" => Reply::new(503, "text/plain", "busy"),
        _ => answer(request),
    }));
    // One request may take longer than the whole run; these took no time, and no attempt was left.
    let checks = "timeout: 5s\nhealth: {retries: 1, request_timeout: 10s, backoff: {initial: 10ms, max: 20ms}}";
    let ran = Gate::verify(&canary.url(), checks).run();
    assert_eq!((ran.code, ran.status("health")), (1, "fail"), "{}", ran.stderr);
    assert_eq!(ran.attempts("health"), 2);
}

#[test]
fn a_server_that_asks_to_wait_is_waited_for() {
    let canary = Fault::named("rate-limited").unwrap().start();
    let began = Instant::now();
    let ran = Gate::verify(&canary.url(), Checks::fast()).run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn checks_run_side_by_side_after_health() {
    let crowd = Arc::new(Crowd::default());
    let held = crowd.clone();
    let canary = Canary::start(Arc::new(move |request| {
        if matches!(&*request.path, "/health/readiness" | "/api/metrics" | "/assets/") {
            held.hold(3);
        }
        answer(request)
    }));
    let ran = Gate::verify(&canary.url(), "timeout: 1m").run();
    assert_eq!((ran.code, crowd.most()), (0, 3), "{}", ran.stderr);
    let order: Vec<String> = canary.seen().into_iter().map(|request| request.path).collect();
    assert_eq!(order[..2], ["/", "/api/health"]);
}

#[test]
fn a_signal_ends_the_run_at_once_with_what_was_seen() {
    for (signal, name) in [("-INT", "SIGINT"), ("-TERM", "SIGTERM")] {
        let canary = Fault::named("health-degraded").unwrap().start();
        let ran = Gate::verify(&canary.url(), "timeout: 1m").run_until("health: attempt 1", signal);
        let asked = canary.seen().iter().filter(|request| request.path == "/api/health").count();
        assert!(asked < 6, "the check went on to its end");
        assert_eq!((ran.code, &ran.report["verdict"]), (3, &"error".into()), "{}", ran.stderr);
        assert_eq!((ran.status("ready"), ran.status("health"), ran.status("smoke")), ("pass", "error", "error"));
        assert!(ran.detail("health").contains("$.status is \"degraded\""), "{}", ran.detail("health"));
        assert!(ran.stdout.contains(&format!("interrupted by {name}")), "{}", ran.stdout);
    }
}

/// A CA, and a server with a certificate from it.
pub struct Authority {
    pub pem: String,
    pub server: Arc<rustls::ServerConfig>,
    certificate: rustls::pki_types::CertificateDer<'static>,
    key: Vec<u8>,
}

impl Authority {
    /// The same server, for clients with a certificate only.
    pub fn demanding(
        &self,
        verifier: Arc<dyn rustls::server::danger::ClientCertVerifier>,
    ) -> Arc<rustls::ServerConfig> {
        let server = builder().with_client_cert_verifier(verifier);
        let key = self.key.clone().try_into().unwrap();
        Arc::new(server.with_single_cert(vec![self.certificate.clone()], key).unwrap())
    }
}

fn builder() -> rustls::ConfigBuilder<rustls::ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap()
}

/// When a certificate is valid.
#[derive(Clone, Copy)]
pub enum Dates {
    Now,
    Past,
    Future,
}

/// A new CA, and a server with a certificate from it for the given name.
pub fn authority(name: &str) -> Authority {
    dated(name, Dates::Now)
}

/// A server with a certificate that nobody but itself has signed.
pub fn self_signed(name: &str) -> Authority {
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    served(cert.pem(), cert.der().clone(), signing_key.serialize_der())
}

/// As [`authority`], with a certificate that is valid at some time.
pub fn dated(name: &str, dates: Dates) -> Authority {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(vec![]).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = ca.self_signed(&ca_key).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.not_before, params.not_after) = match dates {
        Dates::Now => (params.not_before, params.not_after),
        Dates::Past => (rcgen::date_time_ymd(2001, 1, 1), rcgen::date_time_ymd(2002, 1, 1)),
        Dates::Future => (rcgen::date_time_ymd(2901, 1, 1), rcgen::date_time_ymd(2902, 1, 1)),
    };
    let certificate = params.signed_by(&key, &issuer).unwrap();
    served(pem, certificate.der().clone(), key.serialize_der())
}

fn served(pem: String, certificate: rustls::pki_types::CertificateDer<'static>, key: Vec<u8>) -> Authority {
    let server = builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.clone().try_into().unwrap())
        .unwrap();
    Authority { pem, server: Arc::new(server), certificate, key }
}

pub fn serve_tls(server: Arc<rustls::ServerConfig>) -> Canary {
    Canary::start_with(Arc::new(answer), Start { tls: Some(server), ..Start::default() })
}

#[test]
fn a_certificate_is_checked() {
    let authority = authority("127.0.0.1");
    let canary = serve_tls(authority.server.clone());
    let ran = Gate::verify(&canary.url(), Checks::fast()).run();
    assert_eq!((ran.code, ran.status("ready")), (1, "fail"), "{}", ran.stderr);
    assert!(
        ran.detail("ready").contains("TLS failed") && ran.detail("ready").contains("UnknownIssuer"),
        "{}",
        ran.detail("ready")
    );
    let mut gate = Gate::verify(&canary.url(), Checks::fast()).args(["--ca-file", "ca.pem"]);
    gate.file("ca.pem", &authority.pem);
    let ran = gate.run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = authority("other.example.com");
    let canary = serve_tls(authority.server.clone());
    let mut gate = Gate::verify(&canary.url(), Checks::fast()).args(["--ca-file", "ca.pem"]);
    gate.file("ca.pem", &authority.pem);
    let ran = gate.run();
    assert_eq!((ran.code, ran.status("ready")), (1, "fail"));
    assert!(ran.detail("ready").contains("TLS failed"), "{}", ran.detail("ready"));
}

#[test]
fn what_never_comes_up_is_named_by_its_last_cause() {
    let fast = "ready: {timeout: 2s, backoff: {initial: 20ms, max: 50ms}}";
    let plain = Fault::named("none").unwrap().start();
    let cases = [
        ("http://127.0.0.1:1", "the connection was refused"),
        ("http://no-such-host.invalid", "the host name does not resolve"),
        (&plain.url().replace("http:", "https:"), "TLS failed"),
    ];
    each(&cases, |(url, piece)| {
        let ran = Gate::verify(url, fast).run();
        assert_eq!((ran.code, ran.status("ready")), (1, "fail"), "{url}: {}", ran.stderr);
        assert!(ran.detail("ready").contains(piece), "{url}: {}", ran.detail("ready"));
        Ok(())
    });
}

#[test]
fn the_report_may_take_standard_output() {
    let canary = Fault::named("none").unwrap().start();
    let ran = Gate::new().args(["verify", "--url", &canary.url(), "--report", "json=-"]).run();
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&report["schema"], &report["verdict"]), (&1.into(), &"pass".into()));
    assert!(ran.stderr.contains("PASS in"), "{}", ran.stderr);
    let names: Vec<&str> =
        report["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ready", "health", "readiness", "metrics", "smoke"]);
}

#[test]
fn a_report_replaces_an_older_one_whole_and_leaves_nothing_beside_it() {
    let canary = Fault::named("none").unwrap().start();
    let mut gate = Gate::verify(&canary.url(), Checks::fast());
    gate.file("report.json", "an older report");
    let output = gate.command().output().unwrap();
    let mut names: Vec<_> = std::fs::read_dir(gate.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(gate.ran(&output).report["verdict"], "pass");
    assert_eq!(names, ["checks.yaml", "report.json"]);
}

#[test]
fn output_for_no_terminal_has_no_colours() {
    let canary = Fault::named("failures-3").unwrap().start();
    let ran = Gate::verify(&canary.url(), Checks::fast()).run();
    assert!(!ran.everything().contains('\u{1b}'));
}

#[test]
fn assets_are_fetched_side_by_side_but_not_all_at_once() {
    let crowd = Arc::new(Crowd::default());
    let held = crowd.clone();
    let canary = Canary::start(Arc::new(move |request| {
        if request.path == "/" {
            let scripts: String = (0..20).map(|index| format!("<script src=/assets/{index}.js></script>")).collect();
            return Reply::new(200, "text/html", format!("<!doctype html>{scripts}"));
        }
        if request.path != "/assets/" && request.path.starts_with("/assets/") {
            held.hold(4);
            return Reply::new(200, "text/javascript", "1");
        }
        answer(request)
    }));
    let ran = Gate::verify(&canary.url(), "smoke: {concurrency: 4}").run();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.detail("smoke").contains("20 assets loaded"));
    assert_eq!(crowd.most(), 4);
    let ran = Gate::verify(&canary.url(), "smoke: {max_assets: 10}").run();
    assert!(ran.detail("smoke").contains("names 20 assets, over the 10"), "{}", ran.detail("smoke"));
}
