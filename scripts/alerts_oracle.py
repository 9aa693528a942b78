#!/usr/bin/env python3
"""Records what a real Prometheus 3 makes of random alerts, and replays it against the gate's rules.

Each scenario is a target whose series appear, vanish, reset and fail, and a rules file over them. One server scrapes all
targets and evaluates all rules at once, in real time; what it then knows is written down: the moments of scrapes and
evaluations, and every sample of a rule. `cargo test` replays the same bodies at the same moments (src/check/metrics/replay.rs)
and must come to the same samples. tests/alerts/README.md tells the format.

Usage: alerts_oracle.py PROMETHEUS [--write] [SCENARIOS] [SEED]

Without --write, new scenarios go to a temporary folder and are replayed from there; with it, they replace tests/alerts/.
"""

import http.server
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "../tests/alerts")
INTERVAL = 2  # seconds from one scrape or evaluation to the next
SCRAPES = 16
PER_FILE = 50
# An evaluation so soon after a scrape may not see it yet on a busy machine: such a scenario is left out.
MARGIN = 0.4


def body_series(dice):
    """The series of a target, each with its values by the scrape: None where it is not there."""
    series = {}
    for x in range(1, dice.randint(2, 4)):
        level, there, values = dice.randint(0, 8), dice.random() < 0.8, []
        for _ in range(SCRAPES):
            if dice.random() < 0.25:
                level = dice.randint(0, 8)
            if dice.random() < 0.2:
                there = not there
            values.append(level if there else None)
        series[f'a{{x="{x}"}}'] = values
    for code in dice.sample(["200", "404", "500"], dice.randint(1, 2)):
        count, there, values = dice.randint(0, 50), True, []
        for _ in range(SCRAPES):
            count = 0 if dice.random() < 0.08 else count + dice.choice([0, 0, 1, 2, 5])
            if dice.random() < 0.1:
                there = not there
            values.append(count if there else None)
        series[f'c_total{{code="{code}"}}'] = values
    return series


def rules(dice):
    """The lines of a rules file. What is behind an @ is made unique for the server, which has all scenarios at once."""
    n = lambda most: dice.randint(0, most)
    span = lambda: dice.choice(["3s", "5s", "7s", "9s"])
    records = {
        "rate@": lambda: f"sum by (code) (rate(c_total@[{span()}]))",
        "ratio@": lambda: f"sum(rate(c_total@{{code=\"500\"}}[{span()}])) / sum(rate(c_total@[{span()}]))",
        "double@": lambda: "a@ * 2",
        "high@": lambda: f"a@ > {n(6)}",
        "limit@": lambda: str(n(8)),
        "many@": lambda: "a@ or c_total@",
        "last@": lambda: f"max_over_time(high@[{span()}])",
        "self@": lambda: "count(self@) or vector(1)",
        "states@": lambda: "count by (alertstate) (ALERTS{alertname=~\".*@\"})",
    }
    exprs = [
        lambda: f"a@ > {n(7)}", lambda: f"a@ > {n(7)}", lambda: f"a@ > {n(4)} and a@ < {4 + n(4)}",
        lambda: f"rate(c_total@[{span()}]) > {n(4) / 4}", lambda: f"increase(c_total@[{span()}]) > {n(8)}",
        lambda: f"absent(a@{{x=\"{1 + n(2)}\"}})", lambda: "up{job=\"app@\"} == 0", lambda: f"count(a@) < {1 + n(2)}",
        lambda: f"rate@ > {n(4) / 4}", lambda: "ratio@ > 0.2", lambda: "double@ > 8", lambda: "high@",
        lambda: "a@ > on() group_left limit@", lambda: "a@ unless high@", lambda: f"changes(a@[{span()}]) > 1",
        lambda: f"count_over_time(a@[{span()}]) < 3", lambda: f"resets(c_total@[9s]) > 0", lambda: "1", lambda: "vector(0) > 1",
        lambda: "ALERTS{alertname=\"A0@\",alertstate=\"firing\"} == 1", lambda: f"count(ALERTS{{alertname=~\".*@\"}}) > {n(3)}",
        lambda: f"floor(time() - ALERTS_FOR_STATE{{alertname=~\"A[01]@\"}}) > {n(8)}", lambda: "states@ > 1", lambda: "many@ > 5",
        lambda: f"a@ offset {span()} > {n(6)}", lambda: f"max_over_time(up{{job=\"app@\"}}[5s:1s]) == 0",
        lambda: f"avg_over_time((a@ > {n(4)})[7s:2s]) > 3", lambda: "self@ > 0",
    ]
    lines, names = [], dice.sample(sorted(records), dice.randint(4, 9))
    for name in [name for name in records if name in names]:
        labels = dice.choice(["", "", ", labels: {tier: one}", ", labels: {x: same}", ", labels: {code: ''}"])
        lines.append(f"{{record: {name}, expr: '{records[name]()}'{labels}}}")
    for number in range(dice.randint(3, 5)):
        keys = [f"alert: A{number}@, expr: '{dice.choice(exprs)()}'"]
        if dice.random() < 0.6:
            keys.append(f"for: {dice.choice(['1s', '2s', '3s', '5s', '8s', '1m'])}")
        if dice.random() < 0.5:
            keys.append(f"keep_firing_for: {dice.choice(['1s', '3s', '5s', '9s'])}")
        own = dice.choice(["", "", "severity: page", "x: over", "from: '{{ $labels.x }}'", "value: '{{ $value }}'", "code: ''",
                           "alertname: other, z: '{{ .Labels.code }}-{{$labels.none}}'"])
        if own:
            keys.append(f"labels: {{{own}}}")
        lines.append("{" + ", ".join(keys) + "}")
    if dice.random() < 0.3:
        dice.shuffle(lines)
    limit = f", limit: {dice.randint(1, 3)}" if dice.random() < 0.3 else ""
    labels = ", labels: {team: core}" if dice.random() < 0.3 else ""
    return "".join([f"groups:\n- {{name: g{limit}{labels}, rules: [\n", *(f"    {line},\n" for line in lines), "  ]}\n"])


