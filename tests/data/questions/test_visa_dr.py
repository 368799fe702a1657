"""The two files of VisA-D&R -> items; what is wrong in them -> one line."""

import json
from pathlib import Path
from typing import Any

import pytest

from framework.data.questions.items import Item
from framework.data.questions.visa_dr import PROMPT, detection, difference, reasoning
from framework.errors import UserError

GOOD, BAD = "VisA/candle/test/good/0.JPG", "VisA/capsules/test/bad/1.JPG"
ASKED = {"image": BAD, "questions": ["What is wrong?", "Why did it happen?"]}


def write(root: Path, name: str, content: Any, *pictures: str) -> Path:
    for picture in pictures:
        (root / picture).parent.mkdir(parents=True, exist_ok=True)
        (root / picture).touch()
    (root / name).write_text(json.dumps(content))
    return root / name


def test_detection_asks_the_published_question_of_each_picture(tmp_path: Path) -> None:
    path = write(tmp_path, "t.json", [{"image": GOOD, "anomaly": False}, {"image": BAD, "anomaly": True}], GOOD, BAD)
    good, bad = detection(path, tmp_path)
    assert good == Item(GOOD, (tmp_path / GOOD,), (PROMPT,), ("No",), "candle", False, "detection", "visa_dr")
    assert bad == Item(BAD, (tmp_path / BAD,), (PROMPT,), ("Yes",), "capsules", True, "detection", "visa_dr")
    assert PROMPT == "Are there any defects for the object in the image? Please reply with 'Yes' or 'No'."


def test_a_picture_named_twice_is_asked_twice_under_two_ids(tmp_path: Path) -> None:
    path = write(tmp_path, "t.json", [{"image": GOOD, "anomaly": False}] * 2, GOOD)
    assert [item.id for item in detection(path, tmp_path)] == [GOOD, f"{GOOD}#2"]


def test_counts_other_than_the_published_ones_are_told(tmp_path: Path) -> None:
    def items(normal: int, anomalous: int, classes: int) -> list[Item]:
        labels = [False] * normal + [True] * anomalous
        return [Item(str(i), (tmp_path,), ("?",), ("",), str(i % classes), label) for i, label in enumerate(labels)]

    assert difference(items(761, 1000, 10)) == ""
    for counts in ((760, 1000, 10), (761, 1001, 10), (761, 1000, 9)):
        told = f"{counts[0]} normal and {counts[1]} anomalous pictures of {counts[2]} classes; the published set has "
        assert difference(items(*counts)) == told + "761, 1000 and 10, so numbers do not compare with the paper's."


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"image": BAD}, r"t\.json, entry 2: needs 'anomaly', true or false; has only 'image'"),
        ({"image": BAD, "anomaly": "yes"}, r't\.json, entry 2: needs \'anomaly\', true or false; found "yes"'),
        (
            {"image": "candle/0.JPG", "anomaly": True},
            r't\.json, entry 2: expected a picture path "VisA/<class>/\.\.\."',
        ),
        ({"image": [BAD], "anomaly": True}, r"t\.json, entry 2: needs 'image', a text; found a list"),
    ],
)
def test_a_wrong_entry_of_detection_is_named(tmp_path: Path, entry: dict[str, Any], message: str) -> None:
    path = write(tmp_path, "t.json", [{"image": GOOD, "anomaly": False}, entry], GOOD, BAD)
    with pytest.raises(UserError, match=message):
        detection(path, tmp_path)


def test_missing_pictures_of_both_files_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path, "t.json", [{"image": GOOD, "anomaly": False}, {"image": BAD, "anomaly": True}], GOOD)
    with pytest.raises(UserError, match=rf"t\.json: 1 of its 2 pictures are missing under .*, the first is .*{BAD}"):
        detection(path, tmp_path)
    with pytest.raises(UserError, match=r"d\.json: 1 of its 1 pictures are missing"):
        reasoning(write(tmp_path, "d.json", [ASKED]), tmp_path)


