//! Bounds on what a storage keeps.

use std::fmt;

/// How much a storage keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest number of series.
    pub series: usize,
    /// The largest number of points, those of all series together.
    pub points: usize,
}

impl Default for Limits {
    /// Two million series and twenty million points: about 500 MB.
    fn default() -> Self {
        Self { series: 2_000_000, points: 20_000_000 }
    }
}

/// The bound that a storage has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// No more than this number of series.
    Series(usize),
    /// No more than this number of points.
    Points(usize),
    /// No more than 4 GiB of label names and values.
    Text,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series(limit) => {
                write!(f, "more than {limit} series: it looks as if ids or times went into metric names or labels")
            }
            Self::Points(limit) => write!(f, "more than {limit} samples in all series together"),
            Self::Text => f.write_str("more than 4 GiB of label names and values"),
        }
    }
}

impl std::error::Error for Full {}
