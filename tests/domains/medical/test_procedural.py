import hashlib

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.metrics import roc_auc_score

from domains.medical import Medical, procedural, volumes
from domains.medical.datasets import nifti, nifti_slices
from domains.medical.findings import FINDINGS
from domains.medical.procedural import Plan, draw
from framework.quickstart import SEED

nib = pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    procedural.write(folder, seed=3, samples=12)
    return folder


def hashes(folder):
    return {p.relative_to(folder): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.nii.gz")}


@pytest.mark.parametrize("name", ["source", "target"])
def test_a_set_has_the_layout_of_the_loader_and_two_scans_a_patient(root, name):
    records = list(nifti(root / name))
    assert len(records) == 12
    assert sum(r.anomalous for r in records) == 6
    assert {r.defect for r in records if r.anomalous} == set(FINDINGS)
    for group in {r.group for r in records}:
        assert sorted(r.anomalous for r in records if r.group == group) == [False, True]
    train = list(nifti(root / name, split="train"))
    assert len(train) == 4
    assert not any(r.anomalous for r in train)
    assert not {r.group for r in train} & {r.group for r in records}


def test_every_scan_is_read_with_its_truth(root):
    for record in nifti(root / "source"):
        sample = Medical(slices=6).read(record)
        assert len(sample.views) == 6
        if not record.anomalous:
            assert not sample.truth.any()


def test_files_differ_in_axis_order_and_are_int16_millimetres(root):
    images = [nib.load(p) for p in root.rglob("good/*.nii.gz")]
    assert len({nib.aff2axcodes(i.affine) for i in images}) > 2
    assert {(i.get_data_dtype(), i.header.get_xyzt_units()[0]) for i in images} == {(np.dtype(np.int16), "mm")}
    assert all(sorted(i.header.get_zooms()) == pytest.approx([2.0, 2.2, 2.3], rel=1e-4) for i in images)


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(root, tmp_path):
    procedural.write(tmp_path / "same", seed=3, samples=2)
    procedural.write(tmp_path / "again", seed=3, samples=2)
    procedural.write(tmp_path / "other", seed=4, samples=2)
    assert hashes(tmp_path / "same") == hashes(tmp_path / "again")
    assert not set(hashes(tmp_path / "same").values()) & set(hashes(tmp_path / "other").values())


def test_no_scan_of_the_source_is_in_the_target(root):
    source, target = (hashes(root / name) for name in ("source", "target"))
    scans = [{h for p, h in one.items() if "masks" not in p.parts} for one in (source, target)]
    assert not scans[0] & scans[1]
    assert len(scans[0]) == 16


@pytest.mark.parametrize("finding", FINDINGS)
@pytest.mark.parametrize("contrast", ["t1", "flair"])
def test_a_healthy_twin_is_equal_outside_the_mask_and_only_there(finding, contrast):
    for patient in range(2):
        ill, mask = draw(Plan("a", (0, patient), 0, finding), contrast)
        twin, nothing = draw(Plan("a", (0, patient), 0, ""), contrast)
        assert not nothing.any()
        assert_array_equal(ill[~mask], twin[~mask])
        assert 20 < mask.sum() < 0.1 * mask.size
        assert (ill != twin)[mask].mean() > 0.8


def test_a_patient_has_a_scan_with_a_finding_and_its_healthy_twin(root):
    for group in {r.group for r in nifti(root / "target")}:
        healthy, ill = sorted((r for r in nifti(root / "target") if r.group == group), key=lambda r: r.anomalous)
        twin, scan, mask = (nib.load(p) for p in (healthy.path, ill.path, ill.truth_path))
        assert_array_equal(twin.affine, scan.affine)
        outside = np.asarray(mask.dataobj) == 0
        assert_array_equal(np.asarray(twin.dataobj)[outside], np.asarray(scan.dataobj)[outside])
        assert (np.asarray(twin.dataobj) != np.asarray(scan.dataobj)).any()


def test_findings_reach_from_faint_to_plain():
    """Mean change inside the mask, as a share of the mean of the brighter half of the healthy twin."""
    changes = []
    for patient, finding in enumerate([*FINDINGS] * 3):
        ill, mask = draw(Plan("a", (1, patient), 0, finding), "t1")
        twin, _ = draw(Plan("a", (1, patient), 0, ""), "t1")
        changes.append(np.abs(ill.astype(float) - twin)[mask].mean() / twin[twin > np.percentile(twin, 50)].mean())
    assert 0.1 < min(changes) < 0.25
    assert max(changes) > 0.5


def position_auroc(records):
    """How well nearness to the middle slice of its scan tells a slice's label, and the standard error of that.

    The slices that one finding marks lie together, so the independent units are the patients: the error adds up what
    each patient's slices contribute (DeLong's placements, summed by cluster as in Obuchowski, Biometrics 1997).
    """
    frames = {}
    for record in records:
        frames.setdefault(record.path, []).append(record.frame)
    near = np.array([-abs(r.frame - np.median(frames[r.path])) for r in records])
    label = np.array([r.anomalous for r in records])
    auroc, share = roc_auc_score(label, near), np.empty(len(near))
    for one, sign in ((True, 1), (False, -1)):  # of each slice, the share of the other label's that it beats
        own, other = sign * near[label == one], np.sort(sign * near[label != one])
        share[label == one] = (np.searchsorted(other, own) + np.searchsorted(other, own, "right")) / 2 / len(other)
    parts = (share - auroc) / np.where(label, label.sum(), (~label).sum())
    patients = [f"{r.path.parents[2]} {r.group}" for r in records]
    return auroc, np.sqrt((np.bincount(np.unique(patients, return_inverse=True)[1], parts) ** 2).sum())


@pytest.mark.parametrize("contrast", ["t1", "flair"])
def test_size_brightness_and_spread_say_nothing_of_the_label(contrast, tmp_path):
    plans = list(procedural.plans((11, 0), 40))
    labels = [bool(p.finding) for p in plans]
    controls = {"file size": [], "mean": [], "spread": [], "brightest": []}
    for plan in plans:
        voxels, _ = draw(plan, contrast)
        path = volumes.create(voxels, procedural.affine(plan), tmp_path / f"{plan.name}.nii.gz")
        controls["file size"].append(path.stat().st_size)
        controls["mean"].append(voxels.mean())
        controls["spread"].append(voxels.std())
        controls["brightest"].append(np.percentile(voxels, 99.9))
    controls["order in the folder"] = [int(p.name[-1]) for p in plans]
    for name, values in controls.items():
        assert abs(roc_auc_score(labels, values) - 0.5) < 0.12, name


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """The sets that the quickstart writes: 144 scans of 72 patients."""
    folder = tmp_path_factory.mktemp("shipped")
    procedural.write(folder, seed=SEED)
    return folder


@pytest.mark.slow
def test_no_shortcut_tells_the_scans_of_the_quickstart(shipped, tells):
    records = [*nifti(shipped / "source"), *nifti(shipped / "target")]
    controls = {"file size": [], "mean": [], "spread": [], "brightest": [], "order in the folder": []}
    for record in records:
        voxels = np.asarray(nib.load(record.path).dataobj)
        numbers = record.path.stat().st_size, voxels.mean(), voxels.std(), np.percentile(voxels, 99.9)
        for column, value in zip(controls.values(), (*numbers, record.path.name[-8]), strict=True):
            column.append(float(value))
    assert tells(controls, [r.anomalous for r in records]) == {}


@pytest.mark.slow
def test_the_position_of_a_slice_does_not_tell_its_label(shipped):
    records = [*nifti_slices(shipped / "source"), *nifti_slices(shipped / "target")]
    assert 0.05 < np.mean([r.anomalous for r in records]) < 0.3
    auroc, error = position_auroc(records)
    assert error < 0.03  # 0.552 with 0.024 at this seed; 0.79 and 0.84 on public slice sets of brains and retinas
    assert abs(auroc - 0.5) < 3 * error
