#!/usr/bin/env python3
"""Random PromQL over random series: `canary-gate query` must answer as a real Prometheus does.

The series are written once as OpenMetrics, loaded into Prometheus by promtool, and given to the gate as a file. The seed
is fixed, so that a run can be repeated; expressions that Prometheus refuses must be refused too.

Against a Prometheus 3, samples and steps fall on the edges of windows, counters have gaps, subqueries are nested, names and labels
are any text, and fractions of histograms and calculated durations are asked for. An older server differs in all of that: its
windows are closed on the left, it extrapolates over a gap at a window's start otherwise, it keeps a name after atan2, and its
deviations of NaN and infinities are others. Against such a one, these are left out.

PROMETHEUS is the server's path; a promtool beside it is the one that is used. Without it, it is the system's.

Usage: oracle.py GATE [PROMETHEUS] [CASES] [SEED]
"""

import json
import math
import os
import random
import re
import shutil
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
prometheus = shutil.which(sys.argv[2] if len(sys.argv) > 2 else "prometheus")
cases = int(sys.argv[3]) if len(sys.argv) > 3 else 5000
seed = int(sys.argv[4]) if len(sys.argv) > 4 else 20261125
dice = random.Random(seed)

beside = os.path.join(os.path.dirname(prometheus), "promtool")
promtool = beside if os.path.exists(beside) else "promtool"


def version(tool):
    shown = subprocess.run([tool, "--version"], capture_output=True, text=True)
    return tuple(map(int, re.search(r"version (\d+)\.(\d+)", shown.stdout + shown.stderr).groups()))


VERSION = version(prometheus)
NEW = VERSION >= (3, 5)
# Names of any text are loaded by a promtool that knows them.
ANY_TEXT = NEW and version(promtool) >= (3, 0)

END = 1_700_000_000
START = END - 3 * 3600
STEP = 15
# At a sample's time windows and steps begin and end on samples.
EVALUATED = [END - 600, END - 600, END - 615.5, END - 600 + 7.3] if NEW else [END - 600 + 7.3]

COUNTERS, GAUGES, ODD = ["requests_total", "errors_total"], ["temperature", "queue_length", "level"], ["odd"]
BUCKETS = "latency_bucket"
LABELS = {"job": ["api", "web", "db"], "instance": ["a", "b"], "code": ["200", "404", "500"]}
OWN = {**dict.fromkeys(COUNTERS, ["job", "code"]), **dict.fromkeys(GAUGES, ["job", "instance"]), "odd": ["instance"], BUCKETS: ["job"]}
# Names that are written in quotes.
DOTTED, DOTTED_LABEL, LINES = "web.requests", "http.status", ["two\nlines", "été"]
if ANY_TEXT:
    LABELS[DOTTED_LABEL] = ["200", *LINES]
    OWN[DOTTED] = ["job", DOTTED_LABEL]


def quoted(text):
    return '"' + text.replace("\\", r"\\").replace('"', r'\"').replace("\n", r"\n") + '"'


def name_of(label):
    """A label's name as an expression writes it."""
    return label if re.fullmatch(r"\w+", label) else quoted(label)


def lag():
    """How long after a whole multiple of the step a series has its samples."""
    return pick(0, 0, 0.5) if NEW else 0.5


def kept(points):
    """The points that a scrape got: some are missing, some in a row."""
    missing = 0
    for point in points:
        if NEW and dice.random() < 0.03:
            missing = pick(1, 1, 2, 5, 30)
        if missing == 0:
            yield point
        missing = max(0, missing - 1)


