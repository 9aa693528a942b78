//! `canary-gate lint`

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Args, Subcommand, ValueEnum};

/// `canary-gate lint`
#[derive(Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = super::after_help!(
        "canary-gate lint\n  canary-gate lint deploy --format sarif > lint.sarif\n  canary-gate lint explain rollback-pending",
        "0  clean\n  \
         1  there are findings\n  \
         2  a file cannot be read, or none is a pipeline's\n  \
         3  standard output or a file could not be written"
    )
)]
pub struct Lint {
    /// Explains a rule instead.
    #[command(subcommand)]
    pub(crate) command: Option<LintCommand>,
    /// The folder with the pipeline's files
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,
    /// How the findings are written
    #[arg(long, env = "CANARY_GATE_LINT_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub(crate) format: LintFormat,
    /// Make the changes that are certain
    #[arg(long, env = "CANARY_GATE_LINT_FIX", value_parser = BoolishValueParser::new())]
    pub(crate) fix: bool,
}

/// The commands of `lint`.
#[derive(Debug, Subcommand)]
pub enum LintCommand {
    /// Print what a rule is about, why it bites and what to do; without an id, all of them
    Explain {
        /// The id of a rule, as in the brackets behind a finding
        #[arg(value_name = "ID")]
        id: Option<String>,
    },
}

/// The formats of `lint`'s findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LintFormat {
    /// For people.
    Text,
    /// One object, for programs.
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// Annotations in a GitHub workflow.
    Github,
}
