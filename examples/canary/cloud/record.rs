//! What was asked and answered, a line of JSON each, where `FAKE_CLOUD_RECORD` names a file: `scripts/discovery.py` holds it to the
//! discovery documents. Faults are not recorded: they are not as the documents have it.

use std::fs::OpenOptions;
use std::io::Write as _;

use serde_json::{Value, json};

use crate::canary::server::{Body, Reply, Request};

/// Adds an exchange.
pub fn add(request: &Request, reply: &Reply) {
    let Some(path) = std::env::var_os("FAKE_CLOUD_RECORD") else { return };
    let parsed = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let answer = match &reply.body {
        Body::Whole(body) => parsed(body),
        _ => Value::Null,
    };
    let line = json!({
        "method": request.method, "path": request.path, "query": request.query, "body": parsed(&request.body),
        "status": reply.status, "answer": answer,
    });
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the record can be written to");
    // In one piece: others write into it too.
    file.write_all(format!("{line}\n").as_bytes()).expect("the record can be written to");
}
