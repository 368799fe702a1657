"""Answers and references in; the numbers of each, and what is known beforehand of the numbers there will be."""

from pathlib import Path

import numpy as np
import pytest
from fake_rows import columns
from numpy.testing import assert_array_equal

from framework.data.questions.items import Item
from framework.errors import UserError
from framework.metrics.text.agreement import agreement
from framework.metrics.text.judge import Judgements
from framework.reasoning import TextConfig
from framework.tasks import free_text
from framework.tasks.free_text import check, free_numbers, free_rows
from framework.tasks.verdicts import Line


def item(*references, image="<image>\n"):
    questions = (f"{image}What is it?", "Why?")[: len(references)]
    return Item("1", (Path("1.png"),), questions, references, "nut", True)


def line(*answers, category="nut"):
    return Line(category, "1", True, False, 0.0, answers)


def rows_of(config, lines, items, tmp_path):
    return {(r.category, r.metric): r for r in free_rows(config, lines, items, columns(), tmp_path / "judged.jsonl")}


def test_every_answer_that_has_a_reference_counts(tmp_path):
    items = [item("a deep scratch", ""), item("", "because of a knife"), item("a hole")]
    lines = [line("a deep scratch", "x"), line("y", "because of it"), line("none", category="cup")]
    rows = rows_of(TextConfig(), lines, items, tmp_path)
    assert rows["nut", "rouge_l"].value == pytest.approx((1 + 2 * 2 / (4 + 3)) / 2)
    assert rows["cup", "rouge_l"].value == 0 and rows["all", "rouge_l"].anomalous == 3
    assert rows["all", "rouge_l"].value == pytest.approx(rows["nut", "rouge_l"].value / 2)


def test_no_reference_no_row(tmp_path, capsys):
    assert rows_of(TextConfig(), [line("x", "y")], [item("", "")], tmp_path) == {}
    assert "no references are known, so its answers are kept and not scored" in capsys.readouterr().err


class Embedder:
    sha256 = "0123456789abcdef" * 4

    def __init__(self, weights):
        self.weights = weights

    def similarity(self, candidates, references):
        return np.array([-0.25, 0.75])[: len(candidates)]


def test_similarity_below_nothing_is_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(free_text, "Embedder", Embedder)
    rows = rows_of(TextConfig(similarity="lab/mini"), [line("x", "y")], [item("a", "b")], tmp_path)
    assert rows["all", "similarity"].value == 0.375
    assert rows["all", "similarity"].protocol == ("similarity/1; cosine, lab/mini, weights 0123456789ab, below 0 as 0")


def judged(monkeypatch, scores, tmp_path):
    asked = []

    def judge(questions, endpoint, cache, repeats):
        asked.extend(questions)
        return Judgements(np.array(scores, float), "judge/1", "wise")

    monkeypatch.setattr(free_text, "judge", judge)
    monkeypatch.setattr(free_text, "find_endpoint", lambda: None)
    lines, items = [line(str(i)) for i in range(len(scores))], [item("a")] * len(scores)
    return rows_of(TextConfig(judge=True, repeats=len(scores[0])), lines, items, tmp_path), asked


def test_the_judge_is_asked_without_the_places_of_pictures(tmp_path, monkeypatch):
    _, asked = judged(monkeypatch, [[8]], tmp_path)
    assert (asked[0].question, asked[0].reference, asked[0].candidate) == ("What is it?", "a", "0")


def test_judgements_become_tenths_coverage_and_agreement(tmp_path, monkeypatch, capsys):
    none = np.nan
    scores = [[8, 8, 8], [4, 5, none], [none, none, none], [6, none, none]]
    rows, _ = judged(monkeypatch, scores, tmp_path)
    assert rows["all", "judge"].value == pytest.approx((0.8 + 0.45 + 0.6) / 3)
    assert rows["all", "judge_coverage"].value == pytest.approx(6 / 12)
    assert rows["all", "judge_agreement"].value == pytest.approx((1 + 0) / 2)  # of the two that were judged twice
    alpha = agreement(np.array(scores, float)).alpha
    told = f"of 4 pairs of judgements 75 % are equal, Krippendorff's alpha {alpha:.2f}, scores differ by 0.2 of 10"
    assert told in capsys.readouterr().err


def test_one_judgement_agrees_with_nothing(tmp_path, monkeypatch):
    rows, _ = judged(monkeypatch, [[8], [np.nan]], tmp_path)
    assert {metric for _, metric in rows} == {"rouge_l", "judge", "judge_coverage"}
    assert rows["all", "judge_coverage"].value == 0.5


def test_two_models_judged_with_other_success_stay_comparable(tmp_path, monkeypatch):
    first, _ = judged(monkeypatch, [[8, 8], [9, 9]], tmp_path)
    second, _ = judged(monkeypatch, [[1, 3], [np.nan, np.nan]], tmp_path)
    assert_array_equal([r.protocol for r in first.values()], [r.protocol for r in second.values()])


@pytest.mark.parametrize(
    ("config", "items", "metrics"),
    [
        (TextConfig(), [item("")], []),
        (TextConfig(), [item(""), item("a")], ["rouge_l"]),
        (TextConfig(similarity="x"), [item("a")], ["rouge_l", "similarity"]),
        (TextConfig(judge=True), [item("a")], ["rouge_l", "judge", "judge_coverage"]),
        (TextConfig(judge=True, repeats=2), [item("a")], ["rouge_l", "judge", "judge_coverage", "judge_agreement"]),
    ],
)
def test_the_numbers_there_will_be_are_known_beforehand(config, items, metrics):
    assert free_numbers(config, items) == [("answer", metric) for metric in metrics]


def test_what_would_stop_the_scoring_is_found_before(monkeypatch):
    monkeypatch.delenv("ANOMALY_OV_JUDGE_URL", raising=False)
    check(TextConfig())
    with pytest.raises(UserError, match="ANOMALY_OV_JUDGE_URL is not set"):
        check(TextConfig(judge=True))
    with pytest.raises(UserError, match=r"folder not found: \./nowhere"):
        check(TextConfig(similarity="./nowhere"))
