"""What the page draws a scan from: which voxels, what they hold, and where they and the slices lie in the patient."""

import json

import fake_block
import nibabel
import numpy as np
import pytest
from fake_block import SHAPE, SPOT
from numpy.testing import assert_allclose, assert_array_equal

from domains.medical import Medical, viewer
from framework.tasks.showing import show
from framework.types import Record


def scene(path, voxels=None, matrix=None, codes="LPS", **options):
    """The scene of a scan, and the voxels as they are stored."""
    stored = fake_block.write(path, fake_block.ct() if voxels is None else voxels, matrix, codes)
    reader = Medical(**options)
    return reader.scene(reader.read(Record(path, False, ""))), stored


def spot(found):
    """Where the brightest voxel of a scene lies, the middle of several: its place among those shown."""
    places = np.argwhere(found["values"].reshape(found["shape"], order="F") == found["values"].max())
    return tuple(places.mean(0).astype(int))


def picked(found, place):
    """The voxel of the scan that a place is, as the script finds it."""
    starts = [0, found["shape"][0], found["shape"][0] + found["shape"][1]]
    return np.array([found["picks"][start + i] for start, i in zip(starts, place, strict=True)])


@pytest.mark.parametrize("turned_deg", [0, 20])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "SPL", "IAR"])
def test_left_is_left_in_any_order_of_axes(tmp_path, codes, turned_deg):
    matrix = fake_block.affine(turned_deg)
    found, stored = scene(tmp_path / "a.nii", None, matrix, codes)
    place = spot(found)
    assert_array_equal(picked(found, place), SPOT)
    assert_allclose(found["affine"] @ [*SPOT, 1], matrix @ [*SPOT, 1], atol=1e-4)
    element = found["elements"][np.ravel_multi_index(place, found["shape"], order="F")]
    assert stored.ravel()[element] == 300  # in the file's own order
    values = found["scale"][0] + found["scale"][1] * found["values"]
    assert_allclose(values, stored.ravel()[found["elements"]], atol=1e-3)
    assert any("20 degrees oblique" in str(note) for note in found["notes"]) == bool(turned_deg)


@pytest.mark.parametrize(
    "options",
    [
        {"axis": "all", "select": "all"},
        {"orientation": "stored", "axis": "all", "select": "all"},
        {"spacing": [2, 2, 3], "axis": "axial", "window": [-100, 200]},
    ],
)
def test_voxels_are_the_files_and_slices_keep_their_numbers_however_views_are_made(tmp_path, options):
    found, stored = scene(tmp_path / "a.nii", **options)
    assert_array_equal(found["shape"], SHAPE)
    values = found["scale"][0] + found["scale"][1] * found["values"]
    assert_allclose(values, stored.ravel()[found["elements"]], atol=1e-3)
    affine = fake_block.affine()
    for plane, number, mm, (axis, index) in zip(
        found["planes"], found["numbers"], found["positions_mm"], found["views"], strict=True
    ):
        assert viewer.slicing.AXES[plane] == axis and number == index + 1
        assert abs(affine[axis, axis] * index + affine[axis, 3] - mm) <= affine[axis, axis] / 2
    if "window" in options:
        assert found["window"].tolist() == [-100, 200]


def test_slices_are_counted_from_the_left_the_back_and_below_and_lie_in_mm(tmp_path):
    found, _ = scene(tmp_path / "a.nii", axis="all", select="all", slices=3)
    assert found["planes"].tolist() == ["axial"] * 3 + ["coronal"] * 3 + ["sagittal"] * 3
    assert found["numbers"].tolist() == [1, 7, 12, 1, 25, 50, 1, 21, 40]
    assert_allclose(found["positions_mm"][[0, 2, 3, 5, 6, 8]], [-30, 36, -50, 48, -40, 38], atol=1e-4)
    assert_allclose(found["pixel_mm"][[0, 3, 6]], [[2, 2], [6, 2], [6, 2]])  # high, wide
    assert ["".join(sides) for sides in found["sides"][[0, 3, 6]]] == ["RLAP", "RLSI", "APSI"]


def test_sides_are_those_of_the_file_where_slices_run_as_it_does(tmp_path):
    found, _ = scene(tmp_path / "a.nii", codes="LPS", orientation="stored", axis="all", slices=1)
    assert ["".join(sides) for sides in found["sides"]] == ["RLAP", "RLIS", "APIS"]
    found, _ = scene(tmp_path / "b.nii", codes="RAS", orientation="stored", axis="all", slices=1)
    assert ["".join(sides) for sides in found["sides"]] == ["LRPA", "LRIS", "PAIS"]


def test_margins_of_one_value_are_left_out(tmp_path):
    voxels = np.zeros(SHAPE, np.int16)
    voxels[10:20, 20:30, 5:9] = 7
    found, _ = scene(tmp_path / "a.nii", voxels)
    assert found["shape"].tolist() == [14, 14, 8] and found["picks"][0] == 8  # two voxels around what is there
    flat, _ = scene(tmp_path / "b.nii", np.zeros((4, 4, 4), np.int16))
    assert len(flat["values"]) == 64


