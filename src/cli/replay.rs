//! `canary-gate replay`

use std::path::PathBuf;

use clap::Args;

/// `canary-gate replay`
#[derive(Args, Debug)]
#[command(after_help = super::after_help!(
    "canary-gate replay evidence.gz --report json=report.json\n  \
     canary-gate replay runs/ --checks new.yaml    (what would these thresholds have said of past releases?)",
    "0  every run passed; with --checks over several runs: all of them were judged\n  \
     1  a run failed\n  \
     2  an error of usage, or a file that is not whole evidence\n  \
     3  a run has no verdict, or could not be judged by the other thresholds"
))]
pub struct Replay {
    /// Evidence that `verify --report evidence=PATH` wrote, or folders of it
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Judge by the thresholds and the traffic's limits of this checks file, `-` for standard input
    #[arg(long, env = "CANARY_GATE_REPLAY_CHECKS", value_name = "FILE")]
    pub(crate) checks: Option<PathBuf>,
    /// Write a report of one run: FORMAT=PATH, as verify does; may be repeated (the environment twin takes one a line)
    #[arg(long, env = "CANARY_GATE_REPORT", value_name = "FORMAT=PATH")]
    pub(crate) report: Vec<String>,
}
