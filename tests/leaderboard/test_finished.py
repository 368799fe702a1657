"""Runs in a folder; which of them are finished, and which can stand for their experiment."""

from __future__ import annotations

import json

import pytest
from fake_rows import row

from framework.errors import UnreadableError
from framework.leaderboard.finished import finished, follows
from framework.leaderboard.store import write_run


def make(out, name, expert=False, **run):
    attached = {"expert.ckpt": lambda path: path.write_bytes(b"weights")} if expert else {}
    told = {key: value for key, value in ({"run": name, "trained_sets": []} | run).items() if value is not None}
    return write_run(out, told, [row(run=name)], [], [], attached)


@pytest.mark.parametrize(
    ("expert", "run", "alone"),
    [
        (True, {"checkpoint": ""}, True),
        (True, {"checkpoint": "ignored.ckpt"}, True),  # `fit` does not read it
        (False, {"checkpoint": ""}, True),  # there was nothing to train
        (False, {"checkpoint": "other.ckpt"}, False),
        (False, {"settings": {"checkpoint": "other.ckpt"}}, False),
        (False, {"settings": {"checkpoint": ""}}, True),
        (False, {}, True),  # of an older version
        (False, {"trained_sets": None}, False),  # of a still older one
        (False, {"checkpoint": "", "scores": "other.csv"}, False),
    ],
)
def test_a_run_of_another_checkpoint_or_of_other_code_does_not_follow_from_its_experiment(tmp_path, expert, run, alone):
    made = make(tmp_path, "r1", expert, **run)
    ((folder, record),) = finished(tmp_path)
    assert folder == made and follows(record, folder) == alone


def test_a_run_of_before_seals_is_known_by_the_file_of_its_expert(tmp_path):
    made = make(tmp_path, "r1", expert=True)
    (made / "run.json").write_text(json.dumps({"run": "r1", "checkpoint": "x.ckpt", "trained_sets": []}))
    assert [follows(record, folder) for folder, record in finished(tmp_path)] == [True]
    (made / "expert.ckpt").unlink()
    assert [follows(record, folder) for folder, record in finished(tmp_path)] == [False]


def test_runs_come_oldest_first_each_read_once_and_unfinished_ones_do_not(tmp_path):
    folders = [make(tmp_path, name) for name in ("r2", "r1")]
    (tmp_path / ".partial-3").mkdir()
    (tmp_path / ".partial-3" / "run.json").write_text("{")
    known = {}
    assert [folder for folder, _ in finished(tmp_path, known)] == folders[::-1] == list(known)
    known[folders[0]]["seen"] = True
    assert ["seen" in record for _, record in finished(tmp_path, known)] == [False, True]
    assert not list(finished(tmp_path / "nowhere"))


def test_a_record_that_was_cut_off_is_named(tmp_path):
    path = make(tmp_path, "r1") / "run.json"
    path.write_text(path.read_text()[:40])
    with pytest.raises(UnreadableError, match=r"r1/run.json: not a readable run record .* Restore this run"):
        list(finished(tmp_path))
