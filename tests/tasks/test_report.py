"""A row's interval belongs to its value, or there is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_rows import row

from framework.config import DataConfig
from framework.data import fingerprint
from framework.data.index import Index
from framework.data.kinship import hashed, home
from framework.leaderboard.rows import ALL, POOLED, VIEWED
from framework.metrics.detections import found_coarse, tally
from framework.metrics.ranking import AnomalyCurves
from framework.metrics.regions import coarse
from framework.tasks.level_rows import _interval, _row, level_rows
from framework.tasks.levels import Level, curves_of
from framework.tasks.report import set_rows, taught
from framework.types import Record

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
        lines.append(
            {
                "category": "a",
                "group": str(i),
                "label": True,
                "seen": False,
                "related": False,
                "hist": hist,
                "regions": 0,
            }
        )
    columns = {name: getattr(row(), name) for name in COLUMNS}
    found = _row(Level("element", "pixel", curves.compute(), lines), "auroc", ["a"], columns, "")
    assert 0.8 < found.value < 0.95
    if given:
        assert found.low < found.value < found.high and found.interval
    else:
        assert (found.low, found.high, found.interval) == (None, None, "")


def test_samples_whose_patient_was_trained_on_make_a_row_in_domain():
    records = [Record(Path(f"/a/{i}.png"), i > 1, "a", group=f"p{i // 2}") for i in range(6)]
    index = Index("s", DataConfig("medical", "pictures", "/a"), records, None)
    trained = replace(index, config=DataConfig("medical", "pictures", "/a/train"), records=records[:3])
    origin = {"source": "medical/pictures", "digests": ["0"], "root": home(trained), "groups": hashed(trained)}
    lines = [
        {"category": "a", "group": r.group, "label": r.anomalous, "logit": float(i), "position": i}
        for i, r in reversed(list(enumerate(records)))
    ]
    lines = taught(lines, [origin], index, list("012345"))
    assert [(line["seen"], line["related"]) for line in lines[::-1]] == [(True, True), *[(False, True)] * 3] + [
        (False, False)
    ] * 2
    columns = {name: getattr(row(), name) for name in COLUMNS}
    found = _row(Level("sample", "", curves_of(lines), lines), "auroc", ["a"], columns, "")
    assert (found.in_domain, found.overlap, found.related) == (True, 1, 3)
    other = taught(lines, [origin | {"digests": []}], index, list("012345"))
    found = _row(Level("sample", "", curves_of(other), other), "auroc", ["a"], columns, "")
    assert (found.in_domain, found.overlap, found.related) == (True, 0, 4)


@pytest.mark.parametrize("name", ["sample", "view", "group", "element", "dice", "sensitivity"])
def test_intervals_resample_patients_at_every_level(name):
    """Forty samples of ten patients, whose own are alike, and the same forty each alone, which seems to tell more."""
    rng, widths = np.random.default_rng(0), []
    effects = rng.normal(0, 1.5, 10)
    lines = [_measured(rng, i // 4, float(effects[i // 4])) for i in range(40)]
    metric = {"dice": "dice_fixed", "sensitivity": "sensitivity"}.get(name, "auroc")
    level = "element" if name in ("dice", "sensitivity") else name
    for groups in (None, "alone"):
        own = [line | ({"group": str(i)} if groups else {}) for i, line in enumerate(lines)]
        found = _interval(Level(level, "voxel", {}, own), metric, own)
        widths.append((found.low, found.high))
    assert widths[0][1] - widths[0][0] > 1.3 * (widths[1][1] - widths[1][0]), widths


def test_all_categories_in_one_pot_have_rows_beside_their_mean():
    """Category b's scores lie above all of a's, so the pot ranks worse than the mean of the two."""
    rng, curves = np.random.default_rng(1), AnomalyCurves(["a", "b"], regions=True)
    lines, numbers = [], torch.tensor([1] * 10 + [0] * 90, dtype=torch.int32)
    for i in range(20):
        scores = 0.2 + 0.3 * (i % 2) + 0.1 * torch.from_numpy(rng.uniform(0, 1, 100)).float() + 0.05 * numbers
        curves.update(scores, numbers > 0, numbers, group=i % 2)
        hist, count = coarse(scores, numbers > 0, numbers)
        line = {"category": "ab"[i % 2], "group": str(i), "label": True, "seen": False, "related": False}
        lines.append(line | {"hist": hist.tobytes(), "regions": count})
    columns = {name: getattr(row(), name) for name in COLUMNS if name != "category"}
    level = Level("element", "pixel", curves.compute(), lines, pooled=curves.pooled())
    rows = {(r.category, r.metric): r for r in level_rows(level, columns)}
    assert len(rows) == 4 * 6
    for metric in ("auroc", "ap", "f1_max", "aupro", "aupro_05", "aupro_lineage"):
        mean, pot, one, two = (rows[category, metric] for category in ("all", "pooled", "a", "b"))
        assert mean.value == pytest.approx((one.value + two.value) / 2) and pot.elements == mean.elements == 2000
        assert pot.protocol == one.protocol and pot.definition == mean.definition
        assert ("regions 8-connected" in pot.protocol) == metric.startswith("aupro")
    assert rows["pooled", "auroc"].interval and rows["pooled", "aupro_lineage"].low is None
    assert rows["pooled", "auroc"].value < rows["all", "auroc"].value - 0.05
    assert rows["all", "aupro_05"].chance == pytest.approx(0.025) and rows["all", "aupro_lineage"].chance is None
    assert [r for r in level_rows(replace(level, pooled=None), columns) if r.category == POOLED] == []


def _measured(rng, patient, effect):
    """A scan of 8 voxels a side with one lesion, whose scores and label go with its patient."""
    truth = torch.zeros(8, 8, 8, dtype=torch.int64)
    truth[2:5, 2:5, 2:5] = 1
    logits = torch.from_numpy(rng.normal(-2, 0.1, truth.shape)).float() + (2 + effect) * truth
    numbers, scores = truth.ravel(), torch.sigmoid(logits).ravel()
    hist, regions = coarse(scores, numbers > 0, numbers)
    found = found_coarse(tally(scores, numbers, (8, 8, 8))).tobytes()
    logit = effect + patient % 2 + float(rng.normal(0, 0.1))
    line = {"category": "a", "group": f"p{patient}", "label": bool(patient % 2), "logit": logit}
    return line | {"hist": hist.tobytes(), "regions": regions, "found": found}


def test_the_files_of_a_set_are_hashed_once_for_all_its_rows(tmp_path, monkeypatch):
    records = [Record(tmp_path / f"{i}.png", bool(i % 2), "a", truth_path=tmp_path / f"m{i}.png") for i in range(6)]
    for record in records:
        record.path.write_bytes(record.path.name.encode())
        record.truth_path.write_bytes(b"mask")
    lines = [
        {"category": "a", "group": str(i), "id": str(i), "label": r.anomalous, "seen": False, "related": False}
        | {"logit": float(i), "cues": {"stack": str(i), "mean intensity": float(i), "file size": i % 3}}
        for i, r in enumerate(records)
    ]
    index = Index(
        "s", DataConfig("medical", "pictures", str(tmp_path)), records, type("Reader", (), {"unit": "patient"})
    )
    opened = []
    content = fingerprint._content
    monkeypatch.setattr(fingerprint, "_content", lambda path: opened.append(path) or content(path))
    contents = fingerprint.digests(records)
    found = [Level(*kind, curves_of(lines), lines, "") for kind in (("sample", ""), ("view", "slice"))]
    rows = set_rows(index, found, {name: getattr(row(), name) for name in COLUMNS}, contents)
    assert len({r.model for r in rows}) == 4 and {r.level for r in rows} == {"sample", "view"}
    assert {r.fingerprint for r in rows} == {fingerprint.fingerprint(records, contents)}
    assert sorted(opened)[:6] == sorted(r.path for r in records)
    assert all(opened.count(r.path) == 1 for r in records)
    assert all(opened.count(r.truth_path) == 2 for r in records)  # for the rows, and for this test


def test_a_mean_over_some_categories_says_over_how_many_of_the_set():
    def level(*kinds):
        lines = [
            {"category": name, "group": f"{name}{i}", "label": i % 2 == 0 and both, "logit": float(i)}
            | {"seen": False, "related": False}
            for name, both in kinds
            for i in range(4)
        ]
        return Level("sample", "", curves_of(lines), lines)

    columns = {name: getattr(row(), name) for name in COLUMNS if name != "category"}

    def protocols(found, of=0):
        return {r.category: r.protocol for r in level_rows(found, columns, f"{VIEWED}tilts", of) if r.metric == "auroc"}

    some = protocols(level(("a", True), ("b", False), ("c", True)))
    assert some[ALL] == f"auroc/1; mean over 2 of 3 categories{VIEWED}tilts"
    assert some["a"] == some["c"] == f"auroc/1{VIEWED}tilts" and len(some) == 3
    every = level(("a", True), ("c", True))
    assert protocols(every)[ALL] == f"auroc/1; mean over categories{VIEWED}tilts"
    assert protocols(every, of=6)[ALL] == f"auroc/1; mean over 2 of 6 categories{VIEWED}tilts"
    assert protocols(level(("a", True), ("b", False)))[ALL] == f"auroc/1; mean over 1 of 2 categories{VIEWED}tilts"
    assert protocols(level(("a", True))) == {ALL: f"auroc/1{VIEWED}tilts"}


def test_a_level_that_knows_fewer_categories_than_the_set_says_so(tmp_path):
    records = [Record(tmp_path / f"{c}{i}.png", i > 0, c) for c in "ab" for i in range(2)]
    for record in records:
        record.path.write_bytes(record.path.name.encode())
    lines = [
        {
            "category": r.category,
            "group": r.path.name,
            "id": r.path.name,
            "label": r.anomalous,
            "seen": False,
            "related": False,
            "logit": float(i),
        }
        | {"cues": {"file size": i}}
        for i, r in enumerate(records)
    ]
    config = DataConfig("medical", "pictures", str(tmp_path))
    index = Index("s", config, records, type("Reader", (), {"unit": "patient"}))
    found = [Level("sample", "", curves_of(lines), lines), Level("view", "slice", curves_of(lines[:2]), lines[:2])]
    columns = {name: getattr(row(), name) for name in COLUMNS}
    rows = [r for r in set_rows(index, found, columns, fingerprint.digests(records)) if r.category == ALL]
    for model in {r.model for r in rows}:
        ends = {r.level: r.protocol.rpartition("; ")[2] for r in rows if r.model == model and r.metric == "ap"}
        assert ends == {"sample": "mean over categories", "view": "mean over 1 of 2 categories"}
