"""The procedural set is real MVTec AD on disk, true in its masks, repeatable, and gives nothing away for free."""

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.metrics import roc_auc_score

from domains.industrial import Industrial, procedural
from domains.industrial.datasets import mvtec
from domains.industrial.defects import AREA, CHANGED, DEFECTS, SOLID, damage, kinds, photograph
from domains.industrial.images import read_mask, read_rgb
from domains.industrial.procedural import write
from domains.industrial.surfaces import SOURCE, TARGET
from framework.errors import UserError
from framework.quickstart import SEED

Tells = Callable[[dict, np.ndarray], dict[str, float]]
SURFACES = {**SOURCE, **TARGET}


def test_both_sets_are_read_by_the_mvtec_loader(tmp_path: Path) -> None:
    write(tmp_path, seed=3, samples=20)
    for side, surfaces in (("source", SOURCE), ("target", TARGET)):
        records = list(mvtec(tmp_path / side))
        assert len(records) == 20 and sum(r.anomalous for r in records) == 9
        assert {r.category for r in records} == set(surfaces)
        by_category = Counter((r.category, r.anomalous) for r in records)
        assert all(abs(by_category[c, True] - by_category[c, False]) <= 1 for c in surfaces)
        train = list(mvtec(tmp_path / side, "train"))
        assert len(train) == 12 and not any(r.anomalous for r in train)
        for record in records:
            truth = Industrial().read(record).truth
            assert truth is not None and truth.any() == record.anomalous
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source", "target"]


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procedural, "TRAIN", 1)

    def content(root: Path) -> dict[str, str]:
        files = sorted(p for p in root.rglob("*") if p.is_file())
        return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write(tmp_path / name, seed=seed, samples=6)
    first, again, other = (content(tmp_path / name) for name in "abc")
    assert first == again
    assert set(first.values()).isdisjoint(other.values())
    assert len(set(first.values())) == len(first)  # nothing in source is in target, or twice


@pytest.mark.parametrize("surface", sorted(SURFACES))
def test_a_defect_changes_its_mask_and_nothing_else(surface: str) -> None:
    for number, kind in enumerate(kinds(SURFACES[surface](np.random.default_rng(0)))):
        scene = SURFACES[surface](np.random.default_rng([number, 0]))
        healthy = photograph(scene)
        image, mask = damage(scene, kind, np.random.default_rng([number, 1]))
        assert_array_equal(image[~mask], healthy[~mask])
        differs = np.abs(image.astype(int) - healthy).max(axis=2) > CHANGED
        assert AREA[0] <= mask.sum() <= AREA[1], kind
        assert differs[mask].mean() >= SOLID, kind


def test_there_are_seven_defects_and_surfaces_without_parts_lack_only_the_wrong_part() -> None:
    assert len(DEFECTS) == 7
    assert kinds(SOURCE["brushed"](np.random.default_rng(0))) == list(DEFECTS)
    assert set(DEFECTS) - set(kinds(SOURCE["woven"](np.random.default_rng(0)))) == {"part"}


def test_defects_run_from_faint_to_plain() -> None:
    contrast = []
    for number in range(30):
        scene = SOURCE["woven"](np.random.default_rng([number, 0]))
        image, mask = damage(scene, "stain", np.random.default_rng([number, 1]))
        contrast.append(np.abs(image.astype(float) - photograph(scene))[mask].mean())
    assert 5 < min(contrast) < 15 and max(contrast) > 60  # of 255


def test_too_few_samples_and_a_set_that_is_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 6, got 5"):
        write(tmp_path, samples=5)
    (tmp_path / "target").mkdir()
    with pytest.raises(UserError, match=r"target: is already there"):
        write(tmp_path, samples=6)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["target"]


def test_what_an_interrupted_run_left_is_not_taken_for_a_set(tmp_path: Path) -> None:
    leftover = tmp_path / ".source.part" / "woven" / "test" / "good" / "999.png"
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half")
    write(tmp_path, samples=6)
    assert not list(tmp_path.rglob("999.png")) and not leftover.exists()


@pytest.mark.slow
def test_no_shortcut_tells_the_defective_pictures_of_the_quickstart(
    tmp_path: Path, tells: Tells, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procedural, "TRAIN", 0)
    write(tmp_path, seed=SEED)
    records = [*mvtec(tmp_path / "source"), *mvtec(tmp_path / "target")]
    labels = np.array([r.anomalous for r in records])
    pictures = [read_rgb(r.path) for r in records]
    shortcuts = {
        "file size": [r.path.stat().st_size for r in records],
        "mean brightness": [p.mean() for p in pictures],
        "deviation": [p.std() for p in pictures],
    }
    assert tells(shortcuts, labels) == {}
    truth = np.stack([read_mask(r.truth_path) for r in records if r.anomalous and r.truth_path])[:, ::4, ::4]
    rows, columns = np.mgrid[: truth.shape[1], : truth.shape[2]] - (truth.shape[1] - 1) / 2
    for name, place in (("centre", -np.hypot(rows, columns)), ("row", rows), ("column", columns)):
        assert abs(roc_auc_score(truth.ravel(), np.broadcast_to(place, truth.shape).ravel()) - 0.5) < 0.1, name
