//! The embedded sample: a healthy service that answers what the default plan asks, from memory.

use super::wire::Reply;

/// The address that it is known by; nobody is asked there.
pub(super) const ADDRESS: &str = "http://sample.localhost";

const PAGE: &str = "<!doctype html>\n<html lang=\"en\"><head><title>Sample</title>\n\
    <script type=\"module\" src=\"/assets/index-4f2a91c7.js\"></script>\n\
    <link rel=\"stylesheet\" href=\"/assets/index-9bd03e11.css\">\n\
    </head><body><div id=\"root\"></div></body></html>\n";

const METRICS: &str = "\
    # HELP memory_analysis_failure_total Failed analyses.\n\
    # TYPE memory_analysis_failure_total counter\n\
    memory_analysis_failure_total{error_type=\"timeout\",provider=\"openai\"} 1\n\
    # HELP memory_analysis_cache_hits_total Analyses served from the cache.\n\
    # TYPE memory_analysis_cache_hits_total counter\n\
    memory_analysis_cache_hits_total 90\n\
    # HELP memory_analysis_cache_misses_total Analyses not found in the cache.\n\
    # TYPE memory_analysis_cache_misses_total counter\n\
    memory_analysis_cache_misses_total 10\n";

/// What it answers for a path.
pub(super) fn answer(target: &str) -> Reply {
    let path = target.split('?').next().unwrap_or(target);
    let (media_type, body) = match path {
        "/" => ("text/html; charset=utf-8", PAGE),
        "/assets/" => ("text/html; charset=utf-8", "<!doctype html><title>assets</title>"),
        "/assets/index-4f2a91c7.js" => ("text/javascript; charset=utf-8", "export const app = 1;\n"),
        "/assets/index-9bd03e11.css" => ("text/css; charset=utf-8", "body { margin: 0 }\n"),
        "/api/health" => ("application/json", r#"{"status":"ok"}"#),
        "/health/readiness" => ("application/json", r#"{"ready":true}"#),
        "/api/metrics" => ("text/plain; version=0.0.4; charset=utf-8", METRICS),
        _ => return Reply::new(404, "application/json", r#"{"detail":"Not Found"}"#),
    };
    Reply::new(200, media_type, body)
}
