"""Backbones of transformers against the library itself, on small models saved into folders."""

import json
import re

import pytest
import torch
from fake_towers import MODELS, fill, llava, normalised, picture, siglip
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from framework.registry import build

BLOCKS, FINAL = [0, 2, 3], 4


@pytest.mark.parametrize("case", MODELS)
@torch.no_grad()
def test_features_equal_the_hidden_states_of_the_library(folders, case):
    name, _, tower, folder = folders[case]
    backbone, pixels = build("backbone", name, weights=str(folder), blocks=BLOCKS, final=FINAL), picture()
    found = backbone(pixels)
    states = tower(normalised(pixels, backbone.mean, backbone.std), output_hidden_states=True).hidden_states
    assert len(states) == 7
    assert_close(found.levels, [states[block + 1][:, -16:] for block in BLOCKS])
    assert_close(found.final, states[FINAL + 1][:, -16:])
    assert (backbone.width, backbone.depth, backbone.grid, found.grid) == (32, 3, (4, 4), (4, 4))


@pytest.mark.parametrize("case", MODELS)
def test_only_the_blocks_in_use_are_loaded(folders, case):
    name, _, tower, folder = folders[case]
    backbone = build("backbone", name, weights=str(folder), blocks=BLOCKS, final=FINAL)
    names = {key for key, _ in backbone.tower.named_parameters()}
    unused = re.compile(r"encoder\.layers?\.5\.|head\.|(post_)?layernorm\.")
    assert names == {key for key, _ in tower.named_parameters() if not unused.match(key)}
    assert len(names) < len(list(tower.named_parameters()))


@pytest.mark.parametrize("case", ["siglip", "clip", "dinov2", "dinov2 with registers"])
@torch.no_grad()
def test_another_image_size_interpolates_positions_as_the_library_does(folders, case):
    name, _, tower, folder = folders[case]
    backbone = build("backbone", name, weights=str(folder), blocks=BLOCKS, final=FINAL, image_size=84)
    pixels = picture(84)
    options = {} if name == "dinov2" else {"interpolate_pos_encoding": True}
    states = tower(normalised(pixels, backbone.mean, backbone.std), output_hidden_states=True, **options).hidden_states
    assert backbone.grid == (6, 6)
    assert_close(backbone(pixels).final, states[FINAL + 1][:, -36:])


@torch.no_grad()
def test_siglip_levels_are_raw_outputs_of_a_loop_over_its_layers(folders):
    name, _, tower, folder = folders["siglip tower"]
    backbone, pixels = build("backbone", name, weights=str(folder), blocks=[0, 1, 2, 3, 4], final=5), picture()
    found = backbone(pixels)
    tokens = tower.embeddings(normalised(pixels, backbone.mean, backbone.std))
    for block, layer in enumerate(tower.encoder.layers):
        tokens = layer(tokens, None)
        assert_close([*found.levels, found.final][block], tokens)
    assert (found.final - tower.post_layernorm(tokens)).abs().max() > 1  # no norm was applied


@pytest.mark.parametrize(("case", "layers"), [("siglip", 27), ("llava_onevision", 26)])
@torch.no_grad()
def test_the_defaults_at_the_published_depth_are_hidden_states_7_13_19_25_and_26(tmp_path, case, layers):
    model = fill(siglip(layers) if case == "siglip" else llava(layers))
    model.save_pretrained(tmp_path)
    backbone, pixels = build("backbone", case, weights=str(tmp_path)), picture(n=1)
    tower = model if case == "siglip" else model.model.vision_tower
    output = tower(normalised(pixels, backbone.mean, backbone.std), output_hidden_states=True)
    found = backbone(pixels)
    assert_close(found.levels, [output.hidden_states[i] for i in (7, 13, 19, 25)])
    assert_close(found.final, output.hidden_states[26])
    assert (output.hidden_states[26] - output.last_hidden_state).abs().max() > 1  # it is before post_layernorm
    assert (backbone.blocks, backbone.final, backbone.depth) == ([6, 12, 18, 24], 25, 4)


@torch.no_grad()
def test_the_tower_of_a_llava_checkpoint_loads_without_the_shards_of_its_language_model(folders, tmp_path):
    _, model, tower, _ = folders["llava_onevision"]
    model.save_pretrained(tmp_path, max_shard_size="60KB")
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())["weight_map"]
    needed = {file for key, file in index.items() if "vision_tower" in key}
    others = set(index.values()) - needed
    assert others
    for file in others:
        (tmp_path / file).unlink()
    backbone, pixels = build("backbone", "llava_onevision", weights=str(tmp_path)), picture()
    states = tower(normalised(pixels, backbone.mean, backbone.std), output_hidden_states=True).hidden_states
    assert_close(backbone(pixels).final, states[6])


@torch.no_grad()
def test_both_layouts_of_tower_names_are_read(folders, tmp_path):
    _, _, _, folder = folders["llava_onevision"]
    older = {
        key.replace("vision_tower.", "vision_tower.vision_model."): value
        for key, value in load_file(folder / "model.safetensors").items()
    }
    save_file(older, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    built = [build("backbone", "llava_onevision", weights=str(path)) for path in (folder, tmp_path)]
    assert built[0].identity == built[1].identity


def test_a_pickled_half_precision_checkpoint_is_read_and_computes_in_float32(folders, tmp_path):
    _, _, _, folder = folders["clip"]
    halves = {key: value.half() for key, value in load_file(folder / "model.safetensors").items()}
    torch.save(halves, tmp_path / "pytorch_model.bin")
    content = json.loads((folder / "config.json").read_text()) | {"dtype": "float16"}
    (tmp_path / "config.json").write_text(json.dumps(content))
    backbone = build("backbone", "clip", weights=str(tmp_path))
    found = backbone.tower.embeddings.patch_embedding.weight
    assert found.dtype == torch.float32
    assert torch.equal(found, halves["vision_model.embeddings.patch_embedding.weight"].float())


def test_mean_and_std_are_those_of_the_checkpoint_and_else_of_the_family(folders, tmp_path):
    name, model, _, folder = folders["dinov2"]
    assert build("backbone", name, weights=str(folder)).mean == (0.485, 0.456, 0.406)
    model.save_pretrained(tmp_path)
    own = {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": own}))
    assert build("backbone", name, weights=str(tmp_path)).std == (0.4, 0.5, 0.6)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(own | {"image_mean": [0.7, 0.7, 0.7]}))
    assert build("backbone", name, weights=str(tmp_path)).mean == (0.7, 0.7, 0.7)


def test_identity_tells_towers_apart_that_share_weights_but_not_heads(folders, tmp_path):
    name, _, _, folder = folders["siglip tower"]
    content = json.loads((folder / "config.json").read_text()) | {"num_attention_heads": 2}
    (tmp_path / "config.json").write_text(json.dumps(content))
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    built = [build("backbone", name, weights=str(path)).identity for path in (folder, tmp_path)]
    assert built[0]["sha256"] == built[1]["sha256"]
    assert built[0]["architecture"] != built[1]["architecture"]


def test_nothing_is_printed_while_loading(folders, capfd):
    name, _, _, folder = folders["siglip"]
    build("backbone", name, weights=str(folder), final=2)(picture())
    assert capfd.readouterr() == ("", "")
