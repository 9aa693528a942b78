"""Names that do not resolve, flap, are slow or lead elsewhere. It runs in a network and mounts of its own, where it is the only
server of names: BINARY DEMO [--full]."""

import fcntl
import http.client
import http.server
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from urllib.parse import urlsplit

from cases import FAST, canary, checks, done, expect, run

binary, demo, *full = sys.argv[1:]
HOST = "canary.example.com"
A, AAAA = 1, 28
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5


def up():
    """Loopback is down in a new network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0x1 | 0x40)
        fcntl.ioctl(any_socket, 0x8914, request)


def resolver(options):
    """Names are asked of this process, and of no file."""
    folder = tempfile.mkdtemp()
    for name, text in {
        "resolv.conf": f"nameserver 127.0.0.1\noptions {options}\n",
        "nsswitch.conf": "hosts: dns\n",
        "hosts": "127.0.0.1 localhost\n",
    }.items():
        path = os.path.join(folder, name)
        with open(path, "w") as file:
            file.write(text)
        subprocess.run(["mount", "--bind", path, os.path.realpath(f"/etc/{name}")], check=True)


class Names:
    """A server of names. What it answers is a function of how often it was asked for the type, the type, and the seconds since it was
    set: a code, addresses (a list), raw bytes, or None for silence."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.plays(lambda *_: [])
        threading.Thread(target=self.serve, daemon=True).start()

    def plays(self, answers, delay=0.0):
        self.answers, self.delay, self.began = answers, delay, time.monotonic()
        self.asked, self.failed = Counter(), 0

    def serve(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            end = query.index(b"\0", 12) + 5
            kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
            known = kind in (A, AAAA)
            answer = self.answers(self.asked[kind], kind, time.monotonic() - self.began) if known else NXDOMAIN
            self.asked[kind] += 1
            # What is met is what was asked of addresses of IPv4, which is where the canary is.
            self.failed += kind == A and answer != HERE
            threading.Thread(target=self.answer, args=(query, peer, end, kind, answer, self.delay), daemon=True).start()

    def answer(self, query, peer, end, kind, answer, delay):
        time.sleep(delay)
        if answer is None:
            return
        if isinstance(answer, bytes):
            self.socket.sendto(answer, peer)
            return
        code, addresses = (answer, []) if isinstance(answer, int) else (NOERROR, answer)
        family = socket.AF_INET if kind == A else socket.AF_INET6
        found = [socket.inet_pton(family, one) for one in addresses if (":" in one) == (kind == AAAA)]
        head = query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, len(found), 0, 0)
        records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(one)) + one for one in found)
        self.socket.sendto(head + query[12:end] + records, peer)


up()
resolver("timeout:1 attempts:2")
names = Names()
HERE = ["127.0.0.1"]


def case(what, answers, code, says="", most=30.0, delay=0.0, text=FAST, met=1):
    """Holds a run to its exit code; the fault has to be met so many times."""
    names.plays(answers, delay)
    with checks(text) as file:
        ran = run([binary, "verify", "--url", f"http://{HOST}:{at}", "--checks", file.name], most + 20)
    expect(what, ran, [code], says, most)
    if names.failed < met:
        expect(f"{what}: only {names.failed} questions met it, of {names.asked[A]}", ran, [])


def closing(port):
    """A port in front of another, whose connections end after one answer: then the name is looked up for each request."""

    class Relay(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            asked.request("GET", self.path, headers=dict(self.headers))
            answer = asked.getresponse()
            body = answer.read()
            self.send_response_only(answer.status)
            kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in ("content-length", "connection", "transfer-encoding")]
            for name, value in [*kept, ("Content-Length", str(len(body))), ("Connection", "close")]:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Relay)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


WINDOWED = FAST.split("metrics:")[0] + """
metrics: {timeout: 20s, request_timeout: 3s, window: 4s, interval: 400ms, require: [], max_failed_scrapes: 2,
  thresholds: [{expr: 'sum(memory_analysis_failure_total) <= 2'}], backoff: {initial: 20ms, max: 50ms}}
"""
UNNAMED = "ready.*the host name does not resolve: "
SILENT = "ready.*(does not resolve|no whole answer within)"


def gone(number, *_):
    """Every other question, of which the first, fails."""
    return HERE if number % 2 else SERVFAIL


with canary(demo) as address:
    at = urlsplit(address).port
    case("a name that resolves", lambda *_: HERE, 0, "PASS in", 5, met=0)
    case("no such name", lambda *_: NXDOMAIN, 1, UNNAMED, 12)
    case("the server of names fails", lambda *_: SERVFAIL, 1, UNNAMED, 12)
    case("the server of names refuses", lambda *_: REFUSED, 1, UNNAMED, 12)
    case("a name without an address", lambda *_: [], 1, UNNAMED, 12)
    case("silence", lambda *_: None, 1, SILENT, 14)
    case("answers that are no DNS", lambda *_: b"\xff" * 40, 1, SILENT, 14)
    case("a name that comes after 3 s", lambda _, __, since: HERE if since > 3 else NXDOMAIN, 0, "PASS in", 15, met=3)
    case("silence for 3 s", lambda _, __, since: HERE if since > 3 else None, 0, "PASS in", 15)
    case("every other question fails", gone, 0, "PASS in", 15)
    case("three of four questions fail", lambda number, *_: HERE if number % 4 == 3 else SERVFAIL, 0, "PASS in", 30, met=3)
    case("every other question is lost", lambda number, *_: HERE if number % 2 else None, 0, "PASS in", 25)
    case("each answer takes 0.8 s", lambda *_: HERE, 0, "PASS in", 15, delay=0.8, met=0)
    case("an address of IPv6 that nothing listens on", lambda _, kind, __: HERE if kind == A else ["::1"], 0, "PASS in", 15, met=0)
    case("an address that leads nowhere", lambda *_: ["192.0.2.1"], 1, "ready.*cannot be reached", 12)
    case("all addresses are dead", lambda *_: ["127.0.0.2", "127.0.0.3"], 1, "ready.*connection was refused", 12)
    case("dead addresses before and behind the one that serves", lambda *_: [f"127.0.1.{n}" for n in range(1, 24)] + HERE, 0, "PASS in", 15)
    at = closing(at)
    case("every other question fails, over a window", gone, 0, "PASS in", 25, text=WINDOWED, met=5)
    case("the name is gone in mid-window", lambda _, __, since: HERE if since < 2 else NXDOMAIN, 1, "metrics.*scrapes failed", 25, text=WINDOWED, met=3)
with canary(demo, "failures-3") as address:
    at = urlsplit(address).port
    case("a bad canary whose name flaps", gone, 1, "analysis failures: 3, want <= 2", 20)
if full:
    # What a container has that nobody configured.
    subprocess.run(["umount", os.path.realpath("/etc/resolv.conf")], check=True)
    resolver("timeout:5 attempts:2")
    with canary(demo) as address:
        at = urlsplit(address).port
        case("silence, and the usual waits", lambda *_: None, 1, SILENT, 14)
        case("the first question is lost, and the usual waits", lambda number, *_: HERE if number else None, 0, "PASS in", 20)
done("names")
