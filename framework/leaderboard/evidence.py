"""Saved scores of samples in; of each cell of a matrix how its value varies with the samples, for paired tests, out."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from framework.leaderboard.deviations import MADE, RESAMPLES, SEED, Evidence, Told
from framework.leaderboard.matrix import Cell
from framework.leaderboard.rows import LEGACY, SCANNED, SCORED, Row
from framework.leaderboard.scores import Held, Samples, Scores
from framework.leaderboard.statistics.bootstrap import ASIDE, ROUNDING
from framework.leaderboard.statistics.counts import DICE
from framework.leaderboard.statistics.draws import Plans
from framework.leaderboard.units import HEAVY, units

_KEPT = {"view": "single views", "group": "groups", "grid": "single samples on that grid", "scan": "single scans"}


class Saved:
    """Scores of many runs, each looked at once: what is kept is how their numbers vary.

    Args:
        samples: what ``store.load_samples`` gives, the same by run, or what reads them when they are asked for.
    """

    def __init__(self, samples: Samples | Scores) -> None:
        self._scores = samples if isinstance(samples, Scores) else Held(samples)
        self._known: dict[tuple[object, ...], dict[str, Evidence] | str] = {}
        self._plans = Plans(RESAMPLES, SEED)

    @property
    def runs(self) -> set[str]:
        """Those that have scores."""
        return self._scores.runs

    def of(self, cell: Cell) -> Evidence | str:
        """Of a cell, the mean over its seeds; or why there is none, in words."""
        found = [self._row(row) for row in cell.rows]
        for part in found:
            if isinstance(part, str):
                return part
        parts = [part for part in found if isinstance(part, Evidence)]
        first = parts[0]
        for part, row in zip(parts, cell.rows, strict=True):
            if part.key != first.key:
                return f"runs {cell.rows[0].run} and {row.run} scored other samples"
        return replace(
            first,
            centre=math.fsum(part.centre for part in parts) / len(parts),
            deviations=np.mean([part.deviations for part in parts], axis=0),
            blind=math.fsum(part.blind for part in parts) / len(parts),
        )

    def _row(self, row: Row) -> Evidence | str:
        make = MADE.get((row.level, row.metric))
        if make is None:
            return _impossible(row)
        name = row.run, row.tested_on, row.level, make
        if name not in self._known:
            told = self._told(row)
            self._known[name] = told if isinstance(told, str) else make(told)
        found = self._known[name]
        if isinstance(found, str):
            return found
        if row.metric not in found:
            return f"run {row.run} keeps no calls" if row.metric == "f1_source" else "a class has a single group"
        evidence = found[row.metric]
        width = 4 * math.sqrt(float(np.square(evidence.deviations).sum()) + evidence.blind)
        if abs(evidence.centre - row.value) > ROUNDING + ASIDE * width:
            return f"the saved scores of run {row.run} give {100 * evidence.centre:.1f}, its row {100 * row.value:.1f}"
        return evidence

    def _told(self, row: Row) -> Told | str:
        """The units of the level of a row; or why there are none."""
        level = "scan" if row.metric in SCANNED else row.level
        lines = self._scores.of(row.run, row.tested_on, HEAVY[level])
        if not lines:
            return f"run {row.run} has no scores of single samples"
        found = units(lines, level)
        if row.metric in DICE and not found:  # an older version does not say which samples are scans: all of them may
            every = units(lines, "element")
            found = every if len(every) == row.normal + row.anomalous else []
        if not found and level in _KEPT:
            return f"run {row.run} keeps no scores of {_KEPT[level]}, as runs of an older version"
        if not found:
            return f"run {row.run} has no scores of single samples"
        if len({(unit["category"], unit["id"]) for unit in found}) < len(found):
            return f"run {row.run} has two scores of one sample"
        return Told(found, row.unit or "group", self._plans)


def _impossible(row: Row) -> str:
    """Why rows of a level and metric are never compared."""
    if row.metric in LEGACY:
        return f"{row.metric} hangs on the two extreme scores of a set, which no saved histogram of a sample holds"
    kind = "scores" if row.level in SCORED else "answers"
    return f"runs keep no {kind} of single samples that tell {row.level} {row.metric}"
