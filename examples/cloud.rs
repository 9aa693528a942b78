//! The loopback cloud of the tests as a process, for whatever else asks it: it prints its address, and then each request that
//! it gets, as JSON, one a line: `{"method": …, "path": …, "query": …, "body": …}`.
//!
//! `cargo run --example cloud [settled]`: with `settled`, the last release went well and nothing is under way.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "outside production code")]

mod canary;

use std::io::Write as _;
use std::time::Duration;

use canary::cloud::{State, deploy};
use serde_json::{Value, json};

fn main() {
    let mut state = State::sample();
    if std::env::args().nth(1).as_deref() == Some("settled") {
        deploy::settled(&mut state);
    }
    let cloud = state.serve();
    println!("{}", cloud.server.url());
    let mut told = 0;
    loop {
        let seen = cloud.server.seen();
        for request in &seen[told..] {
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_else(|_| match request.body.len() {
                0 => Value::Null,
                bytes => json!(format!("{bytes} bytes")),
            });
            let line = json!({"method": request.method, "path": request.path, "query": request.query, "body": body});
            // Whoever reads the lines may have gone.
            if writeln!(std::io::stdout(), "{line}").is_err() {
                return;
            }
        }
        told = seen.len();
        std::thread::sleep(Duration::from_millis(20));
    }
}
