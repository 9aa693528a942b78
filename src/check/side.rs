//! The two revisions that a check may look at side by side.

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Canary,
    Stable,
}

impl Side {
    /// As labels and sentences name it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Stable => "stable",
        }
    }
}
