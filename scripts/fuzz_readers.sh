#!/usr/bin/env bash
# Fuzzes what of the gate itself reads what others wrote, each target by so many inputs, the same in each run: what is found is found again.
# `--full` is ten minutes a target with a seed of its own. What a target begins with is in tests/fuzz/; an input that breaks
# what must hold goes there, with the mend.
#
# Usage: scripts/fuzz_readers.sh [RUNS [SEED [TARGET...]]]
#        scripts/fuzz_readers.sh --full [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" = --full ]; then
  shift
  bounds=(-max_total_time="${FUZZ_SECONDS:-600}")
else
  runs=${1:-1000000} seed=${2:-1}
  shift $(($# < 2 ? $# : 2))
  bounds=(-runs="$runs" -seed="$seed" -max_total_time=60)
fi
targets=("$@")
[ "$#" -gt 0 ] || targets=(checks html json gzip api evidence lint)
command -v cargo-fuzz >/dev/null || cargo install --quiet --locked cargo-fuzz || { echo "skipped: cargo-fuzz cannot be had here"; exit 0; }
# The sanitizer's instrumentation is a nightly feature; the stable compiler has it too, behind this switch.
export RUSTC_BOOTSTRAP=1
# An input that is cut is mostly refused at once: each that is kept has room to grow.
longest() { # TARGET
  find "tests/fuzz/$1" -type f -printf '%s\n' | sort -n | awk '{ most = $1 } END { print (2 * most > 16384 ? 2 * most : 16384) }'
}
for target in "${targets[@]}"; do
  rm -rf "fuzz/corpus/$target"
  mkdir -p "fuzz/corpus/$target"
  # Those that come later are only read, so that what is found stays apart from what is kept.
  cargo fuzz run --sanitizer none "$target" "fuzz/corpus/$target" "tests/fuzz/$target" -- \
    "${bounds[@]}" -max_len="$(longest "$target")" -timeout=10 -rss_limit_mb=1024 >"fuzz/$target.log" 2>&1 ||
    { tail -40 "fuzz/$target.log" >&2; exit 1; }
  echo "fuzz: $target: $(grep -E '^Done|DONE' "fuzz/$target.log" | tail -1)"
done
