//! A gate that stands still, as one does that gets no CPU: what came meanwhile was in time, and what did not come is still found.

use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::canary::Canary;
use crate::canary::app::answer;
use crate::canary::server::{Reply, Request};
use crate::checks::Checks;
use crate::gate::{Gate, Ran};

/// A healthy canary that tells when its readiness is asked for the first time, and answers that when it is told to.
fn waiting(later: fn(&Request) -> Reply) -> (Canary, Receiver<()>, Sender<()>) {
    let ((tells, asked), (go, goes)) = (channel(), channel());
    let first = Mutex::new(Some((tells, goes)));
    let canary = Canary::start(Arc::new(move |request: &Request| {
        if request.path != "/health/readiness" {
            return answer(request);
        }
        let Some((tells, goes)) = first.lock().unwrap().take() else { return later(request) };
        tells.send(()).unwrap();
        goes.recv().unwrap();
        answer(request)
    }));
    (canary, asked, go)
}

fn signal(gate: &Child, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &gate.id().to_string()]).status().unwrap().success());
}

/// Runs the gate, which stands still for longer than readiness may take in all, from when readiness is asked on; `goes` says whether it
/// is answered meanwhile.
fn stopped(later: fn(&Request) -> Reply, goes: bool) -> Ran {
    let (canary, asked, go) = waiting(later);
    let checks = Checks::fast().set("readiness.timeout", "1s").set("readiness.request_timeout", "500ms");
    let mut gate = Gate::verify(&canary.url(), checks);
    let child = gate.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    asked.recv_timeout(Duration::from_secs(10)).unwrap();
    signal(&child, "STOP");
    if goes {
        go.send(()).unwrap();
    }
    thread::sleep(Duration::from_millis(1700));
    signal(&child, "CONT");
    let output = child.wait_with_output().unwrap();
    drop(go);
    gate.ran(&output)
}

#[test]
fn an_answer_that_came_while_the_gate_stood_still_was_in_time() {
    let ran = stopped(answer, true);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.attempts("readiness"), 1, "{}", ran.detail("readiness"));
    assert!(ran.stdout.contains("in which the gate itself stood still for 1s"), "{}", ran.stdout);
    assert!(ran.report["stood_still_ms"].as_u64().unwrap() >= 1000, "{}", ran.report);
}

#[test]
fn a_canary_that_hangs_is_found_by_a_gate_that_stood_still() {
    let hangs = |_: &Request| {
        thread::sleep(Duration::from_secs(3));
        Reply::new(200, "text/plain", "too late")
    };
    let ran = stopped(hangs, false);
    assert_eq!((ran.code, ran.status("readiness")), (1, "fail"), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.detail("readiness").contains("no whole answer within 500ms"), "{}", ran.detail("readiness"));
    assert!(ran.stderr.contains("the gate itself stood still for 1s"), "{}", ran.stderr);
}
