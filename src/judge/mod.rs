//! What evidence proves: pure functions from what was measured to an answer, and the sentence for it.

mod decision;
mod inventory;

pub(crate) use decision::{Decision, decide, decide_over, limit_on_left};
pub(crate) use inventory::Inventory;
