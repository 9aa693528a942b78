//! One checks file over another: what the upper one leaves out keeps the lower one's value.

use super::file::{Backoff, Expect, File, Http, Metrics, Ready, Smoke};

/// Field by field, the value of `self` where there is one, else that of `base`.
pub(super) trait Overlay {
    fn over(self, base: Self) -> Self;
}

/// An optional part made of optional fields.
impl<T: Overlay> Overlay for Option<T> {
    fn over(self, base: Self) -> Self {
        match (self, base) {
            (Some(upper), Some(lower)) => Some(upper.over(lower)),
            (upper, lower) => upper.or(lower),
        }
    }
}

/// `values` replace each other whole; `parts` are overlaid in turn.
macro_rules! overlay {
    ($type:ident { $($value:ident),* } { $($part:ident),* }) => {
        impl Overlay for $type {
            fn over(self, base: Self) -> Self {
                Self { $($value: self.$value.or(base.$value),)* $($part: self.$part.over(base.$part),)* }
            }
        }
    };
}

overlay!(File { timeout, headers, http } { ready, health, readiness, metrics, smoke });
overlay!(Backoff { initial, max } {});
overlay!(Expect { status, json, headers, body } {});
overlay!(Ready { enabled, path, timeout, request_timeout, max_body } { backoff });
overlay!(Http {
    enabled, severity, method, path, headers, body, timeout, request_timeout, max_body, retries
} { expect, backoff });
overlay!(Metrics {
    enabled, severity, path, headers, require, thresholds, rules, severities, window, interval, fail_fast,
    max_failed_scrapes, instance, baseline, source, url, token, timeout, request_timeout, max_body
} { backoff });
overlay!(Smoke {
    enabled, severity, requests, page, assets, asset_skew, imports, min_assets, max_assets, concurrency, max_redirects, timeout, request_timeout,
    max_body
} { backoff });
