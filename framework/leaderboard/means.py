"""A matrix in; of each method that was tested on all of its sets the mean over them, with its interval, out."""

from __future__ import annotations

import math
from dataclasses import dataclass

from framework.leaderboard.matrix import Cell, Matrix
from framework.leaderboard.statistics.seeds import mean_interval


@dataclass(frozen=True, slots=True)
class Mean:
    """Unweighted mean over the sets, of a method.

    Attributes:
        value: in [0, 1], mean over the seeds too.
        low, high: interval, None where a set has none. The sets are taken as they are: it says nothing of other sets.
        in_domain, transductive: whether the method is so on one of them.
    """

    value: float
    low: float | None
    high: float | None
    in_domain: bool
    transductive: bool


def means(matrix: Matrix) -> dict[str, Mean]:
    """By line of the matrix; a line that lacks a set, or a seed on a set, has none."""
    return {label: _mean(cells) for label, cells in whole_lines(matrix).items()}


def whole_lines(matrix: Matrix) -> dict[str, list[Cell]]:
    """Of each method that was tested on every set of the matrix, two or more, with the same seeds, its cells.

    Of a set with several columns the newest counts alone: no mean mixes what cannot be compared.
    """
    found: dict[str, list[Cell]] = {}
    sets = matrix.current
    for label in matrix.trained if len(sets) > 1 else []:
        cells = [matrix.cells[label, tested] for tested in sets if (label, tested) in matrix.cells]
        seeds = {tuple(row.seed for row in cell.rows) for cell in cells}
        if len(cells) == len(sets) and len(seeds) == 1 and not cells[0].rows[0].control:
            found[label] = cells
    return found


def all_sets(matrix: Matrix) -> str:
    """What the mean over all sets of a matrix is called, as a test set."""
    return f"mean of {len(matrix.current)} sets"


def seed_means(cells: list[Cell]) -> tuple[float, ...]:
    """Mean over the sets of each seed; every cell has the same seeds."""
    return tuple(
        math.fsum(row.value for row in rows) / len(rows) for rows in zip(*(c.rows for c in cells), strict=True)
    )


def _mean(cells: list[Cell]) -> Mean:
    """Test sets are independent, so that the squares of how far their intervals reach add up."""
    values, low, high = seed_means(cells), None, None
    if all(row.low is not None for cell in cells for row in cell.rows):
        ends = []
        for side, sign in (("low", -1), ("high", 1)):
            reach = [
                math.sqrt(math.fsum((getattr(row, side) - row.value) ** 2 for row in rows)) / len(cells)
                for rows in zip(*(cell.rows for cell in cells), strict=True)
            ]
            ends.append([value + sign * far for value, far in zip(values, reach, strict=True)])
        low, high = mean_interval(values, ends[0], ends[1])
    marks = any(cell.in_domain for cell in cells), any(cell.transductive for cell in cells)
    return Mean(math.fsum(values) / len(values), low, high, *marks)
