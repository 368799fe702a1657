"""Backbones of open_clip against the library itself, on small models saved into folders."""

import json

import open_clip
import pytest
import torch
from fake_towers import fill, normalised, picture
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from framework.errors import UserError
from framework.models.backbones import open_clip_tap
from framework.registry import build

TEXT = {"context_length": 8, "vocab_size": 40, "width": 16, "heads": 2, "layers": 1}
NATIVE = {"image_size": 64, "layers": 6, "width": 32, "head_width": 16, "patch_size": 16}
TRUNK = {"timm_model_name": "vit_tiny_patch16_224", "timm_pool": "token", "timm_proj": "linear", "image_size": 224}
RESNET = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 16, "patch_size": None}
STATISTICS = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
BLOCKS, FINAL = [0, 2, 3], 4


def config(vision, **changes):
    model = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": TEXT, **changes}
    return {"model_cfg": model, "preprocess_cfg": STATISTICS}


def save(folder, vision, **changes):
    content = config(vision, **changes)
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    model = fill(open_clip.create_model(f"local-dir:{folder}", load_weights=False))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return model.visual


def theirs(visual, pixels, wanted):
    options = {"normalize_intermediates": False, "intermediates_only": True, "output_fmt": "NLC"}
    return visual.forward_intermediates(
        normalised(pixels, STATISTICS["mean"], STATISTICS["std"]), indices=wanted, **options
    )["image_intermediates"]


@torch.no_grad()
def test_features_equal_forward_intermediates_and_a_loop_over_the_blocks(tmp_path):
    visual, wanted = save(tmp_path, NATIVE), [*BLOCKS, FINAL]
    backbone, pixels = build("backbone", "open_clip", weights=str(tmp_path), blocks=BLOCKS, final=FINAL), picture(64)
    found = backbone(pixels)
    assert_close([*found.levels, found.final], theirs(visual, pixels, wanted))
    patches = (
        visual.conv1(normalised(pixels, STATISTICS["mean"], STATISTICS["std"])).flatten(2).transpose(1, 2)
    )  # (2, 16, 32)
    tokens = torch.cat([visual.class_embedding.expand(2, 1, -1), patches], 1) + visual.positional_embedding
    tokens, by_hand = visual.ln_pre(tokens), []
    for block in visual.transformer.resblocks:
        tokens = block(tokens)
        by_hand.append(tokens[:, 1:])
    assert_close([*found.levels, found.final], [by_hand[block] for block in wanted])
    assert (found.final - visual.ln_post(by_hand[FINAL])).abs().max() > 1  # no norm was applied
    assert (backbone.width, backbone.grid, backbone.mean, backbone.std) == (
        32,
        (4, 4),
        (0.1, 0.2, 0.3),
        (0.4, 0.5, 0.6),
    )


@torch.no_grad()
def test_a_tower_that_wraps_timm_is_tapped_like_timm(tmp_path):
    visual = save(tmp_path, TRUNK)
    backbone, pixels = build("backbone", "open_clip", weights=f"local-dir:{tmp_path}"), picture(224)
    found = backbone(pixels)
    assert (backbone.blocks, backbone.final, backbone.grid, backbone.width) == ([2, 5, 7, 10], 11, (14, 14), 192)
    assert_close([*found.levels, found.final], theirs(visual, pixels, [2, 5, 7, 10, 11]))
    assert backbone.identity["architecture"] == "timm vit_tiny_patch16_224, 3 heads"


@pytest.mark.parametrize(("vision", "size"), [(NATIVE, 96), (TRUNK, 96)])
@torch.no_grad()
def test_another_image_size_resamples_positions_as_the_library_does(tmp_path, vision, size):
    save(tmp_path, vision)
    resized = open_clip.create_model(f"local-dir:{tmp_path}", force_image_size=size).visual.eval()
    backbone, pixels = build("backbone", "open_clip", weights=str(tmp_path), image_size=size), picture(size)
    assert (backbone.image_size, backbone.grid) == (size, (6, 6))
    assert_close(backbone(pixels).final, theirs(resized, pixels, [backbone.final])[0])


def test_blocks_norm_and_projection_that_are_not_used_are_gone(tmp_path):
    save(tmp_path, NATIVE)
    tower = build("backbone", "open_clip", weights=str(tmp_path), blocks=BLOCKS, final=FINAL).tower
    assert len(tower.transformer.resblocks) == FINAL + 1
    assert not any(key.startswith(("ln_post.", "proj")) for key, _ in tower.named_parameters())


