from pathlib import Path

import numpy as np
import pytest
from fake_clouds import save, scan
from numpy.testing import assert_array_equal

from domains.pointcloud.files import Scan, Shape
from domains.pointcloud.truth import regions_of, truth_of
from framework.errors import TruthError
from framework.types import Record


@pytest.fixture
def points() -> np.ndarray:
    return (np.random.default_rng(0).uniform(-40, 40, (300, 3)) + 200).astype(np.float32)


LABELS = np.arange(300) % 7 == 0


def record(tmp_path: Path, rows: np.ndarray | None, delimiter: str = " ") -> Record:
    labels = tmp_path / "gt.txt"
    if rows is not None:
        np.savetxt(labels, rows, "%.5f", delimiter)
    return Record(tmp_path / "cloud.pcd", True, "duck", truth_path=labels)


@pytest.mark.parametrize("delimiter", [" ", ",", ", ", "\t"])
def test_labels_are_read_whatever_parts_them(tmp_path, points, delimiter) -> None:
    assert_array_equal(truth_of(record(tmp_path, np.c_[points, LABELS], delimiter), Shape(points)).mask, LABELS)


def test_shuffled_rows_are_matched_by_place(tmp_path, points) -> None:
    mixed = np.random.default_rng(1).permutation(300)
    found = truth_of(record(tmp_path, np.c_[points, LABELS][mixed]), Shape(points))
    assert_array_equal(found.mask, LABELS)
    assert found.mask.dtype == bool and not found.counts and not found.warnings


def test_a_point_without_a_place_keeps_the_label_of_its_row(tmp_path, points) -> None:
    points[7] = np.nan
    assert_array_equal(truth_of(record(tmp_path, np.c_[points, LABELS]), Shape(points)).mask, LABELS)


def test_no_truth_and_the_file_as_its_own_truth(tmp_path, points) -> None:
    path = tmp_path / "cloud.pcd"
    assert truth_of(Record(path, True, "duck"), Shape(points)).mask is None
    assert_array_equal(truth_of(Record(path, False, "duck", truth_path=path), Shape(points)).mask, np.zeros(300, bool))


def test_another_count_of_labels_is_refused(tmp_path, points) -> None:
    with pytest.raises(TruthError) as error:
        truth_of(record(tmp_path, np.c_[points, LABELS][:290]), Shape(points))
    assert str(error.value) == (
        f"{tmp_path / 'gt.txt'}: 300 points, 290 labels. Labels must list every point of cloud.pcd."
    )


def test_labels_of_another_cloud_are_refused(tmp_path, points) -> None:
    with pytest.raises(TruthError, match=r"gt\.txt: its coordinates are not those of cloud\.pcd"):
        truth_of(record(tmp_path, np.c_[points[:, ::-1], LABELS]), Shape(points))


def test_a_missing_label_file_is_named(tmp_path, points) -> None:
    with pytest.raises(TruthError, match=r"gt\.txt: no such label file\. Add it"):
        truth_of(record(tmp_path, None), Shape(points))


@pytest.mark.parametrize("text", ["x y z label\n1 2 3 0\n", "1 2 3 0\n1 2 3\n", "\x00\xff", "1 2 3\n", ""])
@pytest.mark.filterwarnings("error")
def test_what_is_not_rows_of_labels_is_refused(tmp_path, points, text) -> None:
    given = record(tmp_path, None)
    given.truth_path.write_bytes(text.encode("latin-1"))
    with pytest.raises(TruthError, match="rows must read 'x y z label'") as error:
        truth_of(given, Shape(points))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["gt.npy", "gt.txt"])
@pytest.mark.parametrize("kind", [np.bool_, np.uint8, np.float64])
def test_one_number_a_point_is_a_label_too(tmp_path, points, name, kind) -> None:
    given = Record(tmp_path / "cloud.pcd", True, "duck", truth_path=tmp_path / name)
    labels = LABELS.astype(kind)
    np.save(given.truth_path, labels) if name.endswith("npy") else np.savetxt(given.truth_path, labels, "%d")
    assert_array_equal(truth_of(given, Shape(points)).mask, LABELS)
    with pytest.raises(TruthError, match=rf"{name}: 299 points, 300 labels\. Labels must list every point"):
        truth_of(given, Shape(points[1:]))


@pytest.mark.parametrize("content", [b"", b"junk", b"\x93NUMPY\x01\x00junk", b"\x93NUMPY\x01\x00\x04\x00{'(\n"])
def test_a_broken_npy_is_refused(tmp_path, points, content) -> None:
    (tmp_path / "gt.npy").write_bytes(content)
    given = Record(tmp_path / "cloud.pcd", True, "duck", truth_path=tmp_path / "gt.npy")
    with pytest.raises(TruthError, match=r"gt\.npy: rows must read 'x y z label', or a label alone") as error:
        truth_of(given, Shape(points))
    assert "\n" not in str(error.value)


