"""Yes/no answers against scikit-learn, class by class and pooled; what an answer left out costs."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, precision_recall_fscore_support

from framework.metrics.text.detection import detection


def expected(truth, called):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        numbers = precision_recall_fscore_support(truth, called, average="binary", zero_division=0)[:3]
        return [accuracy_score(truth, called), *numbers, balanced_accuracy_score(truth, called)]


def numbers(found):
    return [found.accuracy, found.precision, found.recall, found.f1, found.balanced_accuracy]


@pytest.mark.parametrize("seed", range(5))
def test_values_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    truth, called = rng.random(200) < 0.6, rng.random(200) < 0.5
    classes = rng.choice(["pcb", "candle", "pipe"], 200)
    found = detection(truth.tolist(), called.tolist(), classes.tolist())
    single = {c: expected(truth[classes == c], called[classes == c]) for c in ("candle", "pcb", "pipe")}
    assert list(found.classes) == list(single)
    for name, values in single.items():
        np.testing.assert_allclose(numbers(found.classes[name]), values, atol=1e-12)
        assert found.classes[name].count == (classes == name).sum()
    np.testing.assert_allclose(numbers(found.macro), np.mean(list(single.values()), axis=0), atol=1e-12)
    np.testing.assert_allclose(numbers(found.pooled), expected(truth, called), atol=1e-12)
    assert found.macro.count == found.pooled.count == 200
    assert found.macro.coverage == found.pooled.coverage == 1


def test_macro_f1_is_not_the_f1_of_macro_precision_and_recall():
    found = detection([True, True, False, True], [True, False, True, True], ["a", "a", "a", "b"]).macro
    assert found.f1 == pytest.approx((0.5 + 1) / 2)
    assert found.precision == found.recall == 0.75
    found = detection([True, True, True, True], [True, False, False, True], ["a", "a", "a", "b"]).macro
    assert found.f1 == pytest.approx((0.5 + 1) / 2)
    assert 2 * found.precision * found.recall / (found.precision + found.recall) == pytest.approx(0.8)


def test_an_answer_left_out_counts_as_the_wrong_one_and_shows_as_coverage():
    labels, classes = [True, False, True, False], ["a", "a", "b", "b"]
    found = detection(labels, [None, None, True, False], classes)
    wrong = detection(labels, [False, True, True, False], classes)
    assert [numbers(x) for x in found.classes.values()] == [numbers(x) for x in wrong.classes.values()]
    assert numbers(found.pooled) == numbers(wrong.pooled) == [0.5] * 5
    assert [x.coverage for x in (*found.classes.values(), found.macro, found.pooled)] == [0, 1, 0.5, 0.5]


def test_a_quotient_by_zero_is_zero_and_one_kind_of_item_has_no_balanced_accuracy():
    found = detection([False, False, True, False], [False, False, False, False], ["a", "a", "b", "b"])
    assert numbers(found.classes["a"]) == [1, 0, 0, 0, None]
    assert numbers(found.classes["b"]) == [0.5, 0, 0, 0, 0.5]
    assert numbers(found.macro) == [0.75, 0, 0, 0, 0.5]
    assert detection([True], [True], ["a"]).macro.balanced_accuracy is None


@pytest.mark.parametrize(("labels", "answers", "classes"), [([], [], []), ([True], [], ["a"]), ([True], [None], [])])
def test_items_must_be_there_and_whole(labels, answers, classes):
    with pytest.raises(ValueError, match=rf"got {len(labels)}, {len(answers)}, {len(classes)}$"):
        detection(labels, answers, classes)
