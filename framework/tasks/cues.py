"""A sample made of slices -> what tells something of each without a look at what it shows."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

from framework.types import Sample

POSITION, BRIGHTNESS, SIZE = "slice position", "mean intensity", "file size"


def cues(sample: Sample) -> list[dict[str, Any]]:
    """Of every view that is a slice: where it lies, its mean intensity, its size; nothing where views are none.

    The size is that of its file; a slice of a volume has none, so it is that of its pixels, compressed.
    """
    record = sample.record
    if record.slice is not None:
        places: Sequence[float] = [float(record.slice)]
    elif sample.at is not None:
        places = sample.at.tolist()
    else:
        return []
    own_file = record.frame is None and record.slice is not None
    stack = record.group if own_file else str(record.path)
    return [
        {
            "stack": stack,
            POSITION: place,
            BRIGHTNESS: float(view.mean()),
            SIZE: float(record.path.stat().st_size if own_file else len(zlib.compress(view[0].tobytes(), 1))),
        }
        for place, view in zip(places, sample.views, strict=True)
    ]
