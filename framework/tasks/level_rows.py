"""A level of a set in; its rows out: each metric by category, their mean and one pot, with its interval."""

from __future__ import annotations

from typing import Any

import numpy as np

from framework.leaderboard.rows import ALL, LEGACY, METRICS, POOLED, Row, averaged, chance_level
from framework.leaderboard.statistics import (
    Interval,
    delong_interval,
    element_interval,
    independent,
    sample_interval,
)
from framework.leaderboard.statistics.counts import DICE
from framework.metrics.fixed import f1_interval
from framework.metrics.intervals import dice_interval, sensitivity_interval
from framework.tasks.definitions import definition
from framework.tasks.levels import Level

RESAMPLES = 1000


def level_rows(level: Level, columns: dict[str, Any], viewed: str = "", of: int = 0) -> list[Row]:
    """Rows of all metrics: each category, the unweighted mean of those that have it, "all", and one pot, "pooled".

    Args:
        level: of the set.
        columns: that all rows share.
        viewed: end of every row's protocol: how views were made.
        of: how many categories the set has, of which a level may know fewer; 0 for those of the level.
    """
    rows, of = [], of or len(level.curves)
    for metric in METRICS:
        values = {c: v for c, curves in level.curves.items() if (v := getattr(curves, metric, None)) is not None}
        if values and level.whole:
            ending = averaged(len(values), of) + viewed
            rows.append(_row(level, metric, list(values), columns | {"category": ALL}, ending))
        if len(level.curves) > 1 or not level.whole:
            for category in values:
                rows.append(_row(level, metric, [category], columns | {"category": category}, viewed))
        if of > 1 and getattr(level.pooled, metric, None) is not None:
            rows.append(_row(level, metric, [POOLED], columns | {"category": POOLED}, viewed))
    return rows


def _row(level: Level, metric: str, categories: list[str], columns: dict[str, Any], ending: str) -> Row:
    together = level.pooled if categories == [POOLED] else None
    curves = [together] if together else [level.curves[c] for c in categories]
    lines = [line for line in level.lines if together or line["category"] in categories]
    value = float(np.mean([getattr(c, metric) for c in curves]))
    interval = _interval(level, metric, [line | {"category": POOLED} for line in lines] if together else lines)
    if interval is not None and not interval.describes(value):
        interval = None
    anomalous = sum(line["label"] for line in lines)
    overlap = sum(line["seen"] for line in lines)
    kin = sum(line["related"] and not line["seen"] for line in lines)
    near = sum(line.get("near", False) and not line["seen"] for line in lines)
    chances = [chance_level(metric, c.positives / (c.positives + c.negatives)) for c in curves]
    by_element = level.name in ("element", "grid")
    return Row(
        **columns,
        level=level.name,
        element=level.element,
        metric=metric,
        value=value,
        error=float(np.mean([getattr(c, f"{metric}_error", 0.0) for c in curves])),
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        interval=interval.how if interval else "",
        groups=len({line["group"] for line in lines}),
        chance=None if None in chances else float(np.mean(chances)),
        normal=len(lines) - anomalous,
        anomalous=anomalous,
        elements=sum(c.positives + c.negatives for c in curves) if by_element else None,
        anomalous_elements=sum(c.positives for c in curves) if by_element else None,
        in_domain=overlap + kin + near > 0 or bool(columns.get("known")),
        overlap=overlap,
        related=kin,
        near=near,
        protocol=definition(metric, level) + ending,
    )


def _interval(level: Level, metric: str, lines: list[dict[str, Any]]) -> Interval | None:
    """By DeLong where it holds: of AUROC, where every sample is a unit of its own.

    It needs no draws, and near 100 and with few samples it holds the truth more often than percentiles do. Where
    samples share a group, and of every other metric, groups are resampled.
    """
    groups, categories = ([line[key] for line in lines] for key in ("group", "category"))
    if metric == "f1_source":
        calls, labels = (np.array([line[key] for line in lines], bool) for key in ("flagged", "label"))
        return f1_interval(calls, labels, groups, categories, resamples=RESAMPLES)
    if level.name in ("sample", "view", "group"):
        scores = np.array([line["logit"] for line in lines])
        labels = np.array([line["label"] for line in lines])
        if metric == "auroc" and independent(groups, categories):
            return delong_interval(scores, labels, categories)
        return sample_interval(scores, labels, groups, categories, metric, resamples=RESAMPLES)
    if metric == "sensitivity":
        return sensitivity_interval(_stacked(lines, "found"), groups, categories, resamples=RESAMPLES)
    if lines[0]["hist"] is None:  # of a control
        return None
    if metric in LEGACY:  # its thresholds hang on two single scores, which no histogram holds
        return None
    hists = _stacked(lines, "hist")
    if metric in DICE:
        return dice_interval(hists, groups, categories, metric, resamples=RESAMPLES)
    regions = np.array([line["regions"] for line in lines])
    return element_interval(hists, regions, groups, categories, metric, resamples=RESAMPLES)


def _stacked(lines: list[dict[str, Any]], name: str) -> np.ndarray:
    """``(n, 3, K)`` coarse histograms."""
    return np.stack([np.frombuffer(line[name], np.float32).reshape(3, -1) for line in lines])
