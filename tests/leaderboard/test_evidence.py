"""Saved scores of views, groups, cells and scans in; that pairs of them are tested as their intervals are, out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_rows import row, sample

from framework.leaderboard import evidence
from framework.leaderboard.comparison import comparisons
from framework.leaderboard.evidence import Saved
from framework.leaderboard.matrix import Cell, transfer_matrix
from framework.leaderboard.statistics import auroc, bootstrap, delong_interval, draws, element_interval, sample_interval
from framework.metrics.fixed import f1, f1_interval
from framework.metrics.intervals import dice_interval, sensitivity_interval
from framework.metrics.regions import coarse

PATIENTS, SCANS, VIEWS = 24, 2, 6


def lines(name, gain):
    """Scans of patients of whom every second is ill, scored by a method; what is hard is hard for all methods."""
    shared, own = np.random.default_rng(0), np.random.default_rng(list(name.encode()))
    found = []
    for i in range(PATIENTS * SCANS):
        patient, ill = i // SCANS, i // SCANS % 2 == 0
        views = ill & (np.arange(VIEWS) < 3)
        logits = (gain * views + shared.normal(size=VIEWS) + 0.3 * own.normal(size=VIEWS)).astype(np.float32)
        truth = np.arange(400) < 40 * ill
        scores = gain * truth + shared.normal(size=400) + 0.3 * own.normal(size=400) - 1
        hist, regions = coarse(scores, truth, truth.astype(int), scores_kind="logit")
        blobs = np.zeros((3, 512), np.float32)
        blobs[0] = hist[0]
        blobs[1, 250 + int(3 * own.normal())] = 2
        blobs[2, 270 + int(10 * gain + 8 * own.normal())] = ill
        found.append(
            sample(id=f"{i:02d}", group=f"p{patient}", category="brain", label=bool(ill), logit=float(logits.max()))
            | {"run": name, "hist": hist.tobytes(), "regions": regions, "pooled": None, "found": blobs.tobytes()}
            | {"view_logits": logits.tobytes(), "view_labels": views.astype(np.uint8).tobytes(), "grid": "64 px"}
            | {
                "grid_hist": (hist * np.float32([[2], [2], [1]])).tobytes(),
                "grid_regions": regions,
                "flagged": bool(logits.max() > 1),
            }
        )
    for line in found:
        line["pooled"] = max(other["logit"] for other in found if other["group"] == line["group"])
    return found


def hists(own, name):
    return np.stack([np.frombuffer(line[name], np.float32).reshape(3, -1) for line in own])


def interval(own, level, metric):
    """As evaluation makes it, and the value."""
    groups, labels = ([line[name] for line in own] for name in ("group", "label"))
    if metric == "f1_source":
        calls = np.array([line["flagged"] for line in own])
        return f1_interval(calls, np.array(labels), groups, None), f1(calls, np.array(labels))
    if level == "view":
        groups = np.repeat(groups, VIEWS)
        logits, labels = (np.concatenate([np.frombuffer(line[n], k) for line in own]) for n, k in VIEWED)
        return sample_interval(logits, labels, groups, None, metric), None
    if level == "group":
        pooled = {line["group"]: (line["pooled"], line["label"]) for line in own}
        logits, labels = (np.array(part) for part in zip(*pooled.values(), strict=True))
        if metric == "auroc":
            return delong_interval(logits, labels, None), auroc(logits, labels)
        return sample_interval(logits, labels, list(pooled), None, metric), None
    if metric.startswith("dice"):
        return dice_interval(hists(own, "hist"), groups, None, metric), None
    if metric == "sensitivity":
        return sensitivity_interval(hists(own, "found"), groups, None), None
    return element_interval(hists(own, "grid_hist"), [r["grid_regions"] for r in own], groups, None, metric), None


VIEWED = (("view_logits", np.float32), ("view_labels", np.uint8))
CASES = [
    *[(level, metric) for level in ("view", "group") for metric in ("auroc", "ap", "f1_max")],
    *[("grid", metric) for metric in ("auroc", "ap", "f1_max", "aupro", "aupro_05")],
    *[("element", metric) for metric in ("dice_best", "dice_fixed", "sensitivity")],
    ("sample", "f1_source"),
]
ELEMENTS = {"view": "slice", "group": "patient", "grid": "64 px", "element": "voxel"}


def made(name, own, level, metric):
    """The row of a method."""
    span, value = interval(own, level, metric)
    told = {"level": level, "metric": metric, "element": ELEMENTS.get(level, ""), "unit": "patient"}
    if level in ("grid", "element"):
        told |= {"elements": 9, "anomalous_elements": 3}
    value = span.centre if value is None else value
    return row(run=name, trained_on=name, value=value, low=span.low, high=span.high, **told)


@pytest.mark.parametrize(("level", "metric"), CASES)
def test_each_level_is_compared_and_varies_as_its_interval_says(level, metric):
    methods = {name: lines(name, gain) for name, gain in (("a", 2.0), ("b", 2.0), ("c", 0.2))}
    rows = {name: made(name, own, level, metric) for name, own in methods.items()}
    samples = [line for own in methods.values() for line in own]
    matrix = transfer_matrix(rows.values(), metric, level)
    found = comparisons(matrix, samples)
    assert [c.verdict for c in found] == ["cannot tell", "better", "better"], found
    units = {"view": PATIENTS * SCANS * VIEWS, "group": PATIENTS}.get(level, PATIENTS * SCANS)
    assert {c.samples for c in found} == {units}
    how = "paired DeLong" if (level, metric) == ("group", "auroc") else "paired bootstrap by patient"
    assert all(c.how.startswith(how) for c in found)
    saved = Saved(samples)
    for name, told in rows.items():
        one = saved.of(Cell((told,)))
        assert one.centre == pytest.approx(told.value, abs=1e-9)
        spread = np.sqrt(np.square(one.deviations).sum())
        assert 0.4 < (told.high - told.low) / (2 * 1.96 * spread) < 1.5, name  # the same resamples, as an interval
    wide = found[0].high - found[0].low
    assert metric == "sensitivity" or wide < np.hypot(
        *(rows[n].high - rows[n].low for n in "ab")
    )  # pairing takes away what is hard for both


def test_slices_of_a_patient_are_drawn_together():
    own = {name: lines(name, 0.8) for name in "ab"}
    rows = [made(name, each, "view", "ap") for name, each in own.items()]
    samples = [line for each in own.values() for line in each]
    (found,) = comparisons(transfer_matrix(rows, "ap", "view"), samples)
    alone = [line | {"group": line["id"]} for line in samples]
    (other,) = comparisons(transfer_matrix(rows, "ap", "view"), alone)
    assert found.high - found.low != other.high - other.low and found.difference == other.difference


def test_another_label_of_a_slice_is_another_set():
    own = {name: lines(name, 2.0) for name in "ab"}
    rows = [made(name, each, "view", "ap") for name, each in own.items()]
    own["b"][0]["view_labels"] = bytes([1] * VIEWS)
    (found,) = comparisons(transfer_matrix(rows, "ap", "view"), [line for each in own.values() for line in each])
    assert found.how == "not compared: other samples were scored" or "give" in found.how


def test_draws_are_made_once_for_all_methods_and_are_the_same_bits(monkeypatch):
    methods = {name: lines(name, gain) for name, gain in (("a", 2.0), ("b", 1.0), ("c", 0.2), ("d", 0.5))}
    rows = [made(name, own, "grid", "aupro") for name, own in methods.items()]
    drawn, draw = [], draws.draw
    monkeypatch.setattr(draws, "draw", lambda *given: drawn.append(1) or draw(*given))
    every = [line for own in methods.values() for line in own]
    shared = Saved(every)
    together = [shared.of(Cell((told,))) for told in rows]
    assert len(drawn) == 1
    apart = [Saved(methods[told.run]).of(Cell((told,))) for told in rows]
    assert len(drawn) == 5
    for one, other in zip(together, apart, strict=True):
        assert (one.key, one.centre, one.blind) == (other.key, other.centre, other.blind)
        assert np.array_equal(one.deviations, other.deviations)
    found = draws.resampled(
        [line["group"] for line in every[:48]],
        None,
        np.ones((48, 2), bool),
        lambda rows, owner, drawn: drawn.sum(1)[None],
        evidence.RESAMPLES,
        evidence.SEED,
    )
    plan = draws.Plans(evidence.RESAMPLES, evidence.SEED).of(
        [line["group"] for line in every[:48]], [""] * 48, np.ones((48, 2), bool)
    )
    again = plan.apply(lambda rows, owner, drawn: drawn.sum(1)[None])
    assert np.array_equal(found.values, again.values) and (found.units, found.strata) == (PATIENTS, 1)


def test_of_many_plans_the_one_asked_for_longest_ago_goes():
    plans, both = draws.Plans(10, 0, kept=2), np.ones((4, 2), bool)
    first = plans.of(["a", "b", "c", "d"], ["x"] * 4, both)
    plans.of(["a", "a", "c", "d"], ["x"] * 4, both)
    assert plans.of(["a", "b", "c", "d"], ["x"] * 4, both) is first
    plans.of(["a", "b", "b", "d"], ["x"] * 4, both)
    assert plans.of(["a", "b", "c", "d"], ["x"] * 4, both) is first
    assert plans.of(["a", "b", "c", "d"], ["x", "x", "y", "y"], both) is not first


def test_levels_of_one_run_are_looked_at_apart():
    own = lines("a", 0.8)
    saved = Saved(own)
    for level, count in (("view", PATIENTS * SCANS * VIEWS), ("group", PATIENTS)):
        found = saved.of(Cell((made("a", own, level, "ap"),)))
        assert found.samples == count, level


def test_the_variance_is_that_of_resamples_with_what_drawing_with_replacement_lacks_made_good():
    own = lines("a", 0.8)
    found = Saved(own).of(Cell((made("a", own, "view", "ap"),)))
    groups = np.repeat([line["group"] for line in own], VIEWS)
    logits, labels = (np.concatenate([np.frombuffer(line[n], k) for line in own]) for n, k in VIEWED)
    values = bootstrap.sample_values(logits[None].astype(float), labels.astype(bool), ("ap",))
    held = np.stack([labels == 0, labels == 1], 1)
    drawn = draws.resampled(groups, None, held, values, evidence.RESAMPLES, evidence.SEED)
    expected = np.var(drawn.values.reshape(-1)[1:], ddof=1) * drawn.units / (drawn.units - drawn.strata)
    assert np.square(found.deviations).sum() == pytest.approx(expected, rel=1e-9)
    assert found.freedom == drawn.units - drawn.strata == PATIENTS - 2  # whole patients, healthy ones apart


def test_scans_of_a_run_that_does_not_say_which_they_are_are_all_samples_or_nobody_knows():
    own = [line | {"found": None} for line in lines("a", 2.0)]
    told = made("a", own, "element", "dice_best")
    known = replace(told, normal=len(own) // 2, anomalous=len(own) // 2)
    assert Saved(own).of(Cell((known,))).samples == len(own)
    why = "run a keeps no scores of single scans, as runs of an older version"
    assert Saved(own).of(Cell((replace(known, normal=3),))) == why
