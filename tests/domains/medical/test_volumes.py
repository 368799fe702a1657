import gzip
import itertools
import logging
import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from domains.medical import cache, geometry, nifti, volumes
from framework.errors import MissingPackageError, TruthError, UnreadableError

nib = pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")

SPACING = np.array([1.1, 2.3, 3.7])
ORIENTATIONS = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))


def oblique(order, signs):
    """An affine whose file axes run near the given RAS axes, 17 and 11 degrees off them."""
    a, b = np.deg2rad(17), np.deg2rad(11)
    tilt = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    turn = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ tilt @ np.eye(3)[:, list(order)] * np.array(signs) * SPACING
    affine[:3, 3] = [40, -30, 12]
    return affine


def write(path, voxels, affine=None):
    nib.save(nib.Nifti1Image(voxels, np.diag([1.0, 1.0, 2.0, 1.0]) if affine is None else affine), path)
    return path


@pytest.fixture
def voxels():
    return np.random.default_rng(0).normal(100, 20, (4, 5, 6)).astype(np.float32)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_voxels_in_ras_order_grow_to_the_right_front_and_top(tmp_path, order, signs, voxels):
    affine = oblique(order, signs)
    scan = geometry.read(write(tmp_path / "a.nii", voxels, affine))
    ras = volumes.load(scan)
    assert ras.shape == scan.ras_shape
    for index in np.ndindex(voxels.shape):  # where the file says a voxel lies, and where its twin lies in RAS order
        place = tuple(
            index[order.index(a)] if signs[order.index(a)] > 0 else -1 - index[order.index(a)] for a in range(3)
        )
        assert ras[place] == voxels[index]
    assert_array_equal(volumes.peek(scan), ras)  # nibabel alone gives what MONAI gives
    assert_array_equal(geometry.from_ras(ras, affine), voxels)


def test_scale_and_offset_of_the_file_are_applied(tmp_path):
    image = nib.Nifti1Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.eye(4))
    image.header.set_slope_inter(2, -1024)
    nib.save(image, tmp_path / "ct.nii.gz")
    stored = np.asarray(nib.load(tmp_path / "ct.nii.gz").dataobj)
    assert_array_equal(volumes.load(geometry.read(tmp_path / "ct.nii.gz")), stored)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 6, 1)])
def test_a_picture_and_a_last_axis_of_one_count_as_a_volume(tmp_path, shape):
    voxels = np.random.default_rng(0).random(shape, np.float32)
    scan = geometry.read(write(tmp_path / "a.nii.gz", voxels))
    assert scan.shape == (*shape, 1)[:3]
    assert_array_equal(volumes.load(scan).ravel(), voxels.ravel())
    saved = nib.load(volumes.save(volumes.load(scan), scan, tmp_path / "out.nii.gz"))
    assert saved.shape == shape
    assert_array_equal(np.asarray(saved.dataobj), voxels)


