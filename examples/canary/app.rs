//! The application behind the sample canary: health, readiness, metrics from a real Prometheus client library, and a page
//! with hashed assets.

use std::io::Write as _;

use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    TextEncoder,
};
use prometheus_client::metrics as openmetrics;

use super::server::{Reply, Request};

pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub const ITEMS: &str = "/api/items";
pub const SCRIPT: &str = "/assets/index-4f2a91c7.js";
pub const VENDOR: &str = "/assets/vendor-77d0c1be.js";
pub const STYLE: &str = "/assets/index-9bd03e11.css";

/// What has happened in the application so far.
#[derive(Clone, Debug)]
pub struct Traffic {
    /// Failed analyses by provider and kind of error.
    pub failures: Vec<(&'static str, &'static str, u64)>,
    pub cache_hits: u64,
    pub cache_misses: u64,
    pub analyses: u64,
}

impl Default for Traffic {
    fn default() -> Self {
        Self { failures: vec![("openai", "timeout", 1)], cache_hits: 90, cache_misses: 10, analyses: 100 }
    }
}

/// What the healthy application answers.
pub fn answer(request: &Request) -> Reply {
    answer_with(request, &Traffic::default())
}

/// What the healthy application answers after the given traffic.
pub fn answer_with(request: &Request, traffic: &Traffic) -> Reply {
    match &*request.path {
        "/" => Reply::new(200, "text/html; charset=utf-8", page()),
        "/assets/" => Reply::new(200, "text/html; charset=utf-8", "<!doctype html><title>assets</title>"),
        SCRIPT => Reply::new(200, "text/javascript; charset=utf-8", script()),
        VENDOR => Reply::new(200, "text/javascript; charset=utf-8", "export const start = () => {};\n"),
        STYLE => Reply::new(200, "text/css; charset=utf-8", "body { margin: 0 }\n"),
        "/api/health" => {
            Reply::json(200, r#"{"status":"ok","version":"2026.11.1","checks":{"database":{"status":"ok"}}}"#)
        }
        ITEMS => Reply::json(200, &items()),
        "/health/readiness" => Reply::json(200, r#"{"ready":true}"#),
        "/api/metrics" => Reply::new(200, TEXT, metrics(traffic)),
        _ => Reply::json(404, r#"{"detail":"Not Found"}"#),
    }
}

pub fn items() -> String {
    r#"{"items":[{"id":1,"name":"lamp","price":9.5,"tags":["new"]},{"id":2,"name":"desk","price":120,"tags":[]}],"next":null}"#.into()
}

/// The entry: a module that imports another.
pub fn script() -> String {
    let vendor = VENDOR.trim_start_matches("/assets/");
    format!("import{{start as s}}from\"./{vendor}\";const a=/[\"'`]/;s(`${{a}}`);export const app=1;\n")
}

pub fn page() -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n  <title>Sample</title>\n  \
         <script type=\"module\" crossorigin src=\"{SCRIPT}\"></script>\n  \
         <link rel=\"modulepreload\" crossorigin href=\"{VENDOR}\">\n  \
         <link rel=\"stylesheet\" crossorigin href=\"{STYLE}\">\n\
         </head>\n<body><div id=\"root\"></div></body>\n</html>\n"
    )
}

/// The application's metrics in the Prometheus text format.
pub fn metrics(traffic: &Traffic) -> String {
    let registry = Registry::new();
    fill(&registry, traffic).expect("the metrics are well-formed");
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text).expect("the metrics can be written");
    let text = String::from_utf8(text).expect("the metrics are text");
    // This library leaves out families that have no samples yet; the application's own library declares them all.
    let undeclared =
        [("memory_analysis_failure_total", "Failed analyses."), ("memory_analysis_success_total", "Analyses.")];
    undeclared.iter().fold(text, |text, (name, help)| {
        let declared = text.contains(&format!("# TYPE {name} "));
        if declared { text } else { format!("# HELP {name} {help}\n# TYPE {name} counter\n{text}") }
    })
}

