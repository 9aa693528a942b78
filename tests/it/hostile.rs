//! A canary that breaks the rules of HTTP at every point: each fault is a verdict that is no pass, with its cause in words, within
//! bounds of time and memory, and with nothing on the terminal that could draw there. Faults of an application are in
//! `faults.rs`, of codings in `protocol.rs`, of HTTP/2 in `http2.rs`, of pages that take long in `front_end_bounds.rs`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::bounds::{Dates, authority, dated, self_signed, serve_tls};
use crate::canary::app::{Traffic, gzip, metrics};
use crate::checks::Checks;
use crate::gate::{Gate, Ran, each};
use crate::raw::{Raw, healthy, response};

/// The memory that a run may take, in KiB, whatever comes.
const MEMORY: u64 = 64 * 1024;
/// The checks have four seconds; the rest is for a busy machine.
const TIME: Duration = Duration::from_secs(12);

/// What a hostile server writes in answer to a request.
type Writes = Box<dyn Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync>;

/// The name, the path that is answered so, what is written, the exit code, the check that carries the verdict, and a piece of what it
/// says.
type Case = (&'static str, &'static str, Writes, i32, &'static str, &'static str);

/// A server that is hostile at one path and healthy elsewhere.
fn hostile(path: &'static str, writes: impl Fn(&mut TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> Raw {
    Raw::accept(move |mut stream| {
        let mut head = String::new();
        let mut reader = BufReader::new(stream.try_clone()?);
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        match head.split_whitespace().nth(1) {
            Some(asked) if asked == path => writes(&mut stream)?,
            asked => stream.write_all(&healthy(asked.unwrap_or("/")))?,
        }
        // Closed in one direction first, so that no reset overtakes the last bytes.
        stream.shutdown(Shutdown::Write)?;
        let _ = reader.read(&mut [0; 1024]);
        Ok(())
    })
}

/// What nobody wants on a terminal.
fn draws(text: &str) -> Option<char> {
    let is_bidi = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().find(|c| c.is_control() && *c != '\n' || is_bidi(*c))
}

fn judged(gate: Gate) -> (Ran, Result<(), String>) {
    let began = Instant::now();
    let (ran, peak) = gate.run_measured();
    let took = began.elapsed();
    let bounds = if took > TIME || peak > MEMORY {
        Err(format!("{took:?} with {peak} KiB"))
    } else if let Some(c) = draws(&ran.stdout).or(draws(&ran.stderr)) {
        Err(format!("{c:?} reaches the terminal: {:?} {:?}", ran.stdout, ran.stderr))
    } else {
        Ok(())
    };
    (ran, bounds)
}

fn said(bytes: impl Into<Vec<u8>>) -> Writes {
    let bytes = bytes.into();
    Box::new(move |to| to.write_all(&bytes))
}

