import itertools
import json

import numpy as np
import pytest
import torch
from fake_scans import ball, centre_of, oblique, place_of, write
from numpy.testing import assert_allclose, assert_array_equal

from domains.medical import Medical, slicing, space
from domains.medical.back import Look, ScanBack
from domains.medical.geometry import Geometry
from framework.types import Record

nib = pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")

SHAPE = (23, 19, 17)
TURNED = [((0, 1, 2), (1, 1, 1)), ((2, 0, 1), (-1, 1, -1)), ((1, 2, 0), (-1, -1, 1)), ((0, 1, 2), (-1, -1, 1))]
OPTIONS = [
    {},
    {"axis": "coronal", "neighbours": True},
    {"axis": "all"},
    {"crop": "foreground"},
    {"spacing": 1.5},
    {"spacing": [1.3, 1.7, 2.9], "axis": "sagittal", "crop": "foreground"},
    {"spacing": 2.0, "axis": "all", "orientation": "stored"},
]


def scan_of(folder, voxels, affine):
    return Record(write(folder / "scan.nii.gz", voxels, affine), True, "")


def geometry_of(folder, affine, shape=SHAPE):
    return Geometry(folder / "scan.nii.gz", shape, affine)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: " ".join(f"{k}={v}" for k, v in o.items()) or "plain")
@pytest.mark.parametrize(("order", "signs"), TURNED)
def test_what_the_views_show_at_a_point_of_the_world_is_saved_at_that_point(tmp_path, order, signs, options):
    spacing = np.array([1.9, 1.2, 2.1])
    affine = oblique(order, signs, spacing)
    centre = place_of(affine, SHAPE)[11, 9, 8] + [0.4, -0.3, 0.2]
    sigma = 3.2
    reader = Medical(window=[100, 900], select="all", **options)
    sample = reader.read(scan_of(tmp_path, ball(affine, SHAPE, centre, sigma), affine))
    maps = (sample.views[v, 1].astype(np.float32) / 255 for v in range(len(sample.views)))
    saved = nib.load(reader.save(sample, sample.back(maps), tmp_path / "map")["map"])
    scores = np.asarray(saved.dataobj)
    assert scores.shape == SHAPE
    assert_allclose(saved.affine, affine, atol=1e-5)
    peak = np.unravel_index(scores.argmax(), SHAPE)
    assert np.linalg.norm(place_of(saved.affine, SHAPE)[peak] - centre) < 1.5  # half a voxel's diagonal
    expected = (ball(affine, SHAPE, centre, sigma) - 100) / 800
    near = expected > 0.05  # grey has 256 levels
    assert_allclose(
        centre_of(np.where(near, scores, 0), saved.affine),
        centre_of(np.where(near, expected, 0), affine),
        atol=0.01 if "spacing" not in options else 0.12,
    )


def world_maps(sample, back, affine, of, axis):
    """One coordinate of the world, exactly, at each pixel of each view."""
    place = back.space.affine(affine)
    for look in back.looks:
        number = slicing.axis_number(look.axis)
        grid = place_of(place, back.space.grid)[..., of].astype(np.float64)
        planes = slicing.cut(grid, look.axis, back.upright)
        for cell in look.cells:
            yield planes[cell].astype(np.float32)
    assert number >= 0


@pytest.mark.parametrize("spacing", [None, 1.0, [1.2, 2.0, 3.0]])
@pytest.mark.parametrize("axis", [*slicing.AXES])
@pytest.mark.parametrize(("order", "signs"), TURNED[1:3])
def test_world_coordinates_come_back_to_a_hundredth_of_a_millimetre(tmp_path, order, signs, axis, spacing):
    affine = oblique(order, signs)
    rng = np.random.default_rng(0)
    reader = Medical(axis=axis, select="all", spacing=spacing)
    sample = reader.read(scan_of(tmp_path, rng.random(SHAPE, np.float32) + 1, affine))
    back = sample.back
    reach = tuple(
        slice(0, 1 + int((back.space.grid[n] - 1) * back.space.step[n] + 1e-9))  # voxels up to the last cell
        for n in range(3)
    )
    for of in range(3):
        found = back(world_maps(sample, back, affine, of, axis)).reshape(SHAPE)
        inner = (back.space.volume(array)[reach] for array in (found, place_of(affine, SHAPE)[..., of]))
        assert_allclose(*inner, atol=0.01)


