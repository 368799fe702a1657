"""An organised scan seen as a cloud, as its photograph, and as both."""

from pathlib import Path

import fake_clouds
import numpy as np
import pytest
import tifffile
import torch
from numpy.testing import assert_allclose, assert_array_equal

from domains.pointcloud import PointCloud
from domains.pointcloud.datasets.scans import eyecandies, mvtec3d
from framework.data.targets import view_targets
from framework.errors import UnreadableError
from framework.lift import lift
from framework.types import Record


@pytest.fixture
def hole(tmp_path: Path) -> Record:
    return next(r for r in mvtec3d(fake_clouds.mvtec3d(tmp_path)) if r.anomalous)


def test_a_scan_is_drawn_from_nine_sides_on_its_own_grid(hole) -> None:
    given = PointCloud(size=96).read(hole)
    assert len(given.views) == 9 and given.views.shape[2:] == (96, 96)
    seen = (given.place >= 0).any(0)
    assert seen.mean() > 0.99 and given.truth.any() and view_targets(given).all()
    assert given.grid.name == "grid336" and given.grid.index.shape == given.grid.truth.shape == (336, 336)
    masks = torch.from_numpy(given.truth[given.owner.clip(0)] & (given.owner >= 0)).float()
    back = lift(masks, given).numpy() > 0.5
    assert 2 * (back & given.truth).sum() / (back.sum() + given.truth.sum()) > 0.9


def test_the_photograph_alone_is_one_view_at_its_own_size_whose_pixels_are_the_points(hole) -> None:
    given = PointCloud(modality="rgb").read(hole)
    assert given.views.shape == (1, 3, fake_clouds.SIDE, fake_clouds.SIDE) and given.captions == ("photograph",)
    scores = torch.rand(1, fake_clouds.SIDE, fake_clouds.SIDE)
    assert_array_equal(lift(scores, given).numpy(), scores.flatten().numpy()[given.place[0]])
    red = given.views[0, 0].ravel()[given.place[0]] == 220
    assert_array_equal(red, given.truth)  # the fixture paints what it dents
    assert (given.place >= 0).all() and "unseen" not in given.counts


@pytest.mark.parametrize("size", [64, 96, 50])
def test_a_fitted_photograph_shows_every_point_where_it_lies(tmp_path, size) -> None:
    path = fake_clouds.write_scan(tmp_path / "good")
    xyz = tifffile.imread(path)[:, :40]  # no longer square
    tifffile.imwrite(path, np.ascontiguousarray(xyz))
    rgb = tmp_path / "good" / "rgb" / "000.png"
    ramp = np.zeros((64, 40, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(64)[:, None] * 3, np.arange(40) * 5
    fake_clouds.save(rgb, ramp)
    given = PointCloud(2, size, modality="both", background="keep").read(Record(path, False, "bagel"))
    assert given.views.shape == (3, 3, size, size) and given.captions[-1] == "photograph"
    shown = given.views[-1].reshape(3, -1)[:, given.place[-1]].astype(int)
    valid = np.flatnonzero((xyz != 0).any(-1))
    assert_allclose(shown[0], valid // 40 * 3, atol=8)
    assert_allclose(shown[1], valid % 40 * 5, atol=12)
    owner = given.owner[-1].ravel()[given.place[-1]]
    assert (owner >= 0).mean() > 0.98
    assert np.abs(owner - np.arange(len(owner)))[owner >= 0].max() <= 41  # itself or a neighbour


@pytest.mark.parametrize("fuse", ["mean", "cosine"])
def test_both_weigh_half_each(hole, fuse) -> None:
    given = PointCloud(size=64, modality="both", fuse=fuse).read(hole)
    maps = torch.zeros(10, 64, 64)
    maps[:9] = 0.2
    maps[9] = 0.8
    seen = (given.place[:9] >= 0).any(0)
    assert_allclose(lift(maps, given).numpy()[seen], 0.5, atol=1e-3)
    assert_allclose(given.say, [1 / 9] * 9 + [1])


def test_both_by_maximum_take_the_higher(hole) -> None:
    given = PointCloud(size=64, modality="both", fuse="max").read(hole)
    maps = torch.full((10, 64, 64), 0.2)
    maps[9] = 0.8
    assert_allclose(lift(maps, given).numpy(), 0.8, atol=1e-6)


def test_a_file_without_a_photograph_says_so(tmp_path) -> None:
    root = fake_clouds.real3d(tmp_path)
    path = next(root.glob("*/test/*.pcd"))
    with pytest.raises(UnreadableError, match=rf"{path.name}: has no photograph beside it.*modality=cloud"):
        PointCloud(modality="rgb").read(Record(path, False, "duck"))


def test_scores_of_a_scan_are_saved_as_points_and_on_its_grid(hole, tmp_path) -> None:
    reader = PointCloud(2, 64)
    given = reader.read(hole)
    scores = np.linspace(0, 1, given.elements, dtype=np.float32)
    told = reader.save(given, scores, tmp_path / "out" / "map")
    grid = tifffile.imread(told["grid"])
    assert grid.shape == (fake_clouds.SIDE, fake_clouds.SIDE) and grid.dtype == np.float32
    assert_array_equal(grid[np.isfinite(grid)], scores)
    assert told["map"].name == "map.ply"


def test_candies_are_read_under_the_light_asked_for(tmp_path) -> None:
    record = next(r for r in eyecandies(fake_clouds.eyecandies(tmp_path)) if r.anomalous)
    one, mean = (PointCloud(modality="rgb", light=light).read(record) for light in (0, "mean"))
    assert (mean.views.astype(int) - one.views)[0].min() >= 20
    assert PointCloud(size=64).read(record).truth.any()
