//! `canary-gate audit`

use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;

use super::CloudArgs;
use crate::google::AuthMode;

/// `canary-gate audit`
#[derive(Args, Debug)]
#[command(after_help = super::after_help!(
    "canary-gate audit    (in a folder with a pipeline's files)\n  \
     canary-gate audit --wait --timeout 14m    (in a Cloud Deploy postdeploy job)\n  \
     canary-gate audit --project shop-123 --region us-central1 --service shop --revision shop-00042-abc\n  \
     canary-gate audit --delete-old --yes",
    "0  every row is good, or may be as it is\n  \
     1  a row is bad\n  \
     2  an error of usage or of the checks file, found before any request is made\n  \
     3  a row that must be seen was not"
))]
pub struct Audit {
    /// The revision that should have the traffic [default: from the environment, else that of the rollout]
    #[arg(long, env = "CANARY_GATE_REVISION", value_name = "REVISION")]
    pub(crate) revision: Option<String>,
    /// The release whose newest rollout is audited [default: from the environment, else that of the newest rollout that succeeded]
    #[arg(long, env = "CANARY_GATE_RELEASE", value_name = "RELEASE")]
    pub(crate) release: Option<String>,
    /// A checks file (YAML) over the embedded default plan, whose part `audit` has the rows; `-` for standard input
    #[arg(long, env = "CANARY_GATE_CHECKS", value_name = "FILE")]
    pub(crate) checks: Option<PathBuf>,
    /// A folder of deployment records, in which this one has to be
    #[arg(long, env = "CANARY_GATE_RECORDS", value_name = "DIR")]
    pub(crate) records: Option<PathBuf>,
    /// Wait until logs and values of the span can be seen
    #[arg(long, env = "CANARY_GATE_WAIT", value_parser = BoolishValueParser::new())]
    pub(crate) wait: bool,
    /// The limit for everything, reports included
    #[arg(
        long,
        env = "CANARY_GATE_TIMEOUT",
        value_name = "DURATION",
        default_value = "14m",
        allow_hyphen_values = true
    )]
    pub timeout: String,
    /// How long an API that has trouble is asked again
    #[arg(
        long,
        env = "CANARY_GATE_PATIENCE",
        value_name = "DURATION",
        default_value = "1m",
        allow_hyphen_values = true
    )]
    pub(crate) patience: String,
    /// Show which old revisions could be deleted
    #[arg(long, env = "CANARY_GATE_DELETE_OLD", value_parser = BoolishValueParser::new())]
    pub(crate) delete_old: bool,
    /// With --delete-old: delete them
    #[arg(long, env = "CANARY_GATE_YES", value_parser = BoolishValueParser::new())]
    pub(crate) yes: bool,
    /// Write a report: FORMAT=PATH, as verify does; may be repeated (the environment twin takes one a line)
    #[arg(long, env = "CANARY_GATE_REPORT", value_name = "FORMAT=PATH")]
    pub(crate) report: Vec<String>,
    /// When identity tokens are sent to the service: after a 401 or 403, always, or never
    #[arg(long, env = "CANARY_GATE_AUTH", value_name = "WHEN", default_value = "auto")]
    pub(crate) auth: AuthMode,
    /// The audience of identity tokens [default: the service's address]
    #[arg(long, env = "CANARY_GATE_AUDIENCE", value_name = "URL")]
    pub(crate) audience: Option<String>,
    /// What it is about, and how Google Cloud is reached.
    #[command(flatten)]
    pub(crate) cloud: CloudArgs,
}
