//! The limits of one request, and the schedule of its repetition.

use std::time::Duration;

/// The limits of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLimits {
    /// From the connection to the last byte of the body.
    pub(crate) time: Duration,
    /// Bytes of the body, decompressed.
    pub(crate) body: u64,
}

/// When to try again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryPolicy {
    /// How often after the first try; as often as the time allows where there is no number.
    pub(crate) retries: Option<u32>,
    /// The first wait; it doubles with each one.
    pub(crate) initial: Duration,
    /// The longest wait.
    pub(crate) max: Duration,
}
