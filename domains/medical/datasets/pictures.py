"""A folder of medical pictures in, its records out. Opens no picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from domains.medical import pictures
from framework.registry import register
from framework.types import Record


@register("dataset", "medical/yes_no")
def yes_no(root: Path, split: str = "test", category: str = "brain") -> Iterator[Record]:
    """Medical pictures with a label only: a finding or none (BrainMRI, Br35H).

    Layout: ``yes/*`` and ``no/*``, PNG, JPEG, BMP or TIFF. No masks, no patients, no split: every split is all of it.

    Args:
        root: the folder.
        split: not used.
        category: what the pictures show.
    """
    for folder in ("no", "yes"):
        for path in sorted((root / folder).glob("*")):
            if path.suffix.lower() in pictures.SUFFIXES and not path.name.startswith("."):
                yield Record(path, folder == "yes", category)
