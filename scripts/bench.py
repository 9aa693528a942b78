"""Measures for scripts/bench.sh, which starts what is measured against: arguments are its work folder, the canary's address, that of
one that takes some milliseconds, the delays, and --full."""

import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import time

work, url, steady, delays, *full = sys.argv[1:]
FULL = full == ["--full"]
GATE = os.path.abspath("target/release/canary-gate")
PAIRS = 30 if FULL else 20
broken = []


def run(command, **more):
    """Wall time in milliseconds. Whatever is measured has to succeed: what failed early was quick for nothing."""
    began = time.perf_counter()
    # Descriptors are left open so that the process is started without a copy of this one.
    ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, close_fds=False, **more)
    took = (time.perf_counter() - began) * 1000
    if ended.returncode != 0:
        sys.exit(f"bench: exit {ended.returncode}: {' '.join(command)}\n{ended.stderr.decode()[-2000:]}")
    return took


def medians(commands, count):
    """The median of each, taken in turns."""
    times = [[] for _ in commands]
    for number in range(count + 1):
        for taken, command in zip(times, commands):
            took = run(command)
            # The first turn warms up.
            if number:
                taken.append(took)
    return [statistics.median(taken) for taken in times]


def memory(command):
    """Peak resident memory in MB, by GNU time: a child of this process would be charged with the interpreter's own."""
    ended = subprocess.run(["/usr/bin/time", "-f", "%M", *command], check=True, capture_output=True, text=True)
    return int(ended.stderr.split()[-1]) / 1024


def row(what, value, beside="", measured=None, bound=None):
    said = "" if bound is None else f"{measured:.3g} (bound {bound})"
    if bound is not None and measured > bound:
        broken.append(what)
        said += " BROKEN"
    print(f"| {what} | {value} | {beside} | {said} |", flush=True)


def head(what, beside):
    print(f"\n| {what} | the gate | {beside} | measured |\n|---|---|---|---|")


def file(name, text):
    path = os.path.join(work, name)
    with open(path, "w") as written:
        written.write(text)
    return path


def verify(address, *more):
    return [GATE, "verify", "--url", address, *more]


def peers(address):
    found = [verify(address), ["bash", "scripts/verify.sh", address]]
    if shutil.which("hurl"):
        found.append(["hurl", "--test", "--variable", f"url={address}", "scripts/verify.hurl"])
    return found


