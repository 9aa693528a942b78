#!/usr/bin/env bash
# Asks Skaffold's schema and the real gcloud whether they accept the pipeline's files.
#
# Usage: scripts/pipeline.sh SKAFFOLD_SCHEMA GCLOUD_ACCEPTS
set -euo pipefail
cd "$(dirname "$0")/.."
python3 -m pip install --quiet --root-user-action=ignore jsonschema pyyaml
python3 - "$1" <<'PY'
import json, sys, jsonschema, yaml
jsonschema.validate(yaml.safe_load(open("skaffold.yaml")), json.load(open(sys.argv[1])))
print("pipeline: skaffold.yaml is valid under Skaffold's schema")
PY
if command -v gcloud >/dev/null; then
  python3 "$2" clouddeploy.yaml targets.yaml verify.yaml manifests/service.yaml | sed 's/^/pipeline: gcloud /'
else
  echo "pipeline: gcloud is not installed here; tests/it/pipeline.rs reads the files strictly"
fi
