"""A published list of conversation files: what is taken of each, and the line for every way to write it wrong."""

import json

import pytest

from framework.data.instruct.sources import read
from framework.errors import UnreadableError, UserError


def numbers(path, count):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(range(count))))
    return path


def taken(root, strategy, seed=0, name="a.json", count=10):
    numbers(root / name, count)
    (root / "list.yaml").write_text(f"datasets:\n  - json_path: {name}\n    sampling_strategy: {strategy}\n")
    return [entry for _, entry in read(root / "list.yaml", seed)]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("all", list(range(10))),
        ("first:3", [0, 1, 2]),
        ("end:2", [8, 9]),
        ("first:50", list(range(10))),
        ("end:50", list(range(10))),
        ("random:50", list(range(10))),
        ("first:20%", [0, 1]),
        ("end:11%", [8, 9]),  # rounded up
        ("first:1%", [0]),
        ("random:100%", list(range(10))),
    ],
)
def test_a_strategy_takes_its_part(tmp_path, strategy, expected):
    assert taken(tmp_path, strategy) == expected


def test_random_is_the_same_for_a_seed_and_keeps_the_order(tmp_path):
    first = taken(tmp_path, "random:30%", count=100)
    assert len(first) == len(set(first)) == 30 and first == sorted(first) and first != list(range(30))
    assert taken(tmp_path, "random:30", count=100) == first
    assert taken(tmp_path, "random:30", seed=1, count=100) != first
    assert taken(tmp_path, "random:30", name="b.json", count=100) != first


def test_files_of_a_list_follow_one_another_and_know_their_places(tmp_path):
    elsewhere = numbers(tmp_path / "elsewhere/b.json", 3)
    (tmp_path / "lists/sub").mkdir(parents=True)
    (tmp_path / "lists/sub/c.jsonl").write_text('"x"\n\n"y"\n')
    content = f"datasets:\n- {{json_path: sub/c.jsonl}}\n- {{json_path: {elsewhere}, sampling_strategy: 'end:1'}}\n"
    (tmp_path / "lists/all.yml").write_text(content)
    assert read(tmp_path / "lists/all.yml", 0) == [
        (f"{tmp_path}/lists/sub/c.jsonl, line 1", "x"),
        (f"{tmp_path}/lists/sub/c.jsonl, line 3", "y"),
        (f"{elsewhere}, entry 3", 2),
    ]


def test_one_file_needs_no_list_and_may_start_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "a.JSON"
    path.write_bytes(b"\xef\xbb\xbf[1]")
    assert read(path, 0) == [(f"{path}, entry 1", 1)]


def mistake(path, kind=UserError):
    with pytest.raises(kind) as error:
        read(path, 0)
    assert "\n" not in str(error.value)
    return str(error.value).replace(f"{path}", "IT")


@pytest.mark.parametrize("strategy", ["some", "first", "first:0", "first:-1", "first:2.5%", "random:101%", "end:x", 5])
def test_a_strategy_that_is_not_known_is_one_line(tmp_path, strategy):
    with pytest.raises(UserError) as error:
        taken(tmp_path, strategy)
    assert str(error.value) == (
        f"{tmp_path}/list.yaml, dataset 1: sampling_strategy {strategy!r}: write all, first:N, end:N or random:N, "
        "where N is a count above 0 or a whole percentage such as 10%."
    )


@pytest.mark.parametrize(
    ("name", "content", "kind", "line"),
    [
        ("a.json", "[1,", UnreadableError, "IT: not JSON (Expecting value: line 1 column 4 (char 3))."),
        ("a.jsonl", "1\n\n{", UnreadableError, "IT, line 3: not JSON (Expecting property name enclosed in double"),
        ("a.json", "{}", UserError, "IT: expected a list of conversations, found dict."),
        ("a.json", "[]", UserError, "IT: holds no conversations."),
        ("a.jsonl", "\n", UserError, "IT: holds no conversations."),
        (
            "a.txt",
            "[]",
            UserError,
            "IT: conversations stand in a .json or .jsonl file, or in files that a .yaml lists.",
        ),
        ("a.yaml", "a: [", UnreadableError, "IT: not YAML (while parsing a flow node"),
        ("a.yaml", "data: []", UserError, "IT: expected `datasets:` and below it a `- json_path:` for each file."),
        ("a.yaml", "datasets:", UserError, "IT: expected `datasets:` and below it a `- json_path:` for each file."),
        ("a.yaml", "datasets: [{}]", UserError, "IT, dataset 1: expected a json_path, the path of a .json or .jsonl"),
        ("a.yaml", "datasets: [a.json]", UserError, "IT, dataset 1: expected a json_path, the path of a .json or"),
    ],
)
def test_a_file_that_is_written_wrong_is_one_line(tmp_path, name, content, kind, line):
    (tmp_path / name).write_text(content)
    assert mistake(tmp_path / name, kind).startswith(line)


def test_files_that_are_not_there_or_no_text(tmp_path):
    assert mistake(tmp_path / "a.json") == "IT: cannot be read (No such file or directory)."
    (tmp_path / "b.json").write_bytes(b'["\xff"]')
    assert mistake(tmp_path / "b.json", UnreadableError) == "IT: not UTF-8 text."


def test_missing_files_of_a_list_are_counted_before_any_is_read(tmp_path):
    (tmp_path / "bad.json").write_text("no JSON")
    path = tmp_path / "a.yaml"
    path.write_text("datasets: [{json_path: bad.json}, {json_path: b.json}, {json_path: /gone/c.json}]")
    assert mistake(path) == (
        f"IT: no file {tmp_path}/b.json; 2 of 3 files it names are missing. "
        "A json_path is absolute or relative to the list."
    )


def test_a_mistyped_key_is_told_the_nearest(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("datasets: [{json_path: b.json, sampling_strategi: all}]")
    assert mistake(path).startswith(
        "IT, dataset 1: no key called 'sampling_strategi'. Did you mean 'sampling_strategy'? Known: "
    )
