"""What was trained on and a set under test -> which of its groups, such as patients, were trained on. Loads no torch.

A name is that of one patient within one tree of folders only: every set has a patient "1". So names count where a set
lies in the folder of the other, or both in one folder that holds their splits. A copy elsewhere is not known again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framework.data.index import Index

DIGITS = 16  # of the hash of a name; a checkpoint may be handed on, so it holds no name of a patient
_SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")  # folders, lower case


def home(index: Index) -> str:
    """The folder that a set lies in, without links; without the split, where that is its last folder."""
    found = Path(index.config.root).expanduser().resolve()
    return str(found.parent if found.name.lower() in _SPLITS else found)


def hashed(index: Index) -> list[str]:
    """Its groups, sorted, each part of a name by its hash: "site/anna" is two."""
    return sorted({_hash(r.group) for r in index.records if r.group})


def related(origins: Iterable[Mapping[str, Any]], index: Index) -> list[bool]:
    """For each sample, whether its group was trained on, in whatever samples.

    Args:
        origins: ``Origin`` as dicts, of a checkpoint; one that knows of no groups has none.
        index: the set under test.
    """
    names = {r.group: _hash(r.group) for r in index.records if r.group}
    here, found = home(index), set[str]()
    for origin in origins:
        if origin["source"].partition("/")[0] == index.config.domain and origin.get("groups"):
            found |= _shared(set(names.values()), here, set(origin["groups"]), origin["root"])
    return [bool(r.group) and names[r.group] in found for r in index.records]


def _shared(mine: Collection[str], here: str, theirs: Collection[str], there: str) -> set[str]:
    """Which of my groups are theirs. What lies deeper may leave out of its names the folders that lead there."""
    inner, outer = Path(here), Path(there)
    if inner.is_relative_to(outer):
        between = [_hash(folder) for folder in inner.relative_to(outer).parts]
        known = {_below(name, between) for name in theirs} | set(theirs)
        return {name for name in mine if name in known}
    if outer.is_relative_to(inner):
        between = [_hash(folder) for folder in outer.relative_to(inner).parts]
        return {name for name in mine if name in theirs or _below(name, between) in theirs}
    return set()


def _below(name: str, folders: Sequence[str]) -> str:
    """The name without those of its leading parts that are some of the folders, in their order."""
    parts = name.split("/")
    for folder in folders:
        if len(parts) > 1 and parts[0] == folder:
            parts = parts[1:]
    return "/".join(parts)


def _hash(name: str) -> str:
    return "/".join(hashlib.sha256(part.encode()).hexdigest()[:DIGITS] for part in name.split("/"))