fn fill(registry: &Registry, traffic: &Traffic) -> prometheus::Result<()> {
    let counters = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntCounterVec> {
        let family = IntCounterVec::new(Opts::new(name, help), labels)?;
        registry.register(Box::new(family.clone()))?;
        Ok(family)
    };
    let counter = |name: &str, help: &str, value: u64| -> prometheus::Result<()> {
        let family = IntCounter::new(name, help)?;
        family.inc_by(value);
        registry.register(Box::new(family))
    };
    let histogram = |name: &str, help: &str, values: &[f64]| -> prometheus::Result<()> {
        let family = Histogram::with_opts(HistogramOpts::new(name, help))?;
        for value in values {
            family.observe(*value);
        }
        registry.register(Box::new(family))
    };
    let success = counters("memory_analysis_success_total", "Analyses that succeeded.", &["provider"])?;
    if traffic.analyses > 0 {
        success.with_label_values(&["openai"]).inc_by(traffic.analyses);
    }
    let failure = counters("memory_analysis_failure_total", "Analyses that failed.", &["provider", "error_type"])?;
    for (provider, error, count) in &traffic.failures {
        failure.with_label_values(&[provider, error]).inc_by(*count);
    }
    counter("memory_analysis_cache_hits_total", "Analyses served from the cache.", traffic.cache_hits)?;
    counter("memory_analysis_cache_misses_total", "Analyses not found in the cache.", traffic.cache_misses)?;
    let size = Gauge::new("memory_analysis_cache_size", "Entries in the cache.")?;
    size.set(42.0);
    registry.register(Box::new(size))?;
    let duration = HistogramVec::new(
        HistogramOpts::new("memory_analysis_duration_seconds", "Duration of an analysis."),
        &["provider"],
    )?;
    for step in 0..u32::try_from(traffic.analyses.min(50)).unwrap_or(50) {
        duration.with_label_values(&["openai"]).observe(f64::from(step) / 40.0);
    }
    registry.register(Box::new(duration))?;
    counter("concept_recall_detections_total", "Concepts detected.", 12)?;
    counter("concept_recall_events_emitted_total", "Events emitted.", 11)?;
    counter("concept_recall_false_positives_total", "Detections later withdrawn.", 1)?;
    let interactions = counters("concept_recall_interactions_total", "Interactions with recalls.", &["action"])?;
    interactions.with_label_values(&["dismissed"]).inc_by(3);
    interactions.with_label_values(&["opened"]).inc_by(8);
    histogram("concept_recall_similarity_score", "Similarity of recalled concepts.", &[0.71, 0.83, 0.94])?;
    histogram("concept_recall_detection_latency_seconds", "Time to detect.", &[0.02, 0.03])?;
    histogram("concept_recall_vector_search_duration_seconds", "Time to search.", &[0.004, 0.006])?;
    let labels = ["collection_name", "threshold", "max_recalls"];
    let info = GaugeVec::new(Opts::new("concept_recall_system_info", "How recall is set up."), &labels)?;
    info.with_label_values(&["concepts", "0.7", "3"]).set(1.0);
    registry.register(Box::new(info))
}

/// The families that the thresholds read, in OpenMetrics.
pub fn openmetrics(traffic: &Traffic) -> String {
    use openmetrics::counter::Counter;
    use openmetrics::family::Family;
    use openmetrics::histogram::Histogram;
    let mut registry = prometheus_client::registry::Registry::default();
    let failures: Family<Vec<(String, String)>, Counter> = Family::default();
    for (provider, error, count) in &traffic.failures {
        let labels =
            vec![("provider".to_owned(), (*provider).to_owned()), ("error_type".to_owned(), (*error).to_owned())];
        failures.get_or_create(&labels).inc_by(*count);
    }
    registry.register("memory_analysis_failure", "Analyses that failed", failures);
    for (name, value) in
        [("memory_analysis_cache_hits", traffic.cache_hits), ("memory_analysis_cache_misses", traffic.cache_misses)]
    {
        let counter: Counter = Counter::default();
        counter.inc_by(value);
        registry.register(name, "Cache lookups", counter);
    }
    let histogram = Histogram::new([0.01, 0.1, 1.0]);
    histogram.observe(0.05);
    registry.register("concept_recall_detection_latency_seconds", "Time to detect", histogram);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).expect("the metrics can be written");
    text
}

pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("memory can be written to")
}
