//! What every kind of check has by the same keys: whether it runs, whether it blocks, and its limits.

use std::time::Duration;

use super::Context;
use crate::http::{RequestLimits, RetryPolicy};
use crate::outcome::Severity;
use crate::plan::CheckPolicy;
use crate::plan::file::Backoff;
use crate::plan::meaning::Size;
use crate::plan::written::{Key, Meant};

/// The keys.
pub(super) struct Keys {
    pub(super) enabled: Key<bool>,
    pub(super) severity: Key<Severity>,
    pub(super) timeout: Key<Meant<Duration>>,
    pub(super) request_timeout: Key<Meant<Duration>>,
    pub(super) max_body: Key<Meant<Size>>,
    pub(super) backoff: Key<Backoff>,
    pub(super) retries: Key<u32>,
}

/// Takes them out of the keys of a check, but for those that its kind does not have.
macro_rules! keys {
    ($keys:ident, severity: $severity:expr, retries: $retries:expr) => {
        crate::plan::validate::policy::Keys {
            enabled: $keys.enabled,
            severity: $severity,
            timeout: $keys.timeout,
            request_timeout: $keys.request_timeout,
            max_body: $keys.max_body,
            backoff: $keys.backoff,
            retries: $retries,
        }
    };
}
pub(super) use keys;

pub(super) fn of(keys: Keys, context: &mut Context<'_, '_>) -> Option<CheckPolicy> {
    let Backoff { initial, max } = keys.backoff.get()?;
    let (initial, max) = (initial.into_at()?, max.into_at()?);
    if initial.value.meant > max.value.meant {
        let (first, last) = (&initial.value.written, &max.value.written);
        let message = format!("backoff.initial ({first}) is longer than backoff.max ({last})");
        context.conflict(initial.place.or(max.place), message);
    }
    let request = RequestLimits { time: keys.request_timeout.get()?.meant, body: keys.max_body.get()?.meant.0 };
    Some(CheckPolicy {
        enabled: keys.enabled.get()?,
        severity: keys.severity.get()?,
        limit: keys.timeout.get()?.meant,
        request,
        retry: RetryPolicy { retries: keys.retries.or_absent()?, initial: initial.value.meant, max: max.value.meant },
    })
}
