//! One checks file over another: what the upper one leaves out keeps the lower one's value.

use super::file::{
    Audit, Backoff, Expect, Exposed, File, Http, Limits, Metrics, Ratio, Ready, Revisions, Row, Smoke, Tags, Time,
    Traffic,
};
use super::written::{At, Key};

/// Field by field, the value of `self` where there is one, else that of `base`.
pub(super) trait Overlay {
    fn over(self, base: Self) -> Self;
}

impl<T> Key<T> {
    /// A value replaces the one below.
    fn replacing(self, base: Self) -> Self {
        match self {
            Self::Absent => base,
            upper => upper,
        }
    }
}

impl<T: Overlay> Key<T> {
    /// A part is laid over the one below.
    fn merged(self, base: Self) -> Self {
        match (self, base) {
            (Self::Given(At { value, place, block }), Self::Given(base)) => {
                Self::Given(At { value: value.over(base.value), place, block })
            }
            (upper, base) => upper.replacing(base),
        }
    }
}

/// `values` replace each other whole; `parts` are overlaid in turn.
macro_rules! overlay {
    ($type:ident { $($value:ident),* } { $($part:ident),* }) => {
        impl Overlay for $type {
            fn over(self, base: Self) -> Self {
                Self { $($value: self.$value.replacing(base.$value),)* $($part: self.$part.merged(base.$part),)* }
            }
        }
    };
}

overlay!(File { timeout, headers, identity, http } { ready, health, readiness, metrics, smoke, traffic, audit });
overlay!(Backoff { initial, max } {});
overlay!(Expect { status, json, headers, body } {});
overlay!(Ready { enabled, path, timeout, request_timeout, max_body } { backoff });
overlay!(Http {
    enabled, severity, method, path, headers, body, timeout, request_timeout, max_body, retries
} { expect, backoff });
overlay!(Metrics {
    enabled, severity, path, headers, require, thresholds, rules, severities, window, interval, fail_fast,
    max_failed_scrapes, labels, honor_timestamps, instance, baseline, source, url, token, timeout, request_timeout, max_body
} { backoff });
overlay!(Smoke {
    enabled, severity, requests, page, assets, asset_skew, imports, min_assets, max_assets, concurrency, max_redirects, timeout, request_timeout,
    max_body
} { backoff });
overlay!(Traffic {
    enabled, severity, requests, rate, duration, warm_up, max_in_flight, max_lag, max_bytes, compare, baseline, min_difference, counters, thresholds, on_unproven,
    seed, request_timeout, max_body
} { limits });
overlay!(Audit { span, lag, min_requests } {
    traffic, pin, tags, services, revisions, health, metrics, logs, new_errors, errors, latency, memory, cold_start,
    startup_probe, record
});
overlay!(Row { enabled, severity, on_no_data } {});
overlay!(Tags { enabled, severity, on_no_data, keep } {});
overlay!(Revisions { enabled, severity, on_no_data, max } {});
overlay!(Exposed { enabled, severity, on_no_data, families, moving, interval } {});
overlay!(Ratio { enabled, severity, on_no_data, limit } {});
overlay!(Time { enabled, severity, on_no_data, limit } {});
overlay!(Limits { errors, p95, first_answer } {});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::meaning::duration;
    use crate::plan::written::Meant;

    #[test]
    fn what_is_left_out_keeps_the_value_below() {
        let key = |written: &str| match written {
            "" => Key::Absent,
            "wrong" => Key::Wrong,
            _ => Key::of(Meant { written: written.to_owned(), meant: duration(written).unwrap() }),
        };
        let shown = |key: Key<Meant<_>>| match key {
            Key::Absent => String::new(),
            Key::Wrong => "wrong".into(),
            Key::Given(at) => at.value.written,
        };
        for (upper, lower, wanted) in
            [("", "", ""), ("1s", "2s", "1s"), ("", "2s", "2s"), ("1s", "", "1s"), ("wrong", "2s", "wrong")]
        {
            assert_eq!(shown(key(upper).replacing(key(lower))), wanted, "{upper:?} over {lower:?}");
            let backoff = |initial| Key::of(Backoff { initial: key(initial), max: key("9s") });
            let merged = backoff(upper).merged(backoff(lower)).get().unwrap();
            assert_eq!((shown(merged.initial), shown(merged.max)), (wanted.to_owned(), "9s".to_owned()));
        }
        let below = || Key::of(Backoff { initial: key("1s"), max: key("9s") });
        assert!(Key::Wrong.merged(below()).is_wrong());
        assert_eq!(shown(Key::Absent.merged(below()).get().unwrap().initial), "1s");
    }
}
