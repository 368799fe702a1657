"""Rows in; that matrices hold the newest, average only seeds, and never mix what cannot be compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from fake_rows import row
from numpy.testing import assert_allclose
from scipy.stats import t as student

from framework.leaderboard.apart import newest
from framework.leaderboard.matrix import matrices, reached, transfer_matrix
from framework.leaderboard.rows import CONTROL, VIEWED

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


def test_other_test_files_stand_in_a_column_of_their_own_the_newest_first():
    old = [row(run="r1", trained_on=t, fingerprint="e" * 64, value=0.5) for t in ("cups", "parts")]
    new = row(run="r2", date="2026-02-02T03:04:05+00:00", value=0.75, low=None, high=None)
    matrix = transfer_matrix([*old, new], "auroc", "sample")
    assert matrix.tested == ["parts (data ffffff)", "parts (data eeeeee)"] and matrix.current == matrix.tested[:1]
    assert {key: cell.value for key, cell in matrix.cells.items()} == {
        ("parts", "parts (data ffffff)"): 0.75,
        ("parts", "parts (data eeeeee)"): 0.5,  # though measured anew: it can still be compared with that of the cups
        ("cups", "parts (data eeeeee)"): 0.5,
    }
    assert [row in newest([*old, new]) for row in old] == [True, True]


def test_a_column_goes_once_all_of_its_methods_were_measured_anew():
    old = [row(run="r1", trained_on=t, fingerprint="e" * 64) for t in ("cups", "parts")]
    new = [replace(r, run="r2", date="2026-02-02T03:04:05+00:00", fingerprint="f" * 64) for r in old]
    assert transfer_matrix([*old, *new], "auroc", "sample").tested == ["parts"]
    assert newest([*old, *new]) == new


def test_data_have_one_name_in_every_matrix_and_only_as_many_digits_as_tell_them_apart():
    first, second = "abcdef1" + "0" * 57, "abcdef2" + "0" * 57
    rows = [row(fingerprint=first), row(trained_on="cups", fingerprint=second), row(metric="ap", fingerprint=second)]
    assert [m.tested for m in matrices(rows)] == [
        ["parts (data abcdef1)", "parts (data abcdef2)"],
        ["parts (data abcdef2)"],
    ]


def test_another_question_stands_in_a_column_of_its_own():
    rows = [row(level="answer", metric="f1", trained_on=t, protocol=f"f1/1; asked {t}") for t in ("cups", "parts")]
    matrix = transfer_matrix(rows, "f1", "answer")
    assert sorted(matrix.tested) == ["parts (asked cups)", "parts (asked parts)"] and len(matrix.cells) == 2


def test_a_control_stands_with_the_methods_that_saw_its_data_and_is_compared_with_no_others():
    old, new = row(value=0.75), row(trained_on="cups", fingerprint="e" * 64, protocol="ranking/2", value=0.5)
    cue = row(model=CONTROL + "size", value=0.625, fingerprint="e" * 64, protocol="ranking/2; large is anomalous")
    matrix = transfer_matrix([old, new, cue], "auroc", "sample")
    (own,) = [tested for line, tested in matrix.cells if line.startswith(CONTROL)]
    assert own == "parts (data eeeeee, ranking/2)"
    assert {line: cell.reached for (line, _), cell in matrix.cells.items() if not line.startswith(CONTROL)} == {
        "parts": False,
        "cups": True,
    }
    assert reached([replace(old, value=0.5), new, cue]) == {new: cue}


def test_a_control_whose_definition_no_method_on_its_data_has_stands_with_those_that_saw_its_data():
    old, new = row(value=0.75), row(trained_on="cups", fingerprint="e" * 64, protocol="ranking/2", value=0.5)
    cue = row(model=CONTROL + "size", protocol="ranking/2; large is anomalous")
    matrix = transfer_matrix([old, new, cue], "auroc", "sample")
    assert {t for line, t in matrix.cells if line.startswith(CONTROL)} == {"parts (data ffffff, ranking/1)"}


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
    other = row(run="x", seed=9, protocol="auroc/2; mean over categories")
    assert transfer_matrix([*rows, other], "auroc", "sample").tested == ["parts (auroc/2)", "parts (auroc/1)"]
