//! The commands, from their arguments to their exit codes. All that touches the process is here: environment, signals,
//! standard streams.

mod query;
mod verify;

use std::io::Write as _;

use crate::cli::{Cli, Command};
use crate::plan::DEFAULT;

/// The exit code for errors that are found before any request is made.
const USAGE: u8 = 2;

/// The exit code for a verdict that could not be reached.
const NO_VERDICT: u8 = 3;

/// Runs a command and answers with the exit code.
#[must_use]
pub fn run(cli: Cli) -> u8 {
    match cli.command {
        Command::Verify(args) => verify::run(&args),
        Command::Query(args) => query::run(&args),
        Command::Checks => print(DEFAULT),
    }
}

/// Writes to standard output. A reader that has gone away wants no more and is no error.
fn print(text: &str) -> u8 {
    let written = std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush());
    match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            fail(NO_VERDICT, &format!("standard output: {error}"))
        }
        _ => 0,
    }
}

/// Tells the person what is wrong.
fn fail(code: u8, message: &str) -> u8 {
    let _ = writeln!(std::io::stderr(), "canary-gate: {message}");
    code
}

/// A runtime for one thread of I/O.
fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("the runtime cannot be started: {error}"))
}
