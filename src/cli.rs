//! The command line, as types. Every flag has an environment twin; a flag beats its twin.

use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::report::ReportSpec;

/// Decides whether a freshly deployed canary may take all the traffic.
///
/// Exit codes: 0 pass, with or without warnings; 1 fail; 2 usage or checks-file error, before any request; 3 the verdict
/// could not be reached. Only 0 promotes.
#[derive(Debug, Parser)]
#[command(name = "canary-gate", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Verify a canary: readiness, health, metrics and front end; the gate itself.
    Verify(Box<Verify>),
    /// Evaluate one PromQL expression over a live scrape or a saved exposition.
    Query(Query),
    /// Print the embedded default plan as a checks file to start from.
    Checks,
}

/// `canary-gate verify`
#[derive(Args, Debug)]
pub struct Verify {
    /// The canary's address, such as <https://canary---app-abc123-ew.a.run.app>
    #[arg(long, env = "CANARY_GATE_URL", value_name = "URL")]
    pub url: Option<String>,
    /// The project of the service, by id or number [default: of Cloud Deploy's environment]
    #[arg(long, env = "CANARY_GATE_PROJECT", value_name = "PROJECT")]
    pub project: Option<String>,
    /// The region of the service [default: of Cloud Deploy's environment]
    #[arg(long, env = "CANARY_GATE_REGION", value_name = "REGION")]
    pub region: Option<String>,
    /// The Cloud Run service [default: of Cloud Deploy's environment]
    #[arg(long, env = "CANARY_GATE_SERVICE", value_name = "SERVICE")]
    pub service: Option<String>,
    /// The revision that was deployed [default: of Cloud Deploy's environment]
    #[arg(long, env = "CANARY_GATE_REVISION", value_name = "REVISION")]
    pub revision: Option<String>,
    /// The tag that serves the revision [default: the rollout's phase]
    #[arg(long, env = "CANARY_GATE_TAG", value_name = "TAG")]
    pub tag: Option<String>,
    /// How much of the traffic the revision must have, in percent
    #[arg(long, env = "CANARY_GATE_EXPECT_PERCENT", value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub expect_percent: Option<u32>,
    /// No verdict where the Admin API cannot prove which revision answers
    #[arg(long, env = "CANARY_GATE_REQUIRE_IDENTITY")]
    pub require_identity: bool,
    /// When identity tokens are sent to the canary: after a 401 or 403, always, or never
    #[arg(long, env = "CANARY_GATE_AUTH", value_name = "WHEN", default_value = "auto")]
    pub auth: AuthWhen,
    /// The audience of identity tokens [default: the service's address]
    #[arg(long, env = "CANARY_GATE_AUDIENCE", value_name = "URL")]
    pub audience: Option<String>,
    /// A file with an identity token; `CANARY_GATE_ID_TOKEN` may hold the token itself
    #[arg(long, env = "CANARY_GATE_ID_TOKEN_FILE", value_name = "FILE")]
    pub id_token_file: Option<PathBuf>,
    /// The Cloud Run Admin API, for private access
    #[arg(long, env = "CANARY_GATE_RUN_ENDPOINT", value_name = "URL", default_value = "https://run.googleapis.com")]
    pub run_endpoint: String,
    /// The IAM Credentials API, for private access
    #[arg(
        long,
        env = "CANARY_GATE_IAM_ENDPOINT",
        value_name = "URL",
        default_value = "https://iamcredentials.googleapis.com"
    )]
    pub iam_endpoint: String,
    /// A checks file (YAML) over the embedded default plan; `canary-gate checks` prints that one
    #[arg(long, env = "CANARY_GATE_CHECKS", value_name = "FILE")]
    pub checks: Option<PathBuf>,
    /// The limit for everything, reports included [default: 10m, by the checks file]
    #[arg(long, env = "CANARY_GATE_TIMEOUT", value_name = "DURATION", allow_hyphen_values = true)]
    pub timeout: Option<String>,
    /// Write a report: json=PATH, or json=- for standard output; may be repeated (the environment twin takes one a line)
    #[arg(long, env = "CANARY_GATE_REPORT", value_name = "FORMAT=PATH")]
    pub report: Vec<String>,
    /// One more blocking threshold, a PromQL comparison; may be repeated (the environment twin takes one a line)
    #[arg(long, env = "CANARY_GATE_THRESHOLD", value_name = "EXPR")]
    pub threshold: Vec<String>,
    /// One more warning threshold, a PromQL comparison; may be repeated (the environment twin takes one a line)
    #[arg(long, env = "CANARY_GATE_WARN", value_name = "EXPR")]
    pub warn: Vec<String>,
    /// Watch the metrics for so long instead of one scrape; the check's own limit grows with it
    #[arg(long, env = "CANARY_GATE_WINDOW", value_name = "DURATION", allow_hyphen_values = true)]
    pub window: Option<String>,
    /// A file of CA certificates in PEM that are trusted besides the public ones
    #[arg(long, env = "CANARY_GATE_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

