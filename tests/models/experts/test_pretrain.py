from pathlib import Path

import pytest
import torch

from framework.errors import UserError
from framework.models.backbones.embedded.pictures import draw
from framework.models.backbones.embedded.pretrain import auroc
from framework.models.experts import embedded
from framework.models.experts.pretrain import loss, pretrain

HELD_OUT = 10**9 + 7000  # no training has seen the pictures of this step


def test_a_few_steps_write_an_expert_that_can_be_loaded(tmp_path):
    from framework import registry
    from framework.models.checkpoints import load_expert_weights

    losses = pretrain(3, tmp_path / "x.safetensors")
    assert len(losses) == 3 and all(0 < value < 10 for value in losses)
    load_expert_weights(
        tmp_path / "x.safetensors", registry.build("expert", "look_twice", 96, 400, 4, **embedded.SIZES)
    )


def test_unsure_patches_do_not_count():
    logits, edited = torch.tensor([2.0, -2.0]), torch.tensor([[1.0, -1.0], [0.0, 0.0]])
    maps = torch.tensor([[0.9, 0.1], [0.1, 0.2]])
    other = torch.tensor([[0.9, 0.8], [0.1, 0.2]])
    assert loss(logits, maps, edited) == loss(logits, other, edited)


def test_the_shipped_expert_finds_edits_in_held_out_pictures():
    from framework import registry
    from framework.models.checkpoints import load_expert_weights

    backbone = registry.build("backbone", "embedded")
    patches = backbone.grid[0] * backbone.grid[1]
    expert = registry.build("expert", "look_twice", backbone.width, patches, backbone.depth, **embedded.SIZES)
    load_expert_weights(embedded.weights(), expert)
    drawn = draw(0, HELD_OUT, 96, backbone.image_size)
    with torch.no_grad():
        verdict = expert(backbone(torch.from_numpy(drawn.pixels)), [1] * 96)
    edited = torch.from_numpy(drawn.edited)
    sure = edited >= 0
    assert auroc(verdict.maps.flatten(1)[sure], edited[sure]) > 0.85  # 0.885 was measured
    assert auroc(verdict.logits, (edited == 1).any(1).float()) > 0.7  # 0.849 was measured


def test_a_flipped_byte_in_the_shipped_expert_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    raw = bytearray(embedded.WEIGHTS.read_bytes())
    raw[-1] ^= 1
    (tmp_path / "embedded.safetensors").write_bytes(raw)
    monkeypatch.setattr(embedded, "WEIGHTS", tmp_path / "embedded.safetensors")
    with pytest.raises(UserError, match=r"embedded\.safetensors: sha256 is .* check the file out"):
        embedded.weights()
    monkeypatch.setattr(embedded, "WEIGHTS", tmp_path / "none")
    with pytest.raises(UserError, match="cannot be read"):
        embedded.weights()
