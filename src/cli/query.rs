//! `canary-gate query`

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use promeval::Format;

use super::groups::{AccessArgs, NetworkArgs};

/// `canary-gate query`
#[derive(Args, Debug)]
#[command(after_help = super::after_help!(
    "canary-gate query 'sum by (provider) (memory_analysis_failure_total)' --url https://canary.example.com/api/metrics\n  \
     canary-gate query 'rate(http_requests_total[20s])' --url https://canary.example.com --checks checks.yaml --window 20s\n  \
     curl -s http://127.0.0.1:9090/metrics | canary-gate query 'up == 1' --file -",
    "0  evaluated, also where the result is empty\n  \
     2  an error of usage, of the expression, or of a file\n  \
     3  what it is evaluated over could not be had"
))]
pub struct Query {
    /// The PromQL expression
    #[arg(value_name = "EXPR", allow_hyphen_values = true)]
    pub(crate) expr: String,
    /// Scrape this URL: the metrics' own, with its path; with --checks, the canary's address
    #[arg(
        long,
        env = "CANARY_GATE_URL",
        value_name = "URL",
        conflicts_with = "file",
        required_unless_present_any = ["file", "checks"]
    )]
    pub(crate) url: Option<String>,
    /// Read a saved exposition, `-` for standard input; with timestamps it may hold several points of a series
    #[arg(long, env = "CANARY_GATE_FILE", value_name = "PATH", conflicts_with_all = ["checks", "header", "window"])]
    pub(crate) file: Option<PathBuf>,
    /// A checks file: its metrics' path, headers and source are those of the query
    #[arg(long, env = "CANARY_GATE_CHECKS", value_name = "FILE")]
    pub(crate) checks: Option<PathBuf>,
    /// A header that is sent with the scrape.
    #[arg(
        long,
        help = "Send a header with the scrape, as \"Name: value\", a secret as \"Name: env:VARIABLE\" or \"Name: file:/path\"; \
                may be repeated (the environment twin takes one a line)",
        env = "CANARY_GATE_HEADER",
        value_name = "HEADER"
    )]
    pub(crate) header: Vec<String>,
    /// Scrape for so long, at the interval of the checks file (5s without one), so that rates have data
    #[arg(long, env = "CANARY_GATE_WINDOW", value_name = "DURATION", allow_hyphen_values = true)]
    pub(crate) window: Option<String>,
    /// How the file is written; by its last line (# EOF) where this is left out
    #[arg(
        long,
        env = "CANARY_GATE_EXPOSITION",
        value_name = "FORMAT",
        value_parser = PossibleValuesParser::new(["prometheus", "openmetrics"])
            .map(|name| if name == "openmetrics" { Format::OpenMetrics } else { Format::Prometheus })
    )]
    pub(crate) exposition: Option<Format>,
    /// The evaluation time, in seconds since the Unix epoch or as RFC 3339 [default: the newest timestamp of the file, else
    /// now]
    #[arg(long, env = "CANARY_GATE_TIME", value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) time: Option<String>,
    /// How to write the result
    #[arg(long, env = "CANARY_GATE_FORMAT", value_name = "FORMAT", default_value = "table")]
    pub(crate) format: QueryFormat,
    /// By whose account a server is asked that wants one of Google's.
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// How the network is reached.
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

/// The formats of `query`'s result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum QueryFormat {
    /// Lines for a person.
    Table,
    /// What Prometheus's HTTP API answers.
    Json,
}
