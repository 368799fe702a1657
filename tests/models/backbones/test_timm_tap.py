"""Backbones of timm against the library itself, on small models saved into folders."""

import json

import pytest
import timm
import torch
from fake_towers import fill, normalised, picture
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from framework.errors import UserError
from framework.registry import build

SMALL = {"embed_dim": 32, "depth": 6, "num_heads": 2}
ARCHITECTURES = {  # case -> (architecture, arguments, prefix tokens)
    "class token": ("vit_tiny_patch16_224", {**SMALL, "img_size": 64}, 1),
    "registers": ("vit_small_patch14_reg4_dinov2", {**SMALL, "img_size": 56}, 5),
    "no prefix": ("vit_base_patch16_siglip_224", {**SMALL, "img_size": 64}, 0),
}
CONFIG = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "classifier": "head", "first_conv": "patch_embed.proj"}
BLOCKS, FINAL = [0, 2, 3], 4


def save(folder, architecture, arguments, **config):
    model = fill(timm.create_model(architecture, **arguments))
    size = arguments["img_size"]
    inner = {**CONFIG, "num_classes": model.num_classes, "input_size": [3, size, size], "fixed_input_size": True}
    content = {"architecture": architecture, "model_args": arguments, "pretrained_cfg": {**inner, **config}}
    (folder / "config.json").write_text(json.dumps(content))
    save_file(model.state_dict(), folder / "model.safetensors")
    return model


def edit(folder, change):
    content = json.loads((folder / "config.json").read_text())
    change(content)
    (folder / "config.json").write_text(json.dumps(content))


@pytest.mark.parametrize("case", ARCHITECTURES)
@torch.no_grad()
def test_features_equal_forward_intermediates_and_a_loop_over_the_blocks(tmp_path, case):
    architecture, arguments, prefix = ARCHITECTURES[case]
    model, size = save(tmp_path, architecture, arguments), arguments["img_size"]
    backbone, pixels = build("backbone", "timm", weights=str(tmp_path), blocks=BLOCKS, final=FINAL), picture(size)
    found = backbone(pixels)
    wanted = [*BLOCKS, FINAL]
    options = {"norm": False, "output_fmt": "NLC", "intermediates_only": True}
    theirs = model.forward_intermediates(normalised(pixels, CONFIG["mean"], CONFIG["std"]), indices=wanted, **options)
    assert_close([*found.levels, found.final], theirs)
    tokens = model.norm_pre(
        model.patch_drop(model._pos_embed(model.patch_embed(normalised(pixels, CONFIG["mean"], CONFIG["std"]))))
    )
    by_hand = []
    for block in model.blocks:
        tokens = block(tokens)
        by_hand.append(tokens[:, prefix:])
    assert_close([*found.levels, found.final], [by_hand[block] for block in wanted])
    assert (found.final - model.norm(by_hand[FINAL])).abs().max() > 1  # no norm was applied
    assert (backbone.width, backbone.grid, backbone.image_size) == (32, (4, 4), size)


@torch.no_grad()
def test_another_image_size_resamples_positions_as_the_library_does(tmp_path):
    architecture, arguments, _ = ARCHITECTURES["class token"]
    save(tmp_path, architecture, arguments)
    theirs = timm.create_model(f"local-dir:{tmp_path}", pretrained=True, img_size=96).eval()
    backbone, pixels = build("backbone", "timm", weights=str(tmp_path), image_size=96), picture(96)
    assert (backbone.image_size, backbone.grid) == (96, (6, 6))
    expected = theirs.forward_intermediates(
        normalised(pixels, CONFIG["mean"], CONFIG["std"]), indices=[5], output_fmt="NLC", intermediates_only=True
    )
    assert_close(backbone(pixels).final, expected[0])


def test_blocks_norm_and_head_that_are_not_used_are_gone(tmp_path):
    save(tmp_path, *ARCHITECTURES["class token"][:2])
    tower = build("backbone", "timm", weights=str(tmp_path), blocks=BLOCKS, final=FINAL).tower
    assert len(tower.blocks) == FINAL + 1
    assert not any(key.startswith(("norm.", "head.")) for key, _ in tower.named_parameters())


