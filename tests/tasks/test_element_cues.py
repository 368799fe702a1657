"""How central and how bright elements are, against brute force on the arrays; and what that finds alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from framework.config import DataConfig
from framework.data.index import Index
from framework.leaderboard.rows import ALL
from framework.metrics.values import ValueCurves
from framework.tasks import element_cues
from framework.tasks.controls import controls
from framework.tasks.evaluation import Evaluation
from framework.tasks.level_rows import level_rows
from framework.tasks.levels import levels, reduced
from framework.tasks.truth import numbered
from framework.types import Batch, Grid, Record, Sample, Verdict

COLUMNS = {"run": "r", "date": "2026-01-02T03:04:05+00:00", "commit": "c", "dirty": False, "config": "c", "seed": 0}
COLUMNS |= {"experiment": "e", "model": "m", "backbone": "b", "weights": "w", "trained_on": "t", "tested_on": "s"}
COLUMNS |= {"domain": "d", "dataset": "d", "fingerprint": "f", "unit": "picture", "hardware": "h", "packages": "p"}
HIGH, WIDE = 12, 18


class Reader:
    element, unit, suffixes = "pixel", "picture", (".png",)


def central(shape):
    """0 in the corners, 255 in the centre, by the plain definition."""
    axes = [np.abs((np.arange(n) + 0.5) / n * 2 - 1) for n in shape]
    squares = sum(np.square(g) for g in np.meshgrid(*axes, indexing="ij")) / sum(n > 1 for n in shape)
    return 255 - np.floor(255 * np.sqrt(squares) + 1e-6).astype(int)


def counts(sample):
    metric = ValueCurves(["a"], element_cues.NAMES)
    element_cues.count(metric, sample, *numbered(sample), 0)
    return {name: hists["a"] for name, hists in metric.compute().items()}


def expected(values, truth):
    return [np.bincount(np.ravel(values)[truth.ravel() == which], minlength=256) for which in (False, True)]


@pytest.mark.parametrize("shape", [(1, 7, 10), (1, 8, 8), (5, 4, 6), (4, 3, 3), (1, 1, 5)])
def test_every_pixel_and_voxel_is_as_near_as_its_place_says(shape):
    rng = np.random.default_rng(0)
    truth = rng.random(shape) < 0.3
    views = rng.integers(0, 256, (shape[0], 3, *shape[1:]), np.uint8)
    found = counts(Sample(Record(Path("a.png"), True, "a"), views, truth=truth.ravel()))
    grey = (views.astype(int) * [[[[1]], [[2]], [[1]]]]).sum(1) // 4
    for name, values in (("position", central((1, *shape)[1:])), ("intensity", grey)):
        np.testing.assert_array_equal(found[name][:2], expected(values, truth), name)


def test_points_have_the_mean_of_the_views_that_show_them_and_hidden_ones_that_of_their_stand_in():
    views = np.zeros((2, 3, 3, 3), np.uint8)
    views[0], views[1] = 100, 201
    place = np.array([[4, 0, -1, -1], [4, -1, 8, -1]], np.int32)
    truth, stand_in = np.array([True, False, False, True]), np.array([0, 1, 2, 1], np.int32)
    owner = np.zeros((2, 3, 3), np.int32)
    told = Sample(Record(Path("a.ply"), True, "a"), views, owner, truth, stand_in, truth.astype(np.int32), place)
    found, near = counts(told), central((3, 3)).ravel()
    np.testing.assert_array_equal(found["intensity"][:2], expected(np.array([150, 100, 201, 100]), truth))
    np.testing.assert_array_equal(found["position"][:2], expected(near[[4, 0, 8, 0]], truth))


def test_points_that_own_pixels_have_the_mean_of_these():
    views = np.zeros((1, 3, 2, 2), np.uint8) + np.array([[10, 21], [200, 90]], np.uint8)
    owner, truth = np.array([[[0, 0], [1, -1]]], np.int32), np.array([False, True])
    found = counts(Sample(Record(Path("a.ply"), True, "a"), views, owner, truth, None, truth.astype(np.int32)))
    np.testing.assert_array_equal(found["intensity"][:2], expected(np.array([15, 200]), truth))


def test_cells_of_a_grid_have_places_of_their_own_and_are_black_where_no_point_lies():
    index, marked = np.array([[0, -1, 1]], np.int32), np.array([[False, True, True]])
    views = np.full((1, 3, 2, 2), 80, np.uint8)
    place, truth = np.array([[0, 3]], np.int32), np.array([False, True])
    sample = Sample(
        *(Record(Path("a.tiff"), True, "a"), views, np.zeros((1, 2, 2), np.int32), truth, None),
        *(truth.astype(np.int32), place),
        grid=Grid("grid3", index, marked),
    )
    metric = ValueCurves(["a"], element_cues.NAMES)
    cells, regions = torch.from_numpy(marked.ravel()), torch.from_numpy(marked.ravel().astype(np.int32))
    element_cues.count_cells(metric, sample, cells, regions, 0)
    found = metric.compute()
    np.testing.assert_array_equal(found["intensity"]["a"][:2], expected(np.array([80, 0, 80]), marked))
    np.testing.assert_array_equal(found["position"]["a"][:2], expected(central((1, 3)), marked))


def pictures(kind):
    """Six pictures of noise in two categories; every second one has a defect, in the middle or (``bright``, "b") dark.

    Of the kind "middle" defects look like all else, of the kind "bright" they lie anywhere.
    """
    rng = np.random.default_rng(1)
    for i in range(12):
        category, truth = "ab"[i // 6], np.zeros((HIGH, WIDE), bool)
        grey = rng.integers(60, 180, (HIGH, WIDE), np.uint8)
        if i % 2:
            y, x = (4, 7) if kind == "middle" else rng.integers(0, [HIGH - 4, WIDE - 4])
            truth[y : y + 4, x : x + 4] = True
        if kind == "bright":
            grey[truth] = 30 if category == "b" else 220
            grey[truth & (rng.random(truth.shape) < 0.2)] = 120
        record = Record(Path(f"{i}.png"), bool(i % 2), category)
        yield Sample(record, np.stack([grey] * 3)[None], truth=truth.ravel())


def rows_of(samples):
    index = Index("parts", DataConfig("industrial", "mvtec", "."), [s.record for s in samples], Reader())
    n, evaluation = len(samples), Evaluation(index)
    maps = torch.rand(n, HIGH, WIDE, generator=torch.Generator().manual_seed(0))
    verdict = Verdict(torch.zeros(n), maps, torch.zeros(n, 1, 1), torch.zeros(n, 1))
    batch = Batch(None, None, [1] * n, [1] * n, torch.zeros(n), torch.ones(n), samples, list(range(n)))
    evaluation.update(batch, verdict, "mean", WIDE, "base")
    lines = [line | {"seen": False, "related": False} for line in evaluation.lines]
    (level,) = (x for x in levels(index, reduced(evaluation), lines, "mean") if x.name == "element")
    made = [(control, COLUMNS | own) for control, own in controls(level)]
    rows = [row for control, columns in made for row in level_rows(control, columns, of=2)]
    return {(r.model.removeprefix("control: "), r.category, r.metric): r for r in rows}


@pytest.mark.parametrize(
    ("kind", "cue", "other"), [("middle", "position", "intensity"), ("bright", "intensity", "position")]
)
def test_a_cue_that_finds_all_defects_alone_has_the_numbers_of_its_values(kind, cue, other):
    samples = list(pictures(kind))
    rows = rows_of(samples)
    for category in "ab":
        own = [s for s in samples if s.record.category == category]
        values = np.stack([central((HIGH, WIDE)) if cue == "position" else s.views[0, 0].astype(int) for s in own])
        scores = -values if (kind, category) == ("bright", "b") else values
        truth = np.concatenate([s.truth for s in own])
        for metric, plain in (("auroc", roc_auc_score), ("ap", average_precision_score)):
            row = rows[cue, category, metric]
            assert row.value == pytest.approx(plain(truth, scores.ravel()), abs=1e-12)
            assert (row.error, row.low, row.interval, row.in_domain) == (0, None, "", False)
            assert row.elements == truth.size and row.anomalous_elements == truth.sum()
        assert rows[cue, category, "auroc"].value > 0.85
        assert 0.5 <= rows[other, category, "auroc"].value < 0.75
    assert {key[2] for key in rows} == {"auroc", "ap", "f1_max", "aupro", "aupro_05", "aupro_lineage"}
    mean = np.mean([rows[cue, c, "aupro"].value for c in "ab"])
    assert rows[cue, ALL, "aupro"].value == pytest.approx(mean) and rows[cue, ALL, "aupro"].chance == 0.15


def test_a_control_of_elements_says_which_end_it_took_and_of_how_many_steps():
    rows = rows_of(list(pictures("bright")))
    assert rows["intensity", "a", "auroc"].definition == (
        "auroc/1; in 256 steps, bright (a) or dark (b) is anomalous, chosen by the labels of each category"
    )
    assert rows["intensity", ALL, "aupro"].definition.endswith("of each category, regions 8-connected in a view")
