"""Two sets, or two splits of one -> what both hold: files by content, groups by name. Loads no torch."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from framework import registry
from framework.data import kinship
from framework.data.fingerprint import digests
from framework.data.looks import copies, looks
from framework.errors import UserError
from framework.types import Record

if TYPE_CHECKING:
    from framework.data.index import Index

TOLD = 3  # names that one line lists


def shared_groups(train: Index, test: Index) -> set[str]:
    """Groups, such as patients, that a set is trained on and tested on with other files; see ``kinship``."""
    origin = {"source": train.source, "root": kinship.home(train), "groups": kinship.hashed(train)}
    files = set(_places(train))
    told = zip(test.records, _places(test), kinship.related([origin], test), strict=True)
    return {r.group for r, place, kin in told if kin and place not in files}


def told(train: Sequence[Index], test: Sequence[Index]) -> list[str]:
    """A line for each pair of a training and a test set that share files under two names, and one for groups."""
    lines = []
    for source in train:
        files = set(_places(source))
        for target in test:
            split, other = target.config.split, source.config.split
            same = sum(place in files for place in _places(target))
            if same and (split, target.config.root) != (other, source.config.root):  # else both say the same themselves
                why = f" Splits {other} and {split} of this set are the same data." if split != other else ""
                lines.append(
                    f"{target.name}: {same:,} of its {len(target.records):,} samples are of files that {source.name} "
                    f"trains on, so its numbers are in-domain.{why}"
                )
            if shared := sorted(shared_groups(source, target)):
                lines.append(
                    f"{target.name}: {len(shared)} of its {target.unit}s are trained on too, in other samples of "
                    f"{source.name}: {some(shared)}. Its numbers say less than those of a set of other {target.unit}s."
                )
    return lines


def stored_again(train: Sequence[Index], test: Sequence[Index]) -> list[str]:
    """A line for each training and test set, and each two test sets, that show one picture in two files.

    It may be the same bytes at two places, or a picture that was stored again; see ``data/looks.py``. Reads pictures.
    """
    lines = []
    for i, target in enumerate(test):
        for source, trained in (*((s, True) for s in train), *((s, False) for s in test[:i])):
            places, others = _places(target), set(_places(source))
            mine = {a for a, _ in _copies(target, source) if places[a] not in others}
            if not mine:
                continue
            named = some([_first([target.records[a]], target) for a in sorted(mine)])
            again = f"{target.name}: {len(mine):,} of its {len(target.records):,} pictures are in {source.name} too, in"
            what = "which is trained on, so its numbers are in-domain" if trained else "a test set as well"
            lines.append(f"{again} other files ({named}): {what}.")
    return lines


def within(index: Index) -> list[str]:
    """A line where a set holds one picture in several files that are not equal, and one where their labels differ."""
    alike = [(a, b) for a, b in _copies(index, index) if a < b]
    content = {r.path: c for r, c in zip(*_opened(index), strict=True)}
    pairs = [(index.records[a], index.records[b]) for a, b in alike]
    pairs = [(a, b) for a, b in pairs if content.get(a.path) != content.get(b.path)]
    if not pairs:
        return []
    line = f"{_pairs_of(len(pairs))} of its files show one picture, stored again: {_equal(pairs, index, index)}."
    differ = [(a, b) for a, b in pairs if a.anomalous != b.anomalous]
    if not differ:
        return [line]
    return [line, f"{_pairs_of(len(differ))} of them have two labels: {_equal(differ, index, index)}."]


def across_splits(index: Index) -> list[str]:
    """A line for each other split of the set that has a group of this one.

    Which splits there are tells the function registered as ``("splits", domain/dataset)``, from the folder and the
    options: their names -> their records, of which the groups alone are looked at.
    """
    mine = _groups(index.records)
    if index.source not in registry.names("splits") or not mine:
        return []
    lines, root = [], Path(index.config.root).expanduser()
    for split, records in registry.get("splits", index.source)(root, **index.config.options).items():
        if split == index.config.split:
            continue
        try:
            shared = sorted(mine & _groups(records))
        except UserError as error:
            lines.append(f"split {split} cannot be looked through for {index.reader.unit}s of this one: {error}")
            continue
        if shared:
            lines.append(
                f"{len(shared)} of {len(mine)} {index.reader.unit}s of split {index.config.split} are in split {split} "
                f"too: {some(shared)}. Training on one and testing on the other shows the model what it is tested on."
            )
    return lines


def overlap(index: Index, other: Index) -> list[str]:
    """What a set shares with another: files, byte for byte; pictures stored again; and in one dataset, groups."""
    mine, theirs = _files(index), _files(other)
    where = f"{other.source} in {other.config.root}, split {other.config.split}"
    common = [content for content in mine if content in theirs]
    if not common:
        lines = [f"none of its {len(mine):,} distinct files is in {where}, byte for byte."]
    else:
        names = [f"{_first(mine[c], index)} = {_first(theirs[c], other)}" for c in common]
        lines = [
            f"{len(common):,} of its {len(mine):,} distinct files are in {where} too, byte for byte: {some(names)}. "
            "A model trained on one has seen them in the other."
        ]
        differ = [n for n, c in zip(names, common, strict=True) if _labels(mine[c]) != _labels(theirs[c])]
        if differ:
            lines.append(f"{len(differ):,} of them have another label there: {some(differ)}.")
    lines += _again(index, other, {r.path for content in common for r in mine[content]})
    if index.source == other.source and (shared := sorted(_groups(index.records) & _groups(other.records))):
        lines.append(f"{len(shared):,} {index.reader.unit}s have one name in both: {some(shared)}.")
    return lines


def some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:TOLD]) + (f" and {len(names) - TOLD} more" if len(names) > TOLD else "")


def _again(index: Index, other: Index, told: set[Path]) -> list[str]:
    """Lines of pictures that the other set holds in another file, without those that are ``told`` of."""
    pairs = [(index.records[a], other.records[b]) for a, b in _copies(index, other)]
    pairs = [(a, b) for a, b in pairs if a.path not in told]
    if not pairs:
        return []
    count = len({a.path for a, _ in pairs})
    lines = [f"{count:,} more of its pictures are there in other files, stored again: {_equal(pairs, index, other)}."]
    differ = [(a, b) for a, b in pairs if a.anomalous != b.anomalous]
    if differ:
        lines.append(f"{_pairs_of(len(differ))} of these have two labels: {_equal(differ, index, other)}.")
    return lines


def _copies(index: Index, other: Index) -> list[tuple[int, int]]:
    """Positions of samples of two sets that show one picture, in two files."""
    places, others = _places(index), _places(other)
    found = copies(looks(index.records), looks(other.records))
    return [(a, b) for a, b in found if places[a] != others[b]]


def _equal(pairs: Sequence[tuple[Record, Record]], index: Index, other: Index) -> str:
    return some([f"{_first([a], index)} = {_first([b], other)}" for a, b in pairs])


def _pairs_of(count: int) -> str:
    return f"{count:,} pair{'s' * (count > 1)}"


def _opened(index: Index) -> tuple[list[Record], list[str]]:
    """The records whose file can be opened, and what these hold."""
    present = [r for r in index.records if r.path.is_file() and os.access(r.path, os.R_OK)]
    return present, digests(present)


def _groups(records: Iterable[Record]) -> set[str]:
    """The names of the groups."""
    return {r.group for r in records if r.group}


def _places(index: Index) -> list[Path]:
    """Where the file of each sample lies, however the root is written."""
    root = Path(index.config.root).expanduser()
    whole = root.resolve()
    return [whole / r.path.relative_to(root) if r.path.is_relative_to(root) else r.path for r in index.records]


def _files(index: Index) -> dict[str, list[Record]]:
    """Content of each file, without the slices in it -> its records. What cannot be opened is left out."""
    found: dict[str, list[Record]] = defaultdict(list)
    for record, content in zip(*_opened(index), strict=True):
        found[content.partition("#")[0]].append(record)
    return found


def _labels(records: list[Record]) -> set[bool]:
    return {r.anomalous for r in records}


def _first(records: list[Record], index: Index) -> str:
    """Where the first of these lies in its set."""
    path, root = records[0].path, Path(index.config.root).expanduser()
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
