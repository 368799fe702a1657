"""Rows, tests and items in; that what the scripts of the page get says the same as the tables, digit for digit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_page import unpacked
from fake_rows import row

from framework.leaderboard.comparison import Comparison
from framework.leaderboard.matrix import matrices
from framework.leaderboard.render import pairs, words
from framework.leaderboard.render.contents import contents, fine, places, tenths

PAIR = [
    row(in_domain=True, overlap=3, near=2, known="A in B", error=0.00004),
    row(run="r2", trained_on="cups", value=0.5625, low=None, high=None),
    row(run="r2", trained_on="cups", category="bolt", value=0.25, low=0.125, high=0.375),
]


def paired(a="parts", b="cups", tested="parts", **fields):
    """A paired test with these entries."""
    told = {"level": "sample", "metric": "auroc", "difference": -0.25, "low": -0.5, "high": 0.125, "p": 0.25}
    told |= {"adjusted": 0.5, "verdict": "cannot tell", "samples": 20, "how": "bootstrap"}
    return Comparison(a=a, b=b, tested=tested, **told | fields)


def shown(rows, found=()):
    return unpacked(contents(rows, matrices(rows), found, [], {}))


def unfold(number):
    return None if number == 0 else (number - 1) // 2 if number % 2 else -number // 2


def test_a_value_rounds_half_up_to_what_every_other_format_shows():
    values = [0.0, 1.0, 0.8125, 0.87549, 0.8755, 0.99949, 0.99951, 0.0005, *np.random.default_rng(0).random(2000)]
    values += [i / 2048 for i in range(2049)]
    for value in values:
        assert f"{(fine(value) + 5) // 10 / 10:.1f}" == words.percent(value)
        assert abs(fine(value) - 10_000 * value) <= 6 and tenths(value) == round(10 * float(words.percent(value)))


def test_rows_come_back_from_their_columns():
    header, columns = shown(PAIR)
    values = {name: header["dictionaries"][name] for name in header["fields"]}
    for i, each in enumerate(PAIR):
        for group, names in header["fields"].items():
            assert values[group][columns[group][i]] == [getattr(each, name) for name in names]
        found = [unfold(columns[name][i]) for name in ("below", "above")]
        apart = [None, None]
        if each.low is not None:
            apart = [tenths(each.value) - tenths(each.low), tenths(each.high) - tenths(each.value)]
        assert found == apart
        assert header["dictionaries"]["chance"][columns["chance"][i]] == words.percent(each.chance)
    assert columns["value"] == [875, 562, 250] and columns["error"] == [4, 0, 0]  # 56.2: half to even


def test_what_is_superseded_and_which_control_is_as_good_is_told_of_every_row():
    rows = [row(), row(run="r9", date="2027-01-01T00:00:00+00:00"), row(model="control: file size", value=0.9)]
    _, columns = shown(rows)
    assert columns["current"] == [0, 1, 1] and columns["control"] == [0, 3, 0]


def test_cells_name_their_place_their_rows_and_their_marks():
    rows = [*PAIR, row(seed=1, value=0.8125)]
    header, columns = shown(rows)
    (matrix,) = header["matrices"]
    assert (matrix["trained"], matrix["tested"], matrix["title"]) == (["parts", "cups"], ["parts"], "Sample AUROC")
    order = np.argsort(columns["cell_line"])
    assert [columns["cell_seeds"][i] for i in order] == [2, 1] and sorted(columns["cell_rows"]) == [0, 1, 3]
    facts = [header["dictionaries"]["cell_facts"][columns["cell_facts"][i]] for i in order]
    assert facts == [["†", "", True, True], ["", "", False, False]]
    assert [columns["cell_value"][i] for i in order] == [8437, 5624]
    assert unfold(columns["cell_spread"][order[0]]) == 44 and unfold(columns["cell_spread"][order[1]]) is None


def test_shades_are_those_of_the_static_cells():
    (matrix,) = shown(PAIR)[0]["matrices"]
    assert matrix["floor"] == 5000 and matrix["shades"][150] == list(words.heat(0.875, "auroc"))


def test_a_paired_test_comes_back_with_its_signs():
    header, columns = shown(PAIR, [paired()])
    told = {"half": 375, "p": 140}  # the farther end counts; p is 0.5, above 0.1 in hundredths
    assert {n: unfold(columns[f"test_{n}"][0]) for n in told} == told
    assert [columns[f"test_{n}"] for n in ("matrix", "column", "a", "b")] == [[0], [0], [0], [1]]
    assert columns["test_samples"] == [20]
    assert header["dictionaries"]["test_said"][columns["test_said"][0]] == ["cannot tell", "bootstrap"]


def test_a_small_p_is_told_as_zero_and_a_mean_over_sets_has_the_column_after_the_last():
    found = [paired(adjusted=0.0009), paired(adjusted=0.001, tested="mean of 2 sets")]
    _, columns = shown(PAIR, found)
    assert [unfold(p) for p in columns["test_p"]] == [0, 1] and columns["test_column"] == [0, 1]


def test_of_very_many_pairs_all_but_the_first_metric_keep_the_verdict_alone(monkeypatch):
    rows = [*PAIR, *(replace(r, metric="ap") for r in PAIR)]
    found = [paired(), paired(metric="ap", verdict="better")]
    assert all(unfold(half) == 375 for half in shown(rows, found)[1]["test_half"])
    monkeypatch.setattr(pairs, "WHOLE", 1)
    header, columns = shown(rows, found)
    assert [unfold(columns["test_half"][i]) for i in (0, 1)] == [None, None]
    assert [unfold(columns["test_p"][i]) for i in (0, 1)] == [140, None]
    said = [header["dictionaries"]["test_said"][i][0] for i in columns["test_said"]]
    assert said == ["cannot tell", "differs"]


def test_differences_follow_from_the_cells_to_a_ten_thousandth_of_a_percent():
    values = np.random.default_rng(0).random(50)
    rows = [row(trained_on=f"t{i}", value=value, low=None, high=None) for i, value in enumerate(values)]
    header, columns = shown(rows)
    exact = {
        header["matrices"][0]["trained"][line]: value / 10_000 + unfold(rest) / 1_000_000
        for line, value, rest in zip(columns["cell_line"], columns["cell_value"], columns["cell_rest"], strict=True)
    }
    assert all(abs(exact[f"t{i}"] - value) <= 5.1e-7 for i, value in enumerate(values))


def test_means_over_sets_are_cells_without_rows_in_the_column_after_the_last():
    rows = [row(tested_on=name, value=value, low=None, high=None) for name, value in (("a", 0.5), ("b", 0.75))]
    header, columns = shown([*rows, row(tested_on="a", trained_on="x", value=0.25, low=None, high=None)])
    own = [i for i, column in enumerate(columns["cell_column"]) if column == 2]
    assert [columns["cell_value"][i] for i in own] == [6250] and [columns["cell_seeds"][i] for i in own] == [0]
    assert header["matrices"][0]["whole"] == "mean of 2 sets" and columns["cell_column"].count(2) == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"verdict": "cannot tell"}, ["1=", "1="]),
        ({"verdict": "better"}, ["1", "2"]),
        ({"samples": 0}, [None, None]),
        ({"verdict": "better", "in_domain": True}, ["(1)", "1"]),
    ],
)
def test_lines_that_cannot_be_told_apart_share_a_rank_and_unfair_ones_are_ranked_apart(fields, said):
    (matrix,) = matrices([row(in_domain=fields.pop("in_domain", False)), PAIR[1]])
    found = places(matrix, [paired(**fields)])
    assert [found.get(("parts", "parts")), found.get(("cups", "parts"))] == said
    assert places(matrix, []) == {}


def test_a_run_says_its_command_as_one_types_it():
    header, _ = unpacked(contents(PAIR, matrices(PAIR), [], [], {"r1": {"command": ["fit", "a b"]}, "other": {}}))
    assert header["records"] == {"r1": {"command": "anomaly-ov fit 'a b'", "settings": ""}}
