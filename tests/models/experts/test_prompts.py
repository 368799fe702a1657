"""WinCLIP's sentences, by number, by example and by what their parts are."""

import pytest

from framework.models.experts.prompts import ANOMALOUS, NORMAL, TEMPLATES, ensemble, words


def test_there_are_as_many_states_and_templates_as_in_the_supplement_and_none_twice():
    assert (len(NORMAL), len(ANOMALOUS), len(TEMPLATES)) == (7, 4, 22)
    assert all(len(set(part)) == len(part) for part in (NORMAL, ANOMALOUS, TEMPLATES))


def test_every_template_is_there_with_a_and_with_the():
    definite = {template for template in TEMPLATES if " the " in template}
    assert {template.replace(" the ", " a ") for template in definite} == set(TEMPLATES) - definite


def test_every_state_stands_in_every_template():
    normal, anomalous = ensemble("metal nut")
    assert (len(normal), len(anomalous)) == (154, 88)
    assert normal[0] == "a cropped photo of the metal nut."
    assert normal[-1] == "a photo of a metal nut without damage for anomaly detection."
    assert anomalous[8] == "a jpeg corrupted photo of a damaged metal nut."


@pytest.mark.parametrize(
    ("category", "called"),
    [
        ("metal_nut", "metal nut"),
        ("line_2/metal_nut", "metal nut"),
        ("01", "object"),
        ("", "object"),
        ("pcb1", "printed board"),
        ("Woven_001", "Woven 001"),
        ("CandyCane", "Candy Cane"),
        ("brain", "brain"),
    ],
)
def test_what_a_category_is_called(category, called):
    assert words(category, {"pcb1": "printed board"}) == called
