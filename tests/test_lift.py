"""View maps come back to pixels, points and voxels."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.testing import assert_close

from framework.lift import lift, seen_by
from framework.types import Record, Sample

RECORD = Record(Path("part.pcd"), anomalous=False, category="part")


def sample(owner, truth=None, stand_in=None):
    owner = np.asarray(owner, np.int32)
    return Sample(
        RECORD,
        np.zeros((len(owner), 3, *owner.shape[1:]), np.uint8),
        owner,
        None if truth is None else np.asarray(truth, bool),
        None if stand_in is None else np.asarray(stand_in, np.int32),
    )


def test_lift_averages_the_pixels_that_show_an_element():
    maps = torch.tensor([[[0.2, 0.4], [1.0, 0.6]]])  # (V=1, 2, 2)
    seen = sample([[[0, 0], [-1, 1]]], stand_in=[0, 1, 0])  # element 2 is seen nowhere, 0 lies nearest
    assert_close(lift(maps, seen), torch.tensor([0.3, 0.6, 0.3]))


def test_pixels_of_all_views_count_and_those_that_show_nothing_do_not():
    maps = torch.tensor([[[0.1, 9.0]], [[0.4, 0.7]], [[0.7, 0.2]]])
    assert_close(lift(maps, sample([[[0, -1]], [[0, 1]], [[0, 2]]])), torch.tensor([0.4, 0.7, 0.2]))


def test_without_owner_the_pixels_are_the_elements_in_order():
    scan = Sample(RECORD, np.zeros((2, 3, 3, 4), np.uint8))
    maps = torch.arange(24, dtype=torch.float64).reshape(2, 3, 4)
    assert_close(lift(maps, scan), torch.arange(24, dtype=torch.float32))


@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))],
)
def test_equals_a_loop_over_elements(device):
    generator = np.random.default_rng(0)
    owner = generator.integers(-1, 40, (3, 16, 20)).astype(np.int32)
    owner[owner % 7 == 3] = -1
    maps = generator.random((3, 16, 20), np.float32)
    stand_in = np.array([e if e % 7 != 3 else e - 1 for e in range(40)])
    means = np.array([maps[owner == e].mean(dtype=np.float64) if e % 7 != 3 else np.nan for e in range(40)])
    ours = lift(torch.from_numpy(maps).to(device), sample(owner, np.zeros(40), stand_in))
    assert ours.dtype == torch.float32 and ours.device.type == device
    assert_allclose(ours.cpu(), means[stand_in].astype(np.float32), rtol=1e-7)


def test_a_million_pixels_of_one_element_lose_no_digit():
    maps = torch.full((1, 1000, 1000), 0.1)
    maps[0, 0, 0] = 1e-30
    scores = lift(maps, sample(np.pad(np.zeros((1, 1000, 999)), ((0, 0), (0, 0), (0, 1)), constant_values=1)))
    assert_allclose(scores, [0.1 * 998_999 / 999_000, 0.1], rtol=1e-7)


def test_small_scores_keep_their_order():
    assert (lift(torch.tensor([[[1e-30, 2e-30, 1.0]]]), sample([[[0, 1, 2]]])).diff() > 0).all()


def test_the_number_of_threads_does_not_matter():
    generator, threads = np.random.default_rng(0), torch.get_num_threads()
    maps = torch.from_numpy(generator.random((4, 300, 300), np.float32))
    owner = sample(generator.integers(0, 50, (4, 300, 300)))
    try:
        torch.set_num_threads(1)
        one = lift(maps, owner)
        torch.set_num_threads(4)
        assert all(torch.equal(lift(maps, owner), one) for _ in range(5))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (sample([[[0, 5]]], truth=[0, 0, 0]), "a view shows element 5 of 3"),
        (sample([[[0, 1]]], truth=[0, 0, 0]), "1 of 3 elements are shown by no view"),
        (sample([[[0, 2]]], stand_in=[0, 1, 2]), "1 of 3 elements are shown by no view"),
        (sample([[[0, 1]]], truth=[0, 0, 0], stand_in=[0, 1]), "2 stand-ins for 3 elements"),
        (sample([[[0, 1], [0, 1]]]), r"maps of shape \(1, 1, 2\) for views of shape \(1, 2, 2\)"),
    ],
)
def test_a_broken_promise_names_the_file(broken, message):
    with pytest.raises(ValueError, match=rf"^part\.pcd: {message}"):
        lift(torch.zeros(1, 1, 2), broken)


def placed(place, maps, **options):
    """A sample of views of 2 x 2 pixels that show elements at ``place``, and its lifted maps."""
    place = np.asarray(place, np.int32)
    owner = np.zeros((len(place), 2, 2), np.int32)
    seen = Sample(RECORD, np.zeros((len(place), 3, 2, 2), np.uint8), owner, place=place, **options)
    return seen, lift(torch.tensor(maps), seen)


MAPS = [[[0.2, 0.4], [0.6, 0.8]], [[1.0, 0.0], [0.5, 0.3]]]


def test_each_element_is_the_mean_of_the_pixels_where_views_show_it():
    stand_in = np.array([0, 1, 1], np.int32)  # 2 is hidden in both views
    seen, found = placed([[0, 3, -1], [2, -1, -1]], MAPS, stand_in=stand_in)
    assert_close(found, torch.tensor([(0.2 + 0.5) / 2, 0.8, 0.8]))
    assert seen_by(seen).tolist() == [2, 1, 0]


def test_elements_may_share_a_pixel_which_owning_pixels_cannot():
    _, found = placed([[1, 1, 1]], MAPS[:1])
    assert_close(found, torch.tensor([0.4, 0.4, 0.4]))


def test_views_join_by_maximum_or_by_weight():
    place = [[0, 3], [2, 1]]
    assert_close(placed(place, MAPS, fuse="max")[1], torch.tensor([0.5, 0.8]))
    weight = np.array([[1, 0.25], [0.5, 0.75]], np.float16)
    assert_close(placed(place, MAPS, weight=weight)[1], torch.tensor([(0.2 + 0.25) / 1.5, 0.2]))


def test_a_view_of_no_weight_that_alone_shows_an_element_still_tells_its_score():
    _, found = placed([[3]], MAPS[:1], weight=np.zeros((1, 1), np.float16))
    assert_close(found, torch.tensor([0.8]))


def test_a_place_outside_of_the_view_is_refused():
    with pytest.raises(ValueError, match="an element lies at pixel 4 of 4"):
        placed([[4]], MAPS[:1])
