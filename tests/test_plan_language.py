"""`anomaly-ov check` of a stage-2 experiment: what it shows, what it finds, and that it loads nothing heavy."""

import json

import numpy as np
import pytest
from PIL import Image
from test_architecture import run_light

from framework.cli import main

EXPERIMENT = """
stage: 2
name: small
model: {{path: {root}/model}}
train: {{talks: {{path: {root}/talks.json, images: {root}}}}}
test: {{parts: {{domain: industrial, dataset: folder, root: {root}/parts}}}}
questions: {{visa: {{kind: visa_dr, path: {root}/test_data.json, images: {root}}}}}
optim: {{batch_size: 2}}
"""


@pytest.fixture
def experiment(tmp_path):
    for name in ("parts/good/a.png", "parts/hole/b.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "model").mkdir()
    turns = [{"from": "human", "value": "<image>\nAny?"}, {"from": "gpt", "value": "No"}]
    entries = [{"image": "parts/good/a.png", "conversations": turns, "metadata": {"anomaly": False}}] * 3
    (tmp_path / "talks.json").write_text(json.dumps(entries))
    (tmp_path / "test_data.json").write_text(json.dumps([{"image": "parts/good/a.png", "anomaly": False}]))
    (tmp_path / "x.yaml").write_text(EXPERIMENT.format(root=tmp_path))
    return tmp_path / "x.yaml"


def test_it_shows_what_would_be_done_and_loads_no_heavy_package(experiment):
    shown, last = run_light("check", experiment)
    assert last == "0"
    assert "train       3 conversations about 1 pictures; of 3 labelled ones 0 are anomalous" in shown
    assert "1 epochs of 2 steps of 2" in shown
    assert "parts: industrial/folder" in shown and "1 normal and 1 anomalous" in shown
    assert "visa: visa_dr in" in shown and "1 questions about 1 samples" in shown


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("model.path=nowhere", "model.path: nothing at nowhere. Make a model folder with `anomaly-ov convert"),
        ("train.talks.path=no.json", "train.talks: no.json"),
        ("test.parts.root=nowhere", "parts: no folder nowhere"),
        ("questions.visa.path=no.json", "questions.visa: no.json: cannot be read (No such file"),
        ("questions.visa.path={talks}", "questions.visa: "),
        ("questions.visa.options={a: 1}", "option"),
        ("questions.visa.kind=visa", "questions.visa.kind: 'visa' is none of visa_dr"),
        ("tune.part=[newline]", "tune.part: no such key. Did you mean tune.parts?"),
        ("stage=3", "stage: this file is of stage 2, not 3"),
    ],
)
def test_mistakes_are_one_line(experiment, override, line, capsys):
    override = override.replace("{talks}", str(experiment.with_name("talks.json")))
    assert main(["check", str(experiment), override]) == 2
    error = capsys.readouterr().err
    assert error.startswith("anomaly-ov: ") and line in error and error.count("\n") == 1
