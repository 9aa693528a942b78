"""Names that do not resolve, flap, are slow or lead elsewhere. It runs in a network and mounts of its own, where it is the only
server of names: BINARY DEMO [--full]."""

import fcntl
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
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
    """A server of names. What it answers is a function of how often it was asked, the type and the seconds since it was set: a code,
    addresses (a list), raw bytes, or None for silence."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        self.plays(lambda *_: [])
        threading.Thread(target=self.serve, daemon=True).start()

    def plays(self, answers, delay=0.0):
        self.answers, self.delay, self.asked, self.began = answers, delay, 0, time.monotonic()

    def serve(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            threading.Thread(target=self.answer, args=(query, peer, self.asked), daemon=True).start()
            self.asked += 1

    def answer(self, query, peer, number):
        end = query.index(b"\0", 12) + 5
        kind = struct.unpack("!H", query[end - 4 : end - 2])[0]
        delay, answer = self.delay, self.answers(number, kind, time.monotonic() - self.began)
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


def case(what, answers, codes, says="", most=30.0, delay=0.0, port=None, text=FAST):
    names.plays(answers, delay)
    with checks(text) as file:
        url = f"http://{HOST}:{port or at}"
        expect(what, run([binary, "verify", "--url", url, "--checks", file.name], most + 20), codes, says, most)


with canary(demo) as address:
    at = urlsplit(address).port
    case("a name that resolves", lambda *_: HERE, [0], most=5)
    case("no such name", lambda *_: NXDOMAIN, [1], "ready.*the host name does not resolve: ", 12)
    case("the server of names fails", lambda *_: SERVFAIL, [1], "ready.*the host name does not resolve: ", 12)
    case("the server of names refuses", lambda *_: REFUSED, [1], "ready.*the host name does not resolve: ", 12)
    case("a name without an address", lambda *_: [], [1], "ready.*the host name does not resolve: ", 12)
    case("silence", lambda *_: None, [1], "ready.*(does not resolve|no whole answer within)", 14)
    case("answers that are no DNS", lambda *_: b"\xff" * 40, [1], "ready.*(does not resolve|no whole answer within)", 14)
    case("a name that comes after 3 s", lambda _, __, since: HERE if since > 3 else NXDOMAIN, [0], most=15)
    case("silence for 3 s", lambda _, __, since: HERE if since > 3 else None, [0], most=15)
    case("every other question fails", lambda number, *_: SERVFAIL if number % 2 else HERE, [0], most=15)
    case("three of four questions fail", lambda number, *_: HERE if number % 4 == 3 else SERVFAIL, [0, 1], "PASS|does not resolve", most=30)
    case("every other question is lost", lambda number, *_: None if number % 2 else HERE, [0], most=25)
    case("each answer takes 0.8 s", lambda *_: HERE, [0], most=15, delay=0.8)
    case("the first address is dead", lambda *_: ["127.0.0.2", "127.0.0.1"], [0], most=15)
    case("an address of IPv6 that nothing listens on", lambda *_: ["::1", "127.0.0.1"], [0], most=15)
    case("an address that leads nowhere", lambda *_: ["192.0.2.1", "127.0.0.1"], [0, 1], "PASS|cannot be reached|connection", most=15)
    case("all addresses are dead", lambda *_: ["127.0.0.2", "127.0.0.3"], [1], "ready.*connection was refused", 12)
    case("the name is gone after the first second", lambda _, __, since: HERE if since < 1 else NXDOMAIN, [0], most=15)
    case("forty addresses, one of which serves", lambda *_: [f"127.0.1.{n}" for n in range(1, 24)] + HERE, [0], most=15)
with canary(demo, "failures-3") as address:
    at = urlsplit(address).port
    case("a bad canary whose name flaps", lambda number, *_: SERVFAIL if number % 2 else HERE, [1], "analysis failures", 20)
if full:
    # What a container has that nobody configured.
    subprocess.run(["umount", os.path.realpath("/etc/resolv.conf")], check=True)
    resolver("timeout:5 attempts:2")
    with canary(demo) as address:
        at = urlsplit(address).port
        case("silence, and the usual waits", lambda *_: None, [1], "ready.*(does not resolve|no whole answer within)", 14)
        case("the first question is lost, and the usual waits", lambda number, *_: None if number < 2 else HERE, [0], most=15)
done("names")
