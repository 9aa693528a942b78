//! HTTP/2: the same verdicts as over HTTP/1.1, each of its own faults told by kind and within bounds, and how many connections and
//! requests a run takes.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use h2::Reason;

use crate::bounds::{Authority, authority};
use crate::canary::app::answer;
use crate::canary::server::{Canary, Reply, Request, Start};
use crate::checks::Checks;
use crate::gate::{Gate, Ran, each};
use crate::http2_server::{Frames, Http2, Play, Plays, fields, frame, raw, speaking};
use crate::raw::Raw;

fn gate(url: &str, authority: &Authority, checks: Checks) -> Gate {
    let mut gate = Gate::verify(url, checks).args(["--ca-file", "ca.pem"]);
    gate.file("ca.pem", &authority.pem);
    gate
}

fn verify(url: &str, authority: &Authority) -> Ran {
    gate(url, authority, Checks::fast()).run()
}

#[test]
fn one_connection_carries_the_whole_run() {
    let authority = authority("127.0.0.1");
    let canary = Http2::start(&authority, |_| None);
    let ran = verify(&canary.url(), &authority);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(canary.connections(), 1);
    let seen = canary.seen();
    // Once each: the page as `ready` asks for it and as `smoke` does.
    let count = |path: &str| seen.iter().filter(|request| request.path == path).count();
    assert_eq!((seen.len(), count("/"), count("/api/health")), (9, 2, 1), "{seen:?}");
    assert!(seen.iter().all(|request| !request.headers.contains_key("host")));
}

#[test]
fn connections_that_are_opened_early_carry_no_request_of_their_own() {
    let authority = authority("127.0.0.1");
    let connections = Arc::new(AtomicUsize::new(0));
    let config = speaking(&authority, &["http/1.1"]);
    let (served, counted) = (config.clone(), connections.clone());
    let canary = Canary::start_with(Arc::new(answer), Start { tls: Some(config), ..Start::default() });
    drop(served);
    // A way to the canary that counts its connections.
    let port: u16 = canary.url().rsplit(':').next().unwrap().parse().unwrap();
    let way = Raw::accept(move |stream| {
        counted.fetch_add(1, Ordering::SeqCst);
        crate::forward::both_ways(&stream, &std::net::TcpStream::connect(("127.0.0.1", port))?)
    });
    let ran = verify(&way.url().replace("http:", "https:"), &authority);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    // Four requests run side by side at first; an asset that finds none of them done yet opens one more.
    assert_eq!(canary.seen().len(), 9, "{:?}", canary.seen());
    assert!((4..=6).contains(&connections.load(Ordering::SeqCst)), "{connections:?}");
}

#[test]
fn a_host_of_its_own_and_the_traffic_go_over_http1() {
    let authority = authority("127.0.0.1");
    let canary = Canary::start_with(
        Arc::new(answer),
        Start { tls: Some(speaking(&authority, &["h2", "http/1.1"])), ..Start::default() },
    );
    // It would take HTTP/2, and cannot read it.
    let checks = Checks::fast().set("headers", serde_json::json!({"Host": "other.example.com"}));
    let ran = gate(&canary.url(), &authority, checks).run();
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(canary.seen().iter().all(|request| request.headers["host"] == "other.example.com"));
    // Where HTTP/1.1 is not spoken, that is said.
    let only = Http2::start(&authority, |_| None);
    let checks = Checks::fast().set("headers", serde_json::json!({"Host": "other.example.com"}));
    let ran = gate(&only.url(), &authority, checks).run();
    assert!(ran.code == 1 && ran.detail("ready").contains("(ALPN)"), "{}", ran.detail("ready"));
}

