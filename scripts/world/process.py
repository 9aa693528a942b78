"""Too little of a CPU, standing still, too little memory, a full disk, closed streams, signals: BINARY DEMO [--full]."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from cases import FAST, Ran, canary, checks, done, expect, run, waited

binary, demo, *full = sys.argv[1:]
ROUNDS = 400 if full else 100
QUIET = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
WINDOW = "metrics: {timeout: 20s, request_timeout: 3s, window: 3s, interval: 300ms, require: [], thresholds: [{expr: 'sum(memory_analysis_failure_total) <= 2'}]}\n"
WINDOWED = FAST.split("metrics:")[0] + WINDOW
TRAFFIC = "traffic: {enabled: true, requests: [{path: /api/items}], rate: 50/s, duration: 4s, warm_up: 500ms, compare: 'off', max_lag: 10ms, limits: {p95: 20ms}}\n"


def slowed(command, on, off, **more):
    """A process that runs for `on` seconds and stands still for `off`, in turns."""
    began = time.monotonic()
    process = subprocess.Popen(command, **QUIET, **more)

    def turns():
        while process.poll() is None:
            for name, seconds in ((signal.SIGSTOP, off), (signal.SIGCONT, on)):
                process.send_signal(name)
                time.sleep(seconds)

    threading.Thread(target=turns, daemon=True).start()
    return waited(process, began, 120)


def cpu():
    """A twentieth, in slices as a quota of the kernel's gives them; then breaks that are longer than a request may take, or a check."""
    slices, breaks = (0.005, 0.095), (0.002, 4.0 if full else 1.5)
    strict = FAST.replace("timeout: 8s", "timeout: 3s").replace("request_timeout: 3s", "request_timeout: 1s")
    running = []
    with canary(demo) as good, canary(demo, "steady") as steady, canary(demo, "health-hangs") as hangs, ThreadPoolExecutor() as pool:
        for what, url, text, share, codes, says, most in (
            ("a twentieth of a CPU", good, FAST, slices, [0], "PASS", 60),
            ("a twentieth of a CPU: a window", good, WINDOWED, slices, [0], "PASS", 60),
            ("a twentieth of a CPU: traffic", good, FAST + TRAFFIC, slices, [0, 3], "PASS|the gate itself was", 60),
            ("a twentieth of a CPU: a bad canary hangs", hangs, FAST, slices, [1], "no whole answer within", 90),
            ("long breaks", steady, strict, breaks, [0], "PASS in", 110),
            ("long breaks in a window", good, WINDOWED, (0.8, breaks[1]), [0], "PASS in .*the gate itself stood still", 110),
        ):
            file = checks(text)
            command = [binary, "verify", "--url", url, "--checks", file.name]
            # The file is there for as long as the run goes on.
            ended = pool.submit(lambda file, *arguments: slowed(*arguments), file, command, *share)
            running.append((ended, (what, codes, says, most)))
        for ended, (what, *wanted) in running:
            expect(what, ended.result(), *wanted)


def memory():
    with checks(FAST) as file, canary(demo) as url:
        for megabytes in (64, 128):
            bound = megabytes << 20
            ran = run([binary, "verify", "--url", url, "--checks", file.name], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (bound, bound)))
            # Where there is not enough, it says what it lacked.
            expect(f"{megabytes} MB of addresses", ran, [0, 3], "PASS in|memory|no thread can be started", 30)
        group = "/sys/fs/cgroup/memory/canary-gate"
        unified = "/sys/fs/cgroup/canary-gate"
        for path, name in ((group, "memory.limit_in_bytes"), (unified, "memory.max")):
            try:
                os.mkdir(path)
                try:
                    with open(f"{path}/{name}", "w") as limit:
                        limit.write(str(32 << 20))
                    join = lambda: open(f"{path}/cgroup.procs", "w").write(str(os.getpid()))
                    expect("32 MB of memory", run([binary, "verify", "--url", url, "--checks", file.name], preexec_fn=join), [0], "PASS", 30)
                finally:
                    os.rmdir(path)
                return
            except OSError:
                continue
        print("skipped: a bound of real memory (a control group) cannot be set here")


