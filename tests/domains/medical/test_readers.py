"""MONAI's readers against ours: the same values at the same places, or one line. Those of itk run where itk is."""

import gzip
import importlib.util

import numpy as np
import pytest
from fake_dicom import AXIAL, dataset, frames, place, save, series, table
from fake_scans import oblique
from numpy.testing import assert_allclose, assert_array_equal

from domains.medical import Medical, geometry, volumes
from framework.errors import UnreadableError, UserError
from framework.types import Record

nib = pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")

has_itk = pytest.mark.skipif(importlib.util.find_spec("itk") is None, reason="needs itk: uv pip install itk")
ITK = pytest.param("itk", marks=has_itk)
VOXELS = np.random.default_rng(0).integers(-500, 900, (7, 9, 5)).astype(np.int16)  # I, J, K
PLANES = VOXELS.transpose(2, 1, 0).copy()  # of DICOM: slices, rows, columns
PLACED = oblique((2, 0, 1), (-1, 1, -1))
TURNED = (0.0, 0.8, 0.6, 0.0, 0.6, -0.8)  # of rows and columns, LPS


def nifti_file(path, voxels=VOXELS, affine=PLACED, scale=(1, 0), forms=None):
    image = nib.Nifti1Image(voxels, affine)
    image.header.set_slope_inter(*scale)
    if forms:
        image.set_sform(*forms[0])
        image.set_qform(*forms[1])
    nib.save(image, path)
    return path


def values(path, reader, channel=None):
    found = volumes.stored(geometry.read(path, channel), reader)
    return found.values(found.voxels)


@pytest.mark.parametrize("reader", ["nibabel", ITK])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_nifti_file_has_the_same_values_at_the_same_places(tmp_path, reader, ending, capfd, recwarn):
    written = {
        "plain": {},
        "turned": {"affine": oblique((1, 2, 0), (-1, -1, 1))},
        "flat": {"voxels": VOXELS[:, :, 0], "affine": np.diag([1, 1.5, 2, 1])},
        "slice": {"voxels": VOXELS[:, :, :1]},
        "scaled": {"scale": (0.37, -1024.5)},
        "float": {"voxels": VOXELS.astype(np.float64) / 7},
        "no sform": {"forms": [(None, 0), (PLACED, 1)]},
        "no qform": {"forms": [(PLACED, 1), (None, 0)]},
    }
    for name, how in written.items():
        path = nifti_file(tmp_path / f"{name}{ending}", **how)
        assert_array_equal(values(path, reader), values(path, "auto"), name)
        assert_array_equal(values(path, "auto"), nib.load(path).get_fdata(dtype=np.float32).reshape(7, 9, -1), name)
        assert_allclose(views(path, reader), views(path, "auto"), atol=1, err_msg=name)  # scaled after, or before
    assert capfd.readouterr() == ("", "") and not recwarn.list


def views(path, reader):
    return Medical(reader=reader).read(Record(path, False, "")).views.astype(int)


@pytest.mark.parametrize("reader", ["nibabel", ITK])
def test_one_volume_of_several(tmp_path, reader):
    path = nifti_file(tmp_path / "four.nii.gz", np.stack([VOXELS, VOXELS[::-1], VOXELS[:, ::-1]], -1))
    assert_array_equal(values(path, reader, channel=2), VOXELS[:, ::-1])


@pytest.mark.parametrize("reader", ["nibabel", ITK])
def test_a_reader_that_places_voxels_elsewhere_is_one_line(tmp_path, reader, capfd):
    sheared = PLACED.copy()
    sheared[:3, 1] += 0.3 * sheared[:3, 0]
    path = nifti_file(tmp_path / "a.nii", forms=[(sheared, 1), (PLACED, 1)])
    assert_allclose(geometry.read(path).affine, sheared, atol=1e-5)  # MONAI's take the qform instead
    with pytest.raises(UnreadableError, match=rf"a.nii: reader {reader} places its voxels .* apart; use reader: auto"):
        values(path, reader)
    assert capfd.readouterr() == ("", "")


@has_itk
def test_what_itk_says_is_one_line(tmp_path, capfd):
    sheared = PLACED.copy()
    sheared[:3, 1] += 0.3 * sheared[:3, 0]
    path = nifti_file(tmp_path / "a.nii", forms=[(sheared, 1), (None, 0)])
    with pytest.raises(
        UnreadableError, match=r"a.nii: reader itk cannot read it \(ITK only supports .*\); use auto\.$"
    ):
        values(path, "itk")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("reader", ["auto", "nibabel", ITK])
