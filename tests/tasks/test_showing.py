"""A scored sample -> its page and sheet; the sheet shows the shape from two sides in the colours of its scores."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from framework.colours import overlay
from framework.tasks.showing import coloured, sheet, show, two_sides
from framework.types import Record, Sample
from framework.viewer.page import View

RECORD = Record(Path("a.xyz"), False, "")
OWNER = np.array([[[0, 1], [-1, 1]], [[2, 3], [3, -1]], [[0, 3], [3, 3]]], np.int32)


@pytest.fixture
def sample():
    views = np.random.default_rng(0).integers(0, 255, (3, 3, 2, 2), np.uint8)
    return Sample(RECORD, views, OWNER, captions=("front", "back", "side"))


class Reader:
    """A domain whose shape is its elements."""

    element, script = "point", Path(__file__).parents[2] / "domains/pointcloud/viewer.js"

    def scene(self, sample):
        return {
            "elements": np.array([0, 3], np.int32),
            "notes": np.array(["half of it"]),
            "unit_px": np.array([0.1]),
            "truth": np.array([False, False, False, True]),
        }


def test_the_sides_are_the_most_suspicious_view_and_the_one_opposite(sample):
    assert two_sides(sample, np.array([0.9, 0.2, 0.3])) == [0, 1]
    assert two_sides(sample, np.array([0.1, 0.2, 0.3])) == [2, 0]  # 0 and 1 both show half of others; the first
    assert two_sides(Sample(RECORD, sample.views[:1], OWNER[:1]), np.array([0.4])) == [0]


def test_a_pixel_has_the_colour_of_its_element(sample):
    scores = np.array([0.1, 0.9, 0.5, 0.5], np.float32)
    found = coloured(sample, scores, 0)
    wanted = overlay(sample.views[0].transpose(1, 2, 0), scores[OWNER[0]])
    assert_array_equal(found[OWNER[0] >= 0], wanted[OWNER[0] >= 0])
    assert_array_equal(found[1, 0], [255, 255, 255])


def test_the_sheet_names_every_view_and_tells_sizes(sample):
    views = [View(v.transpose(1, 2, 0), v.transpose(1, 2, 0), c, 0.5) for v, c in zip(sample.views, "abc", strict=True)]
    scene = {"unit_px": np.array([0.1])}
    made = sheet(sample, np.zeros(4, np.float32), views, scene, "name", ["score 0.5", "4 points"])
    words = [text[-1] for text in made.texts]
    assert {
        "name",
        "score 0.5 · 4 points",
        "1 · 0.50 · a",
        "2 · 0.50 · b",
        "3 · 0.50 · c",
        "5 units of the file",
    } <= set(words)
    assert len(made.images) == 1 + 2 + 2 * 3  # scale, two sides, views and maps
    assert_allclose([box[2] / made.images[1][2] for box in made.boxes], 5 * 0.1 / 2)


def test_files_are_written_where_the_domain_has_a_shape(sample, tmp_path):
    scores, maps = np.linspace(0, 1, 4).astype(np.float32), np.zeros((3, 2, 2), np.float32)
    told = {"file": "in/a.xyz", "score": 0.25, "view_scores": [0.1, 0.2, 0.3]}
    found = show(Reader(), sample, scores, maps, tmp_path / "a", told)
    assert found == {
        "viewer": tmp_path / "a_viewer.html",
        "picture": tmp_path / "a_views.png",
        "pdf": tmp_path / "a_views.pdf",
    }
    text = found["viewer"].read_text()
    assert "half of it" in text and "a.xyz" in text and "score 0.250" in text and "anomalous (1)" in text
    assert '"start":2' in text and "unit_px" not in text.partition('id="data"')[2].partition("</script>")[0]
    assert show(object(), sample, scores, maps, tmp_path / "b", told) == {}
