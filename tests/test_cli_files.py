"""Broken files and a stopped command: exit status and one line, and nothing half-written that counts."""

import fake_cli
import fake_process
import numpy as np
import pytest
import torch
from fake_cli import mistake, runs_of
from PIL import Image

from framework.cli import main, one_line
from framework.config import ModelConfig
from framework.errors import UserError
from framework.leaderboard.store import load
from framework.models import trained


@pytest.fixture
def parts(tmp_path):
    return fake_cli.parts(tmp_path)


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk"])
def test_a_damaged_checkpoint_is_named(parts, capsys, content):
    path = parts / "broken.ckpt"
    path.write_bytes(content)
    assert f"{path}: cannot be read as a checkpoint" in mistake(
        capsys, "predict", "--checkpoint", path, parts / "bolt/test/good/000.png"
    )


def without(card, key):
    """The card of a checkpoint less one key, ``a.b`` for b within a."""
    *outer, last = key.split(".")
    for part in outer:
        card = card[int(part)] if isinstance(card, list) else card[part]
    del card[last]


@pytest.fixture
def checkpoint(parts):
    """A checkpoint whose card is whole; its expert is empty."""
    model = ModelConfig()
    model.backbone.name = "embedded"
    card = trained.describe(model, {"name": "embedded"}, [trained.Origin("a", "b/c", "0", [])], {"seed": 0})
    path = parts / "x.ckpt"
    torch.save({"state_dict": {}, trained.KEY: card}, path)
    return path


KEYS = ("schema", "backbone", "backbone.options", "backbone.identity", "expert.name", "crops", "pool", "run")


@pytest.mark.parametrize("key", [*KEYS, "trained_on", "trained_on.0.source", "trained_on.0.digests"])
def test_a_checkpoint_without_a_key_is_of_another_version(parts, capsys, checkpoint, key):
    content = torch.load(checkpoint, weights_only=True)
    without(content[trained.KEY], key)
    torch.save(content, checkpoint)
    told = "its card lists trained_on in another form" if ".0." in key else f"its card has no {key}"
    for arguments in (
        ["predict", "--checkpoint", checkpoint, parts / "bolt/test/good/000.png"],
        ["test", parts / "x.yaml", f"checkpoint={checkpoint}"],
    ):
        line = mistake(capsys, *arguments)
        assert f"{checkpoint}: {told}" in line and "another version of anomaly-ov wrote it" in line
    assert not (parts / "runs").exists()


@pytest.mark.parametrize("weights", [None, [], {"expert.a": 5}])
def test_a_checkpoint_without_tensors_is_refused(parts, capsys, checkpoint, weights):
    content = torch.load(checkpoint, weights_only=True)
    torch.save(content | {"state_dict": weights}, checkpoint)
    line = mistake(capsys, "predict", "--checkpoint", checkpoint, parts / "bolt/test/good/000.png")
    assert f"{checkpoint}: its state_dict holds more than tensors" in line


CHANGED = [
    ({"trained_on.looks": "@@@ "}, "lists trained_on in another form"),
    ({"trained_on.looks": "abcd"}, "lists trained_on in another form"),  # of no whole look
    ({"trained_on.groups": 5}, "lists trained_on in another form"),
    ({"selection": {"words": "best", "threshold": "high"}}, "tells its selection in another form"),
    ({"selection": 5}, "tells its selection in another form"),
]


@pytest.mark.parametrize(("change", "told"), CHANGED)
def test_a_card_that_was_changed_is_refused_before_anything_is_scored(parts, capsys, checkpoint, change, told):
    content = torch.load(checkpoint, weights_only=True)
    for key, value in change.items():
        outer, _, inner = key.partition(".")
        (content[trained.KEY][outer][0] if inner else content[trained.KEY])[inner or outer] = value
    torch.save(content, checkpoint)
    assert f"{checkpoint}: its card {told}" in mistake(capsys, "test", parts / "x.yaml", f"checkpoint={checkpoint}")
    assert not (parts / "runs").exists()


