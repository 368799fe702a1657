"""Views in; that the right ones are shown, maps land where they belong, and no sample depends on its company."""

import numpy as np
import pytest
import torch
from fake_asker import talkative
from fake_language import picture
from numpy.testing import assert_allclose

from framework.data import crops as cropping
from framework.tasks import seeing
from framework.tasks.asking import Asker
from framework.tasks.pooling import pool


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
    monkeypatch.setitem(cropping.AT_ONCE, "cpu", 2)
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
    monkeypatch.setitem(cropping.AT_ONCE, "cpu", crops)
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
