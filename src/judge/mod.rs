//! What evidence proves: pure functions from what was measured to an answer, and the sentence for it.

mod blind;
#[cfg_attr(
    not(test),
    expect(dead_code, unused_imports, reason = "the check that measures pairs of requests is to use it")
)]
pub(crate) mod compare;
mod decision;
mod distribution;
mod inventory;
mod labels;
#[cfg_attr(not(test), expect(dead_code, reason = "as for `compare`"))]
pub(crate) mod proof;
#[cfg_attr(not(test), expect(dead_code, reason = "as for `compare`"))]
pub(crate) mod quantile;
mod reads;
#[cfg_attr(not(test), expect(dead_code, unused_imports, reason = "as for `compare`"))]
pub(crate) mod shape;

pub(crate) use blind::{Evidence, Made};
pub(crate) use decision::{Decision, decide, decide_over, limit_on_left};
pub(crate) use inventory::Inventory;
pub(crate) use labels::Shown;
