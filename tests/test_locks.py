"""A folder that is held: nobody else gets in, whoever ended frees it, and nothing is left."""

import fcntl
import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from framework import locks
from framework.errors import UserError
from framework.locks import held

HOLDS = """
import os, sys
from pathlib import Path
from framework.locks import held
with held(Path(sys.argv[1]), "x"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_one_is_told_who_runs_and_what_to_do(tmp_path: Path) -> None:
    with held(tmp_path / "work", "brain"):
        with pytest.raises(UserError) as told, held(tmp_path / "work", "brain"):
            pass
        said = rf"brain: this experiment runs already, in process {os.getpid()} on {platform.node()} since 20"
        assert str(told.value).startswith(said)
        assert str(told.value).endswith("Wait for it, or give this one another out or name.")
        with held(tmp_path / "other", "brain"), held(tmp_path / "work", "brain", mine=False):
            pass  # another folder; another process of the same job
        assert (tmp_path / "work").is_dir()
    assert [p.name for p in tmp_path.glob("*.lock")] == []
    with held(tmp_path / "work", "brain"):
        pass


def test_a_kill_frees_it(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path / "work")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    with pytest.raises(UserError, match=f"in process {process.pid} "), held(tmp_path / "work", "x"):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / "work.lock").exists()
    with held(tmp_path / "work", "x"):
        assert json.loads((tmp_path / "work.lock").read_text())["process"] == os.getpid()


def test_workers_of_one_that_was_killed_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = (tmp_path / "work.lock").open("w")  # as a worker that is still ending holds it
    json.dump({"process": 2**22 + 1, "on": platform.node(), "since": "2026"}, left)  # above the largest number
    left.flush()
    fcntl.flock(left, fcntl.LOCK_EX)
    monkeypatch.setattr(locks.time, "sleep", lambda _: left.close())
    with held(tmp_path / "work", "x"):
        pass
    left = (tmp_path / "work.lock").open("w")
    fcntl.flock(left, fcntl.LOCK_EX)
    monkeypatch.setattr(locks, "PATIENCE", 0.0)
    with pytest.raises(UserError, match="process of an unknown number since just now"), held(tmp_path / "work", "x"):
        pass


def test_one_that_ended_while_this_one_looked_leaves_the_folder_to_it(tmp_path: Path, monkeypatch) -> None:
    flock, calls = fcntl.flock, []

    def removed(lock, how):  # the holder ends between open and lock
        calls.append(how)
        if len(calls) == 1:
            (tmp_path / "work.lock").unlink()
            (tmp_path / "work").rmdir()
        flock(lock, how)

    monkeypatch.setattr(locks.fcntl, "flock", removed)
    with held(tmp_path / "work", "x"):
        assert (tmp_path / "work.lock").exists() and (tmp_path / "work").is_dir()


def test_where_a_file_system_has_no_locks_the_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(lock, how):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks.fcntl, "flock", none)
    with held(tmp_path / "work", "x"):
        pass