def test_a_damaged_nifti_file_is_one_line(tmp_path, reader, capfd):
    plain, packed = nifti_file(tmp_path / "a.nii"), nifti_file(tmp_path / "a.nii.gz")
    wrong_sum = bytearray(packed.read_bytes())
    wrong_sum[-6] ^= 255
    damaged = {
        "short.nii": plain.read_bytes()[:-100],
        "short.nii.gz": packed.read_bytes()[:-100],
        "sum.nii.gz": bytes(wrong_sum),
        "junk.nii": b"this is a letter" * 100,
        "junk.nii.gz": gzip.compress(b"this is a letter" * 100),
        "empty.nii": b"",
    }
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
        for changed in (False, True):  # after its header was read
            scan = geometry.Geometry(tmp_path / name, VOXELS.shape, PLACED)
            with pytest.raises(
                UnreadableError, match=f"{name}: (truncated or|the file is empty|not a readable)"
            ) as told:
                volumes.stored(scan, reader) if changed else values(tmp_path / name, reader)
            assert "\n" not in str(told.value)
    with pytest.raises(UnreadableError, match=r"gone.nii: no such file"):
        values(tmp_path / "gone.nii", reader)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("reader", ["pydicom", ITK])
@pytest.mark.parametrize("how", [{}, {"step": (0.0, 0.0, -1.25)}, {"orientation": TURNED, "step": (-2.0, 0.0, 0.0)}])
def test_a_series_has_the_same_values_in_our_order(tmp_path, reader, how, capfd, recwarn):
    pytest.importorskip("pydicom", reason="needs the extra: uv pip install -e '.[medical]'")
    paths = series(tmp_path, PLANES, **how)
    series(tmp_path, PLANES[:3], series="1.2.4", name="other{}.dcm")  # stays apart
    (tmp_path / "letter.txt").write_text("no slice")
    expected = values(paths[0], "auto")
    assert_array_equal(np.sort(np.unique(expected)), np.unique(VOXELS * 2.0 - 1000))
    assert_array_equal(values(paths[0], reader), expected)
    assert_array_equal(views(paths[0], reader), views(paths[0], "auto"))
    assert capfd.readouterr() == ("", "") and not recwarn.list


@pytest.mark.parametrize("reader", ["pydicom", ITK])
def test_a_series_that_a_reader_cannot_give_alike_is_one_line(tmp_path, reader, capfd):
    pytest.importorskip("pydicom", reason="needs the extra: uv pip install -e '.[medical]'")
    inverted = series(tmp_path / "inverted", PLANES, kind="MR", PhotometricInterpretation="MONOCHROME1")[0]
    with pytest.raises(UserError, match=f"shown inverted are not read with reader: {reader}; use auto"):
        values(inverted, reader)
    told = series(tmp_path / "table", PLANES.astype(np.uint16), ModalityLUTSequence=table(0, [3, 4]))[0]
    with pytest.raises(UserError, match=rf"ModalityLUTSequence\) need reader: auto, not {reader}"):
        values(told, reader)
    enhanced = frames(tmp_path / "frames.dcm", PLANES, range(5))
    with pytest.raises(UserError, match=f"frames.dcm: 5 frames in one file are not read with reader: {reader}; use a"):
        values(enhanced, reader)
    short = series(tmp_path / "short", PLANES)[2]
    short.write_bytes(short.read_bytes()[:-30])
    with pytest.raises(UnreadableError, match=rf"{short.name}: reader {reader} cannot read its pixels"):
        values(short, reader)
    gap = series(tmp_path / "gap", PLANES)
    gap[2].unlink()
    with pytest.raises(UnreadableError, match="1 of 5 slices missing"):
        values(gap[0], reader)
    assert capfd.readouterr() == ("", "")


def test_a_slice_that_monai_places_elsewhere_is_one_line(tmp_path, monkeypatch):
    readers = pytest.importorskip("monai.data.image_reader")
    pytest.importorskip("pydicom", reason="needs the extra: uv pip install -e '.[medical]'")
    path = save(place(dataset(PLANES[0]), (1, 2, 3), AXIAL), tmp_path / "a.dcm")
    real = readers.PydicomReader._get_affine
    monkeypatch.setattr(readers.PydicomReader, "_get_affine", lambda *given: real(*given) + np.eye(4) * 0.01)
    with pytest.raises(UnreadableError, match=r"a.dcm: reader pydicom places its voxels 0.01 apart; use reader: auto"):
        values(path, "pydicom")


def test_a_reader_of_other_files_is_one_line(tmp_path):
    pytest.importorskip("pydicom", reason="needs the extra: uv pip install -e '.[medical]'")
    with pytest.raises(UserError, match="a NIfTI file is not read with reader: pydicom; use auto, nibabel or itk"):
        values(nifti_file(tmp_path / "a.nii"), "pydicom")
    with pytest.raises(UserError, match="a DICOM series is not read with reader: nibabel; use auto, pydicom or itk"):
        values(series(tmp_path, PLANES)[0], "nibabel")


def test_a_reader_that_is_not_installed_is_one_line(tmp_path, monkeypatch):
    import monai.utils.module

    monkeypatch.setattr(monai.utils.module, "optional_import", lambda name: (None, False))
    with pytest.raises(UserError, match="reader: itk needs the package itk; run: uv pip install itk"):
        Medical(reader="itk").read(Record(nifti_file(tmp_path / "a.nii.gz"), False, ""))
