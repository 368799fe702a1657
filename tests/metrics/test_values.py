"""Curves of whole values from counts, against scikit-learn and brute force, whichever end is anomalous."""

import numpy as np
import pytest
import torch
from metrics.exact import all_four, pictures
from metrics.test_lineage import published
from scipy import ndimage

from framework.metrics.ranking import shares_of
from framework.metrics.regions import where
from framework.metrics.values import ValueCurves, better_end


def numbered(truth):
    return np.stack([ndimage.label(t, np.ones((3, 3)))[0] for t in truth])


def counted(metric, name, values, truth, group=0):
    """Add pictures one by one."""
    for v, t, r in zip(values, truth, numbered(truth), strict=True):
        flat, places = torch.from_numpy(v.ravel()), where(torch.from_numpy(t.ravel()))
        shares = shares_of(places, torch.from_numpy(r.ravel()))
        metric.update(name, torch.bincount(flat, minlength=256), flat[places], shares, group)


def apart(truth):
    """Regions of several pictures, none with the number of another."""
    found = numbered(truth)
    return np.where(found, found + 1000 * np.arange(len(truth))[:, None, None], 0)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("levels", [256, 7])
def test_curves_of_either_end_are_those_of_the_values_themselves(sign, levels):
    truth, noise = pictures(seed=3)
    values = ((noise - noise.min()) / np.ptp(noise) * (levels - 1)).astype(np.uint8)
    values = values if sign == 1 else (levels - 1 - values).astype(np.uint8)
    metric = ValueCurves(["a", "b"], ["near", "bright"])
    counted(metric, "bright", values, truth, group=1)
    hists = metric.compute()
    assert not hists["near"]["b"].any() and not hists["bright"]["a"].any()
    found, turned = better_end(hists["bright"]["b"])
    scores = sign * values.astype(float)
    assert turned == (sign == -1)
    for name, value in all_four(truth.ravel(), scores.ravel(), apart(truth).ravel()).items():
        assert getattr(found, name) == pytest.approx(value, abs=1e-9), name
        assert getattr(found, f"{name}_error") < 1e-9
    assert found.aupro_lineage == pytest.approx(published(truth, scores), abs=1e-9)
    assert (found.positives, found.negatives) == (truth.sum(), (~truth).sum())


def test_one_class_or_nothing_has_no_curves():
    metric = ValueCurves(["a"], ["near"])
    assert better_end(metric.hist[0, 0].numpy())[0].auroc is None
    counted(metric, "near", np.zeros((1, 4, 4), np.uint8), np.zeros((1, 4, 4), bool))
    found, turned = better_end(metric.compute()["near"]["a"])
    assert found.auroc is None and found.negatives == 16 and not turned
