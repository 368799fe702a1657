import numpy as np
import pytest
from fake_clouds import scan
from numpy.testing import assert_array_equal

from domains.pointcloud.files import load
from domains.pointcloud.files.background import remove

tifffile = pytest.importorskip("tifffile")


def measured(xyz: np.ndarray) -> np.ndarray:
    return (xyz != 0).any(-1)


@pytest.mark.parametrize("noise", [0, 1e-4, 5e-4])
@pytest.mark.parametrize("side", [64, 300])
def test_the_ground_is_found_and_the_object_kept(side, noise) -> None:
    """The object's rim rises steeply from the ground, so all but what is lower than the ground's noise is kept."""
    xyz, shown, _ = scan(side, dent=True, noise=noise)
    kept, why = remove(xyz, measured(xyz))
    assert why == "" and (kept & ~shown).sum() == 0
    assert (kept & shown).sum() >= 0.97 * shown.sum()


def test_it_is_the_same_on_repeat_and_in_any_unit() -> None:
    xyz, _, _ = scan()
    first = remove(xyz, measured(xyz))[0]
    assert_array_equal(first, remove(xyz, measured(xyz))[0])
    assert_array_equal(first, remove(xyz * 1000, measured(xyz))[0])


def test_a_tilted_ground_and_rubbish_at_the_border_do_not_matter() -> None:
    xyz, shown, _ = scan(120)
    turn = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]], np.float32)
    xyz = xyz @ turn.T
    xyz[:2] += np.float32(0.07)  # a ledge
    xyz[60, 2] = 9.0  # a stray point
    kept, why = remove(xyz, measured(xyz))
    assert why == "" and (kept & shown).sum() >= 0.97 * shown.sum() and (kept & ~shown).sum() == 0


def test_pieces_of_a_broken_object_are_kept_and_crumbs_are_not() -> None:
    xyz, shown, _ = scan(200)
    ground = scan(200)[0][..., 2] * 0 + 0.45
    xyz[:, 98:103, 2] = ground[:, 98:103]  # broken in two
    xyz[10:13, 40:43, 2] -= 0.02  # a crumb
    kept, _ = remove(xyz, measured(xyz))
    halves = shown[:, :97].sum(), shown[:, 104:].sum()
    assert kept[:, :97].sum() >= 0.95 * halves[0] and kept[:, 104:].sum() >= 0.95 * halves[1]
    assert not kept[9:14, 39:44].any()


def test_a_scan_whose_ground_was_removed_is_left_alone() -> None:
    xyz, shown, _ = scan()
    xyz[~shown] = 0
    kept, why = remove(xyz, measured(xyz))
    assert why == ""
    assert_array_equal(kept, shown)


def test_where_nothing_would_be_left_or_there_is_no_plane_all_is_kept_and_told(tmp_path) -> None:
    rng = np.random.default_rng(0)
    flat = np.stack([*np.mgrid[:64, :64].astype(np.float32), np.full((64, 64), 50, np.float32)], -1)
    path = tmp_path / "flat.tiff"
    tifffile.imwrite(path, flat + rng.normal(0, 1e-3, flat.shape).astype(np.float32))
    shape = load(path)
    assert len(shape.points) == 64 * 64 and shape.scan.background == 0
    assert shape.warnings == (f"{path}: nothing is left without its ground; all of the scan is kept.",)
    tifffile.imwrite(path, rng.uniform(1, 2, (64, 64, 3)).astype(np.float32))
    assert load(path).warnings == (f"{path}: no plane runs through its border; all of the scan is kept.",)


@pytest.mark.parametrize("noise", [0, 1e-4, 3e-4])
def test_of_a_thin_object_nothing_is_lost(noise) -> None:
    """A coin of 4 mm on a ground that is as noisy as a scanner's; published thresholds would take all of it away."""
    rows, columns = np.mgrid[:200, :200]
    x, y = (columns - 100) / 200 * 0.36, (rows - 100) / 200 * 0.36
    coin = np.hypot(x, y) < 0.06
    z = 0.45 + 0.2 * y - 0.004 * coin + np.random.default_rng(0).normal(0, noise, x.shape)
    kept, why = remove(np.stack([x, y, z], -1).astype(np.float32), np.ones_like(coin))
    assert why == ""
    assert_array_equal(kept, coin)
