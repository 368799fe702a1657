import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from domains.medical import Medical
from domains.medical.datasets import nifti, nifti_slices, open_ms, yes_no
from framework.errors import TruthError, UnreadableError, UserError
from framework.registry import names

LAS = np.diag([-1.0, 1.0, 2.0, 1.0])


def scan(path, filled=slice(None), value=1000, affine=LAS):
    """A file with something in some of its six axial slices."""
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.zeros((8, 9, 6), np.int16)
    voxels[2:6, 2:7, filled] = np.random.default_rng(0).integers(value // 2, value, voxels[2:6, 2:7, filled].shape)
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


def mask(path, *marked):
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.zeros((8, 9, 6), np.uint8)
    for index in marked:
        voxels[index] = 1
    nib.save(nib.Nifti1Image(voxels, LAS), path)
    return path


@pytest.fixture
def root(tmp_path):
    """Two patients: one healthy, one with a tumour in slices 2 and 3; slices 0 and 5 are empty."""
    scan(tmp_path / "test/good/anna_1.nii.gz", slice(1, 5))
    scan(tmp_path / "test/tumour/old_berta_2.nii.gz", slice(1, 5))
    mask(tmp_path / "test/masks/tumour/old_berta_2.nii.gz", (3, 3, 2), (3, 4, 3))
    (tmp_path / "test/good/._anna_1.nii.gz").touch()
    return tmp_path


def test_all_sets_are_registered():
    mine = {n for n in names("dataset") if n.startswith("medical/")}
    assert {"medical/nifti", "medical/nifti_slices", "medical/open_ms", "medical/yes_no"} <= mine


def test_scans_carry_patient_finding_and_mask(root):
    healthy, ill = nifti(root, category="brain")
    assert (healthy.anomalous, healthy.group, healthy.defect, healthy.category) == (False, "anna", "", "brain")
    assert healthy.truth_path == healthy.path
    assert (ill.anomalous, ill.group, ill.defect) == (True, "old_berta", "tumour")
    assert ill.truth_path == root / "test/masks/tumour/old_berta_2.nii.gz"


def test_without_masks_only_labels_are_known(root):
    (root / "test/masks").rename(root / "elsewhere")
    assert [(r.anomalous, r.truth_path) for r in nifti(root)] == [(False, None), (True, None)]
    with pytest.raises(TruthError, match="slices need masks"):
        list(nifti_slices(root))


def test_a_mask_that_is_missing_is_named(root):
    (root / "test/masks/tumour/old_berta_2.nii.gz").unlink()
    with pytest.raises(TruthError, match=r"old_berta_2.nii.gz: its mask is missing; it should be .*masks/tumour"):
        list(nifti(root))


def test_slices_are_labelled_by_their_mask_and_empty_ones_left_out(root):
    records = list(nifti_slices(root))
    assert [(r.group, r.frame, r.anomalous) for r in records] == [
        *(("anna", k, False) for k in (1, 2, 3, 4)),
        ("old_berta", 1, False),
        ("old_berta", 2, True),
        ("old_berta", 3, True),
        ("old_berta", 4, False),
    ]
    assert [r.defect for r in records[4:]] == ["", "tumour", "tumour", ""]
    assert len(list(nifti_slices(root, empty=True))) == 12
    assert [r.frame for r in nifti_slices(root, stride=2)] == [1, 3, 1, 3]


def test_the_label_of_a_slice_is_that_of_the_sample_the_reader_makes(root):
    for axis in ("axial", "coronal", "sagittal"):
        records = list(nifti_slices(root, axis=axis))
        assert any(r.anomalous for r in records)
        for record in records:
            assert Medical(axis=axis).read(record).truth.any() == record.anomalous


def test_a_broken_piece_is_named(root):
    (root / "test/good/zoe_1.nii.gz").write_bytes(b"junk")
    with pytest.raises(UnreadableError, match=r"zoe_1.nii.gz: not a readable NIfTI file"):
        list(nifti_slices(root))
    scan(root / "test/good/zoe_1.nii.gz")
    scan(root / "test/masks/tumour/old_berta_2.nii.gz", affine=np.eye(4))
    with pytest.raises(TruthError, match=r"old_berta_2.nii.gz: affine"):
        list(nifti_slices(root))


@pytest.mark.parametrize("dataset", [nifti, nifti_slices, open_ms])
def test_a_stride_below_one_is_refused(root, dataset):
    with pytest.raises(UserError, match="stride: 0 is below 1"):
        list(dataset(root, stride=0))


def test_open_ms_pairs_flair_and_gold_standard(tmp_path):
    folder = tmp_path / "cross_sectional/MNI/patient07"
    flair = scan(folder / "FLAIR_N4_regtoMNI.nii.gz", slice(1, 5))
    truth = mask(folder / "GOLD_STANDARD_N4_regtoMNI.nii.gz", (3, 3, 4))
    slices = list(open_ms(tmp_path))
    assert [(r.frame, r.anomalous) for r in slices] == [(1, False), (2, False), (3, False), (4, True)]
    assert {(r.path, r.truth_path, r.group, r.category) for r in slices} == {(flair, truth, "patient07", "brain")}
    (whole,) = open_ms(tmp_path, slices=False)
    assert (whole.anomalous, whole.frame, whole.defect) == (True, None, "lesion")
    truth.unlink()
    with pytest.raises(TruthError, match=r"patient07: 0 files GOLD_STANDARD"):
        list(open_ms(tmp_path))


def test_yes_no_takes_pictures_of_any_case_and_nothing_else(tmp_path):
    for name in ("yes/Y1.JPG", "yes/Y2.jpeg", "no/1 no.png", "no/2.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (4, 5)).save(tmp_path / name)
    for name in ("no/Thumbs.db", "no/._2.jpg", "README.md"):
        (tmp_path / name).touch()
    records = list(yes_no(tmp_path))
    assert [(r.path.name, r.anomalous) for r in records] == [
        ("1 no.png", False),
        ("2.jpg", False),
        ("Y1.JPG", True),
        ("Y2.jpeg", True),
    ]
    assert {(r.truth_path, r.group, r.category) for r in records} == {(None, "", "brain")}


def test_listing_loads_no_torch(root):
    code = (
        "import sys; from pathlib import Path; from framework.registry import build, load_domain;"
        f"load_domain('medical'); n = len(list(build('dataset', 'medical/nifti_slices', Path({str(root)!r}))));"
        "assert n == 8, n; bad = {'torch', 'monai'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
