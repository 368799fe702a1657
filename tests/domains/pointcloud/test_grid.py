import numpy as np
import pytest
import torch
from fake_clouds import save, write_scan
from numpy.testing import assert_array_equal

from domains.pointcloud.files import Scan, Shape, load
from domains.pointcloud.grid import grid_of
from framework.types import Record

pytest.importorskip("tifffile")


def scanned(height: int, width: int, keep: np.ndarray) -> Shape:
    return Shape(np.zeros((keep.sum(), 3)), scan=Scan(height, width, np.flatnonzero(keep).astype(np.int32)))


@pytest.mark.parametrize(("height", "width"), [(800, 800), (512, 512), (400, 500), (900, 337)])
def test_the_published_grid_takes_the_pixels_that_torch_takes(tmp_path, height, width) -> None:
    """PointAD resizes the organised cloud with torch's nearest neighbour; here by whole numbers."""
    keep = np.random.default_rng(0).random((height, width)) < 0.7
    index = np.full(height * width, -1)
    index[np.flatnonzero(keep)] = np.arange(keep.sum())
    picture = torch.from_numpy(index.reshape(1, 1, height, width).astype(np.float32))
    expected = torch.nn.functional.interpolate(picture, size=(336, 336), mode="nearest")[0, 0]
    path = tmp_path / "000.tiff"
    grid = grid_of(Record(path, False, "bagel", truth_path=path), scanned(height, width, keep))
    assert (grid.name, grid.sigma, grid.index.dtype) == ("grid336", 4.0, np.int32)
    assert_array_equal(grid.index, expected.numpy())
    assert grid.truth.shape == (336, 336) and grid.truth.dtype == bool and not grid.truth.any()


def test_its_truth_is_resized_linearly_and_cut_at_one_half(tmp_path) -> None:
    marked = np.zeros((672, 672), np.uint8)
    marked[:100, :101] = 1  # cells of 2 x 2 pixels
    path = save(tmp_path / "gt.png", marked)
    grid = grid_of(
        Record(tmp_path / "000.tiff", True, "bagel", truth_path=path), scanned(672, 672, np.ones((672, 672), bool))
    )
    assert grid.truth[:50, :50].all() and not grid.truth[50:].any() and not grid.truth[:, 51:].any()


def test_the_scans_own_grid_is_its_pixels(tmp_path) -> None:
    path = write_scan(tmp_path, dent=True)
    record = Record(path, True, "bagel", truth_path=tmp_path / "gt/000.png")
    shape = load(path)
    grid = grid_of(record, shape, side=None)
    assert (grid.name, grid.sigma) == ("grid", 0.0)
    assert_array_equal(np.flatnonzero(grid.index.ravel() >= 0), shape.scan.pixel)
    assert_array_equal(grid.index.ravel()[shape.scan.pixel], np.arange(len(shape.points)))
    assert grid.truth.sum() == 27


def test_a_cloud_or_a_scan_without_truth_has_no_grid(tmp_path) -> None:
    path = tmp_path / "a.pcd"
    assert grid_of(Record(path, False, "duck", truth_path=path), Shape(np.zeros((20, 3)))) is None
    assert grid_of(Record(path, False, "duck"), scanned(4, 4, np.ones((4, 4), bool))) is None
