//! What operates the cloud: the commands around the gate, as data and events; they never print.

pub(crate) mod audit;
mod patience;
mod pin;
pub(crate) mod release;
pub(crate) mod rollback;
pub(crate) mod watch;

pub(crate) use patience::{is_late, patiently, persistently, with_time_to_look};
pub(crate) use pin::pin;

use std::fmt;

use crate::google::{ApiError, ApiErrorKind};

/// Why a command ends without having done what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It is seen not to be done, or must not be done.
    NotDone(String),
    /// It could not be seen, or the API refuses.
    Unseen(String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDone(why) | Self::Unseen(why) => f.write_str(why),
        }
    }
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Self {
        match error.kind {
            ApiErrorKind::Conflict => Self::NotDone(error.to_string()),
            ApiErrorKind::Transient
            | ApiErrorKind::Denied
            | ApiErrorKind::Forbidden
            | ApiErrorKind::Missing
            | ApiErrorKind::Permanent => Self::Unseen(error.to_string()),
        }
    }
}
