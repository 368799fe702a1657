"""The published arithmetic: our expert to rounding in float32, its rounding in bfloat16, and its NaN."""

import pytest
import torch
from torch.testing import assert_close

from framework.models.experts.look_twice import LookTwice
from framework.models.experts.published import published
from framework.types import Features

CROPS = [3, 1, 2]


def expert_and_features(width=1152, grid=(27, 27), dtype=torch.float32, **sizes):
    """The published sizes unless told otherwise; features of a tower's scale, rounded to ``dtype``."""
    torch.manual_seed(0)
    expert = LookTwice(width, grid[0] * grid[1], 4, **sizes)
    features = [torch.randn(sum(CROPS), grid[0] * grid[1], width).to(dtype) for _ in range(5)]
    return expert, Features(features[:4], features[4], grid)


def relative(found, wanted):
    return ((found.float() - wanted).norm() / wanted.norm()).item()


@torch.no_grad()
def test_in_float32_it_is_our_expert():
    expert, features = expert_and_features()
    ours, theirs = expert(features, CROPS), published(expert, features, CROPS)
    for name in ("logits", "maps", "tokens", "summary"):
        assert_close(getattr(theirs, name), getattr(ours, name), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_in_bfloat16_it_rounds_as_was_measured_of_the_published_code():
    expert, features = expert_and_features(dtype=torch.bfloat16)
    ours, theirs = expert(features, CROPS), published(expert, features, CROPS)
    assert ours.tokens.dtype == torch.float32 and theirs.tokens.dtype == theirs.summary.dtype == torch.bfloat16
    assert theirs.logits.dtype == theirs.maps.dtype == torch.float32
    differences = {  # and what was measured on random features
        "map": ((theirs.maps - ours.maps).abs().max().item(), 0.011),
        "tokens": (relative(theirs.tokens, ours.tokens), 0.003),
        "summary": (relative(theirs.summary, ours.summary), 0.004),
        "score": ((theirs.logits.sigmoid() - ours.logits.sigmoid()).abs().max().item(), 0.0013),
    }
    for name, (found, measured) in differences.items():
        assert 0 < found < 3 * measured, (name, found)


def confident(gap, dtype):
    """An expert that finds every patch normal: the cosine with "normal" is ``gap`` above that with "anomalous"."""
    expert, features = expert_and_features(6, (4, 4), dtype, embedding=8, descriptor=5, attention=4, hidden=7)
    turn = torch.acos(torch.tensor(1 - gap))
    for adaptor, prompts in zip(expert.siglip_adaptors, expert.prompt_adaptors, strict=True):
        adaptor.weight.data.zero_()
        adaptor.bias.data = torch.eye(8)[0]
        prompts.weight.data.zero_()
        prompts.bias.data.zero_()
        prompts.weight.data[:2, 0] = torch.tensor([1.0, 0.0])  # of the first number of the embedding
        prompts.weight.data[:2, 1] = torch.stack([turn.cos(), turn.sin()])  # of the second
    expert.positive_embedding.data = torch.eye(8)[:1]
    expert.negative_embedding.data = torch.eye(8)[1:2]
    return expert, features


@torch.no_grad()
@pytest.mark.parametrize(
    ("dtype", "gap", "score", "tokens"),
    [  # as was measured of the published code: from which gap on scores and tokens are NaN
        (torch.float32, 0.50, False, False),
        (torch.float32, 0.60, True, False),
        (torch.float32, 1.10, True, True),
        (torch.bfloat16, 0.45, False, False),
        (torch.bfloat16, 0.55, True, False),
        (torch.bfloat16, 1.10, True, True),
        (torch.float16, 0.06, False, False),
        (torch.float16, 0.12, True, False),
        (torch.float16, 0.22, True, True),
    ],
)
def test_it_is_not_a_number_where_the_published_code_is_not_and_ours_is(dtype, gap, score, tokens):
    expert, features = confident(gap, dtype)
    theirs, ours = published(expert, features, CROPS), expert(features, CROPS)
    assert theirs.logits.isnan().all() == theirs.logits.isnan().any() == score
    assert theirs.tokens.isnan().all() == theirs.tokens.isnan().any() == tokens
    for name in ("logits", "maps", "tokens", "summary"):
        assert getattr(ours, name).isfinite().all()


@torch.no_grad()
def test_a_token_without_direction_is_not_a_number():
    expert, features = expert_and_features(6, (4, 4), embedding=8, descriptor=5, attention=4, hidden=7)
    expert.siglip_adaptors[2].bias.zero_()
    features.levels[2][4, 7] = 0
    theirs, ours = published(expert, features, CROPS), expert(features, CROPS)
    assert theirs.logits.isnan().tolist() == [False, False, True] and ours.logits.isfinite().all()
    assert theirs.maps.isnan().nonzero().tolist() == [[4, 1, 3]]


@torch.no_grad()
def test_its_parameters_stay_as_they_are():
    expert, features = expert_and_features(6, (4, 4), torch.bfloat16, embedding=8, descriptor=5, attention=4, hidden=7)
    before = {key: value.clone() for key, value in expert.state_dict().items()}
    published(expert, features, CROPS)
    assert_close(expert.state_dict(), before, rtol=0, atol=0)
