//! What evidence proves: pure functions from what was measured to an answer and the sentence for it.

pub mod decision;
pub mod inventory;
