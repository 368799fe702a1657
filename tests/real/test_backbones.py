"""Real pretrained weights under $ANOMALY_OV_WEIGHTS through the public factory."""

import pytest
import timm
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from framework.registry import build

NAME = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"


@pytest.fixture
def vit(weights):
    return weights(NAME)


def picture(size, square=True):
    """Half a smooth ramp, half stripes, with a bright square: something that features can tell apart."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    grey = torch.where(x < size // 2, y * 255 // size, (y // 8 % 2) * 255)
    if square:
        grey[size // 8 : size // 4, size // 8 : size // 4] = 255
    return grey.expand(1, 3, size, size).to(torch.uint8)


@pytest.mark.parametrize("prefix", ["", "local-dir:"])
@torch.no_grad()
def test_the_vit_tiny_folder_gives_what_its_readme_calls_by_hand(vit, prefix):
    backbone, pixels = build("backbone", "timm", weights=f"{prefix}{vit}", blocks=[2, 5, 8], final=11), picture(224)
    model = timm.create_model(f"local-dir:{vit}", pretrained=True, num_classes=0).eval()
    expected = model.forward_intermediates(
        pixels / 255 * 2 - 1, indices=[2, 5, 8, 11], output_fmt="NCHW", intermediates_only=True
    )
    found = backbone(pixels)
    assert_close([*found.levels, found.final], [maps.flatten(2).transpose(1, 2) for maps in expected])
    assert (backbone.grid, backbone.width, backbone.mean, backbone.std) == ((14, 14), 192, (0.5,) * 3, (0.5,) * 3)


def test_every_weight_of_the_folder_is_in_the_tower(vit):
    backbone, saved = build("backbone", "timm", weights=str(vit)), load_file(vit / "model.safetensors")
    for key, value in backbone.tower.state_dict().items():
        assert torch.equal(value, saved[key]), key
    assert set(saved) - set(backbone.tower.state_dict()) == {"norm.weight", "norm.bias", "head.weight", "head.bias"}


@torch.no_grad()
def test_features_tell_a_square_from_its_surroundings_at_two_sizes(vit):
    for size, grid in ((224, (14, 14)), (336, (21, 21))):
        backbone = build("backbone", "timm", weights=str(vit), image_size=size)
        assert backbone.grid == grid
        pixels = picture(size)
        plain = picture(size, square=False)
        change = (backbone(pixels).levels[0] - backbone(plain).levels[0]).norm(dim=2).reshape(grid)
        row, column = divmod(int(change.argmax()), grid[1])
        assert 1 / 8 - 1 / grid[0] <= row / grid[0] <= 1 / 4
        assert 1 / 8 - 1 / grid[1] <= column / grid[1] <= 1 / 4
