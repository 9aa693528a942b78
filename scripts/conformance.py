#!/usr/bin/env python3
"""Holds the exposition parser against the reference implementation's own test suites and parsers.

The Python client library's sdist brings the OpenMetrics and Prometheus text parsers and their test suites. Each suite runs
with its parser wrapped: every input that a test feeds it goes to `canary-gate query` too, and both must agree on whether
it is well-formed. Then mutated inputs of the same corpus are judged by both.

Usage: conformance.py GATE SDIST_FOLDER [MUTATIONS]
"""

import importlib.util
import os
import random
import subprocess
import sys
import tempfile
import unittest

gate, sdist = sys.argv[1:3]
mutations = int(sys.argv[3]) if len(sys.argv) > 3 else 1500
sys.path.insert(0, sdist)

# Inputs of the Prometheus text suite that this library takes and Prometheus's own Go parsers do not: a piece, and why.
LAX = {
    "b{,}": "a comma without a label; both Go parsers want a label name there",
    "\\z": "an escape that does not exist; the Go library that applications are tested with refuses it",
    "\\f": "an escape that does not exist; the Go library that applications are tested with refuses it",
}

# Inputs of the OpenMetrics suite that the gate takes with a warning, because the Go client writes them.
TAKEN = {'_bucket{le="-1"} ': "a histogram with negative bounds and a _sum"}


def accepts(text, exposition):
    """Whether the gate takes the text; the reason where it does not."""
    with tempfile.NamedTemporaryFile("wb", suffix=".txt") as file:
        file.write(text.encode("utf-8", "surrogatepass"))
        file.flush()
        command = [gate, "query", "vector(1)", "--file", file.name, "--exposition", exposition]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 2) or "panicked" in done.stderr:
        raise SystemExit(f"the gate fell over ({done.returncode}) on {text!r}: {done.stderr}")
    return done.returncode == 0, done.stderr.strip()


def recorded(test_path, module, function, exposition):
    """Runs a test suite and returns the inputs that it fed to the parser, with the reference's verdicts."""
    inputs = {}
    real = getattr(module, function)

    def wrapped(text):
        try:
            families = list(real(text))
        except Exception:
            inputs[text] = False
            raise
        inputs[text] = True
        return iter(families)

    setattr(module, function, wrapped)
    spec = importlib.util.spec_from_file_location("suite", os.path.join(sdist, test_path))
    suite = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(suite)
    with open(os.devnull, "w") as sink:
        unittest.TextTestRunner(stream=sink).run(unittest.defaultTestLoader.loadTestsFromModule(suite))
    setattr(module, function, real)
    return inputs, real


def judge(real, text):
    try:
        list(real(text))
        return True
    except Exception:
        return False


def compare(name, inputs, exposition, one_way=False):
    """Counts disagreements. `one_way`: what the reference rejects must be rejected; it may be laxer than the format."""
    agreed, lax, taken, differing = 0, 0, 0, []
    for text, wanted in inputs.items():
        found, reason = accepts(text, exposition)
        if found == wanted or (one_way and wanted):
            agreed += 1
        elif wanted and any(piece in text for piece in LAX):
            lax += 1
        elif found and any(piece in text for piece in TAKEN):
            taken += 1
        else:
            differing.append((text, wanted, reason))
    print(f"conformance: {name}: {agreed} of {len(inputs)} inputs judged alike"
          + (f", {lax} known to be laxer than Prometheus itself" if lax else "")
          + (f", {taken} taken because real clients write them" if taken else ""))
    for text, wanted, reason in differing:
        print(f"  the reference {'accepts' if wanted else 'rejects'} {text!r}\n    {reason}")
    return differing


def mutated(inputs, seed, count):
    """Small random edits of the corpus."""
    source = random.Random(seed)
    corpus, pieces = list(inputs), [" ", "\n", '"', "{", "}", "#", ",", "=", "\\", "0", "-1", "NaN", "a", "le", "_total", "# EOF\n", "\t"]
    result = []
    for _ in range(count):
        text = source.choice(corpus)
        for _ in range(source.randint(1, 2)):
            at = source.randint(0, len(text))
            action = source.random()
            if action < 0.4:
                text = text[:at] + source.choice(pieces) + text[at:]
            elif action < 0.7:
                text = text[:at] + text[at + source.randint(1, 4):]
            else:
                other = source.randint(0, len(text))
                first, second = min(at, other), max(at, other)
                text = text[:first] + text[second:] + text[first:second]
        result.append(text)
    return result


def main():
    import prometheus_client.openmetrics.parser as openmetrics
    import prometheus_client.parser as prometheus

    function = "text_string_to_metric_families"
    om, om_real = recorded("tests/openmetrics/test_parser.py", openmetrics, function, "openmetrics")
    pr, _ = recorded("tests/test_parser.py", prometheus, function, "prometheus")
    failed = compare("OpenMetrics test suite", om, "openmetrics")
    failed += compare("Prometheus text test suite", pr, "prometheus")
    # The OpenMetrics reference is laxer than the specification in places, so that on arbitrary input only its
    # rejections bind.
    edits = {text: judge(om_real, text) for text in mutated(om, 20261125, mutations)}
    failed += compare("mutated OpenMetrics inputs, rejections", edits, "openmetrics", one_way=True)
    sys.exit(1 if failed else 0)


main()