/// What comes of the first request, and in how many attempts the second one's answer is had.
type Passing = (&'static str, fn() -> Play, u64);

#[test]
fn what_http2_says_will_pass_is_asked_again() {
    let authority = authority("127.0.0.1");
    let cases: [Passing; 3] = [
        // The server has not looked at it: asked again at once, as a part of the same attempt.
        ("refused", || Play::Reset(Reason::REFUSED_STREAM), 1),
        ("ended", || Play::End(Reason::NO_ERROR), 1),
        ("reset", || Play::Reset(Reason::INTERNAL_ERROR), 2),
    ];
    each(&cases, |(name, play, attempts)| {
        let play = *play;
        let canary =
            Http2::start(&authority, move |request| (request.path == "/api/health" && request.before == 0).then(play));
        let ran = verify(&canary.url(), &authority);
        match (ran.code, ran.attempts("health")) {
            (0, found) if found == *attempts => Ok(()),
            (code, found) => Err(format!("{name}: exit {code}, {found} attempts: {}{}", ran.stdout, ran.stderr)),
        }
    });
}

#[test]
fn a_body_whose_end_never_came_is_not_whole() {
    let authority = authority("127.0.0.1");
    // Codes that the HTTP library takes for the end of the body are no end.
    for reason in [Reason::NO_ERROR, Reason::CANCEL, Reason::INTERNAL_ERROR] {
        let canary = Http2::start(&authority, move |request: &Request| {
            (request.path == "/api/metrics").then(|| Play::Cut(answer(request), reason))
        });
        let ran = verify(&canary.url(), &authority);
        assert_eq!((ran.code, ran.status("metrics")), (1, "fail"), "{reason}: {}", ran.stderr);
        let detail = ran.detail("metrics");
        assert!(detail.contains("RST_STREAM") && detail.contains("the answer is cut"), "{reason}: {detail}");
    }
}

#[test]
fn a_connection_on_which_an_answer_never_came_is_not_asked_again() {
    let authority = authority("127.0.0.1");
    let canary = Http2::start(&authority, |request: &Request| {
        (request.path == "/api/health" && request.before == 0).then(|| Play::Stall(answer(request)))
    });
    let ran = verify(&canary.url(), &authority);
    assert_eq!((ran.code, ran.attempts("health"), canary.connections()), (0, 2, 2), "{}", ran.stderr);
}

#[test]
fn bounds_of_headers_and_bodies_hold_over_http2() {
    let authority = authority("127.0.0.1");
    let many = |count: usize, length: usize| {
        move |request: &Request| {
            let value = "x".repeat(length);
            let reply = (0..count).fold(answer(request), |reply, index| reply.header(&format!("x-{index}"), &value));
            (request.path == "/health/readiness").then_some(Play::Reply(reply))
        }
    };
    let large = |request: &Request| {
        let body = format!("{{\"status\":\"ok\",\"x\":\"{}\"}}", "x".repeat(9 << 20));
        (request.path == "/health/readiness").then(|| Play::Reply(Reply::json(200, &body)))
    };
    let cases: [(Plays, i32, &str); 4] = [
        (Box::new(many(500, 100)), 0, "200"),
        (Box::new(many(5000, 1)), 1, "over 512 header fields"),
        (Box::new(many(100, 9000)), 1, "a header of over 400 KiB, or a flood"),
        (Box::new(large), 1, "larger than the 1.0 MiB"),
    ];
    for (play, code, piece) in cases {
        let canary = Http2::start(&authority, play);
        let checks = Checks::fast().set("readiness.max_body", "1MiB");
        let ran = gate(&canary.url(), &authority, checks).run();
        assert!(ran.code == code && ran.detail("readiness").contains(piece), "{piece}: {}", ran.detail("readiness"));
    }
}

/// What a hostile server writes in answer to a request on a stream.
type Writes = fn(u32, &mut Frames) -> std::io::Result<()>;

fn ok(stream: u32) -> Vec<u8> {
    frame(1, 4, stream, &fields(&[(":status", "200"), ("content-type", "text/plain")]))
}

fn over_and_over(frames: &mut Frames, bytes: &[u8]) -> std::io::Result<()> {
    let many = bytes.repeat(1000);
    loop {
        frames.write_all(&many)?;
    }
}

#[rustfmt::skip]
const HOSTILE: &[(&str, Writes, &str)] = &[
    ("goaway", |_, to| to.write_all(&frame(7, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 11])), "GOAWAY, ENHANCE_YOUR_CALM"),
    ("goaway, graceful, again and again", |_, to| to.write_all(&frame(7, 0, 0, &[0; 8])), "GOAWAY, NO_ERROR"),
    ("reset", |stream, to| to.write_all(&frame(3, 0, stream, &[0, 0, 0, 2])), "RST_STREAM, INTERNAL_ERROR"),
    ("refused, again and again", |stream, to| to.write_all(&frame(3, 0, stream, &[0, 0, 0, 7])), "RST_STREAM, REFUSED_STREAM"),
    ("reset with an unknown code", |stream, to| to.write_all(&frame(3, 0, stream, &[0, 1, 2, 3])), "RST_STREAM"),
    ("silence", |_, _| Ok(()), "no whole answer within"),
    ("stall", |stream, to| to.write_all(&[ok(stream), frame(0, 0, stream, b"some")].concat()), "no whole answer within"),
    ("settings flood", |_, to| over_and_over(to, &frame(4, 0, 0, &[0, 3, 0, 0, 0, 9])), "no whole answer within"),
    ("ping flood", |_, to| over_and_over(to, &frame(6, 0, 0, &[7; 8])), "no whole answer within"),
    ("window update flood", |_, to| over_and_over(to, &frame(8, 0, 0, &[0, 0, 0, 1])), "no whole answer within"),
    ("empty data flood", |stream, to| { to.write_all(&ok(stream))?; over_and_over(to, &frame(0, 0, stream, b"")) }, ""),
    ("reset flood", |_, to| over_and_over(to, &frame(3, 0, 101, &[0, 0, 0, 8])), ""),
    ("continuation flood", |stream, to| {
        to.write_all(&frame(1, 0, stream, &fields(&[(":status", "200")])))?;
        over_and_over(to, &frame(9, 0, stream, &fields(&[("x-flood", "on and on")])))
    }, "or a flood"),
    ("empty continuation flood", |stream, to| {
        to.write_all(&frame(1, 0, stream, &fields(&[(":status", "200")])))?;
        over_and_over(to, &frame(9, 0, stream, &[]))
    }, "or a flood"),
    ("early hints flood", |stream, to| over_and_over(to, &frame(1, 4, stream, &fields(&[(":status", "103")]))), ""),
    ("http/1.1", |_, to| to.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), "not HTTP/2, which it agreed to"),
    ("no status", |stream, to| to.write_all(&frame(1, 5, stream, &fields(&[("x", "y")]))), "breaks the rules of HTTP/2"),
    ("connection header", |stream, to| to.write_all(&frame(1, 5, stream, &fields(&[(":status", "200"), ("connection", "close")]))), "breaks the rules of HTTP/2"),
    ("upper case", |stream, to| to.write_all(&frame(1, 5, stream, &fields(&[(":status", "200"), ("X-Upper", "y")]))), "HTTP/2"),
    ("a length that is not kept", |stream, to| {
        let head = frame(1, 4, stream, &fields(&[(":status", "200"), ("content-length", "10")]));
        to.write_all(&[head, frame(0, 1, stream, b"few")].concat())
    }, "HTTP/2"),
    ("a push nobody asked for", |stream, to| to.write_all(&frame(5, 4, stream, &[&[0, 0, 0, 2], fields(&[(":method", "GET")]).as_slice()].concat())), "not HTTP/2, which it agreed to"),
    ("a frame over its size", |stream, to| to.write_all(&frame(0, 0, stream, &[0; 20_000])), "HTTP/2"),
    ("a damaged header", |stream, to| to.write_all(&frame(1, 5, stream, &[0xff; 40])), "not HTTP/2, which it agreed to"),
    ("an end in mid-body", |stream, to| {
        to.write_all(&[ok(stream), frame(0, 0, stream, b"some")].concat())?;
        to.flush()?;
        to.sock.shutdown(std::net::Shutdown::Both)
    }, "the answer is cut"),
    ("an end before an answer", |_, to| to.sock.shutdown(std::net::Shutdown::Both), "closed before an answer came"),
];

#[test]
fn hostile_http2_is_told_by_kind_and_within_its_bounds() {
    let authority = authority("127.0.0.1");
    each(HOSTILE, |(name, writes, piece)| {
        let server = raw(&authority, *writes);
        let began = Instant::now();
        let (ran, peak) = gate(&server.url().replace("http:", "https:"), &authority, Checks::fast()).run_measured();
        let (took, detail) = (began.elapsed(), ran.detail("ready").to_owned());
        // The check has two seconds; the rest is for a busy machine.
        if (ran.code, ran.status("ready")) == (1, "fail")
            && detail.contains(piece)
            && took < Duration::from_secs(8)
            && peak < 64 * 1024
        {
            return Ok(());
        }
        Err(format!("{name}: exit {} in {took:?} with {peak} KiB, want {piece:?}: {detail} {}", ran.code, ran.stderr))
    });
}
