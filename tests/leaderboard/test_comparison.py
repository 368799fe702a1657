"""Rows and saved scores in; that pairs are tested on the same samples, and verdicts and ranks are what they say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_rows import row, sample
from scipy.stats import norm

from framework.leaderboard.comparison import across, comparisons, ranks
from framework.leaderboard.evidence import Saved
from framework.leaderboard.matrix import transfer_matrix
from framework.leaderboard.means import means
from framework.leaderboard.statistics import auroc, average_precision, element_interval, f1_max
from framework.metrics.regions import coarse

METRICS = {"auroc": auroc, "ap": average_precision, "f1_max": f1_max}


def run(
    name, gain, metric="auroc", tested="parts", seed=0, noise=0, count=90, per_group=1, each=0.6, shared=1.0, **told
):
    """A row and its samples: scores share ``shared`` noise with other runs of the set, by group, and have their own."""
    common, own = np.random.default_rng([7, len(tested)]), np.random.default_rng([noise, seed, len(tested)])
    groups = np.arange(count) // per_group
    labels = groups % 3 == 0
    scores = gain * labels + shared * common.normal(size=count)[groups] + each * own.normal(size=count)
    value = METRICS[metric](scores, labels)
    made = row(
        run=f"{name}-{seed}-{tested}", trained_on=name, seed=seed, tested_on=tested, metric=metric, value=value, **told
    )
    told = {"run": made.run, "tested_on": tested, "hist": None, "regions": None}
    facts = zip(groups.tolist(), labels.tolist(), scores.tolist(), strict=True)
    lines = [sample(id=f"{i}", group=str(g), label=y, logit=s, **told) for i, (g, y, s) in enumerate(facts)]
    return made, lines


def board(*runs, metric="auroc", level="sample"):
    rows, samples = [made for made, _ in runs], [line for _, lines in runs for line in lines]
    return transfer_matrix(rows, metric, level), samples


@pytest.mark.parametrize("metric", METRICS)
def test_a_real_difference_is_found_and_the_ranks_say_so(metric):
    matrix, samples = board(
        *(run(n, g, metric, noise=k) for k, (n, g) in enumerate([("a", 3), ("b", 2.9), ("c", 0.5)])), metric=metric
    )
    found = comparisons(matrix, samples)
    assert [(c.a, c.b, c.verdict) for c in found] == [
        ("a", "b", "cannot tell"),
        ("a", "c", "better"),
        ("b", "c", "better"),
    ]
    assert ranks(matrix, found) == {("a", "parts"): 1, ("b", "parts"): 1, ("c", "parts"): 3}
    for c in found:
        assert c.low < c.difference < c.high and c.p <= c.adjusted and c.samples == 90
        assert c.difference == pytest.approx(matrix.cells[c.a, "parts"].value - matrix.cells[c.b, "parts"].value)
        assert ("DeLong" in c.how) == (metric == "auroc") and "one seed each" in c.how


@pytest.mark.parametrize(("metric", "per_group"), [("auroc", 1), ("ap", 1), ("auroc", 3)])
def test_under_the_null_about_five_of_a_hundred_are_rejected(metric, per_group):
    rejected = 0
    for noise in range(100):
        pair = (run(n, 1.5, metric, noise=1000 * k + noise, per_group=per_group) for k, n in enumerate("ab"))
        rejected += comparisons(*board(*pair, metric=metric))[0].p <= 0.05
    assert 1 <= rejected <= 11


def test_the_order_of_rows_and_samples_never_matters():
    runs = [run(n, g, "ap", noise=k) for k, (n, g) in enumerate([("a", 3), ("b", 2), ("c", 0.5)])]
    matrix, samples = board(*runs, metric="ap")
    shuffled = np.random.default_rng(0).permutation(len(samples))
    again, _ = board(*runs[::-1], metric="ap")
    assert comparisons(again, [samples[i] for i in shuffled]) == comparisons(matrix, samples)
    by_run = {made.run: lines for made, lines in runs}
    assert comparisons(matrix, by_run) == comparisons(matrix, samples)


def test_ten_patients_of_a_hundred_slices_tell_less_than_a_thousand_samples():
    told = {"count": 1000, "shared": 0.5}
    grouped = board(*(run(n, 1, noise=k, per_group=100, **told) for k, n in enumerate("ab")))
    for line in grouped[1]:  # every method errs in its own way on each patient
        line["logit"] += np.random.default_rng([ord(line["run"][0]), int(line["group"])]).normal()
    matrix, samples = _revalued(*grouped)
    together = comparisons(matrix, samples)[0]
    apart = comparisons(matrix, [line | {"group": line["id"]} for line in samples])[0]
    assert together.high - together.low > 3 * (apart.high - apart.low)
    assert "bootstrap by object" in together.how and "DeLong" in apart.how


def _revalued(matrix, samples):
    """The matrix with the values that changed samples give."""
    rows = []
    for cell in matrix.cells.values():
        own = [line for line in samples if line["run"] == cell.rows[0].run]
        value = auroc(np.array([line["logit"] for line in own]), np.array([line["label"] for line in own]))
        rows.append(row(run=cell.rows[0].run, trained_on=cell.rows[0].trained_on, value=value))
    return transfer_matrix(rows, "auroc", "sample"), samples


def test_seeds_that_vary_widen_the_difference():
    steady = [run("a", 2.0, seed=s) for s in range(3)], [run("b", 1.2, noise=1, seed=s) for s in range(3)]
    varied = [run("a", g, seed=s) for s, g in enumerate((0.8, 2.0, 3.2))], steady[1]
    one, other = (comparisons(*board(*a, *b))[0] for a, b in (steady, varied))
    assert other.high - other.low > 2 * (one.high - one.low)
    assert "seeds (3 and 3) as a random effect" in one.how
    assert one.verdict == "better" and other.verdict == "cannot tell"


def test_only_what_was_measured_alike_is_compared_and_else_it_says_why():
    a, (b, lines) = run("a", 2), run("b", 2, noise=1)
    cases = {
        "other samples were scored": (b, [lines[0] | {"id": "x"}, *lines[1:]]),
        "run b-0-parts has no scores of single samples": (b, []),
        "run b-0-parts has two scores of one sample": (b, [*lines, lines[0]]),
        "its row 12.5": (row(run=b.run, trained_on="b", value=0.125), lines),
    }
    for why, other in cases.items():
        matrix, samples = board(a, other)
        (found,) = comparisons(matrix, samples)
        assert why in found.how
        assert (found.samples, found.verdict, found.adjusted, found.low, found.high) == (0, "cannot tell", 1, -1, 1)
        assert ranks(matrix, [found]) == {}
    matrix, samples = board(a, (b, [line | {"group": "x" + line["group"]} for line in lines]))
    assert comparisons(matrix, samples)[0].how == "not compared: other samples were scored"


def test_in_domain_and_transductive_methods_push_nobody_down_and_controls_have_no_rank():
    told = {"in_domain": True, "overlap": 3}
    own, clear = run("parts", 4, **told), run("clear", 3, noise=1, transductive=True)
    control = row(run="k", model="control: size", trained_on="nothing", value=0.6)
    matrix, samples = board(own, clear, run("b", 0.9, noise=2), run("c", -1.5, noise=3), (control, []))
    assert ranks(matrix, comparisons(matrix, samples)) == {
        **{("parts", "parts"): 1, ("clear", "parts"): 1, ("b", "parts"): 1, ("c", "parts"): 2}
    }


def test_a_perfect_method_beside_a_perfect_one_is_no_proof_of_anything():
    perfect = [run(n, 60, noise=k) for k, n in enumerate("ab")]
    (found,) = comparisons(*board(*perfect))
    assert (found.difference, found.p, found.verdict) == (0, 1, "cannot tell") and found.low < -0.01 < 0.01 < found.high
    (found,) = comparisons(*board(perfect[0], run("c", -60)))
    assert found.difference == 1 and found.verdict == "better"
    (found,) = comparisons(*board(run("a", 60, "ap"), run("c", 1, "ap", noise=2), metric="ap"))
    assert found.verdict == "better"


def test_a_method_that_lacks_a_set_has_no_mean():
    runs = [run(n, g, tested=t, noise=k) for k, (n, g) in enumerate([("a", 3), ("b", 1)]) for t in ("parts", "lids_")]
    matrix, samples = board(*runs, run("c", 2, noise=9))
    mean = means(matrix)
    assert set(mean) == {"a", "b"}
    cells = [matrix.cells["a", tested] for tested in matrix.tested]
    assert mean["a"].value == pytest.approx(np.mean([cell.value for cell in cells]))
    reach = np.hypot(*(cell.value - cell.low for cell in cells)) / 2
    assert mean["a"].low == pytest.approx(mean["a"].value - reach)
    saved = Saved(samples)
    (found,) = across(matrix, saved)
    assert (found.a, found.b, found.tested, found.samples) == ("a", "b", "mean of 2 sets", 180)
    parts = [c for c in comparisons(matrix, saved) if (c.a, c.b) == ("a", "b")]
    assert found.difference == pytest.approx(np.mean([c.difference for c in parts]))
    assert found.high - found.low == pytest.approx(np.hypot(*(c.high - c.low for c in parts)) / 2)
    assert ranks(matrix, [found]) == {("a", "mean of 2 sets"): 1, ("b", "mean of 2 sets"): 2}


@pytest.mark.parametrize("metric", ["auroc", "ap", "f1_max", "aupro"])
def test_elements_are_compared_from_histograms(metric):
    runs = []
    for name, gain in (("a", 2.5), ("b", 2.5), ("c", 0.7)):
        rng, lines = np.random.default_rng(ord(name)), []
        for i in range(30):
            truth = np.arange(200) < 20 * (i % 2)
            hist, regions = coarse(rng.normal(size=200) + gain * truth, truth, truth.astype(int), scores_kind="logit")
            told = {"run": name, "id": f"{i}", "group": f"{i}", "label": bool(i % 2)}
            lines.append(sample(**told, hist=hist.tobytes(), regions=regions))
        hists = np.stack([np.frombuffer(line["hist"], np.float32).reshape(3, -1) for line in lines])
        interval = element_interval(hists, [i % 2 for i in range(30)], np.arange(30), None, metric)
        counts = {"level": "element", "element": "pixel", "elements": 6000, "anomalous_elements": 300}
        runs.append((row(run=name, trained_on=name, metric=metric, value=interval.centre, **counts), lines))
    matrix, samples = board(*runs, metric=metric, level="element")
    found = comparisons(matrix, samples)
    assert [c.verdict for c in found[1:]] == ["better", "better"] and found[0].p > 0.001
    assert "bootstrap by object" in found[0].how and found[0].samples == 30


@pytest.mark.parametrize(
    ("level", "metric", "why"),
    [
        ("view", "auroc", "run a keeps no scores of single views, as runs of an older version"),
        ("element", "sensitivity", "run a keeps no scores of single scans, as runs of an older version"),
        ("sample", "f1_source", "run a keeps no calls"),
        ("answer", "accuracy", "runs keep no answers of single samples that tell answer accuracy"),
        ("element", "aupro_lineage", "aupro_lineage hangs on the two extreme scores of a set"),
    ],
)
def test_what_runs_do_not_keep_is_not_compared(level, metric, why):
    element = {"view": "slice", "element": "voxel"}.get(level, "")
    _, lines = run("a", 2)
    runs = [(row(run=n, trained_on=n, level=level, metric=metric, element=element), lines) for n in "ab"]
    runs = [(made, [line | {"run": made.run} for line in own]) for made, own in runs]
    (found,) = comparisons(*board(*runs, level=level, metric=metric))
    assert found.how.startswith(f"not compared: {why}") and found.samples == 0


def test_seeds_of_one_method_that_scored_other_samples_are_not_averaged():
    first, (second, lines) = run("a", 2), run("a", 2, seed=1)
    matrix, samples = board(first, (second, [lines[0] | {"id": "x"}, *lines[1:]]), run("b", 1, noise=1))
    (found,) = comparisons(matrix, samples)
    assert found.how == "not compared: runs a-0-parts and a-1-parts scored other samples"


def test_each_set_of_a_run_is_looked_at_by_itself():
    runs = [run(n, g, tested=t, noise=k) for k, (n, g) in enumerate([("a", 3), ("b", 1)]) for t in ("parts", "lid")]
    one = [
        (replace(made, run=made.trained_on), [line | {"run": made.trained_on} for line in own]) for made, own in runs
    ]
    for apart, together in zip(comparisons(*board(*runs)), comparisons(*board(*one)), strict=True):
        assert together == apart and together.samples == 90


def test_the_verdict_is_that_of_the_whole_family():
    gains = [("a", 1.6), ("b", 1.5), ("c", 1.2), ("d", 1.1), ("e", 0.9), ("f", 0.8)]
    found = comparisons(*board(*(run(n, g, noise=k) for k, (n, g) in enumerate(gains))))
    assert any(pair.p <= 0.05 < pair.adjusted for pair in found) and any(pair.adjusted <= 0.05 for pair in found)
    assert all((pair.verdict == "cannot tell") == (pair.adjusted > 0.05) for pair in found)


def test_seeds_of_either_method_count_alike():
    varied = [(g, s) for s, g in enumerate((0.8, 2.0, 3.2))]
    one, other = (
        comparisons(
            *board(*(run(a, g, seed=s, noise=5) for g, s in varied), *(run(b, 1.2, noise=1, seed=s) for s in range(3)))
        )[0]
        for a, b in ("ab", "ba")
    )
    assert one.difference == pytest.approx(-other.difference if (one.a, other.a) == ("a", "a") else None)
    assert one.high - one.low == pytest.approx(other.high - other.low) and one.p == pytest.approx(other.p)


def test_what_a_perfect_method_is_blind_to_adds_nothing_where_the_other_varies():
    matrix, samples = board(run("a", 60), run("b", 1.5, noise=1))
    (found,) = comparisons(matrix, samples)
    saved = Saved(samples)
    a, b = (saved.of(matrix.cells[name, "parts"]) for name in "ab")
    assert a.blind > 0 == b.blind and not a.deviations.any()
    reach = norm.ppf(0.975) * np.sqrt(np.square(b.deviations).sum())
    assert found.low == pytest.approx(found.difference - reach)
