"""The embedded backbone: its file, its numbers, its pictures and its training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch.testing import assert_close

from framework.errors import UserError
from framework.models.backbones.embedded import network, pretrain
from framework.models.backbones.embedded.edits import KINDS
from framework.models.backbones.embedded.pictures import PATCH, TARGETS, draw

HELD_OUT = 10**9 + 5000  # no training has seen the pictures of these steps
GOLDEN = [
    [0.7405, -0.1847, -1.7103],
    [-0.5253, -1.0721, -1.2634],
    [0.1347, -0.9925, -1.0788],
    [-0.3882, -0.6925, 0.7817],
]
PROBE = 0.65  # AUROC; the shipped weights reach 0.72


def ramp(size: int = network.IMAGE_SIZE) -> torch.Tensor:
    """A picture that needs no random numbers: ``(1, 3, S, S)`` in [-1, 1]."""
    x = torch.arange(3 * size * size, dtype=torch.float64)
    return torch.sin(x * 0.37).add(torch.cos(x * 1e-3)).div(2).float().reshape(1, 3, size, size)


def test_the_weights_fit_into_three_megabytes():
    assert network.WEIGHTS.stat().st_size <= 3_000_000


def test_a_flipped_byte_in_the_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    raw = bytearray(network.WEIGHTS.read_bytes())
    raw[-1] ^= 1
    broken = tmp_path / "weights.safetensors"
    broken.write_bytes(raw)
    monkeypatch.setattr(network, "WEIGHTS", broken)
    with pytest.raises(
        UserError, match=r"weights\.safetensors: sha256 is [0-9a-f]{12}\.\.\., not .* check the file out"
    ):
        network.load()


def test_missing_weights_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(network, "WEIGHTS", tmp_path / "weights.safetensors")
    with pytest.raises(UserError, match="cannot be read") as error:
        network.load()
    assert "\n" not in str(error.value)


def test_every_block_gives_tokens_on_the_grid_and_nothing_can_be_trained():
    net = network.load()
    outputs = net(ramp())
    assert len(outputs) == net.blocks == 7
    assert net.grid == (20, 20)
    assert {tuple(o.shape) for o in outputs} == {(1, 400, net.width)}
    assert not net.training
    assert not any(p.requires_grad or p.dtype != torch.float32 for p in net.parameters())


def test_tokens_are_row_major():
    net = network.load()
    picture = torch.zeros(1, 3, net.image_size, net.image_size)
    marked = picture.clone()
    marked[:, :, 8:16, 80:88] = 1  # patch row 1, column 10
    change = (net(marked)[0] - net(picture)[0]).norm(dim=-1)[0]
    assert change.argmax() == 1 * net.grid[1] + 10


def test_features_have_the_stored_values():
    """Made by: ``[o[0, 0, :3].tolist() for o in load()(ramp())]`` of the shipped weights."""
    with torch.no_grad():
        outputs = network.load()(ramp())
    found = torch.stack([outputs[block][0, 0, :3] for block in network.LEVELS])
    assert_close(found, torch.tensor(GOLDEN), atol=2e-3, rtol=2e-3)


def test_a_picture_has_the_same_features_alone_and_in_a_batch():
    net, pixels = network.load(), torch.from_numpy(draw(1, HELD_OUT, 3, network.IMAGE_SIZE).pixels).float() / 127.5 - 1
    with torch.no_grad():
        together, alone = net(pixels)[network.FINAL][1], net(pixels[1:2])[network.FINAL][0]
    assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_pictures_follow_from_the_seed_alone():
    first, again, other = draw(3, 7, 4, 64), draw(3, 7, 4, 64), draw(4, 7, 4, 64)
    for name in ("pixels", "edited", "kind", "targets"):
        assert_array_equal(getattr(first, name), getattr(again, name))
    assert (first.pixels != other.pixels).mean() > 0.5


def test_pictures_say_where_they_were_edited():
    drawn = draw(0, HELD_OUT, 240, 64)
    patches = (64 // PATCH) ** 2
    assert drawn.pixels.shape == (240, 3, 64, 64)
    assert drawn.pixels.dtype == np.uint8
    assert drawn.targets.shape == (240, patches, TARGETS)
    assert np.isfinite(drawn.targets).all()
    assert_array_equal(np.unique(drawn.edited), [-1, 0, 1])
    assert_array_equal(drawn.kind >= 0, drawn.edited == 1)
    assert set(np.unique(drawn.kind)) == set(range(-1, len(KINDS)))
    assert 0.4 < (drawn.edited == 1).any(1).mean() < 0.9


def test_twenty_steps_lower_the_loss_and_leave_one_file(tmp_path: Path):
    out = tmp_path / "weights.safetensors"
    history = pretrain.train(out, 20, batch=4, size=64, workers=0, report=20)
    assert np.mean(history[-5:]) < 0.9 * np.mean(history[:5])
    assert list(tmp_path.iterdir()) == [out]


def test_a_killed_training_goes_on_to_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole, halted = tmp_path / "whole.safetensors", tmp_path / "halted.safetensors"
    pretrain.train(whole, 4, batch=2, size=64, workers=0)
    monkeypatch.setattr(pretrain, "SAVE_EVERY", 2)
    monkeypatch.setattr(pretrain, "standardise", kill)
    with pytest.raises(KeyboardInterrupt):
        pretrain.train(halted, 4, batch=2, size=64, workers=0)
    monkeypatch.undo()
    assert not halted.exists()
    pretrain.train(halted, 4, batch=2, size=64, workers=0)
    assert halted.read_bytes() == whole.read_bytes()


def kill(*_: object) -> None:
    """Stands for Ctrl-C."""
    raise KeyboardInterrupt


def test_the_rest_of_another_training_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pretrain, "SAVE_EVERY", 1)
    monkeypatch.setattr(pretrain, "standardise", kill)
    with pytest.raises(KeyboardInterrupt):
        pretrain.train(tmp_path / "w", 1, batch=2, size=64, workers=0)
    with pytest.raises(UserError, match=r"w\.resume: is of a run with --steps 1 --seed 0"):
        pretrain.train(tmp_path / "w", 2, batch=2, size=64, workers=0)


def test_auroc_counts_ordered_pairs():
    scores, labels = torch.tensor([0.1, 0.4, 0.35, 0.8]), torch.tensor([0.0, 0.0, 1.0, 1.0])
    assert pretrain.auroc(scores, labels) == 0.75


def test_a_linear_probe_on_the_shipped_features_finds_the_edits():
    """Least squares on the final tokens of 32 pictures, judged on 32 others."""
    net = network.load()
    sides = []
    for step in (HELD_OUT, HELD_OUT + 1):
        drawn = draw(0, step, 32, net.image_size)
        with torch.no_grad():
            tokens = net(torch.from_numpy(drawn.pixels).float() / 127.5 - 1)[network.FINAL].flatten(0, 1)
        edited = torch.from_numpy(drawn.edited).flatten()
        tokens = torch.cat([tokens, torch.ones(len(tokens), 1)], dim=1)[edited >= 0]
        sides.append((tokens, edited[edited >= 0]))
    (x, y), (x_new, y_new) = sides
    probe = torch.linalg.solve(x.T @ x + 10 * torch.eye(x.shape[1]), x.T @ y)
    assert pretrain.auroc(x_new @ probe, y_new) > PROBE
