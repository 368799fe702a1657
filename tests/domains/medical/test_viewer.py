"""What the page draws a scan from: which voxels, what they hold, and where they and the slices lie in the patient."""

import nibabel
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from domains.medical import geometry, viewer

SHAPE = (9, 7, 5)  # to the right, front and top
SPACING = np.array([1.0, 2.0, 4.0])
SPOT = (1, 5, 3)  # left, front, top


def affine(turned_deg=0.0):
    angle = np.deg2rad(turned_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    found = np.eye(4)
    found[:3, :3] = turn * SPACING
    found[:3, 3] = (-4, 10, 50)
    return found


def volume():
    """``SHAPE`` int16, 0 outside, tissue inside, a bright spot at ``SPOT``."""
    found = np.zeros(SHAPE, np.int16)
    found[1:-1, 1:-1, 1:-1] = np.random.default_rng(0).integers(100, 200, (7, 5, 3))
    found[SPOT] = 1000
    return found


def stored(codes, turned_deg=0.0):
    """The volume and its affine in another order of axes, such as "LPS"."""
    image = nibabel.Nifti1Image(volume(), affine(turned_deg))
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.io_orientation(image.affine), nibabel.orientations.axcodes2ornt(tuple(codes))
    )
    image = image.as_reoriented(turn)
    return np.asarray(image.dataobj), image.affine


def scene(voxels, matrix, **options):
    axes, indices = np.array([2, 0]), np.array([3, 1])
    grid = viewer.grid_of(voxels.shape, matrix)
    return viewer.scene(grid, geometry.to_ras(voxels, matrix), axes, indices, options.get("window", (0.0, 200.0)))


def spot(found):
    """Where the brightest voxel of a scene lies: its place among those shown."""
    return np.unravel_index(found["values"].argmax(), found["shape"])


def picked(found, place):
    """The voxel of the scan that a place is, as the script finds it."""
    starts = [0, found["shape"][0], found["shape"][0] + found["shape"][1]]
    return np.array([found["picks"][start + i] for start, i in zip(starts, place, strict=True)])


@pytest.mark.parametrize("turned_deg", [0, 20])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "SPL", "IAR"])
def test_left_is_left_in_any_order_of_axes(codes, turned_deg):
    voxels, matrix = stored(codes, turned_deg)
    found = scene(voxels, matrix)
    place = spot(found)
    assert_array_equal(picked(found, place), SPOT)
    world = found["affine"] @ [*SPOT, 1]
    assert_allclose(world, affine(turned_deg) @ [*SPOT, 1], atol=1e-4)
    element = found["elements"][np.ravel_multi_index(place, found["shape"])]
    assert voxels.ravel()[element] == 1000  # in the file's own order
    assert_array_equal(voxels.ravel()[found["elements"]], found["scale"][0] + found["scale"][1] * found["values"])
    assert any("20 degrees oblique" in str(note) for note in found["notes"]) == bool(turned_deg)


def test_slices_are_counted_from_the_left_the_back_and_below_and_lie_in_mm():
    found = scene(*stored("LPS"))
    assert found["planes"].tolist() == ["axial", "sagittal"] and found["numbers"].tolist() == [4, 2]
    assert_allclose(found["positions_mm"], [50 + 3 * 4, -4 + 1])
    assert_allclose(found["pixel_mm"], [[2, 1], [4, 2]])  # high, wide
    assert found["sides"].tolist() == [["R", "L", "A", "P"], ["A", "P", "S", "I"]]
    assert found["views"].tolist() == [[2, 3], [0, 1]]
    grid = viewer.grid_of(*(lambda v, m: (v.shape, m))(*stored("LPS")))
    assert viewer.named(grid, np.array([2]), np.array([3])) == ("axial slice 4 of 5 from below, z = 62 mm",)


def test_margins_of_one_value_are_left_out():
    voxels = np.pad(volume(), 20)
    found = scene(voxels, affine())
    assert_array_equal(found["shape"], np.array(SHAPE) + 2)  # two voxels around what is there
    assert_array_equal(picked(found, spot(found)), np.array(SPOT) + 20)
    assert len(scene(np.zeros((4, 4, 4)), affine())["values"]) == 64


def test_large_scans_are_thinned_evenly_where_voxels_are_small_and_say_so(monkeypatch):
    monkeypatch.setattr(viewer, "MOST_VOXELS", 2000)
    voxels = np.random.default_rng(0).integers(0, 99, (40, 40, 10))
    found = scene(voxels, np.diag([0.5, 0.5, 4.0, 1]))
    x, y, z = found["shape"]
    assert z == 10 and x == y and 10 < x <= 14 and x * y * z <= 2000
    assert set(np.diff(found["picks"][:x])) <= {2, 3, 4}
    assert f"Shown are {x * y * z:,} of 16,000 voxels" in str(found["notes"][1])
    assert_array_equal(voxels.ravel()[found["elements"]], found["values"])


def test_values_keep_their_units_and_metal_does_not_take_the_shades():
    few = scene(volume().clip(0, 200), affine())
    assert few["values"].dtype == np.uint8 and few["scale"].tolist() == [0, 1]
    fine = volume() * 1e-6
    found = scene(fine, affine())
    assert_allclose(found["scale"][0] + found["scale"][1] * found["values"], fine.ravel()[found["elements"]], atol=2e-7)
    metal = np.random.default_rng(0).normal(0, 100, (20, 20, 20))
    metal[3, 3, 3] = 1e6
    found = scene(metal, affine())
    assert found["scale"][1] < 5 and found["values"].max() == viewer.STEPS


def test_windows_of_ct_are_offered_where_values_are_hounsfield_units():
    assert not len(scene(volume(), affine())["presets"])
    found = scene(volume() - 1000, affine())
    assert not len(found["presets"])
    body = volume().astype(float)
    body[body == 0] = -1000
    found = scene(body, affine())
    windows = dict(zip(found["presets"].tolist(), found["windows"].tolist(), strict=True))
    assert windows["brain"] == [0, 80]


@pytest.mark.parametrize(
    ("scan", "mask"),
    [
        ("imagesTr/liver_1_0000.nii.gz", "labelsTr/liver_1.nii.gz"),
        ("imagesTr/liver_1.nii.gz", "labelsTr/liver_1.nii.gz"),
        ("BraTS_1/BraTS_1_flair.nii.gz", "BraTS_1/BraTS_1_seg.nii.gz"),
        ("images/a.nii", "masks/a.nii"),
        ("a.nii.gz", "a_mask.nii.gz"),
    ],
)
def test_a_mask_is_found_where_sets_lay_it(tmp_path, scan, mask):
    for name in (scan, mask):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert viewer.truth_beside(tmp_path / scan) == tmp_path / mask
    (tmp_path / mask).unlink()
    assert viewer.truth_beside(tmp_path / scan) is None