def test_large_scans_are_thinned_evenly_where_voxels_are_small_and_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr(viewer, "MOST_VOXELS", 2000)
    voxels = np.random.default_rng(0).integers(0, 99, (40, 40, 10), np.int16)
    found, stored = scene(tmp_path / "a.nii", voxels, np.diag([0.5, 0.5, 4.0, 1]))
    x, y, z = found["shape"]
    assert z == 10 and x == y and 10 < x <= 14 and x * y * z <= 2000
    assert set(np.diff(found["picks"][:x])) <= {2, 3, 4}
    assert f"Shown are {x * y * z:,} of 16,000 voxels" in str(found["notes"][1])
    assert_array_equal(stored.ravel()[found["elements"]], found["scale"][0] + found["values"])


def test_values_keep_their_units_and_metal_does_not_take_the_shades(tmp_path):
    few, _ = scene(tmp_path / "a.nii", fake_block.ct().clip(0, 200))
    assert few["values"].dtype == np.uint8 and few["scale"].tolist() == [0, 1]
    fine, stored = scene(tmp_path / "b.nii", (np.random.default_rng(0).random(SHAPE) * 1e-6).astype(np.float32))
    values = fine["scale"][0] + fine["scale"][1] * fine["values"]
    assert_allclose(values, stored.ravel()[fine["elements"]], atol=1e-9)
    metal = np.random.default_rng(0).normal(0, 100, SHAPE).astype(np.float32)
    metal[3, 3, 3] = 1e6
    found, _ = scene(tmp_path / "c.nii", metal)
    assert found["scale"][1] < 5 and found["values"].max() == viewer.STEPS


def test_windows_of_ct_are_offered_where_values_are_hounsfield_units(tmp_path):
    found, _ = scene(tmp_path / "a.nii")
    windows = dict(zip(found["presets"].tolist(), found["windows"].tolist(), strict=True))
    assert windows["brain"] == [0, 80]
    assert not len(scene(tmp_path / "b.nii", fake_block.ct() + 1000)[0]["presets"])


def test_a_mask_beside_the_scan_is_its_truth_unless_it_fits_not(tmp_path):
    truth = np.zeros(SHAPE, np.uint8)
    truth[fake_block.block()] = 1
    stored = fake_block.write(tmp_path / "a_seg.nii", truth, codes="RAS")
    found, _ = scene(tmp_path / "a.nii", codes="RAS")
    assert_array_equal(found["truth"], stored.ravel() > 0)
    nibabel.save(nibabel.Nifti1Image(truth[1:], fake_block.affine()), tmp_path / "b_seg.nii")
    found, _ = scene(tmp_path / "b.nii", codes="RAS")
    assert "truth" not in found
    assert found["notes"][-1].startswith("The mask b_seg.nii is not shown: it cannot be read, or its voxels")
    (tmp_path / "b_seg.nii").unlink()
    assert not any("mask" in note for note in scene(tmp_path / "b.nii", codes="RAS")[0]["notes"])


def test_a_picture_and_a_slice_have_no_scene(tmp_path):
    scene(tmp_path / "a.nii")
    reader = Medical()
    assert reader.scene(reader.read(Record(tmp_path / "a.nii", False, "", frame=4))) == {}


@pytest.mark.parametrize(
    ("scan", "mask"),
    [
        ("imagesTr/liver_1_0000.nii.gz", "labelsTr/liver_1.nii.gz"),
        ("imagesTr/liver_1.nii.gz", "labelsTr/liver_1.nii.gz"),
        ("BraTS_1/BraTS_1_flair.nii.gz", "BraTS_1/BraTS_1_seg.nii.gz"),
        ("images/a.nii", "masks/a.nii"),
        ("a.nii.gz", "a_mask.nii.gz"),
        ("IM0001", "IM0001_seg"),
    ],
)
def test_a_mask_is_found_where_sets_lay_it(tmp_path, scan, mask):
    for name in (scan, mask):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert viewer.truth_beside(tmp_path / scan) == tmp_path / mask
    (tmp_path / mask).unlink()
    assert viewer.truth_beside(tmp_path / scan) is None


def test_nothing_that_a_header_says_reaches_what_is_written(tmp_path):
    image = nibabel.Nifti1Image(fake_block.ct(), fake_block.affine())
    for name in ("descrip", "db_name", "aux_file", "intent_name"):
        image.header[name] = b"Doe^Jane"
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Doe^Jane 1970-01-01"))
    nibabel.save(image, tmp_path / "a.nii")
    assert b"Doe^Jane" in (tmp_path / "a.nii").read_bytes()
    reader = Medical()
    sample = reader.read(Record(tmp_path / "a.nii", False, ""))
    maps, count = np.zeros(sample.views[:, 0].shape, np.float32), len(sample.views)
    told = {"file": "a.nii", "score": 0.5, "view_scores": [0.5] * count}
    found = show(reader, sample, np.zeros(sample.elements, np.float32), maps, tmp_path / "out", told)
    scene = reader.scene(sample)
    assert all(b"Doe" not in found[kind].read_bytes() for kind in ("viewer", "picture", "pdf"))
    assert "Doe" not in json.dumps(found["slices"]) + "".join(sample.captions)
    assert all(b"Doe" not in np.asarray(values).tobytes() for values in scene.values())


def test_of_three_windows_the_page_shows_the_first_and_says_so(tmp_path):
    found, _ = scene(tmp_path / "a.nii", window=["lung", "bone", "brain"])
    assert found["notes"][-1] == "Of the 3 windows that are colours this is the first."
    assert not any("colours" in note for note in scene(tmp_path / "b.nii", window="lung")[0]["notes"])
