//! `canary-gate schema`: the JSON Schemas, for editors and readers.

use super::{CommandError, Session};
use crate::cli::SchemaOf;
use crate::outcome::Exit;

pub(crate) fn run(session: &Session, of: SchemaOf) -> Result<Exit, CommandError> {
    session.print(match of {
        SchemaOf::Checks => include_str!("../../checks.schema.json"),
        SchemaOf::Report => include_str!("../../report.schema.json"),
    })?;
    Ok(Exit::Pass)
}
