#!/usr/bin/env python3
"""Random PromQL over random series: `canary-gate query` must answer as a real Prometheus does.

The series are written once as OpenMetrics, loaded into Prometheus by promtool, and given to the gate as a file. The seed
is fixed, so that a run can be repeated; expressions that Prometheus refuses must be refused too.

Debian's Prometheus is 2.42, the gate follows 3: the windows of the one are closed on the left, those of the other open.
Samples and steps therefore never fall on the edge of a window, and counters are scraped without gaps, because the two
extrapolate over a gap at a window's start differently. For the same reasons subqueries are not nested (their steps fall on
whole minutes), the name that 2.42 keeps after atan2 is not compared, nor its deviation of infinities.

Usage: oracle.py GATE [CASES] [SEED]
"""

import json
import math
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

gate = os.path.abspath(sys.argv[1])
cases = int(sys.argv[2]) if len(sys.argv) > 2 else 5000
seed = int(sys.argv[3]) if len(sys.argv) > 3 else 20261125
dice = random.Random(seed)

END = 1_700_000_000
START = END - 3 * 3600
STEP = 15
EVALUATED = END - 600 + 7.3

COUNTERS, GAUGES, ODD = ["requests_total", "errors_total"], ["temperature", "queue_length", "level"], ["odd"]
BUCKETS = "latency_bucket"
LABELS = {"job": ["api", "web", "db"], "instance": ["a", "b"], "code": ["200", "404", "500"]}


def series():
    """Name, labels and points (time, value) of every series."""
    for name in COUNTERS:
        for job in LABELS["job"]:
            for code in LABELS["code"]:
                value, points = float(dice.randint(0, 1000)), []
                for at in range(START, END, STEP):
                    value = float(dice.randint(0, 5)) if dice.random() < 0.01 else value + dice.randint(0, 20)
                    points.append((at + 0.5, value))
                yield name, {"job": job, "code": code}, points
    for name in GAUGES:
        for job in LABELS["job"]:
            for instance in LABELS["instance"]:
                if name == "level" and instance == "b" and job == "db":
                    continue
                points = [(at + 0.5, round(dice.gauss(20, 15), 3)) for at in range(START, END, STEP) if dice.random() < 0.8]
                if name == "queue_length":
                    points = [(at, float(int(value) % 7)) for at, value in points]
                yield name, {"job": job, "instance": instance}, points
    for instance, value in [("nan", "NaN"), ("inf", "+Inf"), ("minus", "-Inf"), ("zero", "0")]:
        yield "odd", {"instance": instance}, [(at + 0.5, float(value)) for at in range(START, END, STEP)]
    for job in LABELS["job"]:
        counts = [0] * 6
        history = {bound: [] for bound in ["0.1", "0.5", "1.0", "2.5", "10.0", "+Inf"]}
        for at in range(START, END, STEP):
            for _ in range(dice.randint(0, 9)):
                bucket = min(int(dice.expovariate(0.6)), 5)
                for index in range(bucket, 6):
                    counts[index] += 1
            for index, bound in enumerate(history):
                history[bound].append((at + 0.5, float(counts[index])))
        for bound, points in history.items():
            yield BUCKETS, {"job": job, "le": bound}, points


