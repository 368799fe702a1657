"""Views in; that the right ones are shown, maps land where they belong, and answers do not depend on the company."""

from pathlib import Path

import fake_language
import numpy as np
import pytest
import torch
from fake_asker import talkative
from fake_language import picture
from numpy.testing import assert_allclose
from transformers.utils import is_flash_attn_2_available

from framework.errors import UserError
from framework.tasks import seeing
from framework.tasks.asking import Asker
from framework.tasks.pooling import pool
from framework.tasks.seeing import Seen


@pytest.fixture(scope="module")
def asker(tmp_path_factory):
    return Asker(talkative(tmp_path_factory.mktemp("small") / "model"), "cpu")


def patched(height, width, top, left, side=40, seed=0):
    """A smooth grey picture with one patch of coarse noise."""
    view = np.full((3, height, width), 110, np.uint8)
    view[:, top : top + side, left : left + side] = picture(side, side, seed)
    return view


def same(one, other):
    assert one.shown == other.shown and one.sizes == other.sizes and one.adverb == other.adverb
    assert_allclose(one.logits, other.logits, atol=1e-5)
    for name in ("maps", "tokens"):
        for a, b in zip(getattr(one, name), getattr(other, name), strict=True):
            assert_allclose(a, b, atol=1e-4)


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
    monkeypatch.setattr("framework.tasks.seeing.CROPS_AT_ONCE", 2)
    parts = asker.look(views, most=5)
    same(whole, parts)


@pytest.mark.parametrize("most", [1, 3])
@pytest.mark.parametrize(("crops", "passes"), [(1, None), (4, None), (64, {1: 2, 3: 1})])
def test_samples_together_are_samples_alone(asker, monkeypatch, most, crops, passes):
    samples = [
        [picture(90, 120 + 9 * i, 10 * i + v) for v in range(views)] for i, views in enumerate([3, 1, 1, 2, 4, 1])
    ] + [[picture(90, 300, 99)], [picture(330, 310, 98)]]
    alone = [asker.look(views, most) for views in samples]
    counted, encode = [], seeing.encode
    monkeypatch.setattr(seeing, "encode", lambda *a: counted.append([len(p.crops) for p in a[1]]) or encode(*a))
    monkeypatch.setattr(seeing, "CROPS_AT_ONCE", crops)
    together = asker.look_all(iter(samples), most)
    assert len({tuple(seen.logits.tolist()) for seen in alone}) == len(samples) == len(together)
    for one, other in zip(alone, together, strict=True):
        same(one, other)
    assert all(sum(found) <= crops or len(found) == 1 for found in counted)
    assert sum(map(len, counted)) == 14 + (3 if most == 1 else 0)  # views, and one of several again as a whole
    if passes:
        assert len(counted) == passes[most]


def test_no_samples_are_none(asker):
    assert asker.look_all([]) == []


def test_a_map_is_merged_only_where_somebody_looks(asker, monkeypatch):
    merged, merge = [], seeing.cropping.merge
    monkeypatch.setattr(seeing.cropping, "merge", lambda *a: merged.append(a[1:3]) or merge(*a))
    seen = asker.look([picture(80, 90, 1), picture(100, 70, 2)])
    asker.answer([seen], [[(asker.opening(seen, "Why?"), None)]], 2)
    assert not merged
    assert seen.maps[1].shape == (100, 70) and merged == [(100, 70)]
    assert [m.shape for m in seen.maps] == [(80, 90), (100, 70)] == [m.shape for m in seen.maps[:2]]
    with pytest.raises(IndexError):
        seen.maps[2]


@pytest.mark.parametrize(("score", "adverb"), [(0.29, "slightly"), (0.31, "moderately"), (0.71, "highly")])
def test_the_adverb_follows_the_published_thresholds(asker, score, adverb):
    assert seeing.adverb(asker.model, float(np.log(score / (1 - score)))) == adverb


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


@pytest.mark.parametrize(("part", "what"), [("model.get_image_features", "look"), ("generate", "answer")])
def test_a_device_without_room_is_one_line(asker, monkeypatch, part, what):
    seen = asker.look([picture(80, 80, 5)])
    owner = asker.model.model if part.startswith("model.") else asker.model

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee documentation")

    monkeypatch.setattr(owner, part.removeprefix("model."), full)
    with pytest.raises(UserError) as error:
        if what == "look":
            asker.look([picture(80, 80, 5)])
        else:
            asker.answer([seen], [[(asker.opening(seen, "Why?"), None)]], 4)
    assert str(error.value) == (
        f"device cpu: no room to {what}. Ask about fewer samples at once (test_batch_size), show fewer views "
        "(answer.views, --views), or take bfloat16 (model.dtype, --dtype)."
    )


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


def test_the_attention_that_is_asked_for_is_taken(asker, tmp_path):
    folder = talkative(tmp_path / "model")
    views = [picture(100, 400, 1)]
    eager = Asker(folder, "cpu", attention="eager")
    assert eager.model.config.text_config._attn_implementation == "eager"
    assert asker.model.config.text_config._attn_implementation == "sdpa"
    one, other = asker.look(views), eager.look(views)
    turns = [[(asker.opening(one, "Why?"), None)]]
    assert asker.answer([one], turns, 12) == eager.answer([other], turns, 12)


@pytest.mark.skipif(is_flash_attn_2_available(), reason="is no mistake where it is installed")
def test_an_attention_that_is_not_installed(tmp_path):
    with pytest.raises(UserError) as error:
        Asker(talkative(tmp_path / "model"), "cpu", attention="flash_attention_2")
    line = str(error.value)
    assert line.startswith("attention 'flash_attention_2': not installed here (") and "\n" not in line
    assert line.endswith(" Install it, or set model.attention=sdpa.")


def test_flash_attention_in_full_precision_is_told_before_it_fails(asker, monkeypatch):
    monkeypatch.setattr("framework.tasks.asking.tuned.load", lambda *_: (asker.model, asker.chat))
    with pytest.raises(UserError) as error:
        Asker(Path("model"), "cpu", attention="flash_attention_2")
    assert str(error.value) == (
        "attention 'flash_attention_2': works on a GPU in bfloat16 or float16, not in torch.float32 on cpu. "
        "Set model.dtype=bfloat16, or model.attention=sdpa."
    )
