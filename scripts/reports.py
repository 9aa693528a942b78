"""Every format of every kind of run, by the real binary, held to its schema or its validator; and what their bounds are.

    python3 scripts/reports.py BINARY DEMO FOLDER [JUNIT_XSD]

BINARY is canary-gate, DEMO the sample canary (`cargo build --example demo`), FOLDER where the reports go. Runs that pass, warn,
fail, have no verdict, are interrupted or unfinished, and one whose canary says what harms most. JSON is held to report.schema.json, JUnit to
scripts/junit.xsd (and to another schema that is named), HTML to tidy, TAP to prove; evidence is replayed, and gives the same bytes of all.
With chromium installed and SCREENSHOTS set, pages are drawn: light and dark, 400 and 1400 px wide, and as a print.

It needs jsonschema and lxml from PyPI, and tidy.
"""

import http.server
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

import jsonschema
from lxml import etree

ROOT = pathlib.Path(__file__).resolve().parent.parent
FORMATS = ["json", "junit", "markdown", "html", "tap", "github"]
HOSTILE = "\u001b[31m\u202e]]>--><script>alert(1)</script>&lt;\"' | a | `b` **c** [d](javascript:e) # SKIP %0A ::error::x"


class Hostile(http.server.BaseHTTPRequestHandler):
    """A canary that says of everything what harms most."""

    def do_GET(self):
        label = HOSTILE.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        path = self.path.split("?")[0]
        status, kind, body = 200, "text/html", "<html><script src=/a.js></script></html>"
        if path == "/api/health":
            kind, body = "application/json", json.dumps({"status": "ok", HOSTILE: HOSTILE})
        elif path == "/api/metrics":
            kind = "text/plain; version=0.0.4"
            body = f'# TYPE odd_total counter\nodd_total{{said="{label}"}} 9\n'
        elif path == "/health/readiness":
            status, body = 400, HOSTILE
        elif path == "/a.js":
            status, body = 404, HOSTILE
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Runs:
    def __init__(self, binary, demo, folder):
        self.binary, self.demo, self.folder = binary, demo, folder
        self.served = []

    def serve(self, *args):
        """The address of a sample canary."""
        process = subprocess.Popen([self.demo, "--serve", *args], stdout=subprocess.PIPE)
        self.served.append(process)
        return process.stdout.readline().decode().strip()

    def end(self):
        for process in self.served:
            process.terminate()
            process.wait()

    def run(self, name, code, args, checks, interrupt=None):
        """One run with all its reports; its exit code must be as wanted."""
        here = self.folder / name
        here.mkdir(parents=True)
        (here / "checks.yaml").write_text(checks)
        reports = [f"--report={format}={here / ('report.' + format)}" for format in [*FORMATS, "evidence"]]
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        process = subprocess.Popen(
            [self.binary, "verify", *args, "--checks", str(here / "checks.yaml"), *reports],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=here)
        if interrupt:
            # Once it waits for the health check.
            for line in process.stderr:
                if b"ready: pass" in line:
                    break
            process.send_signal(interrupt)
        out, err = process.communicate(timeout=120)
        (here / "summary.txt").write_bytes(out)
        (here / "progress.txt").write_bytes(err)
        expect(process.returncode == code, f"{name}: exit {process.returncode}, want {code}: {err.decode()}{out.decode()}")


def expect(holds, what):
    if not holds:
        sys.exit(f"reports.py: {what}")


