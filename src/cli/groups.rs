//! Arguments that several commands share.

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args, ValueEnum};

use crate::google::AuthMode;
use crate::observe::{LogFormat, LogLevel};

/// How the network is reached.
#[derive(Args, Debug)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// A file of CA certificates in PEM that are trusted besides the public ones
    #[arg(long, env = "CANARY_GATE_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// What was deployed, and how Google Cloud is asked about it.
#[derive(Args, Debug)]
#[command(next_help_heading = "Deployment and Google Cloud")]
pub struct GoogleArgs {
    /// The project of the service, by id or number [default: from Cloud Deploy's environment]
    #[arg(long, env = "CANARY_GATE_PROJECT", value_name = "PROJECT")]
    pub(crate) project: Option<String>,
    /// The region of the service [default: from Cloud Deploy's environment]
    #[arg(long, env = "CANARY_GATE_REGION", value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// The Cloud Run service [default: from Cloud Deploy's environment]
    #[arg(long, env = "CANARY_GATE_SERVICE", value_name = "SERVICE")]
    pub(crate) service: Option<String>,
    /// The revision that was deployed [default: from Cloud Deploy's environment]
    #[arg(long, env = "CANARY_GATE_REVISION", value_name = "REVISION")]
    pub(crate) revision: Option<String>,
    /// The tag that serves the revision [default: the rollout's phase]
    #[arg(long, env = "CANARY_GATE_TAG", value_name = "TAG")]
    pub(crate) tag: Option<String>,
    /// The share of the traffic that the revision must have, in percent
    #[arg(long, env = "CANARY_GATE_EXPECT_PERCENT", value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub expect_percent: Option<u32>,
    /// No verdict where the Admin API cannot prove which revision answers
    #[arg(long, env = "CANARY_GATE_REQUIRE_IDENTITY", value_parser = BoolishValueParser::new())]
    pub require_identity: bool,
    /// The Cloud Run Admin API, for private access
    #[arg(long, env = "CANARY_GATE_RUN_ENDPOINT", value_name = "URL", default_value = "https://run.googleapis.com")]
    pub(crate) run_endpoint: String,
    /// How requests prove who sends them.
    #[command(flatten)]
    pub(crate) credentials: CredentialArgs,
}

/// How requests to a private service prove who sends them.
#[derive(Args, Debug)]
pub struct CredentialArgs {
    /// When identity tokens are sent to the canary: after a 401 or 403, always, or never
    #[arg(long, env = "CANARY_GATE_AUTH", value_name = "WHEN", default_value = "auto")]
    pub(crate) auth: AuthMode,
    /// The audience of identity tokens [default: the service's address]
    #[arg(long, env = "CANARY_GATE_AUDIENCE", value_name = "URL")]
    pub(crate) audience: Option<String>,
    /// A file with an identity token; `CANARY_GATE_ID_TOKEN` may hold the token itself
    #[arg(long, env = "CANARY_GATE_ID_TOKEN_FILE", value_name = "FILE")]
    pub(crate) id_token_file: Option<PathBuf>,
    /// The IAM Credentials API, for private access
    #[arg(
        long,
        env = "CANARY_GATE_IAM_ENDPOINT",
        value_name = "URL",
        default_value = "https://iamcredentials.googleapis.com"
    )]
    pub(crate) iam_endpoint: String,
    /// By whose account.
    #[command(flatten)]
    pub(crate) access: AccessArgs,
}

/// By whose account Google's APIs are asked. Without these: the application default credentials, else the metadata server.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Account")]
pub struct AccessArgs {
    /// A file with an access token; `CANARY_GATE_ACCESS_TOKEN` may hold the token itself [default: application default
    /// credentials, else the metadata server]
    #[arg(long, env = "CANARY_GATE_ACCESS_TOKEN_FILE", value_name = "FILE")]
    pub(crate) access_token_file: Option<PathBuf>,
    /// Google's OAuth 2.0 server, for private access
    #[arg(
        long,
        env = "CANARY_GATE_OAUTH_ENDPOINT",
        value_name = "URL",
        default_value = "https://oauth2.googleapis.com"
    )]
    pub(crate) oauth_endpoint: String,
}

/// Google's APIs, each at its public address unless told otherwise.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Google's APIs")]
pub struct EndpointArgs {
    /// The Cloud Deploy API, for private access
    #[arg(
        long,
        env = "CANARY_GATE_DEPLOY_ENDPOINT",
        value_name = "URL",
        default_value = "https://clouddeploy.googleapis.com"
    )]
    pub(crate) deploy_endpoint: String,
    /// The Cloud Run Admin API, for private access
    #[arg(long, env = "CANARY_GATE_RUN_ENDPOINT", value_name = "URL", default_value = "https://run.googleapis.com")]
    pub(crate) run_endpoint: String,
    /// The IAM Credentials API, for private access
    #[arg(
        long,
        env = "CANARY_GATE_IAM_ENDPOINT",
        value_name = "URL",
        default_value = "https://iamcredentials.googleapis.com"
    )]
    pub(crate) iam_endpoint: String,
    /// Cloud Logging, for private access
    #[arg(
        long,
        env = "CANARY_GATE_LOGGING_ENDPOINT",
        value_name = "URL",
        default_value = "https://logging.googleapis.com"
    )]
    pub(crate) logging_endpoint: String,
    /// Cloud Monitoring, for private access
    #[arg(
        long,
        env = "CANARY_GATE_MONITORING_ENDPOINT",
        value_name = "URL",
        default_value = "https://monitoring.googleapis.com"
    )]
    pub(crate) monitoring_endpoint: String,
    /// Cloud Storage, for private access
    #[arg(
        long,
        env = "CANARY_GATE_STORAGE_ENDPOINT",
        value_name = "URL",
        default_value = "https://storage.googleapis.com"
    )]
    pub(crate) storage_endpoint: String,
}