def series():
    """Name, labels and points (time, value) of every series."""
    for name in COUNTERS:
        for job in LABELS["job"]:
            for code in LABELS["code"]:
                value, points, late = float(dice.randint(0, 1000)), [], lag()
                for at in range(START, END, STEP):
                    value = float(dice.randint(0, 5)) if dice.random() < 0.01 else value + dice.randint(0, 20)
                    points.append((at + late, value))
                yield name, {"job": job, "code": code}, list(kept(points))
    for status in LABELS.get(DOTTED_LABEL, []):
        for job in LABELS["job"]:
            points = [(at, float(dice.randint(0, 90))) for at in range(START, END, STEP)]
            yield DOTTED, {"job": job, DOTTED_LABEL: status}, list(kept(points))
    for name in GAUGES:
        for job in LABELS["job"]:
            for instance in LABELS["instance"]:
                if name == "level" and instance == "b" and job == "db":
                    continue
                late = lag()
                points = [(at + late, round(dice.gauss(20, 15), 3)) for at in range(START, END, STEP) if dice.random() < 0.8]
                if name == "queue_length":
                    points = [(at, float(int(value) % 7)) for at, value in points]
                yield name, {"job": job, "instance": instance}, points
    for instance, value in [("nan", "NaN"), ("inf", "+Inf"), ("minus", "-Inf"), ("zero", "0")]:
        late = lag()
        yield "odd", {"instance": instance}, [(at + late, float(value)) for at in range(START, END, STEP)]
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
            lines.append(f"# TYPE {name_of(name)} unknown")
            previous = name
        text = ",".join(f"{name_of(label)}={quoted(value)}" for label, value in labels.items())
        for at, value in points:
            shown = {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN" if math.isnan(value) else repr(value))
            named = f"{name}{{{text}}}" if name_of(name) == name else f"{{{name_of(name)},{text}}}"
            lines.append(f"{named} {shown} {at}")
    return "\n".join(lines) + "\n# EOF\n"


def pick(*options):
    return dice.choice(options)


def duration():
    text = pick("1m", "2m", "5m", "90s", "10m", "3m20s")
    if NEW and dice.random() < 0.1:
        text = pick(f"{text} * 2", f"2m + {text}", f"({text} - 30s)", f"{text} / 2", "90", "45 * 2")
    return text


def matchers(name):
    """A name with conditions on labels."""
    found = [quoted(name)] if name_of(name) != name else []
    for label, values in LABELS.items():
        if dice.random() < (0.25 if label in OWN[name] else 0.05):
            value, label = pick(*values), name_of(label)
            either = quoted(f"{value}|{pick(*values)}")
            found.append(pick(f"{label}={quoted(value)}", f"{label}!={quoted(value)}", f"{label}=~{either}",
                              f'{label}!~"{value[:1]}.*"', f'{label}=~".+"', f'{label}=""', f'{label}=~"two.lines"'))
    if found and found[0] == quoted(name):
        return "{" + ",".join(found) + "}"
    return name + ("{" + ",".join(found) + "}" if found else pick("", "", "{}"))


def shifted(text):
    roll = dice.random()
    if roll < 0.08:
        more = ["(1m + 30s)", "-(1m / 2)", "90"] if NEW else []
        return f"{text} offset {pick('1m', '5m', '-2m', '17m', *more)}"
    if roll < 0.12:
        return f"{text} @ {END - dice.randint(60, 3000)}{pick('', '.25') if NEW else '.25'}"
    if roll < 0.14:
        return f"{text} @ {pick('start()', 'end()')}"
    return text


def selector(names=None):
    dotted = [DOTTED, DOTTED] if ANY_TEXT else []
    return shifted(matchers(pick(*(names or COUNTERS + GAUGES + GAUGES + ODD + dotted))))


def over_range(depth):
    roll = dice.random()
    if roll < 0.45:
        call = pick("rate", "increase", "irate", "resets", "changes", "delta", "idelta", "count_over_time", "deriv")
        return f"{call}({shifted(matchers(pick(*COUNTERS)) + '[' + duration() + ']')})"
    inner = matchers(pick(*GAUGES, *GAUGES, "odd", *([DOTTED] if ANY_TEXT else []))) + f"[{duration()}]"
    if roll > 0.8 and depth > 0:
        stepped = vector(depth - 1) if NEW else without_subqueries(depth - 1)
        inner = f"({stepped})[{pick('5m', '10m', '12m')}:{pick('', '30s', '1m', '45s', *(['7s', '1m * 2'] if NEW else []))}]"
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


def some_labels():
    return ", ".join(map(name_of, dice.sample(list(LABELS), dice.randint(0, 2))))


def grouping():
    labels = some_labels()
    return pick("", f"by ({labels})", f"without ({labels})", f"by ({labels})")


def aggregate(depth):
    op = pick("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar", "topk", "bottomk", "quantile", "count_values")
    inner = vector(depth - 1)
    while not NEW and op in ("stddev", "stdvar") and any(word in inner for word in ("odd", "scalar", "Inf", "NaN", "quantile", "/", "^", "ln", "log", "exp", "sinh", "cosh", "acos", "asin", "atanh", "sqrt", "%")):
        inner = vector(depth - 1)
    if op in ("topk", "bottomk"):
        inner = f"{pick('1', '2', '3', '0', '-1')}, {inner}"
    elif op == "quantile":
        inner = f"{pick('0', '0.25', '0.5', '0.99', '1', '1.5', '-0.5')}, {inner}"
    elif op == "count_values":
        # Of what was scraped only: a label shows the last digit of a sum, which the two round differently.
        inner = matchers(pick("queue_length", "requests_total", "odd", *(["temperature", "level"] if NEW else [])))
        inner = f'"{pick("value", "job", "code", *(["a.b", DOTTED_LABEL] if ANY_TEXT else []))}", {inner}'
    group = grouping()
    return pick(f"{op} {group} ({inner})", f"{op}({inner}) {group}")


def binary(depth):
    left, right = vector(depth - 1), vector(depth - 1)
    op = pick("+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless")
    boolean = " bool" if op in ("==", "!=", ">", "<", ">=", "<=") and dice.random() < 0.3 else ""
    labels = some_labels()
    match = pick("", "", f" on({labels})", f" ignoring({labels})")
    if match and op not in ("and", "or", "unless") and dice.random() < 0.5:
        match += pick(" group_left", " group_right", " group_left()", f" group_left({name_of(pick(*LABELS))})", f" group_right({name_of(pick(*LABELS))})")
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
    if simple in ("sin", "cos", "tan") and any(word in inner for word in ("^", "exp", "sinh", "cosh")):
        # Of a value so large, the last digit decides everything.
        simple = "abs"
    odd_names = [DOTTED_LABEL, "a b"] if ANY_TEXT else []
    if NEW and dice.random() < 0.05:
        # Where an end lies within the first bucket, servers before 3.8 answer NaN; the gate answers as those after them.
        within = ["0", "-1", "0.05"] if VERSION >= (3, 8) else []
        lower, upper = pick("0.2", "1", "NaN", "-Inf", "3", *within), pick("0.5", "1", "7", "Inf", "NaN", "0.1", *within)
        buckets = pick(matchers(BUCKETS), f"sum by ({pick('le', 'le, job')}) (rate({matchers(BUCKETS)}[{duration()}]))")
        return f"histogram_fraction({lower}, {upper}, {buckets})"
    return pick(
        f"{simple}({inner})", f"{simple}({inner})", f"{simple}({inner})",
        f"round({inner}, {pick('0.1', '5', '2.5')})",
        f"clamp({inner}, {pick('0', '-5', '10')}, {pick('5', '20', '-6')})",
        f"clamp_min({inner}, {pick('1', '0', '15')})", f"clamp_max({inner}, {pick('1', '0', '15')})",
        f'label_replace({inner}, "{pick("new", "job", *odd_names)}", "{pick("$1", "x-$1", "")}", "{pick("job", "code", "none", *odd_names)}", "{pick("(.*)", "(a).*", "(.)(.*)", "")}")',
        f'label_join({inner}, "{pick("new", "code", *odd_names)}", "{pick("-", "")}", "job", "{pick("code", "instance", "none")}")',
        f"vector({scalar(depth - 1)})",
        f"histogram_quantile({pick('0', '0.1', '0.5', '0.95', '1', '-1', '2')}, {matchers(BUCKETS)})",
        f"histogram_quantile({pick('0.5', '0.9', '0.99')}, sum by ({pick('le', 'le, job')}) (rate({matchers(BUCKETS)}[{duration()}])))",
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


def ours(text, at, path):
    done = subprocess.run([gate, "query", "--file", path, "--time", str(at), "--format", "json", "--", text],
                          capture_output=True, text=True)
    if done.returncode == 2:
        return None, done.stderr.strip()
    if done.returncode != 0:
        raise SystemExit(f"the gate fell over ({done.returncode}) on {text!r}: {done.stderr}")
    return json.loads(done.stdout)["data"], ""


def theirs(text, at, base):
    query = urllib.parse.urlencode({"query": text, "time": at})
    try:
        with urllib.request.urlopen(f"{base}/api/v1/query", query.encode()) as answer:
            return json.load(answer)["data"], ""
    except urllib.error.HTTPError as error:
        return None, json.load(error).get("error", "")


def close(a, b):
    a, b = float(a), float(b)
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    tolerance = 1e-8 if NEW else 1e-7
    return a == b or math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)


def flat(data):
    """Label sets with their values, in an order that does not matter."""
    if data["resultType"] in ("scalar", "string"):
        return [("", [data["result"][1]])]
    rows = [(json.dumps(row["metric"], sort_keys=True),
             [value for _, value in row["values"]] if "values" in row else [row["value"][1]]) for row in data["result"]]
    return sorted(rows)


def alike(text, mine, real):
    if "atan2" in text and not NEW:
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
        subprocess.run([promtool, "tsdb", "create-blocks-from", "openmetrics", path, blocks], check=True, capture_output=True)
        config = os.path.join(folder, "prometheus.yml")
        open(config, "w").write("global: {}\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        # Calculated durations need no flag since 3.14.
        flags = ["--enable-feature=promql-duration-expr"] if NEW else []
        server = subprocess.Popen(
            [prometheus, *flags, f"--config.file={config}", f"--storage.tsdb.path={blocks}", "--storage.tsdb.retention.time=100y",
             f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            base = f"http://127.0.0.1:{port}"
            for _ in range(200):
                try:
                    urllib.request.urlopen(f"{base}/-/ready").close()
                    break
                except OSError:
                    time.sleep(0.1)
            asked = [(expression(), pick(*EVALUATED)) for _ in range(cases)]
            with ThreadPoolExecutor(4) as pool:
                mine = list(pool.map(lambda case: ours(*case, path), asked))
                real = list(pool.map(lambda case: theirs(*case, base), asked))
        finally:
            server.terminate()
            server.wait()
    agreed = refused = empty = 0
    differing = []
    for (text, at), (found, why), (wanted, reason) in zip(asked, mine, real):
        if any(f"invalid {kind}label name" in reason for kind in ("", "source ", "destination ")):
            # Any text is a label name in Prometheus 3.
            same = True
        elif found is None or wanted is None:
            same = found is None and wanted is None
            refused += same
        else:
            same = alike(text, found, wanted)
            empty += same and not wanted["result"]
        # Before 3.9 a server does not look at the matches of what a comparison filters away; since then they are an error.
        filters = re.search("[<>]|[!=]=", text) is not None
        same = same or (VERSION < (3, 9) and found is None and wanted is not None and filters and "multiple matches" in why)
        agreed += same
        if not same:
            differing.append((f"{text}  at {at}", found if found is not None else why, wanted if wanted is not None else reason))
    print(f"oracle: {agreed} of {cases} random expressions agree with Prometheus {VERSION[0]}.{VERSION[1]} "
          f"(seed {seed}; {refused} refused by both, {empty} empty in both)")
    for text, found, wanted in differing[:int(os.environ.get("SHOWN", 20))]:
        print(f"  {text}\n    gate       {str(found)[:300]}\n    Prometheus {str(wanted)[:300]}")
    sys.exit(1 if differing else 0)


main()
