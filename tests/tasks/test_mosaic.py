"""Slices of a scan -> the most suspicious of them, spread out, in their proportions, with the truth around it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from framework.colours import overlay
from framework.tasks import mosaic
from framework.tasks.showing import show
from framework.types import Record, Sample

V, H, W = 40, 8, 6


class Lazy:
    """Maps that remember which were asked for."""

    def __init__(self):
        self.asked = []

    def __len__(self):
        return V

    def __getitem__(self, view):
        self.asked.append(view)
        return torch.full((H, W), view / V)


class Back:
    """Views are the elements, in order."""

    shape = (V, H, W)

    def show(self, values, view):
        return values.reshape(self.shape)[view]


class Reader:
    """A domain whose samples are slices."""

    element, script = "voxel", Path(__file__).parents[2] / "domains/medical/viewer.js"

    def scene(self, sample):
        return scene() | {
            "elements": np.arange(3, dtype=np.int32),
            "notes": np.array(["mind this"]),
            "shape": np.array([1, 1, 3]),
        }


def scene(planes=("axial",) * V, step=2.0):
    return {
        "planes": np.array(planes),
        "numbers": np.arange(len(planes)) + 11,
        "positions_mm": np.arange(len(planes)) * step - 30,
        "pixel_mm": np.tile([3.0, 1.0], (len(planes), 1)),
        "sides": np.tile(["R", "L", "S", "I"], (len(planes), 1)),
    }


@pytest.fixture
def sample():
    views = np.random.default_rng(0).integers(0, 255, (V, 3, H, W), np.uint8)
    truth = np.zeros((V, H, W), bool)
    truth[20, 2:5, 2:5] = True
    captions = tuple(f"slice {i}" for i in range(V))
    return Sample(Record(Path("a.nii"), False, ""), views, truth=truth.ravel(), back=Back(), captions=captions)


def test_neighbours_of_a_suspicious_slice_leave_room_for_others():
    scores = np.exp(-(((np.arange(100) - 50) / 10) ** 2))
    found = mosaic.chosen(scores, ["axial"] * 100, np.arange(100) * 1.0)
    assert found[0] == 50 and len(found) == mosaic.MOST
    assert np.diff(np.sort(found)).min() >= 99 / mosaic.APART
    assert list(scores[found]) == sorted(scores[found], reverse=True)


def test_thick_slices_may_be_neighbours_and_planes_do_not_hide_each_other():
    assert mosaic.chosen([0.1, 0.9, 0.8, 0.2], ["axial"] * 4, np.arange(4) * 5.0) == [1, 2, 3, 0]
    planes = ["axial"] * 50 + ["coronal"] * 50
    found = mosaic.chosen([1.0, 0.9, *[0.0] * 48] * 2, planes, np.tile(np.arange(50.0), 2))
    assert found[:2] == [0, 50] and 1 not in found and 51 not in found


def test_slices_that_lie_on_one_place_are_all_shown():
    assert mosaic.chosen([0.5, 0.5], ["axial"] * 2, np.zeros(2)) == [0, 1]


def test_only_the_maps_of_what_is_shown_are_asked_for_and_pixels_become_square(sample):
    maps = Lazy()
    first, second = mosaic.pictures(sample, maps, scene(), np.linspace(0, 1, V), [20, 4])
    assert maps.asked == [20, 4] and (first.number, first.caption, second.score) == (20, "slice 20", 4 / (V - 1))
    assert first.picture.shape == first.overlay.shape == (512, 128, 3)  # 24 x 6 mm
    cyan = (first.overlay == mosaic.EDGE).all(-1)
    rows, columns = np.flatnonzero(cyan.any(1)), np.flatnonzero(cyan.any(0))
    assert_allclose([rows[0], rows[-1] + 1], [2 * 64, 5 * 64], atol=1)
    assert_allclose([columns[0], columns[-1] + 1], np.array([2, 5]) * 128 / 6, atol=1)
    assert not cyan[200:220, 60:70].any() and not (second.overlay == mosaic.EDGE).all(-1).any()
    flat = overlay(sample.views[4].transpose(1, 2, 0), np.full((H, W), 4 / V))
    assert_allclose(second.overlay[32, 10], flat[0, 0], atol=2)  # the middle of a pixel


def test_the_sheet_tells_where_slices_lie_and_how_long_a_bar_is(sample):
    views = mosaic.pictures(sample, Lazy(), scene(), np.linspace(0, 1, V), [20, 4])
    made = mosaic.sheet(views, H, scene(), "name", ["score 0.5"])
    words = [text[-1] for text in made.texts]
    assert {"0.51 · slice 20", "0.10 · slice 4", "1 mm"} <= set(words)
    assert words.count("R") == words.count("I") == 4  # above and below
    assert_allclose([box[2] / made.images[1][2] for box in made.boxes], 1 / 6)


def test_what_is_told_are_plain_values():
    assert mosaic.told(scene(), [0.25] * V, [2]) == [{"plane": "axial", "number": 13, "mm": -26.0, "score": 0.25}]


def test_a_scan_has_a_page_of_its_slices_and_the_truth_as_an_outline(sample, tmp_path):
    told = {"file": "in/a.nii", "score": 0.25, "view_scores": np.linspace(0, 1, V).tolist()}
    found = show(Reader(), sample, np.linspace(0, 1, V * H * W), Lazy(), tmp_path / "a", told)
    assert [s["number"] for s in found["slices"][:2]] == [50, 48] and len(found["slices"]) == mosaic.MOST
    assert found["picture"].exists() and found["pdf"].exists()
    text = found["viewer"].read_text()
    assert "Most suspicious slices" in text and "mind this" in text and "40 slices" in text
    data = text.partition('id="data">')[2].partition("</script>")[0]
    assert '"truth":{"type":"uint8"' in data and '"number":39' in data and '"start":39' in data
    assert "pixel_mm" not in data and '"name":"views"' not in data
    assert_array_equal([s["mm"] for s in found["slices"][:2]], [48, 44])