/// What a command of Google Cloud is about. What is not given comes from Cloud Deploy's environment, else from the pipeline's
/// files in the folder.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Pipeline")]
pub struct CoordinateArgs {
    /// The project, by its id [default: from the environment or the pipeline's files]
    #[arg(long, env = "CANARY_GATE_PROJECT", value_name = "PROJECT")]
    pub(crate) project: Option<String>,
    /// The region of the pipeline and the service [default: from the environment or the pipeline's files]
    #[arg(long, env = "CANARY_GATE_REGION", value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// The delivery pipeline [default: from the environment or the pipeline's files]
    #[arg(long, env = "CANARY_GATE_PIPELINE", value_name = "PIPELINE")]
    pub(crate) pipeline: Option<String>,
    /// The pipeline's target [default: from the environment or the pipeline's files]
    #[arg(long, env = "CANARY_GATE_TARGET", value_name = "TARGET")]
    pub(crate) target: Option<String>,
    /// The Cloud Run service [default: from the environment or the pipeline's files]
    #[arg(long, env = "CANARY_GATE_SERVICE", value_name = "SERVICE")]
    pub(crate) service: Option<String>,
    /// The folder with the pipeline's files
    #[arg(long, env = "CANARY_GATE_DIR", value_name = "DIR", default_value = ".")]
    pub(crate) dir: PathBuf,
}

/// What a command around the gate is about, and how Google Cloud is reached.
#[derive(Args, Debug)]
pub struct CloudArgs {
    /// What it is about.
    #[command(flatten)]
    pub(crate) coordinates: CoordinateArgs,
    /// By whose account.
    #[command(flatten)]
    pub(crate) access: AccessArgs,
    /// Where Google's APIs are.
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    /// How the network is reached.
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}

/// What is checked.
#[derive(Args, Debug)]
#[command(next_help_heading = "Plan")]
pub struct PlanArgs {
    /// A checks file (YAML) over the embedded default plan, `-` for standard input; `canary-gate checks` prints the default
    #[arg(long, env = "CANARY_GATE_CHECKS", value_name = "FILE")]
    pub(crate) checks: Option<PathBuf>,
    /// The limit for everything, reports included [default: 10m, by the checks file]
    #[arg(long, env = "CANARY_GATE_TIMEOUT", value_name = "DURATION", allow_hyphen_values = true)]
    pub timeout: Option<String>,
    /// One more blocking threshold, a PromQL comparison; may be repeated (the environment twin takes one a line)
    #[arg(long, env = "CANARY_GATE_THRESHOLD", value_name = "EXPR")]
    pub(crate) threshold: Vec<String>,
    /// One more warning threshold, a PromQL comparison; may be repeated (the environment twin takes one a line)
    #[arg(long, env = "CANARY_GATE_WARN", value_name = "EXPR")]
    pub(crate) warn: Vec<String>,
    /// Send requests to the canary, and to the stable revision where its address is known, and judge the answers
    #[arg(long, env = "CANARY_GATE_TRAFFIC", value_parser = BoolishValueParser::new())]
    pub(crate) traffic: bool,
    /// Watch the metrics for so long instead of one scrape; the check's own limit grows with it
    #[arg(long, env = "CANARY_GATE_WINDOW", value_name = "DURATION", allow_hyphen_values = true)]
    pub window: Option<String>,
}

/// What is written besides the summary.
#[derive(Args, Debug)]
#[command(next_help_heading = "Reports")]
pub struct ReportArgs {
    /// Write a report: FORMAT=PATH, - for standard output; json, junit, markdown (a folder takes a new record each run), html,
    /// tap, github, or evidence for `replay`; may be repeated (the environment twin takes one a line)
    #[arg(long, env = "CANARY_GATE_REPORT", value_name = "FORMAT=PATH")]
    pub(crate) report: Vec<String>,
    /// A reference to a chat's webhook.
    #[arg(
        long,
        help = "Tell a chat of the outcome by its webhook (Slack, Google Chat), whose URL is a secret: env:NAME or file:/path",
        env = "CANARY_GATE_NOTIFY",
        value_name = "REFERENCE"
    )]
    pub(crate) notify: Option<String>,
    /// Cloud Storage, for private access: Cloud Deploy takes a job's results there
    #[arg(
        long,
        env = "CANARY_GATE_STORAGE_ENDPOINT",
        value_name = "URL",
        default_value = "https://storage.googleapis.com"
    )]
    pub(crate) storage_endpoint: String,
}

/// How the gate speaks while it runs.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// No progress on standard error, only the result
    #[arg(long, short, global = true, env = "CANARY_GATE_QUIET", value_parser = BoolishValueParser::new())]
    pub(crate) quiet: bool,
    /// Log what happens to standard error: -v requests and their times, -vv everything
    #[arg(long, short, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// The level of the log; it takes the place of the progress. `RUST_LOG` is honoured where neither this nor -v is given
    #[arg(long, global = true, env = "CANARY_GATE_LOG_LEVEL", value_name = "LEVEL")]
    pub(crate) log_level: Option<LogLevel>,
    /// How the log is written; json, one object a line in Cloud Logging's structure, switches it on at info
    #[arg(long, global = true, env = "CANARY_GATE_LOG_FORMAT", value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// Colour; auto: on a terminal, unless `NO_COLOR` is set or TERM is dumb, and with `CLICOLOR_FORCE` anywhere
    #[arg(long, global = true, env = "CANARY_GATE_COLOR", value_name = "WHEN", default_value = "auto")]
    pub(crate) color: ColorWhen,
}

/// When output is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal that shows it.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
