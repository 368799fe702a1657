"""Runs made by the command in; that the same command, run again, is found to hold, and what differs is named."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from fake_cli import mistake, parts, picture, runs_of

from framework.cli import main
from framework.leaderboard.store import load, write_run
from framework.tasks.verify import _check, verify


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with an experiment, a run that trained and one that tested its checkpoint."""
    root = parts(tmp_path_factory.mktemp("verified"))
    assert main(["fit", str(root / "x.yaml")]) == 0
    (trained,) = runs_of(root)[0]
    assert main(["test", str(root / "x.yaml"), "name=tested", f"checkpoint={trained / 'expert.ckpt'}"]) == 0
    (tested,) = set(runs_of(root)[0]) - {trained}
    return root, trained, tested


def test_a_run_that_trained_holds(made, capsys):
    root, trained, _ = made
    before = sorted(root.rglob("*"))
    assert main(["leaderboard", "verify", str(trained)]) == 0
    told = capsys.readouterr().out.splitlines()
    assert len(told) == len(load([trained])) + 1 and told[-1] == f"{len(told) - 1} of {len(told) - 1} rows hold"
    assert all(line.startswith("holds") for line in told[:-1])
    assert sorted(root.rglob("*")) == before  # nothing is left behind


def test_a_run_that_tested_is_tested_again_not_trained(made):
    _, trained, tested = made
    found = verify(tested, tolerance=0)
    assert {c.problem for c in found} == {""} and {c.now.weights for c in found if c.now and not c.row.control} == {
        load([trained])[0].weights
    }


def test_another_training_is_found_to_differ(made, capsys):
    _, trained, _ = made
    weights = {row.weights for row in load([trained]) if not row.control}
    found = verify(trained, ["optim.lr=0.1", "trainer.max_epochs=3", "optim.batch_size=1"], tolerance=0)
    assert {c.now.weights for c in found if c.now and not c.row.control}.isdisjoint(weights)
    wrong = [c for c in found if c.problem]
    assert wrong and all(", from other weights" in c.problem for c in wrong)
    assert str(wrong[0]).startswith("differs ")


def test_a_number_that_was_made_up_does_not_hold(made, tmp_path, capsys):
    _, _, tested = made
    record = json.loads((tested / "run.json").read_text())
    claimed = [
        replace(row, value=0.123, low=None, high=None) if i == 0 else row for i, row in enumerate(load([tested]))
    ]
    plain = {k: v for k, v in record.items() if k not in ("files", "seal")}
    folder = write_run(tmp_path, plain, claimed, [], [])
    assert main(["leaderboard", "verify", str(folder)]) == 1
    told = capsys.readouterr().out.splitlines()
    wrong = [line for line in told if line.startswith("differs")]
    assert (
        len(wrong) == 1 and " 12.30 now " in wrong[0] and told[-1] == f"{len(claimed) - 1} of {len(claimed)} rows hold"
    )


def test_other_data_is_named_and_not_called_another_number(made, tmp_path):
    root, _, tested = made
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    picture(copy / "bolt/test/good/001.png", 255)
    overrides = [f"test.parts.root={copy}"]
    found = verify(tested, overrides)
    assert {c.problem for c in found} == {"the test set holds other files, labels or groups now"}


def test_mistakes_are_one_line(made, capsys, tmp_path):
    _, trained, _ = made
    assert "no test set 'bolts' in this run. Known: parts" in mistake(
        capsys, "leaderboard", "verify", trained, "--set", "bolts"
    )
    for wrong in ("nan", "-1", "2"):  # to which no row would hold, or every row
        assert f"--tolerance {wrong}: is a difference" in mistake(
            capsys, "leaderboard", "verify", trained, f"--tolerance={wrong}"
        )
    assert "gone: no run folder" in mistake(capsys, "leaderboard", "verify", tmp_path / "gone")
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    (copy / "expert.ckpt").write_bytes((copy / "expert.ckpt").read_bytes()[:-10])
    assert "expert.ckpt: has " in mistake(capsys, "leaderboard", "verify", copy)
    bare = write_run(tmp_path, {"run": load([trained])[0].run}, load([trained]), [], [])
    assert "run.json: keeps no settings" in mistake(capsys, "leaderboard", "verify", bare)


def test_certified_errors_of_both_are_no_difference(made):
    row = load([made[2]])[0]
    claimed, now = replace(row, error=0.02, value=0.5), replace(row, error=0.01, value=0.53)
    assert _check(claimed, now, tolerance=0.001).problem == ""
    assert _check(claimed, replace(now, value=0.532), tolerance=0.001).problem == "by +3.20"
