"""Scores of slices reach the voxels of a volume, and slices, patients and scans get numbers of their own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.metrics import f1_score, roc_auc_score

from framework.config import DataConfig
from framework.data.index import Index
from framework.leaderboard.rows import ALL, SCANNED
from framework.leaderboard.store import load_samples, write_run
from framework.leaderboard.units import units
from framework.tasks.controls import controls
from framework.tasks.evaluation import Evaluation
from framework.tasks.level_rows import level_rows
from framework.tasks.levels import levels, reduced
from framework.tasks.rescore import again
from framework.tasks.saved import kept
from framework.types import Batch, Record, Sample, Verdict

SHAPE = (9, 8, 6)  # voxels in file order; views are the slices 1, 3 and 5 of the last axis
SLICES = (1, 3, 5)
COLUMNS = {"run": "r", "date": "2026-01-02T03:04:05+00:00", "commit": "c", "dirty": False, "config": "c", "seed": 0}
COLUMNS |= {"experiment": "e", "model": "m", "backbone": "b", "weights": "w", "trained_on": "t", "tested_on": "s"}
COLUMNS |= {"domain": "d", "dataset": "d", "fingerprint": "f", "unit": "patient", "hardware": "h", "packages": "p"}


class Reader:
    element, unit, suffixes, view = "voxel", "patient", (".nii",), "slice"


class Back:
    shape = SHAPE

    def __call__(self, maps):
        found = np.zeros(SHAPE, np.float32)
        for k, values in zip(SLICES, maps, strict=True):
            found[..., k] = values
        return found.ravel()

    def show(self, values, view):
        return values.reshape(SHAPE)[..., SLICES[view]]


def volume(number, rng):
    truth = np.zeros(SHAPE, bool)
    if number % 2:
        truth[2:4, 2:4, 3 : 4 + number % 3] = True
    record = Record(Path(f"{number}.nii"), bool(number % 2), "brain", group=f"p{number // 2}")
    views = rng.integers(0, 255, (3, 1, *SHAPE[:2]), np.uint8).repeat(3, 1)
    return Sample(record, views, truth=truth.ravel(), back=Back(), at=np.array(SLICES, np.float32))


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(0)
    samples = [volume(i, rng) for i in range(6)]
    index = Index("scans", DataConfig("medical", "nifti", "."), [s.record for s in samples], Reader())
    maps = torch.from_numpy(rng.random((18, *SHAPE[:2]), np.float32))
    for i, sample in enumerate(samples):
        for v in range(3):
            maps[3 * i + v] = (maps[3 * i + v] + torch.from_numpy(sample.back.show(sample.truth, v))) / 2
    verdict = Verdict(torch.from_numpy(rng.normal(size=18)).float(), maps, torch.zeros(18, 1, 1), torch.zeros(18, 1))
    batch = Batch(None, None, [1] * 18, [3] * 6, torch.zeros(18), torch.ones(6), samples, list(range(6)))
    evaluation = Evaluation(index)
    evaluation.update(batch, verdict, "top3", 72, "base")  # crops of 9 x 8 whole cells
    lines = [line | {"seen": False, "related": False} for line in evaluation.lines]
    scores = np.stack([s.back(m.numpy() for m in maps[3 * i : 3 * i + 3]) for i, s in enumerate(samples)])
    scores = scores.reshape(-1, *SHAPE)
    made = levels(index, reduced(evaluation), lines, "top3")
    rows = [row for level in made for row in level_rows(level, COLUMNS)]
    by_key = {(r.level, r.element, r.metric): r for r in rows if r.category == ALL}
    return samples, verdict, scores, by_key, made


def test_every_voxel_of_the_file_counts_also_where_no_slice_looked(found):
    samples, _, scores, rows, _ = found
    truth = np.stack([s.truth.reshape(SHAPE) for s in samples])
    row = rows["element", "voxel", "auroc"]
    assert row.elements == truth.size and row.anomalous_elements == truth.sum()
    assert row.value == pytest.approx(roc_auc_score(truth.ravel(), scores.ravel()), abs=1e-4)


def test_slices_are_labelled_by_the_truth_in_them_and_patients_by_their_scans(found):
    samples, verdict, _, rows, made = found
    labels = [s.back.show(s.truth, v).any() for s in samples for v in range(3)]
    row = rows["view", "slice", "auroc"]
    assert row.value == pytest.approx(roc_auc_score(labels, verdict.logits), abs=1e-4) and row.groups == 3
    assert (row.normal, row.anomalous) == (18 - sum(labels), sum(labels))
    assert ("group", "patient", "auroc") not in rows  # every patient has an anomalous scan: one class
    assert [level.name for level in made] == ["sample", "view", "group", "element", "element"]
    assert rows["sample", "", "auroc"].normal == 3


def test_scans_have_controls_of_their_own(found):
    samples, _, _, _, made = found
    level = next(level for level in made if level.name == "sample")
    by_name = {columns["model"]: control for control, columns in controls(level)}
    assert list(by_name) == ["control: random", "control: mean intensity", "control: file size"]  # a scan lies nowhere
    for line, sample in zip(level.lines, samples, strict=True):
        assert line["cues"]["mean intensity"] == pytest.approx(float(np.mean([v.mean() for v in sample.views])))


def test_so_have_scans_with_a_label_alone(found):
    samples = [replace(s, truth=None) for s in found[0]]
    index = Index("scans", DataConfig("medical", "nifti", "."), [s.record for s in samples], Reader())
    verdict = Verdict(torch.zeros(18), torch.zeros(18, 1, 1), torch.zeros(18, 1, 1), torch.zeros(18, 1))
    evaluation = Evaluation(index)
    batch = Batch(None, None, [1] * 18, [3] * 6, torch.zeros(18), torch.ones(6), samples, list(range(6)))
    evaluation.update(batch, verdict, "top3", 72, "base")
    assert all(line["views"] == [] and line["cues"]["file size"] > 0 for line in evaluation.lines)


def test_dice_and_detection_are_those_of_a_loop(found):
    samples, _, scores, rows, _ = found
    truth = np.stack([s.truth.reshape(SHAPE) for s in samples])
    fixed = [
        2 * (flagged & marked).sum() / (flagged.sum() + marked.sum())
        for flagged, marked in zip(scores >= 0.5, truth, strict=True)
        if marked.any()
    ]
    assert rows["element", "voxel", "dice_fixed"].value == pytest.approx(np.mean(fixed), abs=1e-6)
    assert rows["element", "voxel", "dice_best"].value >= rows["element", "voxel", "dice_fixed"].value
    assert rows["element", "voxel", "dice_best"].error >= 0 == rows["element", "voxel", "dice_fixed"].error
    best = 0.0
    for threshold in np.unique(scores[scores > 0]):
        lone, hits, lesions = 0, 0, 0
        for flagged, marked in zip(scores >= threshold, truth, strict=True):
            blobs = ndimage.label(flagged, np.ones((3, 3, 3)))[0]
            touched = set(np.unique(blobs[marked])) - {0}
            lone += blobs.max() - len(touched)
            numbers = ndimage.label(marked, np.ones((3, 3, 3)))[0]
            lesions += numbers.max()
            hits += len(set(np.unique(numbers[flagged])) - {0})
        if lone <= len(samples) and ((scores >= threshold) & ~truth).sum() <= 0.01 * (~truth).sum():
            best = max(best, hits / lesions)
    assert rows["element", "voxel", "sensitivity"].value == pytest.approx(best, abs=1e-9)
    assert all(rows["element", "voxel", metric].chance is None for metric in SCANNED)


def test_what_a_run_keeps_of_scans_and_slices_makes_their_rows_again(found, tmp_path):
    _, _, _, rows, made = found
    write_run(tmp_path, {"run": "r1"}, [], kept(made[0].lines, made, threshold=0.25), [])
    samples = load_samples([tmp_path])
    levels_again = [each for level in made[:-1] for each in again(level.told, samples, "top3")]
    fresh = {(r.level, r.element, r.metric): r for each in levels_again for r in level_rows(each, COLUMNS)}
    lost = {("element", "voxel", metric) for metric in ("sensitivity", "aupro_lineage")}
    assert set(fresh) == set(rows) - lost | {("sample", "", "f1_source")}
    for key in set(fresh) & set(rows):
        exact = key[0] in ("sample", "view") or key[2] == "dice_fixed"
        assert abs(fresh[key].value - rows[key].value) <= 1e-12 + (
            0 if exact else fresh[key].error + rows[key].error
        ), key
        if exact:
            assert (fresh[key].low, fresh[key].high) == (rows[key].low, rows[key].high), key
    calls, labels = (np.array([line[key] for line in samples]) for key in ("flagged", "label"))
    assert calls.tolist() == [line["logit"] >= 0.25 for line in made[0].lines]
    assert fresh["sample", "", "f1_source"].value == pytest.approx(f1_score(labels, calls))
    (line, *_) = (line for line in units(samples, "view") if line["id"].endswith("#000002"))
    assert line["logit"] == made[1].lines[2]["logit"] and line["group"] == made[1].lines[2]["group"]
