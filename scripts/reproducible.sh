#!/usr/bin/env bash
# Builds the image twice, from this folder and from a copy in another one without any cache, and wants the same bytes: the
# binary, the layers, and the image with its digest.
#
# A BuildKit of 0.13 or newer writes equal images by itself (SOURCE_DATE_EPOCH, rewrite-timestamp); the classic builder puts the time
# of the build into the configuration, whatever it is given. Hence images are compared as scripts/image_archive.py writes them, which
# is how a release publishes them.
#
# Usage: scripts/reproducible.sh [BUILDER]      BUILDER: the image with the Rust toolchain (default: the Dockerfile's own)
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
untagged() { docker image ls --quiet --no-trunc --filter dangling=true | sort; }
untagged >"$work/untagged"
# What a build leaves behind are copies of the toolchain, of gigabytes.
sweep() { untagged | comm -13 "$work/untagged" - | xargs --no-run-if-empty docker image rm --force >/dev/null 2>&1 || true; }
clean() {
  docker image rm --force canary-gate:first canary-gate:second >/dev/null 2>&1 || true
  sweep
  rm -rf "$work"
}
trap clean EXIT
fail() { echo "reproducible: $*" >&2; exit 1; }
COMMIT=$(git rev-parse --short=12 HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export COMMIT SOURCE_DATE_EPOCH
builder=(${1:+--build-arg "BUILDER=$1"})

build() { # NAME FOLDER OPTION…: the image of a folder, and what is compared of it
  local name=$1 folder=$2; shift 2
  "$folder/scripts/docker_build.sh" "canary-gate:$name" "${builder[@]}" "$@" >"$work/$name.log" 2>&1 || { tail -30 "$work/$name.log" >&2; fail "the $name build failed"; }
  docker image inspect --format '{{json .RootFS.Layers}}' "canary-gate:$name" >"$work/$name.layers"
  python3 scripts/image_archive.py "canary-gate:$name" "$SOURCE_DATE_EPOCH" "$work/$name.tar" >"$work/$name.digest"
  local container; container=$(docker create "canary-gate:$name")
  docker cp "$container:/canary-gate" "$work/$name.binary" >/dev/null
  docker rm "$container" >/dev/null
  sweep
}
build first .
mkdir -p "$work/another/folder"
git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- | tar --extract --directory "$work/another/folder"
build second "$work/another/folder" --no-cache --build-arg SOURCE=/another/folder

for what in binary layers digest tar; do
  cmp --silent "$work/first.$what" "$work/second.$what" || fail "the $what differs: $(sha256sum "$work"/*."$what" | tr '\n' ' ')"
done
# The archive is an image that runs.
loaded=$(docker load --quiet --input "$work/second.tar" | sed 's/^Loaded image ID: //')
docker run --rm --pull=never --network none --read-only "$loaded" --version | grep -F "$COMMIT" >/dev/null || fail "the archive's image does not run"
echo "reproducible: binary sha256:$(sha256sum <"$work/first.binary" | cut -d' ' -f1)"
echo "reproducible: layers $(cat "$work/first.layers")"
echo "reproducible: image $(cat "$work/first.digest"), twice"
