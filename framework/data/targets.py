"""A sample -> what each of its views should score."""

from __future__ import annotations

import numpy as np

from framework.types import Record, Sample


def view_targets(sample: Sample) -> np.ndarray:
    """``(V,)`` float32: 1 for a view that shows an anomalous element, 0 for one that shows none.

    Without element truth every view takes the sample's label, or the probability its annotators gave. A slice or a
    rendering is an image of its own in the published data, labelled by its own mask; this is that label, and element
    truth is used for nothing else in training.
    """
    if sample.truth is None:
        return np.full(len(sample.views), label(sample.record), np.float32)
    if sample.back is not None:
        back, truth = sample.back, sample.truth
        shown = np.stack([back.show(truth, view).any(keepdims=True).ravel() for view in range(len(sample.views))])
    elif sample.owner is None:
        shown = sample.truth.reshape(len(sample.views), -1)
    else:
        shown = (sample.truth[sample.owner] & (sample.owner >= 0)).reshape(len(sample.views), -1)
    return np.asarray(shown.any(axis=1), np.float32)


def label(record: Record) -> float:
    """The sample's label, or the probability its annotators gave, in [0, 1]."""
    return float(record.anomalous) if record.probability is None else record.probability
