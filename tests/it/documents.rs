//! Completions and manual pages are made of the flags.

use std::process::{Command, Stdio};

use crate::gate::Gate;

#[test]
fn every_shell_has_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ran = Gate::new().args(["completions", shell]).run();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        for piece in ["canary-gate", "expect-percent", "history"] {
            assert!(ran.stdout.contains(piece), "{shell} lacks {piece}");
        }
    }
    let script = Gate::new().args(["completions", "bash"]).run().stdout;
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(bash.stdin.as_mut().unwrap(), script.as_bytes()).unwrap();
    assert!(bash.wait().unwrap().success());
    assert_eq!(Gate::new().args(["completions", "tcsh"]).run().code, 2);
}

#[test]
fn every_command_has_a_manual_page() {
    for command in ["", "verify", "query", "checks", "schema", "history", "completions", "man"] {
        let ran = Gate::new().args(["man", command].into_iter().filter(|word| !word.is_empty())).run();
        assert_eq!(ran.code, 0, "{command}: {}", ran.stderr);
        assert!(
            ran.stdout.contains(".TH canary-gate") && ran.stdout.contains(".SH SYNOPSIS"),
            "{command}: {}",
            ran.stdout
        );
    }
    let verify = Gate::new().args(["man", "verify"]).run().stdout;
    assert!(verify.contains("expect\\-percent") && verify.contains("CANARY_GATE_URL"), "{verify}");
    let ran = Gate::new().args(["man", "verfy"]).run();
    assert!(ran.code == 2 && ran.stderr.contains("did you mean verify?"), "{}", ran.stderr);
}
