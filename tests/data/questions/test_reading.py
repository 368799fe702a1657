"""Broken files of questions -> the line a user sees."""

from pathlib import Path
from typing import Any

import pytest

from framework.data.questions.items import Item
from framework.data.questions.reading import check_pictures, numbered, read_json, read_list, texts, value
from framework.errors import UnreadableError, UserError


def test_a_missing_file_or_one_that_is_not_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    with pytest.raises(UserError, match=r"q\.json: cannot be read \(No such file or directory\)\. Name the file of"):
        read_json(path)
    for content in (b'[{"image": ', b"", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(UnreadableError, match=r"q\.json: not JSON \(.+\)\. Fetch the file again"):
            read_json(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", r"q\.json: expected a list of entries, found a list of nothing\."),
        ('{"a": 1}', r"q\.json: expected a list of entries, found an object\."),
        ("null", r"q\.json: expected a list of entries, found null\."),
        ('[{}, "text"]', r'q\.json, entry 2: expected an object, found "text"\.'),
    ],
)
def test_what_is_no_list_of_objects_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "q.json").write_text(content)
    with pytest.raises(UserError, match=message):
        read_list(tmp_path / "q.json")


@pytest.mark.parametrize(
    ("entry", "kind", "message"),
    [
        ({"b": 1}, str, r"here: needs 'a', a text; has only 'b'\."),
        ({}, str, r"here: needs 'a', a text; has only nothing\."),
        ({"a": ""}, str, r'here: needs \'a\', a text; found ""\.'),
        ({"a": "x" * 99}, list, r'here: needs \'a\', a list; found "x{56}\.\.\.\.'),
        ({"a": []}, list, r"here: needs 'a', a list; found a list of nothing\."),
        ({"a": 1}, bool, r"here: needs 'a', true or false; found 1\."),
        ({"a": [1]}, dict, r"here: needs 'a', an object; found a list\."),
    ],
)
def test_a_value_that_is_missing_or_of_another_type_is_named(entry: dict[str, Any], kind: type, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}$"):
        value(entry, "a", kind, "here")


def test_false_is_a_value() -> None:
    assert value({"a": False}, "a", bool, "here") is False


def test_a_list_of_texts_holds_nothing_else() -> None:
    assert texts({"a": ["x", "y"]}, "a", "here") == ("x", "y")
    with pytest.raises(UserError, match=r"here: 'a' must list texts, found 7 among them"):
        texts({"a": ["x", 7]}, "a", "here")


def test_names_that_come_again_are_told_apart() -> None:
    assert numbered(["a", "b", "a", "a"]) == ["a", "b", "a#2", "a#3"]


def test_missing_pictures_are_counted_once_each_and_the_first_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    items = [
        Item(str(i), (tmp_path / name,), ("?",), ("",), "c", None)
        for i, name in enumerate(["a.png", "b.png", "c.png", "b.png"])
    ]
    check_pictures(items[:1], Path("q.json"), tmp_path)
    message = rf"q\.json: 2 of its 3 pictures are missing under {tmp_path}, the first is {tmp_path}/b\.png\. Set images"
    with pytest.raises(UserError, match=message):
        check_pictures(items, Path("q.json"), tmp_path)
