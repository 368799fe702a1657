"""A whole experiment in small: from pictures on disk through Lightning to rows, on one process and on two."""

import json
import os
import shutil
from dataclasses import asdict

import fake_process
import numpy as np
import pytest
import torch
from fake_ranks import by_two

from framework import config as configs
from framework.cli import main
from framework.leaderboard.store import load, load_samples
from framework.locks import held
from framework.models import trained

EXPERIMENT = """
name: small
model: {{backbone: {{name: embedded}}, crops: base}}
train: {{parts: {{domain: industrial, dataset: mvtec, root: {root}/source}}}}
test: {{parts: {{domain: industrial, dataset: mvtec, root: {root}/target}}}}
optim: {{lr: 1.0e-3, batch_size: 5}}
store: {{mode: {store}, path: {root}/store, dtype: float32}}
trainer: {{accelerator: cpu, devices: 1, max_epochs: 2, enable_progress_bar: false}}
out: {root}/runs
test_batch_size: 3
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    from framework import registry

    folder = tmp_path_factory.mktemp("experiment")
    registry.load_domain("industrial")
    registry.build("procedural", "industrial", folder, seed=3, samples=15)
    for mode in ("always", "never"):
        (folder / f"{mode}.yaml").write_text(EXPERIMENT.format(root=folder, store=mode))
    return folder


def fit(root, *overrides, mode="always"):
    before = set((root / "runs").glob("[!.]*"))
    assert main(["fit", str(root / f"{mode}.yaml"), *overrides]) == 0
    (folder,) = set((root / "runs").glob("[!.]*")) - before
    return folder


def numbers(folder):
    return {(r.category, r.level, r.metric): r for r in load([folder]) if not r.control}


@pytest.fixture(scope="module")
def run(root):
    return fit(root)


def test_a_run_has_rows_samples_pictures_and_the_expert(run):
    rows = numbers(run)
    assert {(level, metric) for _, level, metric in rows} == {
        *(("sample", m) for m in ("auroc", "ap", "f1_max", "f1_source")),
        *(("element", m) for m in ("auroc", "ap", "f1_max", "aupro", "aupro_05", "aupro_lineage")),
    }
    row = rows["all", "sample", "auroc"]
    assert (row.trained_on, row.tested_on, row.domain, row.dataset) == ("parts", "parts", "industrial", "mvtec")
    assert row.normal + row.anomalous == 15 and not row.in_domain and row.overlap == 0
    assert row.low <= row.value <= row.high
    assert len(load_samples([run])) == 15
    record = json.loads((run / "run.json").read_text())
    assert record["settings"]["name"] == "small" and record["command"][0] == "fit" and len(record["command"]) == 2


def test_sample_auroc_equals_scikit_learn_on_the_saved_samples(run):
    from sklearn.metrics import roc_auc_score

    samples = load_samples([run])
    by_category = []
    for category in sorted({s["category"] for s in samples}):
        part = [s for s in samples if s["category"] == category]
        if len({s["label"] for s in part}) == 2:
            by_category.append(roc_auc_score([s["label"] for s in part], [s["logit"] for s in part]))
    row = numbers(run)["all", "sample", "auroc"]
    assert abs(np.mean(by_category) - row.value) <= row.error + 1e-9


def test_features_read_back_and_recomputed_train_the_same_expert(root, run):
    other = fit(root, mode="never")
    for key, row in numbers(run).items():
        assert numbers(other)[key].value == pytest.approx(row.value, abs=2e-3), key


def test_the_same_seed_gives_the_same_numbers(root, run):
    again = fit(root)
    for key, row in numbers(run).items():
        assert numbers(again)[key].value == row.value, key


def test_testing_the_checkpoint_gives_the_rows_of_the_fit(root, run):
    before = set((root / "runs").glob("[!.]*"))
    assert main(["test", str(root / "always.yaml"), f"checkpoint={run / 'expert.ckpt'}"]) == 0
    (folder,) = set((root / "runs").glob("[!.]*")) - before
    assert {k: r.value for k, r in numbers(folder).items()} == {k: r.value for k, r in numbers(run).items()}
    assert {r.trained_on for r in load([folder]) if not r.control} == {"parts"}


def test_testing_on_what_was_trained_on_is_marked(root, run):
    before = set((root / "runs").glob("[!.]*"))
    overrides = [f"checkpoint={run / 'expert.ckpt'}", f"test.parts.root={root}/source"]
    assert main(["test", str(root / "always.yaml"), *overrides]) == 0
    (folder,) = set((root / "runs").glob("[!.]*")) - before
    rows = [r for r in load([folder]) if not r.control]
    assert all(r.in_domain for r in rows)
    assert {r.overlap for r in rows if r.category == "all" and r.metric == "auroc" and r.level == "element"} == {15}
    assert all(r.overlap == r.normal + r.anomalous for r in rows if r.level == "sample")


def test_only_the_category_that_was_trained_on_is_marked(root):
    folder = fit(root, "train.parts.categories=[woven]", f"test.parts.root={root}/source")
    rows = [r for r in load([folder]) if not r.control]
    assert {r.category for r in rows} == {"all", "pooled", "brushed", "printed", "woven"}
    for row in rows:
        assert row.in_domain == (row.category in ("all", "pooled", "woven")), row.category
        assert row.overlap == (5 if row.in_domain else 0)


@pytest.mark.slow
def test_two_processes_give_the_numbers_of_one(root, run):
    """15 samples on two ranks, batches of 5: neither divides by two, so a padded sample would be counted twice."""
    overrides = ["trainer.devices=2", "trainer.strategy=ddp", f"store.path={root}/two-ranks"]
    before = set((root / "runs").glob("[!.]*"))
    done = by_two(["fit", str(root / "always.yaml"), *overrides])
    assert done.returncode == 0, done.stderr
    (folder,) = set((root / "runs").glob("[!.]*")) - before
    one, two = trained.read(run / "expert.ckpt"), trained.read(folder / "expert.ckpt")
    for key, tensor in one["state_dict"].items():
        # Adam divides a gradient by its own size, so rounding shows where a gradient is all but zero: a fifth of a step
        torch.testing.assert_close(two["state_dict"][key], tensor, rtol=1e-4, atol=2e-4)
    one_rank_only = ("run", "date", "config", "weights", "hardware", "dirty", "commit")
    close = {"value": 1e-3, "error": 5e-3, "low": 5e-3, "high": 5e-3}
    ours, theirs = numbers(run), numbers(folder)
    assert ours.keys() == theirs.keys()
    for key, row in ours.items():
        for name, value in asdict(row).items():
            if name not in one_rank_only:
                other = getattr(theirs[key], name)
                assert other == (pytest.approx(value, abs=close[name]) if name in close else value), (key, name)
    samples = [{s["id"]: s["logit"] for s in load_samples([f])} for f in (run, folder)]
    assert samples[0].keys() == samples[1].keys()
    assert max(abs(samples[0][k] - samples[1][k]) for k in samples[0]) < 1e-3


LAUNCHES = """
import __main__, importlib.util, sys
from framework.cli import main
__main__.__spec__ = importlib.util.find_spec("framework.cli")  # Lightning starts the second as this says: python -m
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_two_processes_test_one_checkpoint_to_the_last_digit(root, run):
    before = set((root / "runs").glob("[!.]*"))
    overrides = [f"checkpoint={run / 'expert.ckpt'}", "trainer.devices=2", "trainer.strategy=ddp", "test_batch_size=1"]
    assert main(["test", str(root / "never.yaml"), overrides[0], "test_batch_size=1"]) == 0
    middle = set((root / "runs").glob("[!.]*"))
    done = fake_process.run(LAUNCHES, ["test", str(root / "never.yaml"), *overrides])
    assert done.returncode == 0, done.stderr
    (first,), (second,) = middle - before, set((root / "runs").glob("[!.]*")) - middle
    differ = ("run", "date", "config", "hardware", "dirty", "commit")
    for key, row in numbers(first).items():
        other = asdict(numbers(second)[key])
        assert {k: v for k, v in other.items() if k not in differ} == {
            k: v for k, v in asdict(row).items() if k not in differ
        }, key


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_rows_of_the_cpu(root, run):
    def made(*arguments):
        before = set((root / "runs").glob("[!.]*"))
        assert main([*arguments, "trainer.accelerator=gpu"]) == 0
        (folder,) = set((root / "runs").glob("[!.]*")) - before
        return folder

    never = str(root / "never.yaml")
    tested = made("test", never, f"checkpoint={run / 'expert.ckpt'}")
    trained_there = [made("fit", str(root / "always.yaml"), f"store.path={root}/gpu"), made("fit", never)]
    for folder, allowed in [(tested, 1e-3), *((t, 0.02) for t in trained_there)]:
        assert "cpu" not in load([folder])[0].hardware.lower().split()
        for key, row in numbers(run).items():
            assert numbers(folder)[key].value == pytest.approx(row.value, abs=allowed), key