def all_runs(runs):
    fast = "timeout: 60s\nmetrics: {timeout: 20s, window: 3s, interval: 500ms%s}\n"
    steady = runs.serve("--fault", "steady")
    beside = runs.serve("--fault", "steady")
    slow = runs.serve("--fault", "twice-as-slow")
    traffic = ("smoke: {enabled: false}\ntraffic: {enabled: true, requests: [{path: /api/items}], rate: 220/s, duration: 3s, warm_up: 500ms, "
               f"max_lag: 10s, seed: 7, request_timeout: 1s, baseline: {beside}, limits: {{errors: 0.05, p95: 2s, first_answer: 10s}}}}\n")
    plain = ", thresholds: [{expr: 'memory_analysis_cache_size >= 0', severity: warn}, {expr: '(sum(memory_analysis_failure_total) or vector(0)) <= 2'}]"
    runs.run("pass", 0, ["--url", steady], fast % plain + traffic)
    runs.run("slower", 1, ["--url", slow], fast % plain + traffic)
    runs.run("warn", 0, ["--url", runs.serve("--fault", "hit-rate-low")], fast % "")
    runs.run("fail", 1, ["--url", runs.serve("--fault", "failures-split")],
             fast % ", thresholds: [{expr: 'sum(memory_analysis_failure_total) <= 2'}, {expr: 'sum by (provider) (memory_analysis_failure_total) < 2'}]")
    runs.run("gone", 1, ["--url", runs.serve("--fault", "health-flapping")], "health: {retries: 2, backoff: {initial: 50ms, max: 100ms}}\n")
    runs.run("flaky", 0, ["--url", runs.serve("--fault", "health-flapping")], "health: {backoff: {initial: 50ms, max: 100ms}}\n")
    # A server beside the canary that is not there.
    runs.run("error", 3, ["--url", steady],
             "metrics: {source: prometheus, url: 'http://127.0.0.1:1', timeout: 2s, thresholds: [{expr: 'sum(up) > 0'}]}\n")
    runs.run("interrupted", 3, ["--url", runs.serve("--fault", "health-hangs")], "timeout: 60s\n", signal.SIGTERM)
    # What is left of a run that is killed.
    runs.run("unfinished", -9, ["--url", runs.serve("--fault", "health-hangs")], "timeout: 60s\n", signal.SIGKILL)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    runs.run("hostile", 1, ["--url", f"http://127.0.0.1:{server.server_port}"],
             fast % ", require: [], thresholds: [{expr: 'odd_total < 5'}]")
    server.shutdown()


def hold(runs, other):
    """Every report to its schema or its validator."""
    schema = jsonschema.Draft202012Validator(json.loads((ROOT / "report.schema.json").read_text()))
    junits = [etree.XMLSchema(etree.parse(str(path))) for path in [ROOT / "scripts/junit.xsd", *other]]
    for here in sorted(runs.folder.iterdir()):
        errors = [error.message for error in schema.iter_errors(json.loads((here / "report.json").read_text()))]
        expect(not errors, f"{here.name}: report.json: {errors}")
        tree = etree.parse(str(here / "report.junit"))
        for junit in junits:
            expect(junit.validate(tree), f"{here.name}: report.junit: {junit.error_log}")
        for suite in tree.getroot():
            cases = suite.findall("testcase")
            counts = {"tests": len(cases), "failures": sum(case.find("failure") is not None for case in cases),
                      "errors": sum(case.find("error") is not None for case in cases)}
            told = {name: int(suite.get(name)) for name in counts}
            expect(told == counts, f"{here.name}: a suite says {told}, and has {counts}")
        tidy = subprocess.run(["tidy", "-errors", "-quiet", str(here / "report.html")], capture_output=True, text=True)
        expect(tidy.returncode == 0, f"{here.name}: report.html: {tidy.stderr}")
        page = (here / "report.html").read_text()
        expect("<script" not in page and "\u001b" not in page, f"{here.name}: the page holds what the canary said")
        if shutil.which("prove"):
            code = (here / "report.tap").read_text()
            # Its reader stops at version 13; what is new in 14 are blocks of YAML and subtests.
            (here / "13.tap").write_text(code.replace("TAP version 14", "TAP version 13", 1))
            plan = subprocess.run(["prove", "--exec", "cat", str(here / "13.tap")], capture_output=True, text=True)
            expect("Parse errors" not in plan.stdout, f"{here.name}: report.tap: {plan.stdout}")
            expect(("not ok" in code) == (plan.returncode != 0), f"{here.name}: report.tap: {plan.stdout}{code}")