class Scenario:
    def __init__(self, number, dice):
        self.mark = f"_s{number}"
        self.series = body_series(dice)
        self.failed = {at for at in range(SCRAPES) if dice.random() < 0.08}
        self.rules = rules(dice)
        self.served = 0

    def unique(self, text):
        return text.replace("@", self.mark)

    def plain(self, text):
        return text.replace(self.mark, "")

    def body(self):
        at, self.served = min(self.served, SCRAPES - 1), self.served + 1
        if at in self.failed:
            return None
        rows = [(name, values[at]) for name, values in self.series.items() if values[at] is not None]
        text = "# TYPE a@ gauge\n# TYPE c_total@ counter\n"
        text += "".join(f"{name.replace('{', '@{')} {value}\n" for name, value in rows)
        return self.unique(text)


def serve(scenarios):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = scenarios[int(self.path[1:])].body()
            self.send_response(200 if body is not None else 500)
            data = (body or "").encode()
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


class Server:
    """A Prometheus that starts without rules: those that are loaded later write ALERTS from their first evaluation on."""

    def __init__(self, binary, folder):
        self.folder = folder
        self.configure({})
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [binary, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", "--web.enable-lifecycle",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"], stdout=subprocess.DEVNULL)
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{self.base}/-/ready").close()
                return
            except OSError:
                time.sleep(0.05)

    def configure(self, config):
        with open(f"{self.folder}/prometheus.yml", "w") as file:
            json.dump(config, file)

    def reload(self):
        urllib.request.urlopen(urllib.request.Request(f"{self.base}/-/reload", b"")).close()

    def samples(self, selector, end):
        """Every sample of what a selector matches, in milliseconds."""
        parameters = urllib.parse.urlencode({"query": f"{selector}[10m]", "time": end})
        with urllib.request.urlopen(f"{self.base}/api/v1/query", parameters.encode()) as answer:
            rows = json.load(answer)["data"]["result"]
        return [(row["metric"], [(round(at * 1000), value) for at, value in row["values"]]) for row in rows]

    def stop(self):
        self.process.terminate()
        self.process.wait()


def shown(metric):
    metric = dict(metric)
    name = metric.pop("__name__", "")
    inside = ", ".join(f"{label}={json.dumps(value, ensure_ascii=False)}" for label, value in sorted(metric.items()))
    return f"{name}{{{inside}}}" if inside else name


def clocked(text):
    """The rules behind a record that tells when they were evaluated."""
    return text.replace("rules: [\n", "rules: [\n    {record: clock@, expr: time()},\n")


