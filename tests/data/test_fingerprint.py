"""Content hashes: what they depend on, what they do not, and what they say of files that are gone."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from framework.data.fingerprint import content, digests, fingerprint, seen
from framework.errors import TruthError, UnreadableError
from framework.types import Record


def records(root: Path) -> list[Record]:
    root.mkdir()
    for name, held in (("a", b"one"), ("b", b"two"), ("m", b"mask")):
        (root / name).write_bytes(held)
    normal = Record(root / "a", False, "x", truth_path=root / "a")
    return [normal, Record(root / "b", True, "x", truth_path=root / "m")]


def test_a_digest_is_the_sha256_of_the_file_and_names_the_frame(tmp_path: Path) -> None:
    first, second = records(tmp_path / "set")
    assert digests([first])[0] == hashlib.sha256(b"one").hexdigest()
    assert digests([replace(second, frame=7)])[0] == f"{hashlib.sha256(b'two').hexdigest()}#7"
    assert digests([second, first, second]) == [digests([r])[0] for r in (second, first, second)]


def test_a_fingerprint_does_not_know_folders_names_or_order(tmp_path: Path) -> None:
    original = records(tmp_path / "set")
    moved = records(tmp_path / "other")
    shutil.move(tmp_path / "other" / "b", tmp_path / "other" / "renamed")
    moved[1] = replace(moved[1], path=tmp_path / "other" / "renamed")
    assert fingerprint(original) == fingerprint(moved[::-1])
    assert fingerprint(original) == fingerprint(original, digests(original))


def test_a_fingerprint_knows_content_labels_probabilities_truth_and_frames(tmp_path: Path) -> None:
    first, second = records(tmp_path / "set")
    others = [
        [first],
        [first, second, second],
        [first, replace(second, anomalous=False)],
        [first, replace(second, probability=0.5)],
        [first, replace(second, truth_path=None)],
        [first, replace(second, truth_path=second.path)],
        [first, replace(second, more_truth=(second.path,))],
        [first, replace(second, box=(0, 0, 1, 1))],
        [first, replace(second, frame=0)],
        [first, replace(second, frame=0, along="axial")],
        [first, replace(second, frame=0, along="coronal")],
    ]
    prints = {fingerprint(o) for o in [[first, second], *others]}
    assert len(prints) == len({content(o) for o in [[first, second], *others]}) == 12
    (tmp_path / "set" / "m").write_bytes(b"another mask")
    assert fingerprint([first, second]) not in prints


def test_a_fingerprint_knows_which_samples_are_of_one_group_or_category_not_their_names(tmp_path: Path) -> None:
    pair = records(tmp_path / "set")
    third = replace(pair[0], frame=3)

    def named(what: str, *names: str) -> str:
        return fingerprint([replace(r, **{what: n}) for r, n in zip([*pair, third], names, strict=True)])

    for what in ("group", "category"):
        assert named(what, "1", "1", "2") == named(what, "patient", "patient", "other")
        different = [named(what, *names) for names in ("111", "112", "122", "121", "123")]
        assert len(set(different)) == 5, what
    assert named("group", "", "", "") != named("group", "1", "2", "3")  # of known units, and of samples alone
    assert named("category", "1", "1", "1") == named("category", "x", "x", "x") == fingerprint([*pair, third])
    assert named("group", "1", "1", "2") != named("category", "1", "1", "2")
    grouped = [replace(r, group="1", category=str(i)) for i, r in enumerate([*pair, third])]
    assert content(grouped) == content([*pair, third])


def test_a_sample_is_seen_by_content_and_through_frames() -> None:
    assert seen(["a", "b", "b"], ["b", "c", "b"]) == [True, False, True]
    assert seen(["a#0", "a#1", "d"], ["a#9", "d", "e#0"]) == [True, True, False]
    assert seen(["a"], []) == []


def test_a_missing_sample_and_a_missing_mask_are_told_apart(tmp_path: Path) -> None:
    first, second = records(tmp_path / "set")
    (tmp_path / "set" / "m").unlink()
    with pytest.raises(TruthError, match=r"m: cannot be opened \(No such file"):
        fingerprint([first, second])
    (tmp_path / "set" / "a").unlink()
    with pytest.raises(UnreadableError, match=r"a: cannot be opened \(No such file"):
        digests([first])
