#!/usr/bin/env bash
# What goes wrong around the gate and not in the canary: names that do not resolve, flap or take their time, a twentieth of a CPU,
# 32 MB of memory, a full disk, closed streams, signals at any moment. None may end in a PASS that was not seen, in a FAIL of a
# healthy canary by the gate's own slowness, in silence or without an end.
#
# Usage: scripts/world.sh [--full] [BINARY]      needs Python; what needs root (names, memory, the disk) is left out without it
#        BINARY: the static binary of the image, whose resolver is its own libc's
set -euo pipefail
cd "$(dirname "$0")/.."
full=
[ "${1:-}" != --full ] || { full=--full; shift; }
cargo build --quiet --release --bin canary-gate --example demo
binary=$(realpath "${1:-target/release/canary-gate}")
python3 scripts/world/process.py "$binary" target/release/examples/demo $full
if unshare --mount --net true 2>/dev/null; then
  unshare --mount --net python3 scripts/world/names.py "$binary" target/release/examples/demo $full
else
  echo "skipped: names that fail need a network of their own, which is not to be had here"
fi