def written(scenario, server, end):
    """The scenario as a block of text; nothing where its moments are too close to one another."""
    mark = scenario.mark
    _, scrapes = server.samples(f'up{{job="app{mark}"}}', end)[0]
    scrapes = [at for at, _ in scrapes[:SCRAPES]]
    _, clock = server.samples(f"clock{mark}", end)[0]
    evals = [at for at, _ in clock if at < scrapes[-1] + 1000 * INTERVAL]
    if len(scrapes) < SCRAPES or any(0 <= at - scraped < 1000 * MARGIN for at in evals for scraped in scrapes):
        return None
    # The steps of subqueries lie on multiples of their lengths.
    start = min(scrapes[0], evals[0]) // 60_000 * 60_000 - 60_000
    records = set(re.findall(r"record: (\w+)@", scenario.rules))
    selectors = [f'{{__name__=~"({"|".join(sorted(records))}){mark}"}}', f'{{__name__=~"ALERTS|ALERTS_FOR_STATE",alertname=~".*{mark}"}}']
    lines = ["scenario", *("    " + line for line in scenario.plain(scenario.rules.replace("@", "")).splitlines())]
    lines.append("scrapes " + " ".join(f"{at - start}{'!' if i in scenario.failed else ''}" for i, at in enumerate(scrapes)))
    for name, values in scenario.series.items():
        lines.append(f"    {name} = " + " ".join("_" if value is None else str(value) for value in values))
    lines.append("evaluations " + " ".join(str(at - start) for at in evals))
    rows = []
    for metric, values in (row for selector in selectors for row in server.samples(selector, end)):
        known = dict(values)
        if metric["__name__"] == "ALERTS_FOR_STATE":
            known = {at: str(int(value) - start // 1000) for at, value in known.items()}
        found = [known.get(at, "_") for at in evals]
        if set(found) != {"_"}:
            rows.append(f"    {scenario.plain(shown(metric))} = " + " ".join(found))
    return "\n".join([*lines, *sorted(rows)]) + "\n"


def record(server, folder, port, scenarios):
    """The blocks of the scenarios, after the server has watched them."""
    targets = [{"targets": [f"127.0.0.1:{port}"], "labels": {"job": f"app_s{number}", "instance": "i", "__metrics_path__": f"/{number}"}}
               for number in range(len(scenarios))]
    server.configure({
        "global": {"scrape_interval": f"{INTERVAL}s", "evaluation_interval": f"{INTERVAL}s"},
        "rule_files": [f"{folder}/*.rules"],
        "scrape_configs": [{"job_name": "all", "static_configs": targets}],
    })
    server.reload()
    time.sleep((SCRAPES + 3) * INTERVAL)
    end = time.time()
    return [block for scenario in scenarios if (block := written(scenario, server, end))]


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--write"]
    write = "--write" in sys.argv
    if not arguments or not os.path.exists(arguments[0]):
        print("alerts oracle: skipped, no Prometheus 3 was given")
        return
    binary = os.path.abspath(arguments[0])
    wanted = int(arguments[1]) if len(arguments) > 1 else 240
    dice = random.Random(int(arguments[2]) if len(arguments) > 2 else 20261125)
    # Some are left out for their moments.
    scenarios = [Scenario(number, dice) for number in range(wanted * 3 // 2)]
    port = serve(scenarios)
    with tempfile.TemporaryDirectory() as folder:
        for number, scenario in enumerate(scenarios):
            with open(f"{folder}/{number}.rules", "w") as file:
                file.write(scenario.unique(clocked(scenario.rules)))
        server = Server(binary, folder)
        try:
            blocks = record(server, folder, port, scenarios)
        finally:
            server.stop()
    blocks = blocks[:wanted]
    with tempfile.TemporaryDirectory() as fresh:
        folder = FOLDER if write else fresh
        os.makedirs(folder, exist_ok=True)
        for name in os.listdir(folder):
            if name.endswith(".txt"):
                os.remove(os.path.join(folder, name))
        for first in range(0, len(blocks), PER_FILE):
            with open(os.path.join(folder, f"{first // PER_FILE + 1:02}.txt"), "w") as file:
                file.write("\n".join(blocks[first:first + PER_FILE]))
        print(f"alerts oracle: {len(blocks)} scenarios recorded")
        # What is kept has to be whole; what is only compared may leave out what a busy machine blurs.
        if len(blocks) < (wanted if write else wanted // 4):
            sys.exit(f"{wanted} were wanted: the machine is too busy, or the moments were too close")
        replay = ["cargo", "test", "--quiet", "--lib", "alerts_are_those_of_prometheus"]
        code = subprocess.run(replay, cwd=os.path.join(HERE, ".."), env={**os.environ, "ALERTS_CORPUS": os.path.abspath(folder)}).returncode
    sys.exit(code)


main()