def disk():
    folder = tempfile.mkdtemp()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], capture_output=True).returncode:
        print("skipped: no file system can be mounted here")
        return
    try:
        formats = ["json", "junit", "markdown", "html", "tap", "github", "evidence"]
        reports = [part for name in formats for part in ("--report", f"{name}={folder}/report.{name}")]
        with canary(demo) as url:
            command = [binary, "verify", "--url", url, *reports]
            for left in (0, 4, 8, 16, 32, 48, 60):
                for name in os.listdir(folder):
                    os.remove(f"{folder}/{name}")
                with open(f"{folder}/ballast", "wb") as ballast:
                    ballast.write(bytes((64 - left) << 10))
                ran = run(command)
                # Either all is written, or what is not is named.
                found = {name: open(f"{folder}/{name}", "rb").read() for name in os.listdir(folder) if name != "ballast"}
                passes = json.loads(found.get("report.json") or b"{}").get("verdict") == "pass"
                is_whole = all(found.get(f"report.{name}") for name in formats)
                if ran.code == 0 and is_whole and passes:
                    expect(f"{left} KiB left on the disk are enough", ran, [0])
                else:
                    expect(f"{left} KiB left on the disk", ran, [2, 3], f"{folder}.*(No space left|could not be written|cannot be written)", 30)
                if passes and ran.code or set(found) - {f"report.{name}" for name in formats}:
                    expect(f"{left} KiB left: a report that passes, or a part of one: {sorted(found)}", ran, [])
    finally:
        subprocess.run(["umount", folder], check=True)
        os.rmdir(folder)


def streams():
    with canary(demo) as good, canary(demo, "failures-3") as bad:
        for what, url, code in (("healthy", good, 0), ("bad", bad, 1)):
            for shut in (">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"):
                ran = run(["sh", "-c", f'exec "$0" verify --url {url} {shut}', binary])
                # A verdict that cannot be told is told by the exit code.
                expect(f"{shut}, a {what} canary", ran, [code], most=30)
            full = run(["sh", "-c", f'exec "$0" verify --url {url} >/dev/full', binary])
            expect(f"an output that is full, a {what} canary", full, [3], "standard output: No space left", 30)
            unread = run(["bash", "-c", f'"$0" verify --url {url} | true; exit "${{PIPESTATUS[0]}}"', binary])
            expect(f"nobody reads, a {what} canary", unread, [code], most=30)


def signals():
    """At a random moment of a run, from its start on."""
    draw = random.Random(14)
    ends = Counter()
    formats = ["json", "junit", "markdown", "html", "tap", "github", "evidence"]

    def one(number, name, moment, url, plan, whole):
        folder = tempfile.mkdtemp()
        reports = [part for kind in formats for part in ("--report", f"{kind}={folder}/report.{kind}")]
        began = time.monotonic()
        process = subprocess.Popen([binary, "verify", "--url", url, "--checks", plan, *reports], **QUIET)
        time.sleep(moment)
        process.send_signal(name)
        signalled = time.monotonic()
        ran = waited(process, began, 30)
        took = time.monotonic() - signalled
        report = f"{folder}/report.json"
        verdict = json.load(open(report))["verdict"] if os.path.exists(report) else None
        names = sorted(os.listdir(folder))
        # Before the first line of the program ran, the signal's own end; else no verdict, unless the run had come to its end.
        right = (ran.code == -name and not names) or (ran.code, verdict) == (3, "error")
        right = right or ((ran.code, verdict) == (0, "pass") and moment > 0.9 * whole)
        ends[ran.code, verdict] += 1
        # A process that hears it ends at once; the machine may be busy.
        right = right and took < 5
        if not right or names not in ([], sorted(f"report.{kind}" for kind in formats)) or "panicked" in ran.said:
            expect(f"signal {number}: {name.name} after {moment:.4f} s, ended {took:.1f} s later, {verdict}, {names}", ran, [])
        shutil.rmtree(folder)

    with checks(WINDOWED) as file, canary(demo) as url, ThreadPoolExecutor(8) as pool:
        whole = run([binary, "verify", "--url", url, "--checks", file.name]).took
        rounds = []
        for number in range(ROUNDS):
            name = draw.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
            moment = draw.choice([draw.random() * 0.01, draw.random() * 0.1, draw.random() * 3.5])
            rounds.append(pool.submit(one, number, name, moment, url, file.name, whole))
        for ended in rounds:
            ended.result()
    if ends[3, "error"] < ROUNDS / 2:
        expect(f"only {ends[3, 'error']} signals met a run", Ran(0, 0.0, ""), [])
    told = ", ".join(f"{count} × exit {code} ({verdict})" for (code, verdict), count in sorted(ends.items(), key=str))
    expect(f"{sum(ends.values())} of {ROUNDS} signals: {told}", Ran(ROUNDS - sum(ends.values()), 0.0, ""), [0])


for part in (cpu, memory, disk, streams, signals):
    part()
done("the world")
