"""A matrix and the saved scores of its runs in; of each pair of methods better, worse or cannot tell, and ranks, out.

The families over which p values are corrected are the pairs of one test set, metric and level.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from framework.leaderboard.deviations import Evidence
from framework.leaderboard.evidence import Saved
from framework.leaderboard.matrix import Cell, Matrix
from framework.leaderboard.means import all_sets, seed_means, whole_lines
from framework.leaderboard.scores import Samples
from framework.leaderboard.statistics.ranks import holm, shared_ranks
from framework.leaderboard.statistics.seeds import seed_variance
from framework.leaderboard.statistics.student import joined, p_value, quantile

LEVEL = 0.95  # of intervals; what is left is the share of families with a false finding
BETTER, WORSE, UNCLEAR = "better", "worse", "cannot tell"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two methods on one test set.

    Attributes:
        a, b: labels of the matrix' lines.
        tested: the test set, or what ``across`` calls the mean over all.
        level, metric: of the matrix.
        difference: a minus b, in [-1, 1].
        low, high: interval of the difference, not corrected for how many there are; [-1, 1] where none was compared.
        p: how probable so large a difference is if there is none.
        adjusted: p by Holm over the family: the test set, the metric and the level. The verdict is read from it.
        verdict: "better", "worse" or "cannot tell", of a against b.
        samples: that both scored; 0 where the two were not compared.
        how: the test, or why there is none, in words.
    """

    a: str
    b: str
    tested: str
    level: str
    metric: str
    difference: float
    low: float
    high: float
    p: float
    adjusted: float
    verdict: str
    samples: int
    how: str


@dataclass(frozen=True, slots=True)
class _Side:
    """One method on one set, or on several: what is needed to compare it.

    Attributes:
        value: of its cell; seeds: that of each seed.
        same: what must be equal for two to be compared, and what it is called.
        parts: evidence, one a set.
    """

    value: float
    seeds: tuple[float, ...]
    same: tuple[tuple[str, object], ...]
    parts: tuple[Evidence, ...]


def comparisons(matrix: Matrix, samples: Samples | Saved) -> list[Comparison]:
    """Every pair of methods of each column, controls left out, in the order of the matrix.

    Samples are matched by their ids, and methods compared only where these, their labels, groups and categories, the
    fingerprint of the set and the definition of the metric are equal.

    Args:
        matrix: of one metric at one level.
        samples: what ``store.load_samples`` gives, the same by run, or a ``Saved`` that several matrices share.
    """
    saved = samples if isinstance(samples, Saved) else Saved(samples)
    found = []
    for tested in matrix.tested:
        methods = dict(_methods(matrix, tested))
        if len(methods) > 1:  # or nothing of them need be read
            found += _family({label: _side(cell, saved) for label, cell in methods.items()}, tested, matrix)
    return found


def across(matrix: Matrix, samples: Samples | Saved) -> list[Comparison]:
    """Every pair of methods that were tested on all sets of the matrix: of their means over the sets.

    The sets are taken as they are: the interval says nothing of sets that are not among them. None for a single set.
    """
    saved = samples if isinstance(samples, Saved) else Saved(samples)
    lines = whole_lines(matrix)
    sides = {label: _joined([_side(cell, saved) for cell in cells], cells) for label, cells in lines.items()}
    return _family(sides, all_sets(matrix), matrix)


def ranks(matrix: Matrix, found: Sequence[Comparison]) -> dict[tuple[str, str], int]:
    """Rank of each method on each test set: 1 + how many are significantly better.

    Methods that cannot be told apart from the best share rank 1. In-domain and transductive methods push nobody down:
    they get the rank that they would have among the others, and are to be shown apart (see ``fair``). Controls, and
    methods that were not compared with the larger part of the others, have none.

    Args:
        matrix: of one metric at one level.
        found: of ``comparisons`` or ``across``, or both.

    Returns:
        (line of the matrix, test set) -> rank.
    """
    placed: dict[tuple[str, str], int] = {}
    for tested, pairs in _by_set(found).items():
        names = _largest(matrix, pairs)
        own = [pair for pair in pairs if pair.a in names and pair.b in names]
        better = {(c.a, c.b) if c.verdict == BETTER else (c.b, c.a) for c in own if c.verdict != UNCLEAR}
        counted = {name for name in names if fair(matrix, name, tested)}
        placed |= {(name, tested): rank for name, rank in shared_ranks(names, better, counted).items()}
    return placed


def fair(matrix: Matrix, label: str, tested: str) -> bool:
    """Whether a line takes part in the ranking of a set: neither in-domain nor transductive there.

    On the mean of all sets whoever trained on one of them is in-domain somewhere, and only a transductive one stands
    apart.
    """
    if tested in matrix.tested:
        cell = matrix.cells[label, tested]
        return not (cell.in_domain or cell.transductive)
    return not any(cell.transductive for (line, _), cell in matrix.cells.items() if line == label)


