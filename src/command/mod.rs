//! The commands: one file each, over one [`Session`].

mod afterwards;
pub(crate) mod audit;
pub(crate) mod checks;
mod coordinates;
pub(crate) mod documents;
pub(crate) mod drill;
pub(crate) mod history;
pub(crate) mod init;
pub(crate) mod lint;
mod process;
pub(crate) mod query;
pub(crate) mod release;
pub(crate) mod replay;
pub(crate) mod rollback;
pub(crate) mod schema;
mod session;
mod signals;
mod told;
pub(crate) mod verify;
pub(crate) mod watch;
mod watchdog;

pub(crate) use session::{CommandError, Session};
