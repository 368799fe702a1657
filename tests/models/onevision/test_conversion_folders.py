"""Folders of transformers, llava-hf's and our own, become one folder of ours that loads whole."""

import json
import shutil

import fake_language
import fake_towers
import pytest
import torch
import transformers
from fake_language import tensors, whole, write
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from framework.models.experts.look_twice import LookTwice
from framework.models.onevision import encoding, loading, small, tower
from framework.models.onevision.conversion import convert
from framework.models.onevision.modeling import AnomalyOV

LEGACY = [  # beginnings of keys in memory, and on the hub
    ("model.language_model.", "language_model.model."),
    ("model.vision_tower.", "vision_tower.vision_model."),
    ("lm_head.", "language_model.lm_head."),
    ("model.", ""),
]


@pytest.mark.parametrize("layout", ["saved", "memory", "hub"])
def test_a_llava_hf_folder_and_an_expert(layout, tmp_path):
    theirs = fake_towers.fill(fake_towers.llava())
    theirs.config.text_config.tie_word_embeddings = theirs.config.tie_word_embeddings
    theirs.save_pretrained(tmp_path / "in")
    state = {key: value.clone() for key, value in theirs.state_dict().items()}
    if layout != "saved":
        rules = LEGACY if layout == "hub" else [("", "")]
        renamed = {next(b + k.removeprefix(a) for a, b in rules if k.startswith(a)): v for k, v in state.items()}
        save_file(renamed, tmp_path / "in" / "model.safetensors")
    expert = LookTwice(32, 16, 4, embedding=4, descriptor=5, attention=6, hidden=7)
    torch.save(expert.state_dict(), tmp_path / "expert.pth")
    config = tmp_path / "in" / "config.json"
    known = json.loads(config.read_text())
    known["image_grid_pinpoints"] = [[56 * i, 56 * j] for i in range(1, 7) for j in range(1, 7)]
    known["text_config"]["vocab_size"] = 512
    config.write_text(json.dumps(known))
    words = small.tokenizer(["a"])
    words.save_pretrained(tmp_path / "words")
    rows = {"model.language_model.embed_tokens.weight", "lm_head.weight"}
    _widen(tmp_path / "in" / "model.safetensors", 512)
    convert(tmp_path / "in", tmp_path / "out", expert=tmp_path / "expert.pth", tokenizer=tmp_path / "words")
    found = whole(tmp_path / "out").state_dict()
    assert found.keys() == {*state, *(f"model.anomaly_expert.{key}" for key in expert.state_dict())}
    for key, value in state.items():
        assert torch.equal(found[key][:100] if key in rows else found[key], value), key
    assert torch.equal(found["model.anomaly_expert.pooling_layer.0.weight"], expert.pooling_layer[0].weight)


def _widen(file, rows):
    """Give the vocabulary of 100 rows more of them, as a hub's checkpoint has more rows than tokens."""
    found = load_file(file)
    for key, value in found.items():
        if key.endswith(("embed_tokens.weight", "lm_head.weight")):
            found[key] = torch.cat([value, torch.zeros(rows - len(value), value.shape[1])])
    save_file(found, file)


def test_our_own_folder_gets_another_expert(tmp_path):
    small.build(tmp_path / "in", fake_language.TEXTS)
    before = whole(tmp_path / "in")
    other = {key: value + 1 for key, value in before.model.anomaly_expert.state_dict().items()}
    torch.save(other, tmp_path / "other.pth")
    convert(tmp_path / "in", tmp_path / "out", expert=tmp_path / "other.pth")
    assert encoding._tower is tower  # else only who imports the loading knows the small model's tower
    after, chat = loading.load(tmp_path / "out")
    wanted = before.state_dict() | {f"model.anomaly_expert.{key}": value for key, value in other.items()}
    assert_close(after.state_dict(), wanted, rtol=0, atol=0)
    same = ("level_layers", "prefix_token_ids", "image_token_index", "image_grid_pinpoints", "expert")
    assert all(getattr(after.config, name) == getattr(before.config, name) for name in same)
    assert len(chat.tokenizer) == len(small.tokenizer(fake_language.TEXTS))


def test_what_is_converted_loads_by_the_auto_class_and_goes_round(tmp_path):
    convert(write(tmp_path / "in", tensors()), tmp_path / "out")
    model = transformers.AutoModelForImageTextToText.from_pretrained(tmp_path / "out")
    assert type(model) is AnomalyOV
    model.save_pretrained(tmp_path / "again")
    again = whole(tmp_path / "again")
    assert_close(again.state_dict(), model.state_dict(), rtol=0, atol=0)
    ours, theirs = again.config.to_dict(), model.config.to_dict()
    assert {**ours, "_name_or_path": ""} == {**theirs, "_name_or_path": ""}
    shutil.copytree(tmp_path / "again", tmp_path / "in2")
    for file in (tmp_path / "out").glob("tokenizer*"):
        shutil.copy(file, tmp_path / "in2")
    convert(tmp_path / "in2", tmp_path / "third")
    assert_close(whole(tmp_path / "third").state_dict(), model.state_dict(), rtol=0, atol=0)