def damaged(folder, voxels, kind):
    """A file that is wrong in one way; for the damage to hit voxels and not the header it is a larger one."""
    path, large = folder / f"{kind}.nii.gz", np.tile(voxels, (9, 9, 9))
    if kind == "missing":
        return path
    if kind == "empty":
        path.touch()
    elif kind == "junk":
        path.write_bytes(b"not a nifti")
    elif kind in ("truncated", "corrupt"):
        content = bytearray(write(path, large).read_bytes())
        if kind == "corrupt":
            content[len(content) // 2 : len(content) // 2 + 40] = b"\xff" * 40
        path.write_bytes(content if kind == "corrupt" else content[: len(content) // 2])
    elif kind == "short":
        whole = write(folder / "whole.nii", voxels).read_bytes()
        path = folder / "short.nii"
        path.write_bytes(whole[: len(whole) - 100])
    elif kind == "four":
        write(path, np.stack([voxels] * 4, -1))
    elif kind == "five":
        write(path, np.stack([voxels] * 2, -1)[:, :, :, None])
    elif kind == "colour":
        write(path, np.zeros((3, 3, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")]))
    elif kind == "nan":
        write(path, np.where(voxels > 130, np.nan, voxels))
    elif kind == "singular":
        raw = bytearray(nib.Nifti1Image(voxels, np.eye(4)).to_bytes())
        raw[312:328] = bytes(16)  # the third row of the sform
        path = folder / "singular.nii"
        path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "no such file"),
        ("empty", "the file is empty"),
        ("junk", "not a readable NIfTI file"),
        ("truncated", "truncated or corrupt"),
        ("corrupt", "truncated or corrupt"),
        ("short", "truncated or corrupt"),
        ("four", "4 dimensions (4, 5, 6, 4); a scan has 3. Say which of the 4 volumes is meant (reader: channel=0)"),
        ("five", "is not a volume of three dimensions"),
        ("colour", "only plain grey values"),
        ("nan", "values are NaN or infinite; set nan: zero"),
        ("singular", "repair its sform or qform"),
    ],
)
def test_a_damaged_scan_gives_one_line_with_its_path(tmp_path, voxels, kind, message):
    path = damaged(tmp_path, voxels, kind)
    with pytest.raises(UnreadableError) as caught:
        volumes.load(geometry.read(path))
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_nan_voxels_become_zero_on_request(tmp_path, voxels):
    path = damaged(tmp_path, voxels, "nan")
    expected = np.where(voxels > 130, 0, voxels)
    assert (expected == 0).sum() > 3
    assert_array_equal(volumes.load(geometry.read(path), nan="zero"), expected)


def test_a_mask_must_lie_on_the_grid_of_its_scan(tmp_path, voxels):
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    scan = geometry.read(write(tmp_path / "scan.nii.gz", voxels, affine))
    cut = write(tmp_path / "cut.nii.gz", (voxels[:-1] > 110).astype(np.uint8), affine)
    affine[0, 3] = 0.01
    moved = write(tmp_path / "moved.nii.gz", (voxels > 110).astype(np.uint8), affine)
    affine[0, 3] = 0.0005
    rounded = write(tmp_path / "rounded.nii.gz", (voxels > 110).astype(np.uint8), affine)
    with pytest.raises(TruthError, match=r"cut.nii.gz: shape \(3, 5, 6\), but .*scan.nii.gz has \(4, 5, 6\)"):
        volumes.load_mask(cut, scan)
    with pytest.raises(TruthError, match=r"moved.nii.gz: affine .*differs by 0.01 from .*scan.nii.gz"):
        volumes.load_mask(moved, scan)
    assert_array_equal(volumes.load_mask(rounded, scan), voxels > 110)


def test_a_mask_of_a_scan_at_45_degrees_is_not_turned_by_rounding(tmp_path):
    rng, half = np.random.default_rng(0), np.sqrt(0.5)
    affine = np.array([[half, -half, 0, 0], [half, half, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    marked = rng.random((12, 14, 10)) > 0.9
    scan = geometry.read(write(tmp_path / "scan.nii", marked.astype(np.float32), affine))
    for number in range(8):
        near = affine + np.pad(rng.normal(0, 1e-6, (3, 3)), (0, 1))
        mask = write(tmp_path / f"{number}.nii", marked.astype(np.uint8), near)
        assert_array_equal(cache.mask(mask, scan), marked)


@pytest.mark.parametrize(("kind", "message"), [("missing", "no such file"), ("truncated", "truncated or corrupt")])
def test_a_damaged_mask_is_an_error_of_the_truth(tmp_path, voxels, kind, message):
    scan = geometry.read(write(tmp_path / "scan.nii.gz", np.tile(voxels, (9, 9, 9))))
    with pytest.raises(TruthError, match=f"^mask .*{kind}.nii.gz: {message}"):
        volumes.load_mask(damaged(tmp_path, voxels, kind), scan)


def test_a_mask_with_nan_is_refused(tmp_path, voxels):
    scan = geometry.read(write(tmp_path / "scan.nii.gz", voxels))
    with pytest.raises(TruthError, match="a mask is 0 where normal and 1 where anomalous"):
        volumes.load_mask(damaged(tmp_path, voxels, "nan"), scan)


@pytest.mark.parametrize(("sform", "qform"), [(1, 0), (0, 1), (4, 2), (0, 0)])
def test_a_saved_map_keeps_affine_codes_and_units_but_not_the_type(tmp_path, sform, qform):
    image = nib.Nifti1Image(np.arange(120, dtype=np.uint8).reshape(4, 5, 6), None)
    affine = oblique((0, 1, 2), (-1, -1, 1))
    image.set_qform(affine, qform)
    image.set_sform(affine, sform)
    image.header.set_xyzt_units("mm", "sec")
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"name of the patient"))
    nib.save(image, tmp_path / "scan.nii.gz")
    scan = geometry.read(tmp_path / "scan.nii.gz")
    scores = np.random.default_rng(1).random(scan.ras_shape, np.float32)
    saved = nib.load(volumes.save(scores, scan, tmp_path / "out" / "map.nii.gz"))
    assert saved.get_data_dtype() == np.float32
    assert_array_equal(np.asarray(saved.dataobj), geometry.from_ras(scores, scan.affine))
    assert_array_equal(saved.affine, nib.load(tmp_path / "scan.nii.gz").affine)
    header = saved.header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (sform, qform)
    assert header.get_xyzt_units() == ("mm", "sec")
    assert b"name of the patient" not in (tmp_path / "out" / "map.nii.gz").read_bytes()
    assert not header.extensions


def test_a_created_scan_is_read_back_as_it_was(tmp_path, voxels):
    affine = oblique((2, 0, 1), (-1, 1, -1))
    scan = geometry.read(volumes.create(voxels, affine, tmp_path / "a.nii.gz"))
    assert_allclose(scan.affine, affine, atol=1e-5)
    assert_array_equal(volumes.load(scan), voxels)


def test_a_missing_package_is_one_line_that_says_what_to_run(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"the package nibabel; run: uv pip install -e '.\[medical\]'"):
        geometry.read(tmp_path / "a.nii.gz")


def test_reading_says_nothing_on_the_side(tmp_path, voxels, caplog, recwarn, capfd):
    with caplog.at_level(logging.WARNING):
        volumes.load(geometry.read(write(tmp_path / "a.nii.gz", voxels)))
    assert not caplog.records
    assert not [w for w in recwarn if "monai" in str(w.filename) or "nibabel" in str(w.filename)]
    assert capfd.readouterr() == ("", "")


def compressed(path, shape, data):
    """A ``.nii.gz`` of float32 whose header says ``shape`` and which holds ``data`` bytes of zeros."""
    image = nib.Nifti1Image(np.zeros((2, 2, 2), np.float32), np.eye(4))
    raw = bytearray(image.to_bytes()[:352])
    raw[40:56] = np.array([len(shape), *shape, *[1] * 7][:8], "<i2").tobytes()
    path.write_bytes(gzip.compress(bytes(raw) + bytes(data), 1))
    return path


@pytest.mark.parametrize(
    ("shape", "data", "message"),
    [
        ((32767, 32767, 32767), 100, "32767 x 32767 x 32767 voxels, more than 2,147,483,648. It is damaged, or cut"),
        ((2000, 2000, 200), 100, "unpacks to less than the 3,200,000,352 bytes that its header says"),
        ((8, 8, 8), 3_000_000, "unpacks to far more than the 2,400 bytes that its header says"),
    ],
)
def test_a_header_that_the_data_do_not_keep_is_refused(tmp_path, monkeypatch, shape, data, message):
    monkeypatch.setattr(nifti, "_BEYOND", 1 << 20)
    path = compressed(tmp_path / "a.nii.gz", shape, data)
    with pytest.raises(UnreadableError, match=re.escape(message)) as told:
        volumes.load(geometry.read(path))
    assert str(told.value).startswith(f"{path}: ")


def test_what_little_follows_the_voxels_is_left_out(tmp_path):
    path = compressed(tmp_path / "a.nii.gz", (8, 8, 8), 3000)
    assert_array_equal(volumes.load(geometry.read(path)), np.zeros((8, 8, 8)))