def test_an_interrupted_fit_goes_on_where_it_stopped(root, run, monkeypatch):
    """Killed after the first of two epochs, then run again: the numbers of an unbroken run."""
    from framework.tasks.detect import Detect

    step = Detect.training_step
    seen = []

    def killed(self, batch, i):
        seen.append(self.current_epoch)
        if self.current_epoch == 1:
            raise RuntimeError("power cut")
        return step(self, batch, i)

    path = root / "interrupted.yaml"
    path.write_text((root / "always.yaml").read_text().replace("name: small", "name: cut"))
    monkeypatch.setattr(Detect, "training_step", killed)
    with pytest.raises(RuntimeError, match="power cut"):
        main(["fit", str(path)])
    monkeypatch.undo()
    before = set((root / "runs").glob("[!.]*"))
    assert main(["fit", str(path)]) == 0
    (folder,) = set((root / "runs").glob("[!.]*")) - before
    assert {k: r.value for k, r in numbers(folder).items()} == {k: r.value for k, r in numbers(run).items()}
    assert not list((root / "runs").glob(".training-cut-*"))


def test_an_experiment_that_runs_already_is_not_run_at_once(root, run, capsys):
    config = configs.load(root / "always.yaml", [])
    before = set((root / "runs").iterdir())
    with held(root / "runs" / f".training-small-{configs.digest(config)[:12]}", "small"):
        assert main(["fit", str(root / "always.yaml")]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith(f"anomaly-ov: small: this experiment runs already, in process {os.getpid()} on ")
    shutil.rmtree(root / "runs" / f".training-small-{configs.digest(config)[:12]}")
    assert set((root / "runs").iterdir()) == before


def test_expectations_are_checked(root):
    path = root / "expecting.yaml"
    content = (root / "always.yaml").read_text().replace("name: small", "name: expecting")
    path.write_text(content + "expect: {parts.sample_auroc: [2, 3]}\n")
    assert main(["fit", str(path)]) == 1
    with_typo = configs.load(path, ["expect={parts.sample_auroc: [0, 1]}"])
    assert with_typo.expect == {"parts.sample_auroc": [0, 1]}
