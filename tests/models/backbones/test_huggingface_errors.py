"""What is said of a transformers checkpoint that is spoiled or of another architecture."""

import json

import pytest
from safetensors.torch import load_file, save_file

from framework.errors import UserError
from framework.registry import build


@pytest.mark.parametrize(
    ("name", "case", "message"),
    [
        ("siglip", "clip", "of model_type 'clip', not siglip or siglip_vision_model; use backbone 'clip'."),
        ("clip", "dinov2", "of model_type 'dinov2', not clip or clip_vision_model; use backbone 'dinov2'."),
        ("llava_onevision", "siglip", "of model_type 'siglip', not llava_onevision; use backbone 'siglip'."),
    ],
)
def test_a_checkpoint_of_another_architecture_is_refused(folders, name, case, message):
    with pytest.raises(UserError) as caught:
        build("backbone", name, weights=str(folders[case][3]))
    assert str(caught.value).endswith(message)


def _without(key, folder):
    save_file(
        {k: v for k, v in load_file(folder / "model.safetensors").items() if key not in k}, folder / "model.safetensors"
    )


def _renamed(folder):
    tensors = {k.replace("vision_tower", "eye"): v for k, v in load_file(folder / "model.safetensors").items()}
    save_file(tensors, folder / "model.safetensors")


def _edited(folder, **changes):
    content = json.loads((folder / "config.json").read_text())
    (content.get("vision_config") or content).update(changes)
    (folder / "config.json").write_text(json.dumps(content))


def _cut(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


SPOILED = [
    ("siglip", lambda f: (f / "config.json").unlink(), "has no config.json; give the folder of a whole checkpoint"),
    ("siglip", lambda f: (f / "model.safetensors").unlink(), "has no weights (looked for model.safetensors"),
    ("siglip", lambda f: (f / "config.json").write_text("{"), "config.json: cannot be read as JSON"),
    ("siglip", lambda f: (f / "config.json").write_text("[]"), "config.json: holds a JSON list, not an object"),
    ("siglip", lambda f: _edited(f, hidden_size="wide"), "config.json: not a valid config"),
    ("siglip", lambda f: _edited(f, intermediate_size=48), "do not fit its config.json"),
    ("siglip", lambda f: _without("vision_model.encoder.layers.3.mlp", f), "lack 4 tensors of the tower"),
    ("siglip", _cut, "cannot be read or do not fit"),
    ("llava_onevision", _cut, "model.safetensors: cannot be read"),
    ("llava_onevision", _renamed, "holds no tensors named vision_tower.*"),
    ("llava_onevision", lambda f: _edited(f, model_type="clip_vision_model"), "its tower is a 'clip_vision_model'"),
]


@pytest.mark.parametrize(("case", "spoil", "message"), SPOILED, ids=[message for _, _, message in SPOILED])
def test_a_spoiled_folder_is_refused_in_one_line(folders, tmp_path, case, spoil, message):
    name, model, _, _ = folders[case]
    model.save_pretrained(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError) as caught:
        build("backbone", name, weights=str(tmp_path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
