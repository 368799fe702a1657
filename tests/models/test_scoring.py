from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.testing import assert_close

from framework.data import crops
from framework.models.experts.traits import Traits
from framework.models.scoring import PLAIN, Scoring, ViewMaps, judge, per_sample, view_logits
from framework.types import Batch, Features, Record, Sample, Verdict

SIZE = 16


def sample(name, views, height, width, owner=None, truth=None):
    return Sample(Record(Path(name), False, ""), np.zeros((views, 3, height, width), np.uint8), owner, truth)


def batch_of(samples, cut):
    views = [len(s.views) for s in samples]
    zeros = torch.zeros(len(cut))
    return Batch(None, None, cut, views, zeros, torch.ones(len(samples)), samples, list(range(len(samples))))


def verdict_of(maps):
    return Verdict(torch.zeros(1), maps, torch.zeros(1), torch.zeros(1))


def test_a_constant_map_of_each_view_stays_that_constant_in_the_views_order():
    values = [0.125, 0.5, 0.875]
    maps = torch.tensor(values)[:, None, None].expand(3, 2, 2)
    found = ViewMaps(maps, [1, 1, 1], 10, 14, SIZE, "base").stack()
    assert_close(found, torch.tensor(values)[:, None, None].expand(3, 10, 14))


def test_a_map_is_stretched_to_the_view_between_the_centres_of_its_cells():
    found = ViewMaps(torch.tensor([[[0.0, 1.0], [0.0, 1.0]]]), [1], 4, 8, SIZE, "base").stack()
    row = torch.tensor([0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1])  # centres of the cells at columns 1.5 and 5.5
    assert_close(found[0], row.expand(4, 8))


def test_a_tiled_view_is_half_its_base_crop_and_half_its_tiles():
    cut = [3, 3]  # 16 x 32 pixels: the base crop and two tiles
    values = torch.tensor([0.25, 0.5, 1.0, 0.0, 0.0, 0.5])
    found = ViewMaps(values[:, None, None].expand(6, 2, 2), cut, 16, 32, SIZE, "anyres").stack()
    assert_close(found[0, :, :12], torch.full((16, 12), (0.25 + 0.5) / 2))
    assert_close(found[0, :, 20:], torch.full((16, 12), (0.25 + 1.0) / 2))
    assert_close(found[1, :, :12], torch.zeros(16, 12))
    assert_close(found[1, :, 20:], torch.full((16, 12), 0.25))


def test_views_are_merged_when_they_are_asked_for_and_the_last_one_is_kept():
    values = torch.tensor([0.125, 0.5])
    found = ViewMaps(values[:, None, None].expand(2, 2, 2), [1, 1], 10, 14, SIZE, "base")
    first = found[0]
    assert found[0] is first
    for view in (1, 0, 1):
        assert_close(found[view], values[view].expand(10, 14))


def test_what_rounding_carries_out_of_the_range_is_brought_back():
    found = ViewMaps(torch.tensor([[[1.0 + 1e-6, -1e-6]]]), [1], 2, 2, SIZE, "base").stack()
    assert found.min() == 0 and found.max() == 1


def scored(samples, crops, values, mode):
    maps = torch.tensor(values)[:, None, None].expand(len(values), 2, 2)
    return list(per_sample(batch_of(samples, crops), verdict_of(maps), SIZE, mode))


def test_each_sample_gets_its_own_views_and_elements():
    owner = np.array([[[0, 0], [-1, 1]], [[1, 1], [1, -1]]], np.int32)
    samples = [sample("a", 2, 4, 4), sample("b", 2, 2, 2, owner, np.zeros(2, np.bool_))]
    found = scored(samples, [1] * 4, [0.125, 0.25, 0.5, 0.75], "base")
    assert [s.record.path.name for s, _, _ in found] == ["a", "b"]
    assert_close(found[0][1].stack(), torch.tensor([0.125, 0.25])[:, None, None].expand(2, 4, 4))
    assert_close(found[0][2], torch.tensor([0.125, 0.25]).repeat_interleave(16))  # pixels of both views, in order
    assert_close(found[1][2], torch.tensor([0.5, (0.5 + 3 * 0.75) / 4]))


