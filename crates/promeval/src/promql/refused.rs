//! What Prometheus has and this crate has not: why, and what to write instead.
//!
//! Two reasons: a feature flag that is off by default, and native histograms, which no text exposition carries.

/// Why something is refused.
#[derive(Clone, Copy)]
enum Reason {
    /// It is behind this flag in Prometheus.
    Flag(&'static str),
    /// It reads native histograms.
    Native,
}

const EXPERIMENTAL: Reason = Reason::Flag("promql-experimental-functions");
const EXTENDED: Reason = Reason::Flag("promql-extended-range-selectors");
const FILL: Reason = Reason::Flag("promql-binop-fill-modifiers");

/// Names, why they are refused, and what to write instead.
const REFUSED: &[(&[&str], Reason, &str)] = &[
    (
        &["double_exponential_smoothing", "holt_winters"],
        EXPERIMENTAL,
        "use avg_over_time, or predict_linear for a trend",
    ),
    (&["end", "start"], EXPERIMENTAL, "use time(), or @ start() and @ end() after a selector"),
    (&["range", "step"], EXPERIMENTAL, "it is known inside a range, a step or an offset only, as in a[step()]"),
    (&["histogram_quantiles"], EXPERIMENTAL, "call histogram_quantile once for each quantile"),
    (&["info"], EXPERIMENTAL, "join the labels: x * on (job, instance) group_left (version) target_info"),
    (&["limitk", "limit_ratio"], EXPERIMENTAL, "use topk or bottomk"),
    (&["mad_over_time"], EXPERIMENTAL, "use stddev_over_time"),
    (&["max_of", "min_of"], EXPERIMENTAL, "use clamp_min or clamp_max; inside a range or an offset it is known"),
    (&["sort_by_label", "sort_by_label_desc"], EXPERIMENTAL, "leave it out: order does not change values"),
    (&["start_timestamp"], EXPERIMENTAL, "use the metric that ends in _created, where there is one"),
    (
        &["ts_of_first_over_time", "ts_of_last_over_time", "ts_of_max_over_time", "ts_of_min_over_time"],
        EXPERIMENTAL,
        "use timestamp(), or a subquery over it",
    ),
    (&["anchored", "smoothed"], EXTENDED, "leave it out: rate and increase extrapolate to the ends of the range"),
    (&["fill", "fill_left", "fill_right"], FILL, "write or after the side that may be missing: a + (b or a * 0)"),
    (&["histogram_avg"], Reason::Native, "of a classic histogram x it is rate(x_sum[5m]) / rate(x_count[5m])"),
    (&["histogram_count"], Reason::Native, "of a classic histogram x it is x_count"),
    (&["histogram_sum"], Reason::Native, "of a classic histogram x it is x_sum"),
    (&["histogram_stddev", "histogram_stdvar"], Reason::Native, "of a classic histogram take histogram_quantile"),
    (&["</", ">/"], Reason::Native, "of a classic histogram select the buckets by le"),
];

/// The sentence that refuses a function, an aggregation, a modifier or an operator.
pub(super) fn of(name: &str) -> Option<String> {
    let (_, reason, instead) = REFUSED.iter().find(|(names, ..)| names.contains(&name))?;
    Some(match reason {
        Reason::Flag(flag) => {
            format!("{name} is experimental in Prometheus; it is not supported here (feature flag {flag}): {instead}")
        }
        Reason::Native => {
            let why = "works on native histograms, which a text exposition cannot carry";
            format!("{name} {why}; it is not supported here: {instead}")
        }
    })
}
