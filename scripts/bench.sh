#!/usr/bin/env bash
# How fast the gate is, beside a shell script of curl, jq and awk, beside Hurl where it is installed, and beside promtool, in one
# run: a table of medians, taken in turns. docs/performance.md keeps a whole one. Fails where a bound is broken.
#
# Usage: scripts/bench.sh [--full]
# Needs curl, jq, awk, GNU time and Python; promtool for its column. Over TLS with a delay between: scripts/round_trips.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
started=()
trap 'for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done; rm -rf "$work"' EXIT
cargo build --quiet --release --bin canary-gate --example demo --example delay
for fault in none steady; do
  ./target/release/examples/demo --serve --fault "$fault" >"$work/$fault" &
  started+=($!)
  for _ in $(seq 100); do [ -s "$work/$fault" ] && break; sleep 0.1; done
done
delays="1 50"
[ "${1:-}" != --full ] || delays="1 10 50 100"
url=$(cat "$work/none")
for delay in $delays; do
  ./target/release/examples/delay --round-trip "$delay" "${url#http://}" >"$work/delay-$delay" &
  started+=($!)
  for _ in $(seq 100); do [ -s "$work/delay-$delay" ] && break; sleep 0.1; done
done
python3 scripts/bench.py "$work" "$url" "$(cat "$work/steady")" "$delays" "${1:-}"
