"""Real photographs under $ANOMALY_OV_DATA: MVTec AD screw and transistor, ELPV."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from domains.industrial import Industrial
from domains.industrial.datasets import elpv, mvtec
from framework.data.inspection import inspect

Folder = Callable[[str], Path]


@pytest.mark.parametrize(("category", "normal", "anomalous"), [("screw", 10, 20), ("transistor", 4, 8)])
def test_mvtec_pictures_are_read_with_masks_that_mark_something(
    data: Folder, category: str, normal: int, anomalous: int
) -> None:
    records = list(mvtec(data("industrial/mvtec_ad"), categories=[category]))
    assert Counter(r.anomalous for r in records) == {False: normal, True: anomalous}
    for record in records:
        sample = Industrial().read(record)
        assert sample.views.shape == (1, 3, 1024, 1024) and sample.truth is not None
        assert sample.views.std() > 5 and sample.truth.any() == record.anomalous
        assert sample.truth.mean() < 0.5


def test_mvtec_train_pictures_are_normal(data: Folder) -> None:
    records = list(mvtec(data("industrial/mvtec_ad"), "train"))
    assert Counter((r.category, r.anomalous) for r in records) == {("screw", False): 6, ("transistor", False): 1}


def test_elpv_counts_with_and_without_uncertain_cells(data: Folder) -> None:
    root = data("industrial/elpv")
    assert Counter(r.anomalous for r in elpv(root)) == {False: 120, True: 80}
    kept = list(elpv(root, uncertain="keep"))
    assert Counter(r.anomalous for r in kept) == {False: 150, True: 110}
    assert Counter(round(r.probability or 0, 2) for r in kept) == {0: 120, 0.33: 30, 0.67: 30, 1: 80}
    sample = Industrial().read(kept[0])
    assert sample.views.shape == (1, 3, 300, 300) and sample.truth is None
    np.testing.assert_array_equal(sample.views[:, 0], sample.views[:, 2])


def test_a_real_map_is_saved_at_the_size_of_its_picture(data: Folder, tmp_path: Path) -> None:
    sample = Industrial().read(next(r for r in mvtec(data("industrial/mvtec_ad")) if r.anomalous))
    assert sample.truth is not None
    path = Industrial().save(sample, sample.truth.astype(np.float32), tmp_path / "map")["map"]
    assert Industrial().read(type(sample.record)(path, True, "x")).views.shape == sample.views.shape
    scores = np.asarray(Image.open(path.with_name("map_scores.png")))
    np.testing.assert_array_equal(scores.ravel(), sample.truth * 65535)


def test_the_real_sets_have_no_problems(data: Folder) -> None:
    for name, root in (("industrial/mvtec", data("industrial/mvtec_ad")), ("industrial/elpv", data("industrial/elpv"))):
        report = inspect(name, root)
        assert report.problems == [] and len(report.fingerprint) == 64
