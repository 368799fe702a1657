"""Which epoch is kept and where the threshold comes from: from source data alone, and the row says so."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fake import pictures
from sklearn.metrics import f1_score, precision_recall_curve
from torch.testing import assert_close

from framework import registry
from framework.cli import main
from framework.config import Config, ModelConfig
from framework.errors import UserError
from framework.leaderboard.rows import CONTROL
from framework.leaderboard.store import load, load_samples
from framework.models import trained
from framework.tasks.levels import Level, curves_of
from framework.tasks.selection import (
    SourceScores,
    at_threshold,
    best_threshold,
    hold_out,
    needs_maps,
    sample_logits,
    source_auroc,
    words,
)
from framework.types import Batch, Record, Sample, Verdict

EXPERIMENT = """
name: selected
model: {{backbone: {{name: embedded}}, crops: base}}
train: {{parts: {{domain: industrial, dataset: mvtec, root: {root}/source}}}}
test: {{parts: {{domain: industrial, dataset: mvtec, root: {root}/target}}}}
optim: {{lr: 1.0e-2, batch_size: 8}}
select: {{by: source, share: 0.4}}
store: {{mode: always, test: true, path: {root}/store, dtype: float32}}
trainer: {{accelerator: cpu, devices: 1, max_epochs: 3, enable_progress_bar: false}}
out: {root}/runs
"""


def test_the_threshold_is_that_of_the_best_f1_and_ties_stay_together():
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=40).round(1), rng.random(40) < 0.4
    logits[labels] += 1
    found = best_threshold(logits, labels)
    scores = {t: f1_score(labels, logits >= t) for t in logits}
    assert f1_score(labels, logits >= found) == pytest.approx(max(scores.values()))
    precision, recall, _ = precision_recall_curve(labels, logits)
    assert max(scores.values()) == pytest.approx(np.nanmax(2 * precision * recall / (precision + recall + 1e-12)))
    assert best_threshold(np.array([1.0, 1, 0]), np.array([True, False, False])) == 1
    assert source_auroc(np.array([0.0, 1, 2, 3]), np.array([False, True, False, True])) == 0.75


def test_each_sample_counts_once_however_often_it_comes():
    scores = SourceScores()
    batch = Batch(None, None, [1, 1], [1, 1], torch.zeros(2), torch.ones(2), [], [4, 2])
    scores.add(0, batch, torch.tensor([1.0, -1.0]), [True, False])
    scores.add(0, batch, torch.tensor([1.0, -1.0]), [True, False])
    scores.add(1, batch, torch.tensor([5.0, 6.0]), [False, False])
    logits, labels = scores.gather()
    assert logits.tolist() == [-1, 1, 6, 5] and labels.tolist() == [False, True, False, False]
    assert len(scores.gather()[0]) == 0


def test_what_is_held_out_is_not_trained_on_and_both_have_both_classes(tmp_path):
    config, index = Config("x"), pictures(tmp_path, 40)
    assert hold_out(config, [index]) == ([index], [])
    config.select.by = "source"
    (kept,), (held,) = hold_out(config, [index])
    names = [{r.path for r in part.records} for part in (kept, held)]
    assert not names[0] & names[1] and len(names[0] | names[1]) == 40 and len(names[1]) == 8
    assert all(0 not in part.counts for part in (kept, held))
    assert hold_out(config, []) == ([], [])  # of an expert with nothing to train
    config.select.share = 0.001
    with pytest.raises(
        UserError, match=r"select\.share: 0\.001 holds out 0 normal and 0 anomalous samples of pictures"
    ):
        hold_out(config, [index])


def test_a_sample_is_scored_as_a_test_scores_it():
    samples = [Sample(Record(Path(n), False, ""), np.zeros((v, 3, 8, 8), np.uint8)) for n, v in (("a", 2), ("b", 1))]
    maps = torch.tensor([0.1, 0.9, 0.3])[:, None, None].expand(3, 2, 2)
    verdict = Verdict(torch.tensor([1.0, 2.0, 3.0]), maps, torch.zeros(1), torch.zeros(1))
    batch = Batch(None, None, [1] * 3, [2, 1], torch.zeros(3), torch.ones(2), samples, [0, 1])
    assert sample_logits(batch, verdict, ModelConfig(pool="max"), 8).tolist() == [2, 3]
    assert not needs_maps(ModelConfig()) and needs_maps(ModelConfig(pool="half_max_half_mean"))
    model = ModelConfig(crops="base", pool="max", score="max")
    assert needs_maps(model)
    assert_close(sample_logits(batch, verdict, model, 8).sigmoid(), torch.tensor([0.9, 0.3]))


def test_f1_at_a_threshold_is_of_each_category():
    lines = [
        {"category": c, "logit": logit, "label": label, "group": str(i)}
        for i, (c, logit, label) in enumerate(
            [("a", 1.0, True), ("a", -1.0, False), ("b", 2.0, False), ("b", 0.5, True), ("c", 3.0, True)]
        )
    ]
    assert at_threshold(Level("sample", "", curves_of(lines), lines), 0.5).lines[3]["flagged"]  # at it is above it
    found = at_threshold(Level("sample", "", curves_of(lines), lines), 0.75)
    assert {c: curves.f1_source for c, curves in found.curves.items()} == {"a": 1.0, "b": 0.0, "c": None}
    assert [line["flagged"] for line in found.lines] == [True, False, True, False, True]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("selection")
    registry.load_domain("industrial")
    registry.build("procedural", "industrial", folder, seed=3, samples=24)
    (folder / "x.yaml").write_text(EXPERIMENT.format(root=folder))
    return folder


@pytest.fixture(scope="module")
def run(root):
    assert main(["fit", str(root / "x.yaml")]) == 0
    (folder,) = (root / "runs").glob("[!.]*")
    return folder


def test_a_run_says_what_was_selected_on_and_its_threshold_goes_with_the_expert(root, run):
    card = trained.read(run / "expert.ckpt")["anomaly_ov"]
    chosen = card["selection"]
    assert 1 <= chosen["epoch"] <= 3 and chosen["epochs"] == 3 and 0 <= chosen["auroc"] <= 1
    assert json.loads((run / "run.json").read_text())["card"]["selection"] == chosen
    rows = load([run])
    told = "best of 3 epochs by sample AUROC on 40 % of the source's groups, held out; threshold: best F1 there"
    assert {r.selection for r in rows if not r.model.startswith(CONTROL)} == {told} == {chosen["words"]}
    assert not [r for r in rows if r.metric == "f1_source" and r.control]
    samples = load_samples([run])
    for row in (r for r in rows if r.metric == "f1_source" and r.category != "all"):
        own = [s for s in samples if s["category"] == row.category]
        flagged = [s["logit"] >= chosen["threshold"] for s in own]
        assert row.value == pytest.approx(f1_score([s["label"] for s in own], flagged))
        assert row.level == "sample" and row.chance is None
    assert sum(r.metric == "f1_source" for r in rows) > 1


def test_the_whole_source_counts_as_seen(root, run):
    """What was held out chose the epoch, so it was looked at."""
    (origin,) = trained.read(run / "expert.ckpt")["anomaly_ov"]["trained_on"]
    assert len(origin["digests"]) == 24


def test_a_test_of_the_checkpoint_has_the_same_threshold(root, run):
    before = set((root / "runs").glob("[!.]*"))
    assert main(["test", str(root / "x.yaml"), f"checkpoint={run / 'expert.ckpt'}"]) == 0
    (folder,) = set((root / "runs").glob("[!.]*")) - before
    ours, theirs = ({(r.category, r.level, r.metric, r.model): r.value for r in load([f])} for f in (run, folder))
    assert ours == theirs


def test_without_selection_the_row_says_so():
    config = Config("x")
    assert words(config) == "last of 2 epochs, none selected; threshold: best F1 on the training samples"


def test_a_threshold_takes_all_of_a_tie():
    logits, labels = np.array([3.0, 2.0, 2.0, 2.0, 2.0, 1.0]), np.array([1, 1, 0, 0, 0, 0], bool)
    assert best_threshold(logits, labels) == 3.0  # F1 2/3; 2.0 flags five, of which two are right: 4/7, never 1


def test_training_that_diverges_is_one_line(root, capsys):
    assert main(["fit", str(root / "x.yaml"), "optim.lr=1e30", "name=far"]) == 2
    assert "training has diverged" in capsys.readouterr().err.splitlines()[-1]
    assert not list((root / "runs").glob("[!.]*-far-*"))
