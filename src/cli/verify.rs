//! `canary-gate verify`

use clap::Args;

use super::groups::{GoogleArgs, NetworkArgs, PlanArgs, ReportArgs};

/// `canary-gate verify`
#[derive(Args, Debug)]
#[command(after_help = super::after_help!(
    "canary-gate verify --url https://canary---app-abc123-ew.a.run.app\n  \
     canary-gate verify --url http://127.0.0.1:8080 --checks checks.yaml --report json=report.json\n  \
     canary-gate verify --expect-percent 20 --require-identity --window 2m    (in a Cloud Deploy verify job)"
))]
pub struct Verify {
    /// The canary's address.
    #[arg(
        long,
        help = "The canary's address, such as https://canary---app-abc123-ew.a.run.app",
        env = "CANARY_GATE_URL",
        value_name = "URL"
    )]
    pub(crate) url: Option<String>,
    /// Whether the address comes from the environment, where it may have been meant for something else.
    #[arg(skip)]
    pub(crate) url_from_environment: bool,
    /// What is checked.
    #[command(flatten)]
    pub plan: PlanArgs,
    /// What was deployed.
    #[command(flatten)]
    pub google: GoogleArgs,
    /// What is written.
    #[command(flatten)]
    pub(crate) reports: ReportArgs,
    /// How the network is reached.
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
}
