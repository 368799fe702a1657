"""Metrics on a GPU: the counts, and so every bit, of the CPU (skipped where there is no GPU)."""

import pytest
import torch
from metrics.exact import pictures
from metrics.test_ranking import METRICS, numbered
from metrics.test_window import FAMILIES, HALVES

from framework.metrics.ranking import AnomalyCurves

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICE = "cuda"


def measured(truth, scores, place, kind):
    metric = AnomalyCurves(["all"], kind, 1024, regions=True).to(place)
    regions = torch.from_numpy(numbered(truth).reshape(truth.shape))
    for i in range(len(truth)):
        parts = scores[i], torch.from_numpy(truth[i]), regions[i]
        metric.update(*(part.flatten().to(place) for part in parts))
    return metric.compute()["all"]


@pytest.mark.parametrize("family", [*FAMILIES, *HALVES])
def test_scores_of_any_range(family):
    truth, noise = pictures(3, side=16)
    made = (FAMILIES | HALVES)[family](noise)
    scores = made if isinstance(made, torch.Tensor) else torch.from_numpy(made).float()
    here, there = (measured(truth, scores, place, "any") for place in ("cpu", DEVICE))
    for name in METRICS:
        assert getattr(there, name) == getattr(here, name), name
        assert getattr(there, f"{name}_error") == getattr(here, f"{name}_error"), name


def test_probabilities():
    truth, noise = pictures(4, side=16)
    scores = torch.from_numpy(noise).float().sigmoid()
    here, there = (measured(truth, scores, place, "probability") for place in ("cpu", DEVICE))
    assert [getattr(there, m) for m in METRICS] == pytest.approx([getattr(here, m) for m in METRICS], abs=1e-3)


def test_what_lies_elsewhere_is_counted_where_the_metric_is():
    truth, noise = pictures(5, side=16)
    here, there = (AnomalyCurves(["all"], "any", 1024, regions=True).to(place) for place in ("cpu", DEVICE))
    parts = [torch.from_numpy(noise).float(), torch.from_numpy(truth), torch.from_numpy(numbered(truth))]
    for metric in (here, there):
        metric.update(*(part.flatten() for part in parts))
    assert there.hist.device.type == DEVICE and torch.equal(there.hist.cpu(), here.hist)
