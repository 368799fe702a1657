"""Half precision and the published arithmetic: what the small model's numbers become."""

import copy

import pytest
import torch
from fake_language import VIEWS, asked
from torch.testing import assert_close

from framework.models.onevision import loading


def confident(model):
    """Make the expert find every patch normal beyond doubt, as it does of the normal pictures it was trained on."""
    expert = model.model.anomaly_expert
    with torch.no_grad():
        for adaptor, prompts in zip(expert.siglip_adaptors, expert.prompt_adaptors, strict=True):
            prompts.weight[:, expert.positive_embedding.shape[1] :] = 0  # the same direction for every picture
            adaptor.weight.mul_(1e-3)
            adaptor.bias.copy_(prompts(torch.cat([expert.positive_embedding[0], torch.zeros(128)])))
    return model


@torch.no_grad()
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_finite_where_the_published_arithmetic_is_not(dtype, folder, tmp_path):
    model, chat = loading.load(folder)
    confident(model).save_pretrained(tmp_path)
    chat.tokenizer.save_pretrained(tmp_path)
    model, chat = loading.load(tmp_path, dtype)
    kinds = {name: value.dtype for name, value in model.named_parameters()}
    for name, kind in kinds.items():
        assert kind == (torch.float32 if ".anomaly_expert." in name else loading.DTYPES[dtype]), name
    given = asked(chat, VIEWS)
    found = model(**given)
    assert found.logits.isfinite().all() and found.logits.dtype == loading.DTYPES[dtype]
    assert found.verdict.logits.isfinite().all() and found.verdict.maps.max() < 1e-6
    assert found.verdict.logits.dtype == found.verdict.maps.dtype == torch.float32
    said = model.generate(**given, max_new_tokens=3, min_new_tokens=3, do_sample=False)
    assert said.shape == (3, given["input_ids"].shape[1] + 3)
    model.config.expert_arithmetic = model.model.config.expert_arithmetic = "published"
    assert model(**given).verdict.logits.isnan().all()


@torch.no_grad()
def test_the_published_arithmetic_is_ours_in_float32_and_rounds_in_bfloat16(folder):
    found = {}
    for dtype in ("float32", "bfloat16"):
        model, chat = loading.load(folder, dtype)
        given = asked(chat, VIEWS)
        for kind in ("safe", "published"):
            model.model.config.expert_arithmetic = kind
            found[dtype, kind] = model(**given)
    safe, published = found["float32", "safe"], found["float32", "published"]
    assert_close(published.logits, safe.logits, rtol=0, atol=1e-4)
    assert_close(published.verdict.logits, safe.verdict.logits, rtol=0, atol=1e-4)
    safe, published = found["bfloat16", "safe"].verdict, found["bfloat16", "published"].verdict
    assert 0 < (published.maps - safe.maps).abs().max() < 0.2
    assert 0 < (published.logits.sigmoid() - safe.logits.sigmoid()).abs().max() < 0.02


def test_the_published_arithmetic_compares_scores_that_are_rounded_too(fresh):
    model, _ = fresh
    model = copy.deepcopy(model).bfloat16()
    logit = torch.tensor([-0.8477]).bfloat16().float()  # its score is 0.2997, which bfloat16 rounds to 0.3008
    slightly, moderately, _ = model.config.prefix_token_ids
    assert logit.sigmoid() < 0.3 <= logit.bfloat16().sigmoid()
    assert model.model.prefixes(logit).tolist() == [slightly]
    model.model.config.expert_arithmetic = "published"
    assert model.model.prefixes(logit).tolist() == [moderately]
