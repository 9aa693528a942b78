#!/usr/bin/env python3
"""Asks a real Prometheus 3 for the answers of crates/promeval/tests/promql/, and compares or writes them.

Each file has data and expressions (the format is told in tests/promql/README.md). The series of each block are sent to a fresh
server by remote write, stale markers and all.

Usage: record_promql.py PROMETHEUS [--write] [FILE ...]

Without --write, the answers in the files must be those of the server; with it, they are replaced. What a refusal says is
ours: only that the server refuses too is checked.
"""

import json
import math
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../crates/promeval/tests/promql")
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
STALE = struct.pack("<Q", 0x7FF0000000000002)


def milliseconds(text):
    pieces = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    assert "".join(map("".join, pieces)) == text, text
    return round(sum(float(number) * UNITS[unit] for number, unit in pieces))


def values(text):
    """The values of a series, None where there is no sample."""
    found = []
    for word in text.split():
        run = re.fullmatch(r"(NaN|-?Inf|-?[\d.]+(?:e\d+)?)([+-][\d.]+)?x(\d+)", word)
        if word == "_":
            found.append(None)
        elif word == "stale":
            found.append(STALE)
        elif match := re.fullmatch(r"_x(\d+)", word):
            found += [None] * int(match[1])
        elif run:
            found += [struct.pack("<d", float(run[1]) + float(run[2] or 0) * index) for index in range(int(run[3]) + 1)]
        else:
            found.append(struct.pack("<d", float(word)))
    return found


def labels_of(series):
    name, inside = re.fullmatch(r"([^{]*)(?:\{(.*)\})?", series).groups()
    quoted_name = re.match(r'"((?:[^"\\]|\\.)*)"(?!=)', inside or "")
    name = name or (quoted_name[1] if quoted_name else "")
    found = {"__name__": name} if name else {}
    for label, value in re.findall(r'("(?:[^"\\]|\\.)*"|[\w.]+)="((?:[^"\\]|\\.)*)"', inside or ""):
        found[json.loads(label) if label.startswith('"') else label] = json.loads(f'"{value}"')
    return found


def varint(number):
    out = bytearray()
    number &= (1 << 64) - 1
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def remote_write(base, series):
    """Sends samples in the order of time: protobuf, in Snappy's framing without compression."""
    body = b""
    for labels, samples in series:
        inner = b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in sorted(labels.items()))
        inner += b"".join(field(2, b"\x09" + value + b"\x10" + varint(at)) for at, value in samples)
        body += field(1, inner)
    packed = varint(len(body))
    for start in range(0, len(body), 60_000):
        piece = body[start:start + 60_000]
        packed += b"\xf4" + struct.pack("<H", len(piece) - 1) + piece
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Write-Version": "0.1.0"}
    urllib.request.urlopen(urllib.request.Request(f"{base}/api/v1/write", packed, headers)).close()


class Server:
    """A fresh Prometheus for one block of data."""

    def __init__(self, binary, series):
        self.folder = tempfile.TemporaryDirectory()
        config = os.path.join(self.folder.name, "prometheus.yml")
        with open(config, "w") as file:
            file.write("global: {}\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [binary, f"--config.file={config}", f"--storage.tsdb.path={self.folder.name}/data", "--storage.tsdb.retention.time=100y",
             "--web.enable-remote-write-receiver", "--enable-feature=promql-duration-expr", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"],
            stdout=subprocess.DEVNULL)
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{self.base}/-/ready").close()
                break
            except OSError:
                time.sleep(0.05)
        if series:
            remote_write(self.base, series)

    def ask(self, path, parameters):
        try:
            with urllib.request.urlopen(f"{self.base}/api/v1/{path}", urllib.parse.urlencode(parameters).encode()) as answer:
                return json.load(answer)["data"], None
        except urllib.error.HTTPError as error:
            return None, json.load(error).get("error", "")

    def query(self, text, times):
        """An instant query at one time, or a range query from a first time to a last by a step."""
        start, *range_ = [at / 1000 for at in times]
        if not range_:
            return self.ask("query", {"query": text, "time": start})
        return self.ask("query_range", {"query": text, "start": start, "end": range_[0], "step": range_[1]})

    def version(self):
        with urllib.request.urlopen(f"{self.base}/api/v1/status/buildinfo") as answer:
            return tuple(map(int, json.load(answer)["data"]["version"].split(".")[:2]))

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.folder.cleanup()


def quoted(text):
    return json.dumps(text, ensure_ascii=False)


