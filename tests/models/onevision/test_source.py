"""Files of weights that are damaged, half there, or hold something else: the line a user sees."""

import json

import fake_language
import pytest
import torch
from fake_language import TINY, mistake, write
from safetensors.torch import save_file

from framework.errors import UnreadableError

NORM = "model.norm.weight"


@pytest.fixture
def found():
    return fake_language.state(fake_language.names(**TINY))


@pytest.fixture
def root(tmp_path):
    return tmp_path


class Trap:
    def __reduce__(self):
        return (print, ("ran",))


def test_files_that_are_damaged(root, found, capsys):
    write(root / "in", {})
    weights = root / "in" / "model.safetensors"
    weights.write_bytes(b"\0" * 100)
    assert mistake(root, UnreadableError).startswith("in/model.safetensors: cannot be read (")
    save_file(found, weights)
    weights.write_bytes(weights.read_bytes()[:-500])
    assert mistake(root, UnreadableError).startswith("in/model.safetensors: cannot be read (")
    weights.unlink()
    bare = root / "in" / "pytorch_model.bin"
    bare.write_bytes(b"no weights")
    assert mistake(root, UnreadableError).startswith("in/pytorch_model.bin: not a readable file of weights (")
    torch.save({"a": Trap()}, bare)
    assert mistake(root, UnreadableError).startswith("in/pytorch_model.bin: not a readable file of weights (")
    assert "ran" not in capsys.readouterr().out
    for content in ([found], {"a": 1}, {3: torch.ones(1)}, {"state_dict": [1]}):
        torch.save(content, bare)
        assert mistake(root, UnreadableError) == (
            "in/pytorch_model.bin: holds more than a flat dictionary of tensors. Save the state_dict alone."
        )


def test_half_a_download(root, found):
    write(root / "in", {})
    assert mistake(root) == (
        "in: holds no weights (looked for model.safetensors, model.safetensors.index.json, pytorch_model.bin, "
        "pytorch_model.bin.index.json)."
    )
    save_file(found, root / "in" / "a.safetensors")
    index = {"weight_map": {NORM: "a.safetensors", "lm_head.weight": "b.safetensors"}}
    (root / "in" / "model.safetensors.index.json").write_text(json.dumps(index))
    assert mistake(root, UnreadableError) == (
        "in/b.safetensors: missing, though model.safetensors.index.json lists it. Download the checkpoint again."
    )
    save_file({NORM: found[NORM]}, root / "in" / "b.safetensors")
    assert mistake(root) == f"in/b.safetensors: {NORM} is also in in/a.safetensors; keep one of the two."
    (root / "in" / "model.safetensors.index.json").write_text("{}")
    assert mistake(root, UnreadableError) == (
        "in/model.safetensors.index.json: has no weight_map, so the shards are unknown; download the checkpoint again."
    )


def test_nothing_is_there(root):
    assert mistake(root) == "in: no such file or folder. Give a checkpoint's folder, or a file of weights."
