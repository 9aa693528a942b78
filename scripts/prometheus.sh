#!/usr/bin/env bash
# Thresholds asked of a real Prometheus that scrapes the sample canary: source: prometheus, end to end.
#
# Needs Debian's prometheus.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait 2>/dev/null || true; rm -rf "$work"' EXIT
fail() { echo "prometheus: $*" >&2; exit 1; }

cargo build --quiet --example demo --bin canary-gate
./target/debug/examples/demo --serve >"$work/url" & pids+=($!)
for _ in $(seq 100); do [ -s "$work/url" ] && break; sleep 0.1; done
canary=$(cat "$work/url")
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$work/prometheus.yml" <<YAML
global: {scrape_interval: 500ms, scrape_timeout: 400ms}
scrape_configs:
  - job_name: canary
    metrics_path: /api/metrics
    static_configs: [{targets: ["${canary#http://}"]}]
YAML
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" --web.listen-address="127.0.0.1:$port" \
  --log.level=error >"$work/log" 2>&1 & pids+=($!)
server=http://127.0.0.1:$port
for _ in $(seq 200); do
  curl -sf "$server/api/v1/query?query=count_over_time(memory_analysis_cache_size%5B1m%5D)" | grep -q '"4"' && break
  sleep 0.1
done

gate() { # CODE PIECE THRESHOLDS: runs the gate with thresholds asked of the server
  local code=0
  cat >"$work/checks.yaml" <<YAML
metrics: {source: prometheus, url: "$4", timeout: 5s, require: [], thresholds: $3}
YAML
  ./target/debug/canary-gate verify --url "$canary" --checks "$work/checks.yaml" >"$work/out" 2>&1 || code=$?
  [ "$code" = "$1" ] && grep -qF -- "$2" "$work/out" || { cat "$work/out" >&2; fail "exit $code, want $1 with \"$2\""; }
  echo "prometheus: exit $code as wanted: $2"
}
gate 0 '1, want <= 2; asked of' '[{expr: "sum by (job) (memory_analysis_failure_total) <= 2"}]' "$server"
gate 0 '0, want < 1' '[{expr: "sum(rate(memory_analysis_failure_total[10s])) < 1"}]' "$server"
gate 1 '1, want <= 0' '[{expr: "sum(memory_analysis_failure_total) <= 0"}]' "$server"
gate 0 'want >' '[{expr: "memory_analysis_cache_hits_total > on(instance) group_left memory_analysis_cache_misses_total"}]' "$server"
gate 1 'the server has no series of no_such_metric' '[{expr: "no_such_metric < 1"}]' "$server"
gate 0 'want <' '[{expr: "histogram_quantile(0.5, memory_analysis_duration_seconds_bucket) < 1e6"}]' "$server"
gate 1 'the quantile lies beyond the highest bucket bound' \
  '[{expr: "histogram_quantile(0.9, memory_analysis_duration_seconds_bucket{le=~\"0.01|[+]Inf\"}) < 1e6"}]' "$server"
gate 1 'many-to-many' '[{expr: "memory_analysis_duration_seconds_bucket < on(job) memory_analysis_duration_seconds_bucket"}]' "$server"
gate 3 'the connection was refused' '[{expr: "up > 0"}]' http://127.0.0.1:1
gate 3 '404, want 200' '[{expr: "up > 0"}]' "$canary"