@torch.no_grad()
def test_quick_gelu_is_part_of_the_identity_and_of_the_features(tmp_path):
    built = []
    for quick in (False, True):
        folder = tmp_path / str(quick)
        folder.mkdir()
        save(folder, NATIVE, quick_gelu=quick)
        built.append(build("backbone", "open_clip", weights=str(folder)))
    plain, quick = built
    assert plain.identity["sha256"] == quick.identity["sha256"]
    assert plain.identity["architecture"].endswith("2 heads, GELU, patch 16")
    assert quick.identity["architecture"].endswith("2 heads, QuickGELU, patch 16")
    assert not torch.allclose(plain(picture(64)).final, quick(picture(64)).final)


def test_quick_gelu_follows_the_tag_of_a_listed_model():
    assert open_clip_tap._source("here", "ViT-B-16", "openai")[1] == {"pretrained": "openai", "force_quick_gelu": True}
    found = open_clip_tap._source("here", "ViT-B-16", "laion2b_s34b_b88k")[1]
    assert found == {"pretrained": "laion2b_s34b_b88k", "force_quick_gelu": False}


def test_nothing_is_printed_while_loading(tmp_path, capfd):
    save(tmp_path, NATIVE)
    capfd.readouterr()
    build("backbone", "open_clip", weights=str(tmp_path))(picture(64))
    assert capfd.readouterr() == ("", "")


def _without(folder, part):
    path = folder / "open_clip_model.safetensors"
    save_file({k: v for k, v in load_file(path).items() if part not in k}, path)


def _rewrite(folder, content):
    (folder / "open_clip_config.json").write_text(json.dumps(content))


SPOILED = [
    (lambda f: (f / "open_clip_config.json").unlink(), "has no open_clip_config.json"),
    (lambda f: (f / "open_clip_model.safetensors").unlink(), "has no weights (looked for open_clip_model.safetensors"),
    (lambda f: (f / "open_clip_config.json").write_text("{"), "cannot be loaded: Could not load valid config"),
    (lambda f: _rewrite(f, config({**NATIVE, "width": 64})), "cannot be loaded: Error(s) in loading state_dict"),
    (lambda f: _rewrite(f, config({**NATIVE, "colour": 1})), "cannot be loaded: "),
    (lambda f: _without(f, "resblocks.3.mlp"), "cannot be loaded: Error(s) in loading state_dict"),
    (lambda f: (f / "open_clip_model.safetensors").write_bytes(b"12345"), "cannot be loaded: "),
]


@pytest.mark.parametrize(("spoil", "message"), SPOILED, ids=[str(i) for i in range(len(SPOILED))])
def test_a_spoiled_folder_is_refused_in_one_line(tmp_path, spoil, message):
    save(tmp_path, NATIVE)
    spoil(tmp_path)
    with pytest.raises(UserError) as caught:
        build("backbone", "open_clip", weights=str(tmp_path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_convolutional_tower_is_refused(tmp_path):
    save(tmp_path, RESNET)
    with pytest.raises(UserError, match=r"its image tower ModifiedResNet is not a vision transformer\.$"):
        build("backbone", "open_clip", weights=str(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "ViT-B-16"}, "(ViT-B-16): tag=None is not one of openai,"),
        ({"weights": "ViT-B-16", "tag": "nonsense"}, "(ViT-B-16): tag='nonsense' is not one of openai,"),
        ({"weights": "ViT-nonsense"}, "neither a folder nor a model that open_clip lists; a hub name is owner/name."),
        ({"weights": "owner/name", "tag": "openai"}, "goes with a model that open_clip lists, not with a hub name"),
    ],
)
def test_a_name_or_tag_that_open_clip_does_not_list_is_refused(options, message):
    with pytest.raises(UserError) as caught:
        build("backbone", "open_clip", **options)
    assert message in str(caught.value)


def test_a_listed_model_that_cannot_be_fetched_says_so(monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError("Failed to download weights for tag 'openai': offline")

    monkeypatch.setattr(open_clip, "create_model", refuse)
    with pytest.raises(UserError, match=r"the hub cannot be reached"):
        build("backbone", "open_clip", weights="ViT-B-16", tag="openai")