def first_byte():
    """From the start of the process to the first byte that it sends, in milliseconds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        began = time.perf_counter()
        gate = subprocess.Popen(
            verify(f"http://127.0.0.1:{server.getsockname()[1]}"),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False,
        )
        connection, _ = server.accept()
        connection.recv(1)
        took = (time.perf_counter() - began) * 1000
        gate.kill()
        gate.wait()
        connection.close()
    return took


def ordinary():
    times = medians(peers(url), PAIRS)
    ours, script = times[:2]
    head("an ordinary run, on loopback", "beside")
    row("wall time", f"{ours:.1f} ms", f"script {script:.0f} ms", ours / script, 0.08)
    if len(times) > 2:
        row("wall time", f"{ours:.1f} ms", f"Hurl {times[2]:.1f} ms", ours / times[2], 0.5 if FULL else 0.6)
    else:
        print("| wall time | | Hurl is not installed here: its column is left out | |")
    # Of this one the quickest: no peer stands beside it, and a busy machine only adds to it.
    first = min(first_byte() for _ in range(100))
    # The bound of 3 ms is for a machine of its own; the short form runs wherever there is one.
    row("start to the first byte sent, the quickest", f"{first:.2f} ms", "", first, 3 if FULL else 8)
    peak = memory(verify(url))
    row("peak memory", f"{peak:.1f} MB", "", peak, 10)
    size = os.path.getsize(GATE) / 1024 / 1024
    row("binary", f"{size:.2f} MB", "", size, 8)


def latency():
    head("with a delay between, no TLS", "script, Hurl")
    for delay in delays.split():
        with open(os.path.join(work, f"delay-{delay}")) as address:
            far = "http://" + address.read().strip()
        times = medians(peers(far), PAIRS if FULL else 5)
        others = ", ".join(f"{taken:.0f} ms" for taken in times[1:])
        trips = f", {times[0] / float(delay):.2f} round trips (least 5)" if float(delay) >= 10 else ""
        row(f"{delay} ms of round trip", f"{times[0]:.1f} ms{trips}", others)


def exposition(megabytes):
    draw = random.Random(7)
    lines, size = ["# TYPE requests_total counter"], 0
    number = 0
    while size < megabytes * 1_000_000:
        number += 1
        line = f'requests_total{{method="GET",path="/api/items/{number}",status="{draw.choice((200, 404, 500))}"}} {draw.random() * 1e6:.3f}'
        size += len(line) + 1
        lines.append(line)
    return "\n".join(lines) + "\n"


def metrics():
    head("metrics: one sum over a file", "promtool check metrics")
    for megabytes in (1, 5, 20, 60) if FULL else (1, 5):
        path = file("metrics.txt", exposition(megabytes))
        command = [GATE, "query", "sum(requests_total)", "--file", path]
        promtool = ["sh", "-c", f"promtool check metrics <{path} || test $? = 3"]
        times = medians([command, promtool] if shutil.which("promtool") else [command], 5)
        beside = f"{times[1]:.0f} ms" if len(times) > 1 else "not here"
        row(f"{megabytes} MB", f"{times[0]:.0f} ms, {memory(command):.0f} MB", beside)
        os.remove(path)


OTHERS_OFF = "health: {enabled: false}\nreadiness: {enabled: false}\nsmoke: {enabled: false}\n"


def checks():
    head("HTTP checks in one run", "")
    for count in (1, 10, 100, 1000) if FULL else (1, 100):
        listed = "".join(f"  - {{name: check-{number}, path: /api/health}}\n" for number in range(count))
        path = file("checks.yaml", OTHERS_OFF + "metrics: {enabled: false}\nhttp:\n" + listed)
        command = verify(url, "--checks", path)
        taken, = medians([command], 5)
        row(f"{count}", f"{taken:.1f} ms, {memory(command):.1f} MB")


def thresholds():
    head("thresholds over one scrape", "")
    # A checks file has 20,000 values at most, which is over 6,000 thresholds.
    for count in (1, 10, 100, 1000, 6000) if FULL else (1, 1000):
        listed = "".join(f"    - {{expr: 'sum(memory_analysis_success_total) >= {-number}'}}\n" for number in range(count))
        path = file("checks.yaml", OTHERS_OFF + "metrics:\n  thresholds:\n" + listed)
        command = verify(url, "--checks", path)
        taken, = medians([command], 5)
        row(f"{count}", f"{taken:.1f} ms, {memory(command):.1f} MB")


def traffic():
    head("traffic check, 5 s", "CPU time of the gate")
    for rate in (10, 100, 500, 1000) if FULL else (10, 100):
        path = file(
            "checks.yaml",
            OTHERS_OFF + "metrics: {enabled: false}\ntraffic:\n  enabled: true\n  requests: [{path: /api/items}]\n"
            f"  rate: {rate}/s\n  duration: 5s\n  warm_up: 500ms\n  max_lag: 1s\n  on_unproven: warn\n  limits: {{errors: 0.5}}\n",
        )
        report = os.path.join(work, "report.json")
        measured = ["/usr/bin/time", "-f", "%U %S %M", *verify(steady, "--checks", path, "--report", f"json={report}")]
        ended = subprocess.run(measured, check=True, capture_output=True, text=True)
        user, system, peak = map(float, ended.stderr.split()[-3:])
        with open(report) as read:
            checks = json.load(read)["checks"]
        seen = {one["name"]: one["detail"] for check in checks if check["name"] == "traffic" for one in check["observations"]}
        lag = seen["schedule"].split("; ")[1]
        row(f"{rate}/s", f"{peak / 1024:.1f} MB; {lag}", f"{user + system:.2f} s; {seen['requests to canary']}")


print(f"medians of {PAIRS} pairs where nothing else is said, on {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
for section in (ordinary, latency, metrics, checks, thresholds, traffic):
    section()
if broken:
    sys.exit(f"bench: over the bound: {', '.join(broken)}")
