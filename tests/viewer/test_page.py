"""The page is one file that asks for nothing, and what it is given stays text."""

import base64
import json
import re
import zlib

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from framework.viewer.layers import by_score, by_truth
from framework.viewer.page import SCAN, View, build

EVIL = "</script><script>alert(1)</script>"


@pytest.fixture
def page(tmp_path):
    (tmp_path / "stage.js").write_text("globalThis.makeStage = () => 1 < 2;")

    def make(**options):
        picture = np.full((500, 400, 3), 90, np.uint8)
        given = {
            "views": [View(picture, picture, EVIL, 0.25)],
            "scene": {"place": np.arange(6, dtype=">u2").reshape(2, 3)},
        } | options
        layers = [by_score(np.array([0, 1.0])), by_truth(None)]
        return build(EVIL, [EVIL], [EVIL], layers, script=tmp_path / "stage.js", **given).decode()

    return make


def data_of(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


def test_arrays_come_back_as_they_were(page):
    data = data_of(page())
    place = data["scene"]["place"]
    assert (place["type"], place["shape"]) == ("uint16", [2, 3])
    assert_array_equal(np.frombuffer(base64.b64decode(place["bytes"]), "<u2"), np.arange(6))
    assert [layer["name"] for layer in data["layers"]] == ["score", "truth"]
    assert data["layers"][1]["why"] and data["start"] == 0
    (view,) = data["views"]
    assert view["caption"] == EVIL and view["score"] == 0.25
    assert view["view"].startswith("data:image/jpeg;base64,")


def test_the_page_asks_for_nothing_and_runs_only_its_own_scripts(page):
    text = page()
    assert not re.search(r"(src|href)=\"(?!data:)", text) and "http:" not in text and "https:" not in text
    assert "@import" not in text and "url(" not in text
    assert text.count("<script") == 3  # data, stage, page
    assert "alert(1)</script>" not in text and "makeStage = () => 1 < 2;" in text


def test_scripts_and_style_carry_the_nonce_of_a_policy(page):
    text = page(nonce="abc", views=[])
    assert text.count('<script nonce="abc">') == 2 and '<style nonce="abc">' in text
    assert "style=" not in text.partition("<body")[2].partition("<script")[0]  # a policy refuses such
    assert 'id="views"' not in text.partition("<script")[0] and 'class="alone"' in text
    assert "nonce=" not in page().partition("<script")[0]


def test_of_a_scan_large_arrays_are_deflated_and_views_keep_their_numbers(page, tmp_path):
    picture = np.zeros((9, 9, 3), np.uint8)
    noise = np.random.default_rng(0).integers(0, 4096, 20_000, np.uint16)
    smooth = np.rint(127 + 127 * np.sin(np.linspace(0, 60, 20_000))).astype(np.uint8)
    scene = {"values": noise, "smooth": smooth, "shape": np.arange(3), "presets": np.array([EVIL, "bone"])}
    (tmp_path / "stage.css").write_text("#stage { color: teal; }")
    text = page(scene=scene, kind=SCAN, views=[View(picture, picture, "", 0.5, number=7)])
    data = data_of(text)
    assert "deflated" not in data["scene"]["shape"]
    for name, stepped in (("values", False), ("smooth", True)):
        packed = data["scene"][name]
        found = np.frombuffer(zlib.decompress(base64.b64decode(packed["bytes"])), np.uint8)
        assert packed["deflated"] and packed["stepped"] == stepped
        found = np.cumsum(found, dtype=np.uint8) if stepped else found
        size = scene[name].itemsize
        assert_array_equal(found.reshape(size, -1).T.copy().view(scene[name].dtype).ravel(), scene[name])
    assert data["scene"]["presets"] == {"texts": [EVIL, "bone"]} and "alert(1)</script>" not in text
    assert data["views"][0]["number"] == 7 and "color: teal" in text and "Most suspicious slices" in text
    assert "color: teal" in page(nonce="abc").partition("</style>")[0]
