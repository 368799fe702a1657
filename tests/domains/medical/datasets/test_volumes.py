import subprocess
import sys

import numpy as np
import pytest

from domains.medical import Medical
from domains.medical.datasets import nifti, nifti_slices, open_ms
from framework.cli import main
from framework.data.inspection import inspect
from framework.errors import TruthError, UnreadableError, UserError
from framework.registry import names

nib = pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")
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
    assert {"medical/nifti", "medical/nifti_slices", "medical/open_ms"} <= mine


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


def test_a_scan_whose_mask_is_missing_still_names_it_and_cannot_be_read(root):
    gone = root / "test/masks/tumour/old_berta_2.nii.gz"
    gone.unlink()
    healthy, ill = nifti(root)
    assert ill.anomalous and ill.truth_path == gone
    with pytest.raises(TruthError, match=r"^mask .*masks/tumour/old_berta_2.nii.gz: no such file"):
        Medical().read(ill)
    assert not Medical().read(healthy).truth.any()


@pytest.mark.parametrize("dataset", ["nifti", "nifti_slices"])
def test_check_lists_every_scan_and_mask_that_is_missing_or_broken(root, dataset):
    for number in (3, 4):
        scan(root / f"test/tumour/clara_{number}.nii.gz", slice(1, 5))
        (root / f"test/good/zoe_{number}.nii.gz").write_bytes(b"junk")
    whole = scan(root / "test/good/zoe_5.nii.gz").read_bytes()
    (root / "test/good/zoe_5.nii.gz").write_bytes(whole[:-9])  # its header is whole
    report = inspect(f"medical/{dataset}", root)
    told = [line for line in report.problems if not line.startswith("same content")]
    assert [line.split(" (")[0].rpartition("/")[2] for line in told] == [
        "zoe_3.nii.gz: not a readable NIfTI file",
        "zoe_4.nii.gz: not a readable NIfTI file",
        "zoe_5.nii.gz: truncated or corrupt",
        "clara_3.nii.gz: no such file.",
        "clara_4.nii.gz: no such file.",
    ]
    assert report.with_truth == (1 if dataset == "nifti" else 2) and report.fingerprint == ""


def test_check_names_a_scan_with_nan_once_and_reads_it_when_told(root):
    path = root / "test/good/anna_1.nii.gz"
    voxels = np.asarray(nib.load(path).dataobj, np.float32)
    voxels[0, 0] = np.nan
    nib.save(nib.Nifti1Image(voxels, LAS), path)
    (problem,) = inspect("medical/nifti_slices", root).problems
    assert problem.startswith(f"{path}: 6 of 432 values are NaN or infinite")
    assert main(["datasets", "check", "medical/nifti_slices", str(root), "--reader", "nan=zero"]) == 0


@pytest.mark.parametrize("kind", ["junk", "a mask on another grid"])
def test_training_on_slices_stops_with_one_line_at_a_broken_scan(root, capsys, kind):
    if kind == "junk":
        (root / "test/good/zoe_1.nii.gz").write_bytes(b"junk")
    else:
        scan(root / "test/masks/tumour/old_berta_2.nii.gz", affine=np.eye(4))
        scan(root / "test/tumour/carl_1.nii.gz")
        mask(root / "test/masks/tumour/carl_1.nii.gz", (3, 3, 2))
    (root / "x.yaml").write_text(
        "name: slices\nmodel: {backbone: {name: embedded}, crops: base}\nstore: {mode: never}\n"
        f"train: {{heads: {{domain: medical, dataset: nifti_slices, root: {root}}}}}\nout: {root}/runs\n"
        "trainer: {accelerator: cpu, max_epochs: 1, enable_progress_bar: false}\n"
    )
    assert main(["fit", str(root / "x.yaml")]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("anomaly-ov: ")
    assert ("zoe_1.nii.gz: not a readable NIfTI" if kind == "junk" else "old_berta_2.nii.gz: affine") in line


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


def test_a_scan_that_cannot_be_sliced_is_one_record_whose_reading_says_why(root):
    (root / "test/good/zoe_1.nii.gz").write_bytes(b"junk")
    scan(root / "test/masks/tumour/old_berta_2.nii.gz", affine=np.eye(4))
    *anna, zoe, berta = nifti_slices(root)
    assert [r.frame for r in anna] == [1, 2, 3, 4]
    assert (zoe.frame, zoe.anomalous, berta.frame, berta.anomalous) == (None, False, None, True)
    with pytest.raises(UnreadableError, match=r"zoe_1.nii.gz: not a readable NIfTI file"):
        Medical().read(zoe)
    with pytest.raises(TruthError, match=r"old_berta_2.nii.gz: affine"):
        Medical().read(berta)


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
    twin = mask(folder / "GOLD_STANDARD_2.nii.gz")
    with pytest.raises(TruthError, match=r"patient07: 2 files GOLD_STANDARD"):
        list(open_ms(tmp_path))
    truth.unlink(), twin.unlink()
    for slices in (True, False):
        (missing,) = open_ms(tmp_path, slices=slices)
        with pytest.raises(TruthError, match=r"patient07/GOLD_STANDARD\*.nii.gz: no such file"):
            Medical().read(missing)


@pytest.mark.parametrize("dataset", ["nifti", "nifti_slices"])
def test_a_patient_in_two_splits_is_told_whether_or_not_the_other_has_masks(root, dataset):
    scan(root / "train/good/anna_7.nii.gz")
    report = inspect(f"medical/{dataset}", root)
    (line,) = [w for w in report.warnings if "in split train" in w]
    assert line.startswith("1 of 2 patients of split test are in split train too: anna.")


def test_listing_loads_no_torch(root):
    code = (
        "import sys; from pathlib import Path; from framework.registry import build, load_domain;"
        f"load_domain('medical'); n = len(list(build('dataset', 'medical/nifti_slices', Path({str(root)!r}))));"
        "assert n == 8, n; bad = {'torch', 'monai'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_marked_slice_counts_though_it_shows_nothing(root):
    mask(root / "test/masks/tumour/old_berta_2.nii.gz", (3, 3, 0), (3, 4, 3))
    ill = [r for r in nifti_slices(root) if r.group == "old_berta"]
    assert [(r.frame, r.anomalous) for r in ill] == [(0, True), (1, False), (2, False), (3, True), (4, False)]
