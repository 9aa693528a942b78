#!/usr/bin/env bash
# What the project is made of, checked by the standard tools: licences, sources, duplicates and known vulnerabilities (deny.toml), a bill
# of materials that names what the lock file has, and crates that are ready to be published. A tool that is missing is installed, within
# a time; what cannot be had is skipped with a line.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work" bill.json crates/promeval/bill.json' EXIT
PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
tool() { # NAME VERSION
  command -v "$1" >/dev/null || timeout 420 cargo install --quiet --locked --version "$2" "$1" 2>"$work/install" || { echo "skipped: $1 cannot be installed here: $(tail -n 1 "$work/install")"; return 1; }
}

if tool cargo-deny 0.20.2; then
  cargo deny check licenses bans sources
  if timeout 60 cargo deny fetch db >/dev/null 2>&1; then
    cargo deny check advisories
  else
    echo "skipped: the database of advisories cannot be had here"
  fi
fi

if tool cargo-cyclonedx 0.5.9; then
  cargo cyclonedx --quiet --format json --spec-version 1.5 --no-build-deps --target x86_64-unknown-linux-gnu --override-filename bill
  python3 - bill.json <<'PY'
import json, subprocess, sys

named = {(part["name"], part["version"]) for part in json.load(open(sys.argv[1]))["components"]}
tree = subprocess.run(["cargo", "tree", "--edges", "normal,no-proc-macro", "--package", "canary-gate", "--target", "x86_64-unknown-linux-gnu",
                       "--prefix", "none", "--format", "{p}"], check=True, capture_output=True, text=True).stdout
used = {(words[0], words[1].lstrip("v")) for words in (line.split() for line in tree.splitlines()) if words and words[0] != "canary-gate"}
missing = used - named
print(f"the bill of materials names {len(used) - len(missing)} of {len(used)} crates that are linked")
sys.exit(f"missing: {sorted(missing)}" if missing or not used else 0)
PY
  rm bill.json crates/promeval/bill.json
fi

cargo publish --workspace --dry-run --no-verify --allow-dirty 2>&1 | grep -E '^ *(Packaged|Uploading|error)|aborting upload'
