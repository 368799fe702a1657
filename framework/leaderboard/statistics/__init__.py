"""Saved scores of samples in; small exact metrics, intervals, paired tests and ranks out. NumPy and SciPy only."""

from framework.leaderboard.statistics.bootstrap import (
    Interval,
    element_interval,
    group_interval,
    sample_interval,
)
from framework.leaderboard.statistics.delong import delong_interval, independent
from framework.leaderboard.statistics.draws import Labels
from framework.leaderboard.statistics.exact import SAMPLE_METRICS, auroc, average_precision, f1_max

__all__ = [
    "SAMPLE_METRICS",
    "Interval",
    "Labels",
    "auroc",
    "average_precision",
    "delong_interval",
    "element_interval",
    "f1_max",
    "group_interval",
    "independent",
    "sample_interval",
]
