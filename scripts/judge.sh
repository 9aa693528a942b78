#!/usr/bin/env bash
# The judge of pairs on simulated services: how often it fails the same code, finds what is worse, passes what it must not.
# Prints the tables, and what a judgement costs; fails where a goal is refuted.
#
# Usage: scripts/judge.sh [--full]    (200 runs of each scenario, or 2,000)
set -euo pipefail
cd "$(dirname "$0")/.."
export JUDGE_RUNS=200
[ "${1:-}" = --full ] && export JUDGE_RUNS=2000
# The tests need the optimiser, not the smallest binary.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_OPT_LEVEL=3
JUDGE_COST=1 cargo test --quiet --release --package canary-gate --lib judge::compare::simulation::a_judgement -- --nocapture
cargo test --quiet --release --package canary-gate --lib judge::compare::simulation -- --nocapture