def test_each_sample_gets_its_own_crops():
    samples = [sample("a", 1, 16, 32), sample("b", 1, 16, 32)]
    found = scored(samples, [3, 3], [1.0, 0.0, 0.0, 0.0, 0.0, 0.5], "anyres")
    for (_, _, scores), left, right in zip(found, (0.5, 0.0), (0.5, 0.25), strict=True):
        assert_close(scores.unflatten(0, (16, 32))[:, :12], torch.full((16, 12), left))
        assert_close(scores.unflatten(0, (16, 32))[:, 20:], torch.full((16, 12), right))


def test_samples_that_do_not_fit_the_batch_are_refused():
    batch = batch_of([sample("a", 1, 4, 4)], [1])
    batch.views = [1, 1]
    with pytest.raises(ValueError, match=r"zip\(\) argument 2 is longer"):
        list(per_sample(batch, verdict_of(torch.zeros(1, 2, 2)), SIZE, "base"))


class Tower(nn.Module):
    """One patch a crop: its mean; remembers how many crops came at once."""

    def __init__(self):
        super().__init__()
        self.weight, self.seen = nn.Parameter(torch.ones(())), []

    def forward(self, pixels):
        self.seen.append(len(pixels))
        found = self.weight * pixels.float().mean((1, 2, 3))[:, None, None]
        return Features([found], found, (1, 1))


def expert(features, cut):
    """The logit of a view is the mean of its crops."""
    views = torch.stack([part.mean() for part in features.final.split(cut)])
    return Verdict(views, features.final.flatten(1)[..., None] / 255, features.final, views[:, None])


def a_batch(mode, counts, keep):
    rng = np.random.default_rng(0)
    samples = [sample(str(n), n, 16, 32) for n in counts]
    for each in samples:
        each.views[:] = rng.integers(0, 255, each.views.shape, np.uint8)
    cut = [[crops.cut(view, SIZE, mode) for view in each.views] for each in samples]
    batch = batch_of(samples, [len(c) for views in cut for c in views])
    batch.pixels = None if keep else torch.from_numpy(np.concatenate([c for views in cut for c in views]))
    return batch


@pytest.mark.parametrize("keep", [False, True], ids=["cut before", "cut as needed"])
@pytest.mark.parametrize(("at_once", "seen"), [(1000, [18]), (7, [6, 6, 6]), (1, [3] * 6)])
def test_a_few_whole_views_at_a_time_give_the_verdict_of_all(keep, at_once, seen, monkeypatch):
    batch, tower = a_batch("anyres", (1, 4, 1), keep), Tower()  # 3 crops a view
    monkeypatch.setitem(crops.AT_ONCE, "cpu", at_once)
    found = judge(tower, expert, batch, SIZE, "anyres")
    assert tower.seen == seen
    pixels = a_batch("anyres", (1, 4, 1), False).pixels
    whole = expert(Tower()(pixels), batch.crops)
    for name in ("logits", "maps", "tokens", "summary"):
        assert_close(getattr(found, name), getattr(whole, name))
    assert not found.logits.requires_grad


def test_features_from_a_store_are_not_computed_again():
    batch = a_batch("base", (2,), True)
    batch.features = Features([], torch.tensor([[[3.0]], [[5.0]]]), (1, 1))
    assert judge(Tower(), expert, batch, SIZE, "base").logits.tolist() == [3, 5]


def test_a_map_is_smoothed_as_scipy_does_view_by_view():
    maps = torch.rand(2, 3, 3, generator=torch.manual_seed(0))
    plain = ViewMaps(maps, [1, 1], 24, 36, SIZE, "base").stack()
    found = ViewMaps(maps, [1, 1], 24, 36, SIZE, "base", Scoring(smooth=2.0)).stack()
    assert_close(found, torch.from_numpy(np.stack([gaussian_filter(view.numpy(), 2.0) for view in plain])))
    assert (found - plain).abs().max() > 0.01
    assert_close(ViewMaps(maps, [1, 1], 24, 36, SIZE, "base", PLAIN).stack(), plain)


