//! Where reports go: an older one never outlives a run, nothing but a file is ever replaced, and nothing is left beside it.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::canary::app::answer;
use crate::canary::server::{Canary, Reply, Request};
use crate::canary::{FAULTS, Fault};
use crate::checks::Checks;
use crate::gate::Gate;

fn report(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap_or_default()).unwrap_or(Value::Null)
}

/// The files of a folder.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn an_older_report_is_gone_from_the_start_on() {
    let canary = Fault::named("health-hangs").unwrap().start();
    let mut gate =
        Gate::verify(&canary.url(), Checks::fast().set("health.request_timeout", "30s").set("health.timeout", "30s"));
    gate.file("report.json", r#"{"verdict":"pass"}"#);
    let path = gate.folder().join("report.json");
    let mut child = gate.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while report(&path)["verdict"] != "error" {
        assert!(began.elapsed() < Duration::from_secs(20), "{}", report(&path));
        thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left = report(&path);
    assert_eq!((&left["cause"], &left["exit_code"]), (&"not finished".into(), &3.into()));
    assert_eq!(names(gate.folder()), ["checks.yaml", "report.json"]);
}

#[test]
fn an_error_of_usage_leaves_no_older_report_and_no_new_file() {
    let canary = FAULTS[0].start();
    for existed in [true, false] {
        let mut gate = Gate::verify(&canary.url(), "timeout: soon\n");
        if existed {
            gate.file("report.json", r#"{"verdict":"pass"}"#);
        }
        let path = gate.folder().join("report.json");
        let output = gate.command().output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(path.exists(), existed);
        if existed {
            let left = report(&path);
            assert_eq!((&left["verdict"], &left["exit_code"]), (&"error".into(), &2.into()));
            assert!(left["cause"].as_str().unwrap().contains("\"soon\" is not a duration"), "{left}");
        }
    }
}

#[test]
fn a_report_that_cannot_be_written_takes_the_others_back() {
    let canary = FAULTS[0].start();
    let mut gate = Gate::verify(&canary.url(), "");
    gate.file("old.json", r#"{"verdict":"pass"}"#);
    let folder = gate.folder().to_owned();
    let places = ["markdown=new.md", "markdown=records", "json=old.json", "html=nowhere/x.html"];
    fs::create_dir(folder.join("records")).unwrap();
    gate.command().args(places.iter().flat_map(|place| ["--report", place]));
    let output = gate.command().output().unwrap();
    assert_eq!((output.status.code(), canary.seen().len()), (Some(2), 0));
    assert_eq!(names(&folder), ["checks.yaml", "old.json", "records"]);
    assert!(names(&folder.join("records")).is_empty());
    let left = report(&folder.join("old.json"));
    assert_eq!((&left["verdict"], &left["exit_code"]), (&"error".into(), &2.into()));
    assert!(left["cause"].as_str().unwrap().contains("nowhere/x.html cannot be written"), "{left}");
}

#[test]
fn two_reports_of_one_place_are_refused_however_they_are_written() {
    let here = |folder: &Path, name: &str| format!("json={}", folder.join(name).display());
    for second in ["json=./a.json", "json=sub/../a.json", "json=link.json", "json=hard.json", "absolute"] {
        let mut gate = Gate::new();
        fs::create_dir(gate.folder().join("sub")).unwrap();
        symlink("a.json", gate.folder().join("link.json")).unwrap();
        if second == "json=hard.json" {
            fs::write(gate.folder().join("a.json"), "").unwrap();
            fs::hard_link(gate.folder().join("a.json"), gate.folder().join("hard.json")).unwrap();
        }
        let second = if second == "absolute" { here(gate.folder(), "a.json") } else { second.to_owned() };
        gate.command().args(["verify", "--url", "http://127.0.0.1:1", "--report", "json=a.json", "--report", &second]);
        let ran = gate.run();
        assert_eq!(ran.code, 2, "{second}");
        assert!(ran.stderr.contains("--report: two reports go to "), "{second}: {}", ran.stderr);
    }
}

#[test]
fn what_is_read_is_not_written_over() {
    for flag in ["--checks", "--ca-file", "--id-token-file"] {
        for report in ["input", "./input", "sub/../input", "link", "hard"] {
            let mut gate = Gate::new();
            gate.file("input", "what is read\n");
            fs::create_dir(gate.folder().join("sub")).unwrap();
            symlink("input", gate.folder().join("link")).unwrap();
            fs::hard_link(gate.folder().join("input"), gate.folder().join("hard")).unwrap();
            let path = gate.folder().join("input");
            let report = format!("json={report}");
            let output =
                gate.command().args(["verify", "--url", "http://127.0.0.1:1", "--report", &report, flag, "input"]);
            let output = output.output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{flag} {report}");
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            let wanted = format!("--report {} and {flag} input are one file", &report["json=".len()..]);
            assert!(stderr.contains(&wanted), "{stderr}");
            assert_eq!(fs::read_to_string(path).unwrap(), "what is read\n");
        }
    }
}

#[test]
fn who_may_read_a_report_stays() {
    let canary = FAULTS[0].start();
    let mut gate = Gate::verify(&canary.url(), Checks::fast());
    let path = gate.file("report.json", "{}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(gate.command().output().unwrap().status.success());
    assert_eq!(report(&path)["verdict"], "pass");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_report_that_is_lost_is_no_pass_in_what_is_printed() {
    let mut gate = Gate::new();
    let folder = gate.folder().join("gone");
    fs::create_dir(&folder).unwrap();
    gate.file("checks.yaml", Checks::fast().set("health.path", "/slow").to_string());
    let slow = Canary::start(Arc::new(move |request: &Request| {
        if request.path == "/slow" {
            let _ = fs::remove_dir_all(&folder);
            return Reply::json(200, r#"{"status":"ok"}"#);
        }
        answer(request)
    }));
    let args = ["verify", "--url", &slow.url(), "--checks", "checks.yaml", "--report", "json=gone/report.json"];
    let ran = gate.args(args).run();
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(!ran.stdout.contains("PASS") && ran.stdout.contains("could not be written"), "{}", ran.stdout);
}

#[test]
fn the_time_of_a_run_begins_with_its_input() {
    let canary = Fault::named("health-hangs").unwrap().start();
    let mut gate = Gate::new().args(["verify", "--url", &canary.url(), "--timeout", "2s", "--checks", "pipe"]);
    let path = gate.folder().join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let began = Instant::now();
    let writer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(1500));
        fs::write(path, "health: {request_timeout: 30s}\n").unwrap();
    });
    let output = gate.command().output().unwrap();
    writer.join().unwrap();
    assert_ne!(output.status.code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[test]
fn a_link_is_followed_and_stays() {
    let canary = FAULTS[0].start();
    for target in ["there.json", "not-yet.json"] {
        let mut gate = Gate::verify(&canary.url(), Checks::fast());
        gate.file("there.json", "an older report");
        let (link, target) = (gate.folder().join("report.json"), gate.folder().join(target));
        symlink(target.file_name().unwrap(), &link).unwrap();
        assert!(gate.command().output().unwrap().status.success());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(report(&target)["verdict"], "pass");
    }
}

#[test]
fn a_pipe_is_written_into_and_stays_a_pipe() {
    let canary = FAULTS[0].start();
    let mut gate = Gate::verify(&canary.url(), Checks::fast());
    let path = gate.folder().join("report.json");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    // Nobody reads: that is found before any request, and without waiting.
    let output = gate.command().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nobody reads the pipe"));
    assert!(canary.seen().is_empty());
    let reader = {
        let path = path.clone();
        thread::spawn(move || {
            let mut text = String::new();
            fs::File::open(path).unwrap().read_to_string(&mut text).unwrap();
            text
        })
    };
    // The reader waits for a writer, and is there as soon as one can open the pipe.
    let began = Instant::now();
    let code = loop {
        let code = gate.command().output().unwrap().status.code();
        if code != Some(2) || began.elapsed() > Duration::from_secs(20) {
            break code;
        }
    };
    assert_eq!(code, Some(0));
    let text = reader.join().unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["verdict"], "pass");
    assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
}

#[test]
fn a_signal_at_any_moment_leaves_nothing_behind() {
    let canary = Fault::named("health-hangs").unwrap().start();
    // What the tests were started to ignore (by nohup, in the background of a script) is not heard before the gate listens.
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
    let heard =
        [("TERM", 15), ("HUP", 1), ("INT", 2)].into_iter().filter(|(_, number)| ignored >> (number - 1) & 1 == 0);
    let heard: Vec<&str> = heard.map(|(name, _)| name).collect();
    assert!(heard.contains(&"TERM"));
    for (round, signal) in (0..60).zip(heard.iter().cycle()) {
        let mut gate = Gate::verify(
            &canary.url(),
            // Whatever else a busy machine makes fail would be the verdict.
            Checks::fast()
                .set("health.request_timeout", "30s")
                .set("health.timeout", "30s")
                .set("ready.request_timeout", "30s")
                .set("ready.timeout", "30s")
                .set("readiness.enabled", false)
                .set("metrics.enabled", false)
                .set("smoke.enabled", false),
        );
        gate.file("report.json", r#"{"verdict":"pass"}"#);
        let folder = gate.folder().to_owned();
        let mut child = gate.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_micros(500 * (round % 20)));
        assert!(
            Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap().success()
        );
        let status = child.wait().unwrap();
        assert_eq!(names(&folder), ["checks.yaml", "report.json"], "{signal}");
        match status.code() {
            Some(code) => {
                assert_eq!((code, report(&folder.join("report.json"))["verdict"].clone()), (3, "error".into()));
            }
            // Ended before the first line of the program ran: nothing was done, and the process did not end well.
            None => assert!(!status.success()),
        }
    }
}

#[test]
fn too_few_descriptors_are_no_panic_and_no_pass() {
    let canary = FAULTS[0].start();
    let binary = env!("CARGO_BIN_EXE_canary-gate");
    for limit in 3..16 {
        let script = format!("ulimit -n {limit}; exec {binary} verify -q --url {}", canary.url());
        let output = Command::new("sh").args(["-c", &script]).env_clear().output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        if stderr.contains("error while loading shared libraries") {
            // The loader's own error; the binary of the image needs no loader.
            continue;
        }
        assert!(!stderr.contains("panicked"), "{limit}: {stderr}");
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 1 | 3)), "{limit}: {:?} {stderr}", output.status);
        if code != Some(0) {
            assert!(!stderr.is_empty() || !output.stdout.is_empty(), "{limit}: nothing is said");
        }
    }
}

/// A small file system of its own, where that may be mounted.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=16k", "none"]).arg(folder.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_leaves_no_older_report() {
    let Some(disk) = Small::mount() else {
        println!("skipped: no file system can be mounted here");
        return;
    };
    let canary = FAULTS[0].start();
    let path = disk.0.path().join("report.json");
    let run = || {
        let report = format!("json={}", path.display());
        let gate = Gate::new().args(["verify", "--url", &canary.url(), "--report", &report]);
        (0..20).fold(gate, |gate, limit| gate.args(["--warn", &format!("memory_analysis_cache_size > {limit}")])).run()
    };
    // Room for what is written at first, not for the report.
    fs::write(&path, r#"{"verdict":"pass"}"#).unwrap();
    fs::write(disk.0.path().join("ballast"), vec![0; 8 * 1024]).unwrap();
    let ran = run();
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stderr.contains("could not be written"), "{}", ran.stderr);
    assert_eq!(report(&path)["cause"], "not finished");
    // No room at all.
    fs::write(&path, r#"{"verdict":"pass"}"#).unwrap();
    let _ = fs::write(disk.0.path().join("more"), vec![0; 64 * 1024]);
    let ran = run();
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(!path.exists() || report(&path)["verdict"] != "pass");
}

#[test]
fn input_that_never_comes_can_be_interrupted_and_ends_with_the_run() {
    for (signal, timeout, wanted) in [
        (Some("TERM"), "60s", "interrupted by SIGTERM while the input was read"),
        (Some("INT"), "60s", "interrupted by SIGINT while the input was read"),
        (None, "1s", "the run's time of 1s was up while the input was read"),
    ] {
        let mut gate = Gate::new();
        gate.file("report.json", r#"{"verdict":"pass"}"#);
        let folder = gate.folder().to_owned();
        let mut child = gate
            .command()
            .args(["verify", "--url", "http://127.0.0.1:1", "--checks", "-", "--timeout", timeout])
            .args(["--report", "json=report.json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let path = folder.join("report.json");
        while !fs::read_to_string(&path).unwrap().contains("not finished") {
            thread::sleep(Duration::from_millis(5));
        }
        if let Some(signal) = signal {
            let killed = Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status();
            assert!(killed.unwrap().success());
        }
        let output = child.wait_with_output().unwrap();
        drop(input);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains(wanted), "{stderr}");
        assert_eq!(report(&path)["verdict"], "error");
    }
}