/// An answer with these lines of header; `{}` is its body.
fn head(lines: &str) -> Writes {
    said(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{lines}\r\n\r\n{{}}"))
}

fn chunks(body: &str) -> Writes {
    said(format!("HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{body}"))
}

fn health(body: impl AsRef<[u8]>) -> Writes {
    said(response("Content-Type: application/json\r\n", body.as_ref()))
}

fn over_and_over(piece: &'static [u8]) -> Writes {
    Box::new(move |to| {
        let many = piece.repeat(1000);
        loop {
            to.write_all(&many)?;
        }
    })
}

fn dripping(start: &'static str, piece: &'static str) -> Writes {
    Box::new(move |to| {
        to.write_all(start.as_bytes())?;
        loop {
            to.write_all(piece.as_bytes())?;
            thread::sleep(Duration::from_millis(20));
        }
    })
}

const READY: &str = "/health/readiness";
const HEALTH: &str = "/api/health";
const METRICS: &str = "/api/metrics";

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    let zeros = vec![0; 40 << 20];
    let exposition = metrics(&Traffic::default());
    let cut = exposition.len() - 7;
    let short = [format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: {cut}\r\n\r\n").as_bytes(), exposition.as_bytes()].concat();
    let script = |body: &[u8], headers: &str| said(response(&format!("Content-Type: text/javascript\r\n{headers}"), body));
    let app = crate::canary::app::SCRIPT;
    vec![
        // Lengths.
        ("too long", READY, head("Content-Length: 10"), 1, "readiness", "in mid-body, after 2 bytes: the answer is cut"),
        ("too short", METRICS, said(short), 1, "metrics", "malformed"),
        ("negative", READY, head("Content-Length: -1"), 1, "readiness", "cannot be read as HTTP"),
        ("signed", READY, head("Content-Length: +2"), 1, "readiness", "cannot be read as HTTP"),
        ("hexadecimal", READY, head("Content-Length: 0x2"), 1, "readiness", "cannot be read as HTTP"),
        ("over 64 bits", READY, head("Content-Length: 99999999999999999999"), 1, "readiness", "cannot be read as HTTP"),
        ("near 64 bits", READY, head("Content-Length: 18446744073709551613"), 1, "readiness", "in mid-body"),
        ("two that differ", READY, head("Content-Length: 2\r\nContent-Length: 3"), 1, "readiness", "cannot be read as HTTP"),
        ("a list that differs", READY, head("Content-Length: 2, 3"), 1, "readiness", "cannot be read as HTTP"),
        ("length and chunks", READY, said("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), 1, "readiness", "both Content-Length and Transfer-Encoding"),
        // Chunks.
        ("no size", READY, chunks("\r\n{}\r\n0\r\n\r\n"), 1, "readiness", "chunks are malformed"),
        ("negative size", READY, chunks("-2\r\n{}\r\n0\r\n\r\n"), 1, "readiness", "chunks are malformed"),
        ("size over 64 bits", READY, chunks("fffffffffffffffff\r\n{}"), 1, "readiness", "chunks are malformed"),
        ("size of 63 bits", READY, chunks("7fffffffffffffff\r\n{}"), 1, "readiness", "in mid-body, after 2 bytes"),
        ("size too small", READY, chunks("1\r\n{}\r\n0\r\n\r\n"), 1, "readiness", "chunks are malformed"),
        ("no end", READY, chunks("2\r\n{}\r\n"), 1, "readiness", "in mid-body, after 2 bytes"),
        ("half an end", READY, chunks("2\r\n{}\r\n0\r\n"), 1, "readiness", "in mid-body, after 2 bytes"),
        ("an extension that is long", READY, Box::new(|to| to.write_all(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x={}\r\n{{}}\r\n0\r\n\r\n", "x".repeat(1 << 20)).as_bytes())), 1, "readiness", "chunks are malformed"),
        ("extensions on and on", READY, Box::new(|to| { to.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?; loop { to.write_all(b"1;some=extension\r\n \r\n")?; } }), 1, "readiness", ""),
        ("trailers on and on", READY, Box::new(|to| { to.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")?; loop { to.write_all(b"X-Trailer: on and on\r\n")?; } }), 1, "readiness", ""),
        ("two codings of the transfer", READY, said("HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), 1, "readiness", "the transfer coding"),
        // Headers.
        ("a folded line", READY, head("Content-Length: 2\r\nX-Folded: a\r\n b"), 1, "readiness", "cannot be read as HTTP"),
        ("a bare CR", READY, head("Content-Length: 2\r\nX-Bare: a\rb"), 1, "readiness", "cannot be read as HTTP"),
        ("a NUL", READY, head("Content-Length: 2\r\nX-Nul: a\0b"), 1, "readiness", "cannot be read as HTTP"),
        ("no colon", READY, head("Content-Length: 2\r\nnonsense"), 1, "readiness", "cannot be read as HTTP"),
        ("no name", READY, head("Content-Length: 2\r\n: x"), 1, "readiness", "cannot be read as HTTP"),
        ("a blank before the colon", READY, head("Content-Length: 2\r\nX-Blank : x"), 1, "readiness", "cannot be read as HTTP"),
        ("a hundred thousand", READY, head(&"X-Many: x\r\n".repeat(100_000)), 1, "readiness", "cannot be read as HTTP"),
        ("on and on", READY, Box::new(|to| { to.write_all(b"HTTP/1.1 200 OK\r\n")?; over_and_over(b"X-Flood: on and on\r\n")(to) }), 1, "readiness", "cannot be read as HTTP"),
        ("one name on and on", READY, Box::new(|to| { to.write_all(b"HTTP/1.1 200 OK\r\n")?; over_and_over(b"xxxxxxxxxxxx")(to) }), 1, "readiness", "cannot be read as HTTP"),
        ("cut in the header", READY, said("HTTP/1.1 200 OK\r\nContent-Le"), 1, "readiness", "closed before an answer came"),
        // Status lines.
        ("no HTTP", READY, said("ICY 200 OK\r\nContent-Length: 2\r\n\r\n{}"), 1, "readiness", "cannot be read as HTTP"),
        ("HTTP/0.9", READY, said("{}"), 1, "readiness", "cannot be read as HTTP"),
        ("another version", READY, said("HTTP/3.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"), 1, "readiness", "cannot be read as HTTP"),
        ("two digits", READY, said("HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\n{}"), 1, "readiness", "cannot be read as HTTP"),
        ("four digits", READY, said("HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\n{}"), 1, "readiness", "cannot be read as HTTP"),
        ("999", READY, said("HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\n{}"), 1, "readiness", "999, want 200"),
        ("000", READY, said("HTTP/1.1 000 Odd\r\nContent-Length: 2\r\n\r\n{}"), 1, "readiness", "cannot be read as HTTP"),
        ("101", READY, said("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n{}"), 1, "readiness", ""),
        ("304", READY, said("HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"), 1, "readiness", "304, want 200"),
        ("100 on and on", READY, over_and_over(b"HTTP/1.1 100 Continue\r\n\r\n"), 1, "readiness", ""),
        ("103 on and on", READY, over_and_over(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"), 1, "readiness", ""),
        ("103, and then nothing", READY, said("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"), 1, "readiness", "closed before an answer came"),
        ("blank lines on and on", READY, over_and_over(b"\r\n"), 1, "readiness", ""),
        // Codings, and bodies that are more than they seem.
        ("an unknown coding", HEALTH, said(response("Content-Encoding: compress\r\n", b"{\"status\":\"ok\"}")), 1, "health", "the content coding compress"),
        ("a coding that is not there", HEALTH, said(response("Content-Encoding: gzip\r\n", b"{\"status\":\"ok\"}")), 1, "health", "cannot be decompressed"),
        ("a coding that is not said", HEALTH, health(gzip(b"{\"status\":\"ok\"}")), 1, "health", "the body is not JSON"),
        ("a bomb", HEALTH, said(response("Content-Encoding: gzip\r\n", &gzip(&zeros))), 1, "health", "larger than the 8.0 MiB"),
        ("a bomb in a bomb", METRICS, said(response("Content-Type: text/plain\r\nContent-Encoding: gzip\r\n", &gzip(&gzip(&zeros)))), 1, "metrics", "malformed"),
        ("a bomb for a page", "/", said(response("Content-Type: text/html\r\nContent-Encoding: gzip\r\n", &gzip(&zeros))), 1, "ready", "larger than the 8.0 MiB"),
        ("a bomb for a script", app, script(&gzip(&zeros), "Content-Encoding: gzip\r\n"), 1, "smoke", "larger than the"),
        // Drips.
        ("a status line in drips", READY, dripping("", "H"), 1, "readiness", ""),
        ("a header in drips", READY, dripping("HTTP/1.1 200 OK\r\nX-Drip: ", "x"), 1, "readiness", "no whole answer within"),
        ("chunks in drips", READY, dripping("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"), 1, "readiness", "no whole answer within"),
        ("a body in drips without an end", READY, dripping("HTTP/1.1 200 OK\r\n\r\n", "x"), 1, "readiness", "no whole answer within"),
        // JSON and HTML that are made to take a stack.
        ("deep arrays", HEALTH, health("[".repeat(4 << 20)), 1, "health", "the body is not JSON"),
        ("deep objects on the way", HEALTH, health(format!("{{\"status\":{}1{}}}", "{\"status\":".repeat(1 << 18), "}".repeat(1 << 18))), 1, "health", ""),
        ("a deep page that breaks off", "/", said(response("Content-Type: text/html\r\n", &[b"<!doctype html>".as_slice(), &b"<div><template><svg>".repeat(150_000)].concat())), 0, "smoke", "0 assets loaded"),
        ("a comment without an end", "/", said(response("Content-Type: text/html\r\n", format!("<!doctype html><!--{}", "<script src=/a.js></script>".repeat(100_000)).as_bytes())), 0, "smoke", "0 assets loaded"),
    ]
}

#[test]
fn what_breaks_the_rules_is_told_by_kind_and_within_bounds() {
    let cases: Vec<_> = cases()
        .into_iter()
        .map(|(name, path, writes, code, check, piece)| (name, path, Arc::new(writes), code, check, piece))
        .collect();
    each(&cases, |(name, path, writes, code, check, piece)| {
        let writes = writes.clone();
        let server = hostile(path, move |to| writes(to));
        let (ran, bounds) = judged(Gate::verify(&server.url(), Checks::fast()));
        let detail = || if ran.report.is_null() { "no report" } else { ran.detail(check) };
        if ran.code != *code || !detail().contains(piece) {
            return Err(format!("{name}: exit {}, want {code} with {piece:?}: {} {}", ran.code, detail(), ran.stderr));
        }
        bounds.map_err(|why| format!("{name}: {why}"))
    });
}

/// How a connection ends in the middle of an answer.
#[derive(Clone, Copy, Debug)]
enum End {
    HalfClosed,
    Reset,
}

#[test]
fn an_answer_that_ends_at_any_byte_is_no_pass() {
    // A whole answer of each kind that a check reads to its end.
    let mut cases = Vec::new();
    for (path, check) in [(READY, "readiness"), (HEALTH, "health"), (METRICS, "metrics"), ("/assets/", "smoke")] {
        let whole = Arc::new(healthy(path));
        // Each byte near the places where something ends, and some between.
        let body = whole.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let near = |at: usize| at.saturating_sub(2)..(at + 2).min(whole.len());
        let mut offsets: Vec<usize> = [near(1), near(body), near(whole.len())].into_iter().flatten().collect();
        offsets.extend((1..5).map(|part| whole.len() * part / 5));
        if path == HEALTH {
            // It is asked twice only, and quickly: each byte.
            offsets.extend(1..whole.len());
        }
        offsets.sort_unstable();
        offsets.dedup();
        let ends = offsets.into_iter().flat_map(|offset| [(offset, End::HalfClosed), (offset, End::Reset)]);
        cases.extend(ends.map(|(offset, end)| (path, check, whole.clone(), offset, body, end)));
    }
    each(&cases, |(path, check, whole, offset, body, end)| {
        let (answer, offset, end) = (whole.clone(), *offset, *end);
        let server = hostile(path, move |to| {
            to.write_all(&answer[..offset])?;
            if matches!(end, End::Reset) {
                // What was sent arrives first.
                thread::sleep(Duration::from_millis(20));
                socket2::SockRef::from(&*to).set_linger(Some(Duration::ZERO))?;
                return Err(std::io::ErrorKind::ConnectionReset.into());
            }
            Ok(())
        });
        let checks = ["readiness", "metrics", "smoke"]
            .into_iter()
            .fold(Checks::fast(), |checks, check| checks.set(&format!("{check}.timeout"), "600ms"))
            .set("health.retries", 1);
        let ran = Gate::verify(&server.url(), checks).run();
        let pieces: &[&str] = match (offset >= *body, end) {
            (true, _) => &["in mid-body", "the answer is cut"],
            (false, End::HalfClosed) => &["closed before an answer came"],
            (false, End::Reset) => &["before an answer came"],
        };
        let detail = ran.detail(check);
        if (ran.code, ran.status(check)) == (1, "fail") && pieces.iter().all(|piece| detail.contains(piece)) {
            return Ok(());
        }
        Err(format!("{path} {end:?} after {offset} of {}: exit {}, want {pieces:?}: {detail}", whole.len(), ran.code))
    });
}

/// The gate's own colours left out.
fn without_colours(text: &str) -> String {
    let mut pieces = text.split("\u{1b}[");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let after = piece.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        match after.strip_prefix('m') {
            Some(rest) => plain += rest,
            None => plain = format!("{plain}\u{1b}[{piece}"),
        }
    }
    plain
}

/// What goes on although a text of it is evil: a browser would.
const HARMLESS: [&str; 4] = ["a page", "a policy", "an import map", "an import"];

/// A text that moves the cursor, rings, writes the clipboard, goes back, overwrites, and reads from right to left.
const EVIL: &str = "\u{1b}[8;1H\u{7}\u{1b}]52;c;ZXZpbA==\u{7}\u{8}\u{9b}2J\u{202e}\u{2066}\u{200f}\u{85}\u{7f}";

#[test]
fn no_text_of_the_canary_draws_on_the_terminal() {
    let html = |body: String| response("Content-Type: text/html\r\n", format!("<!doctype html>{body}").as_bytes());
    let header = |name: &str| format!("{name}: {EVIL}\r\n").replace(['\u{7}', '\u{8}', '\u{1b}', '\u{7f}'], "");
    let escaped: String = EVIL.chars().map(|c| format!("&#{};", u32::from(c))).collect();
    let json = serde_json::json!({ "status": EVIL }).to_string();
    let cases: Vec<(&str, &'static str, Vec<u8>)> = vec![
        ("a body", READY, [b"HTTP/1.1 500 Odd\r\nConnection: close\r\n\r\n", EVIL.as_bytes()].concat()),
        ("a value of JSON", HEALTH, response("", json.as_bytes())),
        (
            "a key of JSON that is given twice",
            HEALTH,
            response("", format!("{{\"status\":{0},\"status\":{0}}}", serde_json::json!(EVIL)).as_bytes()),
        ),
        ("what is no JSON", HEALTH, response("", EVIL.as_bytes())),
        ("a media type", "/", response(&header("Content-Type"), b"x")),
        ("a coding", HEALTH, response(&header("Content-Encoding"), b"x")),
        (
            "a place to go",
            HEALTH,
            format!("HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\n{}\r\n", header("Location"))
                .into_bytes(),
        ),
        (
            "the time to wait",
            READY,
            format!("HTTP/1.1 503 Odd\r\nConnection: close\r\nContent-Length: 0\r\n{}\r\n", header("Retry-After"))
                .into_bytes(),
        ),
        (
            "a reason",
            READY,
            format!("HTTP/1.1 500 {EVIL}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").into_bytes(),
        ),
        ("a page", "/", html(format!("<script src=\"/{escaped}.js\"></script><base href=\"{escaped}\">"))),
        (
            "a policy",
            "/",
            response(
                &format!("Content-Type: text/html\r\n{}", header("Content-Security-Policy")),
                b"<!doctype html><script src=/a.js></script>",
            ),
        ),
        (
            "an import map",
            "/",
            html(format!("<script type=importmap>{{\"imports\":{}}}</script>", serde_json::json!({EVIL: EVIL}))),
        ),
        (
            "an import",
            crate::canary::app::SCRIPT,
            response("Content-Type: text/javascript\r\n", format!("import {};", serde_json::json!(EVIL)).as_bytes()),
        ),
        (
            "a label",
            METRICS,
            response(
                "Content-Type: text/plain\r\n",
                format!("{}memory_analysis_failure_total{{provider=\"{EVIL}\"}} 99\n", metrics(&Traffic::default()))
                    .as_bytes(),
            ),
        ),
        ("a line of metrics", METRICS, response("Content-Type: text/plain\r\n", EVIL.as_bytes())),
    ];
    each(&cases, |(name, path, answer)| {
        let bytes = answer.clone();
        let server = hostile(path, move |to| to.write_all(&bytes));
        let checks = Checks::fast().set("readiness.timeout", "600ms").set("health.retries", 1);
        for more in [&[][..], &["-v", "--color", "always"]] {
            let ran = Gate::verify(&server.url(), &checks).args(more.iter().copied()).run();
            let (stdout, stderr) = (without_colours(&ran.stdout), without_colours(&ran.stderr));
            if let Some(c) = draws(&stdout).or(draws(&stderr)) {
                return Err(format!("{name}: {c:?} in {stdout:?} {stderr:?}"));
            }
            if ran.code != i32::from(!HARMLESS.contains(name)) {
                return Err(format!("{name}: exit {}: {stdout} {stderr}", ran.code));
            }
        }
        Ok(())
    });
}

#[test]
fn certificates_of_every_age_are_told_apart() {
    let named = authority("other.example.com");
    let cases = [
        ("expired", dated("127.0.0.1", Dates::Past), "expired"),
        ("not valid yet", dated("127.0.0.1", Dates::Future), "not valid yet"),
        ("wrong host", named, "other.example.com"),
        ("self-signed", self_signed("127.0.0.1"), "not trusted"),
    ];
    each(&cases, |(name, authority, piece)| {
        let canary = serve_tls(authority.server.clone());
        let mut gate = Gate::verify(&canary.url(), Checks::fast());
        if *name != "self-signed" {
            gate = gate.args(["--ca-file", "ca.pem"]);
            gate.file("ca.pem", &authority.pem);
        }
        let (ran, bounds) = judged(gate);
        let detail = ran.detail("ready");
        if (ran.code, ran.status("ready")) != (1, "fail") || !detail.contains("TLS failed") || !detail.contains(piece) {
            return Err(format!("{name}: exit {}, want {piece:?}: {detail}", ran.code));
        }
        bounds.map_err(|why| format!("{name}: {why}"))
    });
}

#[test]
fn a_server_of_an_older_tls_is_told() {
    // SSL 3.0, TLS 1.0, TLS 1.1.
    for minor in [0, 1, 2] {
        let old = Raw::accept(move |mut stream| {
            let _ = stream.read(&mut [0; 4096])?;
            // ServerHello: the version, 32 random bytes, no session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
            let hello = [&[3, minor][..], &[7; 32], &[0, 0, 0x2f, 0]].concat();
            let length = u8::try_from(hello.len()).unwrap();
            let handshake = [&[2, 0, 0, length][..], &hello].concat();
            stream.write_all(&[&[0x16, 3, minor, 0, length + 4][..], &handshake].concat())?;
            stream.read(&mut [0; 4096]).map(drop)
        });
        let (ran, bounds) = judged(Gate::verify(&old.url().replace("http:", "https:"), Checks::fast()));
        let detail = ran.detail("ready");
        assert!(ran.code == 1 && detail.contains("neither TLS 1.2 nor 1.3"), "3.{minor}: {detail}");
        assert_eq!(bounds, Ok(()));
    }
}

#[test]
fn a_handshake_that_never_ends_is_told() {
    for (name, bytes) in [
        ("silence", &b""[..]),
        ("half a record", b"\x16\x03\x03\x40\x00abc"),
        ("empty records", b"\x16\x03\x03\x00\x00"),
    ] {
        let server = Raw::accept(move |mut stream| {
            let _ = stream.read(&mut [0; 4096])?;
            loop {
                stream.write_all(bytes)?;
                thread::sleep(Duration::from_millis(5));
            }
        });
        let (ran, bounds) = judged(Gate::verify(&server.url().replace("http:", "https:"), Checks::fast()));
        assert!(ran.code == 1 && ran.status("ready") == "fail", "{name}: {}", ran.stderr);
        let detail = ran.detail("ready");
        assert!(detail.contains("no whole answer within") || detail.contains("TLS failed"), "{name}: {detail}");
        assert_eq!(bounds, Ok(()), "{name}");
    }
}
