"""Every kind of source becomes one folder that loads with no tensor missing, left over, changed or random."""

import json

import fake_language
import pytest
import torch
from fake_language import VISION, tensors, whole, write
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from framework.config import ModelConfig
from framework.models import trained
from framework.models.experts.look_twice import LookTwice
from framework.models.onevision import loading
from framework.models.onevision.conversion import convert

OURS = {  # published key -> ours, of one tensor of each part
    f"{VISION}embeddings.position_embedding.weight": "model.vision_tower.embeddings.position_embedding.weight",
    f"{VISION}encoder.layers.5.mlp.fc2.bias": "model.vision_tower.encoder.layers.5.mlp.fc2.bias",
    f"{VISION}post_layernorm.weight": "model.vision_tower.post_layernorm.weight",
    "model.mm_projector.0.weight": "model.multi_modal_projector.linear_1.weight",
    "model.mm_projector.2.bias": "model.multi_modal_projector.linear_2.bias",
    "model.image_newline": "model.image_newline",
    "model.embed_tokens.weight": "model.language_model.embed_tokens.weight",
    "model.layers.0.self_attn.q_proj.bias": "model.language_model.layers.0.self_attn.q_proj.bias",
    "model.norm.weight": "model.language_model.norm.weight",
    "lm_head.weight": "lm_head.weight",
    "anomaly_encoder.positive_embedding": "model.anomaly_expert.positive_embedding",
    "anomaly_encoder.q_former.key_proj.weight": "model.anomaly_expert.q_former.key_proj.weight",
}


def without(found, *beginnings):
    return {key: value for key, value in found.items() if not key.startswith(beginnings)}


def expert_of(found, prefix=""):
    keys = [key for key in found if key.startswith("anomaly_encoder.")]
    return {prefix + key.removeprefix("anomaly_encoder."): found[key] for key in keys}


def check(folder, source):
    """``folder`` loads, and its tensors are those of the published ``source``."""
    state = whole(folder).state_dict()
    for theirs, ours in OURS.items():
        if theirs in source:
            assert torch.equal(state[ours], source[theirs].float()), theirs
    return state


def dropped(report):
    return {move.source: move.why for move in report.moves if not move.target}


def sharded(folder, found, save, suffix):
    """Two files of weights and their index."""
    keys = sorted(found)
    parts = {f"part-{i}{suffix}": keys[i::2] for i in (0, 1)}
    for name, part in parts.items():
        save({key: found[key] for key in part}, folder / name)
    index = {"weight_map": {key: name for name, part in parts.items() for key in part}}
    whole = "model.safetensors" if suffix == ".safetensors" else "pytorch_model.bin"
    (folder / f"{whole}.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize("kind", ["model.safetensors", "shards.safetensors", "pytorch_model.bin", "shards.bin", "file"])
def test_a_published_checkpoint_in_any_format(kind, tmp_path):
    found = tensors()
    source = write(tmp_path / "in", {})
    if kind.startswith("shards"):
        sharded(source, found, torch.save if kind.endswith("bin") else save_file, kind.removeprefix("shards"))
    elif kind == "file":
        save_file(found, source / "any.safetensors")
    else:
        (torch.save if kind.endswith("bin") else save_file)(found, source / kind)
    report = convert(source / "any.safetensors" if kind == "file" else source, tmp_path / "out")
    state = check(tmp_path / "out", found)
    assert len(state) == len(found) == len(report.moves) and not report.notes
    assert report.parameters == sum(value.numel() for value in found.values())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out"]


def test_a_whole_file_counts_before_an_index_that_was_left_beside_it(tmp_path):
    source = write(tmp_path / "in", tensors())
    (source / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {"a": "never-downloaded.bin"}}))
    convert(source, tmp_path / "out")
    check(tmp_path / "out", tensors())


def test_what_the_model_does_not_run_is_left_out_and_said(tmp_path):
    found = tensors(blocks=27)
    extra = {
        f"{VISION}head.probe": (1, 1, 8),
        f"{VISION}head.mlp.fc1.weight": (12, 8),
        f"{VISION}embeddings.position_ids": (1, 729),
        "model.layers.0.self_attn.rotary_emb.inv_freq": (1,),
        "model.faster_token": (8,),
    }
    source = write(tmp_path / "in", found | fake_language.state(extra))
    why = dropped(convert(source, tmp_path / "out"))
    last = {key for key in found if f"{VISION}encoder.layers.26." in key}
    assert len(last) == 16 and why.keys() == {*last, *extra}
    assert why[f"{VISION}encoder.layers.26.mlp.fc1.bias"].startswith("last block of the tower")
    assert why[f"{VISION}head.probe"].startswith("pooling head of the tower")
    assert why["model.faster_token"] == "of video, which the model does not read"
    config = whole(tmp_path / "out").config
    assert config.vision_config.num_hidden_layers == 26 and config.level_layers == [7, 13, 19, 25]
    written = json.loads((tmp_path / "out" / "conversion.json").read_text())["tensors"]
    assert {t["source"] for t in written} == found.keys() | extra.keys()
    assert {t["source"]: t["why"] for t in written if not t["target"]} == why


