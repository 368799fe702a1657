"""The expert: exact on the published numbers, equal to plain NumPy, and finite where the published code is not."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.testing import assert_close

from framework.models.experts.look_twice import LookTwice
from framework.registry import build, names
from framework.types import Features

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "expert.json").read_text())
PUBLISHED = {
    "positive_embedding": (1, 512),
    "negative_embedding": (1, 512),
    "pooling_layer.0": (1, 729),
    "class_predictor.0": (512, 1152),
    "class_predictor.2": (512, 512),
    "final_predictor.0": (512, 1152),
    "final_predictor.2": (1, 512),
    "q_former.query_proj": (512, 1152),
    "q_former.key_proj": (512, 1152),
    **{f"siglip_adaptors.{i}": (512, 1152) for i in range(4)},
    **{f"prompt_adaptors.{i}": (512, 1024) for i in range(4)},
}


def small(grid=(3, 5), levels=3, width=6, seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    return LookTwice(width, math.prod(grid), levels, embedding=7, descriptor=5, attention=4, hidden=9).to(dtype)


def random_features(crops, grid=(3, 5), levels=3, width=6, seed=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shape = (sum(crops), math.prod(grid), width)
    *maps, final = (torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for _ in range(levels + 1))
    return Features(maps, final, grid)


def pick(features, order):
    return Features([level[order] for level in features.levels], features.final[order], features.grid)


def erf_gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def by_hand(expert, features, crops):
    """The six steps in float64 NumPy with a loop over crops, as an image is described, without our shortcuts."""
    state = {key: value.double().numpy() for key, value in expert.state_dict().items()}

    def linear(name, x):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def mlp(name, x):
        return linear(f"{name}.2", erf_gelu(linear(f"{name}.0", x)))

    rows, columns = features.grid
    cells = np.arange(rows * columns).reshape(rows, columns)
    bins = [
        cells[r * rows // 2 : -(-(r + 1) * rows // 2), c * columns // 2 : -(-(c + 1) * columns // 2)].ravel()
        for r in (0, 1)
        for c in (0, 1)
    ]
    final, levels = features.final.double().numpy(), [level.double().numpy() for level in features.levels]
    logits, maps, tokens, summaries, first = [], [], [], [], 0
    for count in crops:
        fused = state["pooling_layer.0.weight"][0] @ final[first] + state["pooling_layer.0.bias"]
        descriptor = mlp("class_predictor", fused)
        weighted, weights = 0, 0
        for crop in range(first, first + count):
            probabilities = []
            for i, level in enumerate(levels):
                signs = [
                    linear(f"prompt_adaptors.{i}", np.concatenate([state[f"{sign}_embedding"][0], descriptor]))
                    for sign in ("positive", "negative")
                ]
                directions = np.stack([sign / np.linalg.norm(sign) for sign in signs])
                patches = linear(f"siglip_adaptors.{i}", level[crop])
                patches = patches / np.linalg.norm(patches, axis=1, keepdims=True)
                both = np.exp(100 * patches @ directions.T - (100 * patches @ directions.T).max(1, keepdims=True))
                probabilities.append((both / both.sum(1, keepdims=True))[:, 1])
            m, v = np.mean(probabilities, 0), final[crop]
            pooled = np.array([m[cell].mean() for cell in bins])
            queries = np.stack([(v[cell] * m[cell, None]).mean(0) for cell in bins]) / pooled[:, None]
            scores = linear("q_former.query_proj", queries) @ linear("q_former.key_proj", v).T
            scores = np.exp((scores - scores.max(1, keepdims=True)) / math.sqrt(len(state["q_former.key_proj.bias"])))
            local = scores / scores.sum(1, keepdims=True) @ v
            weight = pooled * m.mean()
            weighted, weights = weighted + weight @ local, weights + weight.sum()
            maps.append(m.reshape(rows, columns))
            tokens.append(local)
        summaries.append(weighted / weights)
        logits.append(mlp("final_predictor", summaries[-1])[0])
        first += count
    return np.array(logits), np.stack(maps), np.stack(tokens), np.stack(summaries)


def assert_same(verdict, reference, **tolerance):
    for ours, theirs in zip((verdict.logits, verdict.maps, verdict.tokens, verdict.summary), reference, strict=True):
        assert_allclose(ours.detach().numpy(), theirs, **tolerance)


def toward_normal(gap, levels=3, width=8, grid=(4, 6), dtype=torch.float32):
    """An expert and features of two views whose patches all have cos(normal) - cos(anomalous) = gap."""
    torch.manual_seed(0)
    expert = LookTwice(width, math.prod(grid), levels, embedding=width, descriptor=width, attention=4, hidden=9)
    turn = math.acos(1 - gap)
    with torch.no_grad():
        for adaptor, prompt in zip(expert.siglip_adaptors, expert.prompt_adaptors, strict=True):
            adaptor.weight.copy_(torch.eye(width))
            prompt.weight.copy_(torch.eye(width, 2 * width))
            adaptor.bias.zero_()
            prompt.bias.zero_()
        expert.positive_embedding.copy_(torch.eye(1, width))
        expert.negative_embedding.copy_(math.cos(turn) * torch.eye(1, width) + math.sin(turn) * torch.eye(2, width)[1:])
    features = random_features([3, 2], grid, levels, width, dtype=dtype)
    features.levels = [torch.eye(1, width, dtype=dtype) * (1 + level[..., :1].abs()) for level in features.levels]
    return expert, features


def assert_finite_with_gradients(expert, features, crops):
    verdict = expert(features, crops)
    targets = torch.arange(len(crops)) % 2
    binary_cross_entropy_with_logits(verdict.logits, targets.to(verdict.logits)).backward()
    for value in (verdict.logits, verdict.maps, verdict.tokens, verdict.summary):
        assert value.isfinite().all()
    for name, parameter in expert.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() < 1e4, name
    return verdict


def test_parameters_have_the_published_names_and_shapes():
    state = build("expert", "look_twice", 1152, 729, 4).state_dict()
    shapes = {key.removesuffix(".weight"): tuple(value.shape) for key, value in state.items() if "bias" not in key}
    assert shapes == PUBLISHED
    assert all(state[f"{key}.bias"].shape == shape[:1] for key, shape in PUBLISHED.items() if "embedding" not in key)
    assert len(state) == 32 and sum(value.numel() for value in state.values()) == 7_086_811


def test_new_embeddings_are_standard_normal_and_layers_are_as_torch_makes_them():
    torch.manual_seed(0)
    expert = LookTwice(1152, 729, 4)
    drawn = torch.cat([expert.positive_embedding, expert.negative_embedding])
    assert abs(drawn.mean()) < 0.1 and abs(drawn.std() - 1) < 0.1
    weight = expert.siglip_adaptors[0].weight
    assert weight.abs().max() <= 1 / math.sqrt(1152) and abs(weight.std() * math.sqrt(3 * 1152) - 1) < 0.01


def test_published_numbers_without_random_numbers():
    expert = LookTwice(1152, 729, 4).double()
    with torch.no_grad():
        for j, (_, value) in enumerate(sorted(expert.state_dict().items())):
            k = torch.arange(value.numel(), dtype=torch.float64).view_as(value)
            value.copy_(0.05 * torch.sin(0.7 * k * (1 + 0.01 * j) + j))
        at = torch.arange(5 * 729 * 1152, dtype=torch.float64).view(5, 729, 1152)
        final = 2 * torch.sin(0.37 * at) + torch.cos(1e-4 * at)
        levels = [2 * torch.sin(0.37 * at * (1 + 0.05 * (i + 1)) + i) + torch.cos(2e-4 * at + i) for i in range(4)]
        verdict = expert(Features(levels, final, (27, 27)), [3, 2])
    maps, tokens, summary = verdict.maps, verdict.tokens, verdict.summary
    ours = {
        "score": verdict.logits.sigmoid(),
        "map_min_max_mean": torch.stack([maps.min(), maps.max(), maps.mean()]),
        "map[0,0,0,:3]": maps[0, 0, :3],
        "s": maps.mean((1, 2)),
        "local[0,0,:3]": tokens[0, 0, :3],
        "local[4,3,-1]": tokens[4, 3, -1:],
        "global[1,0,:3]": summary[1, :3],
        "sum(local), sum|local|, sum(global)": torch.stack([tokens.sum(), tokens.abs().sum(), summary.sum()]),
    }
    assert ours.keys() == GOLDEN["numbers"].keys()
    for name, value in ours.items():
        assert_allclose(value.numpy(), GOLDEN["numbers"][name], rtol=0, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("crops", [[1], [4], [1, 1, 1], [3, 2], [2, 5, 1]])
@pytest.mark.parametrize(
    ("grid", "levels"), [((2, 2), 1), ((3, 5), 3), ((4, 6), 2), ((7, 7), 5), ((1, 1), 4), ((1, 3), 2)]
)
def test_equals_the_six_steps_in_numpy(crops, grid, levels):
    expert, features = small(grid, levels), random_features(crops, grid, levels)
    assert_same(expert(features, crops), by_hand(expert, features, crops), rtol=1e-9, atol=1e-12)


def test_a_batch_equals_its_views_one_by_one():
    expert, crops = small(), [3, 1, 4, 2]
    features = random_features(crops)
    batch, first = expert(features, crops), 0
    for i, count in enumerate(crops):
        alone = expert(pick(features, slice(first, first + count)), [count])
        assert_close(batch.logits[i : i + 1], alone.logits, rtol=0, atol=1e-12)
        assert_close(batch.maps[first : first + count], alone.maps, rtol=0, atol=1e-12)
        assert_close(batch.tokens[first : first + count], alone.tokens, rtol=0, atol=1e-12)
        assert_close(batch.summary[i : i + 1], alone.summary, rtol=0, atol=1e-12)
        first += count


def test_order_of_tiles_does_not_matter_and_the_base_crop_does():
    expert, features = small(), random_features([4])
    logit = expert(features, [4]).logits
    assert_close(expert(pick(features, [0, 3, 1, 2]), [4]).logits, logit, rtol=0, atol=1e-12)
    assert (expert(pick(features, [1, 0, 2, 3]), [4]).logits - logit).abs() > 1e-6


def test_a_broken_view_leaves_the_others_alone():
    expert, features = small(), random_features([2, 2])
    clean = expert(features, [2, 2]).logits
    features.final[3] = torch.nan
    assert_close(expert(features, [2, 2]).logits, torch.stack([clean[0], torch.tensor(torch.nan)]), equal_nan=True)


def test_features_that_are_no_numbers_give_no_verdict():
    expert, features = small(), random_features([2, 2])
    clean = expert(features, [2, 2]).logits
    features.levels[1][1, 4] = torch.inf
    logits = expert(features, [2, 2]).logits
    assert logits[0].isnan() and logits[1] == clean[1]


def test_every_parameter_receives_gradient():
    expert = LookTwice(12, 9, 4, embedding=8, descriptor=8, attention=8, hidden=8).double()
    expert(random_features([3, 2], (3, 3), 4, 12), [3, 2]).logits.sum().backward()
    gradients = {name: parameter.grad for name, parameter in expert.named_parameters()}
    assert len(gradients) == 32
    shift = gradients.pop("q_former.key_proj.bias")  # moves all keys of a query alike: 0 but for rounding
    assert shift is not None and shift.abs().max() < 1e-12
    assert all(gradient is not None and gradient.abs().max() > 1e-12 for gradient in gradients.values())


def test_gradients_are_those_of_finite_differences():
    expert, features = small((2, 2), 2), random_features([2, 1], (2, 2), 2)
    parameters = dict(expert.named_parameters())

    def logits(*values):
        return torch.func.functional_call(expert, dict(zip(parameters, values, strict=True)), (features, [2, 1])).logits

    assert torch.autograd.gradcheck(logits, tuple(parameters.values()), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_inputs_are_computed_in_float32(dtype):
    expert, features = small(dtype=torch.float32), random_features([3, 2], dtype=dtype)
    verdict = assert_finite_with_gradients(expert, features, [3, 2])
    assert verdict.logits.dtype == verdict.maps.dtype == verdict.tokens.dtype == torch.float32
    assert_same(verdict, by_hand(expert, features, [3, 2]), rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_parameters_and_autocast_are_computed_in_float32(dtype):
    expert, features = small(dtype=dtype), random_features([3, 2], dtype=dtype)
    reference = by_hand(expert, features, [3, 2])
    with torch.autocast("cpu", torch.bfloat16):
        verdict = expert(features, [3, 2])
    assert verdict.logits.dtype == torch.float32
    assert_same(verdict, reference, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("gap", [0.1, 0.2, 0.55, 1.05, 1.5, 2.0])
def test_confident_normals_are_finite_and_right(gap, dtype):
    expert, features = toward_normal(gap, dtype=dtype)
    reference = by_hand(expert, features, [3, 2])  # float64 goes down to 1e-308, so it can still divide
    assert 0 < reference[1].max() < 0.1
    verdict = assert_finite_with_gradients(expert, features, [3, 2])
    assert_same(verdict, reference, rtol=1e-3, atol=1e-5)


def test_dead_tokens_are_undecided():
    expert, features = toward_normal(0.3)
    for level in features.levels:
        level[1, 7] = 0
    verdict = assert_finite_with_gradients(expert, features, [3, 2])
    assert verdict.maps.flatten(1)[1, 7] == 0.5
    only_dead = Features([0 * level for level in features.levels], 0 * features.final, features.grid)
    assert_finite_with_gradients(expert, only_dead, [3, 2])
    assert (expert(only_dead, [3, 2]).maps == 0.5).all()


def test_a_token_that_rounding_leaves_all_but_dead_matches_no_side_more_than_fully():
    """A narrow backbone, float32: the squared length is a difference of large numbers, here near 0 or below."""
    torch.manual_seed(0)
    expert = LookTwice(6, 15, 1, embedding=64, descriptor=5, attention=4, hidden=9)
    near, step = 30 * torch.randn(6), torch.randn(6)
    with torch.no_grad():
        weight = expert.siglip_adaptors[0].weight
        expert.siglip_adaptors[0].bias.copy_(-weight @ near)
        level = near + torch.logspace(-5, 0, 600).view(40, 15, 1) * step
        most = 2 * torch.nn.functional.normalize(weight @ step, dim=0)  # opposite directions: twice the cosine
        margins = expert._margins([level], most[None, None], torch.zeros(40, dtype=int))
    assert margins.isfinite().all() and margins.abs().max() <= 200


def test_a_dead_token_gives_no_gradient():
    expert, features = small(), random_features([3, 2])
    for adaptor, level in zip(expert.siglip_adaptors, features.levels, strict=True):
        torch.nn.init.zeros_(adaptor.bias)
        level[1, 7] = 0
    assert_finite_with_gradients(expert, features, [3, 2])
    assert max(adaptor.bias.grad.abs().max() for adaptor in expert.siglip_adaptors) < 1


def test_a_quadrant_that_underflows_still_has_a_token():
    expert, features = toward_normal(2.0)
    quadrant = torch.zeros(4, 6, dtype=torch.bool)
    quadrant[:2, :3] = True
    for level in features.levels:
        level[:, ~quadrant.flatten()] *= -1
    verdict = assert_finite_with_gradients(expert, features, [3, 2])
    assert verdict.maps[:, quadrant].max() == 0 and verdict.maps[:, ~quadrant].min() == 1
    assert_same(verdict, by_hand(expert, features, [3, 2]), rtol=1e-3, atol=1e-5)


def test_maps_stay_probabilities():
    expert, features = toward_normal(2.0)
    features.levels = [-level for level in features.levels]
    assert expert(features, [3, 2]).maps.max() <= 1


@pytest.mark.parametrize(
    ("change", "crops"),
    [({"levels": 2}, [3]), ({"width": 5}, [3]), ({"grid": (3, 4)}, [3]), ({}, [2]), ({}, [3, 0]), ({}, [])],
)
def test_features_of_other_sizes_are_refused(change, crops):
    with pytest.raises(ValueError, match="expert"):
        small()(random_features([3], **change), crops)


def test_a_grid_that_does_not_hold_the_patches_is_refused():
    features = random_features([3])
    features.grid = (4, 4)
    with pytest.raises(ValueError, match=r"expert of 15 patches got grid \(4, 4\)"):
        small()(features, [3])


def test_the_factory_is_registered_and_loads_no_torch():
    assert "look_twice" in names("expert")
    expert = build("expert", "look_twice", 6, 15, 3, embedding=7, descriptor=5, attention=4, hidden=9)
    assert {k: v.shape for k, v in expert.state_dict().items()} == {k: v.shape for k, v in small().state_dict().items()}
    code = (
        "import sys, framework.registry as r; assert 'look_twice' in r.names('expert') and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_numbers_of_the_cpu():
    expert, features = small(), random_features([3, 2])
    reference = by_hand(expert, features, [3, 2])
    moved = Features([level.cuda() for level in features.levels], features.final.cuda(), features.grid)
    verdict = expert.cuda()(moved, [3, 2])
    assert_same(
        type(verdict)(verdict.logits.cpu(), verdict.maps.cpu(), verdict.tokens.cpu(), verdict.summary.cpu()),
        reference,
        rtol=1e-9,
        atol=1e-12,
    )
