#!/usr/bin/env python3
"""`canary-gate query` beside `promtool check metrics` on the same files, in one run: time and peak memory by GNU time.

Usage: promtool.py GATE [RUNS]
"""

import subprocess
import sys
import tempfile

gate, runs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
# The file, its series, the largest part of promtool's time, and the most memory in MiB.
FILES = [("24 MB", 300_000, 0.2, 100), ("60 MB", 768_000, 0.2, 250)]


def measured(command, stdin=None):
    """Seconds of wall time, seconds of processor time, MiB."""
    with open(stdin or "/dev/null") as text:
        done = subprocess.run(["/usr/bin/time", "-f", "%e %U %S %M", *command], stdin=text, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True)
    wall, user, system, memory = map(float, done.stderr.split()[-4:])
    return wall, user + system, memory / 1024


failed = False
print(f"{'file':8}{'what':34}{'wall':>8}{'cpu':>8}{'memory':>10}{'of promtool':>13}")
for name, series, part, most in FILES:
    with tempfile.NamedTemporaryFile("w", suffix=".prom") as file:
        file.write("# HELP m Requests.\n# TYPE m counter\n")
        file.writelines(f'm{{method="GET",path="/api/v1/items/{index}",status="{200 + index % 5}",zone="europe-west1"}} '
                        f"{index * 7 % 100_000}\n" for index in range(series))
        file.flush()
        commands = {"promtool check metrics": (["promtool", "check", "metrics"], file.name),
                    "query 'sum(m)'": ([gate, "query", "sum(m)", "--file", file.name],),
                    "query of a metric that is not there": ([gate, "query", "other", "--file", file.name],)}
        # Turn by turn, so that whatever else the machine does hits all alike; the least of each is what it takes.
        seen = {what: [] for what in commands}
        for _ in range(runs):
            for what, command in commands.items():
                seen[what].append(measured(*command))
    least = {what: [min(column) for column in zip(*rows)] for what, rows in seen.items()}
    for what, (wall, cpu, memory) in least.items():
        ratio = cpu / least["promtool check metrics"][1]
        bad = what.startswith("query 'sum") and (ratio > part or memory > most)
        failed |= bad
        print(f"{name:8}{what:34}{wall:7.2f}s{cpu:7.2f}s{memory:7.0f}MiB{ratio:13.2f}{'  over the bound' if bad else ''}")
sys.exit(failed)
