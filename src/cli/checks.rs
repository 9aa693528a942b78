//! `canary-gate checks` and `canary-gate schema`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `canary-gate checks`
#[derive(Args, Debug)]
#[command(after_help = super::after_help!(
    "canary-gate checks > checks.yaml\n  canary-gate checks --validate checks.yaml",
    "0  printed, or without a mistake\n  \
     2  an error of usage, or a checks file with mistakes\n  \
     3  standard output could not be written"
))]
pub struct Checks {
    /// Name every mistake of a checks file (`-` for standard input) instead, without a request; secrets are not looked up
    #[arg(long, env = "CANARY_GATE_VALIDATE", value_name = "FILE")]
    pub(crate) validate: Option<PathBuf>,
}

/// `canary-gate schema`
#[derive(Args, Debug)]
#[command(after_help = super::after_help!(
    "canary-gate schema checks > checks.schema.json",
    "0  printed\n  2  an error of usage\n  3  standard output could not be written"
))]
pub struct Schema {
    /// The file that the schema describes
    #[arg(value_name = "OF")]
    pub(crate) of: SchemaOf,
}

/// What has a JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// The checks file.
    Checks,
    /// The JSON report.
    Report,
}
