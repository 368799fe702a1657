"""A sample -> what tells something of it, and of each of its views, without a look at what it shows."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from framework.types import Sample

POSITION, BRIGHTNESS, SIZE, POINTS = "slice position", "mean intensity", "file size", "number of points"
SIDE = 256  # pixels a side that the mean intensity of a picture or rendering is taken of, at most


def cues(sample: Sample) -> list[dict[str, Any]]:
    """Of every view: its mean intensity, its size and, of a slice whose place is known, where it lies.

    The size is that of its file; a slice of a volume has none, so it is that of its pixels, compressed.
    """
    record, places = sample.record, sample.at
    if record.slice is not None:
        places = np.array([record.slice], np.float32)
    whole_file = record.frame is None and len(sample.views) == 1
    stack = record.group if whole_file else str(record.path)
    found = [
        {
            "stack": stack,
            BRIGHTNESS: float(view.mean()),
            SIZE: float(record.path.stat().st_size if whole_file else len(zlib.compress(view[0].tobytes(), 1))),
        }
        for view in sample.views
    ]
    return found if places is None else [f | {POSITION: p} for f, p in zip(found, places.tolist(), strict=True)]


def plain(sample: Sample, element: str) -> dict[str, Any]:
    """Those of a picture or cloud, whose views are no units of their own: of all its views, and of its files.

    Args:
        sample: the sample.
        element: of its domain; a cloud is also told by how many points it has.
    """
    record, (height, width) = sample.record, sample.views.shape[-2:]
    seen = sample.views[..., :: -(-height // SIDE), :: -(-width // SIDE)]
    found: dict[str, Any] = {"stack": record.group, BRIGHTNESS: float(seen.mean())}
    if all(path.is_file() for path in (record.path, *record.beside)):  # a plug-in may make its samples
        found[SIZE] = float(sum(path.stat().st_size for path in (record.path, *record.beside)))
    return found | ({POINTS: float(sample.elements)} if element == "point" else {})


def joined(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Those of a scan from those of its views: their mean intensity, their sizes added up; a scan lies nowhere."""
    brightness = float(np.mean([each[BRIGHTNESS] for each in found]))
    return {"stack": found[0]["stack"], BRIGHTNESS: brightness, SIZE: float(sum(each[SIZE] for each in found))}