@torch.no_grad()
def test_what_a_config_leaves_out_comes_from_the_library(tmp_path):
    """Class token ViTs of timm are trained with mean = std = 0.5, not with the ImageNet values timm falls back to."""
    model = save(tmp_path, *ARCHITECTURES["class token"][:2])
    expected = build("backbone", "timm", weights=str(tmp_path))
    edit(tmp_path, lambda content: content.update(pretrained_cfg={"tag": "augreg_in21k_ft_in1k"}))
    backbone = build("backbone", "timm", weights=f"local-dir:{tmp_path}")
    assert (backbone.mean, backbone.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert backbone.identity["sha256"] == expected.identity["sha256"]
    edit(tmp_path, lambda content: content.update(pretrained_cfg={"tag": "mine", "mean": [0.9, 0.8, 0.7]}))
    backbone = build("backbone", "timm", weights=str(tmp_path))
    assert (backbone.mean, backbone.std) == ((0.9, 0.8, 0.7), (0.5, 0.5, 0.5))
    assert torch.equal(backbone.tower.pos_embed, model.pos_embed)


def test_identity_tells_the_number_of_heads(tmp_path):
    save(tmp_path, *ARCHITECTURES["class token"][:2])
    before = build("backbone", "timm", weights=str(tmp_path)).identity
    edit(tmp_path, lambda content: content["model_args"].update(num_heads=4))
    after = build("backbone", "timm", weights=str(tmp_path)).identity
    assert before["sha256"] == after["sha256"]
    assert before["architecture"] == "timm vit_tiny_patch16_224, 2 heads"
    assert after["architecture"] == "timm vit_tiny_patch16_224, 4 heads"


def test_nothing_is_printed_while_loading(tmp_path, capfd):
    save(tmp_path, *ARCHITECTURES["class token"][:2])
    capfd.readouterr()
    build("backbone", "timm", weights=str(tmp_path))(picture(64))
    assert capfd.readouterr() == ("", "")


def _without(folder, part):
    path = folder / "model.safetensors"
    save_file({k: v for k, v in load_file(path).items() if part not in k}, path)


SPOILED = [
    (lambda f: (f / "config.json").unlink(), "has no config.json"),
    (lambda f: (f / "model.safetensors").unlink(), "has no weights (looked for model.safetensors, pytorch_model.bin)"),
    (lambda f: edit(f, lambda c: c.pop("architecture")), "names no architecture of timm (found None)"),
    (lambda f: edit(f, lambda c: c.update(architecture="vit_wrong")), "names no architecture of timm (found 'vit_wro"),
    (lambda f: edit(f, lambda c: c["model_args"].update(embed_dim=64)), "cannot be loaded: Error(s) in loading"),
    (lambda f: edit(f, lambda c: c["model_args"].update(colour=1)), "got an unexpected keyword argument 'colour'"),
    (lambda f: edit(f, lambda c: c.pop("pretrained_cfg")), "got an unexpected keyword argument 'model_args'"),
    (lambda f: _without(f, "blocks.3.mlp"), "cannot be loaded: Error(s) in loading state_dict"),
    (lambda f: (f / "model.safetensors").write_bytes(b"12345"), "cannot be loaded: "),
]


@pytest.mark.parametrize(("spoil", "message"), SPOILED, ids=[message for _, message in SPOILED])
def test_a_spoiled_folder_is_refused_in_one_line(tmp_path, spoil, message):
    save(tmp_path, *ARCHITECTURES["class token"][:2])
    spoil(tmp_path)
    with pytest.raises(UserError) as caught:
        build("backbone", "timm", weights=str(tmp_path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("resnet18", {}),
        ("swin_tiny_patch4_window7_224", {"embed_dim": 12, "depths": (1, 1), "num_heads": (1, 1)}),
    ],
)
def test_a_model_without_one_grid_for_all_blocks_is_refused(tmp_path, architecture, arguments):
    model = timm.create_model(architecture, **arguments)
    content = {"architecture": architecture, "model_args": arguments, "pretrained_cfg": {}}
    (tmp_path / "config.json").write_text(json.dumps(content))
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"is not a plain vision transformer with one grid of patches\.$"):
        build("backbone", "timm", weights=str(tmp_path))


def test_a_model_that_has_no_sizes_is_refused_an_image_size(tmp_path):
    save_file(timm.create_model("resnet18").state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet18"}))
    with pytest.raises(UserError, match=r"takes images of its own size only; leave image_size out\.$"):
        build("backbone", "timm", weights=str(tmp_path), image_size=96)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("vit_nonsense", "neither a folder nor a model that timm lists; a hub name is owner/name."),
        ("vit_tiny_patch16_224.nonsense", "Invalid pretrained tag (nonsense) for vit_tiny_patch16_224."),
        ("vit_huge_patch14_gap_224.in1k_ijepa", "timm lists no hub repository of this model; set weights to a folder."),
    ],
)
def test_a_name_that_timm_does_not_list_is_refused(weights, message):
    with pytest.raises(UserError) as caught:
        build("backbone", "timm", weights=weights)
    assert str(caught.value) == f"backbone 'timm' ({weights}): {message}"