def test_a_checkpoint_that_holds_nan_is_refused(parts, capsys, checkpoint):
    content = torch.load(checkpoint, weights_only=True)
    torch.save(content | {"state_dict": {"expert.a": torch.tensor([0.0, torch.nan])}}, checkpoint)
    line = mistake(capsys, "predict", "--checkpoint", checkpoint, parts / "bolt/test/good/000.png")
    assert f"{checkpoint}: expert.a holds NaN" in line


def break_picture(parts):
    path = parts / "bolt/test/hole/001.png"
    path.write_bytes(path.read_bytes()[:200])
    return path


def test_a_truncated_picture_stops_training_with_its_path(parts, capsys):
    path = break_picture(parts)
    for workers in (0, 1):
        line = mistake(capsys, "fit", parts / "x.yaml", f"workers={workers}")
        assert str(path) in line
    assert not runs_of(parts)[0]


def test_a_truncated_picture_stops_the_store_with_its_path_alone(parts, capsys):
    path = break_picture(parts)
    for workers in (0, 1):
        overrides = ["store.mode=always", f"store.path={parts}/store", f"workers={workers}"]
        assert str(path) in mistake(capsys, "fit", parts / "x.yaml", *overrides)


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


def test_one_bad_file_does_not_stop_a_prediction(parts, capsys, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    assert main(["fit", str(parts / "x.yaml")]) == 0
    (checkpoint,) = (parts / "runs").glob("*/expert.ckpt")
    good, bad = parts / "bolt/test/good/000.png", break_picture(parts)
    capsys.readouterr()
    assert main(["predict", "--checkpoint", str(checkpoint), "--out", str(out), str(bad), str(good)]) == 2
    lines = capsys.readouterr().out.strip().splitlines()
    assert len(lines) == 2 and '"error"' in lines[0] and '"score"' in lines[1]
    assert Image.open(out / "000_map.png").size == (40, 40)
    assert (out / "predictions.jsonl").read_text().strip().splitlines() == lines
    assert main(["predict", "--checkpoint", str(checkpoint), "--out", str(out), str(bad)]) == 2
    assert str(bad) in capsys.readouterr().err


def test_a_checkpoint_of_another_backbone_is_refused(parts, capsys):
    assert main(["fit", str(parts / "x.yaml")]) == 0
    (checkpoint,) = (parts / "runs").glob("*/expert.ckpt")
    capsys.readouterr()
    overrides = [f"checkpoint={checkpoint}", "model.backbone.options={blocks: [0, 1, 2, 3], final: 4}"]
    assert "trained on backbone" in mistake(capsys, "test", parts / "x.yaml", *overrides)


INTERRUPTED = """
import os, signal, sys
from framework.cli import main
from framework.tasks.detect import Detect

def interrupt(self):
    if self.current_epoch == 3:
        os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job, as CI may be, ignores it
Detect.on_train_epoch_start = interrupt
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_ctrl_c_leaves_no_half_run_and_the_same_command_goes_on_to_the_end(parts, capsys):
    """Interrupted in the middle of training: status 130, one line; run again, the expert of an unbroken run."""
    command = ["fit", str(parts / "x.yaml"), "trainer.max_epochs=6"]
    interrupted = fake_process.run(INTERRUPTED, command, seconds=120)
    told = interrupted.stderr
    assert interrupted.returncode == 130, told
    assert told.strip().splitlines()[-1].startswith("anomaly-ov: interrupted")
    assert "Traceback" not in told
    finished, (kept,) = runs_of(parts)
    assert not finished

    assert main(command) == 0
    assert f"going on from {kept / 'last.ckpt'}" in capsys.readouterr().err
    (resumed,), kept = runs_of(parts)
    assert not kept
    assert main([*command, f"out={parts}/unbroken"]) == 0
    (unbroken,) = (parts / "unbroken").glob("[!.]*")
    wanted, found = (trained.read(folder / "expert.ckpt")["state_dict"] for folder in (unbroken, resumed))
    assert wanted.keys() == found.keys() and all(torch.equal(wanted[key], found[key]) for key in wanted)
    numbers = [{(r.level, r.metric, r.model): r.value for r in load([folder])} for folder in (unbroken, resumed)]
    assert numbers[0] == numbers[1] and ("sample", "auroc") in {key[:2] for key in numbers[0]}
