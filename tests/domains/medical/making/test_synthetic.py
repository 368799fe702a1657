import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from scipy import ndimage

from domains.medical import Medical
from domains.medical.making import spoiling, synthetic
from domains.medical.making.frames import KINDS, MOST_SLICES, Frame
from domains.medical.making.lesions import LESIONS
from framework.config import DataConfig
from framework.data.fingerprint import fingerprint
from framework.data.index import open_index
from framework.errors import UserError

nib = pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
pytest.importorskip("monai", reason="needs the extra: uv pip install -e '.[medical]'")


def write_scan(path, seed: int, shape=(40, 36, 14)) -> None:
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*((np.arange(n) - (n - 1) / 2) / (0.45 * n) for n in shape), indexing="ij", sparse=True)
    rough = ndimage.gaussian_filter(rng.normal(size=shape), 2)
    tissue = (600 + 120 * rough / rough.std() + rng.normal(0, 15, shape)).clip(100, 1500)
    nib.save(
        nib.Nifti1Image(np.where(sum(a * a for a in axes) < 1, tissue, 0).astype(np.int16), np.diag([1.2, -1.3, 4, 1])),
        path,
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Scans of four patients, of the first two of them two."""
    folder = tmp_path_factory.mktemp("healthy")
    for seed, name in enumerate(("p1_a", "p1_b", "p2_a", "p2_b", "p3_a", "p4_a")):
        write_scan(folder / f"{name}.nii.gz", seed)
    return folder


def records(root, split="train", **options) -> list:
    return list(synthetic.synthetic(root, split, **options))


def test_slices_that_the_reader_would_cut_along_another_axis_are_refused(root):
    config = DataConfig("medical", "synthetic", str(root), "train", options={"axis": "coronal", "each": 1})
    with pytest.raises(UserError, match=r"options: axis=coronal counts .* but reader: axis=axial"):
        open_index("made", config)


def test_a_frame_is_a_number_and_back():
    for frame in (Frame(None, 3, 6, True, 11, 1, 2), Frame(0, 0, 0, False, 0, 0, 0), Frame(511, 999, 1, True, 4, 0, 1)):
        assert Frame.decode(frame.encode()) == frame
        assert MOST_SLICES < frame.encode() < 2**53


def test_splits_share_no_patient_and_leave_none_out(root):
    groups = [{r.group for r in records(root, split, slices="none")} for split in ("train", "test")]
    assert not groups[0] & groups[1]
    assert groups[0] | groups[1] == {"p1", "p2", "p3", "p4"} and len(groups[1]) == 1


def test_marked_slices_stand_beside_the_same_slices_of_the_healthy_twin(root):
    found = records(root, each=7)
    assert {r.defect for r in found if r.anomalous} == set(KINDS)
    healthy, spoiled = ([r for r in found if r.anomalous == one] for one in (False, True))
    assert [(r.path, r.slice) for r in healthy] == [(r.path, r.slice) for r in spoiled]
    assert len({r.id for r in found}) == len(found)
    for good, bad in list(zip(healthy, spoiled, strict=True))[::9]:
        a, b = Medical().read(good), Medical().read(bad)
        assert a.record == good and not a.truth.any() and b.truth.any()
        assert (a.views != b.views).any()


def test_outside_of_the_mask_a_slice_is_its_twin_to_the_bit(root):
    reader = Medical(window=[0, 1500])
    found = records(root, each=7, stride=3)
    for good, bad in zip([r for r in found if not r.anomalous], [r for r in found if r.anomalous], strict=True):
        a, b = reader.read(good), reader.read(bad)
        outside = ~b.truth.reshape(b.views.shape[2:])
        assert_array_equal(a.views[0, :, outside], b.views[0, :, outside])


def test_all_slices_are_labelled_by_the_mask(root):
    found = records(root, each=1, slices="all", kinds=["blob"])
    assert 0.02 < np.mean([r.anomalous for r in found]) < 0.4
    paths = {r.path for r in found}
    assert len(found) == 2 * sum(len({r.slice for r in found if r.path == p}) for p in paths)
    for record in found[::11]:
        assert Medical().read(record).truth.any() == record.anomalous


@pytest.mark.parametrize("slices", ["pairs", "all", "none"])
def test_a_healthy_original_counts_once_in_a_test_and_as_often_as_its_twins_in_training(root, slices):
    options = {"each": 3, "slices": slices, "seed": 3, "kinds": ["blob"]}
    for split, wanted in (("train", 3), ("test", 1)):
        healthy, spoiled = ([r for r in records(root, split, **options) if r.anomalous == one] for one in (False, True))
        shown = [(r.path, r.slice if r.nth is not None else None) for r in healthy]
        assert max(shown.count(one) for one in shown) >= wanted
        assert split == "train" or (len(set(shown)) == len(shown) and not any(_is_spoiled(r) for r in healthy))
        if slices != "none":  # each slice that a mask marks stands beside the healthy one
            assert {(r.path, r.slice) for r in spoiled} <= set(shown)
        else:
            assert len(healthy) * 3 == len(spoiled) * wanted


def _is_spoiled(record) -> bool:
    return Frame.decode(record.frame).spoiled


def test_a_specimen_of_another_kind_than_planned_says_so(root, monkeypatch):
    lesion = spoiling._lesion
    monkeypatch.setattr(spoiling, "_lesion", lambda h, k, s, r: None if k is LESIONS["ring"] else lesion(h, k, s, r))
    _, planned = records(root, kinds=["ring"], slices="none", each=1, seed=5)[:2]
    made = Medical(axis="axial").read(planned)
    assert planned.defect == "ring" and made.record.defect == "foci" and made.truth.any()
    assert made.warnings == (f"{planned.path}: no place for a lesion of kind 'ring' that shows; it has one of 'foci'.",)


def test_whole_volumes_are_read_as_any_volume(root):
    found = records(root, slices="none", each=1)
    assert [r.anomalous for r in found] == [False, True] * (len(found) // 2)
    good, bad = (Medical().read(r) for r in found[:2])
    assert good.views.shape == bad.views.shape and len(good.views) > 10
    assert bad.truth.any() and not good.truth.any()
    assert bad.record.frame is None and bad.record.path == found[1].path  # a volume, not a slice of one


@pytest.mark.parametrize("depth", [8, 16])
def test_pictures_are_read_with_their_truth(tmp_path, depth):
    rng = np.random.default_rng(0)
    for name in ("a1_1.png", "b2_1.png", "c3_1.png"):
        soft = ndimage.gaussian_filter(rng.normal(size=(90, 70)), 4)
        values = (120 + 40 * soft / soft.std() + rng.normal(0, 3, (90, 70))).clip(20, 250)
        typed = values.astype(np.uint8) if depth == 8 else (values * 200).astype(np.uint16)
        Image.fromarray(typed).save(tmp_path / name)
    found = records(tmp_path, each=7)
    assert len(found) == 28 and {r.defect for r in found if r.anomalous} == set(KINDS)
    reader = Medical(window=[0, 51_000])
    for good, bad in zip(found[::2], found[1::2], strict=True):
        a, b = reader.read(good), reader.read(bad)
        outside = ~b.truth.reshape(b.views.shape[2:])
        assert b.truth.any() and not a.truth.any() and b.record.frame is None
        assert_array_equal(a.views[0, :, outside], b.views[0, :, outside])


@pytest.mark.parametrize("options", [{"seed": 1}, {"size": "small"}, {"kinds": ["ring"]}, {"each": 1}])
def test_every_option_changes_the_identity_of_the_set(root, options):
    assert fingerprint(records(root, slices="none")) != fingerprint(records(root, slices="none", **options))


def test_a_specimen_is_that_of_its_file_wherever_that_lies(root, tmp_path):
    for path in root.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for here, there in list(zip(records(root), records(tmp_path), strict=True))[::17]:
        assert here.frame == there.frame
        assert_array_equal(Medical().read(here).truth, Medical().read(there).truth)


def test_what_cannot_be_spoiled_is_told_by_whoever_reads_it(tmp_path):
    nib.save(nib.Nifti1Image(np.ones((20, 20, 20), np.int16), np.eye(4)), tmp_path / "flat1.nii")
    record = records(tmp_path)[0]
    with pytest.raises(UserError, match=r"flat1\.nii: all values are equal"):
        Medical().read(record)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "tset"}, "no split of medical/synthetic called 'tset'"),
        ({"kinds": ["blod"]}, "no kind of lesion called 'blod'. Did you mean 'blob'"),
        ({"size": "huge"}, "no size of medical/synthetic called 'huge'"),
        ({"slices": "pair"}, "no slices of medical/synthetic called 'pair'. Did you mean 'pairs'"),
        ({"axis": "axail"}, "no axis called 'axail'"),
        ({"each": 0}, "each=0"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_an_option_that_is_not_known_is_told(root, options, message):
    with pytest.raises(UserError, match=message):
        records(root, **options)


READ = """
import multiprocessing
import sys
from pathlib import Path
from domains.medical.making import spoiling, synthetic

def read():
    record = [r for r in synthetic.synthetic(Path(sys.argv[1])) if r.anomalous][0]
    print(synthetic.specimen(record).path, flush=True)

worker = multiprocessing.get_context("fork").Process(target=read)
worker.start()
worker.join()
read()
"""


def test_nothing_is_left_on_disk_by_a_process_or_its_worker(root):
    before = sorted(root.rglob("*"))
    done = subprocess.run([sys.executable, "-c", READ, str(root)], capture_output=True, text=True, check=True)
    folders = {Path(line).parent for line in done.stdout.splitlines()}
    assert len(folders) == 2 and all(folder.name.startswith("anomaly-ov-") for folder in folders)
    assert not any(folder.exists() for folder in folders)
    assert sorted(root.rglob("*")) == before
