"""Saved scores of samples in; of each cell of a matrix how its value varies with the samples, for paired tests, out.

Each number is kept as a vector of deviations whose sum of squares is its variance: of AUROC of independent samples
DeLong's structural components, of all else the values of resamples. Vectors of two methods on the same samples are of
the same samples, or resamples, place by place, so that the difference of the vectors is that of the methods.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from framework.leaderboard.matrix import Cell
from framework.leaderboard.rows import Row
from framework.leaderboard.scores import Held, Line, Samples, Scores
from framework.leaderboard.statistics.bootstrap import (
    ASIDE,
    ROUNDED,
    ROUNDING,
    element_parts,
    element_values,
    sample_values,
)
from framework.leaderboard.statistics.delong import independent, placed
from framework.leaderboard.statistics.draws import Resampled, resampled
from framework.leaderboard.statistics.exact import ELEMENT_METRICS, REGION_METRICS, SAMPLE_METRICS
from framework.leaderboard.statistics.student import quantile

RESAMPLES, SEED = 1000, 0
BINS = 128  # of histograms while they are resampled
_KEPT = {"sample": SAMPLE_METRICS, "element": ELEMENT_METRICS}  # what saved scores tell, by level


@dataclass(frozen=True, slots=True)
class Evidence:
    """How one number varies with the samples of the test set.

    Attributes:
        key: equal where the samples, their labels, groups and categories are.
        centre: the number as it follows from what was saved.
        deviations: ``(D,)`` float64, see above.
        blind: variance that they do not see: of an AUROC of 1, see ``delong.Placed``, or where all resamples agree.
        freedom: degrees of freedom of the variance.
        samples: how many.
        how: in words.
    """

    key: str
    centre: float
    deviations: np.ndarray
    blind: float
    freedom: float
    samples: int
    how: str


class Saved:
    """Scores of many runs, each looked at once: what is kept is how their numbers vary.

    Args:
        samples: what ``store.load_samples`` gives, the same by run, or what reads them when they are asked for.
    """

    def __init__(self, samples: Samples | Scores) -> None:
        self._scores = samples if isinstance(samples, Scores) else Held(samples)
        self._known: dict[tuple[str, str, str], dict[str, Evidence] | str] = {}

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
        return Evidence(
            first.key,
            math.fsum(part.centre for part in parts) / len(parts),
            np.mean([part.deviations for part in parts], axis=0),
            math.fsum(part.blind for part in parts) / len(parts),
            first.freedom,
            first.samples,
            first.how,
        )

    def _row(self, row: Row) -> Evidence | str:
        if row.metric not in _KEPT.get(row.level, ()):
            return f"runs keep no scores of single samples that tell {row.level} {row.metric}"
        name = row.run, row.tested_on, row.level
        if name not in self._known:
            own = self._scores.of(row.run, row.tested_on, row.level == "element")
            self._known[name] = _evidence(own, row) if own else f"run {row.run} has no scores of single samples"
        found = self._known[name]
        if isinstance(found, str):
            return found
        if row.metric not in found:
            return "a class has a single group"
        evidence = found[row.metric]
        width = 4 * math.sqrt(float(np.square(evidence.deviations).sum()) + evidence.blind)
        if abs(evidence.centre - row.value) > ROUNDING + ASIDE * width:
            return f"the saved scores of run {row.run} give {100 * evidence.centre:.1f}, its row {100 * row.value:.1f}"
        return evidence


def _evidence(lines: Sequence[Line], row: Row) -> dict[str, Evidence] | str:
    """By metric, of one run on one set at one level; or why there is none."""
    kept = [line for line in lines if row.level == "sample" or line.get("hist") is not None]
    kept.sort(key=lambda line: (line["category"], line["id"]))
    if len({(line["category"], line["id"]) for line in kept}) < len(kept):
        return f"run {row.run} has two scores of one sample"
    if not kept:
        return f"run {row.run} has no scores of single samples"
    key = hashlib.sha256()
    for line in kept:
        key.update("\0".join((line["category"], line["id"], line["group"], str(bool(line["label"])), "")).encode())
    told = key.hexdigest(), len(kept), row.unit or "group"
    return _of_samples(kept, *told) if row.level == "sample" else _of_elements(kept, *told)


def _of_samples(lines: Sequence[Line], key: str, count: int, unit: str) -> dict[str, Evidence]:
    scores = np.array([line["logit"] for line in lines])
    labels = np.array([bool(line["label"]) for line in lines])
    groups, categories = ([line[name] for line in lines] for name in ("group", "category"))
    metrics: tuple[str, ...] = SAMPLE_METRICS
    evidence = {}
    if independent(groups, categories):
        found = placed(scores, labels, categories)
        metrics = tuple(metric for metric in metrics if metric != "auroc")
        if found is not None:
            evidence["auroc"] = Evidence(
                key, found.value, found.deviations, found.blind, math.inf, found.units, "paired DeLong"
            )
    held = np.stack([~labels, labels], 1)
    values = sample_values(scores[None], labels, metrics)
    drawn = resampled(groups, categories, held, lambda *given: values(*given)[:, 0], RESAMPLES, SEED)
    return evidence | _deviating(drawn, metrics, key, count, unit, _scarcest(groups, categories, held))


def _of_elements(lines: Sequence[Line], key: str, count: int, unit: str) -> dict[str, Evidence]:
    hists = np.frombuffer(b"".join(line["hist"] for line in lines), np.float32).reshape(len(lines), 3, -1)
    regions = np.array([line["regions"] or 0 for line in lines])
    groups, categories = ([line[name] for line in lines] for name in ("group", "category"))
    plain, numbered = element_parts(hists), element_parts(hists, regions)
    parts: list[tuple[np.ndarray, tuple[str, ...]]] = [(plain, SAMPLE_METRICS), (numbered, REGION_METRICS)]
    if np.array_equal(plain, numbered):
        parts = [(plain, ELEMENT_METRICS)]
    evidence: dict[str, Evidence] = {}
    for held, metrics in parts:
        drawn = resampled(groups, categories, held, element_values(hists, regions, metrics, bins=BINS), RESAMPLES, SEED)
        evidence |= _deviating(drawn, metrics, key, count, unit, _scarcest(groups, categories, held))
    return evidence


def _scarcest(groups: Sequence[str], categories: Sequence[str], held: np.ndarray) -> int:
    """How many groups the rarer class has."""
    named = list(zip(categories, groups, strict=True))
    return min(len({name for name, has in zip(named, side, strict=True) if has}) for side in held.T)


def _deviating(
    drawn: Resampled | None, metrics: Sequence[str], key: str, count: int, unit: str, scarcest: int
) -> dict[str, Evidence]:
    """Resamples as deviations, by metric.

    The variance of resampling n groups with replacement is short by (n - 1) / n, which is made good. Where all
    resamples agree, as where no sample is misjudged, there is none to see: a thing never seen in n groups may be there
    in 3 / n of them (1 - 0.05^(1 / n); Hanley and Lippman-Hand, JAMA 249, 1983).
    """
    if drawn is None or drawn.units <= drawn.strata:
        return {}
    freedom = drawn.units - drawn.strata
    scale = math.sqrt(drawn.units / freedom / (drawn.values.shape[1] - 2))
    how = f"paired bootstrap by {unit}, {RESAMPLES} resamples"
    found = {}
    for metric, (centre, *values) in zip(metrics, drawn.values, strict=True):
        deviations = (np.array(values) - np.mean(values)) * scale
        blind = 0.0
        if max(values) - min(values) < ROUNDED:
            deviations[:], blind = 0, ((1 - 0.05 ** (1 / scarcest)) / quantile()) ** 2
        found[metric] = Evidence(key, float(centre), deviations, blind, freedom, count, how)
    return found
