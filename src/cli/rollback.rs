//! `canary-gate rollback`

use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::CloudArgs;

/// `canary-gate rollback`
#[derive(Args, Debug)]
#[command(after_help = super::after_help!(
    "canary-gate rollback --dry-run\n  \
     canary-gate rollback                 (shows the plan and asks)\n  \
     canary-gate rollback --yes --report markdown=deployments/\n  \
     canary-gate rollback --traffic-only --to-revision shop-00041-abc",
    "0  the revision has all of the traffic, and the service is well; with --dry-run: the APIs would take the plan\n  \
     1  it has not, or is not well; or nothing says which revision it is: then nothing was changed\n  \
     2  an error of usage; no terminal to ask on, and no --yes: nothing was changed\n  \
     3  it could not be seen, or an API refuses"
))]
pub struct Rollback {
    /// Back to this revision [default: the one that was stable before]
    #[arg(long, env = "CANARY_GATE_TO_REVISION", value_name = "REVISION", conflicts_with = "to_release")]
    pub(crate) to_revision: Option<String>,
    /// Back to this release of the pipeline
    #[arg(long, env = "CANARY_GATE_TO_RELEASE", value_name = "RELEASE")]
    pub(crate) to_release: Option<String>,
    /// Change the service's traffic and make no rollout: fast, and Cloud Deploy does not know of it
    #[arg(long, env = "CANARY_GATE_TRAFFIC_ONLY", value_parser = BoolishValueParser::new())]
    pub(crate) traffic_only: bool,
    /// A folder of deployment records, as `canary-gate history` keeps it: they corroborate, and tell where no rollout does
    #[arg(long, env = "CANARY_GATE_RECORDS", value_name = "DIR")]
    pub(crate) records: Option<PathBuf>,
    /// Show the plan and let the APIs validate it; change nothing
    #[arg(long, env = "CANARY_GATE_DRY_RUN", value_parser = BoolishValueParser::new())]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short, env = "CANARY_GATE_YES", value_parser = BoolishValueParser::new())]
    pub(crate) yes: bool,
    /// A checks file for the checks after it; its metrics and traffic count only where this file speaks of them
    #[arg(long, env = "CANARY_GATE_CHECKS", value_name = "FILE")]
    pub(crate) checks: Option<PathBuf>,
    /// How long to wait before the service is checked once more: routing takes some seconds
    #[arg(
        long,
        env = "CANARY_GATE_SETTLE",
        value_name = "DURATION",
        default_value = "10s",
        allow_hyphen_values = true
    )]
    pub(crate) settle: String,
    /// The limit for everything
    #[arg(
        long,
        env = "CANARY_GATE_TIMEOUT",
        value_name = "DURATION",
        default_value = "15m",
        allow_hyphen_values = true
    )]
    pub(crate) timeout: String,
    /// How long to wait from one look to the next
    #[arg(long, env = "CANARY_GATE_POLL", value_name = "DURATION", default_value = "2s", allow_hyphen_values = true)]
    pub(crate) poll: String,
    /// Write a report: FORMAT=PATH, as verify does, but for evidence; may be repeated (the environment twin takes one a line)
    #[arg(long, env = "CANARY_GATE_REPORT", value_name = "FORMAT=PATH")]
    pub(crate) report: Vec<String>,
    /// What it is about, and how Google Cloud is reached.
    #[command(flatten)]
    pub(crate) cloud: CloudArgs,
}
