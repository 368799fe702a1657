import hashlib

import numpy as np
import pytest
from fake_dicom import dataset, place, save, series
from numpy.testing import assert_array_equal
from PIL import Image

from domains.medical import Medical, dicom
from framework.config import DataConfig
from framework.data.fingerprint import fingerprint
from framework.data.index import open_index
from framework.data.inspection import inspect
from framework.errors import TruthError, UnreadableError, UserError

pytest.importorskip("pydicom", reason="needs the extra: uv pip install -e '.[medical]'")
nib = pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")

VOXELS = np.random.default_rng(0).integers(0, 2000, (5, 4, 6)).astype(np.int16)  # slices, rows, columns
MASK = np.zeros((6, 4, 5), np.uint8)  # as the series: columns, rows, slices
MASK[1, 2, 3] = MASK[1, 3, 3] = 1


def records(root, **options):
    return open_index("set", DataConfig("medical", "dicom", str(root), options=options)).records


@pytest.fixture
def root(tmp_path):
    """Two patients; a healthy scan and a tumour with a mask each; and an X-ray of each."""
    series(tmp_path / "test/good/a/ct", VOXELS, series="1.1", PatientID="4711")
    paths = series(tmp_path / "test/tumour/b/ct", VOXELS[::-1], series="1.2", PatientID="4712")
    (tmp_path / "test/tumour/b/notes.txt").write_text("hello")
    save(dataset(VOXELS[0], "DX", "1.3", PatientID="4711"), tmp_path / "test/good/a/x1")
    save(dataset(VOXELS[1], "DX", "1.4", PatientID="4712"), tmp_path / "test/tumour/b/x/x2.dcm")
    masks = tmp_path / "test/masks/tumour/b"
    masks.mkdir(parents=True)
    nib.save(nib.Nifti1Image(MASK, dicom.read(paths[0]).affine), masks / "ct.nii.gz")
    Image.fromarray(np.pad(np.full((1, 2), 255, np.uint8), ((1, 2), (1, 3)))).save(masks / "x.png")
    return tmp_path


def test_good_is_good_in_any_case(root):
    (root / "test/good").rename(root / "test/Good")
    assert [r.defect for r in records(root)] == ["", "", "tumour", "tumour"]


def test_a_tree_is_a_record_for_each_series_and_picture(root):
    good, xray, tumour, other = records(root, category="chest")
    place = root / "test"
    first, second = (hashlib.sha256(n).hexdigest()[:12] for n in (b"4711", b"4712"))
    assert [r.path for r in (good, xray, tumour, other)] == [
        place / "good/a/x1",
        place / "good/a/ct/00.dcm",
        place / "tumour/b/ct/00.dcm",
        place / "tumour/b/x/x2.dcm",
    ]
    assert [r.group for r in (good, xray, tumour, other)] == [first, first, second, second]
    assert [r.anomalous for r in (good, xray, tumour, other)] == [False, False, True, True]
    assert len(tumour.beside) == 4 and good.beside == () and tumour.category == "chest" and tumour.defect == "tumour"
    assert tumour.truth_path == place / "masks/tumour/b/ct.nii.gz" and good.truth_path == good.path
    sample = Medical().read(tumour)
    assert sample.truth.sum() == 2
    assert Medical().read(other).truth.reshape(4, 6)[1, 1:3].all()
    assert Medical().read(good).views.shape == (1, 3, 4, 6)


def test_a_mask_that_was_drawn_on_a_nifti_copy_fits(root):
    record = records(root)[2]
    truth = Medical().read(record).truth
    affine = nib.load(record.truth_path).affine
    turned = nib.as_closest_canonical(nib.Nifti1Image(MASK, affine))
    assert not np.allclose(turned.affine, affine)
    nib.save(turned, record.truth_path)
    assert_array_equal(Medical().read(record).truth, truth)
    nib.save(nib.Nifti1Image(MASK, affine + np.eye(4)[:, [3, 0, 1, 2]]), record.truth_path)
    with pytest.raises(TruthError, match="differs by"):
        Medical().read(record)


def test_the_patient_may_be_the_folder(root):
    assert [r.group for r in records(root, patient="folder")] == ["a", "a", "b", "b"]
    with pytest.raises(UserError, match="patient: 'name' is neither"):
        records(root, patient="name")


def test_slices_are_labelled_by_the_mask(root):
    found = records(root, slices=True, empty=True)
    scans = [r for r in found if r.frame is not None]
    assert [r.frame for r in scans] == [0, 1, 2, 3, 4] * 2
    assert [r.frame for r in scans if r.anomalous] == [3]
    assert all(len(r.beside) == 4 for r in scans)


def test_two_series_of_a_folder_have_masks_of_their_own_names(root):
    series(root / "test/tumour/b/ct", VOXELS, series="1.9", name="n{}.dcm")
    first, second = (r for r in records(root) if r.beside and r.anomalous)
    assert first.truth_path == root / "test/masks/tumour/b/ct/00.nii.gz"
    assert second.truth_path == root / "test/masks/tumour/b/ct/n00.nii.gz"
    with pytest.raises(TruthError, match=r"mask .*n00.nii.gz: no such file"):
        Medical().read(second)


def test_what_cannot_be_read_is_a_record_that_says_why(root):
    (root / "test/good/a/ct/z.dcm").write_bytes(b"junk")
    found = records(root)
    (record,) = (r for r in found if r.path.name == "z.dcm")
    with pytest.raises(UnreadableError, match=r"z.dcm: not a DICOM file"):
        Medical().read(record)
    report = inspect("medical/dicom", root)
    assert [p for p in report.problems if "z.dcm" in p]
    assert "names of folders and files are names of samples and stand in results; rename" in str(report)


def test_the_fingerprint_covers_every_file(root):
    before = fingerprint(records(root))
    path = root / "test/good/a/ct/14.dcm"
    save(place(dataset(VOXELS[2] + np.int16(1), series="1.1", PatientID="4711"), (-20, 30, 42.5)), path)
    assert fingerprint(records(root)) != before


def test_a_set_without_masks_has_labels_only(tmp_path):
    series(tmp_path / "test/good/a", VOXELS)
    series(tmp_path / "test/tumour/b", VOXELS, series="1.4")
    assert [r.truth_path for r in records(tmp_path)] == [None, None]
    with pytest.raises(TruthError, match="slices need masks"):
        records(tmp_path, slices=True)


def test_a_patient_of_two_splits_is_told(root):
    series(root / "train/good/c", VOXELS, series="1.7", PatientID="4711")
    report = inspect("medical/dicom", root)
    assert any("are in split train too" in w for w in report.warnings) and not any("4711" in w for w in report.warnings)
