#!/usr/bin/env bash
# Every format of every kind of run, by the real binary, held to its schema or its validator: scripts/reports.py, with what it needs.
# SCREENSHOTS=FOLDER draws the pages too (chromium).
#
#     scripts/reports.sh target/release/canary-gate
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v tidy >/dev/null || { echo "tidy is needed (apt-get install tidy)" >&2; exit 1; }
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check jsonschema lxml
cargo build --quiet --example demo
"$work/venv/bin/python" scripts/reports.py "$binary" target/debug/examples/demo "$work/reports"
