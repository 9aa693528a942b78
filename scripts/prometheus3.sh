#!/usr/bin/env bash
# Fetches Debian unstable's Prometheus 3, server and promtool, and prints the server's path. Both are unpacked into a folder
# by a sources list of its own: nothing is installed, and the system's own list stays as it is.
#
# Usage: prometheus3.sh DIR
set -euo pipefail
mkdir -p "$1"
dir=$(cd "$1" && pwd)
mkdir -p "$dir"/{lists/partial,cache/archives/partial}
key=/usr/share/keyrings/debian-archive-keyring.gpg
# The mirror that the system itself uses.
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Label: Debian' | head -n 1)
[ -n "$mirror" ] || { echo "prometheus3: the system's lists name no mirror of Debian" >&2; exit 1; }
echo "deb [signed-by=$key] $mirror unstable main" >"$dir/sources.list"
options=(-q -o "Dir::Etc::SourceList=$dir/sources.list" -o Dir::Etc::SourceParts=/dev/null -o "Dir::State::Lists=$dir/lists"
  -o "Dir::Cache=$dir/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none -o Acquire::Retries=2
  -o Acquire::http::Timeout=20)
timeout 120 apt-get "${options[@]}" update >&2
cd "$dir"
timeout 180 apt-get "${options[@]}" download prometheus promtool >&2
for package in ./*.deb; do dpkg-deb -x "$package" root; done
root/usr/bin/prometheus --version >&2
echo "$dir/root/usr/bin/prometheus"
