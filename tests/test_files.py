"""Writing a file: all of it under its name, or what was there before and one line that says why."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from framework.errors import UserError
from framework.files import check_writable, new_folder, write_whole


def test_parts_lie_end_to_end_in_a_folder_that_is_made(tmp_path):
    path = tmp_path / "new" / "folder" / "a.bin"
    assert write_whole(path, b"head", np.arange(3, dtype=np.uint8).data, b"") == path
    assert path.read_bytes() == b"head\x00\x01\x02"
    assert write_whole(path).read_bytes() == b""  # replaces what was there
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("where", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), r"a\.bin: the disk is full"),
        (OSError(errno.EIO, "Input/output error"), r"a\.bin: cannot be written \(Input/output error\)"),
        (KeyboardInterrupt(), None),
    ],
)
def test_a_write_that_is_stopped_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, where, fault, message):
    path = write_whole(tmp_path / "a.bin", b"old")

    def stop(*_):
        raise fault

    monkeypatch.setattr(os, where, stop)
    with pytest.raises(UserError if message else KeyboardInterrupt, match=message) as caught:
        write_whole(path, b"new")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_folder_or_a_name_that_cannot_be_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file: cannot make this folder"):
        write_whole(tmp_path / "file" / "a.bin", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=r"folder: cannot be written \(Is a directory\)"):
        write_whole(tmp_path / "folder", b"x")
    with pytest.raises(UserError, match=r"cannot be written \(File name too long\)"):
        write_whole(tmp_path / ("a" * 300), b"x")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_a_new_folder_is_there_whole_and_readable_as_any(tmp_path):
    (tmp_path / ".partial-out").mkdir()
    (tmp_path / ".partial-out" / "stale").touch()
    with new_folder(tmp_path / "out") as folder:
        (folder / "secret").touch(mode=0o600)
        assert not (tmp_path / "out").exists()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["secret"]
    assert (tmp_path / "out/secret").stat().st_mode & 0o777 == (tmp_path / "out").stat().st_mode & 0o666
    with pytest.raises(UserError, match="out: is there already"), new_folder(tmp_path / "out"):
        pass


def test_a_new_folder_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), new_folder(tmp_path / "out") as folder:
        (folder / "half").touch()
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_told_before_it_is_needed(tmp_path):
    check_writable(tmp_path / "a/b")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/runs: cannot be written \(.*file is no folder"):
        check_writable(tmp_path / "file/runs")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
