import gzip

import numpy as np
import pytest
from fake_scans import oblique, write
from numpy.testing import assert_allclose, assert_array_equal

from domains.medical import Medical, geometry, nifti, volumes
from framework.errors import UnreadableError
from framework.types import Record

nib = pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")

RNG = np.random.default_rng(0)
VOXELS = RNG.integers(100, 900, (5, 6, 7)).astype(np.int16)
PLACED = oblique((0, 1, 2), (-1, -1, 1))


def scan(path, sform=(PLACED, 1), qform=(PLACED, 1), raw=None, kind=nib.Nifti1Image):
    """A file with these forms (affine, code); ``raw`` changes bytes of its header."""
    image = kind(VOXELS, None)
    image.header.set_xyzt_units("mm")
    image.set_qform(qform[0], qform[1])
    image.set_sform(sform[0], sform[1])
    content = bytearray(image.to_bytes())
    for offset, value in (raw or {}).items():
        content[offset : offset + len(value)] = value
    path.write_bytes(content)
    return path


SINGULAR = {312: bytes(16)}  # the third row of the sform
NAN = {280: np.full(4, np.nan, "<f4").tobytes()}  # the first


def read(path):
    return Medical(select="all").read(Record(path, False, ""))


@pytest.mark.parametrize("raw", [SINGULAR, NAN])
def test_a_form_that_maps_nothing_gives_way_to_the_other_and_is_told(tmp_path, raw):
    path = scan(tmp_path / "a.nii", raw=raw)
    sample = read(path)
    assert sample.warnings == (f"{path}: its sform maps no volume; the qform is taken.",)
    assert geometry.read(path).affine_source == "qform"
    assert_array_equal(sample.views, read(scan(tmp_path / "b.nii")).views)
    saved = nib.load(Medical().save(sample, np.ones(sample.elements, np.float32), tmp_path / "map")["map"])
    assert_allclose(saved.affine, PLACED, atol=1e-4)


@pytest.mark.parametrize("raw", [SINGULAR, NAN])
def test_without_a_usable_form_a_scan_is_refused(tmp_path, raw):
    with pytest.raises(UnreadableError, match=r"a.nii: its affine maps no volume \(.*\); repair its sform or qform"):
        read(scan(tmp_path / "a.nii", qform=(None, 0), raw=raw))


def test_without_any_form_the_voxel_sizes_are_taken_and_told(tmp_path):
    path = scan(tmp_path / "a.nii", (None, 0), (None, 0))
    assert geometry.read(path).affine_source == "pixdim"
    assert read(path).warnings == (
        f"{path}: has neither sform nor qform; the place of its voxels is made up from their size.",
    )
    assert_allclose(geometry.read(path).affine, nib.load(path).affine)


def test_forms_that_differ_are_told(tmp_path):
    moved = PLACED.copy()
    moved[0, 3] += 0.01
    path = scan(tmp_path / "a.nii", qform=(moved, 1))
    assert read(path).warnings == (f"{path}: its sform and qform differ by 0.01; the sform is taken.",)
    moved[0, 3] = PLACED[0, 3] + 0.0005
    assert read(scan(tmp_path / "b.nii", qform=(moved, 1))).warnings == ()


@pytest.mark.parametrize(("code", "unit"), [(0, ""), (1, "meter"), (2, ""), (3, "micron")])
def test_lengths_that_are_no_millimetres_are_told(tmp_path, code, unit):
    path = scan(tmp_path / "a.nii", raw={123: bytes([code])})  # xyzt_units
    told = (f"{path}: its lengths are in {unit}s by its header, and are taken for millimetres, as nibabel does.",)
    assert read(path).warnings == (told if unit else ())


def test_sheared_axes_are_told(tmp_path):
    sheared = PLACED.copy()
    sheared[:3, 2] += 0.2 * sheared[:3, 1]
    path = scan(tmp_path / "a.nii", (sheared, 1), (None, 0))
    assert read(path).warnings == (
        f"{path}: its voxel axes are not at right angles; slices are shown as they are stored.",
    )
    assert read(scan(tmp_path / "b.nii")).warnings == ()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "f4", "f8"])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_values_of_every_type_and_byte_order_are_those_of_nibabel(tmp_path, order, kind, ending):
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype(kind).newbyteorder(order))
    image = nib.Nifti1Image(VOXELS.astype(kind), PLACED, header)
    image.header.set_slope_inter(2 if kind == "i2" else 1, -1024 if kind == "i2" else 0)
    nib.save(image, tmp_path / f"a{ending}")
    found = volumes.stored(geometry.read(tmp_path / f"a{ending}"))
    assert found.voxels.dtype.isnative
    expected = np.asarray(nib.load(tmp_path / f"a{ending}").dataobj, np.float32)
    assert_array_equal(found.values(found.voxels), expected)


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_a_saved_map_holds_no_text_of_its_scan(tmp_path, kind):
    image = kind(VOXELS, PLACED)
    for field in ("descrip", "intent_name", "aux_file", *(("db_name", "data_type") if kind is nib.Nifti1Image else ())):
        image.header[field] = f"Doe {field}"[:10]
    image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"Doe, Jane"))
    path = tmp_path / "scan.nii.gz"
    nib.save(image, path)
    sample = read(path)
    scores = RNG.random(sample.elements, np.float32)
    written = Medical().save(sample, scores, tmp_path / "map")["map"]
    assert b"Doe" not in gzip.decompress(written.read_bytes())
    saved = nib.load(written)
    assert type(saved) is kind
    assert_array_equal(np.asarray(saved.dataobj).ravel(), scores)
    assert_array_equal(saved.affine, nib.load(path).affine)
    assert saved.header["descrip"].item() == b"anomaly score in [0, 1]"


def test_a_big_endian_scan_gets_a_map_that_is_right(tmp_path):
    nib.save(nib.Nifti1Image(VOXELS, PLACED, nib.Nifti1Header(endianness=">")), tmp_path / "a.nii")
    scores = RNG.random(VOXELS.shape, np.float32)
    scan = geometry.read(tmp_path / "a.nii")
    saved = nib.load(volumes.write(scores, scan, tmp_path / "map.nii.gz"))
    assert_array_equal(np.asarray(saved.dataobj), scores)
    assert_allclose(saved.affine, PLACED, atol=1e-5)


def test_a_map_is_written_slab_by_slab(tmp_path, monkeypatch):
    monkeypatch.setattr(nifti, "_SLAB", 2)
    scores = RNG.random(VOXELS.shape, np.float32)
    scan = geometry.read(write(tmp_path / "a.nii.gz", VOXELS))
    parts = list(nifti.packed(scores, scan))
    assert len(parts) == 1 + 4 + 1  # header, slabs of 7 planes, end
    (tmp_path / "map.nii.gz").write_bytes(b"".join(parts))
    assert_array_equal(np.asarray(nib.load(tmp_path / "map.nii.gz").dataobj), scores)
