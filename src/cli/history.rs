//! `canary-gate history`

use std::path::PathBuf;

use clap::Args;

/// `canary-gate history`
#[derive(Args, Debug)]
#[command(after_help = super::after_help!(
    "canary-gate verify --url https://canary.example.com --report markdown=deployments/\n  \
     canary-gate history deployments",
    "0  the table is written, or is as it was; records that cannot be read are named\n  \
     2  an error of usage, a folder or a README.md that cannot be used\n  \
     3  the README.md could not be written"
))]
pub struct History {
    /// A folder of deployment records; the table of them is written into its README.md
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}
