"""Matrices and the saved scores of their runs in; ranks, and lines that say who is better than whom, out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from framework.leaderboard.comparison import (
    BETTER,
    UNCLEAR,
    Comparison,
    across,
    comparisons,
    fair,
    ranks,
)
from framework.leaderboard.evidence import Samples, Saved
from framework.leaderboard.matrix import Matrix
from framework.leaderboard.means import all_sets, means
from framework.leaderboard.render import words

FEW = 6  # methods of a test set of which all pairs are told; of more, those with the best
PAIR_HEADS = ("tested on", "method", "is", "method", "by", "interval", "p")
LEGEND = (
    "Rank: 1 + how many methods are significantly better on that set, so that methods that cannot be told from the best "
    "share rank 1. In parentheses: the rank that an in-domain or transductive method would have among the others, whom "
    "it does not push down. Controls, and methods whose runs keep no scores of single samples, have none.",
    "Pairs are tested on the same samples. p is corrected for the number of pairs (Holm) in each family: all pairs of one "
    "test set, metric and level; better is p of 0.05 or less. The interval of a difference is not corrected. A mean of "
    "sets is shown of methods that were tested on all of them.",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """One matrix, and how its methods stand to each other.

    Attributes:
        matrix: of one metric at one level.
        pairs: on each set, and on the mean of all.
        ranks: by (line, test set or ``all_sets``).
    """

    matrix: Matrix
    pairs: list[Comparison]
    ranks: dict[tuple[str, str], int]

    def rank(self, trained: str, tested: str) -> str:
        """For example ", rank 1"; ", rank (1)" of one that is ranked apart; "" where there is none."""
        rank = self.ranks.get((trained, tested))
        if rank is None:
            return ""
        return f", rank {rank}" if fair(self.matrix, trained, tested) else f", rank ({rank})"


def standings(shown: Sequence[Matrix], samples: Samples) -> list[Standing]:
    """One a matrix; of runs without saved scores there are neither pairs nor ranks."""
    saved, found = Saved(samples), []
    for matrix in shown:
        pairs = [*comparisons(matrix, saved), *across(matrix, saved)] if saved.runs else []
        found.append(Standing(matrix, pairs, ranks(matrix, pairs)))
    return found


def pair_lines(found: Sequence[Standing]) -> dict[str, list[list[str]]]:
    """By the title of a matrix the texts under ``PAIR_HEADS``: each set once, by the first metric that is shown of it."""
    told: set[str] = set()
    lines: dict[str, list[list[str]]] = defaultdict(list)
    for standing in found:
        for tested in [*standing.matrix.tested, all_sets(standing.matrix)]:
            own = [pair for pair in standing.pairs if pair.tested == tested and pair.samples]
            if own and tested not in told:
                told.add(tested)
                lines[words.title(standing.matrix)] += [_line(pair) for pair in _shown(standing, tested, own)]
    return dict(lines)


def pair_notes(found: Sequence[Standing]) -> list[str]:
    """How pairs were tested, and which were not compared and why."""
    pairs = [pair for standing in found for pair in standing.pairs]
    how = sorted({pair.how for pair in pairs if pair.samples})
    why: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        if not pair.samples:
            why[pair.how].add(pair.tested)
    left_out = [f"{text.capitalize()} ({', '.join(sorted(sets))})." for text, sets in sorted(why.items())]
    return [*(f"Test: {text}." for text in how), *left_out]


def mean_text(matrix: Matrix, trained: str) -> str:
    """Value, marks and interval of the mean over all sets; a dash where the line has none."""
    mean = means(matrix).get(trained)
    if mean is None:
        return words.MISSING
    marks = (words.DAGGER if mean.in_domain else "") + (words.TRANSDUCTIVE if mean.transductive else "")
    return f"{words.percent(mean.value)}{marks} ({words.span(mean.low, mean.high)})"


def _shown(standing: Standing, tested: str, pairs: Sequence[Comparison]) -> list[Comparison]:
    """All pairs of a few methods; of many, those with the best of the ones that are ranked."""
    names = list(dict.fromkeys(name for pair in pairs for name in (pair.a, pair.b)))
    if len(names) <= FEW:
        return list(pairs)
    counted = [name for name in names if fair(standing.matrix, name, tested)] or names
    gains = {name: 0.0 for name in counted}
    for pair in pairs:
        for name, sign in ((pair.a, 1), (pair.b, -1)):
            if name in gains:
                gains[name] += sign * pair.difference  # sums to the value times the number of methods, less a constant
    best = max(counted, key=lambda name: gains[name])
    return [pair for pair in pairs if best in (pair.a, pair.b)]


def _line(pair: Comparison) -> list[str]:
    """The better one first."""
    a, b, difference, low, high = pair.a, pair.b, pair.difference, pair.low, pair.high
    if difference < 0:
        a, b, difference, low, high = b, a, -difference, -high, -low
    verdict = "not to be told from" if pair.verdict == UNCLEAR else f"{BETTER} than"
    p = "< 0.001" if pair.adjusted < 0.001 else f"{pair.adjusted:.3f}"
    return [pair.tested, a, verdict, b, f"{100 * difference:.1f}", f"{100 * low:.1f} to {100 * high:.1f}", p]
