"""MMAD's seven subtasks by hand, its published scorer against a plain copy of its loop, and the gap between them."""

import random

import numpy as np
import pytest

from framework.metrics.text.mmad import DETECTION, SUBTASKS, Item, score


def simulate(count, right, unparseable, seed=0):
    """Answers that are right with a probability, and left out with another."""
    rng = random.Random(seed)
    items = []
    for _ in range(count):
        answer = None if rng.random() < unparseable else "A" if rng.random() < right else "B"
        items.append(Item(rng.choice(SUBTASKS), rng.choice("xyz"), "A", answer, rng.random() < 0.5))
    return items


def published(items):
    """Accuracy of one subtask in one dataset as the published loop finds it: it removes from what it walks."""
    left = [vars_of(item, number) for number, item in enumerate(items)]
    total = correct = 0
    for item in left:
        if item["answered"] not in list("ABCDE"):
            left.remove(item)
            continue
        total += 1
        correct += item["answered"] == item["correct"]
    return correct / total, total


def vars_of(item, number):
    return {"number": number, "answered": item.answered, "correct": item.correct}


def test_at_ten_percent_unparseable_the_published_scorer_is_seven_points_too_high():
    items = simulate(30_000, right=0.753, unparseable=0.1)
    strict, legacy = score(items), score(items, legacy=True)
    assert 100 * strict.average == pytest.approx(67.8, abs=1)
    assert 100 * legacy.average == pytest.approx(75.1, abs=1)
    for subtask in SUBTASKS:
        assert strict.subtasks[subtask].coverage == legacy.subtasks[subtask].coverage == pytest.approx(0.9, abs=0.02)
        assert strict.subtasks[subtask].counted == strict.subtasks[subtask].count
    counted = sum(s.counted for s in legacy.subtasks.values())
    assert counted / 30_000 == pytest.approx(0.9 / 1.1, abs=0.01)  # a tenth dropped, and the items after them


def test_legacy_scoring_counts_what_the_published_loop_counts():
    for seed in range(20):
        drawn = simulate(60, 0.7, 0.3, seed)
        items = [Item("Defect Analysis", "x", i.correct, i.answered) for i in drawn]
        found = score(items, legacy=True).subtasks["Defect Analysis"]
        assert (found.accuracy, found.counted) == pytest.approx(published(items))


def test_the_item_after_one_without_a_letter_is_never_looked_at():
    letters = ["A", None, "A", "A", None, None, "B"]
    items = [Item("Object Analysis", "x", "A", letter) for letter in letters]
    legacy = score(items, legacy=True).subtasks["Object Analysis"]
    assert (legacy.count, legacy.counted, legacy.accuracy) == (7, 3, pytest.approx(2 / 3))
    strict = score(items).subtasks["Object Analysis"]
    assert (strict.counted, strict.accuracy, strict.coverage) == (7, pytest.approx(3 / 7), pytest.approx(4 / 7))


def test_a_subtask_is_the_mean_over_datasets_and_detection_is_balanced():
    items = [Item("Defect Description", "x", "A", "A")] * 3 + [Item("Defect Description", "y", "A", "B")]
    items += [Item(DETECTION, "x", "A", a, True) for a in "AAAB"] + [Item(DETECTION, "x", "B", "A", False)]
    items += [Item(DETECTION, "y", "A", "A", True)]
    found = score(items)
    assert found.subtasks["Defect Description"].accuracy == 0.5
    assert found.subtasks[DETECTION].accuracy == pytest.approx((0.75 + 0) / 2)  # y shows anomalous pictures only
    assert found.average is None
    assert list(found.subtasks) == [DETECTION, "Defect Description"]
    legacy = score(items, legacy=True)
    assert legacy.subtasks[DETECTION].accuracy == pytest.approx((0.375 + 0.5) / 2)
    assert legacy.average == pytest.approx((0.5 + 0.4375) / 2)


def test_the_average_is_of_the_seven_and_old_names_count_for_object_analysis():
    items = [Item(subtask, "x", "A", "A", True) for subtask in SUBTASKS[:-1]] + [Item(DETECTION, "x", "A", "B", False)]
    assert score(items).average is None
    items += [Item("Object Structure", "x", "A", "A"), *[Item("Object Details", "x", "A", None)] * 3]
    found = score(items)
    assert found.subtasks["Object Analysis"].count == 4
    assert found.average == pytest.approx(np.mean([0.5, 1, 1, 1, 1, 1, 0.25]))


def test_what_a_dataset_lacks_has_no_accuracy_and_is_0_as_published():
    items = [Item("Defect Analysis", "x", "A", "A"), Item("Object Analysis", "y", "A", "A")]
    assert score(items).subtasks["Defect Analysis"].accuracy == 1
    assert score(items, legacy=True).subtasks["Defect Analysis"].accuracy == 0.5
    only = score([Item(DETECTION, "x", "A", "A", True)])
    assert only.subtasks[DETECTION].accuracy is None and only.average is None
    assert score([]).subtasks == {} and score([], legacy=True).average is None


def test_items_say_what_is_wrong_with_them():
    with pytest.raises(ValueError, match=r"'Defects', 'A'$"):
        Item("Defects", "x", "A", "A")
    with pytest.raises(ValueError, match=r"'Defect Analysis', 'F'$"):
        Item("Defect Analysis", "x", "F", "A")
    with pytest.raises(ValueError, match=r"^an item of Anomaly Detection must say"):
        Item(DETECTION, "x", "A", "A")
