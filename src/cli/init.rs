//! `canary-gate init`

use std::path::PathBuf;

use clap::Args;

/// `canary-gate init`
#[derive(Args, Debug)]
#[command(after_help = super::after_help!(
    "canary-gate init --project shop-123 --region us-central1 --service shop",
    "0  written\n  \
     2  an error of usage, a name that the APIs do not take, or a file that is there already: nothing is written\n  \
     3  a file could not be written"
))]
pub struct Init {
    /// The folder that the files are written to
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,
    /// The project's id
    #[arg(long, env = "CANARY_GATE_PROJECT", value_name = "PROJECT")]
    pub(crate) project: String,
    /// The region of the pipeline and the service
    #[arg(long, env = "CANARY_GATE_REGION", value_name = "REGION")]
    pub(crate) region: String,
    /// The Cloud Run service, which is also the name of its image in a release
    #[arg(long, env = "CANARY_GATE_SERVICE", value_name = "SERVICE")]
    pub(crate) service: String,
    /// The delivery pipeline [default: SERVICE-pipeline]
    #[arg(long, env = "CANARY_GATE_INIT_PIPELINE", value_name = "NAME")]
    pub(crate) pipeline: Option<String>,
    /// The target [default: SERVICE-run]
    #[arg(long, env = "CANARY_GATE_INIT_TARGET", value_name = "NAME")]
    pub(crate) target: Option<String>,
    /// The id of the account that the service runs as, of 6 to 30 characters [default: SERVICE-runtime]
    #[arg(long, env = "CANARY_GATE_INIT_ACCOUNT", value_name = "ID")]
    pub(crate) account: Option<String>,
}
