"""AnomalyCLIP against its published code, written again with loops over open_clip's own modules."""

import inspect
import math

import open_clip
import pytest
import torch
from fake_clip import SIDE, STATISTICS, save_clip
from fake_towers import normalised, picture
from torch.nn.functional import cross_entropy, interpolate, linear
from torch.testing import assert_close

from framework.errors import UserError
from framework.models.checkpoints import load_expert_weights
from framework.models.experts.anomalyclip import AnomalyCLIP
from framework.registry import build, get
from framework.types import Batch

LEVELS, SIZES = [1, 3, 5], {"length": 4, "depth": 3, "tokens": 2, "second_path": 4, "temperature": 0.07}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    model = save_clip(folder)
    backbone = build("backbone", "open_clip", weights=str(folder), blocks=LEVELS, text=True)
    torch.manual_seed(3)
    expert = AnomalyCLIP(backbone, **SIZES)
    for parameter in expert.parameters():
        if parameter.requires_grad:
            parameter.data *= 20  # at 0.02 the learned tokens hardly show
    return model, expert


def texts(model, expert):
    """``(2, D)`` unit directions: "[V] object." and "[W] damaged object." (prompt_ensemble.py, encode_text_learn)."""
    tokenizer, found = open_clip.SimpleTokenizer(context_length=32), []
    for context, words in ((expert.ctx_pos, "object."), (expert.ctx_neg, "damaged object.")):
        ids = tokenizer("X X X X " + words)
        x = model.token_embedding(ids)
        x = torch.cat([x[:, :1], context[0], x[:, 5:]], 1) + model.positional_embedding
        for number, block in enumerate(model.transformer.resblocks):
            if 1 <= number <= len(expert.compound_prompts_text):
                x = torch.cat([x[:, :1], expert.compound_prompts_text[number - 1][None], x[:, 3:]], 1)
            x = block(x, attn_mask=model.attn_mask)
        found.append(model.ln_final(x)[0, ids.argmax()] @ model.text_projection)
    found = torch.stack(found)
    return found / found.norm(dim=-1, keepdim=True)


