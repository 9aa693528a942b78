#!/usr/bin/env bash
# Deploys the application: checks, its own tests, build, push, a release that is followed to its end, and a last look.
#
# Usage: scripts/deploy.sh [--skip-tests] [--skip-build] [--manual-approval] [--image-tag TAG] [--dir DIR] [--context DIR]
#   --skip-tests        does not run the application's tests
#   --skip-build        builds and pushes nothing: releases the image that is in the repository under --image-tag
#   --manual-approval   asks on the terminal before the release is made, when everything before it went well
#   --image-tag TAG     the image's tag (default: deploy-YYYYMMDD-HHMMSS; the release is rel-YYYYMMDD-HHMMSS, of the same time)
#   --dir DIR           the folder with the pipeline's files (default: .)
#   --context DIR       the folder that the image is built of, where its tests are run too (default: .)
#
# pipeline.env in the folder names PROJECT, REGION, PIPELINE, TARGET, SERVICE and REPOSITORY. The environment may name
#   TEST_COMMAND        the application's own test command (default: make test)
#   GATE_IMAGE          the gate's image, by tag or digest (default: REPOSITORY/canary-gate:latest)
#   CANARY_GATE         the gate's binary (default: canary-gate)
# Exit: that of `canary-gate release` (0 only when the stable phase is verified and serves); 2 where something before it fails.
set -euo pipefail

say() { printf 'deploy: %s\n' "$*" >&2; }
fail() { say "$*"; exit 2; }
value() { [ $# -ge 2 ] && [ -n "$2" ] || fail "$1 needs a value"; printf '%s' "$2"; }

now=$(date -u +%Y%m%d-%H%M%S)
tests=true build=true approval=false tag=deploy-$now dir=. context=.
while [ $# -gt 0 ]; do
  case $1 in
    --skip-tests) tests=false ;;
    --skip-build) build=false ;;
    --manual-approval) approval=true ;;
    --image-tag) tag=$(value "$@"); shift ;;
    --dir) dir=$(value "$@"); shift ;;
    --context) context=$(value "$@"); shift ;;
    -h | --help) sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "$0"; exit 0 ;;
    *) fail "there is no option $1 (--help lists them)" ;;
  esac
  shift
done
[[ $tag =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$ ]] || fail "--image-tag: $tag is not a tag"
$build || [ "$tag" != "deploy-$now" ] || fail "--skip-build needs --image-tag: which image is to be released?"
[ -f "$dir/pipeline.env" ] || fail "there is no pipeline.env in $dir (canary-gate init writes one)"
[ -d "$context" ] || fail "--context: $context is not a folder"

PROJECT='' REGION='' PIPELINE='' TARGET='' SERVICE='' REPOSITORY=''
# shellcheck source=/dev/null
. "$dir/pipeline.env"
for name in PROJECT REGION PIPELINE TARGET SERVICE REPOSITORY; do
  [ -n "${!name}" ] || fail "pipeline.env does not name $name"
done
gate=${CANARY_GATE:-canary-gate}
image=$REPOSITORY/$SERVICE
release=rel-$now

# 1. What is needed is there, somebody is signed in, and no other canary is under way.
command -v "$gate" >/dev/null || fail "$gate is not installed (CANARY_GATE names the binary)"
command -v gcloud >/dev/null || fail "gcloud is not installed"
if $build; then
  command -v docker >/dev/null || fail "docker is not installed"
  docker info >/dev/null 2>&1 || fail "docker does not answer: is its daemon running?"
fi
account=$(gcloud auth list --filter=status:ACTIVE --format='value(account)') || fail "gcloud does not say who is signed in"
[ -n "$account" ] || fail "nobody is signed in (gcloud auth login)"
say "as $account, project $PROJECT"
"$gate" lint "$dir" || fail "the pipeline's files have findings"
active=$(gcloud deploy rollouts list --release=- --delivery-pipeline="$PIPELINE" --region="$REGION" --project="$PROJECT" \
  --filter="targetId=$TARGET AND state=(PENDING_RELEASE PENDING PENDING_APPROVAL IN_PROGRESS CANCELLING)" --format='value(name)') ||
  fail "whether another canary is active cannot be seen"
[ -z "$active" ] || fail "another canary is active: $active (canary-gate watch follows it)"

# 2. The application's own tests.
if $tests; then
  say "tests: ${TEST_COMMAND:-make test}"
  (cd "$context" && bash -c "${TEST_COMMAND:-make test}") || fail "the tests failed; nothing was built"
fi

# 3. The image, by the digest that the repository gave it.
digest_of() { gcloud artifacts docker images describe "$1" --format='value(image_summary.fully_qualified_digest)'; }
if $build; then
  docker build --tag "$image:$tag" "$context" || fail "the build failed"
  docker push "$image:$tag" || fail "the push failed (gcloud auth configure-docker ${REPOSITORY%%/*})"
fi
pinned=$(digest_of "$image:$tag") || fail "$image:$tag has no digest in the repository"
own=${GATE_IMAGE:-$REPOSITORY/canary-gate:latest}
case $own in
  *@sha256:*) ;;
  *) own=$(digest_of "$own") || fail "the gate's image ${GATE_IMAGE:-$REPOSITORY/canary-gate:latest} has no digest in the repository" ;;
esac
for reference in "$pinned" "$own"; do
  [[ $reference == *@sha256:* ]] || fail "the repository gives no digest, but ${reference:-nothing}"
done
say "image $pinned"
say "gate $own"

# 4. The release, when somebody said yes where that is wanted.
if $approval; then
  [ -t 0 ] || fail "--manual-approval asks on a terminal, and there is none"
  read -r -p "deploy: release $release to $TARGET of $PROJECT? [y/N] " answer
  [[ $answer =~ ^[Yy]([Ee][Ss])?$ ]] || fail "not approved: nothing was released"
fi
coordinates=(--dir "$dir" --project "$PROJECT" --region "$REGION" --pipeline "$PIPELINE" --target "$TARGET" --service "$SERVICE")
code=0
"$gate" release "${coordinates[@]}" --name "$release" --image "$SERVICE=$pinned" --image "canary-gate=$own" || code=$?
if [ "$code" -ne 0 ]; then
  say "the release $release is not proven (exit $code): canary-gate watch $release-to-$TARGET-0001 follows it, canary-gate rollback goes back"
  exit "$code"
fi

# 5. A last look: is it still so?
"$gate" watch "${coordinates[@]}" "$release-to-$TARGET-0001" || { code=$?; say "the release is not what serves any more"; exit "$code"; }
say "released $release ($tag)"
