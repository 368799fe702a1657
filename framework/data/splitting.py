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
    keys = [(r.category, name) for r, name in zip(records, names, strict=True)]
    anomalous = {key for key, record in zip(keys, records, strict=True) if record.anomalous}
    strata: dict[tuple[str, bool], list[tuple[str, str]]] = defaultdict(list)
    for key in dict.fromkeys(keys):
        strata[key[0], key in anomalous].append(key)
    kept: set[tuple[str, str]] = set()
    for members in strata.values():
        ordered = sorted(members, key=lambda key: hashlib.sha256(key[1].encode("utf-8", "surrogateescape")).digest())
        kept |= {key for i, key in enumerate(ordered) if low <= (i + 0.5) / len(ordered) < high}
    return [record for key, record in zip(keys, records, strict=True) if key in kept]