@pytest.mark.parametrize(
    ("said", "head", "tied"),
    [(None, True, False), (False, True, False), (None, False, True), (True, False, True), (True, True, True)],
)
def test_the_head_is_its_own_or_the_embedding(said, head, tied, tmp_path):
    found = tensors() if head else without(tensors(), "lm_head")
    source = write(tmp_path / "in", found, **({} if said is None else {"tie_word_embeddings": said}))
    why = dropped(convert(source, tmp_path / "out"))
    model = whole(tmp_path / "out")
    assert model.config.tie_word_embeddings == model.config.text_config.tie_word_embeddings == tied
    wanted = "model.embed_tokens.weight" if tied else "lm_head.weight"
    assert torch.equal(model.lm_head.weight, found[wanted])
    assert (model.lm_head.weight is model.get_input_embeddings().weight) == tied
    assert why == ({"lm_head.weight": "tied to the embedding"} if head and tied else {})


def test_vocabulary_rows_come_from_the_file_and_sizes_from_config(tmp_path):
    found = tensors(words=512)
    source = write(tmp_path / "in", found, vocab_size=99, rope_theta=12345.0, rms_norm_eps=1e-3, hidden_size=77)
    convert(source, tmp_path / "out")
    text = whole(tmp_path / "out").config.text_config
    assert (text.vocab_size, text.hidden_size, text.num_key_value_heads, text.rms_norm_eps) == (512, 8, 2, 1e-3)
    assert text.rope_parameters["rope_theta"] == 12345.0


def test_the_tokenizer_gives_the_ids(tmp_path):
    convert(write(tmp_path / "in", tensors()), tmp_path / "out")
    model, chat = loading.load(tmp_path / "out")
    assert model.config.image_token_index == chat.tokenizer.convert_tokens_to_ids("<image>")
    texts = [chat.tokenizer.decode(ids) for ids in model.config.prefix_token_ids]
    assert texts == [f"with {word} suspicious features: " for word in ("slightly", "moderately", "highly")]


def test_the_dtype_of_the_file_is_kept_and_the_expert_is_float32(tmp_path):
    found = {key: value.bfloat16() for key, value in tensors().items()}
    convert(write(tmp_path / "in", found), tmp_path / "out")
    (file,) = (tmp_path / "out").glob("*.safetensors")
    kinds = {key: value.dtype for key, value in load_file(file).items()}
    for key, dtype in kinds.items():
        assert dtype == (torch.float32 if key.startswith("model.anomaly_expert.") else torch.bfloat16), key
    model, _ = loading.load(tmp_path / "out")
    assert {key: value.dtype for key, value in model.state_dict().items()} == kinds


@pytest.mark.parametrize("prefix", ["", "module.", "module.anomaly_encoder."])
def test_a_bare_expert_goes_into_its_base(prefix, tmp_path):
    found = tensors()
    base = write(tmp_path / "base", without(found, "anomaly_encoder."))
    assert len(expert_of(found)) == 32
    torch.save(expert_of(found, prefix), tmp_path / "pretrained_expert_05b.pth")
    report = convert(tmp_path / "pretrained_expert_05b.pth", tmp_path / "out", base=base)
    check(tmp_path / "out", found)
    assert {move.source for move in report.moves} == {*expert_of(found, prefix), *without(found, "anomaly_encoder.")}


def test_an_expert_of_a_run_replaces_the_one_that_is_there(tmp_path):
    found, other = tensors(), LookTwice(8, 729, 4, embedding=4, descriptor=4, attention=4, hidden=4)
    trained.save(tmp_path / "expert.ckpt", other, trained.describe(ModelConfig(), {}, [], {}))
    why = dropped(convert(write(tmp_path / "in", found), tmp_path / "out", expert=tmp_path / "expert.ckpt"))
    assert why == {f"anomaly_encoder.{key}": f"replaced by {tmp_path / 'expert.ckpt'}" for key in expert_of(found)}
    assert_close(whole(tmp_path / "out").model.anomaly_expert.state_dict(), other.state_dict(), rtol=0, atol=0)


def test_many_tensors_go_into_several_files(tmp_path, monkeypatch):
    monkeypatch.setattr("framework.models.onevision.conversion.SHARD", 20_000)
    convert(write(tmp_path / "in", tensors()), tmp_path / "out")
    files = sorted((tmp_path / "out").glob("*.safetensors"))
    assert len(files) > 3
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == {file.name for file in files}
    assert index["metadata"]["total_size"] == sum(v.nbytes for f in files for v in load_file(f).values())
    check(tmp_path / "out", tensors())
