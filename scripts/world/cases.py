"""What the faults of the world have in common: a sample canary, a run of the gate, and what has to come of it."""

import contextlib
import dataclasses
import re
import subprocess
import sys
import tempfile
import time

FAST = """
ready: {timeout: 8s, request_timeout: 3s, backoff: {initial: 50ms, max: 200ms}}
health: {timeout: 8s, request_timeout: 3s, retries: 10, backoff: {initial: 50ms, max: 200ms}}
readiness: {timeout: 8s, request_timeout: 3s, backoff: {initial: 50ms, max: 200ms}}
smoke: {timeout: 8s, request_timeout: 3s, backoff: {initial: 50ms, max: 200ms}}
metrics: {timeout: 8s, request_timeout: 3s, backoff: {initial: 50ms, max: 200ms}}
"""
broken = []


@dataclasses.dataclass
class Ran:
    code: int
    took: float
    said: str
    """Both streams, in one line."""


@contextlib.contextmanager
def canary(demo, fault="none"):
    """The address of a sample canary, for as long as it is used."""
    with subprocess.Popen([demo, "--serve", "--fault", fault], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def checks(text):
    """A checks file; it is gone with the process."""
    file = tempfile.NamedTemporaryFile("w", suffix=".yaml")
    file.write(text)
    file.flush()
    return file


def waited(process, began, most):
    """What became of a process, which has so many seconds."""
    try:
        out, err = process.communicate(timeout=most)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        return Ran(-1000, time.monotonic() - began, f"still running after {most} s: {err.decode(errors='replace')[-300:]}")
    said = (out or b"") + (err or b"")
    return Ran(process.returncode, time.monotonic() - began, " ".join(said.decode(errors="replace").split()))


def run(command, most=60, **more):
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    return waited(process, began, most)


def expect(what, ran, codes, says="", most=None):
    """Holds a run to its exit codes, to a pattern of what it says, and to so many seconds."""
    wrong = []
    if ran.code not in codes:
        wrong.append(f"exit {ran.code}, not {' or '.join(map(str, codes))}")
    if not re.search(says, ran.said):
        wrong.append(f"it does not say {says!r}")
    if "panicked" in ran.said:
        wrong.append("it panicked")
    if most is not None and ran.took > most:
        wrong.append(f"it took over {most} s")
    print(f"{'BROKEN' if wrong else 'holds '} {what}: exit {ran.code} in {ran.took:.1f} s", flush=True)
    if wrong:
        broken.append(what)
        print(f"       {'; '.join(wrong)}: {ran.said[-900:]}", flush=True)


def done(name):
    if broken:
        sys.exit(f"{name}: {len(broken)} broken: {', '.join(broken)}")
