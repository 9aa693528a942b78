#!/usr/bin/env bash
# Builds the static binary that the image and the release archives hold: the same bytes of the same source, toolchain and
# libc, whatever the folder. The image is built by this script, too.
#
# Usage: scripts/static.sh OUT      needs Rust, gcc and libc's static archive (Debian: libc6-dev)
#        BUILD_COMMIT: what --version says of the source where there is no git
#        SOURCE_DATE_EPOCH: the time that the file gets
set -euo pipefail
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
# The list of dependencies goes into the binary where cargo-auditable is installed, as it is in the image's build.
PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
build=(cargo build)
if command -v cargo-auditable >/dev/null; then build=(cargo auditable build); else echo "static: no cargo-auditable: the binary does not list its dependencies" >&2; fi
# A target is named so that the flags are for the binary only, not for build scripts and macros.
RUSTFLAGS=$flags "${build[@]}" --release --locked --bin canary-gate --target "$target"
cp "${CARGO_TARGET_DIR:-target}/$target/release/canary-gate" "$out"
[ -z "${SOURCE_DATE_EPOCH:-}" ] || touch --date="@$SOURCE_DATE_EPOCH" "$out"
