"""A sample -> which of its views to show, and which of their pixels are anomalous."""

from __future__ import annotations

import numpy as np

from framework.types import Sample


def marked(sample: Sample) -> np.ndarray | None:
    """``(V, H, W)``, which pixels show an anomalous element; None where only the label is known.

    Bool; int32 where the sample numbers its regions and its views show parts of them: the number of the region, else 0.
    """
    if sample.truth is None:
        return None
    if sample.back is not None:
        back, values = sample.back, sample.truth if sample.regions is None else sample.regions
        return np.stack([back.show(values, view) for view in range(len(sample.views))])
    if sample.owner is None:
        return sample.truth.reshape(sample.views[:, 0].shape)
    values = sample.truth if sample.regions is None else sample.regions
    return np.asarray(values[sample.owner] * (sample.owner >= 0))


def choose(count: int, most: int, masks: np.ndarray | None) -> list[int]:
    """Growing indices of at most ``most`` of ``count`` views, evenly spread; one shows the most of an anomaly.

    The view that shows most takes the place of the nearest one.

    Args:
        count: V.
        most: how many to choose, 1 or more.
        masks: ``(V, H, W)``, not 0 where anomalous, or None.
    """
    number = min(count, most)
    chosen = ((np.arange(number) + 0.5) * count / number).astype(int)  # the middles of equal parts
    if masks is not None and masks.any():
        best = int(np.count_nonzero(masks, axis=(1, 2)).argmax())
        chosen[np.abs(chosen - best).argmin()] = best
    return [int(view) for view in chosen]
