//! Pages and assets that are made to take time, memory or room: judged within the limits.

use std::io::Read as _;
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::canary::app::{answer, gzip};
use crate::canary::server::{Canary, Reply};
use crate::checks::Checks;
use crate::front_end::{JS, page, said};
use crate::gate::{Gate, Ran};

/// A run, the most memory that it held, in KiB, and how long it took.
fn measured(mut gate: Gate) -> (Ran, u64, Duration) {
    let began = Instant::now();
    let mut child = gate.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut streams = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let out = thread::spawn(move || {
        let mut text = String::new();
        streams.0.read_to_string(&mut text).unwrap();
        text
    });
    let err = thread::spawn(move || {
        let mut text = String::new();
        streams.1.read_to_string(&mut text).unwrap();
        text
    });
    let mut most = 0;
    let status = loop {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let held = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let held = held.and_then(|held| held.trim().trim_end_matches(" kB").parse().ok());
        most = most.max(held.unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        thread::sleep(Duration::from_millis(2));
    };
    let took = began.elapsed();
    let output = std::process::Output {
        status,
        stdout: out.join().unwrap().into_bytes(),
        stderr: err.join().unwrap().into_bytes(),
    };
    (gate.ran(&output), most, took)
}

fn scripts(count: usize, start: &str) -> String {
    (0..count).map(|index| format!("<script src={start}/{index:06}.js></script>")).collect()
}

#[test]
fn a_page_of_a_hundred_thousand_scripts_is_judged_in_time() {
    for (start, status, piece) in [
        ("/assets", "fail", "names 100000 assets, over the 200"),
        ("//cdn.example.net", "warn", "100000 of other origins not loaded"),
    ] {
        let canary = page(&scripts(100_000, start)).start();
        // Linear, it takes a second without optimization; the machine may have other work.
        let checks = Checks::fast().set("smoke.timeout", "20s");
        let (ran, most, took) = measured(Gate::verify(&canary.url(), checks));
        assert_eq!(ran.status("smoke"), status, "{}", said(&ran));
        assert!(said(&ran).contains(piece), "{}", said(&ran));
        assert!(took < Duration::from_secs(20) && most < 64 << 10, "{took:?}, {most} KiB");
        let written = ran.stdout.len() + ran.stderr.len() + ran.report.to_string().len();
        assert!(written < 20_000, "{written} bytes");
    }
}

#[test]
fn twenty_thousand_foreign_scripts_are_counted_not_listed() {
    let canary = page(&scripts(20_000, "https://cdn.example.net")).start();
    let ran = Gate::verify(&canary.url(), Checks::fast()).run();
    assert_eq!(ran.status("smoke"), "warn", "{}", said(&ran));
    assert!(said(&ran).contains("0 assets loaded, 20000 of other origins not loaded"), "{}", said(&ran));
    assert!(said(&ran).contains("19990 more of other origins"), "{}", said(&ran));
    assert!(ran.everything().lines().count() < 100, "{}", ran.everything().lines().count());
}

/// Whatever page there is, the check ends when its time is up, and a signal ends the run at once.
#[test]
fn the_limit_and_signals_hold_while_a_page_is_read() {
    // Elements that a policy has to be held against, over and over: the most work for the fewest bytes.
    let sources: String = (0..1500).map(|index| format!("a{index}.example.com ")).collect();
    let html = format!(
        "<meta http-equiv=content-security-policy content='script-src {sources}'>{}",
        scripts(150_000, "//cdn.example.net")
    );
    let canary = page(&html).start();
    let checks = Checks::fast().set("smoke.timeout", "1s");
    let began = Instant::now();
    let ran = Gate::verify(&canary.url(), &checks).run();
    assert_eq!(ran.status("smoke"), "fail", "{}", said(&ran));
    assert!(ran.detail("smoke").contains("time ran out"), "{}", ran.detail("smoke"));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let checks = Checks::fast().set("smoke.timeout", "60s");
    let mut gate = Gate::verify(&canary.url(), checks);
    let mut child = gate.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let asked = Instant::now();
    while !canary.seen().iter().filter(|request| request.path == "/").count().gt(&3) {
        assert!(asked.elapsed() < Duration::from_secs(20), "the page was never asked for");
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(Duration::from_millis(300));
    let killed = Instant::now();
    assert!(std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(killed.elapsed() < Duration::from_secs(1), "{:?}", killed.elapsed());
}

#[test]
fn large_assets_are_judged_and_dropped() {
    /// Held together, they would take half a gigabyte.
    const COUNT: usize = 60;
    // 8 MiB of a script each, in a few kB of gzip.
    let body = gzip(format!("/*{}*/f()", " ".repeat((8 << 20) - 7)).as_bytes());
    let html = format!("<!doctype html>{}", scripts(COUNT, "/assets").replace("<script ", "<script type=module "));
    let canary = Canary::start(Arc::new(move |request| match &*request.path {
        "/" => Reply::new(200, "text/html", html.clone()),
        "/assets/" => answer(request),
        path if path.starts_with("/assets/") => Reply::new(200, JS, body.clone()).header("Content-Encoding", "gzip"),
        _ => answer(request),
    }));
    let checks = Checks::fast().set("smoke.timeout", "100s").set("smoke.request_timeout", "60s");
    let (ran, most, took) = measured(Gate::verify(&canary.url(), checks));
    assert_eq!(ran.status("smoke"), "pass", "{}", said(&ran));
    assert!(said(&ran).contains("60 assets loaded"), "{}", said(&ran));
    // What a run of small assets holds is the program itself, which is not optimized here. On top come those that are read
    // side by side: six of 8 MiB.
    let small = page("<script src=/x.js></script>").js("/x.js", "1").start();
    let (_, base, _) = measured(Gate::verify(&small.url(), Checks::fast()));
    assert!(most - base <= 60 << 10, "{most} KiB, {base} KiB of them in any case, in {took:?}");
}

/// Large scripts, each with as many long imports as are read: of these is kept only what may be loaded.
#[test]
fn scripts_of_long_imports_take_little_memory_and_time() {
    let script = |start: &str| -> Vec<u8> {
        let piece = "a/".repeat(2020);
        (0..1990).flat_map(|index| format!("import'{start}{index}/{piece}';").into_bytes()).collect()
    };
    let small = page("<script src=/x.js></script>").js("/x.js", "1").start();
    let (_, base, _) = measured(Gate::verify(&small.url(), Checks::fast()));
    for (start, kind, piece) in [
        ("/own/", "type=module", "imports not followed"),
        ("//cdn.example.net/", "type=module", "1990 of other origins"),
        ("/own/", "", "8 assets loaded"),
    ] {
        let body = script(start);
        let html = scripts(8, "/assets").replace("<script src", &format!("<script {kind} src"));
        let html = format!("<!doctype html>{html}");
        let canary = Canary::start(Arc::new(move |request| match &*request.path {
            "/" => Reply::new(200, "text/html", html.clone()),
            path if path.starts_with("/assets/0") => Reply::new(200, JS, body.clone()),
            path if path.starts_with("/own/") => Reply::new(404, JS, ""),
            _ => answer(request),
        }));
        let checks = Checks::fast().set("smoke.timeout", "60s").set("smoke.request_timeout", "40s");
        let (ran, most, took) = measured(Gate::verify(&canary.url(), checks));
        assert!(said(&ran).contains(piece), "{start} {kind}: {}", said(&ran));
        assert!(most - base < 64 << 10, "{start} {kind}: {most} KiB, {base} of them in any case, in {took:?}");
    }
}

#[test]
fn the_limit_holds_while_imports_are_looked_up() {
    let tail = "a/".repeat(4000);
    let body: String = (0..1000).map(|index| format!("import'{index}/{tail}';")).collect();
    let canary =
        page("<script type=importmap>{\"imports\":{\"x/\":\"/x/\"}}</script><script type=module src=/x.js></script>")
            .js("/x.js", &body)
            .start();
    let began = Instant::now();
    let ran = Gate::verify(&canary.url(), Checks::fast().set("smoke.timeout", "3s")).run();
    assert!(said(&ran).contains("/x.js"), "{}", said(&ran));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn pages_made_to_take_memory_take_little() {
    const SIZE: usize = 8_000_000;
    let many = |piece: &dyn Fn(usize) -> String| {
        let mut html = String::new();
        for index in 0.. {
            html += &piece(index);
            if html.len() > SIZE {
                break;
            }
        }
        html
    };
    let small = page("<script src=/x.js></script>").js("/x.js", "1").start();
    let (_, base, _) = measured(Gate::verify(&small.url(), Checks::fast()));
    let pages = [
        ("attributes", format!("<p {}>", many(&|index| format!("a{index} ")))),
        ("scripts", many(&|index| format!("<script src={index:x}></script>"))),
        ("one script", format!("<script type=module>{}</script>", many(&|_| "f(/x/);".into()))),
        ("imports", format!("<script type=module>{}</script>", many(&|index| format!("import'./{index}';")))),
        ("an import map", format!("<script type=importmap>{{\"imports\":[{}1]}}</script>", many(&|_| "1,".into()))),
        ("templates", many(&|_| "<template>".into())),
        ("one address", format!("<script src=//x.example/{}></script>", many(&|_| "aaaaaaaa".into()))),
    ];
    for (name, html) in pages {
        let canary = page(&html).start();
        let checks = Checks::fast().set("smoke.timeout", "40s").set("smoke.request_timeout", "20s");
        let (ran, most, _) = measured(Gate::verify(&canary.url(), checks));
        assert!(!ran.report.is_null() && ran.status("smoke") != "pass", "{name}: {}", said(&ran));
        let written = ran.stdout.len() + ran.stderr.len() + ran.report.to_string().len();
        assert!(
            most - base < 56 << 10 && written < 20_000,
            "{name}: {most} KiB, {base} of them in any case, {written} bytes"
        );
    }
}
