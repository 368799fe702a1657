"""A folder of healthy files in, those of a split out; records of what is made of one in, those that count once out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from domains.medical.making.frames import Frame
from domains.medical.patients import patients
from framework.types import Record

TEST = 0.25  # of the patients


def of_split(root: Path, split: str, seed: int) -> list[tuple[Path, str]]:
    """The files of a split and their patients."""
    from domains.medical.making.sources import listed

    paths = listed([root])
    whose = patients(paths)
    known = sorted(set(whose))
    count = max(round(TEST * len(known)), int(len(known) > 1))
    held = {known[i] for i in np.random.default_rng([seed, 0]).permutation(len(known))[:count]}
    return [(path, who) for path, who in zip(paths, whose, strict=True) if (who in held) == (split == "test")]


def once(records: Iterable[Record]) -> Iterator[Record]:
    """The records of one file, of those that are not anomalous and show the same of it the first."""
    known = set()
    for record in records:
        if not record.anomalous:
            part = Frame.decode(record.frame or 0).slice
            if part in known:
                continue
            known.add(part)
        yield record