def replay(runs):
    """The same bytes of all, from the evidence."""
    for here in sorted(runs.folder.iterdir()):
        size = (here / "report.evidence").stat().st_size
        expect(size <= 1_000_000, f"{here.name}: {size} bytes of evidence")
        reports = [f"--report={format}={here / ('again.' + format)}" for format in FORMATS]
        again = subprocess.run([runs.binary, "replay", str(here / "report.evidence"), *reports], capture_output=True, text=True)
        expect(not again.stderr, f"{here.name}: replay says {again.stderr}")
        for format in FORMATS:
            same = (here / f"report.{format}").read_bytes() == (here / f"again.{format}").read_bytes()
            expect(same, f"{here.name}: {format} is another one again")
        if here.name != "unfinished":
            expect(again.stdout == (here / "summary.txt").read_text(), f"{here.name}: the summary is another one again")
        print(f"{here.name:12} {size:8} bytes of evidence, {(here / 'report.html').stat().st_size:7} of HTML: the same again in {len(FORMATS)} formats")


def bounds(runs):
    """50 bundles in a second, 1,000 records in a tenth of one."""
    bundles, records = runs.folder / "bundles", runs.folder / "records"
    bundles.mkdir()
    records.mkdir()
    for number in range(50):
        name = ["pass", "warn", "fail", "slower", "hostile"][number % 5]
        shutil.copy(runs.folder / name / "report.evidence", bundles / f"{number:03}.gz")
    for number in range(1000):
        date = f"20{20 + number // 336:02}-{1 + number // 28 % 12:02}-{1 + number % 28:02}"
        text = f"---\ndate: {date}\nverdict: pass\nshare: 100\nrevision: shop-{number:05}\nimage: host/shop:1.{number}\n---\n\n# Release {number}\n"
        (records / f"{date}-rel-{number:04}.md").write_text(text)
    for name, args, code, most in [
        ("50 bundles judged again", ["replay", str(bundles)], 1, 1.0),
        ("1,000 records", ["history", str(records)], 0, 0.1),
    ]:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            ran = subprocess.run([runs.binary, *args], capture_output=True, text=True)
            times.append(time.perf_counter() - began)
            expect(ran.returncode == code, f"{name}: exit {ran.returncode}: {ran.stderr}")
        print(f"{name}: {min(times) * 1000:.0f} ms (the best of five)")
        expect(min(times) <= most, f"{name}: {min(times):.3f} s, want at most {most}")


def draw(runs, folder):
    """The pages as a browser draws them."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ["pass", "slower", "warn", "fail", "error", "interrupted", "hostile"]:
        page = (runs.folder / name / "report.html").as_uri()
        common = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        for scheme in ["light", "dark"]:
            dark = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else ["--blink-settings=preferredColorScheme=1"]
            for width in [400, 1400]:
                shot = folder / f"{name}-{scheme}-{width}.png"
                # A window of less than 500 px is not to be had: a frame has the width.
                frame = runs.folder / "frame.html"
                frame.write_text(f'<!doctype html><meta name="color-scheme" content="light dark"><style>body{{margin:0}}</style><iframe src="{page}" '
                                 f'style="border:0;width:{width}px;height:2600px;color-scheme:{scheme}"></iframe>')
                subprocess.run([*common, *dark, f"--window-size={max(width, 500)},2600", f"--screenshot={shot}", frame.as_uri()],
                               check=True, capture_output=True, timeout=60)
        subprocess.run([*common, f"--print-to-pdf={folder / name}.pdf", page], check=True, capture_output=True, timeout=60)


def main():
    binary, demo, folder, *other = [pathlib.Path(arg).resolve() for arg in sys.argv[1:]]
    expect(not folder.exists(), f"{folder} is there already")
    runs = Runs(str(binary), str(demo), folder)
    try:
        all_runs(runs)
    finally:
        runs.end()
    hold(runs, other)
    replay(runs)
    if os.environ.get("SCREENSHOTS"):
        draw(runs, os.environ["SCREENSHOTS"])
    bounds(runs)


main()
