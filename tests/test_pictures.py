"""PNG files of pixels, and the two files of a map: what they hold, read back by Pillow."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from framework import colours
from framework.pictures import write_map, write_png

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("shape", "kind"), [((6, 9, 3), np.uint8), ((6, 9), np.uint8), ((6, 9), np.uint16)])
def test_pixels_are_read_back_as_they_were(tmp_path, shape, kind):
    pixels = RNG.integers(0, np.iinfo(kind).max, shape, kind, endpoint=True)
    path = write_png(tmp_path / "new" / "a.png", pixels)
    with Image.open(path) as found:
        assert found.format == "PNG"
        assert_array_equal(np.asarray(found), pixels)


def test_a_map_is_an_overlay_and_its_scores(tmp_path):
    view, scores = RNG.integers(0, 255, (3, 6, 9), np.uint8), RNG.random((6, 9), np.float32)
    scores[0, :2] = 0, 1
    told = write_map(view, scores, tmp_path / "a.v2")
    assert told == {"map": tmp_path / "a.v2.png", "scores": tmp_path / "a.v2_scores.png"}
    assert_array_equal(np.asarray(Image.open(told["map"])), colours.overlay(view.transpose(1, 2, 0), scores))
    assert_array_equal(np.asarray(Image.open(told["scores"])), np.rint(scores.astype(np.float64) * 65535))


@pytest.mark.parametrize(
    "scores", [np.zeros((5, 9)), np.full((6, 9), 1.5), np.full((6, 9), -0.1), np.full((6, 9), np.nan)]
)
def test_scores_of_another_shape_or_range_are_a_broken_promise(tmp_path, scores):
    with pytest.raises(ValueError, match=r"a: scores must be \(6, 9\) in \[0, 1\], got"):
        write_map(np.zeros((3, 6, 9), np.uint8), scores, tmp_path / "a")
    assert not list(tmp_path.iterdir())