def shown(metric):
    name = metric.pop("__name__", "")
    legacy = re.fullmatch(r"[a-zA-Z_:][\w:]*", name) or not name
    parts = [] if legacy else [quoted(name)]
    for label, value in sorted(metric.items()):
        label = label if re.fullmatch(r"[a-zA-Z_]\w*", label) else quoted(label)
        parts.append(f"{label}={quoted(value)}")
    inside = "{" + ", ".join(parts) + "}"
    return f"{name}{inside if parts else ''}" if legacy and name else inside


def answer(data, ordered):
    kind, result = data["resultType"], data["result"]
    if kind == "scalar":
        return [f"scalar {result[1]}"]
    if kind == "string":
        return [f"string {quoted(result[1])}"]
    if kind == "vector":
        lines = [f"{shown(row['metric'])} = {row['value'][1]}" for row in result]
    else:
        lines = [f"{shown(row['metric'])} = " + " ".join(f"{value}@{at:g}" for at, value in row["values"]) for row in result]
    return (lines if ordered else sorted(lines)) or ["nothing"]


def same(mine, real):
    """Lines alike, numbers to twelve digits."""
    def parts(line):
        head, _, tail = line.rpartition("= ") if "= " in line else line.rpartition(" ")
        return head, [word.partition("@") for word in tail.split(" ")]

    def close(a, b):
        try:
            a, b = float(a), float(b)
        except ValueError:
            return a == b
        return a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-12)

    if len(mine) != len(real):
        return False
    for (head, found), (other, wanted) in zip(map(parts, mine), map(parts, real)):
        if head != other or len(found) != len(wanted):
            return False
        if not all(close(f[0], w[0]) and f[2] == w[2] for f, w in zip(found, wanted)):
            return False
    return True


def replay(binary, path, write):
    server, series, every, differing, cases, skipped, written = None, [], None, [], 0, 0, []
    lines = open(path).read().split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        written.append(line)
        if match := re.fullmatch(r"data every (\w+)", line):
            if server:
                server.stop()
            server, series, every = None, [], milliseconds(match[1])
            while at < len(lines) and lines[at].startswith("    "):
                name, _, text = lines[at].strip().rpartition(" = ")
                points = [(index * every, value) for index, value in enumerate(values(text)) if value is not None]
                series.append((labels_of(name), points))
                written.append(lines[at])
                at += 1
        elif match := re.fullmatch(r"at (\S+?)( in order)?( since 3\.\d+)?: (.*)|from (\S+) to (\S+) step (\S+?)( since 3\.\d+)?: (.*)", line):
            server = server or Server(binary, series)
            at_, ordered, since, text, *range_, range_since, range_text = match.groups()
            times = [milliseconds(word) for word in ([at_] if at_ else range_)]
            since, text = since or range_since, text or range_text
            old = []
            while at < len(lines) and lines[at].startswith("    "):
                old.append(lines[at].strip())
                at += 1
            if since and server.version() < tuple(map(int, since.removeprefix(" since ").split("."))):
                skipped += 1
                written += [f"    {row}" for row in old]
                continue
            data, reason = server.query(text, times)
            cases += 1
            if data is None:
                new = old if old and old[0].startswith("refused") else [f"refused: {reason}"]
            else:
                new = answer(data, ordered)
            if not same(old, new):
                differing.append((path, line, old, new if data is not None else reason))
            written += [f"    {row}" for row in (old if same(old, new) else new)]
        elif line and not line.startswith("#"):
            raise SystemExit(f"{path}: cannot read {line!r}")
    if server:
        server.stop()
    if write:
        with open(path, "w") as file:
            file.write("\n".join(written))
    return cases, skipped, differing


def main():
    binary, *rest = sys.argv[1:]
    write = "--write" in rest
    files = [path for path in rest if path != "--write"]
    files = files or sorted(os.path.join(FOLDER, name) for name in os.listdir(FOLDER) if name.endswith(".txt"))
    total, skipped, differing = 0, 0, []
    for path in files:
        cases, passed_over, wrong = replay(os.path.abspath(binary), path, write)
        total += cases
        skipped += passed_over
        differing += wrong
    for path, line, old, new in differing if not write else []:
        print(f"{os.path.basename(path)}: {line}\n  file       {old}\n  Prometheus {new}")
    print(f"promql corpus: {total} cases, {len(differing)} {'written anew' if write else 'differ from Prometheus'}, "
          f"{skipped} are of a newer version than the server")
    sys.exit(1 if differing and not write else 0)


main()
