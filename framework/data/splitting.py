"""Records of a set that ships without a split -> a part of its groups: two such parts share no patient."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from os.path import commonpath
from pathlib import Path

from framework.types import Record


def part_of(records: Sequence[Record], low: float, high: float) -> list[Record]:
    """The records of the groups whose place lies in [low, high), in the order given.

    Places are drawn from the hash of a group's name, so they are the same on every machine and for every seed, apart
    for each category and for groups with and without an anomalous sample: each part has its share of both. A record
    without a group is one of its own, named by its path below the folder that all records share.

    Args:
        records: of a set.
        low: where the part begins, a share of the groups in [0, 1].
        high: where it ends; [0, 0.7] and [0.7, 1] are two parts of one set.
    """
    folder = Path(commonpath([r.path.parent for r in records])) if records else Path()
    names = [r.group or r.path.relative_to(folder).as_posix() for r in records]
    anomalous = {name for name, record in zip(names, records, strict=True) if record.anomalous}
    category: dict[str, str] = {}  # of a group that has several the first
    for name, record in zip(names, records, strict=True):
        category[name] = min(category.get(name, record.category), record.category)
    strata: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for name in category:
        strata[category[name], name in anomalous].append(name)
    kept: set[str] = set()
    for members in strata.values():
        ordered = sorted(members, key=lambda name: hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest())
        kept |= {name for i, name in enumerate(ordered) if low <= (i + 0.5) / len(ordered) < high}
    return [record for name, record in zip(names, records, strict=True) if name in kept]
