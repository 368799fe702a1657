"""Saved lines in; the units of each level, by their values, out."""

from __future__ import annotations

import numpy as np
from fake_rows import sample

from framework.leaderboard.units import units


def test_a_group_is_that_of_its_category_and_anomalous_where_a_sample_of_it_is():
    lines = [
        sample(id="3", category="b", group="x", label=False, pooled=3.0),
        sample(id="1", category="a", group="x", label=True, pooled=1.0),
        sample(id="2", category="a", group="x", label=False, pooled=1.0),
        sample(id="4", category="a", group="alone", label=True, pooled=None),
    ]
    assert [(unit["category"], unit["id"], unit["label"], unit["logit"]) for unit in units(lines, "group")] == [
        ("a", "x", True, 1.0),
        ("b", "x", False, 3.0),
    ]


def test_a_view_has_its_own_label_and_logit_and_the_group_of_its_sample():
    logits, labels = np.float32([0.5, -2]), np.uint8([0, 1])
    line = sample(id="s", group="p", view_logits=logits.tobytes(), view_labels=labels.tobytes())
    told = [(unit["id"], unit["group"], unit["label"], unit["logit"]) for unit in units([line, sample()], "view")]
    assert told == [("s#000000", "p", False, 0.5), ("s#000001", "p", True, -2.0)]


def test_cells_of_a_grid_have_its_histogram_and_regions_and_scans_are_those_that_were_looked_through():
    line = sample(hist=b"own", regions=1, grid_hist=b"laid", grid_regions=4, found=None)
    (cell,) = units([line, line | {"id": "z", "grid_hist": None}], "grid")
    assert (cell["hist"], cell["regions"]) == (b"laid", 4)
    assert [unit["id"] for unit in units([line, line | {"id": "z", "found": b"f"}], "scan")] == ["z"]
    assert [unit["hist"] for unit in units([line, line | {"id": "z", "hist": None}], "element")] == [b"own"]
