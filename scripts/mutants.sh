#!/usr/bin/env bash
# Changes the code that decides verdicts, one place at a time, and sees whether a unit test notices: what nobody notices is not proven.
# Without arguments, a slice in bounded time, another one each day; `--full` is everything, for hours.
#
# Usage: scripts/mutants.sh [--full | --shard K/N | --in-diff FILE]
set -euo pipefail
cd "$(dirname "$0")/.."
command -v cargo-mutants >/dev/null || cargo install --quiet --locked cargo-mutants
files=(
  'src/outcome/*.rs' 'src/judge/**/*.rs' 'src/http/*.rs' 'src/plan/**/*.rs' 'src/google/*.rs' 'src/check/**/*.rs'
  'src/operate/watch/verdict.rs' 'src/operate/rollback/previous.rs'
)
deciding=(
  src/outcome/mod.rs src/outcome/summary.rs src/judge/decision.rs src/judge/proof.rs src/http/retry.rs src/google/run_api.rs
  src/operate/watch/verdict.rs src/operate/rollback/previous.rs
)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
options=(--no-shuffle --output "$out" --timeout 120 --build-timeout 600 --exclude 'src/**/fuzzing.rs' --exclude 'src/**/tests.rs')
case ${1:-} in
  --full) ;;
  --shard | --in-diff) options+=("$1" "$2") ;;
  *)
    files=("${deciding[@]}")
    options+=(--shard "$(($(date +%s) / 86400 % 20))/20")
    ;;
esac
for file in "${files[@]}"; do options+=(--file "$file"); done
# The tests of the library alone: those of the binary take minutes for each change.
status=0
cargo mutants "${options[@]}" -- --lib || status=$?
# 2: some were not noticed, 3: some took too long. They are listed.
[ "$status" = 0 ] || { cat "$out"/mutants.out/missed.txt "$out"/mutants.out/timeout.txt >&2; exit "$status"; }