def test_a_few_points_without_labels_are_counted(tmp_path, points) -> None:
    labelled = np.c_[points, LABELS][::-1].copy()
    labelled[5, :3] += 300  # point 294, anomalous
    given = record(tmp_path, labelled)
    found = truth_of(given, Shape(points))
    expected = LABELS.copy()
    expected[294] = False
    assert_array_equal(found.mask, expected)
    assert found.counts == {"unlabelled": 1, "labels_without_point": 1}
    assert found.warnings == (
        f"{given.truth_path}: 300 points, 300 labels, matched by place; 1 points of cloud.pcd have no label and count "
        "as normal, 1 labels no point.",
    )


def test_a_label_for_two_points_in_one_place_is_of_both_and_told(tmp_path, points) -> None:
    twice = np.concatenate([points, points[:3]])
    found = truth_of(record(tmp_path, np.c_[points, LABELS]), Shape(twice))
    assert_array_equal(found.mask, np.r_[LABELS, LABELS[:3]])
    assert found.counts == {} and "303 points, 300 labels, matched by place" in found.warnings[0]


def test_rows_of_a_million_points_are_read_whole(tmp_path) -> None:
    places = np.random.default_rng(0).normal(size=(1000, 3)).round(5).astype(np.float32)
    labels = np.arange(1_000_000) % 7 == 0
    rows = [" ".join(f"{v:.5f}" for v in place) for place in places.tolist()]
    given = record(tmp_path, None)
    given.truth_path.write_text("".join(f"{rows[k % 1000]} {label:d}\n" for k, label in enumerate(labels)))
    assert_array_equal(truth_of(given, Shape(np.tile(places, (1000, 1)))).mask, labels)


def scanned(keep: np.ndarray) -> Shape:
    xyz = scan()[0]
    return Shape(xyz[keep], scan=Scan(64, 64, np.flatnonzero(keep).astype(np.int32)))


def test_the_truth_of_a_scan_is_the_picture_at_its_points_and_what_shows_none_is_counted(tmp_path) -> None:
    _, shown, marked = scan(dent=True)
    path = save(tmp_path / "gt.png", marked.astype(np.uint8))  # 0 and 1: what is not black is anomalous
    given = Record(tmp_path / "000.tiff", True, "bagel", truth_path=path)
    assert_array_equal(truth_of(given, scanned(shown)).mask, marked[shown])
    assert not truth_of(given, scanned(shown)).warnings
    shown[np.nonzero(marked)[0][:3], np.nonzero(marked)[1][:3]] = False
    found = truth_of(given, scanned(shown))
    assert found.mask.sum() == marked.sum() - 3 and found.counts == {"truth_without_point": 3}
    assert found.warnings == (f"{path}: 3 of {marked.sum()} anomalous pixels show no point of 000.tiff.",)


def test_the_truth_of_a_scan_is_of_its_size_and_whole(tmp_path) -> None:
    shape = scanned(scan()[1])
    given = Record(tmp_path / "000.tiff", True, "bagel", truth_path=tmp_path / "gt.png")
    with pytest.raises(TruthError, match=r"gt\.png: no such picture of the truth"):
        truth_of(given, shape)
    save(given.truth_path, np.zeros((10, 20), np.uint8))
    with pytest.raises(TruthError, match=r"gt\.png: \(10, 20\) pixels, but its scan has \(64, 64\)"):
        truth_of(given, shape)
    given.truth_path.write_bytes(b"junk")
    with pytest.raises(TruthError, match=r"gt\.png: not a whole picture") as error:
        truth_of(given, shape)
    assert "\n" not in str(error.value)


def test_regions_are_the_connected_groups_of_anomalous_points() -> None:
    plane = np.stack(np.meshgrid(np.arange(40), np.arange(40), [0]), -1).reshape(-1, 3).astype(np.float32)
    first = (plane[:, 0] < 5) & (plane[:, 1] < 5)
    second = (plane[:, 0] > 30) & (plane[:, 1] % 2 == 0)  # every other row, still one region
    plane[-1] = np.nan
    regions = regions_of(plane, first | second)
    assert regions.dtype == np.int32
    assert_array_equal(regions > 0, first | second)
    assert len(set(regions[first])) == 1 and len(set(regions[second & np.isfinite(plane[:, 0])])) == 1
    assert regions.max() == 2


def test_no_anomalous_point_gives_no_region(points) -> None:
    assert not regions_of(points, np.zeros(300, bool)).any()


def test_labels_that_are_no_numbers_are_refused(tmp_path) -> None:
    points = np.random.default_rng(0).normal(size=(30, 3))
    labels = np.zeros(30)
    labels[3] = np.nan
    for name, table in (("places.txt", np.c_[points, labels]), ("alone.txt", labels)):
        np.savetxt(tmp_path / name, table)
        record = Record(tmp_path / "a.xyz", True, "part", truth_path=tmp_path / name)
        with pytest.raises(TruthError, match=rf"{name}: some labels are no numbers"):
            truth_of(record, Shape(points))