def test_a_sigma_that_is_measured_on_a_square_is_stretched_with_it():
    """Smoothing a square of 48 by 4 and shrinking it is smoothing the view of 24 x 12 by 2 rows and 1 column."""
    maps = torch.rand(1, 3, 3, generator=torch.manual_seed(1))
    plain = ViewMaps(maps, [1], 24, 12, SIZE, "base")[0]
    found = ViewMaps(maps, [1], 24, 12, SIZE, "base", Scoring(smooth=4.0, smooth_on=48))[0]
    assert_close(found, torch.from_numpy(gaussian_filter(plain.numpy(), (2.0, 1.0))))


def test_points_get_the_smoothed_maps_of_their_views():
    owner = np.full((1, 8, 8), -1, np.int32)
    owner[0, 3, 4] = 0
    maps = torch.rand(1, 4, 4, generator=torch.manual_seed(2))
    one = sample("a", 1, 8, 8, owner, np.zeros(1, np.bool_))
    ((_, views, scores),) = per_sample(batch_of([one], [1]), verdict_of(maps), SIZE, "base", Scoring(smooth=1.0))
    assert_close(scores, views[0][3, 4][None])
    assert scores[0] != ViewMaps(maps, [1], 8, 8, SIZE, "base")[0][3, 4]


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("own", [0.5, 0.25]),
        ("max", [0.99, 0.5]),
        ("top1%", [(0.99 + 0.98) / 2, 0.5]),
        ("half_max_half_own", [0.745, 0.375]),
    ],
)
def test_the_score_of_a_view_follows_the_rule(rule, wanted):
    """Of 150 pixels the highest 1 % are two."""
    maps = [torch.arange(150).remainder(100).div(100).sort().values.view(10, 15), torch.full((3, 3), 0.5)]
    maps[0][-1, -3:] = torch.tensor([0.97, 0.98, 0.99])
    maps[0][-1, :-3] = 0
    maps[0][:-1] *= 0.5
    found = view_logits(torch.tensor([0.5, 0.25]).logit(), maps, Scoring(score=rule)).sigmoid()
    assert_close(found, torch.tensor(wanted), atol=1e-6, rtol=0)


def test_what_was_done_to_maps_is_said():
    assert PLAIN.words == ""
    said = Scoring(4.0, 518, "top1%").words
    assert (
        said
        == "maps smoothed by a Gaussian of 4 px of a map of 518, a view's score the mean of the highest 1 % of its map"
    )


def test_an_expert_that_reads_pixels_is_given_them():
    batch, tower = a_batch("base", (2, 1), False), Tower()

    def reading(pixels, cut):
        return expert(Tower()(pixels), cut)

    reading.traits = Traits(reads="pixels")
    found = judge(tower, reading, batch, SIZE, "base")
    assert tower.seen == []
    assert_close(found.logits, batch.pixels.float().mean((1, 2, 3)))


@pytest.mark.parametrize(("named", "told"), [(True, ["a", "b", "b", "b", "b", "c"]), (False, [""] * 6)])
def test_an_expert_that_wants_to_know_is_told_the_category_of_every_view(named, told, monkeypatch):
    batch, heard = a_batch("anyres", (1, 4, 1), False), []
    for each, category in zip(batch.samples, "abc", strict=True):
        each.record = Record(each.record.path, False, category)
    monkeypatch.setitem(crops.AT_ONCE, "cpu", 7)  # two views at a time

    def curious(features, cut, categories):
        assert len(categories) == len(cut)
        heard.extend(categories)
        return expert(features, cut)

    curious.traits = Traits(categories=True)
    judge(Tower(), curious, batch, SIZE, "anyres", named)
    assert heard == told
