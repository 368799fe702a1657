"""Matrices and the saved scores of their runs in; ranks, and lines that say who is better than whom, out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from framework.leaderboard.comparison import BETTER, UNCLEAR, Comparison, across, comparisons, fair, ranks
from framework.leaderboard.evidence import Saved
from framework.leaderboard.matrix import Cell, Matrix, with_best_control
from framework.leaderboard.means import Mean, all_sets, means
from framework.leaderboard.render import words
from framework.leaderboard.scores import Samples, Scores

FEW = 6  # methods of a test set of which all pairs are told; of more, those with the best
SEEDS = (
    "Seeds are a random effect of the methods that have several; of a method of one, what another would change, "
    "if it does, is not in the test."
)
PAIR_HEADS = ("tested on", "method", "is", "method", "by", "interval", "p")
LEGEND = (
    "Rank: 1 + how many methods are significantly better on that set: methods that cannot be told from the best share "
    "rank 1. In parentheses: the rank that an in-domain or transductive method would have among the others, whom "
    "it does not push down; in the mean of all sets, where who trained on one is in-domain, only a transductive one "
    "stands apart. Controls, and methods whose runs keep no scores of single samples, have none.",
    "Pairs are tested on the same samples. p is corrected for the number of pairs (Holm) in each family: all pairs of "
    "one test set, metric and level; better is p of 0.05 or less. The interval of a difference is not corrected.",
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


def standings(shown: Sequence[Matrix], samples: Samples | Scores) -> list[Standing]:
    """One a matrix; of runs without saved scores there are neither pairs nor ranks."""
    saved, found = Saved(samples), []
    for matrix in shown:
        pairs = [*comparisons(matrix, saved), *across(matrix, saved)] if saved.runs else []
        found.append(Standing(matrix, pairs, ranks(matrix, pairs)))
    return found


def pair_lines(found: Sequence[Standing]) -> dict[str, list[list[str]]]:
    """By the title of a matrix the texts under ``PAIR_HEADS``: each set once, by the first metric shown of it."""
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
    tests = sorted({test for c in pairs if c.samples for test in c.how.partition(";")[0].split(" and ")})
    why: dict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        if not pair.samples:
            why[pair.how].add(pair.tested)
    left_out = [f"{text[0].upper()}{text[1:]} ({', '.join(sorted(sets))})." for text, sets in sorted(why.items())]
    return [*([f"Tests: {', '.join(tests)}. {SEEDS}"] if tests else []), *left_out]


def against(standing: Standing, trained: str, tested: str) -> tuple[str, str, str, str]:
    """Line, rank, and the lines that it is better than and worse than on a set, joined; "" for none."""
    better = [(c.a, c.b) if c.verdict == BETTER else (c.b, c.a) for c in standing.pairs if _sure(c, tested)]
    won, lost = [b for a, b in better if a == trained], [a for a, b in better if b == trained]
    return trained, str(standing.ranks.get((trained, tested), "")), "; ".join(won), "; ".join(lost)


def _sure(pair: Comparison, tested: str) -> bool:
    return pair.tested == tested and pair.verdict != UNCLEAR


def grid(standing: Standing, show: Callable[[Cell, str], str]) -> list[list[str]]:
    """As ``words.grid``, with ranks, one line of controls, and a last column of means where a line has one.

    Args:
        standing: of the matrix.
        show: a cell and its rank in words -> its text.
    """
    matrix = with_best_control(standing.matrix)
    lines = words.grid(matrix, lambda cell, trained, tested: show(cell, standing.rank(trained, tested)))
    known = means(matrix)
    if not known:
        return lines
    added = [_mean_text(known.get(trained), standing.rank(trained, all_sets(matrix))) for trained in matrix.trained]
    column = [all_sets(matrix), *added, words.MISSING]
    return [[*line, text] for line, text in zip(lines, column, strict=True)]


def _mean_text(mean: Mean | None, rank: str) -> str:
    if mean is None:
        return words.MISSING
    return f"{words.percent(mean.value)}{words.mean_marks(mean)} ({words.span(mean.low, mean.high)}){rank}"


def _shown(standing: Standing, tested: str, pairs: Sequence[Comparison]) -> list[Comparison]:
    """All pairs of a few methods; of many, those with the best of the ones that are ranked."""
    names = list(dict.fromkeys(name for pair in pairs for name in (pair.a, pair.b)))
    if len(names) <= FEW:
        return list(pairs)
    counted = [name for name in names if fair(standing.matrix, name, tested)] or names
    gains = dict.fromkeys(counted, 0.0)
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
