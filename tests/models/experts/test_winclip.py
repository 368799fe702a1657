"""WinCLIP against its equations, written with loops over open_clip's own modules."""

import open_clip
import pytest
import torch
from fake_clip import SIDE, STATISTICS, save_clip
from fake_towers import normalised, picture
from torch.testing import assert_close

from framework.errors import UserError
from framework.models.experts.prompts import ensemble
from framework.models.experts.winclip import WinCLIP, spread, windows
from framework.registry import build

GRID, SHARP = 4, 0.002  # drawn weights give texts that hardly differ: a smaller temperature shows them


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    return save_clip(folder), build("backbone", "open_clip", weights=str(folder), text=True)


def share(embedding, pair):
    """Softmax of two cosines / temperature, the share of the second."""
    cosines = [torch.cosine_similarity(embedding, text, dim=0) / SHARP for text in pair]
    return float(torch.stack(cosines).double().softmax(0)[1])


def by_hand(model, tokenizer, pixels, thing):
    """Score and map ``(4, 4)`` of one picture, window by window and patch by patch."""
    pair = [model.encode_text(tokenizer(part)).mean(0) for part in ensemble(thing)]
    visual = model.visual
    patches = visual.conv1(normalised(pixels[None], STATISTICS["mean"], STATISTICS["std"])).flatten(2)[0].T
    placed = torch.cat([visual.class_embedding[None], patches]) + visual.positional_embedding
    whole = share(visual(normalised(pixels[None], STATISTICS["mean"], STATISTICS["std"]))[0], pair)
    found = [[[whole] for _ in range(GRID)] for _ in range(GRID)]
    for scale in (2, 3):
        held = [[[] for _ in range(GRID)] for _ in range(GRID)]
        for top in range(GRID - scale + 1):
            for left in range(GRID - scale + 1):
                inside = [(top + r, left + c) for r in range(scale) for c in range(scale)]
                chosen = placed[[0, *[1 + r * GRID + c for r, c in inside]]][None]
                pooled = visual.ln_post(visual.transformer(visual.ln_pre(chosen)))[0, 0] @ visual.proj
                for r, c in inside:
                    held[r][c].append(share(pooled, pair))
        for r in range(GRID):
            for c in range(GRID):
                found[r][c].append(len(held[r][c]) / sum(1 / p for p in held[r][c]))
    return whole, torch.tensor([[3 / sum(1 / p for p in cell) for cell in row] for row in found])


@torch.no_grad()
def test_scores_and_maps_are_those_of_the_equations(small):
    model, backbone = small
    pixels = picture(SIDE, 3)
    verdict = WinCLIP(backbone, temperature=SHARP)(pixels, [1, 2], ["metal_nut", "cable"])
    tokenizer = open_clip.SimpleTokenizer(context_length=32)
    for crop, thing in ((0, "metal nut"), (1, "cable"), (2, "cable")):
        whole, maps = by_hand(model, tokenizer, pixels[crop], thing)
        assert_close(verdict.maps[crop], maps, rtol=1e-3, atol=1e-4)
        if crop < 2:
            assert_close(float(verdict.logits[crop].sigmoid()), whole, rtol=1e-3, atol=1e-4)
    assert verdict.maps.flatten(1).std(1).min() > 1e-3  # the windows differ
    assert verdict.tokens.shape == (3, 1, 16) and verdict.summary.shape == (2, 16)


def test_the_published_settings_are_the_defaults(small):
    made = build("expert", "winclip", 32, 16, 4, small[1])
    assert (made.scales, made.temperature) == ([2, 3], 0.07)


def test_names_that_are_no_words_are_refused(small):
    with pytest.raises(
        UserError, match=r"names=\{'01': 3\} must give categories their words, such as \{pcb1: board\}\."
    ):
        WinCLIP(small[1], {"01": 3})


def test_windows_and_their_spread_by_hand():
    assert windows((3, 3), 2).tolist() == [[0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8]]
    found = 1 / spread(1 / torch.tensor([[1.0, 0.75, 0.5, 0.25]]), (3, 3), 2)  # anomalib's own example
    expected = [[1.0, 0.8571, 0.75], [0.6667, 0.48, 0.375], [0.5, 0.3333, 0.25]]
    assert_close(found[0], torch.tensor(expected), rtol=0, atol=1e-4)


@torch.no_grad()
def test_the_name_of_the_category_decides_and_may_be_given(small):
    pixels, backbone = picture(SIDE, 1), small[1]
    nut, nothing, named = (
        WinCLIP(backbone, names)(pixels, [1], categories).logits
        for names, categories in (({}, ["metal_nut"]), ({}, []), ({"pcb1": "metal nut"}, ["pcb1"]))
    )
    assert_close(nut, named)
    assert abs(float(nut - nothing)) > 1e-4


@torch.no_grad()
def test_a_batch_is_its_crops_one_by_one(small):
    pixels, expert = picture(SIDE, 3), WinCLIP(small[1])
    together = expert(pixels, [1, 1, 1])
    alone = [expert(pixels[n : n + 1], [1]) for n in range(3)]
    assert_close(together.maps, torch.cat([v.maps for v in alone]))
    assert_close(together.logits, torch.cat([v.logits for v in alone]))


def test_it_has_nothing_to_save_and_nothing_to_train(small):
    expert = WinCLIP(small[1])
    assert not expert.state_dict() and not any(p.requires_grad for p in expert.parameters())


@pytest.mark.parametrize("scales", [(2, 5), (1,), (2, 2)])
def test_windows_that_do_not_fit_are_refused(small, scales):
    with pytest.raises(
        UserError, match=r"must be different sides of windows in patches, 2 to 4, as the backbone has 4 x"
    ):
        WinCLIP(small[1], scales=scales)
