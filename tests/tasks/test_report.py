"""A row's interval belongs to its value, or there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fake_rows import row

from framework.metrics.ranking import AnomalyCurves
from framework.metrics.regions import coarse
from framework.tasks.levels import Level
from framework.tasks.report import _row

COLUMNS = (
    "run",
    "date",
    "commit",
    "dirty",
    "config",
    "seed",
    "experiment",
    "model",
    "backbone",
    "weights",
    "trained_on",
)
COLUMNS += ("tested_on", "domain", "dataset", "fingerprint", "category", "unit", "hardware", "packages")


@pytest.mark.parametrize(("spread", "given"), [(1e-1, True), (1e-4, False)])
def test_where_scores_crowd_in_one_bin_there_is_a_value_and_no_interval(spread, given):
    rng, truth = np.random.default_rng(0), torch.arange(100) % 4 == 0
    curves, lines = AnomalyCurves(["a"]), []
    for i in range(20):
        scores = 0.5 + spread * (torch.from_numpy(rng.uniform(-1, 1, 100)).float() + truth)
        curves.update(scores, truth)
        hist = coarse(scores, truth)[0].tobytes()
        lines.append({"category": "a", "group": str(i), "label": True, "seen": False, "hist": hist, "regions": 0})
    columns = {name: getattr(row(), name) for name in COLUMNS}
    found = _row(Level("element", "pixel", curves.compute(), lines), "auroc", ["a"], columns, "")
    assert 0.8 < found.value < 0.95
    if given:
        assert found.low < found.value < found.high and found.interval
    else:
        assert (found.low, found.high, found.interval) == (None, None, "")
