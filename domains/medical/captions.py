"""Where slices of a scan lie -> a caption each, in words that radiologists and language models understand."""

from __future__ import annotations

from collections.abc import Sequence

FROM = {"sagittal": "left", "coronal": "back", "axial": "below"}  # where slices are counted from
_COORDINATE = {"sagittal": "x", "coronal": "y", "axial": "z"}  # of the patient, which grow to the right, front and top


def captions(
    planes: Sequence[str], numbers: Sequence[int], depths: Sequence[int], positions_mm: Sequence[float]
) -> tuple[str, ...]:
    """Such as "axial slice 78 of 155 from below, z = 12 mm": no two of a scan have the same.

    Args:
        planes: of each of V slices: "sagittal", "coronal" or "axial".
        numbers: of each, counted from 1 at the patient's left, back or feet.
        depths: how many slices lie in that direction.
        positions_mm: of each slice's middle, in the coordinates of the scan, which grow to the right, front and top.
    """
    return tuple(
        f"{plane} slice {number} of {depth} from {FROM[plane]}, {_COORDINATE[plane]} = {_short(position)} mm"
        for plane, number, depth, position in zip(planes, numbers, depths, positions_mm, strict=True)
    )


def _short(value: float) -> str:
    """A tenth of a millimetre, where it is not a whole one."""
    return f"{round(float(value), 1) + 0.0:g}"
