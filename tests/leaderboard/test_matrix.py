"""Rows in; that matrices hold the newest, average only seeds, and never mix what cannot be compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_rows import row
from numpy.testing import assert_allclose
from scipy.stats import t as student

from framework.errors import UserError
from framework.leaderboard.matrix import matrices, newest, reached, transfer_matrix
from framework.leaderboard.rows import VIEWED

LATER = "2026-03-04T05:06:07+00:00"


def test_the_newest_of_two_measurements_wins_whatever_the_order():
    old, new = row(value=0.5), row(run="r2", date=LATER, value=0.75)
    assert newest([new, old]) == [new] and newest([old, new]) == [new]
    assert transfer_matrix([new, old], "auroc", "sample").cells["parts", "parts"].rows == (new,)


def test_rows_that_differ_in_what_they_measure_do_not_replace_each_other():
    rows = [row(), row(category="bolt"), row(metric="ap"), row(seed=1), row(tested_on="x"), row(backbone="siglip")]
    assert newest(rows) == rows


def test_seeds_are_averaged_and_their_spread_is_kept():
    values = [(0.75, 0.65, 0.8), (0.71, 0.61, 0.76), (0.73, 0.63, 0.78)]
    rows = [row(run=f"r{seed}", seed=seed, value=v, low=a, high=b) for seed, (v, a, b) in enumerate(values)]
    cell = transfer_matrix(rows[::-1], "auroc", "sample").cells["parts", "parts"]
    assert [r.seed for r in cell.rows] == [0, 1, 2]
    assert_allclose([cell.value, cell.spread], [0.73, 0.02])
    between = 0.02**2 / 3  # variance of the mean of three seeds, on 2 degrees of freedom
    for end, reach in ((cell.low, -0.1), (cell.high, 0.05)):
        total = (reach / 1.959964) ** 2 + between
        freedom = 2 * (total / between) ** 2
        assert_allclose(end, 0.73 + np.sign(reach) * student.ppf(0.975, freedom) * total**0.5, rtol=1e-6)
    assert cell.low < 0.63 and cell.high > 0.78  # wider than of the test set alone


def test_one_seed_has_no_spread_and_a_missing_bound_stays_missing():
    cell = transfer_matrix([row(), row(seed=1, low=None, high=None)], "auroc", "sample").cells["parts", "parts"]
    assert cell.low is None and cell.high is None
    assert transfer_matrix([row()], "auroc", "sample").cells["parts", "parts"].spread is None


def test_only_the_mean_over_categories_of_the_metric_and_level_is_shown():
    rows = [row(value=0.75), row(category="bolt"), row(category="pooled"), row(metric="ap")]
    rows += [row(level="element", element="pixel")]
    assert transfer_matrix(rows, "auroc", "sample").cells["parts", "parts"].value == 0.75
    assert [(m.level, m.metric) for m in matrices(rows)] == [
        ("sample", "auroc"),
        ("sample", "ap"),
        ("element", "auroc"),
    ]


def test_the_diagonal_is_straight_and_untrained_models_come_last():
    sets = [("parts", "industrial"), ("brains", "medical"), ("cups", "pointcloud")]
    rows = [
        row(trained_on=t, tested_on=s, domain=d)
        for t in ("nothing", "brains + cups", "cups", "brains", "parts")
        for s, d in sets
    ]
    matrix = transfer_matrix(rows, "auroc", "sample")
    assert matrix.tested == ["parts", "brains", "cups"]
    assert matrix.trained == ["parts", "brains", "cups", "brains + cups", "nothing"]
    outlined = {key for key, cell in matrix.cells.items() if cell.diagonal}
    assert outlined == {(s, s) for s, _ in sets} | {("brains + cups", "brains"), ("brains + cups", "cups")}


def test_what_was_not_measured_is_missing():
    matrix = transfer_matrix([row(), row(trained_on="cups", tested_on="cups")], "auroc", "sample")
    assert set(matrix.cells) == {("parts", "parts"), ("cups", "cups")}
    assert [cell.rows[0].trained_on for cell in matrix.column("cups")] == ["cups"]


def test_models_that_share_a_training_set_get_a_line_each_named_by_what_tells_them_apart():
    rows = [row(), row(backbone="siglip"), row(trained_on="cups", tested_on="cups", experiment="other")]
    matrix = transfer_matrix(rows, "auroc", "sample")
    assert matrix.trained == ["cups", "parts · embedded", "parts · siglip"]


def test_other_test_files_in_one_column_are_refused_and_both_runs_named():
    rows = [row(), row(run="r2", trained_on="cups", fingerprint="e" * 64)]
    with pytest.raises(
        UserError, match=r"'parts': runs r1 and r2 saw different files, labels or groups \(fingerprints f{12}, e{12}\)"
    ):
        transfer_matrix(rows, "auroc", "sample")


def test_another_protocol_in_one_column_is_refused_until_the_older_run_is_repeated():
    old, new = row(trained_on="cups"), row(run="r2", protocol="ranking/2", date=LATER)
    with pytest.raises(UserError, match=r"r1 and r2 define sample auroc differently \(ranking/1, ranking/2\)"):
        transfer_matrix([old, new], "auroc", "sample")
    again = row(run="r3", trained_on="cups", protocol="ranking/2", date=LATER)
    assert len(transfer_matrix([old, new, again], "auroc", "sample").cells) == 2


def test_a_cell_is_above_chance_when_its_whole_interval_is():
    def above(**fields):
        return transfer_matrix([row(**fields)], "auroc", "sample").cells["parts", "parts"].above_chance

    assert above(low=0.51) and not above(low=0.5)
    assert above(low=None, high=None, value=0.6) and not above(low=None, high=None, value=0.4)
    assert above(low=0.1, chance=None)


def test_a_cell_is_in_domain_when_one_of_its_seeds_is():
    cells = transfer_matrix([row(), row(seed=1, in_domain=True, overlap=2)], "auroc", "sample").cells
    assert cells["parts", "parts"].in_domain


def control(name, value, **fields):
    told = {"model": f"control: {name}", "experiment": "controls", "backbone": "none", "trained_on": "nothing"}
    return row(**told, value=value, low=None, high=None, interval="", protocol=f"auroc/1; {name}", **fields)


def test_controls_stand_last_and_mark_what_they_reach():
    rows = [row(value=0.8), row(trained_on="brain", value=0.7), row(trained_on="nothing", value=0.6)]
    rows += [control("slice position", 0.75), control("file size", 0.55)]
    found = transfer_matrix(rows, "auroc", "sample")
    assert found.trained == ["parts", "brain", "nothing", "control: file size", "control: slice position"]
    assert [found.cells[name, "parts"].reached for name in found.trained] == [False, True, True, False, False]
    assert not transfer_matrix(rows[:3], "auroc", "sample").cells["brain", "parts"].reached


def test_a_control_of_one_category_marks_the_set_and_the_row_that_it_reaches():
    rows = [row(value=0.8), row(value=0.7, category="brain"), row(value=0.9, category="chest")]
    rows += [control("slice position", 0.7, category="brain"), control("file size", 0.6, category="brain")]
    assert transfer_matrix(rows, "auroc", "sample").cells["parts", "parts"].reached_in == ("brain",)
    assert reached(rows) == {rows[1]: rows[3]}
    better = [rows[0], replace(rows[1], value=0.71), *rows[2:]]
    assert not transfer_matrix(better, "auroc", "sample").cells["parts", "parts"].reached and not reached(better)


def test_seeds_are_compared_by_their_mean():
    seeds = [row(value=0.6), row(value=0.9, seed=1), control("file size", 0.74)]
    assert not transfer_matrix(seeds, "auroc", "sample").cells["parts", "parts"].reached
    assert list(reached(seeds)) == [seeds[0]]


def test_controls_are_repeated_by_every_run_and_shown_once():
    rows = [control("file size", 0.5), control("file size", 0.5, run="r2", date="2026-02-02T03:04:05+00:00")]
    (cell,) = transfer_matrix([row(), *rows], "auroc", "sample").column("parts")[1:]
    assert [each.run for each in cell.rows] == ["r2"]


def test_a_control_marks_only_what_saw_the_same_slices():
    way = "auroc/1; views: coronal slices, stride 5"
    other = row(trained_on="brain", value=0.7, protocol=way)
    found = transfer_matrix([row(value=0.8, protocol="auroc/1"), other, control("file size", 0.75)], "auroc", "sample")
    assert "brain · coronal slices, stride 5" in found.trained
    assert not any(cell.reached for cell in found.cells.values())


def test_a_cell_is_below_chance_when_its_whole_interval_is():
    def below(**fields):
        cell = transfer_matrix([row(**fields)], "auroc", "sample").cells["parts", "parts"]
        assert not (cell.below_chance and cell.above_chance)
        return cell.below_chance

    assert below(value=0.3, low=0.2, high=0.45)
    assert not below(value=0.3, low=0.2, high=0.55)
    assert not below(value=0.9, low=0.8, high=0.95)
    assert below(value=0.3, low=None, high=None) and not below(value=0.3, low=None, high=None, chance=None)


def test_answers_come_after_scores_each_rule_for_itself():
    rows = [
        row(level="published answer", metric="accuracy", value=0.5),
        row(level="answer", metric="coverage", value=0.25),
        row(level="answer", metric="accuracy", value=0.75),
        row(),
    ]
    found = matrices(rows)
    assert [(m.level, m.metric) for m in found] == [
        ("sample", "auroc"),
        ("answer", "accuracy"),
        ("answer", "coverage"),
        ("published answer", "accuracy"),
    ]
    assert [m.cells["parts", "parts"].value for m in found] == [0.875, 0.75, 0.25, 0.5]


def test_another_question_in_one_column_is_refused():
    rows = [row(level="answer", metric="f1", trained_on=t, protocol=f"f1/1; asked {t}") for t in ("cups", "parts")]
    with pytest.raises(UserError, match=r"define answer f1 differently \(f1/1; asked cups, f1/1; asked parts\)"):
        transfer_matrix(rows, "f1", "answer")


def test_one_method_with_views_made_in_several_ways_has_a_line_for_each_in_one_column():
    cloud, rgb = (row(protocol=f"ranking/1{VIEWED}{way}", value=v) for way, v in (("cloud", 0.6), ("rgb", 0.8)))
    matrix = transfer_matrix([cloud, rgb, row(tested_on="cups", fingerprint="e" * 64)], "auroc", "sample")
    assert matrix.trained == ["parts", "parts · cloud", "parts · rgb"] and matrix.tested == ["cups", "parts"]
    assert matrix.cells["parts · rgb", "parts"].value == 0.8
    assert transfer_matrix([rgb], "auroc", "sample").trained == ["parts"]


def test_numbers_on_a_grid_are_a_matrix_of_their_own():
    points = row(level="element", element="point", elements=9, anomalous_elements=2)
    cells = row(level="grid", element="grid336", elements=9, anomalous_elements=2, value=0.9, high=0.95)
    assert [(m.level, m.cells["parts", "parts"].value) for m in matrices([cells, points])] == [
        ("element", 0.875),
        ("grid", 0.9),
    ]


def test_over_how_many_categories_a_mean_goes_parts_no_rows_of_one_set():
    ways = ["", "; mean over categories", "; mean over 3 of 6 categories"]
    rows = [row(run=f"r{i}", seed=i, protocol=f"auroc/1{way}{VIEWED}slices") for i, way in enumerate(ways)]
    assert {r.definition for r in rows} == {"auroc/1"}
    assert len(transfer_matrix(rows, "auroc", "sample").cells["parts", "parts"].rows) == 3
    with pytest.raises(UserError, match="differently"):
        transfer_matrix([*rows, row(run="x", protocol="auroc/2; mean over categories")], "auroc", "sample")
