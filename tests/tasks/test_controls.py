"""Rows that look at no picture stand beside those of a method."""

import numpy as np
import pytest

from framework.tasks.controls import controls
from framework.tasks.cues import BRIGHTNESS, POSITION, SIZE
from framework.tasks.levels import Level, curves_of, grouped


def line(stack, place, label, bright=0.0, size=0):
    cue = {"stack": stack, POSITION: place, BRIGHTNESS: bright, SIZE: size}
    return {
        "category": "brain",
        "group": stack,
        "id": f"{stack}_{place}",
        "label": label,
        "seen": True,
        "related": True,
        "logit": 0.0,
        "cues": cue,
    }


def rows_of(lines):
    level = Level("sample", "", curves_of(lines), lines, "; each sample is a slice")
    return {columns["model"]: (made, columns) for made, columns in controls(level)}


def test_lesions_in_the_middle_are_told_by_position_whatever_the_length_of_the_stack():
    lines = [line("a", i, 4 <= i <= 6) for i in range(11)] + [line("b", 100 + i, 9 <= i <= 11) for i in range(21)]
    made, columns = rows_of(lines)["control: slice position"]
    assert made.curves["brain"].auroc == pytest.approx(1.0) and made.curves["brain"].auroc_error == 0
    assert (columns["trained_on"], columns["backbone"], columns["experiment"]) == ("nothing", "none", "controls")
    assert made.note == "; each sample is a slice; near the median slice is anomalous, chosen by the labels"
    assert not any(each["seen"] or each["related"] for each in made.lines)


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


def test_one_class_has_no_value():
    made, _ = rows_of([line("a", i, True) for i in range(5)])["control: slice position"]
    assert made.curves["brain"].auroc is None and made.curves["brain"].positives == 5


def test_groups_without_members_and_elements_without_cues_have_no_controls():
    lines = [line("a", i, i == 2) for i in range(5)]
    assert all(controls(Level(name, "voxel", curves_of(lines), lines)) == [] for name in ("element", "group", "grid"))


@pytest.mark.parametrize("rule", ["max", "mean"])
def test_a_control_of_a_patient_is_pooled_from_its_slices_as_its_score_is(rule):
    bright = {"a": (9, 0, 0), "b": (5, 5, 5), "c": (1, 1, 1), "d": (6, 2, 1)}
    ill = {"max": "ad", "mean": "bd"}[rule]
    lines = [line(s, i, s in ill and i == 0, b, 7) for s, own in bright.items() for i, b in enumerate(own)]
    groups = grouped(lines, rule)
    level = Level("group", "patient", curves_of(groups), groups, f"; {rule}", members=lines, rule=rule)
    found = {columns["model"]: (made, columns) for made, columns in controls(level)}
    assert set(found) == {f"control: {name}" for name in ("random", POSITION, BRIGHTNESS, SIZE)}
    made, columns = found["control: mean intensity"]
    pooled = {"max": [9, 5, 1, 6], "mean": [3, 5, 1, 3]}[rule]
    assert [each["logit"] for each in made.lines] == pooled
    assert (made.name, made.element, made.whole, columns["trained_on"]) == ("group", "patient", True, "nothing")
    assert made.curves["brain"].auroc == {"max": 1, "mean": 0.875}[rule]
    assert made.note == f"; {rule}; bright is anomalous, chosen by the labels"
    random = {each["group"]: each["logit"] for each in found["control: random"][0].lines}
    assert len(set(random.values())) == 4 and all(0 < s < 1 for s in random.values())
    assert found["control: file size"][0].curves["brain"].auroc == 0.5


def test_which_end_of_a_control_is_anomalous_is_chosen_by_patients_not_by_slices():
    """Most slices of the ill patient are brighter, but both its brightest and its darkest slice are darker."""
    lines = [line("a", i, True, b) for i, b in enumerate((0, 4, 4, 4))]
    lines += [line("b", i, False, b) for i, b in enumerate((1, 1, 1, 5))]
    groups = grouped(lines, "max")
    level = Level("group", "patient", curves_of(groups), groups, members=lines, rule="max")
    made = next(made for made, columns in controls(level) if columns["model"] == "control: mean intensity")
    slices, _ = rows_of(lines)["control: mean intensity"]
    assert slices.curves["brain"].auroc == 9 / 16 and "; bright is anomalous" in slices.note
    assert made.curves["brain"].auroc == 1 and made.note == "; dark is anomalous, chosen by the labels"


def test_a_category_whose_slices_have_no_place_has_the_other_controls():
    lines = [line("a", i, i == 2, bright=float(i)) for i in range(5)]
    others = [{**line("b", i, i == 1, bright=float(-i)), "category": "chest"} for i in range(4)]
    for other in others:
        del other["cues"][POSITION]
    level = Level("sample", "", curves_of(lines + others), lines + others)
    found = {columns["model"]: made for made, columns in controls(level)}
    assert list(found["control: slice position"].curves) == ["brain"] and not found["control: slice position"].whole
    assert (
        list(found["control: mean intensity"].curves) == ["brain", "chest"] and found["control: mean intensity"].whole
    )


def test_each_category_has_the_direction_of_its_own_labels():
    lines = [line("a", i, i > 2, bright=float(i)) for i in range(5)]
    lines += [{**line("b", i, i > 2, bright=float(-i)), "category": "liver"} for i in range(5)]
    made, _ = rows_of(lines)[f"control: {BRIGHTNESS}"]
    assert {name: c.auroc for name, c in made.curves.items()} == {"brain": 1, "liver": 1}
    assert made.note.endswith("; bright (brain) or dark (liver) is anomalous, chosen by the labels of each category")


def test_a_control_that_tells_nothing_keeps_the_first_of_its_directions():
    lines = [line("a", i, i > 1, bright=float(i % 2)) for i in range(4)]
    made, _ = rows_of(lines)[f"control: {BRIGHTNESS}"]
    assert made.curves["brain"].auroc == 0.5 and made.note.endswith("; bright is anomalous, chosen by the labels")


def test_random_scores_follow_from_names_and_are_no_better_than_chance():
    lines = [line("a", i, i % 3 == 0) for i in range(600)]
    made, _ = rows_of(lines)["control: random"]
    again, _ = rows_of(lines[::-1])["control: random"]
    assert [each["logit"] for each in made.lines] == [each["logit"] for each in again.lines[::-1]]
    assert len({each["logit"] for each in made.lines}) == 600 and made.note == "; each sample is a slice"
    assert 0.43 < made.curves["brain"].auroc < 0.57  # of all names the same, so this is a fact and no chance


def test_views_of_one_sample_have_random_scores_of_their_own():
    lines = [line("a", 1, i == 2) for i in range(4)]
    made = controls(Level("view", "slice", curves_of(lines), lines))[0][0]
    assert len({each["logit"] for each in made.lines}) == 4
