"""A folder of pictures with masks, as ``synthesize medical`` writes them, in; its records out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from domains.medical import pictures
from domains.medical.datasets.listing import finding_of
from domains.medical.datasets.slices import patient
from framework.registry import register
from framework.types import Record


@register("dataset", "medical/pictures")
def findings(root: Path, split: str = "test", category: str = "picture") -> Iterator[Record]:
    """Pictures in the layout of ``medical/nifti``, with a mask for each that has a finding, or with labels only.

    Layout: ``<split>/good/<patient>_<picture>.png`` and ``<split>/<finding>/<patient>_<picture>.png``, or any other
    ending of pictures, with the mask of a finding in ``<split>/masks/<finding>/<patient>_<picture>.png``.
    ``good`` may be written in any case.

    The patient, which is the group, is that of BIDS, BraTS, IXI, ADNI and OASIS where a name is as theirs, else the
    name up to its last ``_``, or all of it where there is none.

    Args:
        root: the folder.
        split: "train", "test" or any other folder in it.
        category: what the pictures show.
    """
    place = root / split
    masked = (place / "masks").is_dir()
    for path in sorted(p for p in place.glob("*/*") if p.parent.name != "masks"):
        if path.suffix.lower() not in pictures.SUFFIXES or path.name.startswith("."):
            continue
        finding = finding_of(path.parent.name)
        truth = (place / "masks" / finding / f"{path.stem}.png" if finding else path) if masked else None
        yield Record(path, bool(finding), category, group=patient(path), truth_path=truth, defect=finding)
