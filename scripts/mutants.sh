#!/usr/bin/env bash
# Changes the code that decides verdicts, one place at a time, and sees whether a test notices: what nobody notices is not proven.
# Without arguments: what decides by itself, by unit tests, in bounded time, a quarter of it each day. `--full`: everything, with the
# tests of tests/it for what no unit test notices. `--shard K/N`: a part of everything; `--in-diff FILE`: what a diff touches.
# scripts/mutants.py says how; scripts/mutants.known lists what is known not to be noticed, and why that changes no verdict.
#
# Usage: scripts/mutants.sh [--full | --shard K/N | --in-diff FILE]
set -euo pipefail
cd "$(dirname "$0")/.."
files=(
  'src/outcome/*.rs' 'src/judge/**/*.rs' 'src/http/*.rs' 'src/plan/**/*.rs' 'src/google/*.rs' 'src/check/**/*.rs'
  'src/operate/watch/verdict.rs' 'src/operate/rollback/previous.rs'
)
deciding=(
  'src/outcome/*.rs' src/judge/decision.rs src/judge/proof.rs src/judge/bucket_quantiles.rs src/check/json.rs src/http/retry.rs
  src/http/body.rs src/google/run_api.rs src/operate/watch/verdict.rs src/operate/rollback/previous.rs
)
selected=() options=()
case ${1:-} in
  --full) options=(--integration) ;;
  --shard) selected=(--shard "$2" --sharding round-robin) options=(--integration) ;;
  --in-diff) selected=(--in-diff "$2") options=(--integration) ;;
  '')
    files=("${deciding[@]}")
    # The number of the day, so that a failure can be repeated on the same day.
    selected=(--shard "$(($(date +%s) / 86400 % 4))/4" --sharding round-robin) options=(--seconds 150)
    ;;
  *) sed -n 's/^# Usage: /usage: /p' "$0" >&2; exit 2 ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
lacks() { echo "skipped: $1 cannot be had here"; exit 0; }
command -v cargo-mutants >/dev/null || cargo install --quiet --locked cargo-mutants || lacks cargo-mutants
{ python3 -m venv "$work/python" && "$work/python/bin/pip" install --quiet tree-sitter==0.26.1 tree-sitter-rust; } || lacks "tree-sitter for Python"
for file in "${files[@]}"; do selected+=(--file "$file"); done
cargo mutants --list --json "${selected[@]}" --exclude 'src/**/fuzzing.rs' --exclude 'src/**/tests.rs' >"$work/mutants.json"
# A copy to change; what was built of dependencies serves there too.
mkdir -p "$work/copy/target/debug"
git ls-files -z | tar --create --null --files-from - | tar --extract --directory "$work/copy"
for kept in deps build .fingerprint; do
  [ ! -d "target/debug/$kept" ] || cp -al "target/debug/$kept" "$work/copy/target/debug/" 2>/dev/null || cp -a "target/debug/$kept" "$work/copy/target/debug/"
done
"$work/python/bin/python" scripts/mutants.py "${options[@]}" "$work/copy" "$work/mutants.json" scripts/mutants.known "$work/states.jsonl"
