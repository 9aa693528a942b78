//! `canary-gate completions` and `canary-gate man`: what the flags say, for shells and for manuals.

use clap::CommandFactory as _;

use super::{CommandError, Session};
use crate::cli::{Cli, Completions, Man};
use crate::outcome::Exit;
use crate::text;

const NAME: &str = "canary-gate";

pub(crate) fn completions(session: &Session, args: &Completions) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut script);
    session.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Pass)
}

pub(crate) fn man(session: &Session, args: &Man) -> Result<Exit, CommandError> {
    let mut whole = Cli::command();
    // What the flags of every command are is said in each of its pages.
    whole.build();
    let command = match &args.command {
        None => whole,
        Some(name) => whole.find_subcommand(name).cloned().ok_or_else(|| unknown(&whole, name))?,
    };
    let mut page = Vec::new();
    let written =
        clap_mangen::Man::new(command).source(concat!("canary-gate ", env!("CARGO_PKG_VERSION"))).render(&mut page);
    written.map_err(|error| CommandError::no_verdict(format!("the manual page cannot be made: {error}")))?;
    session.print(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Pass)
}

fn unknown(whole: &clap::Command, name: &str) -> CommandError {
    let names: Vec<&str> = whole.get_subcommands().map(clap::Command::get_name).collect();
    let hint = match text::similar(name, names.iter().copied()).first() {
        Some(similar) => format!("did you mean {similar}?"),
        None => format!("there are {}", names.join(", ")),
    };
    CommandError::usage(format!("there is no command {name:?}; {hint}"))
}
