//! What evidence proves: pure functions from what was measured to an answer, and the sentence for it.

mod blind;
mod decision;
mod inventory;
mod labels;
mod reads;

pub(crate) use blind::{Evidence, Made};
pub(crate) use decision::{Decision, decide, decide_over, limit_on_left};
pub(crate) use inventory::Inventory;
pub(crate) use labels::{Shown, order};
