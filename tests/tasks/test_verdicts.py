"""Lines of a set in; that rows hold the numbers one would count by hand, with intervals, chance and counts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_rows import columns

from framework.data.questions.items import Item
from framework.leaderboard.answers import answer_interval
from framework.metrics.text.mmad import SUBTASKS
from framework.tasks.verdicts import Line, answer_rows, mmad_rows, score_rows, text_rows

COLUMNS = columns()


def line(label, answer, category="nut", group="", logit=0.0, seen=False):
    return Line(category, group or f"{category}{label}{answer}{logit}", label, seen, logit, (answer,))


NUTS = [  # tp 2, fn 1 (no answer), tn 1, fp 1
    line(True, "Yes", logit=2.0, group="a"),
    line(True, "yes, a scratch", logit=1.0, group="b"),
    line(True, "It may be.", logit=-1.0, group="c"),
    line(False, "No.", logit=-2.0, group="d", seen=True),
    line(False, "Yes", logit=0.5, group="e"),
]
CUPS = [  # tp 1, tn 2; the last says yes by the published rule only
    line(True, "Yes", "cup", logit=3.0),
    line(False, "No", "cup", logit=-3.0),
    line(False, "No. Not like yesterday.", "cup", logit=-1.0),
]


def values(rows, level, category="all"):
    return {r.metric: r.value for r in rows if (r.level, r.category) == (level, category)}


def test_yes_and_no_by_both_rules_counted_by_hand():
    rows = answer_rows(NUTS, COLUMNS)
    assert values(rows, "answer") == pytest.approx(
        {"accuracy": 3 / 5, "balanced_accuracy": (2 / 3 + 1 / 2) / 2, "precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3}
        | {"coverage": 4 / 5}
    )
    assert values(rows, "published answer")["coverage"] == 1.0
    assert values(rows, "published answer")["recall"] == pytest.approx(2 / 3)
    assert {r.category for r in rows} == {"all"}  # of one category there is nothing to average


def test_macro_pooled_and_each_category():
    rows = answer_rows([*NUTS, *CUPS], COLUMNS)
    for level, cup in (("answer", 1.0), ("published answer", 2 / 3)):
        assert values(rows, level, "nut")["accuracy"] == 3 / 5 and values(rows, level, "cup")["accuracy"] == cup
        assert values(rows, level)["accuracy"] == pytest.approx((3 / 5 + cup) / 2)
    assert values(rows, "answer", "pooled")["accuracy"] == 6 / 8
    assert values(rows, "published answer", "pooled")["balanced_accuracy"] == pytest.approx((3 / 4 + 2 / 4) / 2)


def test_rows_say_counts_chance_overlap_and_rule():
    rows = {(r.level, r.category, r.metric): r for r in answer_rows([*NUTS, *CUPS], COLUMNS)}
    found = rows["answer", "all", "accuracy"]
    assert (found.normal, found.anomalous, found.groups, found.overlap, found.in_domain) == (4, 4, 8, 1, True)
    assert not rows["answer", "cup", "accuracy"].in_domain and rows["answer", "cup", "accuracy"].anomalous == 1
    assert found.chance == rows["answer", "nut", "balanced_accuracy"].chance == 0.5
    assert rows["answer", "all", "f1"].chance is None and rows["answer", "all", "coverage"].chance is None
    rule = "accuracy/1; first word, strict/1; no answer counts as wrong"
    assert found.protocol == f"{rule}; mean over categories" and rows["answer", "nut", "accuracy"].protocol == rule
    assert rows["published answer", "pooled", "f1"].protocol == "f1/1; substring yes, as published/1"


def test_a_question_of_ones_own_is_in_the_protocol():
    asked = answer_rows(NUTS, COLUMNS, "Is it broken?")
    assert {r.protocol.rpartition("; ")[2] for r in asked} == {"asked 'Is it broken?'"}


def test_intervals_are_those_of_the_rows_own_samples():
    many = [line(bool(i % 2), "Yes" if (i % 2) != (i % 5 == 0) else "No", "ab"[i // 2 % 2], str(i)) for i in range(80)]
    rows = {(r.category, r.metric): r for r in answer_rows(many, COLUMNS) if r.level == "answer"}
    for category, metric in (("all", "balanced_accuracy"), ("pooled", "f1"), ("a", "accuracy")):
        mine = [i for i in many if category in (i.category, "all", "pooled")]
        classes = [i.category for i in mine] if category == "all" else None
        says = [i.answers[0] == "Yes" for i in mine]
        wanted = answer_interval([i.label for i in mine], says, [i.group for i in mine], classes, metric)
        found = rows[category, metric]
        assert (found.low, found.high) == (wanted.low, wanted.high) and found.low < found.value < found.high
        assert found.interval == "percentile bootstrap by group, 1000 resamples, 95 %"
    assert rows["all", "coverage"].low is None and rows["all", "coverage"].interval == ""


def test_of_one_class_there_is_accuracy_and_no_balance_no_auroc():
    normal = [i for i in [*NUTS, *CUPS] if not i.label]
    assert "balanced_accuracy" not in values(answer_rows(normal, COLUMNS), "answer")
    assert values(answer_rows(normal, COLUMNS), "answer")["accuracy"] == pytest.approx((1 / 2 + 1) / 2)
    assert score_rows(normal, COLUMNS) == []


def test_the_experts_own_numbers():
    rows = score_rows([*NUTS, *CUPS], COLUMNS)
    assert values(rows, "sample", "nut")["auroc"] == pytest.approx(5 / 6)
    assert values(rows, "sample", "cup") == {"auroc": 1.0, "ap": 1.0, "f1_max": 1.0}
    assert values(rows, "sample")["auroc"] == pytest.approx((5 / 6 + 1) / 2)


def test_means_of_free_answers_leave_out_what_has_no_number():
    lines = [line(True, str(i), "ab"[i // 3]) for i in range(4)]
    numbers = {"rouge_l": np.array([0.1, 0.2, 0.3, 1.0]), "judge": np.array([0.5, np.nan, 0.7, np.nan])}
    rows = text_rows(lines, numbers, {"rouge_l": "so", "judge": "thus"}, COLUMNS)
    assert values(rows, "answer") == pytest.approx({"rouge_l": 0.6, "judge": 0.6})
    assert values(rows, "answer", "a") == pytest.approx({"rouge_l": 0.2, "judge": 0.6})
    assert values(rows, "answer", "b") == {"rouge_l": 1.0}
    assert {r.protocol for r in rows} == {"rouge_l/1; so", "judge/1; thus"}
    assert {(r.low, r.chance) for r in rows} == {(None, None)}
    assert text_rows(lines, {"judge": np.full(4, np.nan)}, {"judge": "thus"}, COLUMNS) == []


def question(number, subtask, right, image="good", dataset="d", options="ABCD"):
    texts = tuple((letter, f"text {letter}") for letter in options)
    return Item(str(number), (Path(image),), ("?",), (right,), "nut", None, subtask, dataset, texts)


DETECTION = "Anomaly Detection"
OTHERS = [s for s in SUBTASKS if s != DETECTION]


def mmad(answers):
    """Detection on two normal and two broken pictures, then one question of each other subtask in each of two sets."""
    items = [question(i, DETECTION, "A", options="AB") for i in range(4)]
    items += [question(name, name, "B", dataset=d) for name in OTHERS for d in ("d", "e")]
    lines = [line(i >= 2, answer) for i, answer in enumerate(answers)]
    return mmad_rows(lines, items, COLUMNS)


def test_mmad_counts_what_is_no_letter_as_wrong_and_tells_its_share():
    rows = mmad(["A", "B", "A", "A", "B", "none of them", *["B"] * 10])
    assert values(rows, "answer", DETECTION) == {"accuracy": 3 / 4, "coverage": 1.0}
    assert values(rows, "answer", "Defect Classification") == {"accuracy": 1 / 2, "coverage": 1 / 2}
    assert values(rows, "answer") == pytest.approx({"accuracy": (3 / 4 + 1 / 2 + 5) / 7, "coverage": (6 + 1 / 2) / 7})


def test_mmad_as_published_guesses_from_likeness():
    rows = mmad(["A", "B", "A", "A", "B", "text B", *["B"] * 10])
    assert values(rows, "published answer", "Defect Classification")["accuracy"] == 1.0
    protocols = {(r.level, r.category): r.protocol for r in rows if r.metric == "accuracy"}
    assert protocols["published answer", "all"] == (
        "accuracy/1; mmad/1, published scorer, flaw included; mean of subtasks"
    )
    assert protocols["answer", DETECTION] == "accuracy/1; mmad/1, strict; no answer counts as wrong"


def test_chance_of_a_choice_follows_from_its_options():
    rows = {(r.category, r.metric): r for r in mmad(["A"] * 16) if r.level == "answer"}
    assert rows[DETECTION, "accuracy"].chance == 0.5 and rows["Object Analysis", "accuracy"].chance == 0.25
    assert rows["all", "accuracy"].chance == pytest.approx((0.5 + 6 * 0.25) / 7)
    assert rows["all", "coverage"].chance is None
    assert rows[DETECTION, "accuracy"].anomalous == 2 and rows[DETECTION, "accuracy"].normal == 2


def test_without_all_seven_subtasks_there_is_no_strict_average():
    items = [question(1, "Defect Analysis", "B"), question(2, "Defect Analysis", "B")]
    rows = mmad_rows([line(True, "B"), line(True, "C")], items, COLUMNS)
    assert values(rows, "answer") == {"coverage": 1.0} and values(rows, "answer", "Defect Analysis")["accuracy"] == 0.5
    assert values(rows, "published answer")["accuracy"] == 0.5


def test_answers_about_a_patient_that_was_trained_on_mark_the_row():
    answered = [line(True, "Yes.", logit=1.0, group="a"), line(False, "No.", logit=-1.0, group="b", seen=True)]
    answered = [replace(each, related=True) for each in answered]
    for row in (answer_rows(answered, COLUMNS)[0], score_rows(answered, COLUMNS)[0]):
        assert (row.in_domain, row.overlap, row.related) == (True, 1, 1)
