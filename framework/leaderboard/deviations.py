"""The units of a level of one run in; of each of its metrics how its value varies with them, for paired tests, out.

Each number is kept as a vector of deviations whose sum of squares is its variance: of AUROC of independent units
DeLong's structural components, of all else the values of resamples. Vectors of two methods on the same units are of
the same units, or resamples, place by place, so that the difference of the vectors is that of the methods.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from framework.leaderboard.scores import Line
from framework.leaderboard.statistics.bootstrap import ROUNDED, element_parts, element_values, sample_values
from framework.leaderboard.statistics.counts import DICE, dice_values, f1_values, sensitivity_values
from framework.leaderboard.statistics.delong import independent, placed
from framework.leaderboard.statistics.draws import Plan, Plans, Values
from framework.leaderboard.statistics.exact import ELEMENT_METRICS, REGION_METRICS, SAMPLE_METRICS
from framework.leaderboard.statistics.student import quantile

RESAMPLES, SEED = 1000, 0
BINS = 128  # of histograms while they are resampled


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


class Told:
    """Units of a level, as arrays.

    Args:
        units: of ``units.units``, of which no two have one name.
        unit: what resampling draws, in words.
        plans: its draws, shared by all methods.
    """

    def __init__(self, units: Sequence[Line], unit: str, plans: Plans) -> None:
        self.units, self.plans = units, plans
        self.groups, self.categories = ([line[name] for line in units] for name in ("group", "category"))
        self.labels = np.array([line["label"] for line in units], bool)
        key = hashlib.sha256()
        for line in units:
            key.update("\0".join((line["category"], line["id"], line["group"], str(bool(line["label"])), "")).encode())
        self.key, self.how = key.hexdigest(), f"paired bootstrap by {unit}, {RESAMPLES} resamples"

    def hists(self, name: str) -> np.ndarray:
        """``(n, 3, K)`` of a column of histograms."""
        return np.frombuffer(b"".join(line[name] for line in self.units), np.float32).reshape(len(self.units), 3, -1)

    def resampled(
        self, metrics: Sequence[str], held: np.ndarray, values: Values, used: np.ndarray | None = None
    ) -> dict[str, Evidence]:
        """By metric; of ``values`` of those units that are ``used``, all or their positions."""
        groups, categories = self.groups, self.categories
        if used is not None:
            groups, categories = ([names[i] for i in used] for names in (groups, categories))
        plan = self.plans.of(groups, categories, held)
        if plan is None or plan.units <= plan.strata:
            return {}
        return {
            metric: Evidence(self.key, *each, plan.units - plan.strata, len(self.units), self.how)
            for metric, each in zip(metrics, _deviating(plan, values), strict=True)
        }


def ranking(told: Told) -> dict[str, Evidence]:
    """AUROC, AP and F1-max of units that have one score each."""
    scores = np.array([line["logit"] for line in told.units])
    metrics: tuple[str, ...] = SAMPLE_METRICS
    evidence = {}
    if independent(told.groups, told.categories):
        found = placed(scores, told.labels, told.categories)
        metrics = tuple(metric for metric in metrics if metric != "auroc")
        if found is not None:
            own = found.value, found.deviations, found.blind, math.inf, found.units, "paired DeLong"
            evidence["auroc"] = Evidence(told.key, *own)
    values = sample_values(scores[None], told.labels, metrics)
    return evidence | told.resampled(metrics, _classes(told), lambda *given: values(*given)[:, 0])


def at_threshold(told: Told) -> dict[str, Evidence]:
    """F1 of samples at the source's threshold, which stays where it is."""
    if any(line.get("flagged") is None for line in told.units):
        return {}
    flagged = np.array([line["flagged"] for line in told.units], bool)
    return told.resampled(("f1_source",), _classes(told), f1_values(flagged, told.labels))


def elements(told: Told) -> dict[str, Evidence]:
    """Of pixels, points, voxels or cells, from their histograms."""
    hists, regions = told.hists("hist"), np.array([line["regions"] or 0 for line in told.units])
    plain, numbered = element_parts(hists), element_parts(hists, regions)
    parts: list[tuple[np.ndarray, tuple[str, ...]]] = [(plain, SAMPLE_METRICS), (numbered, REGION_METRICS)]
    if np.array_equal(plain, numbered):
        parts = [(plain, ELEMENT_METRICS)]
    evidence: dict[str, Evidence] = {}
    for held, metrics in parts:
        evidence |= told.resampled(metrics, held, element_values(hists, regions, metrics, bins=BINS))
    return evidence


def overlaps(told: Told) -> dict[str, Evidence]:
    """Mean Dice of the scans with a lesion; the best threshold is looked for anew in each resample, of each method."""
    hists = told.hists("hist")
    used = np.flatnonzero(hists[:, 1].any(1))
    return told.resampled(DICE, np.ones((len(used), 2), bool), dice_values(hists[used], DICE), used)


def detections(told: Told) -> dict[str, Evidence]:
    """Sensitivity of scans, at an operating point that is looked for anew in each resample, of each method."""
    hists = told.hists("found")
    held = np.stack([np.ones(len(hists), bool), hists[:, 2].any(1)], 1)
    return told.resampled(("sensitivity",), held, sensitivity_values(hists))


MADE: dict[tuple[str, str], Callable[[Told], dict[str, Evidence]]] = {  # by level and metric
    **{(level, metric): ranking for level in ("sample", "view", "group") for metric in SAMPLE_METRICS},
    **{(level, metric): elements for level in ("element", "grid") for metric in ELEMENT_METRICS},
    **{("element", metric): overlaps for metric in DICE},
    **{("element", "sensitivity"): detections, ("sample", "f1_source"): at_threshold},
}


def _classes(told: Told) -> np.ndarray:
    return np.stack([~told.labels, told.labels], 1)


def _deviating(plan: Plan, values: Values) -> list[tuple[float, np.ndarray, float]]:
    """Centre, deviations and what these are blind to, of each metric.

    The variance of resampling n groups with replacement is short by (n - 1) / n, which is made good. Where all
    resamples agree, as where no sample is misjudged, there is none to see: a thing never seen in n groups may be there
    in 3 / n of them (1 - 0.05^(1 / n); Hanley and Lippman-Hand, JAMA 249, 1983).
    """
    drawn = plan.apply(values).values
    scale = math.sqrt(plan.units / (plan.units - plan.strata) / (drawn.shape[1] - 2))
    found = []
    for each in drawn:
        resamples, blind = each[1:], 0.0
        deviations = (resamples - resamples.mean()) * scale
        if np.ptp(resamples) < ROUNDED:
            deviations[:], blind = 0, ((1 - 0.05 ** (1 / plan.scarcest)) / quantile()) ** 2
        found.append((float(each[0]), deviations, blind))
    return found
