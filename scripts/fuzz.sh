#!/usr/bin/env bash
# Fuzzes the parsers for a bounded time each.
#
# Usage: scripts/fuzz.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/../crates/promeval"
seconds=${1:-30}
command -v cargo-fuzz >/dev/null || cargo install --quiet --locked cargo-fuzz
# The sanitizer's instrumentation is a nightly feature; the stable compiler has it too, behind this switch.
export RUSTC_BOOTSTRAP=1
for target in exposition promql; do
  mkdir -p "fuzz/corpus/$target"
  seed="fuzz/corpus/$target/seed"
  case $target in
    exposition) printf '# TYPE h histogram\n# HELP h Text\nh_bucket{le="+Inf"} 1 # {a="b"} 1 2\nh_sum 1\nh_count 1\n# EOF\n' >"$seed" ;;
    promql) printf 'sum by (x) (rate(a{x=~"1|2"}[5m] offset 1m)) / on(x) group_left b > bool 0.5' >"$seed" ;;
  esac
  cargo fuzz run --sanitizer none "$target" -- -max_total_time="$seconds" -max_len=4096 -timeout=10 -seed=1 >"fuzz/$target.log" 2>&1 ||
    { tail -30 "fuzz/$target.log" >&2; exit 1; }
  echo "fuzz: $target: $(grep -E '^Done|DONE' "fuzz/$target.log" | tail -1)"
done
