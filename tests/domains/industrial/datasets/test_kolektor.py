"""Commutators and surfaces labelled by their masks -> records; folds are read without running anything."""

import pickle

import fake_industrial as fake
import numpy as np
import pytest

from domains.industrial import Industrial
from domains.industrial.datasets import ksdd, ksdd2
from framework.errors import TruthError, UserError


def test_a_part_is_labelled_by_its_mask_and_grouped_by_its_commutator(tmp_path):
    records = list(ksdd(fake.ksdd(tmp_path)))
    assert [(r.group, r.path.name, r.anomalous) for r in records] == [
        (kos, f"Part{n}.jpg", (kos, n) == ("kos02", 1)) for kos in ("kos01", "kos02", "kos03") for n in (0, 1)
    ]
    assert np.flatnonzero(Industrial().read(records[3]).truth).tolist() == [47]
    assert list(ksdd(tmp_path, "train")) == []


def test_thirds_have_labels_of_their_own(tmp_path):
    records = [r for r in ksdd(fake.ksdd(tmp_path), cut="thirds") if r.group == "kos02" and r.path.name == "Part1.jpg"]
    assert [(r.frame, r.box, r.anomalous) for r in records] == [
        (0, (0, 0, 8, 2), False),
        (1, (0, 2, 8, 4), False),
        (2, (0, 4, 8, 6), True),
    ]
    assert [np.flatnonzero(Industrial().read(r).truth).tolist() for r in records] == [[], [], [15]]


def test_a_published_fold_parts_the_commutators(tmp_path):
    root = fake.ksdd(tmp_path)
    assert {r.group for r in ksdd(root, "train", fold=0)} == {"kos02", "kos03"}
    assert {r.group for r in ksdd(root, "test", fold=0)} == {"kos01"}
    (root / "KolektorSDD-training-splits").mkdir()
    (root / "split.pyb").rename(root / "KolektorSDD-training-splits/split.pyb")
    assert {r.group for r in ksdd(root, "test", fold=1)} == {"kos02", "kos03"}
    with pytest.raises(UserError, match=r"split\.pyb has the folds 0 to 1, not 2"):
        list(ksdd(root, fold=2))


class Evil:
    def __reduce__(self):
        return eval, ("1 / 0",)


@pytest.mark.parametrize(
    "held", [pickle.dumps(Evil()), b"", b"junk", pickle.dumps([1, 2]), pickle.dumps(([3], [3], 0))]
)
def test_a_split_file_that_is_no_lists_of_names_is_refused_and_runs_nothing(tmp_path, held):
    (fake.ksdd(tmp_path) / "split.pyb").write_bytes(held)
    with pytest.raises(UserError, match=r"split\.pyb: no published folds"):
        list(ksdd(tmp_path, fold=0))


def test_a_missing_split_file_an_unknown_cut_and_a_missing_mask_are_named(tmp_path):
    (fake.ksdd(tmp_path) / "split.pyb").unlink()
    with pytest.raises(UserError, match=r"split\.pyb: no published folds .*take a share of the groups"):
        list(ksdd(tmp_path, fold=0))
    with pytest.raises(UserError, match=r"value of cut called 'third'\. Did you mean 'thirds'"):
        list(ksdd(tmp_path, cut="third"))
    (tmp_path / "kos01/Part0_label.bmp").unlink()
    with pytest.raises(TruthError, match=r"kos01/Part0_label\.bmp: the mask is missing"):
        list(ksdd(tmp_path))


def test_ksdd2_is_labelled_by_its_masks_and_leaves_the_copies_out(tmp_path):
    root = fake.ksdd2(tmp_path)
    for split in ("train", "test"):
        assert [(r.path.name, r.anomalous) for r in ksdd2(root, split)] == [("10000.png", False), ("10001.png", True)]
    assert np.flatnonzero(Industrial().read(list(ksdd2(root))[1]).truth).tolist() == [9]
    assert list(ksdd2(root, "val")) == []
    (root / "test/10001_GT.png").unlink()
    with pytest.raises(TruthError, match=r"10001_GT\.png: the mask is missing"):
        list(ksdd2(root))
