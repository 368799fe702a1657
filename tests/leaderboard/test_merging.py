"""Folders of runs in; that each run arrives in one folder whole and unchanged, or that one line says why not."""

from __future__ import annotations

import shutil

import pytest
from fake_rows import item, row, sample

from framework.errors import UnreadableError, UserError
from framework.leaderboard import merging
from framework.leaderboard.merging import merge
from framework.leaderboard.store import PARTIAL, load, load_samples, write_run


def make(folder, name, **fields):
    attached = {"expert.ckpt": lambda path: path.write_bytes(b"weights")}
    return write_run(folder, {"run": name}, [row(run=name, **fields)], [sample()], [item()], attached)


def content(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_runs_of_two_machines_arrive_unchanged_and_once(tmp_path):
    first, second = make(tmp_path / "a", "r1"), make(tmp_path / "b" / "deep", "r2")
    shutil.copytree(first, tmp_path / "b" / "r1")  # the same run again
    assert merge([tmp_path / "a", tmp_path / "b"], tmp_path / "all") == (2, 1)
    assert content(tmp_path / "all" / "r1") == content(first) and content(tmp_path / "all" / "r2") == content(second)
    assert [r.run for r in load([tmp_path / "all"])] == ["r1", "r2"] and len(load_samples([tmp_path / "all"])) == 2
    assert merge([tmp_path / "a"], tmp_path / "all") == (0, 1)
    assert merge([tmp_path / "all"], tmp_path / "all") == (0, 2)


def test_two_runs_of_one_name_are_not_mixed(tmp_path):
    make(tmp_path / "a", "r1")
    make(tmp_path / "b", "r1", value=0.9)
    merge([tmp_path / "a"], tmp_path / "all")
    before = content(tmp_path / "all")
    with pytest.raises(UserError, match=r"b/r1: another run of this name is in .*all; rename one of their folders"):
        merge([tmp_path / "b"], tmp_path / "all")
    assert content(tmp_path / "all") == before


def test_a_run_that_was_changed_stops_the_merge_before_anything_is_copied(tmp_path):
    make(tmp_path / "a", "r1")
    (make(tmp_path / "a", "r2") / "expert.ckpt").write_bytes(b"WEIGHTS")
    with pytest.raises(UnreadableError, match=r"r2/expert.ckpt: was changed after the run was written"):
        merge([tmp_path / "a"], tmp_path / "all")
    assert not (tmp_path / "all").exists()


def test_an_interrupted_copy_leaves_no_run(tmp_path, monkeypatch):
    make(tmp_path / "a", "r1")

    def stop(source, target):
        target.mkdir()
        (target / "rows.parquet").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(merging.shutil, "copytree", stop)
    with pytest.raises(KeyboardInterrupt):
        merge([tmp_path / "a"], tmp_path / "all")
    assert list((tmp_path / "all").iterdir()) == []
    monkeypatch.undo()
    assert merge([tmp_path / "a"], tmp_path / "all") == (1, 0)
    assert not any(p.name.startswith(PARTIAL) for p in (tmp_path / "all").iterdir())


def test_nothing_to_merge_is_said(tmp_path):
    with pytest.raises(UserError, match=r"no runs found; give run folders or their parent"):
        merge([tmp_path], tmp_path / "all")
