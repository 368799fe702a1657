"""Paired tests in; what the page tells of them as columns of small numbers, out.

There are as many as pairs of methods, times sets, times metrics, so each may cost little. The difference itself is that
of the cells; its interval reaches as far up as down, but not beyond 100.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from framework.leaderboard.comparison import UNCLEAR, Comparison
from framework.leaderboard.matrix import Matrix
from framework.leaderboard.render.packing import coded, folded, numbered

WHOLE = 40_000  # of so many pairs everything is told; of more the verdict, and p for the first metric
DIFFERS = "differs"  # better or worse, as the sign of the difference says
_NAMES = ("matrix", "column", "a", "b", "half", "p", "samples")


def pair_columns(
    shown: Sequence[Matrix], found: Sequence[Comparison]
) -> tuple[dict[str, list[int]], dict[str, list[Any]]]:
    """Columns of the paired tests, and the texts behind their numbers.

    A test of the mean over all sets has the number of the column after the last. ``half`` is half the interval in
    tenths of a percent, ``p`` as ``small`` codes it; both are None where they are not told.
    """
    where = {(m.level, m.metric): (i, numbered(m.trained), numbered(m.tested)) for i, m in enumerate(shown)}
    first = next(((test.level, test.metric) for test in found if test.samples), None)
    lines = []
    for test in found:
        m, trained, tested = where[test.level, test.metric]
        told = test.samples and (len(found) <= WHOLE or (test.level, test.metric) == first)
        half = (
            None
            if len(found) > WHOLE or not test.samples
            else max(test.difference - test.low, test.high - test.difference)
        )
        lines.append(
            (
                *(m, tested.get(test.tested, len(tested)), trained[test.a], trained[test.b]),
                *(
                    folded(None if half is None else round(1000 * half)),
                    folded(small(test.adjusted) if told else None),
                ),
                test.samples,
            )
        )
    said, texts = coded((UNCLEAR if test.verdict == UNCLEAR else DIFFERS, test.how) for test in found)
    return {f"test_{n}": [line[i] for line in lines] for i, n in enumerate(_NAMES)} | {"test_said": said}, {
        "test_said": texts
    }


def small(p: float) -> int:
    """A p value in thousandths up to 0.1, above it in hundredths: 0 is less than 0.001, 100 is 0.1, 190 is 1."""
    if p < 0.001:
        return 0
    return max(1, round(1000 * p)) if p <= 0.1 else math.floor(90 + 100 * p + 0.5)
