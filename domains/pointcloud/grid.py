"""A record of an organised scan and its points in; the grid that published numbers are measured on, out."""

from __future__ import annotations

import numpy as np
from PIL import Image

from domains.pointcloud.files import Shape
from domains.pointcloud.truth import picture_of
from framework.types import Grid, Record

SIDE = 336  # cells: PointAD, and who compares with it, score MVTec 3D-AD and Eyecandies on 336 x 336
SIGMA = 4.0  # cells, of their Gaussian


def grid_of(record: Record, shape: Shape, side: int | None = SIDE) -> Grid | None:
    """The grid of a scan at its own size, or as published; None where there is none, or no truth.

    Args:
        record: of the scan.
        shape: what ``load`` made of it.
        side: cells of the published grid, "grid336": the scan is resized to it by the nearest pixel, its truth linearly
            and cut at one half, and scores are smoothed. None: "grid", the pixels of the scan, not smoothed.

    Raises:
        TruthError: the picture of the truth cannot be read or is of another size.

    Source: PointAD, ``dataset.py``, ``multi_view/utils.py`` and ``test.py``.
    """
    scan = shape.scan
    if scan is None or record.truth_path is None:
        return None
    index = np.full((scan.height, scan.width), -1, np.int32)
    index.flat[scan.pixel] = np.arange(len(scan.pixel))
    normal = record.truth_path == record.path
    marked = np.zeros(index.shape, bool) if normal else picture_of(record.truth_path, scan)
    if side is None:
        return Grid("grid", index, marked)
    rows, columns = (np.arange(side) * n // side for n in index.shape)
    picture = Image.fromarray(marked.astype(np.uint8) * 255).resize((side, side), Image.Resampling.BILINEAR)
    return Grid(f"grid{side}", index[np.ix_(rows, columns)], np.asarray(picture) > 127, SIGMA)
