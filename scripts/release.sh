#!/usr/bin/env bash
# Packs a release out of an image that was built of the commit that is checked out: the archive of its binary with manual pages and
# documents, the image itself, the bill of materials, checksums of all. The same image gives the same bytes.
#
# Usage: scripts/release.sh IMAGE FOLDER      needs the Docker Engine, and cargo-cyclonedx for the bill of materials
set -euo pipefail
image=$1
mkdir -p "$2"
out=$(realpath "$2")
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work" bill.json crates/promeval/bill.json' EXIT
commit=$(git rev-parse --short=12 HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

container=$(docker create "$image")
docker cp "$container:/canary-gate" "$work/canary-gate" >/dev/null
docker rm "$container" >/dev/null
said=$("$work/canary-gate" --version)
read -r version target < <(sed -n "s/^canary-gate \([^ ]*\) (commit $commit, \(.*\))$/\1 \2/p" <<<"$said") ||
  { echo "release: the image is not of commit $commit: $said" >&2; exit 1; }

name=canary-gate-$version-$target
mkdir -p "$work/$name/man"
mv "$work/canary-gate" "$work/$name"
gate=$work/$name/canary-gate
"$gate" man >"$work/$name/man/canary-gate.1"
"$gate" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | grep -vx help | while read -r command; do
  "$gate" man "$command" >"$work/$name/man/canary-gate-$command.1"
done
cp README.md CHANGELOG.md SECURITY.md LICENSE-APACHE LICENSE-MIT "$work/$name"
chmod -R u=rwX,go=rX "$work/$name"
tar --create --directory "$work" --format=ustar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner "$name" |
  gzip --best --no-name >"$out/$name.tar.gz"

python3 scripts/image_archive.py "$image" "$SOURCE_DATE_EPOCH" "$out/canary-gate-$version-image.tar"
files=("$name.tar.gz" "canary-gate-$version-image.tar")

PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
if command -v cargo-cyclonedx >/dev/null; then
  cargo cyclonedx --quiet --format json --spec-version 1.5 --no-build-deps --target "$target" --override-filename bill
  # The folder of the build is nobody's business, and would be the only thing that differs.
  sed "s#file://$PWD#file:///canary-gate#g" bill.json >"$out/canary-gate-$version.cdx.json"
  files+=("canary-gate-$version.cdx.json")
else
  echo "release: no cargo-cyclonedx (cargo install --locked cargo-cyclonedx): there is no bill of materials" >&2
fi
(cd "$out" && sha256sum "${files[@]}" | tee SHA256SUMS)
