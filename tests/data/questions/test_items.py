"""An item keeps its promise, or fails when it is made."""

from pathlib import Path

import pytest

from framework.data.questions.items import Item


@pytest.mark.parametrize(
    ("images", "questions", "references", "counts"),
    [
        ((), ("Why?",), ("So.",), "0 pictures, 1 questions, 1 references"),
        ((Path("a.png"),), (), (), "1 pictures, 0 questions, 0 references"),
        ((Path("a.png"),), ("Why?", "How?"), ("So.",), "1 pictures, 2 questions, 1 references"),
    ],
)
def test_pictures_and_one_reference_a_question_are_needed(
    images: tuple[Path, ...], questions: tuple[str, ...], references: tuple[str, ...], counts: str
) -> None:
    with pytest.raises(ValueError, match=f"nut: an item has .*; got {counts}"):
        Item("nut", images, questions, references, "nuts", None)
