#!/usr/bin/env bash
# The default plan as a careful shell script of curl, jq and awk: what the gate is measured beside, and what it replaces.
# It is as good as such a script gets, and still reads metrics by splitting lines at blanks.
#
# Usage: scripts/verify.sh URL
set -euo pipefail
url=${1:?usage: verify.sh URL}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAIL: $*"; exit 1; }
get() { # PATH LIMIT FILE: the status; the body goes into FILE, the content type into FILE.type
  curl --silent --max-time "$2" --compressed --output "$3" --write-out '%{http_code}\n%{content_type}\n' "$url$1" >"$3.head" || true
  sed -n 2p "$3.head" >"$3.type"
  sed -n 1p "$3.head"
}

ready() {
  local end=$((SECONDS + 30)) status
  while status=$(get / 5 "$work/ready"); [ "$status" = 000 ] || [ "$status" = 502 ] || [ "$status" = 503 ] || [ "$status" = 504 ]; do
    [ "$SECONDS" -lt "$end" ] || fail "ready: $status"
    sleep 1
  done
}

health() {
  local delay=1
  for attempt in 1 2 3 4 5 6; do
    if [ "$(get /api/health 10 "$work/health")" = 200 ] &&
      jq -e 'type == "object" and .status == "ok"' "$work/health" >/dev/null 2>&1; then
      return
    fi
    [ "$attempt" = 6 ] || sleep "$delay"
    delay=$((delay * 2))
  done
  fail "health: $(head -c 100 "$work/health")"
}

readiness() {
  [ "$(get /health/readiness 30 "$work/readiness")" = 200 ] || fail "readiness"
}

metrics() {
  [ "$(get /api/metrics 30 "$work/metrics")" = 200 ] || fail "metrics: no answer"
  grep -q '^# TYPE memory_analysis_failure_total counter' "$work/metrics" || fail "metrics: the family is missing"
  awk '
    /^#/ { next }
    { name = $1; sub(/\{.*/, "", name); value = $NF }
    name == "memory_analysis_failure_total" { failures += value }
    name == "memory_analysis_cache_hits_total" { hits += value }
    name == "memory_analysis_cache_misses_total" { misses += value }
    END {
      if (failures > 2) { print "FAIL: failures " failures; exit 1 }
      if (hits + misses == 0 || hits / (hits + misses) <= 0.8) print "WARN: cache hit rate"
    }' "$work/metrics" || exit 1
}

smoke() {
  [ "$(get / 10 "$work/page")" = 200 ] || fail "smoke: /"
  [ "$(get /assets/ 10 "$work/assets")" = 200 ] || fail "smoke: /assets/"
  [ -s "$work/page" ] && grep -q '^text/html' "$work/page.type" || fail "smoke: the page is not HTML"
  { grep -o '<script[^>]* src="/[^"]*"' "$work/page" || true; grep -oE '<link[^>]* rel="(stylesheet|modulepreload)"[^>]*>' "$work/page" || true; } |
    grep -oE '(src|href)="/[^"]*"' | sed -E 's/^(src|href)="//; s/"$//' >"$work/list"
  local number=0 asset
  while read -r asset; do
    number=$((number + 1))
    [ "$(get "$asset" 10 "$work/asset$number")" = 200 ] && [ -s "$work/asset$number" ] || fail "smoke: $asset"
    grep -qE '^(text|application)/(javascript|css)' "$work/asset$number.type" || fail "smoke: $asset is of the wrong type"
  done <"$work/list"
}

ready
health
pids=()
for step in readiness metrics smoke; do
  "$step" &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || exit 1; done
echo PASS