impl Verify {
    /// The reports asked for.
    ///
    /// # Errors
    /// The first one that is malformed, or a second one for standard output.
    pub fn reports(&self) -> Result<Vec<ReportSpec>, String> {
        let specs: Vec<ReportSpec> = self
            .report
            .iter()
            .map(|written| written.parse().map_err(|error| format!("--report {error}")))
            .collect::<Result<_, _>>()?;
        for (index, spec) in specs.iter().enumerate() {
            if specs[..index].iter().any(|other| other.path == spec.path) {
                let place = spec.path.as_ref().map_or("standard output".into(), |path| path.display().to_string());
                return Err(format!("--report: two reports go to {place}"));
            }
        }
        Ok(specs)
    }
}

/// `canary-gate query`
#[derive(Args, Debug)]
pub struct Query {
    /// The PromQL expression
    #[arg(value_name = "EXPR", allow_hyphen_values = true)]
    pub expr: String,
    /// Scrape this URL once; the metrics' own, with its path
    #[arg(
        long,
        env = "CANARY_GATE_URL",
        value_name = "URL",
        conflicts_with = "file",
        required_unless_present = "file"
    )]
    pub url: Option<String>,
    /// Read a saved exposition; with timestamps it may hold several points of a series
    #[arg(long, env = "CANARY_GATE_FILE", value_name = "PATH")]
    pub file: Option<PathBuf>,
    /// How the file is written; by its last line (# EOF) where this is left out
    #[arg(long, env = "CANARY_GATE_EXPOSITION", value_name = "FORMAT")]
    pub exposition: Option<ExpositionFormat>,
    /// The evaluation time in seconds since the Unix epoch [default: the newest timestamp of the file, else now]
    #[arg(long, env = "CANARY_GATE_TIME", value_name = "SECONDS", allow_hyphen_values = true)]
    pub time: Option<String>,
    /// How to write the result
    #[arg(long, env = "CANARY_GATE_FORMAT", value_name = "FORMAT", default_value = "table")]
    pub format: QueryFormat,
    /// A file of CA certificates in PEM that are trusted besides the public ones
    #[arg(long, env = "CANARY_GATE_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// When identity tokens are sent to the canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuthWhen {
    /// After an answer of 401 or 403.
    Auto,
    /// With every request.
    Always,
    /// Never.
    Never,
}

/// The formats of `query`'s result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum QueryFormat {
    /// Lines for a person.
    Table,
    /// What Prometheus's HTTP API answers.
    Json,
}

/// The exposition formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExpositionFormat {
    /// The Prometheus text format.
    Prometheus,
    /// OpenMetrics 1.0.
    Openmetrics,
}

impl Cli {
    /// Reads the process's arguments and environment; on a usage error it prints and exits with 2.
    #[must_use]
    pub fn read() -> Self {
        let mut command = Self::command();
        let matches = command.get_matches_mut();
        let read = Self::from_arg_matches(&matches).map(|cli| cli.split_lines(&matches));
        read.unwrap_or_else(|error| error.format(&mut command).exit())
    }

    /// A list in an environment variable stands one a line. (Expressions hold commas, so clap's own delimiter is no help.)
    fn split_lines(mut self, matches: &ArgMatches) -> Self {
        if let (Command::Verify(verify), Some(("verify", matches))) = (&mut self.command, matches.subcommand()) {
            let lists =
                [("report", &mut verify.report), ("threshold", &mut verify.threshold), ("warn", &mut verify.warn)];
            for (name, list) in lists {
                if matches.value_source(name) == Some(ValueSource::EnvVariable) {
                    let lines = list.iter().flat_map(|value| value.lines()).map(str::trim);
                    *list = lines.filter(|line| !line.is_empty()).map(str::to_owned).collect();
                }
            }
        }
        self
    }
}
