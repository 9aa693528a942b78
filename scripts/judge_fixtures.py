#!/usr/bin/env python3
"""Records scipy's wilcoxon, mannwhitneyu and binomtest on random cases, for the tests of the judge of pairs.

Needs scipy:  python3 -m venv .venv && .venv/bin/pip install scipy && .venv/bin/python scripts/judge_fixtures.py
Writes tests/judge/*.csv, the same for the same version of scipy; each names it in its first line.
"""

import pathlib

import numpy
import scipy
from scipy.stats import PermutationMethod, binomtest, mannwhitneyu, wilcoxon

folder = pathlib.Path(__file__).parent.parent / "tests" / "judge"
random = numpy.random.default_rng(20260101)


def written(values):
    return " ".join(f"{value:g}" for value in values)


def write(name, head, rows):
    lines = [f"# scipy {scipy.__version__}", head, *(",".join(map(str, row)) for row in rows)]
    (folder / name).write_text("\n".join(lines) + "\n")
    print(f"{name}: {len(rows)} cases")


def wilcoxon_cases():
    """Exact up to 50 differences, normal beyond; with ties, the exact distribution is every way to flip the signs."""
    for case in range(40):
        n = 5 + case if case < 35 else 50
        values = numpy.unique(numpy.round(random.normal(0.2, 1, n), 4))
        values = random.permutation(values[values != 0])
        # Unique sizes too, or scipy would not take the exact distribution.
        values = values[numpy.unique(numpy.abs(values), return_index=True)[1]]
        yield values, wilcoxon(values, alternative="greater", method="exact")
    for case in range(20):
        values = random.integers(-4, 6, 4 + case % 8).astype(float)
        values = values[values != 0]
        if len(values) > 1:
            flips = PermutationMethod(n_resamples=numpy.inf)
            yield values, wilcoxon(values, alternative="greater", method=flips)
    for case in range(40):
        n = 55 + 5 * case
        values = numpy.round(random.normal(0.1, 1, n), 4 if case % 2 else 1)
        if numpy.count_nonzero(values) > 50:
            yield values, wilcoxon(values, alternative="greater", method="approx", correction=False)


def whitney_cases():
    for case in range(50):
        n, m = random.integers(5, 60, 2)
        digits = case % 3
        one = numpy.round(random.lognormal(1.0, 1, n), digits)
        other = numpy.round(random.lognormal(0.8, 1, m), digits)
        kept = mannwhitneyu(one, other, alternative="greater", method="asymptotic", use_continuity=False)
        yield written(one), written(other), repr(float(kept.pvalue))


def binomial_cases():
    for case in range(80):
        n = int(10 ** random.uniform(0, 8)) if case % 2 else int(random.integers(1, 60))
        p = [0.5, 0.01, 0.05, float(numpy.round(random.uniform(0.001, 0.999), 3))][case % 4]
        k = int(random.binomial(n, p))
        if case % 3 == 0:
            k = min(n, k + int(2 * (n * p * (1 - p)) ** 0.5))
        above, below = (binomtest(k, n, p, alternative=side) for side in ("greater", "less"))
        low = above.proportion_ci(0.95, method="exact").low
        high = below.proportion_ci(0.95, method="exact").high
        yield k, n, p, *(repr(float(value)) for value in (above.pvalue, below.pvalue, low, high))


folder.mkdir(parents=True, exist_ok=True)
write("wilcoxon.csv", "differences,p", [(written(d), repr(float(kept.pvalue))) for d, kept in wilcoxon_cases()])
write("mannwhitneyu.csv", "one,other,p", list(whitney_cases()))
write("binomtest.csv", "k,n,p,at least,at most,low,high", list(binomial_cases()))
