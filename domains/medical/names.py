"""A record in, what a person calls its sample out: for pictures of it, beside an id that is a path and a number."""

from __future__ import annotations

from domains.medical.captions import FROM
from domains.medical.making.frames import MOST_SLICES, Frame
from framework.types import Record


def called(record: Record) -> str:
    """Such as "N3.jpg, made 2" or "patient1: FLAIR.nii.gz, axial slice 42 from below"; counted from 1, opens nothing.

    A made sample is numbered among those of its file; the healthy original it was made of is called so. The patient is
    told where the name of the file does not.
    """
    name, frame = record.path.name, record.frame
    who = f"{record.group}: " if record.group and record.group not in name else ""
    parts = [f"{who}{name}"]
    if frame is not None and frame >= MOST_SLICES:
        given = Frame.decode(frame)
        parts.append(f"made {given.number + 1}" if given.spoiled else "healthy original")
        frame = given.slice
    if frame is not None:
        parts.append(
            f"{record.along} slice {frame + 1}".strip() + (f" from {FROM[record.along]}" if record.along else "")
        )
    return ", ".join(parts)
