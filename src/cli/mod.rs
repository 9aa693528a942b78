//! The command line, as types: one file a command. Every flag has an environment twin; a flag beats its twin.

mod audit;
mod checks;
mod documents;
mod drill;
mod environment;
mod groups;
mod history;
mod init;
mod lint;
mod query;
#[cfg(test)]
mod reference;
mod release;
mod replay;
mod rollback;
mod verify;
mod watch;

use std::ffi::OsString;

use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use audit::Audit;
pub use checks::{Checks, Schema, SchemaOf};
pub use documents::{Completions, Man};
pub use drill::Drill;
pub use groups::{
    AccessArgs, CloudArgs, ColorWhen, CoordinateArgs, CredentialArgs, EndpointArgs, GoogleArgs, NetworkArgs,
    OutputArgs, PlanArgs, ReportArgs,
};
pub use history::History;
pub use init::Init;
pub use lint::{Lint, LintCommand, LintFormat};
pub use query::{Query, QueryFormat};
pub use release::{FollowArgs, Release};
pub use replay::Replay;
pub use rollback::Rollback;
pub use verify::Verify;
pub use watch::Watch;

/// What stands below the flags of every command: examples, and the exit codes; those of the gate where none are given.
macro_rules! after_help {
    ($examples:expr) => {
        crate::cli::after_help!(
            $examples,
            "0  pass, with or without warnings: the only one that promotes\n  \
             1  fail\n  \
             2  an error of usage or of the checks file, found before any request is made\n  \
             3  the verdict could not be reached"
        )
    };
    ($examples:expr, $codes:expr) => {
        concat!(
            "Examples:\n  ",
            $examples,
            "\n\nExit codes:\n  ",
            $codes,
            "\n\nAn empty environment variable counts as not set."
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
    /// Go through the checklist after a deploy: traffic, revisions, health, metrics, logs, errors, latency
    Audit(Box<Audit>),
    /// Evaluate one PromQL expression over a live scrape or a saved exposition
    Query(Query),
    /// Print the embedded default plan as a checks file to start from, or validate one
    Checks(Checks),
    /// Prove that the gate can fail: play faults between it and a healthy service, and tell which check catches which
    Drill(Box<Drill>),
    /// Judge recorded runs again, without a network, by the same or by other thresholds
    Replay(Replay),
    /// Make a release and its rollout, and follow that to its own end
    Release(Box<Release>),
    /// Follow a rollout to its own end, what automation does with it included
    Watch(Box<Watch>),
    /// Go back to the revision that was stable before, by Cloud Deploy or by traffic, and verify it
    Rollback(Box<Rollback>),
    /// Write the table of a folder of deployment records into its README.md
    History(History),
    /// Print the JSON Schema of the checks file or of the JSON report
    Schema(Schema),
    /// Write a pipeline's files from a few names
    Init(Init),
    /// Name every mistake in a pipeline's files, each by itself and against the others
    Lint(Lint),
    /// Print the completions of a shell
    Completions(Completions),
    /// Print the manual page, or that of a command
    Man(Man),
}

/// A command of the gate that a pipeline runs.
pub(crate) enum GateCommand {
    Verify(Box<Verify>),
    Audit(Box<Audit>),
}

/// The arguments of a run of the gate that is written down somewhere, read whatever this process's environment is.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn gate_arguments(words: &[String]) -> Result<GateCommand, String> {
    let command = environment::without_twins(Cli::command());
    let words = std::iter::once("canary-gate").chain(words.iter().map(|word| &**word));
    let first = |error: clap::Error| {
        let text = error.to_string();
        let sentence = text.lines().next().unwrap_or_default();
        sentence.strip_prefix("error: ").unwrap_or(sentence).to_owned()
    };
    let cli = command.try_get_matches_from(words).and_then(|matches| Cli::from_arg_matches(&matches)).map_err(first)?;
    match cli.command {
        Command::Verify(verify) => Ok(GateCommand::Verify(verify)),
        Command::Audit(audit) => Ok(GateCommand::Audit(audit)),
        _ => Err("this is neither the command verify nor the command audit".into()),
    }
}

impl Cli {
    /// Reads the process's arguments and environment; on a usage error it prints and exits with 2.
    #[must_use]
    pub fn read() -> Self {
        let known = environment::known(&Self::command());
        let args: Vec<String> = std::env::args_os().skip(1).filter_map(|arg| arg.into_string().ok()).collect();
        let mut command = environment::without_beaten(environment::without_empty(Self::command()), &args)
            .color(color(std::env::args_os().skip(1), std::env::var_os("CANARY_GATE_COLOR")));
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

/// When help and errors of usage are coloured: that is asked before the arguments are read, and whatever they hold.
fn color(args: impl Iterator<Item = OsString>, variable: Option<OsString>) -> ColorChoice {
    let args: Vec<String> = args.filter_map(|arg| arg.into_string().ok()).take_while(|arg| arg != "--").collect();
    let flag = args.iter().enumerate().find_map(|(index, arg)| match arg.strip_prefix("--color")? {
        "" => args.get(index + 1).cloned(),
        value => value.strip_prefix('=').map(str::to_owned),
    });
    match flag.or_else(|| variable?.into_string().ok()).as_deref() {
        Some("never") => ColorChoice::Never,
        Some("always") => ColorChoice::Always,
        _ => ColorChoice::Auto,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_known_before_the_arguments_are() {
        for (args, variable, wanted) in [
            ("verify", None, ColorChoice::Auto),
            ("verify --color never --nonsense", None, ColorChoice::Never),
            ("--color=always", Some("never"), ColorChoice::Always),
            ("verify", Some("never"), ColorChoice::Never),
            ("verify --colors=never -- --color never", None, ColorChoice::Auto),
            ("--color", Some("always"), ColorChoice::Always),
        ] {
            let found = color(args.split(' ').map(OsString::from), variable.map(OsString::from));
            assert_eq!(found, wanted, "{args} {variable:?}");
        }
    }
}
