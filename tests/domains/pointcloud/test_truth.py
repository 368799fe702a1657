from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from domains.pointcloud.files import Shape
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
