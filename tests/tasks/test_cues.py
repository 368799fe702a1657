"""What tells of a slice without a look at it."""

from pathlib import Path

import numpy as np
import pytest

from framework.tasks.cues import BRIGHTNESS, POINTS, POSITION, SIZE, cues, plain
from framework.types import Record, Sample


def views(count):
    return np.stack([np.full((3, 8, 8), 10 * (i + 1), np.uint8) for i in range(count)])


def test_a_slice_that_is_a_file_has_its_place_its_brightness_and_the_size_of_its_file(tmp_path):
    path = tmp_path / "7_30.png"
    path.write_bytes(b"x" * 1234)
    (found,) = cues(Sample(Record(path, True, "brain", group="7", nth=30), views(1)))
    assert found == {"stack": "7", POSITION: 30, BRIGHTNESS: 10, SIZE: 1234}


def test_a_slice_of_a_volume_has_the_size_of_its_pixels_compressed():
    record = Record(Path("scan.nii.gz"), True, "brain", group="7", frame=5)
    (flat,) = cues(Sample(record, views(1)))
    noise = np.random.default_rng(0).integers(0, 255, (1, 3, 8, 8), np.uint8)
    (rough,) = cues(Sample(record, noise))
    assert flat["stack"] == "scan.nii.gz" and flat[POSITION] == 5
    assert flat[SIZE] < rough[SIZE] and rough[BRIGHTNESS] == pytest.approx(noise.mean())


def test_slices_of_a_whole_volume_have_each_their_own():
    at = np.array([-3, 0, 3], np.float32)
    found = cues(Sample(Record(Path("scan.nii.gz"), True, "brain"), views(3), at=at))
    assert [f[POSITION] for f in found] == [-3, 0, 3] and [f[BRIGHTNESS] for f in found] == [10, 20, 30]


def test_a_picture_whose_place_nobody_knows_has_the_others(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"x" * 99)
    assert cues(Sample(Record(path, True, "chest"), views(1))) == [{"stack": "", BRIGHTNESS: 10, SIZE: 99}]


def test_a_picture_is_told_by_its_brightness_and_files_a_cloud_by_its_points_too(tmp_path):
    path, beside = tmp_path / "a.png", tmp_path / "a.tiff"
    path.write_bytes(b"x" * 99)
    beside.write_bytes(b"x" * 10)
    sample = Sample(Record(path, True, "nut", group="lot", beside=(beside,)), views(2))
    assert plain(sample, "pixel") == {"stack": "lot", BRIGHTNESS: 15, SIZE: 109}
    owner = np.zeros((2, 8, 8), np.int32)
    cloud = Sample(Record(path, True, "nut"), views(2), owner=owner, truth=np.zeros(7, bool))
    assert plain(cloud, "point")[POINTS] == 7


def test_the_mean_of_a_large_picture_is_taken_of_some_of_its_pixels(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"x")
    pixels = np.zeros((1, 3, 600, 600), np.uint8)
    pixels[..., ::3, ::3] = 90
    assert plain(Sample(Record(path, False, "nut"), pixels), "pixel")[BRIGHTNESS] == 90
