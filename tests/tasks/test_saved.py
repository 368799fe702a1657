"""Lines of a set in; that what is kept of each sample is what its levels were made of, out."""

import numpy as np

from framework.leaderboard.units import units
from framework.tasks.levels import Level, curves_of, grouped
from framework.tasks.saved import kept


def line(number, group, label, logit, alone=False, grid=None):
    told = {"tested_on": "brain", "id": f"{number}", "category": "a", "group": group, "alone": alone, "label": label}
    more = {"hist": None, "regions": 0, "found": None, "views": [], "grid": grid, "cues": None, "position": number}
    return told | more | {"logit": logit, "score": 0.5, "seen": False, "related": False}


def test_a_sample_keeps_the_score_of_its_group_and_one_without_a_group_keeps_none():
    grid = {"name": "grid56", "sigma": 4.0, "hist": b"1234", "regions": np.int64(3)}
    lines = [line(0, "p", False, 1.0), line(1, "p", True, 3.0, grid=grid), line(2, "2", False, 0.5, alone=True)]
    lines.append(line("p", "p", True, 9.0, alone=True))  # a sample of no group, by the name of one
    groups = grouped(lines[:2], "mean")
    found = kept(lines, [Level("group", "patient", curves_of(groups), groups)])
    assert [each["pooled"] for each in found] == [2.0, 2.0, None, None]
    assert [each["flagged"] for each in found] == [None] * 4
    assert units(found, "group") == [
        {"id": "p", "category": "a", "group": "p", "label": True, "logit": 2.0}  # anomalous as one of its samples is
    ]
    (cell,) = units(found, "grid")
    assert (cell["grid"], cell["hist"], cell["regions"], cell["id"]) == ("grid56", b"1234", 3, "1")
    assert all("view_logits" not in each for each in found) and units(found, "view") == []
    assert not {"seen", "related", "cues", "views", "position", "alone"} & set(found[0])


def test_samples_of_sets_without_groups_keep_none():
    lines = [line(0, "bolt", False, 1.0), line(1, "bolt", True, 3.0)]
    found = kept(lines, [Level("sample", "", curves_of(lines), lines)], threshold=1.0)
    assert [each["pooled"] for each in found] == [None, None] and [each["flagged"] for each in found] == [True, True]
