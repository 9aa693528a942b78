//! Bodies decoded whole or refused by name, headers of every size, and TLS of every kind: verdict, message, attempts.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use crate::bounds::{authority, serve_tls};
use crate::canary::app::{Traffic, gzip, metrics};
use crate::checks::Checks;
use crate::gate::{Gate, Ran, each};
use crate::raw::{Raw, healthy, response};

fn verify(server: &Raw) -> Ran {
    Gate::verify(&server.url(), Checks::fast()).run()
}

/// The path that answers otherwise, its answer, the exit code, the check that carries the verdict, its attempts (0: any), and
/// a piece of what it says.
type Case = (&'static str, Vec<u8>, i32, &'static str, u64, &'static str);

fn json(headers: &str, body: &[u8]) -> Vec<u8> {
    response(&format!("Content-Type: application/json\r\n{headers}"), body)
}

fn text(headers: &str, body: &[u8]) -> Vec<u8> {
    response(&format!("Content-Type: text/plain; version=0.0.4\r\n{headers}"), body)
}

fn html(headers: &str, body: &[u8]) -> Vec<u8> {
    response(&format!("Content-Type: text/html\r\n{headers}"), body)
}

fn chunked(headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}\r\n{body}").into_bytes()
}

#[test]
fn a_body_is_decoded_whole_or_refused_by_name() {
    let ok = br#"{"status":"ok"}"#;
    let exposition = metrics(&Traffic::default());
    let failures = b"# TYPE more_failures counter\nmore_failures 99\n".as_slice();
    let (first, second) = exposition.split_at(exposition.find("# HELP memory_analysis_cache_hits").unwrap_or(200));
    let members = [gzip(first.as_bytes()), gzip(second.as_bytes())].concat();
    let hidden =
        [gzip(exposition.as_bytes()), gzip(b"memory_analysis_failure_total{provider=\"x\",error_type=\"y\"} 99\n")]
            .concat();
    let mut damaged = gzip(exposition.as_bytes());
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    let many: String = (0..500).map(|number| format!("X-Header-{number}: {number}\r\n")).collect();
    let cut = &gzip(exposition.as_bytes())[..300];
    let page = crate::canary::app::page();
    let not_marked = |body: &str| {
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n{body}").into_bytes()
    };
    let openmetrics = crate::canary::app::openmetrics(&Traffic::default());
    let bare_openmetrics = format!(
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {}\r\n\r\n{openmetrics}",
        crate::canary::app::OPENMETRICS
    );
    #[rustfmt::skip]
    let cases: Vec<Case> = vec![
        ("/api/health", json("Content-Encoding: GZIP\r\n", &gzip(ok)), 0, "health", 1, "$.status is \"ok\""),
        ("/api/health", json("Content-Encoding: x-gzip\r\n", &gzip(ok)), 0, "health", 1, "$.status is \"ok\""),
        ("/api/health", json("Content-Encoding: identity\r\n", ok), 0, "health", 1, "$.status is \"ok\""),
        ("/api/health", json("Content-Encoding: br\r\n", b"\x0b\x02\x80abc\x03"), 1, "health", 0, "the content coding br, which is not decoded"),
        ("/api/health", json("Content-Encoding: gzip, gzip\r\n", &gzip(&gzip(ok))), 1, "health", 0, "the content coding gzip, gzip"),
        ("/api/health", json("", b"\xef\xbb\xbf{\"status\":\"ok\"}"), 0, "health", 1, "$.status is \"ok\""),
        ("/api/health", json("", br#"{"status":"fail","status":"ok"}"#), 1, "health", 0, "the key \"status\" is given twice"),
        ("/api/health", json("", b"\xff\xfe{\0\"\0"), 1, "health", 0, "the body is not JSON"),
        ("/api/health", json("", &[b"{\"numbers\":[".as_slice(), "1,".repeat(3_500_000).as_bytes(), b"1],\"status\":\"ok\"}"].concat()), 0, "health", 1, "$.status is \"ok\""),
        ("/api/health", json(&many, ok), 0, "health", 1, "$.status is \"ok\""),
        ("/api/health", json(&format!("X-Long: {}\r\n", "x".repeat(900_000)), ok), 1, "health", 0, "cannot be read as HTTP"),
        ("/api/metrics", text("Content-Encoding: gzip\r\n", &members), 0, "metrics", 1, "2 thresholds hold"),
        ("/api/metrics", text("Content-Encoding: gzip\r\n", &hidden), 1, "metrics", 1, "analysis failures: 100, want <= 2"),
        ("/api/metrics", text("Content-Encoding: gzip\r\n", &[gzip(exposition.as_bytes()), failures.to_vec()].concat()), 1, "metrics", 1, "cannot be decompressed"),
        ("/api/metrics", text("Content-Encoding: gzip\r\n", &damaged), 1, "metrics", 1, "cannot be decompressed"),
        ("/api/metrics", text("Content-Encoding: gzip\r\n", cut), 1, "metrics", 1, "cannot be decompressed"),
        ("/api/metrics", text("Content-Encoding: zstd\r\n", b"(\xb5/\xfd"), 1, "metrics", 1, "the content coding zstd"),
        ("/api/metrics", text("Content-Encoding: deflate\r\n", b"x\x9c"), 1, "metrics", 1, "the content coding deflate"),
        ("/api/metrics", chunked("Content-Type: text/plain\r\nTransfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), 1, "metrics", 1, "the transfer coding \"gzip, chunked\""),
        ("/api/metrics", chunked("Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n", "zz\r\nx\r\n0\r\n\r\n"), 1, "metrics", 1, "malformed"),
        ("/api/metrics", not_marked(&exposition), 1, "metrics", 1, "nothing marks the end of the body"),
        ("/api/metrics", bare_openmetrics.into_bytes(), 0, "metrics", 1, "2 thresholds hold"),
        ("/health/readiness", not_marked("fine"), 0, "readiness", 1, "the end of the body is not marked"),
        ("/", html("Content-Encoding: br\r\n", page.as_bytes()), 1, "smoke", 1, "the content coding br"),
        ("/", html("Content-Encoding: GZIP\r\n", &gzip(page.as_bytes())), 0, "smoke", 1, "3 assets loaded"),
    ];
    let cases: Vec<Arc<Case>> = cases.into_iter().map(Arc::new).collect();
    each(&cases, |case| {
        let own = case.clone();
        let server = Raw::start(move |path| (path == own.0).then(|| own.1.clone()));
        let ran = verify(&server);
        let (path, _, code, check, attempts, piece) = &**case;
        let tried = ran.check(check)["attempts"].as_u64().unwrap();
        if ran.code == *code && ran.detail(check).contains(piece) && (*attempts == 0 || tried == *attempts) {
            return Ok(());
        }
        Err(format!(
            "{path}: exit {}, want {code} with {piece:?} in {attempts} attempts: {} {}",
            ran.code,
            ran.detail(check),
            ran.stderr
        ))
    });
}

#[test]
fn a_header_that_is_not_ascii_is_shown() {
    let server = Raw::start(|path| (path == "/health/readiness").then(|| response("X-Version: v\u{e9}\r\n", b"{}")));
    let checks = Checks::fast().set("readiness.expect.headers.x-version", "w");
    let ran = Gate::verify(&server.url(), checks).run();
    assert_eq!(ran.code, 1);
    assert!(ran.detail("readiness").contains("x-version is \"v\u{e9}\", want \"w\""), "{}", ran.detail("readiness"));
}

#[test]
fn the_path_is_shown_as_it_was_asked_for() {
    let server = Raw::start(|path| (path == "/base/api/health").then(|| response("", b"{}")));
    let ran = Gate::verify(&format!("{}/base", server.url()), Checks::fast()).run();
    assert!(ran.detail("health").starts_with("GET /base/api/health: 200"), "{}", ran.detail("health"));
}

#[test]
fn plain_and_tls_on_the_wrong_port_are_told() {
    let plain = Raw::start(|path| Some(healthy(path)));
    let ran = Gate::verify(&plain.url().replace("http:", "https:"), Checks::fast()).run();
    assert!(ran.code == 1 && ran.detail("ready").contains("speak plain http?"), "{}", ran.detail("ready"));
    // A TLS port answers a plain request with an alert.
    let tls = Raw::accept(|mut stream| {
        let _ = stream.read(&mut [0; 1024])?;
        stream.write_all(b"\x15\x03\x01\x00\x02\x02\x46")
    });
    let ran = Gate::verify(&tls.url(), Checks::fast()).run();
    assert!(ran.code == 1 && ran.detail("ready").contains("does the port speak TLS?"), "{}", ran.detail("ready"));
    // What is HTTP and malformed is not.
    for head in ["X\r\nContent-Length: 2", "Content-Length: 2\r\nContent-Length: 3"] {
        let malformed = Raw::start(move |_| Some(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nok").into_bytes()));
        let ran = Gate::verify(&malformed.url(), Checks::fast()).run();
        assert_eq!(ran.code, 1, "{head}: {}", ran.stdout);
        assert!(!ran.detail("ready").contains("TLS"), "{head}: {}", ran.detail("ready"));
    }
    // A server that knows older versions only, and one that shares no cipher suite.
    for (alert, piece) in [(70, "neither TLS 1.2 nor 1.3"), (40, "shares no version or cipher suite")] {
        let old = Raw::accept(move |mut stream| {
            let _ = stream.read(&mut [0; 4096])?;
            stream.write_all(&[0x15, 0x03, 0x01, 0x00, 0x02, 0x02, alert])?;
            stream.shutdown(std::net::Shutdown::Write)?;
            stream.read(&mut [0; 4096]).map(drop)
        });
        let ran = Gate::verify(&old.url().replace("http:", "https:"), Checks::fast()).run();
        assert!(ran.code == 1 && ran.detail("ready").contains(piece), "{}", ran.detail("ready"));
    }
}

#[test]
fn a_server_that_wants_a_certificate_of_the_gate_is_told() {
    let authority = authority("127.0.0.1");
    let der = rustls::pki_types::pem::PemObject::from_pem_slice(authority.pem.as_bytes()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(der).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let canary = serve_tls(authority.demanding(verifier));
    let mut gate = Gate::verify(&canary.url(), Checks::fast()).args(["--ca-file", "ca.pem"]);
    gate.file("ca.pem", &authority.pem);
    let ran = gate.run();
    assert!(ran.code == 1 && ran.detail("ready").contains("demands a client certificate"), "{}", ran.detail("ready"));
}
