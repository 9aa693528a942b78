//! The exit codes of the process.

use serde::{Deserialize, Serialize};

use super::Verdict;

/// How the process ends. Only [`Exit::Pass`] promotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// 0: a pass, with or without warnings; for other commands: done.
    Pass,
    /// 1: a fail.
    Fail,
    /// 2: an error of usage or of the checks file, found before any request is made.
    Usage,
    /// 3: the verdict could not be reached.
    NoVerdict,
}

impl Exit {
    /// The code that the process ends with.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Usage => 2,
            Self::NoVerdict => 3,
        }
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Fail => Self::Fail,
            Verdict::Error => Self::NoVerdict,
        }
    }
}
