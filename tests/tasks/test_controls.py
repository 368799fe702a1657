"""Rows that look at no picture stand beside those of a method."""

import numpy as np
import pytest

from framework.tasks.controls import controls
from framework.tasks.cues import BRIGHTNESS, POSITION, SIZE
from framework.tasks.levels import Level, curves_of


def line(stack, place, label, bright=0.0, size=0):
    cue = {"stack": stack, POSITION: place, BRIGHTNESS: bright, SIZE: size}
    return {"category": "brain", "group": stack, "label": label, "seen": True, "logit": 0.0, "cues": cue}


def rows_of(lines):
    level = Level("sample", "", curves_of(lines), lines, "; each sample is a slice")
    return {columns["model"]: (made, columns) for made, columns in controls(level)}


def test_lesions_in_the_middle_are_told_by_position_whatever_the_length_of_the_stack():
    lines = [line("a", i, 4 <= i <= 6) for i in range(11)] + [line("b", 100 + i, 9 <= i <= 11) for i in range(21)]
    made, columns = rows_of(lines)["control: slice position"]
    assert made.curves["brain"].auroc == pytest.approx(1.0) and made.curves["brain"].auroc_error == 0
    assert (columns["trained_on"], columns["backbone"], columns["experiment"]) == ("nothing", "none", "controls")
    assert made.note == "; each sample is a slice; near the median slice is anomalous, chosen by the labels"
    assert not any(each["seen"] for each in made.lines)


def test_a_control_takes_the_direction_that_the_labels_favour():
    lines = [line("a", i, i < 2, bright=float(i), size=10 * i) for i in range(10)]
    found = rows_of(lines)
    for name, word in ((BRIGHTNESS, "dark"), (SIZE, "small")):
        made, _ = found[f"control: {name}"]
        assert made.curves["brain"].auroc == 1 and f"; {word} is anomalous" in made.note
        logits = np.array([each["logit"] for each in made.lines])
        assert logits[:2].min() > logits[2:].max()


def test_the_median_is_that_of_the_slices_under_test():
    lines = [line("a", i, i == 2) for i in (0, 1, 2, 3, 40)]
    made, _ = rows_of(lines)["control: slice position"]
    assert made.curves["brain"].auroc == 1


def test_one_class_has_no_value_and_what_is_no_slice_has_no_controls():
    made, _ = rows_of([line("a", i, True) for i in range(5)])["control: slice position"]
    assert made.curves["brain"].auroc is None and made.curves["brain"].positives == 5
    plain = [{**line("a", 0, True), "cues": None}]
    assert controls(Level("sample", "", curves_of(plain), plain)) == []
