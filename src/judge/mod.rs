//! What evidence proves: pure functions from what was measured to an answer, and the sentence for it.

mod blind;
mod bucket_quantiles;
pub(crate) mod compare;
mod decision;
mod distribution;
mod inventory;
mod labels;
pub(crate) mod proof;
pub(crate) mod quantile;
mod reads;
pub(crate) mod shape;

pub(crate) use blind::{Evidence, Made};
pub(crate) use bucket_quantiles::{beyond_bounds, buckets_of, falling, unbounded};
pub(crate) use decision::{Decision, decide, decide_over, limit_on_left};
pub(crate) use inventory::Inventory;
pub(crate) use labels::{Shown, order};
pub(crate) use reads::{needs_two_samples, unread};
