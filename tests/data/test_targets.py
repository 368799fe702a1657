from pathlib import Path

import numpy as np

from framework.data.targets import label, view_targets
from framework.types import Record, Sample


def sample(anomalous=True, **fields):
    views = np.zeros((2, 3, 2, 2), np.uint8)
    record = Record(Path("x"), anomalous, "c", probability=fields.pop("probability", None))
    return Sample(record, views, **fields)


def test_without_truth_every_view_takes_the_label():
    assert view_targets(sample(True)).tolist() == [1, 1]
    assert view_targets(sample(False)).tolist() == [0, 0]


def test_annotators_probability_is_the_target():
    assert view_targets(sample(True, probability=1 / 3)).tolist() == np.float32([1 / 3, 1 / 3]).tolist()
    assert label(Record(Path("x"), True, "c", probability=0.33)) == 0.33


def test_a_slice_is_anomalous_where_its_own_pixels_are():
    truth = np.array([0, 0, 0, 0, 0, 1, 0, 0], bool)
    assert view_targets(sample(truth=truth)).tolist() == [0, 1]


def test_a_rendering_is_anomalous_where_it_shows_an_anomalous_point():
    owner = np.array([[[0, 0], [-1, 1]], [[2, 2], [-1, 0]]], np.int32)
    assert view_targets(sample(owner=owner, truth=np.array([False, True, False]))).tolist() == [1, 0]
    assert view_targets(sample(owner=owner, truth=np.array([False, False, True]))).tolist() == [0, 1]


def test_background_never_counts_as_the_last_point():
    owner = np.full((2, 2, 2), -1, np.int32)
    assert view_targets(sample(owner=owner, truth=np.array([False, True]))).tolist() == [0, 0]
