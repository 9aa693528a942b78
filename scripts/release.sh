#!/usr/bin/env bash
# Packs the archive of a release out of the commit that is checked out: the static binary, manual pages and documents; the bill of
# materials beside it; checksums of all. The same commit, toolchain and libc give the same bytes.
#
# Needs cargo-auditable. Usage: scripts/release.sh FOLDER [IMAGE]      IMAGE: an image that was built of this commit, to be published as well
set -euo pipefail
mkdir -p "$1"
out=$(realpath "$1")
image=${2:-}
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -1)
target=$(rustc -vV | sed -n 's/^host: //p')
name=canary-gate-$version-$target
BUILD_COMMIT=$(git rev-parse --short=12 HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export BUILD_COMMIT SOURCE_DATE_EPOCH

folder=$work/$name
mkdir -p "$folder/man"
scripts/static.sh --auditable "$folder/canary-gate"
"$folder/canary-gate" man >"$folder/man/canary-gate.1"
"$folder/canary-gate" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | grep -vx help | while read -r command; do
  "$folder/canary-gate" man "$command" >"$folder/man/canary-gate-$command.1"
done
cp README.md CHANGELOG.md SECURITY.md LICENSE-APACHE LICENSE-MIT "$folder"
chmod -R u=rwX,go=rX "$folder"
tar --create --directory "$work" --format=ustar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner "$name" |
  gzip --best --no-name >"$out/$name.tar.gz"
files=("$name.tar.gz")

if command -v cargo-cyclonedx >/dev/null; then
  cargo cyclonedx --quiet --format json --spec-version 1.5 --no-build-deps --target "$target" --override-filename bill
  # The folder of the build is nobody's business, and would be the only thing that differs.
  sed "s#file://$PWD#file:///canary-gate#g" bill.json >"$out/canary-gate-$version.cdx.json"
  rm bill.json crates/promeval/bill.json
  files+=("canary-gate-$version.cdx.json")
else
  echo "release: no cargo-cyclonedx (cargo install --locked cargo-cyclonedx): there is no bill of materials" >&2
fi
if [ -n "$image" ]; then
  python3 scripts/image_archive.py "$image" "$SOURCE_DATE_EPOCH" "$out/canary-gate-$version-image.tar"
  files+=("canary-gate-$version-image.tar")
fi
(cd "$out" && sha256sum "${files[@]}" | tee SHA256SUMS)