def exposition():
    lines, previous = [], None
    for name, labels, points in series():
        if name != previous:
            lines.append(f"# TYPE {name} unknown")
            previous = name
        text = ",".join(f'{label}="{value}"' for label, value in labels.items())
        for at, value in points:
            shown = {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN" if math.isnan(value) else repr(value))
            lines.append(f"{name}{{{text}}} {shown} {at}")
    return "\n".join(lines) + "\n# EOF\n"


def pick(*options):
    return dice.choice(options)


def duration():
    return pick("1m", "2m", "5m", "90s", "10m", "3m20s")


def matchers(required=""):
    found = [required] if required else []
    for label, values in LABELS.items():
        if dice.random() < 0.25:
            value = pick(*values)
            found.append(pick(f'{label}="{value}"', f'{label}!="{value}"', f'{label}=~"{value}|{pick(*values)}"',
                              f'{label}!~"{value[:1]}.*"', f'{label}=~".+"', f'{label}=""'))
    return "{" + ",".join(found) + "}" if found else pick("", "", "{}")


def shifted(text):
    roll = dice.random()
    if roll < 0.08:
        return f"{text} offset {pick('1m', '5m', '-2m', '17m')}"
    if roll < 0.12:
        return f"{text} @ {END - dice.randint(60, 3000)}.25"
    if roll < 0.14:
        return f"{text} @ {pick('start()', 'end()')}"
    return text


def selector(names=None):
    return shifted(pick(*(names or COUNTERS + GAUGES + GAUGES + ODD)) + matchers())


def over_range(depth):
    roll = dice.random()
    if roll < 0.45:
        call = pick("rate", "increase", "irate", "resets", "changes", "delta", "idelta", "count_over_time", "deriv")
        return f"{call}({shifted(pick(*COUNTERS) + matchers() + '[' + duration() + ']')})"
    inner = pick(*GAUGES, *GAUGES, "odd") + matchers() + f"[{duration()}]"
    if roll > 0.8 and depth > 0:
        inner = f"({without_subqueries(depth - 1)})[{pick('5m', '10m', '12m')}:{pick('', '30s', '1m', '45s')}]"
    inner = shifted(inner)
    call = pick("avg", "sum", "min", "max", "count", "stddev", "stdvar", "last", "present", "absent", "quantile")
    if call == "quantile":
        return f"quantile_over_time({pick('0', '0.5', '0.9', '1', '-1', '2', 'NaN')}, {inner})"
    return pick(f"{call}_over_time({inner})", f"{call}_over_time({inner})", f"changes({inner})", f"idelta({inner})",
                f"predict_linear({inner}, {pick('60', '3600', '-100')})", f"deriv({inner})", f"delta({inner})")


def without_subqueries(depth):
    while ":" in (text := vector(depth)):
        pass
    return text


def scalar(depth):
    options = ["0", "1", "2.5", "-3", "1e3", "Inf", "NaN", "0x1f", "time()", "pi()"]
    if depth > 0:
        options += [f"scalar({vector(depth - 1)})", f"({scalar(depth - 1)} {pick(*'+-*/%^')} {scalar(depth - 1)})",
                    f"-{scalar(depth - 1)}", f"({scalar(depth - 1)} {pick('==', '>', '<=')} bool {scalar(depth - 1)})"]
    return pick(*options)


def grouping():
    labels = ", ".join(dice.sample(list(LABELS), dice.randint(0, 2)))
    return pick("", f"by ({labels})", f"without ({labels})", f"by ({labels})")


def aggregate(depth):
    op = pick("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values")
    inner = vector(depth - 1)
    while op in ("stddev", "stdvar") and any(word in inner for word in ("odd", "Inf", "NaN", "quantile", "/", "^", "ln", "log", "exp", "sinh", "cosh", "acos", "asin", "atanh", "sqrt", "%")):
        inner = vector(depth - 1)
    if op in ("topk", "bottomk"):
        inner = f"{pick('1', '2', '3', '0', '-1')}, {inner}"
    elif op == "quantile":
        inner = f"{pick('0', '0.25', '0.5', '0.99', '1', '1.5', '-0.5')}, {inner}"
    elif op == "count_values":
        # Of whole numbers only: a label shows the last digit of a sum, which the two versions round differently.
        inner = pick("queue_length", "requests_total", "odd") + matchers()
        inner = f'"{pick("value", "job", "code")}", {inner}'
    group = grouping()
    return pick(f"{op} {group} ({inner})", f"{op}({inner}) {group}")


def binary(depth):
    left, right = vector(depth - 1), vector(depth - 1)
    op = pick("+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless")
    boolean = " bool" if op in ("==", "!=", ">", "<", ">=", "<=") and dice.random() < 0.3 else ""
    labels = ", ".join(dice.sample(list(LABELS), dice.randint(0, 2)))
    match = pick("", "", f" on({labels})", f" ignoring({labels})")
    if match and op not in ("and", "or", "unless") and dice.random() < 0.5:
        match += pick(" group_left", " group_right", " group_left()", f" group_left({pick(*LABELS)})", f" group_right({pick(*LABELS)})")
    if dice.random() < 0.35:
        number = scalar(depth - 1)
        left, right, match = (left, number, "") if dice.random() < 0.5 else (number, left, "")
        if op in ("and", "or", "unless"):
            op = "+"
    return f"({left}) {op}{boolean}{match} ({right})"


def call(depth):
    inner = vector(depth - 1)
    simple = pick("abs", "ceil", "floor", "exp", "sqrt", "ln", "log2", "log10", "sgn", "sin", "cos", "tan", "asin", "acos", "atan",
                  "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "deg", "rad", "round", "timestamp", "sort", "sort_desc",
                  "absent", "minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year")
    return pick(
        f"{simple}({inner})", f"{simple}({inner})", f"{simple}({inner})",
        f"round({inner}, {pick('0.1', '5', '2.5')})",
        f"clamp({inner}, {pick('0', '-5', '10')}, {pick('5', '20', '-6')})",
        f"clamp_min({inner}, {pick('1', '0', '15')})", f"clamp_max({inner}, {pick('1', '0', '15')})",
        f'label_replace({inner}, "{pick("new", "job")}", "{pick("$1", "x-$1", "")}", "{pick("job", "code", "none")}", "{pick("(.*)", "(a).*", "(.)(.*)", "")}")',
        f'label_join({inner}, "{pick("new", "code")}", "{pick("-", "")}", "job", "{pick("code", "instance", "none")}")',
        f"vector({scalar(depth - 1)})",
        f"histogram_quantile({pick('0', '0.1', '0.5', '0.95', '1', '-1', '2')}, {BUCKETS}{matchers()})",
        f"histogram_quantile({pick('0.5', '0.9', '0.99')}, sum by ({pick('le', 'le, job')}) (rate({BUCKETS}{matchers()}[{duration()}])))",
    )


def vector(depth):
    if depth <= 0:
        return pick(selector(), selector(), over_range(0))
    roll = dice.random()
    if roll < 0.15:
        return selector()
    if roll < 0.35:
        return over_range(depth)
    if roll < 0.55:
        return aggregate(depth)
    if roll < 0.75:
        return binary(depth)
    if roll < 0.78:
        return f"-({vector(depth - 1)})"
    return call(depth)


def expression():
    roll = dice.random()
    text = scalar(2) if roll < 0.04 else vector(dice.randint(0, 3))
    while "predict_linear" in text and "@" in text:
        # Prometheus moves the window of such a range along with the steps of a subquery around it.
        text = vector(3)
    if roll > 0.97:
        # A slip of the pen: mostly refused, and then by both.
        at = dice.randint(0, len(text))
        text = text[:at] + pick(")", "(", ",", "[5m]", " by ", '"', "{", "bool ") + text[at:]
    return text


def ours(text, path):
    done = subprocess.run([gate, "query", "--file", path, "--time", str(EVALUATED), "--format", "json", "--", text],
                          capture_output=True, text=True)
    if done.returncode == 2:
        return None, done.stderr.strip()
    if done.returncode != 0:
        raise SystemExit(f"the gate fell over ({done.returncode}) on {text!r}: {done.stderr}")
    return json.loads(done.stdout)["data"], ""


def theirs(text, base):
    query = urllib.parse.urlencode({"query": text, "time": EVALUATED})
    try:
        with urllib.request.urlopen(f"{base}/api/v1/query", query.encode()) as answer:
            return json.load(answer)["data"], ""
    except urllib.error.HTTPError as error:
        return None, json.load(error).get("error", "")


def close(a, b):
    a, b = float(a), float(b)
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or math.isclose(a, b, rel_tol=1e-7, abs_tol=1e-7)


def flat(data):
    """Label sets with their values, in an order that does not matter."""
    if data["resultType"] in ("scalar", "string"):
        return [("", [data["result"][1]])]
    rows = [(json.dumps(row["metric"], sort_keys=True),
             [value for _, value in row["values"]] if "values" in row else [row["value"][1]]) for row in data["result"]]
    return sorted(rows)


def alike(text, mine, real):
    if "atan2" in text:
        for row in real["result"] if real["resultType"] == "vector" else []:
            row["metric"].pop("__name__", None)
        for row in mine["result"] if mine["resultType"] == "vector" else []:
            row["metric"].pop("__name__", None)
    if mine["resultType"] != real["resultType"]:
        return False
    a, b = flat(mine), flat(real)
    if "topk" in text or "bottomk" in text:
        # Of equal values either may be kept.
        a, b = ([("", values) for _, values in sorted(rows, key=lambda row: float(row[1][0]) if row[1] else 0)] for rows in (a, b))
        if "topk" in text.strip()[4:] or "bottomk" in text.strip()[7:]:
            return len(a) == len(b)
    return len(a) == len(b) and all(
        x[0] == y[0] and len(x[1]) == len(y[1]) and all(close(p, q) for p, q in zip(x[1], y[1])) for x, y in zip(a, b))


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "series.om")
        with open(path, "w") as file:
            file.write(exposition())
        blocks = os.path.join(folder, "blocks")
        subprocess.run(["promtool", "tsdb", "create-blocks-from", "openmetrics", path, blocks], check=True, capture_output=True)
        config = os.path.join(folder, "prometheus.yml")
        open(config, "w").write("global: {}\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        server = subprocess.Popen(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={blocks}", "--storage.tsdb.retention.time=100y",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            base = f"http://127.0.0.1:{port}"
            for _ in range(200):
                try:
                    urllib.request.urlopen(f"{base}/-/ready").close()
                    break
                except OSError:
                    time.sleep(0.1)
            texts = [expression() for _ in range(cases)]
            with ThreadPoolExecutor(4) as pool:
                mine = list(pool.map(lambda text: ours(text, path), texts))
                real = list(pool.map(lambda text: theirs(text, base), texts))
        finally:
            server.terminate()
            server.wait()
    agreed = refused = empty = 0
    differing = []
    for text, (found, why), (wanted, reason) in zip(texts, mine, real):
        if any(f"invalid {kind}label name" in reason for kind in ("", "source ", "destination ")):
            # Any text is a label name in Prometheus 3.
            same = True
        elif found is None or wanted is None:
            same = found is None and wanted is None
            refused += same
        else:
            same = alike(text, found, wanted)
            empty += same and not wanted["result"]
        # The old server does not look at the matches of what a comparison filters away; of a new one they are an error.
        filters = re.search("[<>]|[!=]=", text) is not None
        same = same or (found is None and wanted is not None and filters and "multiple matches" in why)
        agreed += same
        if not same:
            differing.append((text, found if found is not None else why, wanted if wanted is not None else reason))
    print(f"oracle: {agreed} of {cases} random expressions agree with Prometheus "
          f"(seed {seed}; {refused} refused by both, {empty} empty in both)")
    for text, found, wanted in differing[:20]:
        print(f"  {text}\n    gate       {str(found)[:300]}\n    Prometheus {str(wanted)[:300]}")
    sys.exit(1 if differing else 0)


main()