def test_reasoning_without_answers_can_still_be_asked(tmp_path: Path) -> None:
    path = write(tmp_path, "d.json", [ASKED | {"responses": ["A model's.", "Its own."]}], BAD)
    questions = tuple(ASKED["questions"])
    (item,) = reasoning(path, tmp_path)
    assert item == Item(BAD, (tmp_path / BAD,), questions, ("", ""), "capsules", True, "reasoning", "visa_dr")


def test_reasoning_takes_answers_from_its_entries(tmp_path: Path) -> None:
    path = write(tmp_path, "d.json", [ASKED | {"answers": ["A dent.", "It fell."]}], BAD)
    assert reasoning(path, tmp_path)[0].references == ("A dent.", "It fell.")


@pytest.mark.parametrize(
    "content",
    [
        {BAD: ["A hole.", "A drill."]},
        [{"image": BAD, "answers": ["A hole.", "A drill."]}],
        [{"image": BAD, "responses": ["A hole.", "A drill."]}],
    ],
)
def test_reasoning_takes_answers_from_a_second_file(tmp_path: Path, content: Any) -> None:
    other = ASKED | {"image": "VisA/candle/test/bad/9.JPG", "answers": ["A dent.", "It fell."]}
    path = write(tmp_path, "d.json", [ASKED | {"answers": ["Old.", "Old."]}, other], BAD, str(other["image"]))
    found = reasoning(path, tmp_path, references=write(tmp_path, "r.json", content))
    assert [item.references for item in found] == [("A hole.", "A drill."), ("A dent.", "It fell.")]


def test_reasoning_leaves_out_two_classes_as_published(tmp_path: Path) -> None:
    names = [f"VisA/{name}/test/bad/0.JPG" for name in ("pcb1", "pcb2", "pcb3", "pcb4")]
    path = write(tmp_path, "d.json", [ASKED | {"image": name} for name in names], *names)
    assert [item.category for item in reasoning(path, tmp_path)] == ["pcb1", "pcb3"]
    assert len(reasoning(path, tmp_path, skip=())) == 4


@pytest.mark.parametrize(
    ("entry", "references", "message"),
    [
        ({"image": BAD}, None, r"d\.json, entry 1: needs 'questions', a list; has only 'image'"),
        ({"image": BAD, "questions": "Why?"}, None, r'd\.json, entry 1: needs \'questions\', a list; found "Why\?"'),
        ({"image": BAD, "questions": [None]}, None, r"d\.json, entry 1: 'questions' must list texts, found null among"),
        ({"image": "1.JPG", "questions": ["Why?"]}, None, r"d\.json, entry 1: expected a picture path"),
        ({"image": [BAD], "questions": ["Why?"]}, {BAD: ["So."]}, r"d\.json, entry 1: needs 'image', a text"),
        (ASKED | {"answers": ["One."]}, None, rf"d\.json, entry 1: 1 answers for the 2 questions about {BAD}"),
        (ASKED, {BAD: ["One."]}, rf"r\.json, '{BAD}': 1 answers for the 2 questions about {BAD}"),
        (ASKED, [{"image": BAD, "answers": ["One."]}], r"r\.json, entry 1: 1 answers for the 2 questions"),
        (ASKED, [{"image": BAD}], r"r\.json, entry 1: needs 'responses', a list; has only 'image'"),
        (ASKED, {GOOD: ["So.", "So."]}, r"r\.json: has answers for none of the pictures in .*d\.json\. Name the file"),
        (ASKED, "So.", r'r\.json: expected a list of entries, found "So\."'),
    ],
)
def test_a_wrong_entry_of_reasoning_is_named(tmp_path: Path, entry: Any, references: Any, message: str) -> None:
    path = write(tmp_path, "d.json", [entry], BAD)
    given = None if references is None else write(tmp_path, "r.json", references)
    with pytest.raises(UserError, match=message):
        reasoning(path, tmp_path, given)
