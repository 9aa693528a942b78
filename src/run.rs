//! From the command line to the exit code.

use crate::cli::{Cli, Command};
use crate::command::{
    CommandError, Session, audit, checks, documents, history, init, lint, query, release, replay, rollback, schema,
    verify, watch,
};
use crate::outcome::Exit;

/// Runs a command.
#[must_use]
pub fn run(cli: Cli) -> Exit {
    let mut session = Session::new(&cli.output);
    let ended = session.start_log(&cli.output).and_then(|()| match cli.command {
        Command::Verify(args) => verify::run(&session, &args),
        Command::Audit(args) => audit::run(&session, &args),
        Command::Query(args) => query::run(&session, &args),
        Command::Checks(args) => checks::run(&session, &args),
        Command::Release(args) => release::run(&session, &args),
        Command::Watch(args) => watch::run(&session, &args),
        Command::Replay(args) => replay::run(&session, &args),
        Command::Rollback(args) => rollback::run(&session, &args),
        Command::History(args) => history::run(&session, &args),
        Command::Completions(args) => documents::completions(&session, &args),
        Command::Man(args) => documents::man(&session, &args),
        Command::Schema(args) => schema::run(&session, args.of),
        Command::Init(args) => init::run(&session, &args),
        Command::Lint(args) => lint::run(&session, &args),
    });
    ended.unwrap_or_else(|CommandError { exit, message }| {
        session.complain(&message);
        exit
    })
}
