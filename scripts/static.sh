#!/usr/bin/env bash
# Builds the static binary that the image holds: the same bytes of the same source, toolchain and libc, whatever the folder.
#
# Usage: scripts/static.sh [--auditable] OUT      needs Rust, gcc and libc's static archive (Debian: libc6-dev)
#        --auditable: with the list of dependencies inside, by cargo-auditable, whose own place counts for the bytes
#        BUILD_COMMIT: what --version says of the source where there is no git
#        SOURCE_DATE_EPOCH: the time that the file gets
set -euo pipefail
build=(cargo build)
[ "$1" != --auditable ] || { build=(cargo auditable build); shift; }
out=$(realpath "$1")
cd "$(dirname "$0")/.."
target=$(rustc -vV | sed -n 's/^host: //p')
flags="-C target-feature=+crt-static --remap-path-prefix=$PWD=canary-gate --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
case $target in
x86_64-unknown-linux-gnu)
  # Rust links by lld here. Functions alike are one function; the relocations of a program that can be anywhere in memory are
  # packed (libc 2.36 or newer applies them); the tables for unwinding, which a program that aborts never reads, are left out.
  flags="$flags -C link-arg=-Wl,--icf=all -C link-arg=-Wl,-O2 -C link-arg=-Wl,-z,pack-relative-relocs"
  flags="$flags -C link-arg=-Wl,--no-eh-frame-hdr -C link-arg=-Wl,-T,$PWD/scripts/static.ld"
  ;;
esac
# A target is named so that the flags are for the binary only, not for build scripts and macros.
RUSTFLAGS=$flags "${build[@]}" --release --locked --bin canary-gate --target "$target"
cp "${CARGO_TARGET_DIR:-target}/$target/release/canary-gate" "$out"
[ -z "${SOURCE_DATE_EPOCH:-}" ] || touch --date="@$SOURCE_DATE_EPOCH" "$out"
