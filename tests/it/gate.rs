//! Runs the real binary and reads what it says.

use std::fmt::{Display, Write as _};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

/// The result of a run.
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    /// The JSON report, where one was written.
    pub report: Value,
}

impl Ran {
    pub fn check(&self, name: &str) -> &Value {
        let checks = self.report["checks"].as_array().unwrap_or_else(|| panic!("no report: {}", self.stderr));
        checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no check {name}"))
    }

    pub fn attempts(&self, name: &str) -> u64 {
        self.check(name)["attempts"].as_u64().unwrap()
    }

    pub fn status(&self, name: &str) -> &str {
        self.check(name)["status"].as_str().unwrap()
    }

    pub fn detail(&self, name: &str) -> &str {
        self.check(name)["detail"].as_str().unwrap()
    }

    /// Everything that the run wrote: both streams and the report.
    pub fn everything(&self) -> String {
        format!("{}{}{}", self.stdout, self.stderr, self.report)
    }
}

/// A run of the binary, in an empty environment and a temporary folder.
pub struct Gate {
    command: Command,
    folder: TempDir,
}

impl Gate {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_canary-gate"));
        command.env_clear().current_dir(folder.path()).stdin(Stdio::null());
        Self { command, folder }
    }

    /// `verify` of a URL, with a checks file and a JSON report.
    pub fn verify(url: &str, checks: impl Display) -> Self {
        let mut gate = Self::new();
        gate.file("checks.yaml", checks.to_string());
        gate.args(["verify", "--url", url, "--checks", "checks.yaml", "--report", "json=report.json"])
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder that the gate runs in.
    pub fn file(&mut self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    pub fn run(mut self) -> Ran {
        let output = self.command.output().unwrap();
        self.ran(&output)
    }

    /// Runs to the end; with the peak of the process's resident memory in KiB, as the kernel told it shortly before the end.
    pub fn run_measured(mut self) -> (Ran, u64) {
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let now = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            peak = now.unwrap_or(peak);
            thread::sleep(std::time::Duration::from_millis(1));
        }
        (self.ran(&child.wait_with_output().unwrap()), peak)
    }

    /// Sends a signal as soon as a line on standard error contains a piece of text.
    pub fn run_until(mut self, piece: &str, signal: &str) -> Ran {
        let mut child = self.command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut written = String::new();
        while !written.contains(piece) {
            assert!(stderr.read_line(&mut written).unwrap() > 0, "the gate ended early: {written}");
        }
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        stderr.read_to_string(&mut written).unwrap();
        let ran = self.ran(&child.wait_with_output().unwrap());
        Ran { stderr: written, ..ran }
    }

    pub fn ran(&self, output: &std::process::Output) -> Ran {
        let report = std::fs::read(self.folder.path().join("report.json")).unwrap_or_default();
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            report: serde_json::from_slice(&report).unwrap_or(Value::Null),
        }
    }
}

/// Runs a test for each case, several at a time, and reports all failures together.
pub fn each<C: Sync>(cases: &[C], test: impl Fn(&C) -> Result<(), String> + Sync) {
    const SIDE_BY_SIDE: usize = 8;
    let (next, failures) = (Mutex::new(0..cases.len()), Mutex::new(String::new()));
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                loop {
                    let Some(index) = next.lock().unwrap().next() else {
                        return;
                    };
                    if let Err(failure) = test(&cases[index]) {
                        writeln!(failures.lock().unwrap(), "{failure}").unwrap();
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "\n{failures}");
}
