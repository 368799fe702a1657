"""An asker that answers by rule, and pictures of one object on disk; each test has its own."""

import fake_cli
import pytest
import torch
from fake_asked import rule
from fake_asker import FakeAsker
from fake_cli import picture
from safetensors.torch import save_file


@pytest.fixture
def asker(monkeypatch):
    """What every verb asks, and a place where it keeps count."""
    found = FakeAsker(rule)
    monkeypatch.setattr("framework.tasks.language.Asker", lambda *_: found)
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    return found


@pytest.fixture
def root(tmp_path):
    """Pictures of one object, dark ones sound, and a model folder of which nothing but its bytes is read."""
    fake_cli.parts(tmp_path)
    for number, value in enumerate((150, 240)):  # the rule is unsure of the first
        picture(tmp_path / f"bolt/test/hole/00{number}.png", value)
    (tmp_path / "x.yaml").unlink()
    (tmp_path / "model").mkdir()
    save_file({"weight": torch.zeros(1)}, tmp_path / "model/model.safetensors")
    return tmp_path
