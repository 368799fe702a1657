"""``mmad.json`` in its published layout -> items in the published wording; what is wrong in it -> one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from framework.data.questions.items import Item
from framework.data.questions.mmad import questions
from framework.errors import UserError

BROKEN, GOOD = "DS-MVTec/bottle/image/broken_large/000.png", "GoodsAD/drink_can/test/good/001.jpg"
TEMPLATE = "MVTec-AD/bottle/train/good/001.png"
DETECT = {
    "Question": "Is there any defect?",
    "Answer": "A",
    "Options": {"A": "Yes.", "B": "No."},
    "type": "Anomaly Detection",
}
CLASSIFY = {
    "Question": "Which one?",
    "Answer": "C",
    "Options": {"A": "Scratch.", "C": "Break."},
    "type": "Defect Classification",
}
SET = {
    BROKEN: {
        "conversation": [DETECT, CLASSIFY],
        "random_templates": [TEMPLATE, "other.png"],
        "mask_path": "no/such.png",
    },
    GOOD: {"conversation": [DETECT | {"Answer": "B"}], "random_templates": [TEMPLATE]},
}
HINT = (  # written down from the published scripts, not from our constants
    "\nYou are an industrial inspector who checks products by images. You should judge whether there is a defect in "
    "the query image and answer the questions about it.\n"
    "Answer with the option's letter from the given choices directly.\n\n"
)


def write(root: Path, content: Any, *pictures: str) -> Path:
    for picture in pictures:
        (root / picture).parent.mkdir(parents=True, exist_ok=True)
        (root / picture).touch()
    (root / "mmad.json").write_text(json.dumps(content))
    return root / "mmad.json"


def spoilt(**changes: Any) -> dict[str, Any]:
    return {BROKEN: {"conversation": [CLASSIFY, DETECT | changes]}}


def test_a_question_without_template_is_worded_as_published(tmp_path: Path) -> None:
    first, second, third = questions(write(tmp_path, SET, BROKEN, GOOD), tmp_path)
    asked = HINT + "Test image: \n<image>\nFollowing is new question list: \nIs there any defect? \nA. Yes.\nB. No.\n"
    options = (("A", "Yes."), ("B", "No."))
    assert first == Item(
        f"{BROKEN}#1", (tmp_path / BROKEN,), (asked,), ("A",), "bottle", True, "Anomaly Detection", "DS-MVTec", options
    )
    assert second.id == f"{BROKEN}#2" and second.label is None
    assert (third.references, third.label, third.category, third.dataset) == (("B",), False, "drink_can", "GoodsAD")


def test_letters_go_by_place_as_published(tmp_path: Path) -> None:
    item = questions(write(tmp_path, SET, BROKEN, GOOD), tmp_path)[1]
    assert item.options == (("A", "Scratch."), ("B", "Break.")) and item.references == ("B",)
    assert item.questions[0].endswith("Which one? \nA. Scratch.\nB. Break.\n")


def test_a_template_comes_first_and_is_announced_as_published(tmp_path: Path) -> None:
    item = questions(write(tmp_path, SET, BROKEN, GOOD, TEMPLATE), tmp_path, templates=1)[0]
    assert item.images == (tmp_path / TEMPLATE, tmp_path / BROKEN)
    told = "Following is 1 image of normal sample:<image>\nTest image: \n<image>\nFollowing is new question list: \n"
    assert item.questions[0].startswith(HINT + told + "Is there")


def test_knowledge_of_the_category_is_told_before_the_template(tmp_path: Path) -> None:
    knowledge = tmp_path / "k.json"
    knowledge.write_text(json.dumps({"MVTec": {"bottle": {"good": "It shines.", "cut": "It leaks."}}}))
    path = write(tmp_path, {BROKEN: SET[BROKEN]}, BROKEN, TEMPLATE)
    told = (
        "Following is the domain knowledge which contains some type of defect and the normal object characteristics: "
        "\n It shines.\nIt leaks."
    )
    assert questions(path, tmp_path, knowledge=knowledge)[0].questions[0].startswith(f"{HINT}{told}Test image: ")
    shown = questions(path, tmp_path, 1, knowledge)[0].questions[0]
    assert shown.startswith(f"{HINT}{told}Following is 1 image of normal sample:<image>\nTest")
    with pytest.raises(UserError, match=r"k\.json, GoodsAD/drink_can: nothing is told of this category"):
        questions(write(tmp_path, SET, GOOD), tmp_path, knowledge=knowledge)
    for wrong in ({"MVTec": {"bottle": {"good": 1}}}, [], {"MVTec": {"bottle": 5}}, {"MVTec": {"bottle": "text"}}):
        knowledge.write_text(json.dumps(wrong))
        with pytest.raises(UserError, match=r"k\.json, MVTec/bottle: n"):
            questions(path, tmp_path, knowledge=knowledge)


def test_types_count_to_the_seven_published_subtasks(tmp_path: Path) -> None:
    kinds = {
        "Defect Localization": "Defect Localization",
        "Defect Description": "Defect Description",
        "Defect Analysis": "Defect Analysis",
        "Object Classification": "Object Classification",
        "Object Structure": "Object Analysis",
        "Object Details": "Object Analysis",
        "Object Analysis": "Object Analysis",
    }
    path = write(tmp_path, {BROKEN: {"conversation": [DETECT | {"type": kind} for kind in kinds]}}, BROKEN)
    found = questions(path, tmp_path)
    assert [item.subtask for item in found] == list(kinds.values())
    assert {item.label for item in found} == {None}


def test_a_picture_without_questions_gives_no_item(tmp_path: Path) -> None:
    assert questions(write(tmp_path, {BROKEN: {"conversation": []}}), tmp_path) == []


def test_missing_pictures_and_templates_are_counted(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"mmad\.json: 2 of its 3 pictures are missing under .*first is .*{TEMPLATE}"):
        questions(write(tmp_path, SET, BROKEN), tmp_path, templates=1)


PLACE = rf"mmad\.json, '{BROKEN}'"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r'mmad\.json: expected an object \{"<dataset>/<category>/\.\.\.": \.\.\.\}\. Name mmad\.json'),
        ({"bottle/0.png": SET[BROKEN]}, r"'bottle/0\.png': expected a picture path \"<dataset>/<category>/\.\.\.\"\."),
        ({BROKEN: []}, rf"{PLACE}: needs 'conversation', a list of questions"),
        ({BROKEN: {"conversation": ["Why?"]}}, rf"{PLACE}, question 1: expected an object"),
        (
            spoilt(type="Defect Location"),
            rf"{PLACE}, question 2: no type of question called .*Did you mean 'Defect Local",
        ),
        (spoilt(Answer="D"), rf"{PLACE}, question 2: its answer 'D' is none of its options A, B"),
        (spoilt(Options=["Yes.", "No."]), rf"{PLACE}, question 2: needs 'Options', an object; found a list"),
        (spoilt(Options=dict.fromkeys("ABCDEF", "x")), rf"{PLACE}, question 2: 6 options; its scorer knows"),
        (spoilt(Options={"A": 1}), rf"{PLACE}, question 2, options: needs 'A', a text; found 1"),
        (spoilt(Question=""), rf"{PLACE}, question 2: needs 'Question', a text; found \"\""),
    ],
)
def test_a_wrong_entry_is_named(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        questions(write(tmp_path, content, BROKEN), tmp_path)


def test_what_a_run_with_a_template_needs_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, spoilt(), BROKEN)
    with pytest.raises(UserError, match=rf"{PLACE}: needs 'random_templates', a list; has only 'conversation'"):
        questions(path, tmp_path, templates=1)
    with pytest.raises(UserError, match=r"templates: the published runs show 0 or 1, not 2"):
        questions(path, tmp_path, templates=2)
