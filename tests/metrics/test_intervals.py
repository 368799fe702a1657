"""Intervals of Dice and detection: their centre is the metric, patients are drawn whole, and when there is none."""

import numpy as np
import pytest
from metrics.test_detections import measure as detect
from metrics.test_detections import scan, tallied

from framework.metrics.detections import found_coarse
from framework.metrics.dice import Dice
from framework.metrics.intervals import dice_interval, sensitivity_interval
from framework.metrics.regions import coarse

SCANS = [scan(seed, lesions=3 * (seed % 4 > 0)) for seed in range(16)]
PATIENTS = [f"p{i // 2}" for i in range(16)]


def found():
    return np.stack([found_coarse(tallied(*s)) for s in SCANS])


def hists():
    return np.stack([coarse(scores, numbers > 0)[0] for scores, numbers in ((s.ravel(), n) for s, n in SCANS)])


def test_the_centre_is_the_metric():
    inside = sensitivity_interval(found(), PATIENTS, None)
    value = detect(SCANS).compute()["all"].sensitivity
    assert inside.describes(value) and inside.low < value < inside.high and inside.unit_count == 8
    metric = Dice(["all"])
    for s in SCANS:
        metric.update(tallied(*s)[:2])
    exact = metric.compute()["all"]
    for name in ("dice_best", "dice_fixed"):
        inside = dice_interval(hists(), PATIENTS, None, name)
        assert inside.describes(getattr(exact, name)) and inside.low < getattr(exact, name) < inside.high
        assert inside.unit_count == 8  # every patient has a scan with a lesion
    assert inside.centre == pytest.approx(exact.dice_fixed, abs=1e-11)


def test_patients_are_drawn_whole():
    twice = dice_interval(np.concatenate([hists()] * 2), PATIENTS * 2, None, "dice_fixed")
    assert twice == dice_interval(hists(), PATIENTS, None, "dice_fixed")  # copies of a patient's scans tell nothing new
    apart = dice_interval(hists(), [str(i) for i in range(16)], None, "dice_fixed")
    assert apart.unit_count == 12


def test_the_mean_over_categories():
    names = np.array([str(i % 2) for i in range(16)])
    parts = [sensitivity_interval(found()[names == n], np.array(PATIENTS)[names == n], None) for n in "01"]
    both = sensitivity_interval(found(), PATIENTS, names)
    assert both.centre == pytest.approx(np.mean([p.centre for p in parts]))
    assert both.unit_count == sum(p.unit_count for p in parts)


def test_one_patient_says_nothing_about_the_spread():
    assert sensitivity_interval(found(), ["a"] * 16, None) is None
    assert dice_interval(hists(), ["a"] * 16, None, "dice_best") is None
    normal = [i for i, (_, n) in enumerate(SCANS) if not n.any()]
    assert sensitivity_interval(found()[normal], [str(i) for i in normal], None) is None
    assert dice_interval(hists()[normal], [str(i) for i in normal], None, "dice_best") is None


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="metrics are dice_best, dice_fixed"):
        dice_interval(hists(), PATIENTS, None, "dice")
    with pytest.raises(ValueError, match="16 histograms, 1 groups"):
        sensitivity_interval(found(), ["a"], None)
