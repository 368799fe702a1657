"""A sample -> what each of its views, and each pixel of its crops, should score."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from framework.data import crops
from framework.types import Record, Sample

UNKNOWN = -1  # in masks: nobody knows
HALF = 127  # of 255: a pixel of a crop is anomalous where more than half of what it shows is


def view_targets(sample: Sample) -> np.ndarray:
    """``(V,)`` float32: 1 for a view that shows an anomalous element, 0 for one that shows none.

    Without element truth every view takes the sample's label, or the probability its annotators gave. A slice or a
    rendering is an image of its own in the published data, labelled by its own mask; this is that label. Only experts
    that train on masks use element truth for more.
    """
    if sample.truth is None:
        return np.full(len(sample.views), label(sample.record), np.float32)
    return np.asarray([shown.any() for shown in _shown(sample)], np.float32)


def crop_masks(sample: Sample, size: int, mode: str) -> np.ndarray:
    """``(N, S, S)`` int8, truth of the pixels of all crops of a sample: 1 anomalous, 0 normal, -1 unknown.

    A sample without element truth is known where it is certainly normal, and unknown otherwise.

    Args:
        sample: with its truth.
        size: side of a crop in pixels, S.
        mode: how the views are cut, see ``crops.cut``.
    """
    if sample.truth is None:
        height, width = sample.views.shape[-2:]
        count = len(sample.views) * crops.count(height, width, size, mode)
        return unmarked(sample.record, count, size)
    marked = (np.repeat(shown[None].astype(np.uint8) * 255, 3, axis=0) for shown in _shown(sample))
    return np.concatenate([crops.cut(view, size, mode)[:, 0] > HALF for view in marked]).astype(np.int8)


def unmarked(record: Record, count: int, size: int) -> np.ndarray:
    """``crop_masks`` of a sample without element truth, which need not be opened: ``count`` crops of ``size``."""
    return np.full((count, size, size), UNKNOWN if label(record) else 0, np.int8)


def _shown(sample: Sample) -> Iterator[np.ndarray]:
    """``(H, W)`` bool of each view, which of its pixels show an anomalous element, of a sample with truth."""
    truth, height_width = sample.truth, sample.views.shape[-2:]
    assert truth is not None
    for view in range(len(sample.views)):
        if sample.back is not None:
            yield sample.back.show(truth, view) > 0
        elif sample.owner is None:
            yield truth.reshape(-1, *height_width)[view]
        else:
            yield truth[sample.owner[view]] & (sample.owner[view] >= 0)


def label(record: Record) -> float:
    """The sample's label, or the probability its annotators gave, in [0, 1]."""
    return float(record.anomalous) if record.probability is None else record.probability