def _methods(matrix: Matrix, tested: str) -> Iterator[tuple[str, Cell]]:
    for label in matrix.trained:
        cell = matrix.cells.get((label, tested))
        if cell is not None and not cell.rows[0].control:
            yield label, cell


def _side(cell: Cell, saved: Saved) -> _Side | str:
    evidence = saved.of(cell)
    if isinstance(evidence, str):
        return evidence
    same = (
        ("other files, labels or groups were tested", {r.fingerprint for r in cell.rows}),
        ("the metric is defined differently", {r.definition for r in cell.rows}),
        ("other samples were scored", evidence.key),
    )
    return _Side(cell.value, tuple(row.value for row in cell.rows), same, (evidence,))


def _joined(sides: Sequence[_Side | str], cells: Sequence[Cell]) -> _Side | str:
    """The mean over sets as one side."""
    known = [side for side in sides if isinstance(side, _Side)]
    for side, cell in zip(sides, cells, strict=True):
        if isinstance(side, str):
            return f"{cell.rows[0].tested_on}: {side}"
    value = math.fsum(side.value for side in known) / len(known)
    same = tuple(pair for side in known for pair in side.same)
    return _Side(value, seed_means(list(cells)), same, tuple(part for side in known for part in side.parts))


def _family(sides: Mapping[str, _Side | str], tested: str, matrix: Matrix) -> list[Comparison]:
    """All pairs, corrected together; those that were not compared count for nothing."""
    found = []
    for a, b in combinations(sides, 2):
        outcome = _pair(sides[a], sides[b])
        found.append(Comparison(a, b, tested, matrix.level, matrix.metric, *outcome[:4], 1.0, UNCLEAR, *outcome[4:]))
    known = [i for i, pair in enumerate(found) if pair.samples]
    for i, adjusted in zip(known, holm([found[i].p for i in known]), strict=True):
        sure = adjusted <= 1 - LEVEL
        verdict = UNCLEAR if not sure else BETTER if found[i].difference > 0 else WORSE
        found[i] = replace(found[i], adjusted=adjusted, verdict=verdict)
    return found


def _pair(a: _Side | str, b: _Side | str) -> tuple[float, float, float, float, int, str]:
    """Difference, its interval, p, samples and how."""
    for side in (a, b):
        if isinstance(side, str):
            return 0.0, -1.0, 1.0, 1.0, 0, f"not compared: {side}"
    assert isinstance(a, _Side) and isinstance(b, _Side)
    difference = a.value - b.value
    for (why, own), (_, other) in zip(a.same, b.same, strict=True):
        if own != other:
            return difference, -1.0, 1.0, 1.0, 0, f"not compared: {why}"
    parts = [_variance(own, other) for own, other in zip(a.parts, b.parts, strict=True)]
    tested = [(variance / len(parts) ** 2, freedom) for variance, freedom in parts]
    error, freedom = joined([*tested, seed_variance(a.seeds), seed_variance(b.seeds)])
    if error == 0 and difference:
        return difference, -1.0, 1.0, 1.0, 0, "not compared: every resample has the same difference"
    half = quantile(LEVEL, freedom) * error
    low, high = max(-1.0, difference - half), min(1.0, difference + half)
    p = p_value(difference, error, freedom)
    return difference, low, high, p, sum(part.samples for part in a.parts), _how(a, b)


def _variance(a: Evidence, b: Evidence) -> tuple[float, float]:
    """Of the difference on one set; where neither method's scores vary, what they are blind to."""
    variance = float(np.square(a.deviations - b.deviations).sum())
    return variance or a.blind + b.blind, min(a.freedom, b.freedom)


def _how(a: _Side, b: _Side) -> str:
    test = " and ".join(dict.fromkeys(part.how for part in a.parts))
    counts = len(a.seeds), len(b.seeds)
    if max(counts) < 2:
        return f"{test}; one seed each: what another would change, if it does, is not in it"
    single = (
        "; what another seed of the method of one would change, if it does, is not in it" if min(counts) < 2 else ""
    )
    return f"{test}; seeds ({counts[0]} and {counts[1]}) as a random effect{single}"


def _by_set(found: Sequence[Comparison]) -> dict[str, list[Comparison]]:
    parts: dict[str, list[Comparison]] = defaultdict(list)
    for pair in found:
        parts[pair.tested].append(pair)
    return parts


def _largest(matrix: Matrix, pairs: Sequence[Comparison]) -> list[str]:
    """The most lines that were all compared with each other, in the order of the matrix; of equal ones the first."""
    beside: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        if pair.samples:
            beside[pair.a] |= {pair.a, pair.b}
            beside[pair.b] |= {pair.a, pair.b}
    known = [name for name in matrix.trained if name in beside]
    widest = max((beside[name] for name in known), key=len, default=set())
    return [name for name in known if beside[name] == widest]
