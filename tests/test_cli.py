"""Every verb's answer to a user's mistake: exit status 2 and one line on standard error."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from framework.cli import main, one_line
from framework.errors import UserError

ROOT = Path(__file__).parents[1]
EXPERIMENT = """
name: small
model: {{backbone: {{name: embedded}}, crops: base}}
train: {{parts: {{domain: industrial, dataset: mvtec, root: {root}}}}}
test: {{parts: {{domain: industrial, dataset: mvtec, root: {root}}}}}
store: {{mode: never}}
trainer: {{accelerator: cpu, max_epochs: 1, enable_progress_bar: false}}
out: {root}/runs
"""


def picture(path, value=90, size=(40, 40)):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(str(path)))
    Image.fromarray(rng.integers(0, value, (*size, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def parts(tmp_path):
    """Two normal and two defective pictures in MVTec AD layout, and an experiment on them."""
    for i in range(2):
        picture(tmp_path / f"bolt/test/good/{i:03d}.png", 90 + i)
        picture(tmp_path / f"bolt/test/hole/{i:03d}.png", 190 + i)
        mask = tmp_path / f"bolt/ground_truth/hole/{i:03d}_mask.png"
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.pad(np.full((8, 8), 255, np.uint8), 16)).save(mask)
    (tmp_path / "x.yaml").write_text(EXPERIMENT.format(root=tmp_path))
    return tmp_path


def mistake(capsys, *arguments):
    """Run, and return the one line of the mistake."""
    assert main([str(a) for a in arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("anomaly-ov: ")
    assert not any(line.startswith("Traceback") for line in lines)
    return lines[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "VERB"),
        (["fti"], "invalid choice: 'fti'"),
        (["fit"], "experiment"),
        (["fit", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["check", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["test", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["predict", "a.png"], "--checkpoint"),
        (["predict", "--checkpoint", "no.ckpt", "no.png"], "no.png: no such file"),
        (["predict", "--checkpoint", "no.ckpt", "README.md"], "README.md: no domain reads this kind of file"),
        (["predict", "--checkpoint", "no.ckpt", str(ROOT / "tests")], "no such file"),
        (["leaderboard", "nowhere"], "nowhere"),
        (["leaderboard", "--format", "pdf", "x"], "invalid choice: 'pdf'"),
        (["datasets", "check", "industrial/mvtc", "/tmp"], "Did you mean 'industrial/mvtec'?"),
        (["datasets", "check", "industial/mvtec", "/tmp"], "Did you mean 'industrial'?"),
        (["datasets", "check", "industrial/mvtec", "/nowhere"], "/nowhere"),
        (["datasets", "check", "industrial/mvtec", "/tmp", "--option", "x"], "write key=value"),
        (["quickstart", "--out", "/dev/null/x"], "cannot make this folder"),
    ],
)
def test_mistakes_in_arguments(capsys, arguments, message, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert message in mistake(capsys, *arguments)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.parts.domain=industial", "no domain called 'industial'. Did you mean 'industrial'?"),
        ("train.parts.dataset=mvtc", "no dataset called 'industrial/mvtc'. Did you mean 'industrial/mvtec'?"),
        ("train.parts.root=/nowhere", "parts: no folder /nowhere"),
        ("train.parts.split=trian", "parts: no samples of split 'trian'"),
        ("train.parts.categories=[blot]", "no category of parts called 'blot'. Did you mean 'bolt'?"),
        ("train.parts.options={categorys: [bolt]}", "Did you mean 'categories'?"),
        ("train.parts.reader={veiws: 3}", "no option of domain 'industrial' called 'veiws'"),
        ("model.backbone.name=siglp", "no backbone called 'siglp'. Did you mean 'siglip'?"),
        ("model.backbone.options={blokcs: [1]}", "Did you mean 'blocks'?"),
        ("model.expert.name=look_thrice", "Did you mean 'look_twice'?"),
        ("model.expert.weights=/nowhere.pth", "model.expert.weights: no such file /nowhere.pth"),
        ("plugins=[no_such_lab.xray]", "plugins: no module 'no_such_lab'"),
        ("optim.lrr=1", "optim.lrr: no such key. Did you mean optim.lr?"),
    ],
)
def test_mistakes_in_an_experiment(parts, capsys, override, message):
    for verb in ("check", "fit"):
        assert message in mistake(capsys, verb, parts / "x.yaml", override)


def test_training_on_one_class_is_refused(parts, capsys):
    for path in (parts / "bolt/test/hole").iterdir():
        path.unlink()
    assert "all 2 samples are normal; the expert learns from both classes" in mistake(capsys, "fit", parts / "x.yaml")


def test_testing_on_one_class_without_truth_is_refused(parts, capsys):
    for path in (parts / "bolt/test/hole").iterdir():
        path.unlink()
    line = mistake(capsys, "test", parts / "x.yaml", "checkpoint=x.ckpt")
    assert "all 2 samples are normal" in line


def test_an_empty_folder_is_named(parts, capsys, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    line = mistake(capsys, "fit", parts / "x.yaml", f"train.parts.root={empty}")
    assert f"no samples of split 'test' under {empty}" in line


def test_test_needs_a_checkpoint(parts, capsys):
    assert "test needs checkpoint=" in mistake(capsys, "test", parts / "x.yaml")
    assert "no such checkpoint" in mistake(capsys, "test", parts / "x.yaml", "checkpoint=/nowhere.ckpt")


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk"])
def test_a_damaged_checkpoint_is_named(parts, capsys, content):
    path = parts / "broken.ckpt"
    path.write_bytes(content)
    assert f"{path}: cannot be read as a checkpoint" in mistake(
        capsys, "predict", "--checkpoint", path, parts / "bolt/test/good/000.png"
    )


def break_picture(parts):
    path = parts / "bolt/test/hole/001.png"
    path.write_bytes(path.read_bytes()[:200])
    return path


def test_a_truncated_picture_stops_training_with_its_path(parts, capsys):
    path = break_picture(parts)
    for workers in (0, 1):
        line = mistake(capsys, "fit", parts / "x.yaml", f"workers={workers}")
        assert str(path) in line
    assert not [p for p in (parts / "runs").iterdir() if not p.name.startswith(".")]


def test_a_mask_of_another_size_stops_training_with_both_paths(parts, capsys):
    mask = parts / "bolt/ground_truth/hole/000_mask.png"
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(mask)
    assert "000_mask.png" in mistake(capsys, "fit", parts / "x.yaml")


def test_a_missing_mask_is_named(parts, capsys):
    (parts / "bolt/ground_truth/hole/000_mask.png").unlink()
    assert "000_mask.png" in mistake(capsys, "fit", parts / "x.yaml")


def test_a_line_wrapped_by_a_worker_process_is_unwrapped():
    wrapped = "Caught UnreadableError in worker 0.\nOriginal Traceback:\nframework.errors.UnreadableError: /a.png: bad"
    assert one_line(UserError(wrapped)) == "/a.png: bad"


def test_check_shows_what_would_be_done(parts, capsys):
    assert main(["check", str(parts / "x.yaml")]) == 0
    shown = capsys.readouterr().out
    assert "2 normal and 2 anomalous samples in 1 categories, pixel truth" in shown
    assert "AdamW lr 0.0001, 1 epochs of 1 steps" in shown


def test_one_bad_file_does_not_stop_a_prediction(parts, capsys, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    assert main(["fit", str(parts / "x.yaml")]) == 0
    (checkpoint,) = (parts / "runs").glob("*/expert.ckpt")
    good, bad = parts / "bolt/test/good/000.png", break_picture(parts)
    capsys.readouterr()
    assert main(["predict", "--checkpoint", str(checkpoint), "--out", str(out), str(bad), str(good)]) == 1
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 2 and '"error"' in lines[0] and '"score"' in lines[1]
    assert Image.open(out / "000_map.png").size == (40, 40)
    assert (out / "predictions.jsonl").read_text().strip().splitlines() == lines
    line = mistake(capsys, "predict", "--checkpoint", checkpoint, "--out", out, bad)
    assert str(bad) in line


def test_a_checkpoint_of_another_backbone_is_refused(parts, capsys):
    assert main(["fit", str(parts / "x.yaml")]) == 0
    (checkpoint,) = (parts / "runs").glob("*/expert.ckpt")
    capsys.readouterr()
    overrides = [f"checkpoint={checkpoint}", "model.backbone.options={blocks: [0, 1, 2, 3], final: 4}"]
    assert "trained on backbone" in mistake(capsys, "test", parts / "x.yaml", *overrides)


@pytest.mark.slow
def test_ctrl_c_leaves_no_half_run_and_one_line(parts):
    """Interrupted in the middle of training: status 130, and the same command then goes on to the end."""
    command = [sys.executable, "-m", "framework.cli", "fit", str(parts / "x.yaml"), "trainer.max_epochs=300"]
    running = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while not list((parts / "runs").glob(".training-*/last.ckpt")) and time.monotonic() < until:
        time.sleep(0.2)
    os.kill(running.pid, signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert told.strip().splitlines()[-1].startswith("anomaly-ov: interrupted")
    assert "Traceback" not in told
    assert not [p for p in (parts / "runs").iterdir() if not p.name.startswith(".")]
