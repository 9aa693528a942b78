#!/usr/bin/env bash
# Builds the image on a Docker Engine and runs it against the sample canary, healthy and faulty, as tightly as it can be
# run: read-only, without capabilities, with an empty environment. Asserts on exit codes, on what is said, and on the size.
#
# Usage: scripts/image.sh [BUILDER]      BUILDER: the image with the Rust toolchain (default: the Dockerfile's own)
set -euo pipefail
cd "$(dirname "$0")/.."
limit=$((8 * 1024 * 1024))
work=$(mktemp -d)
canaries=()
trap 'for pid in "${canaries[@]}"; do kill "$pid" 2>/dev/null || true; done; rm -rf "$work"' EXIT
fail() { echo "image: $*" >&2; exit 1; }

scripts/docker_build.sh canary-gate ${1:+--build-arg "BUILDER=$1"} >"$work/build.log" 2>&1 ||
  { tail -30 "$work/build.log" >&2; fail "the build failed"; }
size=$(docker image inspect --format '{{.Size}}' canary-gate)
[ "$size" -le "$limit" ] || fail "the image has $size bytes, over $limit"
[ "$(docker image inspect --format '{{json .Config.Cmd}}' canary-gate)" = null ] || fail "the image has a CMD"
[ "$(docker image inspect --format '{{.Config.User}}' canary-gate)" = 65532:65532 ] || fail "the image runs as another user"

# The labels name the source, and the binary the crates that it is made of.
label() { docker image inspect --format "{{index .Config.Labels \"org.opencontainers.image.$1\"}}" canary-gate; }
said=$(docker run --rm --pull=never --network none canary-gate --version)
[[ "$said" == "canary-gate $(label version) (commit $(label revision),"* ]] || fail "the labels say version $(label version), revision $(label revision); the binary says $said"
[ "$(date --date="$(label created)" +%s)" = "$(git log -1 --format=%ct)" ] || fail "the label says $(label created), which is not the time of the commit"
container=$(docker create canary-gate)
docker cp "$container:/canary-gate" "$work/binary" >/dev/null
docker rm "$container" >/dev/null
objcopy --output-target binary --only-section=.dep-v0 --set-section-flags .dep-v0=alloc "$work/binary" "$work/dependencies"
python3 - "$work/dependencies" <<'PY'
import json, sys, zlib

listed = {(package["name"], package["version"]) for package in json.loads(zlib.decompress(open(sys.argv[1], "rb").read()))["packages"]}
locked, name = set(), None
for key, _, value in (line.partition(" = ") for line in open("Cargo.lock", encoding="utf-8").read().splitlines()):
    if key == "name":
        name = value.strip('"')
    elif key == "version" and name:
        locked.add((name, value.strip('"')))
if listed - locked or not {"canary-gate", "promeval", "rustls", "tokio"} <= {name for name, _ in listed}:
    sys.exit(f"image: the binary's list of dependencies is not that of Cargo.lock: {sorted(listed - locked)}")
print(f"image: the binary lists the {len(listed)} crates that it is made of")
PY

cargo build --quiet --example demo
serve() { # NAME [WORLD]: starts the sample canary with a fault, and Google's APIs; its address is in $url, the environment in $env
  local said=$work/said-${#canaries[@]}
  ./target/debug/examples/demo --serve --fault "$1" ${2:+--cloud "$2"} >"$said" &
  canaries+=($!)
  for _ in $(seq 100); do [ -s "$said" ] && break; sleep 0.1; done
  sleep 0.2
  url=$(head -1 "$said"); env=$work/env; sed 1d "$said" >"$env"
}
env=/dev/null
gate() { docker run --env-file "$env" --rm --pull=never --network host --read-only --cap-drop ALL --security-opt no-new-privileges canary-gate "$@"; }
expect() { # CODE PIECE ARGS...: runs the gate and wants the exit code, and the piece in what it says
  local wanted=$1 piece=$2 code=0; shift 2
  gate "$@" >"$work/out" 2>&1 || code=$?
  [ "$code" = "$wanted" ] && grep -qF -- "$piece" "$work/out" || { cat "$work/out" >&2; fail "exit $code, want $wanted with \"$piece\": $*"; }
  echo "image: exit $code as wanted: $*"
}

expect 0 "canary-gate" --version
expect 2 "pass --url URL" verify
serve none
expect 0 "PASS in" verify --url "$url"
# A name, resolved in an image that has no name service configuration of its own.
expect 0 "PASS in" verify --url "${url/127.0.0.1/localhost}"
expect 0 '"verdict": "pass"' verify --url "$url" --report json=-
serve failures-split
expect 1 "analysis failures: 3, want <= 2" verify --url "$url"
serve script-fallback
expect 1 "the page is answered for a file that is missing" verify --url "$url"
expect 1 "does not resolve" verify --url http://no-such-host.invalid --timeout 2s

# As in a rollout: an environment of Cloud Deploy's variables and nothing else, and the arguments of the canary phase.
phase=(verify --expect-percent=20 --require-identity --timeout=20s)
serve none right
expect 0 "proven: $url serves emergence-app-00042-new" "${phase[@]}"
serve none wrong
expect 1 "the tag canary points to emergence-app-00041-old, and emergence-app-00042-new was deployed" "${phase[@]}"
serve none no-token
expect 3 "cannot be asked: the metadata server answers 500: no token" "${phase[@]}"
serve failures-3 right
expect 1 "analysis failures: 3, want <= 2" "${phase[@]}"
echo "image: $size bytes (limit $limit)"
