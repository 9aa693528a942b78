//! The command line, as types: one file a command. Every flag has an environment twin; a flag beats its twin.

mod checks;
mod environment;
mod groups;
mod query;
mod verify;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use checks::{Checks, Schema, SchemaOf};
pub use groups::{ColorWhen, GoogleArgs, NetworkArgs, OutputArgs, PlanArgs, ReportArgs};
pub use query::{Query, QueryFormat};
pub use verify::Verify;

/// What stands below the flags of every command.
macro_rules! after_help {
    ($examples:expr) => {
        concat!(
            "Examples:\n  ",
            $examples,
            "\n\nExit codes:\n  \
             0  pass, with or without warnings: the only one that promotes\n  \
             1  fail\n  \
             2  an error of usage or of the checks file, found before any request is made\n  \
             3  the verdict could not be reached\n\n\
             An empty environment variable counts as not set."
        )
    };
}
use after_help;

/// The version, with the commit and the target that it was built of and for.
const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (commit ", env!("BUILD_COMMIT"), ", ", env!("BUILD_TARGET"), ")");

/// Decides whether a freshly deployed canary may take all the traffic
#[derive(Debug, Parser)]
#[command(
    name = "canary-gate",
    version = VERSION,
    propagate_version = true,
    after_help = after_help!("canary-gate verify --url https://canary---app-abc123-ew.a.run.app")
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How the gate speaks.
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Verify a canary: readiness, health, metrics and front end; the gate itself
    Verify(Box<Verify>),
    /// Evaluate one PromQL expression over a live scrape or a saved exposition
    Query(Query),
    /// Print the embedded default plan as a checks file to start from, or validate one
    Checks(Checks),
    /// Print the JSON Schema of the checks file or of the JSON report
    Schema(Schema),
}

impl Cli {
    /// Reads the process's arguments and environment; on a usage error it prints and exits with 2.
    #[must_use]
    pub fn read() -> Self {
        let known = environment::known(&Self::command());
        let mut command = environment::without_empty(Self::command());
        if let Err(message) = known {
            command.error(clap::error::ErrorKind::InvalidValue, message).exit();
        }
        let matches = command.get_matches_mut();
        let read = Self::from_arg_matches(&matches).map(|mut cli| {
            environment::split_lines(&mut cli.command, &matches);
            environment::mark(&mut cli.command, &matches);
            cli
        });
        read.unwrap_or_else(|error| error.format(&mut command).exit())
    }
}
