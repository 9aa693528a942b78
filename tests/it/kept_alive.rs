//! Connections that a server closes without a word: between two requests, or as the next one comes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, TcpStream};

use crate::canary::app::answer;
use crate::canary::server::{Body, Request};
use crate::checks::Checks;
use crate::gate::Gate;
use crate::raw::Raw;

/// A server that answers one request of each connection and keeps silent about closing it. `lingers` has it wait for the next
/// request, and close the connection as that one comes.
fn closing(lingers: bool) -> Raw {
    Raw::accept(move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone()?);
        let Some(path) = head(&mut reader)? else { return Ok(()) };
        let reply = answer(&Request {
            method: "GET".into(),
            path,
            query: String::new(),
            headers: [].into(),
            body: Vec::new(),
            before: 0,
            since_first: std::time::Duration::ZERO,
        });
        let Body::Whole(body) = reply.body else { return Ok(()) };
        let mut text = format!("HTTP/1.1 {} Status\r\nContent-Length: {}\r\n", reply.status, body.len());
        for (name, value) in reply.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(&[text.as_bytes(), b"\r\n", &body].concat())?;
        if lingers {
            head(&mut reader)?;
        }
        stream.shutdown(Shutdown::Both)
    })
}

/// The path of a request; nothing where none came.
fn head(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<String>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    Ok(head.split_whitespace().nth(1).map(str::to_owned))
}

#[test]
fn no_check_fails_for_a_connection_that_was_closed_between_requests() {
    for lingers in [false, true] {
        let server = closing(lingers);
        let ran = Gate::verify(&server.url(), Checks::fast()).run();
        assert_eq!(ran.code, 0, "{lingers}: {}{}", ran.stdout, ran.stderr);
        for check in ["ready", "health", "readiness", "metrics", "smoke"] {
            assert_eq!(ran.attempts(check), 1, "{lingers}: {check}: {}", ran.detail(check));
        }
    }
}

#[test]
fn a_request_that_is_not_idempotent_is_not_sent_twice() {
    let server = closing(true);
    let checks = |method: &str| {
        Checks::fast().set(
            "http",
            serde_json::json!([{"name": "write", "method": method, "path": "/api/items", "retries": 0, "expect": {"status": 200}}]),
        )
    };
    let post = Gate::verify(&server.url(), checks_of(checks("POST"))).run();
    assert!(
        post.code == 1 && post.detail("write").contains("closed before an answer came"),
        "{}{}",
        post.stdout,
        post.stderr
    );
    let get = Gate::verify(&server.url(), checks_of(checks("GET"))).run();
    assert_eq!(get.code, 0, "{}{}", get.stdout, get.stderr);
}

/// A single check besides `ready`, so that it is what the connection of that one is used for.
fn checks_of(checks: Checks) -> Checks {
    ["health", "readiness", "metrics", "smoke"]
        .iter()
        .fold(checks, |checks, name| checks.set(&format!("{name}.enabled"), false))
}

#[test]
fn traffic_says_how_many_connections_were_closed() {
    let checks = |errors: f64| {
        checks_of(Checks::fast()).set(
            "traffic",
            serde_json::json!({
                "enabled": true, "requests": [{"path": "/api/items"}], "rate": "100/s", "duration": "2s", "warm_up": "100ms",
                "max_lag": "10s", "limits": {"errors": errors, "p95": null}, "on_unproven": "warn",
            }),
        )
    };
    let server = closing(true);
    // Also of a request that began to connect, and was then given a connection that another had done with.
    for (errors, status) in [(0.25, "fail"), (0.999, "pass")] {
        let ran = Gate::verify(&server.url(), checks(errors)).run();
        assert_eq!(
            (ran.code, ran.status("traffic")),
            (i32::from(status == "fail"), status),
            "{}{}",
            ran.stdout,
            ran.stderr
        );
        let observations = ran.check("traffic")["observations"].as_array().unwrap();
        let told = observations.iter().find(|seen| seen["name"] == "connections to canary").unwrap();
        assert!(told["detail"].as_str().unwrap().contains("asked once more on a new connection"), "{told}");
        let mut counted = ran.stderr.lines().filter(|line| line.contains(" requests, ")).peekable();
        assert!(
            counted.peek().is_some() && counted.all(|line| line.ends_with(" requests, 0 failed")),
            "{}",
            ran.stderr
        );
    }
}
