#!/usr/bin/env bash
# Builds the image of this folder, whose labels name the source and its time: the commit that is checked out, or the one in COMMIT
# and SOURCE_DATE_EPOCH where there is no git.
#
# Usage: scripts/docker_build.sh TAG [OPTION OF docker build…]
set -euo pipefail
tag=$1; shift
cd "$(dirname "$0")/.."
COMMIT=${COMMIT-$(git rev-parse --short=12 HEAD 2>/dev/null || true)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
docker build --network host --build-arg "COMMIT=$COMMIT" --build-arg "SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH" \
  --build-arg "CREATED=$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)" "$@" --tag "$tag" .
