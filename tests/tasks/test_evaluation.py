"""Scores of points reach metrics of their own on the grid that published numbers are measured on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from sklearn.metrics import average_precision_score, roc_auc_score

from framework.config import DataConfig
from framework.data.index import Index
from framework.leaderboard.rows import VIEWED
from framework.metrics import axis
from framework.models.scoring import on_grid
from framework.tasks import evaluation as evaluation_of
from framework.tasks.evaluation import Evaluation
from framework.tasks.level_rows import level_rows
from framework.tasks.levels import Level
from framework.types import Batch, Grid, Record, Sample, Verdict

SIDE, VIEW = 12, 8


class Reader:
    element, unit, suffixes = "point", "object", (".tiff",)


def scan(number, rng):
    """A scan of 50 points on a grid of 12 x 12, seen in one view of 8 x 8 pixels."""
    record = Record(Path(f"{number}.tiff"), bool(number % 2), "bagel")
    index = np.full(SIDE * SIDE, -1, np.int32)
    index[rng.permutation(SIDE * SIDE)[:50]] = np.arange(50)
    truth = np.zeros(50, bool)
    truth[:10] = number % 2
    marked = (index.reshape(SIDE, SIDE) >= 0) & truth[index.reshape(SIDE, SIDE)]
    marked[0, :2] |= bool(number % 2)  # marked where there may be no point
    place = rng.integers(0, VIEW * VIEW, (1, 50)).astype(np.int32)
    views = np.zeros((1, 3, VIEW, VIEW), np.uint8)
    grid = Grid("grid12", index.reshape(SIDE, SIDE), marked, sigma=1.5)
    return Sample(
        record, views, np.zeros((1, VIEW, VIEW), np.int32), truth, None, truth.astype(np.int32), place, grid=grid
    )


@pytest.fixture
def evaluated():
    rng = np.random.default_rng(0)
    samples = [scan(i, rng) for i in range(4)]
    index = Index("scans", DataConfig("pointcloud", "mvtec3d", "."), [s.record for s in samples], Reader())
    maps = torch.from_numpy(rng.random((4, VIEW, VIEW), np.float32))
    verdict = Verdict(torch.tensor([-1.0, 2.0, 0.5, 1.0]), maps, torch.zeros(4, 1, 1), torch.zeros(4, 1))
    batch = Batch(None, None, [1] * 4, [1] * 4, torch.zeros(4), torch.ones(4), samples, list(range(4)))
    evaluation = Evaluation(index)
    evaluation.update(batch, verdict, "half_max_half_mean", VIEW, "base")
    return samples, maps, verdict, evaluation


def test_numbers_on_the_grid_are_those_of_the_smoothed_grid_with_zero_where_no_point_lies(evaluated):
    samples, maps, _, evaluation = evaluated
    scores, truth = [], []
    for sample, view in zip(samples, maps, strict=True):
        points = view.flatten().numpy()[sample.place[0]]
        cells = np.where(sample.grid.index < 0, 0, points[sample.grid.index])
        scores.append(gaussian_filter(cells, 1.5).ravel())
        truth.append(sample.grid.truth.ravel())
    curves = evaluation.cells.compute()["bagel"]
    scores, truth = np.concatenate(scores), np.concatenate(truth)
    assert curves.auroc == pytest.approx(roc_auc_score(truth, scores), abs=1e-4)
    assert curves.ap == pytest.approx(average_precision_score(truth, scores), abs=1e-3)
    assert curves.positives == truth.sum() and curves.positives + curves.negatives == 4 * SIDE * SIDE
    assert evaluation.elements.compute()["bagel"].positives == 20  # points, whatever the grid says


def test_rows_of_the_grid_are_named_apart_and_say_how_they_were_smoothed_and_viewed(evaluated):
    *_, evaluation = evaluated
    lines = [line | line["grid"] | {"seen": False, "related": False} for line in evaluation.lines]
    level = Level(
        "grid", "grid12", evaluation.cells.compute(), lines, "; on grid12, smoothed by a Gaussian of 1.5 cells"
    )
    columns = {"run": "r", "date": "2026-01-02T03:04:05+00:00", "commit": "c", "dirty": False, "config": "c", "seed": 0}
    columns |= {"experiment": "e", "model": "m", "backbone": "b", "weights": "w", "trained_on": "t", "tested_on": "s"}
    columns |= {"domain": "d", "dataset": "d", "fingerprint": "f", "unit": "object", "hardware": "h", "packages": "p"}
    rows = {r.metric: r for r in level_rows(level, columns, f"{VIEWED}9 tilts")}
    assert set(rows) == {"auroc", "ap", "f1_max", "aupro", "aupro_05", "aupro_lineage"}
    assert rows["aupro"].level == "grid" and rows["aupro"].element == "grid12"
    assert rows["aupro"].definition == (
        "aupro/1; false-positive rate up to 0.3; on grid12, smoothed by a Gaussian of 1.5 cells, "
        "regions 8-connected in a view"
    )
    assert rows["auroc"].views == "9 tilts" and rows["auroc"].elements == 4 * SIDE * SIDE
    assert rows["auroc"].low <= rows["auroc"].value <= rows["auroc"].high


def test_the_score_of_a_sample_follows_the_rule(evaluated):
    samples, maps, verdict, evaluation = evaluated
    for line, sample, view, logit in zip(evaluation.lines, samples, maps, verdict.logits, strict=True):
        highest = view.flatten()[torch.from_numpy(sample.place[0]).long()].max()
        assert line["score"] == pytest.approx(float((highest + logit.sigmoid()) / 2), abs=1e-6)


def test_without_smoothing_the_grid_holds_the_scores_themselves():
    grid = Grid("grid2", np.array([[1, -1], [0, 1]], np.int32), np.zeros((2, 2), bool))
    assert on_grid(torch.tensor([0.25, 0.75]), grid).tolist() == [0.75, 0, 0.25, 0.75]


def test_lines_are_of_the_records_of_the_set_and_pictures_by_the_name_that_the_reader_gives():
    class Naming(Reader):
        @staticmethod
        def called(record):
            return f"made {record.frame}"

    rng = np.random.default_rng(0)
    shown = scan(1, rng)  # as a reader returns a made sample: its record says the file alone
    records = [replace(shown.record, frame=frame) for frame in (10**6, 10**6 + 1)]
    evaluation = Evaluation(Index("scans", DataConfig("pointcloud", "mvtec3d", "."), records, Naming()))
    maps = torch.from_numpy(rng.random((2, VIEW, VIEW), np.float32))
    verdict = Verdict(torch.tensor([-1.0, 2.0]), maps, torch.zeros(2, 1, 1), torch.zeros(2, 1))
    batch = Batch(None, None, [1] * 2, [1] * 2, torch.zeros(2), torch.ones(2), [shown, shown], [0, 1])
    evaluation.update(batch, verdict, "half_max_half_mean", VIEW, "base")
    lines, items = evaluation.gather()
    assert [line["id"] for line in lines] == ["1.tiff#1000000", "1.tiff#1000001"]
    assert [i["title"] for i in items] == ["made 1000000", "made 1000001"]


class Photographs:
    element, unit, suffixes = "pixel", "object", (".png",)


def test_a_picture_of_more_pixels_than_bins_has_the_histogram_of_any_other(monkeypatch):
    rng, side = np.random.default_rng(0), 520
    samples = []
    for number in range(2):
        truth = np.zeros((side, side), bool)
        truth[10:60, 20:90] = truth[300:310, 300:310] = bool(number)
        views = np.zeros((1, 3, side, side), np.uint8)
        samples.append(Sample(Record(Path(f"{number}.png"), bool(number), "bolt"), views, truth=truth.ravel()))
    index = Index("parts", DataConfig("industrial", "mvtec", "."), [s.record for s in samples], Photographs())
    maps = torch.from_numpy(rng.random((2, 26, 26), np.float32))
    verdict = Verdict(torch.zeros(2), maps, torch.zeros(2, 1, 1), torch.zeros(2, 1))
    batch = Batch(None, None, [1] * 2, [1] * 2, torch.zeros(2), torch.ones(2), samples, [0, 1])
    found = []
    for bins in (evaluation_of.BINS, side * side):
        monkeypatch.setattr(evaluation_of, "BINS", bins)
        evaluation = Evaluation(index)
        evaluation.update(batch, verdict, "mean", 52, "base")
        found.append(evaluation.lines)
    shared, apart = found
    assert side * side > 2 * axis.BINS
    for one, other in zip(shared, apart, strict=True):
        assert one["hist"] == other["hist"] and one["regions"] == other["regions"]
    hist = np.frombuffer(shared[1]["hist"], np.float32).reshape(3, -1)
    assert hist[:2].sum(1).tolist() == [side * side - 3600, 3600]
    assert shared[1]["regions"] == 2
