//! The commands: one file each, over one [`Session`].

pub(crate) mod checks;
mod process;
pub(crate) mod query;
pub(crate) mod replay;
pub(crate) mod schema;
mod session;
pub(crate) mod verify;

pub(crate) use session::{CommandError, Session};
