"""A file of replies: what is in it after appends, half a line, broken lines, and a disk that takes nothing."""

import json
import threading

import pytest

from framework.errors import UnreadableError, UserError
from framework.metrics.text.replies import Replies


def test_a_reply_is_on_disk_at_once_and_read_back(tmp_path):
    path = tmp_path / "new" / "replies.jsonl"
    replies = Replies(path)
    assert replies.get("a") is None and not path.exists()
    replies.put("a", {"score": 7, "reply": "7\n\u2028 ü \ud83d"})
    assert len(path.read_bytes().splitlines()) == 1
    replies.put("b", {"score": None})
    for known in (replies, Replies(path)):
        assert known.get("a") == {"score": 7, "reply": "7\n\u2028 ü \ud83d"}
        assert known.get("b") == {"score": None}
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["a", "b"]


@pytest.mark.parametrize("half", ["{", '{"key": "c", "score": 7}', '{"key": "c", "sc'])
def test_half_a_line_at_the_end_is_cut_off(tmp_path, half):
    path = tmp_path / "replies.jsonl"
    whole = '{"key": "a", "score": 7}\n'
    path.write_text(whole + half)
    replies = Replies(path)
    assert path.read_text() == whole
    assert (replies.get("a"), replies.get("c")) == ({"score": 7}, None)
    replies.put("d", {"score": 1})
    assert path.read_text() == whole + '{"key": "d", "score": 1}\n'


def test_the_last_of_two_replies_of_one_key_counts(tmp_path):
    path = tmp_path / "replies.jsonl"
    path.write_text('{"key": "a", "score": 7}\n{"key": "a", "score": 2}\n')
    assert Replies(path).get("a") == {"score": 2}


@pytest.mark.parametrize("line", ["", "{", "[]", "7", '{"score": 7}', "\xff"])
def test_a_line_that_is_no_reply_is_named(tmp_path, line):
    path = tmp_path / "replies.jsonl"
    path.write_bytes(b'{"key": "a"}\n' + line.encode("latin-1") + b'\n{"key": "b"}\n')
    with pytest.raises(UnreadableError) as caught:
        Replies(path)
    assert str(caught.value) == f"{path}: line 2 is no reply of a judge. Delete the line."


def test_threads_append_whole_lines(tmp_path):
    replies = Replies(tmp_path / "replies.jsonl")
    threads = [
        threading.Thread(target=lambda t=t: [replies.put(f"{t}-{i}", {"reply": "x" * 5000}) for i in range(20)])
        for t in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = Replies(replies.path)
    assert all(again.get(f"{t}-{i}") == {"reply": "x" * 5000} for t in range(8) for i in range(20))


def test_a_place_that_cannot_hold_a_file_is_told(tmp_path):
    with pytest.raises(UserError) as caught:
        Replies(tmp_path)
    assert str(caught.value) == f"{tmp_path}: cannot be read or mended (Is a directory). Choose another file."
    (tmp_path / "file").touch()
    replies = Replies(tmp_path / "file" / "replies.jsonl")
    with pytest.raises(UserError, match=r"file: cannot make this folder \(.*\)\. Choose another\.$"):
        replies.put("a", {})


def test_a_full_disk_is_told_and_what_it_left_is_cut_off_later(tmp_path, monkeypatch):
    path = tmp_path / "replies.jsonl"
    replies = Replies(path)
    replies.put("a", {"score": 7})
    whole = path.read_bytes()
    path.unlink()
    path.symlink_to("/dev/full")
    with pytest.raises(UserError) as caught:
        replies.put("b", {"score": 8})
    assert str(caught.value) == (
        f"{path}: cannot be written (No space left on device). Replies so far are kept: "
        "make room or choose another file, and run again."
    )
    assert replies.get("b") is None
    path.unlink()
    path.write_bytes(whole + b'{"key"')
    assert Replies(path).get("a") == {"score": 7}