@pytest.mark.parametrize(("order", "signs"), TURNED[:2])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.7, 3.1, 2.9), (0.6, 2.3, 4.2)])
def test_resampling_and_its_inverse_are_those_of_monai(tmp_path, order, signs, spacing):
    from monai.data import MetaTensor
    from monai.transforms import Invertd, Orientationd, Spacingd
    from monai.transforms.compose import Compose

    affine = oblique(order, signs)
    values = np.random.default_rng(1).normal(100, 20, SHAPE).astype(np.float32)
    image = MetaTensor(torch.from_numpy(values)[None], affine=torch.from_numpy(affine))
    steps = Compose([Orientationd("image", "RAS", labels=None), Spacingd("image", spacing, mode="bilinear")])
    theirs = steps({"image": image})

    grid = geometry_of(tmp_path, affine)
    way = space.respaced(space.whole(grid, True), affine, spacing)
    ours = way.volume(values).astype(np.float32)
    for axis in range(3):
        ours = way.forth(axis).along(ours, axis)
    assert_allclose(ours, theirs["image"][0].numpy(), atol=2e-4)  # of values near 100: 2e-6 of them
    assert_allclose(way.affine(affine), theirs["image"].affine.numpy(), atol=1e-9)

    depth = theirs["image"].shape[3]
    scores = np.random.default_rng(2).random(theirs["image"].shape[1:], np.float32)
    theirs["map"] = MetaTensor(
        torch.from_numpy(scores)[None],
        affine=theirs["image"].affine,
        applied_operations=theirs["image"].applied_operations,
    )
    inverse = Invertd("map", steps, "image", nearest_interp=False)(theirs)["map"][0].numpy()
    planes = slicing.cut(scores, "axial")
    back = ScanBack(way, (Look("axial", tuple(range(depth))),), planes.shape[1:])
    assert_allclose(back(iter(planes)).reshape(SHAPE), inverse, atol=1e-5)


def test_scores_between_scored_slices_are_interpolated_and_zero_beyond(tmp_path):
    way = space.whole(geometry_of(tmp_path, np.eye(4), (2, 2, 7)), True)
    back = ScanBack(way, (Look("axial", (1, 4, 5)),), (2, 2))
    maps = (np.full((2, 2), s, np.float32) for s in (0.2, 0.8, 0.4))
    every = back(maps).reshape(2, 2, 7)
    assert_allclose(every[0, 1], [0, 0.2, 0.4, 0.6, 0.8, 0.4, 0], rtol=1e-6)
    assert_array_equal(every[1, 0], every[0, 1])


def test_three_axes_are_averaged_over_those_that_looked(tmp_path):
    way = space.whole(geometry_of(tmp_path, np.eye(4), (3, 4, 5)), True)
    back = ScanBack(way, (Look("axial", (2, 3)), Look("sagittal", (1,))), (5, 4))
    maps = [np.full((5, 4), 0.6, np.float32)] * 2 + [np.full((5, 4), 0.2, np.float32)]
    found = back(iter(maps)).reshape(3, 4, 5)
    expected = np.zeros((3, 4, 5), np.float32)
    expected[:, :, 2:4] = 0.6
    expected[1] = 0.2
    expected[1, :, 2:4] = 0.4
    assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: " ".join(f"{k}={v}" for k, v in o.items()) or "plain")
def test_values_are_shown_where_the_view_shows_their_voxels(tmp_path, options):
    affine = oblique((2, 0, 1), (-1, 1, -1))
    values = np.random.default_rng(3).integers(1, 200, SHAPE).astype(np.float32)
    reader = Medical(window=[0, 255], **options | {"spacing": None, "neighbours": False})
    sample = reader.read(scan_of(tmp_path, values, affine))
    for view in range(len(sample.views)):
        assert_array_equal(sample.back.show(values.ravel(), view), sample.views[view, 0])
    assert sample.back.show(values.ravel() > 100, 0).dtype == np.bool_


def test_a_slice_of_its_own_is_resampled_in_its_plane_alone(tmp_path):
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    centre = np.array([12.0, 17, 24])
    record = scan_of(tmp_path, ball(affine, SHAPE, centre, 4), affine)
    reader = Medical(window=[100, 900], spacing=1.0)
    sample = reader.read(Record(record.path, True, "", frame=8))
    assert sample.views.shape == (1, 3, 37, 23)
    assert sample.back.shape == (1, 19, 23)
    shown = sample.back([sample.views[0, 0].astype(np.float32) / 255])
    native = Medical(window=[100, 900]).read(Record(record.path, True, "", frame=8))
    assert_allclose(shown.reshape(19, 23), native.views[0, 0] / 255, atol=0.01)
    saved = nib.load(reader.save(sample, shown, tmp_path / "map")["map"])
    assert_array_equal(np.flatnonzero(np.asarray(saved.dataobj).any((0, 1))), [8])
    assert_allclose(centre_of(np.asarray(saved.dataobj), saved.affine)[:2], centre[:2], atol=0.1)


def test_the_way_back_survives_json(tmp_path):
    for options, (order, signs) in itertools.product(OPTIONS, TURNED[1:2]):
        affine = oblique(order, signs)
        values = np.random.default_rng(3).random(SHAPE).astype(np.float32)
        sample = Medical(**options).read(scan_of(tmp_path, values, affine))
        again = Medical.back(**json.loads(json.dumps(sample.back.plain())))
        assert again == sample.back
        assert again.shape == SHAPE


def test_maps_that_do_not_fit_are_refused(tmp_path):
    way = space.whole(geometry_of(tmp_path, np.eye(4), (3, 4, 5)), True)
    back = ScanBack(way, (Look("axial", (2, 3)),), (4, 3))
    fit = np.zeros((4, 3), np.float32)
    for maps in ([fit], [fit] * 3, [fit, fit.T]):
        with pytest.raises(ValueError, match="map"):
            back(iter(maps))
