//! Series that rules write: recorded ones, and the states of alerts.

use std::collections::HashSet;
use std::mem;

use super::points::Adding;
use super::scrape::end;
use super::{Full, Point, Storage};
use crate::labels::Labels;

/// The series that one rule writes. A series that an evaluation no longer gives ends with a stale marker, as on a server.
///
/// An evaluation that fails writes nothing, and ends nothing.
#[derive(Clone, Debug, Default)]
pub struct RuleSeries {
    alive: HashSet<u32>,
}

impl RuleSeries {
    /// Stores what the rule gave at a time in milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// The limit that the storage has reached; what came before it is stored.
    pub fn write(
        &mut self,
        storage: &mut Storage,
        elements: impl IntoIterator<Item = (Labels, f64)>,
        at: i64,
    ) -> Result<(), Full> {
        let before = mem::take(&mut self.alive);
        for (labels, value) in elements {
            if let Some(series) = storage.kept_series(&labels)? {
                storage.add(series, Point { time: at, value }, Adding::LastWins)?;
                self.alive.insert(series);
            }
        }
        let mut gone: Vec<u32> = before.difference(&self.alive).copied().collect();
        gone.sort_unstable();
        end(storage, &gone, at)
    }
}