def attend(attention, x, same):
    """Published ``Attention``: queries, keys and values of one matrix; ``same``: all three are the values."""
    n, t, c = x.shape
    qkv = linear(x, attention.in_proj_weight, attention.in_proj_bias)
    q, k, v = qkv.reshape(n, t, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    if same:
        q = k = v
    weights = (q @ k.transpose(-2, -1) / math.sqrt(c // attention.num_heads)).softmax(-1)
    return linear((weights @ v).transpose(1, 2).reshape(n, t, c), attention.out_proj.weight, attention.out_proj.bias)


def pictures(model, pixels):
    """Class tokens ``(N, D)`` and patches of each level ``(N, P, D)``, units (``AnomalyCLIP_forward``)."""
    visual, found = model.visual, []
    x = visual._embeds(normalised(pixels, STATISTICS["mean"], STATISTICS["std"]))
    local = None
    for number, block in enumerate(visual.transformer.resblocks):
        normed = block.ln_1(x)
        if number >= 6 - SIZES["second_path"]:
            local = (x if local is None else local) + attend(block.attn, normed, same=True)
        x = x + attend(block.attn, normed, same=False)
        x = x + block.mlp(block.ln_2(x))
        if number in LEVELS:
            patches = visual.ln_post(x if local is None else local) @ visual.proj
            found.append(patches[:, 1:] / patches[:, 1:].norm(dim=-1, keepdim=True))
    whole = x[:, 0] @ visual.proj  # no ln_post
    return whole / whole.norm(dim=-1, keepdim=True), found


@torch.no_grad()
def test_scores_and_maps_are_those_of_the_published_code(small):
    model, expert = small
    pixels, pair = picture(SIDE, 3), texts(*small)
    verdict, (whole, levels) = expert(pixels, [2, 1]), pictures(model, pixels)
    assert_close(verdict.logits.sigmoid(), (whole @ pair.T / 0.07).softmax(-1)[[0, 2], 1], rtol=1e-4, atol=1e-6)
    shares = [(level @ pair.T / 0.07).softmax(-1) for level in levels]
    by_hand = torch.stack([(s[..., 1] + 1 - s[..., 0]) / 2 for s in shares]).mean(0)  # theirs is the sum
    assert_close(verdict.maps, by_hand.reshape(3, 4, 4), rtol=1e-4, atol=1e-6)
    assert verdict.maps.flatten(1).std(1).min() > 1e-3


def focal(shares, truth):
    """``FocalLoss`` of loss.py for ``(2, S, S)`` shares of one picture."""
    hot = torch.stack([1 - truth, truth]).clamp(1e-5, 1 - 1e-5)
    right = (hot * shares).sum(0) + 1e-5
    return (-((1 - right) ** 2) * right.log()).mean()


def dice(share, truth):
    return 1 - (2 * (share * truth).sum() + 1) / (share.sum() + truth.sum() + 1)


def batch_of(pixels, crops, targets, masks):
    return Batch(pixels, None, crops, [1] * len(crops), targets, torch.ones(len(crops)), [], [0], masks=masks)


def masks_of(*known):
    masks = torch.zeros(len(known), SIDE, SIDE, dtype=torch.int8)
    for n, here in enumerate(known):
        masks[n, 10:30, 20 : 40 + n] = here
    return masks


def test_the_loss_is_the_published_one(small):
    model, expert = small
    pixels, pair, masks = picture(SIDE, 2), texts(*small), masks_of(1, 0)
    found = expert.losses(pixels, batch_of(pixels, [1, 1], torch.tensor([1.0, 0.0]), masks))
    whole, levels = pictures(model, pixels)
    for n in range(2):
        expected = cross_entropy(whole[n : n + 1] @ pair.T / 0.07, torch.tensor([1 - n]))
        for level in levels:
            shares = (level[n] @ pair.T / 0.07).softmax(-1).reshape(4, 4, 2).permute(2, 0, 1)
            shares, truth = interpolate(shares[None], SIDE, mode="bilinear")[0], masks[n].float()
            expected = expected + 4 * (focal(shares, truth) + dice(shares[1], truth) + dice(shares[0], 1 - truth))
        assert_close(found[n], expected, rtol=1e-4, atol=1e-5)


def test_a_mask_that_nobody_knows_leaves_only_the_score(small):
    pixels, expert = picture(SIDE, 2), small[1]
    unknown = torch.full((2, SIDE, SIDE), -1, dtype=torch.int8)
    found = expert.losses(pixels, batch_of(pixels, [2], torch.tensor([1.0]), unknown))
    assert_close(found, torch.nn.functional.softplus(-expert(pixels, [2]).logits))


def test_only_the_tokens_learn_and_all_of_them_do(small):
    pixels, expert = picture(SIDE, 2), small[1]
    expert.losses(pixels, batch_of(pixels, [1, 1], torch.tensor([1.0, 0.0]), masks_of(1, 0))).sum().backward()
    moved = {name for name, p in expert.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert (
        moved
        == {"ctx_pos", "ctx_neg", "compound_prompts_text.0", "compound_prompts_text.1"}
        == set(expert.state_dict())
    )
    optimizer = expert.optimizer(1e-3)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 4
    assert optimizer.defaults["betas"] == (0.5, 0.999)


def test_a_published_file_of_prompts_loads(small, tmp_path):
    expert = small[1]
    other = AnomalyCLIP(expert.backbone, **SIZES)
    theirs = {key: value.half() for key, value in expert.state_dict().items()}
    theirs |= {"token_prefix_pos": torch.zeros(1, 1, 1, 16), "tokenized_prompts_neg": torch.zeros(1, 1, 32).int()}
    theirs |= {"token_suffix_neg": torch.zeros(1, 1, 27, 16), "compound_prompt_projections.0.bias": torch.zeros(896)}
    torch.save({"prompt_learner": theirs}, tmp_path / "epoch_15.pth")
    load_expert_weights(tmp_path / "epoch_15.pth", other)
    assert_close(other.pair(), expert.pair(), rtol=0.02, atol=0.02)
    assert other.ctx_pos.dtype == torch.float32 and torch.equal(other.ctx_neg, expert.ctx_neg.half().float())


def test_the_published_settings_are_the_defaults():
    defaults = {name: p.default for name, p in inspect.signature(get("expert", "anomalyclip")).parameters.items()}
    assert (defaults["length"], defaults["depth"], defaults["tokens"]) == (12, 9, 4)
    assert (defaults["temperature"], defaults["second_path"]) == (0.07, None) and 24 - 24 * 5 // 24 == 19


def test_the_second_path_begins_at_5_of_24_and_the_tokens_have_the_published_shapes(small):
    expert = AnomalyCLIP(small[1].backbone, **{**SIZES, "second_path": None})
    assert expert.first == 1  # 6 blocks
    assert small[1].ctx_pos.shape == (1, 1, 4, 16) and small[1].compound_prompts_text[1].shape == (2, 16)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"length": 28}, r"length=28 must be 1 to 27; its text tower reads 32 tokens\."),
        ({"depth": 4}, r"depth=4 must be 1 to 3; its text tower has 3 blocks\."),
        ({"tokens": 5}, r"tokens=5 must be 1 to 4; length is 4\."),
        ({"second_path": 7}, r"second_path=7 must be 1 to 6; its image tower has 6 blocks\."),
        ({"temperature": 0.0}, r"temperature=0.0 must be above 0\."),
    ],
)
def test_sizes_that_do_not_fit_the_towers_are_refused(small, changes, message):
    with pytest.raises(UserError, match=message):
        AnomalyCLIP(small[1].backbone, **{**SIZES, **changes})


def test_a_text_tower_of_another_make_is_refused(small, monkeypatch):
    words = small[1].backbone.words
    monkeypatch.setattr(words, "model", torch.nn.ModuleDict({"text": torch.nn.Linear(1, 1)}))
    with pytest.raises(UserError, match="prompts cannot be learned for its text tower"):
        _ = words.blocks
