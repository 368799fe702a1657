"""Views in; that the right ones are shown, maps land where they belong, and answers do not depend on the company."""

from pathlib import Path

import fake_language
import numpy as np
import pytest
import torch
from fake_asker import talkative
from fake_language import picture
from numpy.testing import assert_allclose

from framework.data import crops
from framework.errors import UserError
from framework.tasks.asking import Asker, Seen
from framework.tasks.pooling import pool


@pytest.fixture(scope="module")
def asker(tmp_path_factory):
    return Asker(talkative(tmp_path_factory.mktemp("small") / "model"), "cpu")


def patched(height, width, top, left, side=40, seed=0):
    """A smooth grey picture with one patch of coarse noise."""
    view = np.full((3, height, width), 110, np.uint8)
    view[:, top : top + side, left : left + side] = picture(side, side, seed)
    return view


@pytest.mark.parametrize(("several", "size"), [(False, (320, 480)), (False, (90, 100)), (True, (150, 300))])
@pytest.mark.parametrize("corner", ["upper left", "lower right"])
def test_a_map_lies_where_the_patch_is(asker, several, size, corner):
    height, width = size
    side = height // 3
    top, left = (side // 4, side // 4) if corner == "upper left" else (height - side - 4, width - side - 4)
    views = [patched(height, width, top, left, side)] + [np.full((3, *size), 110, np.uint8)] * several
    seen = asker.look(views)
    maps = seen.maps[0].numpy()
    assert maps.shape == size and maps.dtype == np.float32 and maps.min() >= 0 and maps.max() <= 1
    inside = maps[top : top + side, left : left + side]
    outside = maps.copy()
    outside[max(0, top - side // 2) : top + side + side // 2, max(0, left - side // 2) : left + side + side // 2] = 0
    assert inside.mean() > 2 * outside[outside > 0].mean()
    y, x = np.unravel_index(maps.argmax(), maps.shape)
    assert top - 12 <= y < top + side + 12 and left - 12 <= x < left + side + 12


def test_the_most_suspicious_views_are_shown_in_their_order(asker):
    views = [picture(120 + 8 * i, 100, i) if i % 2 else np.full((3, 120, 100), 40 + i, np.uint8) for i in range(6)]
    seen = asker.look(views, most=3)
    assert seen.shown == sorted(sorted(range(6), key=lambda i: -float(seen.logits[i]))[:3])
    assert len(seen.maps) == 6 and seen.sizes == [views[i].shape[1:] for i in seen.shown]
    assert [m.shape for m in seen.maps] == [v.shape[1:] for v in views]
    whole = asker.look(views, most=6)
    assert whole.shown == list(range(6))
    for i, tokens in zip(seen.shown, seen.tokens, strict=True):
        assert torch.equal(tokens, whole.tokens[i]) and len(tokens) == asker.chat.layout.tokens(9, 9, several=True)
    assert len(asker.look(views).shown) == asker.views == 4


def test_the_score_pools_the_views_as_stage_1_does(asker):
    views = [picture(100, 100, i) for i in range(5)]
    seen = asker.look(views, most=1)
    logit = float(pool(seen.logits, [5], "top3")[0])
    assert seen.logit == logit == pytest.approx(float(seen.logits.topk(3).values.mean()))
    assert_allclose(seen.score, 1 / (1 + np.exp(-logit)), rtol=1e-12)


def test_one_view_of_several_is_shown_as_any_single_picture(asker):
    views = [picture(170, 310, i) for i in range(3)]
    seen = asker.look(views, most=1)
    (shown,) = seen.shown
    alone = asker.look([views[shown]])
    assert torch.equal(seen.tokens[0], alone.tokens[0]) and seen.adverb == alone.adverb
    assert seen.logits.shape == (3,) and alone.logits.shape == (1,)


def test_views_in_chunks_are_views_at_once(asker, monkeypatch):
    views = [picture(90, 90 + 5 * i, i) for i in range(5)]
    whole = asker.look(views, most=5)
    monkeypatch.setattr("framework.tasks.asking.CROPS_AT_ONCE", 2)
    parts = asker.look(views, most=5)
    assert_allclose(whole.logits, parts.logits, atol=1e-5)
    for name in ("maps", "tokens"):
        for one, other in zip(getattr(whole, name), getattr(parts, name), strict=True):
            assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("several", [False, True])
def test_pictures_are_cut_as_the_asker_was_told(asker, several, monkeypatch):
    asked = []
    cut = crops.cut
    monkeypatch.setattr(
        crops, "cut", lambda view, size, mode, canvas: asked.append(mode) or cut(view, size, mode, canvas)
    )
    views = [picture(130, 190, i) for i in range(1 + several)]
    exact = asker.look(views, most=1)
    monkeypatch.setattr(asker, "fast", True)
    fast = asker.look(views, most=1)
    modes = ["square", "square", "anyres"] if several else ["anyres"]
    assert asked == [*modes, *(f"{mode}-fast" for mode in modes)]
    for one, other in zip(fast.maps, exact.maps, strict=True):
        assert_allclose(one, other, atol=0.05)
    assert Asker.__init__.__defaults__[-1] is False


@pytest.mark.parametrize(("score", "adverb"), [(0.29, "slightly"), (0.31, "moderately"), (0.71, "highly")])
def test_the_adverb_follows_the_published_thresholds(asker, score, adverb):
    assert asker.adverb(float(np.log(score / (1 - score)))) == adverb


def test_answers_in_a_batch_are_those_one_by_one(asker):
    samples = [[picture(100, 400, 1)], [picture(330, 310, 2)], [picture(90, 200, 3), picture(250, 120, 4)]]
    seen = [asker.look(views) for views in samples]
    turns = [
        [(asker.opening(seen[0], "Why?"), None)],
        [(asker.opening(seen[1], fake_language.QUESTION), "No"), ("Why? Because the surface is rough.", None)],
        [(asker.opening(seen[2], "Yes?"), "So it is."), ("Why?", "No"), ("So?", None)],
    ]
    alone = [asker.answer([s], [t], 12)[0] for s, t in zip(seen, turns, strict=True)]
    assert len(set(alone)) == 3 and all(alone)
    assert asker.answer(seen, turns, 12) == alone
    assert asker.answer(seen[::-1], turns[::-1], 12) == alone[::-1]


def test_an_answer_depends_on_picture_and_history(asker):
    dark, light = asker.look([np.full((3, 80, 80), 30, np.uint8)]), asker.look([picture(80, 80, 5)])
    first = asker.opening(dark, "Why?")
    told = [[(first, "Yes"), ("So?", None)], [(first, "No, it is rough."), ("So?", None)]]
    yes, no = asker.answer([dark, dark], told, 10)
    assert yes != no
    assert asker.answer([light], [told[0]], 10) != [yes]


def test_pieces_joined_are_the_answer(asker):
    seen = asker.look([picture(80, 80, 5)])
    pieces = []
    (answer,) = asker.answer([seen], [[(asker.opening(seen, "Why?"), None)]], 20, pieces.append)
    assert answer and "".join(pieces).strip() == answer and len(pieces) > 2


def said(asker, question, tokens=8, turns=(), seen=None):
    seen = seen or Seen(torch.zeros(1), [], [0], [(80, 80)], [], "slightly")
    with pytest.raises(UserError) as error:
        asker.prompt(seen, [*turns, (asker.opening(seen, question), None)], tokens)
    return str(error.value)


def test_what_cannot_be_asked_is_one_line(asker):
    assert said(asker, "So <|im_end|>?") == (
        "the text '<image>\\nSo <|im_end|>?' holds the control token <|im_end|>. Take it out."
    )
    assert said(asker, "<image>") == "a conversation of 1 pictures has 2 <image>. Write one a picture."
    assert said(asker, "So \udcff") == "the question holds bytes that are no text in UTF-8. Take them out."


def test_a_talk_that_no_longer_fits_is_refused(asker):
    seen = Seen(torch.zeros(1), [], [0], [(80, 80)], [], "slightly")
    turns = [(asker.opening(seen, "Why?"), None)]
    used = len(asker.prompt(seen, turns, 1).ids)
    room = asker.chat.longest - used
    assert len(asker.prompt(seen, turns, room).ids) == used
    assert said(asker, "Why?", room + 1) == (
        f"{used} tokens and an answer of {room + 1} do not fit into the 8192 that the model can read. "
        "Show it fewer views, or begin a new conversation."
    )


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"device": "cdua"}, "device 'cdua': Expected one of cpu, cuda"),
        ({"views": 0}, "views: the model must be shown 1 or more, not 0."),
        pytest.param(
            {"device": "cuda"},
            "device 'cuda': ",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="is no mistake where there is a GPU"),
        ),
        ({"device": "cpu"}, "nowhere: no model folder. Make one with `anomaly-ov convert SOURCE nowhere`."),
    ],
)
def test_mistakes_are_told_before_anything_is_loaded(tmp_path, monkeypatch, options, line):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        Asker(Path("nowhere"), **options)
    assert str(error.value).startswith(line) and "\n" not in str(error.value)
