"""Experts that are fitted by one pass, or never, through the verbs: the same rows again, on one process and on two."""

import json

import pytest
import torch
from fake_ranks import by_two

from framework import registry
from framework.cli import main
from framework.leaderboard.rows import NOTHING
from framework.leaderboard.store import load
from framework.models import trained

EXPERIMENT = """
name: rivals
model: {{backbone: {{name: embedded}}, crops: base, expert: {{name: nearest_normal}}}}
train: {{parts: {{domain: industrial, dataset: mvtec, root: {root}/source}}}}
test:
  parts: {{domain: industrial, dataset: mvtec, root: {root}/target}}
store: {{mode: never}}
trainer: {{accelerator: cpu, devices: 1, enable_progress_bar: false}}
out: {root}/runs
test_batch_size: 4
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rivals")
    registry.load_domain("industrial")
    registry.build("procedural", "industrial", folder, seed=3, samples=11)
    (folder / "rivals.yaml").write_text(EXPERIMENT.format(root=folder))
    return folder


def new_run(root, run):
    """The folder that ``run(yaml)`` adds."""
    before = set((root / "runs").glob("[!.]*"))
    assert run(str(root / "rivals.yaml")) == 0
    (folder,) = set((root / "runs").glob("[!.]*")) - before
    return folder


def numbers(folder):
    return {(r.category, r.level, r.metric): (r.value, r.low, r.weights) for r in load([folder])}


def fitted(root, *overrides):
    return new_run(root, lambda path: main(["fit", path, *overrides]))


@pytest.fixture(scope="module")
def nearest(root):
    return fitted(root)


@pytest.fixture(scope="module")
def musc(root):
    return fitted(root, "model.expert.name=musc")


def test_one_pass_makes_a_checkpoint_that_tests_alike(root, nearest):
    row = load([nearest])[0]
    assert row.model == "nearest_normal, base crops, views top3" and row.trained_on == "parts"
    assert not row.transductive and not list((root / "runs").glob(".training-*"))
    checkpoint = f"checkpoint={nearest / 'expert.ckpt'}"
    again = new_run(root, lambda path: main(["test", path, checkpoint, "model.expert.name=look_twice"]))
    assert numbers(again) == numbers(nearest)
    assert load([again])[0].model == row.model  # that of the checkpoint


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", ["nearest", "musc", "linear_probe"])
def test_a_gpu_gives_the_rows_of_the_cpu(root, request, name):
    here = fitted(root, f"model.expert.name={name}") if name == "linear_probe" else request.getfixturevalue(name)
    expert = {"nearest": "nearest_normal"}.get(name, name)
    there = fitted(root, f"model.expert.name={expert}", "trainer.accelerator=gpu")
    assert "cpu" not in load([there])[0].hardware.lower().split()
    for key, (value, *_) in numbers(here).items():
        assert numbers(there)[key][0] == pytest.approx(value, abs=0.02), key


def test_a_checkpoint_of_one_pass_scores_a_file(root, nearest, capsys):
    (picture, *_) = sorted((root / "target").glob("*/test/*/*.png"))
    out = root / "predicted"
    capsys.readouterr()
    assert main(["predict", "--checkpoint", str(nearest / "expert.ckpt"), "--out", str(out), str(picture)]) == 0
    line = json.loads(capsys.readouterr().out)
    assert 0 < line["score"] < 1 and 0 < line["highest"] < 1


def test_the_probe_is_fitted_and_its_options_are_part_of_its_name(root):
    found = fitted(root, "model.expert.name=linear_probe", "model.expert.options.l2=10")
    assert load([found])[0].model == "linear_probe (l2 10), base crops, views top3"
    content = trained.read(found / "expert.ckpt")
    assert content["state_dict"]["expert.weight"].abs().sum(1).min() > 0  # of both layers
    assert load([found])[0].selection.startswith(
        "one pass over the training samples, nothing was selected; maps taught by"
    )
    assert content[trained.KEY]["selection"]["words"] == load([found])[0].selection
    assert content[trained.KEY]["trained_on"][0]["name"] == "parts"


def test_what_never_learns_is_tested_without_train_sets_or_checkpoint(root, musc, capsys):
    rows = load([musc])
    assert {(r.trained_on, r.transductive, r.in_domain) for r in rows if not r.control} == {(NOTHING, True, False)}
    assert not any(r.transductive for r in rows if r.control)
    capsys.readouterr()
    tested = new_run(root, lambda path: main(["test", path, "model.expert.name=musc"]))
    assert numbers(tested) == numbers(musc)
    assert main(["check", str(root / "rivals.yaml"), "model.expert.name=musc"]) == 0
    told = capsys.readouterr().out
    assert "expert      nothing to train" in told and "transductive" in told and "\ntrain" not in told


def test_subsets_are_other_scores_and_part_of_the_name(root, musc):
    found = new_run(root, lambda path: main(["test", path, "model.expert.name=musc", "model.expert.options.subsets=2"]))
    assert load([found])[0].model.startswith("musc (subsets 2), ")
    assert numbers(found).keys() == numbers(musc).keys() and numbers(found) != numbers(musc)


def test_a_transductive_checkpoint_scores_no_single_file(root, musc, capsys):
    (picture, *_) = sorted((root / "target").glob("*/test/*/*.png"))
    assert main(["predict", "--checkpoint", str(musc / "expert.ckpt"), "--out", str(root / "no"), str(picture)]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert "expert 'musc' is transductive" in told and "anomaly-ov test" in told


def test_options_that_cannot_be_are_one_line(root, capsys):
    path = str(root / "rivals.yaml")
    assert main(["test", path, "model.expert.name=musc", "model.expert.options.degrees=[2]"]) == 2
    assert "write a list of whole numbers, each of 1 or more, and odd" in capsys.readouterr().err
    assert main(["check", path, "model.expert.options.features=both"]) == 2
    assert "write one of levels, final, not 'both'" in capsys.readouterr().err
    assert main(["test", path]) == 2
    assert "test needs checkpoint=" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nearest_normal", "musc"])
def test_two_processes_give_the_numbers_of_one(root, request, name):
    one = request.getfixturevalue("nearest" if name == "nearest_normal" else "musc")
    options = ("trainer.devices=2", "trainer.strategy=ddp", f"model.expert.name={name}")
    two = new_run(root, lambda path: by_two(["fit", path, *options]).returncode)
    assert numbers(two) == numbers(one)
