#!/usr/bin/env bash
# How many round trips a healthy run takes over TLS, with a delay between: the wall time of the quickest run (a busy machine only adds)
# divided by the round trip. The share of Hurl's time is of medians.
# HTTP/2 and HTTP/1.1 by nginx in front of the sample canary; with the Admin API as far away; Hurl in the same run, where it is
# installed. Fails where a bound is broken.
#
# Usage: scripts/round_trips.sh [--full]
# Needs nginx, openssl, hyperfine, Python; --full measures more often, and at more delays.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=10 delays="50"
# The bounds of a machine of its own have less room: the short form runs wherever there is one.
direct=7 identity=8
[ "${1:-}" != --full ] || { runs=20 delays="10 50 100" direct=6.5 identity=7.5; }
work=$(mktemp -d)
started=()
trap 'for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done; rm -rf "$work"' EXIT
cargo build --quiet --release --bin canary-gate --example demo --example delay
gate=target/release/canary-gate

wait_for() { for _ in $(seq 100); do [ "$(wc -l <"$1")" -ge "$2" ] && return; sleep 0.1; done; echo "round_trips: $1 stays empty" >&2; exit 1; }
./target/release/examples/demo --serve --cloud right >"$work/served" &
started+=($!)
wait_for "$work/served" 13
canary=$(head -n 1 "$work/served")
sed 1d "$work/served" >"$work/env"
google=$(sed -n 's/^CANARY_GATE_RUN_ENDPOINT=//p' "$work/env")

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=round trips" -addext basicConstraints=critical,CA:TRUE \
  -keyout "$work/ca.key" -out "$work/ca.pem" 2>/dev/null
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=canary" -keyout "$work/key.pem" -out "$work/request.pem" 2>/dev/null
printf 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' >"$work/extensions"
openssl x509 -req -in "$work/request.pem" -CA "$work/ca.pem" -CAkey "$work/ca.key" -days 2 -extfile "$work/extensions" -out "$work/cert.pem" 2>/dev/null

read -r h2 h1 api < <(python3 -c '
import socket
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(one.getsockname()[1] for one in held))')
configure() { # PUBLIC: nginx in front of it all; the API names the canary by the address that is delayed
  cat >"$work/nginx.conf" <<CONF
worker_processes 1;
pid $work/nginx.pid;
error_log $work/nginx.log;
events { worker_connections 512; }
http {
  access_log off;
  keepalive_requests 100000;
  client_body_temp_path $work/body; proxy_temp_path $work/proxy; fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;
  ssl_certificate $work/cert.pem; ssl_certificate_key $work/key.pem; ssl_protocols TLSv1.3;
  upstream canary { server ${canary#http://}; keepalive 32; }
  upstream google { server ${google#http://}; keepalive 32; }
  proxy_http_version 1.1; proxy_set_header Connection "";
  server { listen 127.0.0.1:$h2 ssl http2; location / { proxy_pass http://canary; } }
  server { listen 127.0.0.1:$h1 ssl; location / { proxy_pass http://canary; } }
  server { listen 127.0.0.1:$api ssl http2; location / { proxy_pass http://google; sub_filter_once off; sub_filter_types application/json; sub_filter $canary $1; } }
}
CONF
}
nginx=
cat >"$work/measure.py" <<'PY'
"""Reads hyperfine's results: a row each, and whether a bound is broken."""
import json, sys

path, delay, *rows = sys.argv[1:]
results = json.load(open(path))["results"]
names = [row.split("=")[0] for row in rows]
times = {name: result["median"] * 1000 for name, result in zip(names, results)}
quickest = {name: result["min"] * 1000 for name, result in zip(names, results)}
broken = False
for row in rows:
    name, least, bound = row.split("=")
    trips = quickest[name] / float(delay)
    over = bound != "-" and trips > float(bound)
    broken |= over
    print(f"{delay + ' ms':8}{name:34}{times[name]:8.1f} ms{trips:8.2f} round trips (least {least}, bound {bound}){' BROKEN' if over else ''}")
if "Hurl, HTTP/2" in times:
    share = times["the gate, HTTP/2"] / times["Hurl, HTTP/2"]
    broken |= share > 0.75
    print(f"{'':8}the gate takes {share:.2f} of Hurl's time (bound 0.75)")
sys.exit(broken)
PY
status=0
for delay in $delays; do
  ./target/release/examples/delay --round-trip "$delay" "127.0.0.1:$h2" "127.0.0.1:$h1" "127.0.0.1:$api" >"$work/delayed" &
  started+=($!)
  wait_for "$work/delayed" 3
  mapfile -t far <"$work/delayed"
  configure "https://${far[0]}"
  if [ -z "$nginx" ]; then
    nginx -e "$work/nginx.log" -c "$work/nginx.conf" -g 'daemon off;' &
    nginx=$!
    started+=("$nginx")
  else
    kill -HUP "$nginx"
  fi
  for _ in $(seq 100); do curl --silent --cacert "$work/ca.pem" "https://127.0.0.1:$api" >"$work/curl" && break; sleep 0.1; done
  deployment="env $(tr '\n' ' ' <"$work/env") CANARY_GATE_RUN_ENDPOINT=https://${far[2]}"
  measured=("the gate, HTTP/2=6=$direct" "the gate, HTTP/1.1=6=$direct" "the gate, with identity=7=$identity")
  commands=(
    "$gate verify --url https://${far[0]} --ca-file $work/ca.pem"
    "$gate verify --url https://${far[1]} --ca-file $work/ca.pem"
    "$deployment $gate verify --url https://${far[0]} --ca-file $work/ca.pem --require-identity"
  )
  if command -v hurl >/dev/null; then
    measured+=("Hurl, HTTP/2=-=-")
    commands+=("hurl --test --cacert $work/ca.pem --variable url=https://${far[0]} scripts/verify.hurl")
  fi
  hyperfine --shell=none --warmup 1 --runs "$runs" --export-json "$work/times.json" "${commands[@]}" >"$work/hyperfine" 2>&1 ||
    { cat "$work/hyperfine" >&2; "${commands[2]%% *}" ${commands[2]#* } || true; exit 1; }
  python3 "$work/measure.py" "$work/times.json" "$delay" "${measured[@]}" || status=1
done
command -v hurl >/dev/null || echo "Hurl is not installed here: its column is left out"
exit "$status"
