"""The one kind of backbone: what it normalises, taps, keeps frozen, and says of itself."""

import copy
import hashlib
import json
import pickle

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from framework.errors import UserError
from framework.models.backbones.base import Backbone, check_size, choose, digest

MEAN, STD = (0.5, 0.25, 0.1), (0.5, 0.2, 0.4)


class Tower(nn.Module):
    """Two "blocks" of four patches and one class token in front, from a 2 x 2 picture."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 5), nn.Linear(5, 5)
        self.drop = nn.Dropout(0.5)


def tap(tower, pixels, wanted):
    tokens = pixels.flatten(2).transpose(1, 2)  # (N, 4, 3)
    first = tower.first(torch.cat([tokens.mean(1, keepdim=True) + 9, tokens], 1))
    outputs = [first, tower.drop(tower.second(first))]
    return [outputs[block] for block in wanted]


def make(dtype="float32", tap=tap, **changes):
    torch.manual_seed(0)
    settings = {"blocks": [0], "final": 1, "width": 5, "image_size": 2, "grid": (2, 2), "mean": MEAN, "std": STD}
    return Backbone("toy", Tower(), tap, **{**settings, **changes}, dtype=dtype, architecture="two layers")


def picture(n=3):
    return torch.randint(0, 256, (n, 3, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def by_hand(backbone, pixels):
    x = (pixels / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    first = backbone.tower.first(x.flatten(2).transpose(1, 2))
    return first, backbone.tower.second(first)


@pytest.mark.parametrize(
    ("depth", "final", "expected"),
    [
        (26, None, ([6, 12, 18, 24], 25)),  # the tower of LLaVA-OneVision, as published
        (27, None, ([6, 12, 18, 24], 25)),  # SigLIP so400m, whose last block the published model drops
        (24, None, ([5, 11, 16, 22], 23)),
        (12, None, ([2, 5, 7, 10], 11)),
        (12, 9, ([2, 4, 6, 8], 9)),
        (5, None, ([0, 1, 2, 3], 4)),
        (3, None, ([0, 1], 2)),
        (1, None, ([0], 0)),
    ],
)
def test_default_blocks_step_evenly_and_are_the_published_ones_for_so400m(depth, final, expected):
    assert choose("here", depth, None, final) == expected


def test_given_blocks_are_kept():
    assert choose("here", 12, (0, 4, 11), None) == ([0, 4, 11], 11)
    assert choose("here", 27, [3], 26) == ([3], 26)


@pytest.mark.parametrize("blocks", [[12], [-1, 3], [], 6, "6", ["6"], [1.0]])
def test_blocks_that_the_tower_lacks_are_refused_in_one_line(blocks):
    with pytest.raises(UserError, match=r"^here: blocks=.* must be a list of block numbers; it has blocks 0 to 11\.$"):
        choose("here", 12, blocks, None)


@pytest.mark.parametrize("blocks", [[4, 2], [2, 2]])
def test_blocks_go_from_shallow_to_deep(blocks):
    with pytest.raises(UserError, match=r"must go from shallow to deep"):
        choose("here", 12, blocks, None)


@pytest.mark.parametrize("final", [12, -1, "last"])
def test_a_final_block_that_the_tower_lacks_is_refused(final):
    with pytest.raises(UserError, match=r"^here: no block final=.*; it has blocks 0 to 11\.$"):
        choose("here", 12, None, final)


@pytest.mark.parametrize("size", [15, 0, 32.0, "32"])
def test_a_size_below_one_patch_or_not_whole_is_refused(size):
    with pytest.raises(UserError, match=r"must be a whole number of pixels, at least one patch \(16\)"):
        check_size("here", size, 16)


def test_features_are_block_outputs_of_normalised_pixels_without_prefix_tokens():
    backbone, pixels = make(), picture()
    found = backbone(pixels)
    first, second = by_hand(backbone, pixels)
    assert_close(found.levels, [first])
    assert_close(found.final, second)  # and no dropout: the tower is in eval mode
    assert found.grid == (2, 2)


@pytest.mark.parametrize("pixels", [picture().float(), picture()[..., :1], picture()[:, :1]])
def test_pixels_of_another_type_or_size_are_a_broken_promise(pixels):
    with pytest.raises(ValueError, match=r"takes uint8 \(N, 3, 2, 2\), got torch"):
        make()(pixels)


def test_a_tower_that_yields_too_few_patches_is_a_broken_promise():
    with pytest.raises(ValueError, match=r"wants 9 x 5, a block gave \(3, 5, 5\)"):
        make(grid=(3, 3))(picture())


def test_it_stays_frozen_and_in_eval_mode_inside_a_module_in_training():
    owner = nn.ModuleDict({"backbone": make(), "expert": nn.Linear(5, 1)}).train()
    assert not any(module.training for module in owner["backbone"].modules())
    assert not any(p.requires_grad for p in owner["backbone"].parameters())
    assert not owner["backbone"](picture()).final.requires_grad


def test_it_leaves_no_trace_in_a_state_dict_and_a_strict_load_does_not_miss_it():
    owner = nn.ModuleDict({"backbone": make(), "expert": nn.Linear(5, 1)})
    saved = owner.state_dict()
    assert set(saved) == {"expert.weight", "expert.bias"}
    before = digest(owner["backbone"].tower)
    owner.load_state_dict({key: value + 1 for key, value in saved.items()}, strict=True)
    assert digest(owner["backbone"].tower) == before
    with pytest.raises(RuntimeError, match=r"Missing key.*expert\.bias"):
        owner.load_state_dict({"expert.weight": saved["expert.weight"]})


def test_digest_is_the_hash_of_names_types_shapes_and_bytes():
    tower = make().tower
    total = hashlib.sha256()
    for key in ("first.bias", "first.weight", "second.bias", "second.weight"):
        value = tower.get_parameter(key).detach().numpy()
        total.update(f"{key} torch.float32 {value.shape}\n".encode() + value.tobytes())
    assert make().identity["sha256"] == total.hexdigest()


def test_the_casts_of_an_owner_do_not_change_what_the_tower_computes():
    backbone, pixels = make(), picture()
    expected = backbone(pixels)
    owner = nn.ModuleDict({"backbone": backbone}).to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        found = owner["backbone"](pixels)
    assert torch.equal(found.final, expected.final)
    assert backbone.tower.first.weight.dtype == torch.float32


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_dtype_casts_the_tower_and_features_come_out_as_float32(dtype):
    backbone, pixels = make(dtype), picture()
    found, exact = backbone(pixels), make()(pixels)
    half = getattr(torch, dtype)
    assert {p.dtype for p in backbone.tower.parameters()} == {half}
    assert found.final.dtype == torch.float32
    assert torch.equal(found.final.to(half).float(), found.final)
    assert_close(found.final, exact.final, atol=0.05, rtol=0.05)
    assert not torch.equal(found.final, exact.final)


def test_an_unknown_dtype_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"no dtype of backbone 'toy' called 'bfloat'. Did you mean 'bfloat16'\?"):
        make("bfloat")


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda b: pickle.loads(pickle.dumps(b))])
def test_a_copy_taps_its_own_tower(clone):
    backbone, pixels = make(), picture()
    twin = clone(backbone)
    assert_close(twin(pixels).final, backbone(pixels).final)
    twin.tower.second.weight.zero_()
    assert not torch.equal(twin(pixels).final, backbone(pixels).final)


def test_identity_is_plain_and_names_everything_features_depend_on():
    identity = make().identity
    assert json.loads(json.dumps(identity)) == identity
    assert {k: v for k, v in identity.items() if k != "sha256"} == {
        "name": "toy",
        "architecture": "two layers",
        "blocks": [0],
        "final": 1,
        "image_size": 2,
        "mean": [0.5, 0.25, 0.1],
        "std": [0.5, 0.2, 0.4],
        "dtype": "float32",
    }


def test_the_hash_tells_one_changed_weight():
    backbone = make()
    backbone.tower.second.bias[0] += 1e-6
    assert backbone.identity["sha256"] != make().identity["sha256"]
