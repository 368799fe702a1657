"""The names and options that a YAML file can write, and what importing them costs."""

import inspect
import subprocess
import sys

import pytest
import torch
from torch.testing import assert_close

from framework import registry
from framework.errors import UserError
from framework.models.backbones.embedded import network

NAMES = ["clip", "dinov2", "embedded", "llava_onevision", "open_clip", "siglip", "timm"]


def test_every_backbone_is_registered_and_shares_the_options():
    assert set(NAMES) <= set(registry.names("backbone"))
    for name in NAMES:
        options = inspect.signature(registry.get("backbone", name)).parameters
        assert list(options)[-4:] == ["blocks", "final", "image_size", "dtype"]
        assert [options[key].default for key in list(options)[-4:]] == [None, None, None, "float32"]


def test_naming_the_backbones_loads_no_torch():
    code = (
        "import sys; from framework import registry; import framework.models.backbones\n"
        "registry.check('backbone', 'siglip', {'weights': 'a/b', 'blocks': [1]})\n"
        "print(sorted({'torch', 'transformers', 'timm', 'open_clip', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("[]", "['numpy']")


def test_an_unknown_backbone_is_one_line_with_the_nearest():
    with pytest.raises(UserError) as caught:
        registry.build("backbone", "siglib")
    assert str(caught.value).startswith("no backbone called 'siglib'. Did you mean 'siglip'? Known: clip, dinov2, ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_option_is_one_line_with_the_nearest(name):
    with pytest.raises(UserError) as caught:
        registry.build("backbone", name, block=[1])
    expected = f"no option of backbone '{name}' called 'block'. Did you mean 'blocks'? Known: blocks, dtype, final, "
    assert str(caught.value).startswith(expected)
    assert "\n" not in str(caught.value)


def _network():
    torch.manual_seed(0)
    return network.Network().eval().requires_grad_(False)


@pytest.fixture
def untrained(monkeypatch):
    """The embedded network with drawn weights, so that the wrapper is tested apart from the trained file."""
    monkeypatch.setattr(network, "load", _network)
    return _network()


@pytest.mark.parametrize("image_size", [None, 96])
@torch.no_grad()
def test_the_embedded_backbone_yields_the_levels_of_its_network(untrained, image_size):
    backbone = registry.build("backbone", "embedded", image_size=image_size)
    size = image_size or untrained.image_size
    pixels = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    outputs, found = untrained(pixels / 255 * 2 - 1), backbone(pixels)
    assert_close(found.levels, [outputs[block] for block in network.LEVELS])
    assert_close(found.final, outputs[network.FINAL])
    assert found.grid == backbone.grid
    assert found.grid[0] * found.grid[1] == found.final.shape[1]


def test_the_embedded_backbone_takes_multiples_of_its_patch_only(untrained):
    with pytest.raises(
        UserError, match=r"^backbone 'embedded': image_size=97 must be a multiple of its patch \(8\)\.$"
    ):
        registry.build("backbone", "embedded", image_size=97)
    with pytest.raises(UserError, match=r"^backbone 'embedded': blocks=\[8\] must be a list of block numbers"):
        registry.build("backbone", "embedded", blocks=[8])
