"""Which views of a sample are shown, and which of their pixels are anomalous."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from framework.data.instruct.views import choose, marked
from framework.types import Record, Sample

RECORD = Record(Path("x"), True, "x")
VIEWS = np.zeros((2, 3, 1, 3), np.uint8)


def test_pixels_are_the_elements_where_there_is_no_owner():
    truth = np.array([True, False, False, False, False, True])
    assert_array_equal(marked(Sample(RECORD, VIEWS, truth=truth)), [[[True, False, False]], [[False, False, True]]])
    assert marked(Sample(RECORD, VIEWS)) is None


def test_a_view_pixel_shows_its_owner_and_none_shows_nothing():
    owner = np.array([[[0, -1, 2]], [[1, 1, -1]]], np.int32)
    truth = np.array([False, True, True])  # -1 would index the last, which is anomalous
    found = marked(Sample(RECORD, VIEWS, owner, truth))
    assert found.dtype == bool
    assert_array_equal(found, [[[False, False, True]], [[True, True, False]]])
    numbered = marked(Sample(RECORD, VIEWS, owner, truth, regions=np.array([0, 2, 1], np.int32)))
    assert numbered.dtype == np.int32
    assert_array_equal(numbered, [[[0, 0, 1]], [[2, 2, 0]]])


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [(1, 4, [0]), (3, 4, [0, 1, 2]), (4, 4, [0, 1, 2, 3]), (9, 4, [1, 3, 5, 7]), (155, 1, [77])],
)
def test_views_are_spread_evenly(count, most, expected):
    assert choose(count, most, None) == expected
    assert choose(count, most, np.zeros((count, 2, 2), bool)) == expected


@pytest.mark.parametrize(
    ("best", "expected"), [(0, [0, 3, 5, 7]), (3, [1, 3, 5, 7]), (8, [1, 3, 5, 8]), (4, [1, 4, 5, 7])]
)
def test_the_view_that_shows_most_is_among_them(best, expected):
    masks = np.zeros((9, 3, 3), np.int32)
    masks[:, 0, 0] = 9  # the number of a region is not its size
    masks[best] = [[0, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert choose(9, 4, masks) == expected
