#!/usr/bin/env bash
# Fuzzes the parsers, each by so many inputs, the same in each run: what is found is found again. Another seed finds other things.
#
# Usage: scripts/fuzz.sh [RUNS [SEED]]
set -euo pipefail
cd "$(dirname "$0")/../crates/promeval"
runs=${1:-1000000}
seed=${2:-1}
command -v cargo-fuzz >/dev/null || cargo install --quiet --locked cargo-fuzz
# The sanitizer's instrumentation is a nightly feature; the stable compiler has it too, behind this switch.
export RUSTC_BOOTSTRAP=1
for target in exposition promql; do
  rm -rf "fuzz/corpus/$target"
  mkdir -p "fuzz/corpus/$target"
  start="fuzz/corpus/$target/seed"
  case $target in
    exposition) printf '# TYPE h histogram\n# HELP h Text\nh_bucket{le="+Inf"} 1 # {a="b"} 1 2\nh_sum 1\nh_count 1\n# EOF\n' >"$start" ;;
    promql) printf 'sum by (x) (rate(a{x=~"1|2"}[5m] offset 1m)) / on(x) group_left b > bool 0.5' >"$start" ;;
  esac
  cargo fuzz run --sanitizer none "$target" -- -runs="$runs" -max_total_time=120 -max_len=4096 -timeout=10 -seed="$seed" >"fuzz/$target.log" 2>&1 ||
    { tail -30 "fuzz/$target.log" >&2; exit 1; }
  echo "fuzz: $target: $(grep -E '^Done|DONE' "fuzz/$target.log" | tail -1)"
done
