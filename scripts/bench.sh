#!/usr/bin/env bash
# A healthy run of the gate beside the same steps as a shell script of curl, jq and awk, on one canary in one run: wall
# time, peak memory, size of the binary. Fails where a bound is broken.
#
# Needs hyperfine, curl, jq, awk and GNU time.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'kill "$canary" 2>/dev/null || true; rm -rf "$work"' EXIT
cargo build --quiet --release --bin canary-gate --example demo
gate=target/release/canary-gate
./target/release/examples/demo --serve >"$work/url" &
canary=$!
for _ in $(seq 100); do [ -s "$work/url" ] && break; sleep 0.1; done
url=$(cat "$work/url")

hyperfine --shell=none --warmup 3 --runs 30 --export-json "$work/times.json" \
  "$gate verify --url $url" "bash scripts/verify.sh $url" "$gate --version" >/dev/null 2>&1
python3 - "$work/times.json" "$gate" "$url" <<'PY'
import json, os, subprocess, sys

times, gate, url = sys.argv[1:]
ours, script, start = (result["median"] for result in json.load(open(times))["results"])
# By GNU time, a small process: a child of this one would be charged with the interpreter's own memory.
run = subprocess.run(["/usr/bin/time", "-f", "%M", gate, "verify", "--url", url], check=True, capture_output=True, text=True)
memory = int(run.stderr.split()[-1]) / 1024
size = os.path.getsize(gate) / 1024 / 1024
rows = [
    ("a healthy run", f"{ours * 1000:.1f} ms", f"script {script * 1000:.1f} ms", ours / script, 0.3, "of the script's time"),
    ("start", f"{start * 1000:.1f} ms", "", start * 1000, 10, "ms"),
    ("peak memory", f"{memory:.1f} MB", "", memory, 12, "MB"),
    ("binary", f"{size:.1f} MB", "", size, 8, "MB"),
]
print(f"{'what':15}{'the gate':12}{'beside':20}{'measured':>10}{'bound':>8}")
for what, value, beside, measured, bound, unit in rows:
    print(f"{what:15}{value:12}{beside:20}{measured:10.2f}{bound:8} {unit}")
sys.exit(any(measured > bound for *_, measured, bound, _ in rows))
PY
