"""Numbers of samples, of their views and of their groups do not mix."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from sklearn.metrics import roc_auc_score

from framework.tasks.cues import POSITION
from framework.tasks.levels import Reduced, curves_of, grouped, levels
from framework.types import Record


def line(group, label, logit, category="brain", views=(), cues=None):
    found = {"category": category, "group": group, "alone": not group, "label": label, "logit": logit, "seen": False}
    found |= {"related": False}
    return found | {"hist": None, "found": None, "grid": None, "views": list(views), "cues": cues}


def index(records, view="slice", unit="patient"):
    return SimpleNamespace(records=records, reader=SimpleNamespace(view=view, element="voxel"), unit=unit)


def record(frame=None):
    return Record(Path("a.nii.gz"), True, "brain", group="1", frame=frame)


def names(found):
    return [(each.name, each.element) for each in found]


def test_a_group_is_anomalous_where_a_sample_is_and_pools_their_logits():
    lines = [line("1", False, 1.0), line("1", True, 3.0), line("2", False, 0.0), line("1", False, 7.0, "liver")]
    lines[1]["seen"] = lines[0]["related"] = True
    first, second, other = grouped(lines, "top3")
    assert (first["label"], first["logit"], first["seen"]) == (True, 2.0, True)
    assert (second["label"], second["logit"], second["seen"]) == (False, 0.0, False)
    assert (first["related"], second["related"]) == (True, False)
    assert (other["category"], other["logit"]) == ("liver", 7.0)


def test_slices_as_samples_have_rows_of_their_own_and_of_patients():
    lines = [line(*told, cues={POSITION: 1.0}) for told in (("1", True, 2.0), ("1", False, 0.0), ("2", False, 1.0))]
    found = levels(index([record(1), record(2), record(3)]), Reduced(curves_of(lines), {}, {}, {}), lines, "max")
    assert names(found) == [("sample", ""), ("group", "patient")]
    assert found[0].note == "; each sample is a slice" and found[1].note == "; max of the samples of a patient"
    assert found[1].curves["brain"].auroc == 1.0


def test_slices_of_volumes_have_a_level_beside_the_volumes():
    views = [{"logit": float(i), "label": i > 1, "cues": None} for i in range(4)]
    lines = [line("1", True, 3.0, views=views), line("2", False, 2.0, views=views[:2])]
    found = levels(index([record(), record()]), Reduced(curves_of(lines), {}, {}, {}), lines, "top3")
    assert names(found) == [("sample", ""), ("view", "slice")]  # each patient is one sample: no level of groups
    assert found[0].note == "" and len(found[1].lines) == 6
    assert found[1].lines[0]["group"] == "1" and found[1].curves["brain"].auroc == 1.0


@pytest.mark.parametrize(("view", "unit"), [("", "object"), ("slice", "sample")])
def test_groups_have_no_level_where_views_are_no_units_or_nobody_knows_the_group(view, unit):
    lines = [line("1" if unit == "object" else "", *told) for told in ((True, 2.0), (False, 0.0))]
    found = levels(index([record(), record()], view, unit), Reduced(curves_of(lines), {}, {}, {}), lines, "max")
    assert names(found) == [("sample", "")]


def test_categories_whose_patients_nobody_knows_have_no_level_of_groups():
    lines = [line("1", True, 2.0), line("1", False, 0.0), line("2", False, 1.0)]
    lines += [line("", label, 0.5, "chest") | {"group": f"chest{label}.png"} for label in (True, False)]
    found = levels(index([record()]), Reduced(curves_of(lines), {}, {}, {}), lines, "max")
    assert names(found) == [("sample", ""), ("group", "patient")]
    assert list(found[1].curves) == ["brain"] and not found[1].whole


def test_curves_of_lines_are_those_of_their_logits():
    lines = [line("1", i % 3 == 0, (i * 7 % 11) / 3) for i in range(40)]
    wanted = roc_auc_score([each["label"] for each in lines], [each["logit"] for each in lines])
    assert curves_of(lines)["brain"].auroc == pytest.approx(wanted, abs=1e-6)


def test_scores_that_lie_close_together_are_no_ties():
    lines = [line("1", i % 2 == 0, 0.65 + 1e-6 * i) for i in range(40)]
    wanted = roc_auc_score([each["label"] for each in lines], [each["logit"] for each in lines])
    found = curves_of(lines)["brain"]
    assert found.auroc == pytest.approx(wanted, abs=1e-12) and found.auroc_error == 0
