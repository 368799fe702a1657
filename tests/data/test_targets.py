from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from framework.data.crops import count
from framework.data.targets import crop_masks, label, view_targets
from framework.types import Record, Sample


def sample(anomalous=True, **fields):
    views = np.zeros((2, 3, 2, 2), np.uint8)
    record = Record(Path("x"), anomalous, "c", probability=fields.pop("probability", None))
    return Sample(record, views, **fields)


def test_without_truth_every_view_takes_the_label():
    assert view_targets(sample(True)).tolist() == [1, 1]
    assert view_targets(sample(False)).tolist() == [0, 0]


def test_annotators_probability_is_the_target():
    assert view_targets(sample(True, probability=1 / 3)).tolist() == np.float32([1 / 3, 1 / 3]).tolist()
    assert label(Record(Path("x"), True, "c", probability=0.33)) == 0.33


def test_a_slice_is_anomalous_where_its_own_pixels_are():
    truth = np.array([0, 0, 0, 0, 0, 1, 0, 0], bool)
    assert view_targets(sample(truth=truth)).tolist() == [0, 1]


def test_a_rendering_is_anomalous_where_it_shows_an_anomalous_point():
    owner = np.array([[[0, 0], [-1, 1]], [[2, 2], [-1, 0]]], np.int32)
    assert view_targets(sample(owner=owner, truth=np.array([False, True, False]))).tolist() == [1, 0]
    assert view_targets(sample(owner=owner, truth=np.array([False, False, True]))).tolist() == [0, 1]


def test_background_never_counts_as_the_last_point():
    owner = np.full((2, 2, 2), -1, np.int32)
    assert view_targets(sample(owner=owner, truth=np.array([False, True]))).tolist() == [0, 0]


def test_masks_of_crops_are_the_truth_of_their_pixels():
    truth = np.zeros((2, 2, 2), bool)
    truth[1, 0, 1] = True
    marked = np.kron(truth[1], np.ones((8, 8), bool))  # 2 x 2 pixels as 16 x 16
    found = crop_masks(sample(truth=truth.ravel()), 16, "base")
    assert found.shape == (2, 16, 16) and found.dtype == np.int8 and not found[0].any()
    inside = np.ones((16, 16), bool)
    inside[:, 6:10] = inside[6:10] = False  # bicubic between
    assert_array_equal(found[1][inside], marked[inside])


def test_masks_of_a_rendering_are_those_of_the_points_it_shows():
    owner = np.array([[[0, 0], [-1, 1]], [[2, 2], [-1, 0]]], np.int32)
    found = crop_masks(sample(owner=owner, truth=np.array([False, False, True])), 2, "base")
    assert found.tolist() == [[[0, 0], [0, 0]], [[1, 1], [0, 0]]]


@pytest.mark.parametrize(("fields", "value"), [({"anomalous": False}, 0), ({"anomalous": True}, -1)])
def test_masks_without_truth_are_normal_or_unknown(fields, value):
    assert np.unique(crop_masks(sample(**fields), 4, "base")).tolist() == [value]
    assert np.unique(crop_masks(sample(False, probability=1 / 3), 4, "base")).tolist() == [-1]


def test_every_crop_has_a_mask():
    views = np.zeros((2, 3, 16, 32), np.uint8)
    wide = Sample(Record(Path("x"), True, "c"), views, truth=np.ones(2 * 16 * 32, bool))
    found = crop_masks(wide, 16, "anyres")
    assert found.shape == (2 * count(16, 32, 16, "anyres"), 16, 16) and found.all()
