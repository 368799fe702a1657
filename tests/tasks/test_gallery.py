import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from framework.colours import overlay
from framework.tasks.gallery import KEPT, SIDE, Gallery
from framework.types import Record, Sample

RNG = np.random.default_rng(0)


def sample(name, anomalous=False, shape=(1, 3, 12, 16), owner=None, truth=None, value=None):
    views = RNG.integers(0, 255, shape, np.uint8) if value is None else np.full(shape, value, np.uint8)
    record = Record(Path(name), anomalous, "bolt", defect="hole" if anomalous else "")
    return Sample(record, views, owner, truth)


def offered(entries):
    """A gallery to which (name, label, score) were offered in this order."""
    found = Gallery("parts", "industrial")
    for position, (name, label, score) in enumerate(entries):
        found.offer(position, name, sample(name, label), np.zeros((1, 12, 16), np.float32), 0, score)
    return found.items()


def decoded(content):
    picture = Image.open(io.BytesIO(content))
    assert picture.format == "WEBP"
    return np.asarray(picture.convert("RGB")).astype(float)


def test_the_most_wrong_come_first_and_no_more_than_are_kept():
    entries = [(f"{i:02}", bool(i % 2), (i * 7 % 20) / 20) for i in range(20)]
    items = offered(entries)
    wanted = sorted(entries, key=lambda e: -abs(e[2] - e[1]))[:KEPT]
    assert [(i["id"], i["label"], i["score"]) for i in items] == wanted
    assert [i["wrongness"] for i in items] == [abs(e[2] - e[1]) for e in wanted]
    assert {(i["tested_on"], i["domain"], i["category"]) for i in items} == {("parts", "industrial", "bolt")}
    assert all(i["defect"] == ("hole" if i["label"] else "") for i in items)


def test_fewer_than_are_kept_are_all_there():
    assert [i["id"] for i in offered([("a", False, 0.2), ("b", True, 0.1)])] == ["b", "a"]
    assert offered([]) == []


def test_ties_are_the_same_in_any_order_and_on_any_number_of_ranks():
    entries = [(f"{i:02}", False, 0.5 if i < 12 else 0.75) for i in range(14)]
    wanted = ["12", "13", "00", "01", "02", "03", "04", "05"]
    for order in itertools.islice(itertools.permutations(entries), 0, 10**7, 10**6):
        assert [i["id"] for i in offered(order)] == wanted
    assert [i["id"] for i in offered(entries[::-1])] == wanted
    parts = [item for rank in (0, 1) for item in offered(entries[rank::2])]
    merged = sorted(parts, key=lambda item: (-item["wrongness"], item["id"]))[:KEPT]  # as Evaluation.gather does
    assert [i["id"] for i in merged] == wanted


def test_a_sample_without_truth_has_no_picture_of_it():
    found = Gallery("parts", "industrial")
    maps = np.zeros((1, 12, 16), np.float32)
    found.offer(0, "a", sample("a"), maps, 0, 0.9)
    found.offer(1, "b", sample("b", truth=np.zeros(12 * 16, np.bool_)), maps, 0, 0.8)
    assert [item["truth"] is None for item in found.items()] == [True, False]


@pytest.mark.parametrize(
    ("height", "width", "shown"),
    [
        (12, 16, (12, 16)),
        (SIDE, SIDE, (SIDE, SIDE)),
        (416, 208, (208, 104)),
        (300, 400, (156, 208)),
        (2000, 9, (208, 1)),
    ],
)
def test_pictures_are_as_large_as_the_view_or_as_the_page_shows(height, width, shown):
    found = Gallery("parts", "industrial")
    made = sample("a", shape=(1, 3, height, width), truth=np.zeros(height * width, np.bool_))
    found.offer(0, "a", made, np.zeros((1, height, width), np.float32), 0, 0.9)
    (item,) = found.items()
    assert {decoded(item[key]).shape for key in ("view", "overlay", "truth")} == {(*shown, 3)}


def test_pictures_show_the_chosen_view_its_map_and_its_truth():
    views = np.concatenate([np.full((1, 3, 32, 48), value, np.uint8) for value in (40, 200)])
    truth = np.zeros((2, 32, 48), np.bool_)
    truth[1, 8:24, :24] = True
    maps = np.zeros((2, 32, 48), np.float32)
    maps[1, :16] = 1
    found = Gallery("parts", "industrial")
    found.offer(0, "a", Sample(Record(Path("a"), True, ""), views, truth=truth.ravel()), maps, 1, 0.1)
    (item,) = found.items()
    assert_allclose(decoded(item["view"]), 200, atol=4)
    wanted = overlay(views[1].transpose(1, 2, 0), maps[1])
    assert_allclose(decoded(item["overlay"])[[4, 28]], wanted[[4, 28]], atol=6)
    outlined = decoded(item["truth"])
    assert_allclose(outlined[12:20, 4:20], 200, atol=6)
    assert_allclose(outlined[12:20, 30:44], 70, atol=6)  # 0.35 of 200


def test_the_truth_of_a_rendering_is_where_it_shows_an_anomalous_point():
    owner = np.full((2, 32, 32), -1, np.int32)
    owner[0, :16], owner[1, 16:] = 0, 2  # the last point is anomalous, and -1 must not be taken for it
    made = sample("a", shape=(2, 3, 32, 32), owner=owner, truth=np.array([False, False, True]), value=200)
    for view, bright in ((0, []), (1, [24])):
        found = Gallery("shapes", "pointcloud")
        found.offer(0, "a", made, np.zeros((2, 32, 32), np.float32), view, 0.9)
        shown = decoded(found.items()[0]["truth"])
        for row in (8, 24):
            assert_allclose(shown[row, 4:28], 200 if row in bright else 70, atol=6)


def test_a_title_names_sample_and_view():
    made = sample("parts/scan.nii.gz", shape=(2, 3, 12, 16))
    maps = np.zeros((2, 12, 16), np.float32)
    found = Gallery("parts", "industrial")
    found.offer(0, "a", made, maps, 1, 0.9)
    made.captions = ("axial slice 1", "axial slice 2")
    found.offer(1, "b", made, maps, 1, 0.8)
    found.offer(2, "c", made, maps, 0, 0.7, "the third scan")
    wanted = ["scan.nii.gz", "scan.nii.gz, axial slice 2", "the third scan, axial slice 1"]
    assert [i["title"] for i in found.items()] == wanted
