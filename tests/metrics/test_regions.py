"""Connected regions in pictures and scans, and coarse histograms of one sample."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from framework.metrics import regions
from framework.metrics.ranking import AnomalyCurves
from framework.metrics.regions import coarse, components, shown_components


def draw(*rows):
    return np.array([[c == "#" for c in row] for row in rows])


def test_corners_connect_in_a_picture():
    truth = draw("#....", ".#..#", "....#")
    numbers = components(truth[None]).reshape(truth.shape)
    assert numbers.dtype == np.int32
    np.testing.assert_array_equal(numbers, [[1, 0, 0, 0, 0], [0, 1, 0, 0, 2], [0, 0, 0, 0, 2]])


def test_corners_connect_across_the_slices_of_a_scan():
    first, second, third = draw("#..", "..."), draw("...", ".#."), draw("#..", "...")
    numbers = components(np.stack([first, second, third]))
    assert numbers.max() == 1
    assert components(np.stack([first, np.zeros_like(first), third])).max() == 2


def test_the_order_is_that_of_the_flattened_truth():
    truth = np.zeros((3, 5, 7), bool)
    truth[1, 2, 3] = truth[2, 4, 6] = True
    np.testing.assert_array_equal(np.flatnonzero(components(truth)), np.flatnonzero(truth))


@pytest.mark.parametrize("share", [0.001, 0.05, 0.3, 1])
def test_a_large_volume_with_few_anomalous_voxels_is_numbered_alike(share, monkeypatch):
    rng = np.random.default_rng(0)
    for shape in [(7, 6, 5), (9, 4, 12), (1, 9, 9), (4, 1, 8), (6, 5, 1), (1, 1, 1)]:
        truth = rng.random(shape) < share
        monkeypatch.setattr(regions, "LARGE", 1 << 18)
        expected = components(truth)
        monkeypatch.setattr(regions, "LARGE", 0)
        monkeypatch.setattr(regions, "SPARSE", 1)
        np.testing.assert_array_equal(components(truth), expected)
        np.testing.assert_array_equal(expected.reshape(shape), ndimage.label(truth, np.ones((3, 3, 3)))[0])


def test_the_ends_of_rows_and_planes_do_not_touch(monkeypatch):
    monkeypatch.setattr(regions, "LARGE", 0)
    monkeypatch.setattr(regions, "SPARSE", 1)
    truth = np.zeros((3, 4, 5), bool)
    truth[0, 0, 4] = truth[0, 2, 0] = truth[0, 3, 4] = truth[1, 0, 0] = truth[2, 3, 3] = True
    assert components(truth).max() == 5


def test_a_normal_sample_has_no_region():
    np.testing.assert_array_equal(components(np.zeros((2, 3, 4), bool)), np.zeros(24, np.int32))


def test_truth_without_a_view_axis_is_refused():
    with pytest.raises(ValueError, match=r"\(V, H, W\), got \(3, 4\)"):
        components(np.zeros((3, 4), bool))


def test_a_coarse_histogram_counts_each_class_and_shares_regions_out():
    scores = np.array([0.0, 0.5, 0.5, 1.0, 1.0, 0.73], np.float32)  # 0.73 has logit 0.99
    truth = np.array([0, 0, 1, 1, 0, 1], bool)
    hist, count = coarse(scores, truth, np.array([9, 0, 2, 2, 0, 5], np.int32))
    expected = np.zeros((3, 512))
    expected[0, [0, 256, 511]] = 1
    expected[1, [256, 511, 256 + 15]] = 1
    expected[2, [256, 511, 256 + 15]] = 0.5, 0.5, 1
    np.testing.assert_array_equal(hist, expected)
    assert (hist.dtype, count) == (np.float32, 2)


def test_coarse_takes_tensors_logits_and_no_regions():
    logits = torch.tensor([-40.0, -0.01, 3.01, 15.99, 40.0])
    hist, count = coarse(logits, torch.tensor([0, 0, 1, 1, 1]), bins=32, scores_kind="logit")
    assert np.flatnonzero(hist[0]).tolist() == [0, 15]
    assert hist[1, [19, 31]].tolist() == [1, 2]
    assert count == 0 and not hist[2].any()


@pytest.mark.parametrize("marked", [0, 40])
def test_coarse_adds_up_what_the_curves_have_counted(marked):
    rng = np.random.default_rng(0)
    scores = torch.from_numpy(rng.random(5000, np.float32))
    scores[:3] = torch.tensor([0.0, 1.0, 1e-38])
    truth = torch.zeros(5000, dtype=torch.bool)
    truth[rng.permutation(5000)[:marked]] = True
    numbers = (torch.arange(5000) % 3 + 1).int() * truth
    curves = AnomalyCurves(["all"], "probability", regions=True)
    curves.update(scores, truth, numbers)
    wanted, count = coarse(scores, truth, numbers)
    found = coarse(scores, truth, numbers, counted=curves.hist[0, :2].sum(0))
    np.testing.assert_array_equal(found[0], wanted)
    assert found[0][0].sum() == 5000 - marked and found[1] == count == (3 if marked else 0)


def test_the_coarse_axis_is_one_for_logits_and_probabilities():
    logits = (torch.arange(-190, 190, dtype=torch.float64) + 0.4) / 16  # 512 bins are a sixteenth wide
    truth = torch.zeros(380)
    by_logit, _ = coarse(logits, truth, scores_kind="logit")
    by_probability, _ = coarse(logits.sigmoid(), truth)
    np.testing.assert_array_equal(by_logit, by_probability)
    assert by_logit[0].max() == 1


def test_coarse_of_nothing_is_empty_and_of_bad_scores_refused():
    hist, count = coarse(np.zeros(0, np.float32), np.zeros(0, bool))
    assert not hist.any() and count == 0
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        coarse(np.array([2.0]), np.array([True]))


def test_regions_of_elements_that_pixels_show_are_patches_of_any_view():
    truth = np.array([1, 1, 0, 1, 1, 1, 1, 0], bool)
    owner = np.array(
        [
            [[0, 0, 2, 3], [2, 1, 2, 3], [2, 2, 2, 2]],  # 0 and 1 touch; 3 is apart
            [[4, 2, 3, 2], [2, 5, 2, 2], [-1, 2, 2, 7]],  # 4 and 5 touch at a corner, 3 and 5 too; 6 is seen nowhere
        ]
    )
    assert shown_components(truth, owner).tolist() == [1, 1, 0, 2, 2, 2, 3, 0]
    assert shown_components(np.zeros(8, bool), owner).tolist() == [0] * 8
