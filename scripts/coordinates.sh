#!/usr/bin/env bash
# Makes the pipeline yours: replaces coordinates in every file of the pipeline and in pipeline.env.
#
# Usage: scripts/coordinates.sh NAME=VALUE...     for example: PROJECT=my-project REGION=us-central1 SERVICE=shop
set -euo pipefail
cd "$(dirname "$0")/.."
files=(clouddeploy.yaml targets.yaml skaffold.yaml verify.yaml manifests/service.yaml pipeline.env)
for pair in "$@"; do
  name=${pair%%=*} value=${pair#*=}
  old=$(sed -n "s/^$name=//p" pipeline.env)
  [ "$name" != "$pair" ] && [ -n "$old" ] || { echo "coordinates: $pair is none of: $(sed -n 's/=.*//p' pipeline.env | grep -v '^#' | tr '\n' ' ')" >&2; exit 2; }
  [[ $value =~ ^[a-zA-Z0-9][a-zA-Z0-9./:@_-]*$ ]] || { echo "coordinates: $name: \"$value\" is not a name" >&2; exit 2; }
  # Whole words only, so that no name inside another one is touched.
  for file in "${files[@]}"; do
    OLD=$old NEW=$value perl -pi -e 's/(?<![\w-])\Q$ENV{OLD}\E(?![\w-])/$ENV{NEW}/g' "$file"
  done
done
