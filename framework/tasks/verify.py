"""A run folder -> the same command run again, and of every row whether it holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from framework import config as configs
from framework import provenance, reading, reasoning
from framework.errors import UserError
from framework.leaderboard import seal
from framework.leaderboard.finished import EXPERT, SCORES
from framework.leaderboard.rows import NOTHING, SEPARATOR, Row
from framework.leaderboard.store import load
from framework.progress import say

SHOWN = 5e-4  # half of the last digit that tables show
TRAINED = {1: EXPERT, 2: "tuned.safetensors"}  # by stage, the file in the folder of a run that trained


@dataclass(frozen=True, slots=True)
class Checked:
    """A row beside the one that the same command gives now.

    Attributes:
        row: as it was written.
        now: None where the command gives no such row now.
        problem: why the row does not hold; "" where it does.
    """

    row: Row
    now: Row | None
    problem: str

    def __str__(self) -> str:
        row, value = self.row, "nothing" if self.now is None else f"{100 * self.now.value:.2f}"
        name = f"{row.model} on {row.tested_on}, {row.category}: {row.element or row.level} {row.metric}"
        return f"{'differs' if self.problem else 'holds':8} {100 * row.value:6.2f} now {value:>6}  {name}" + (
            f" ({self.problem})" if self.problem else ""
        )


def verify(
    folder: Path, overrides: Sequence[str] = (), sets: Sequence[str] = (), tolerance: float = SHOWN
) -> list[Checked]:
    """Run again what made a run, in a folder that is removed afterwards, and compare row by row.

    What trained is trained again, from the settings that the run record keeps, not from the experiment's file of today.

    Args:
        folder: of the run.
        overrides: of the experiment, ``key=value``, such as another number of devices.
        sets: names of the test sets to check; none checks all. Training is the same.
        tolerance: difference of a value, in [0, 1], up to which a row holds, beside the certified errors of both.

    Returns:
        One for each row of the run, in its order.

    Raises:
        UserError: a tolerance out of range, the run cannot be read or keeps no settings, an unknown set, or whatever
            keeps it from running.
        UnreadableError: the run was changed since it was written.
    """
    if not 0 <= tolerance <= 1:
        raise UserError(f"--tolerance {tolerance:g}: is a difference of a value in [0, 1]; write one in that range.")
    if not (folder / seal.RECORD).is_file():
        raise UserError(f"{folder}: no run folder, it has no {seal.RECORD}.")
    seal.check_folder(folder)
    run, rows = seal.read(folder), load([folder])
    settings = run.get("settings")
    if not isinstance(settings, dict):
        raise UserError(f"{folder / seal.RECORD}: keeps no settings, so nobody knows what to run again.")
    known = sorted({row.tested_on for row in rows})
    for name in sets:
        if name not in known:
            raise UserError(f"{folder}: no test set {name!r} in this run. Known: {', '.join(known)}.")
    _tell_commit(rows[0])
    with TemporaryDirectory(prefix="anomaly-ov-verify-") as scratch:
        file, out = Path(scratch) / "settings.yaml", Path(scratch) / "runs"
        kept = _only(settings, () if SCORES in run else sets)  # a file of scores is read whole
        file.write_text(json.dumps(kept), encoding="utf-8")  # JSON is YAML
        made = _again(file, [*overrides, f"out={out}"], run)
        found = {_key(row): row for row in load([made])}
    return [_check(row, found.get(_key(row)), tolerance) for row in rows if not sets or row.tested_on in sets]


def _again(file: Path, overrides: list[str], run: dict[str, Any]) -> Path:
    """The run folder of an experiment that is run again; ``run`` is the record of the first."""
    if SCORES in run:
        from framework.tasks.outside import rate

        taught = [] if run["trained_on"] == NOTHING else run["trained_on"].split(SEPARATOR)
        return rate(configs.load(file, overrides), Path(run[SCORES]), run["model"], taught, run["backbone"])
    stage = reading.stage(file)
    trained = TRAINED[stage] in run.get(seal.FILES, {})
    if stage == reasoning.STAGE:
        asked = reasoning.load(file, overrides)
        from framework.tasks import language, tune

        outcome = (tune.fit if trained and not asked.checkpoint else language.test)(asked)
    else:
        config = configs.load(file, overrides)
        from framework.tasks import folds
        from framework.tasks.run import fit, test

        outcome = folds.fit_folds(config) if config.one_vs_rest else (fit if trained else test)(config)
    if outcome.folder is None:
        raise UserError(f"{file.parent}: the experiment wrote no run on this process; verify on one process.")
    return outcome.folder


def _only(settings: dict[str, Any], sets: Sequence[str]) -> dict[str, Any]:
    """The settings, without what is expected, and with these sets under test alone."""
    kept = settings | {"expect": {}}
    if sets:
        kept["test"] = {name: value for name, value in settings.get("test", {}).items() if name in sets}
    return kept


def _key(row: Row) -> tuple[str, ...]:
    """What names a row inside a run."""
    return row.model, row.trained_on, row.tested_on, row.category, row.level, row.element, row.metric


def _check(row: Row, now: Row | None, tolerance: float) -> Checked:
    if now is None:
        return Checked(row, now, "the command gives no such row now")
    if now.fingerprint != row.fingerprint:
        return Checked(row, now, "the test set holds other files, labels or groups now")
    if now.definition != row.definition:
        return Checked(row, now, f"the metric was defined as {row.definition}, now as {now.definition}")
    if abs(now.value - row.value) > tolerance + row.error + now.error:
        weights = "" if now.weights == row.weights else ", from other weights"
        return Checked(row, now, f"by {100 * (now.value - row.value):+.2f}{weights}")
    return Checked(row, now, "")


def _tell_commit(row: Row) -> None:
    """Say so where another version of the code made the run."""
    commit, dirty = provenance.commit()
    if (commit, dirty) != (row.commit, row.dirty):
        both = ((row.commit, row.dirty), (commit, dirty))
        made, here = (f"{name}{' with changes' if changed else ''}" for name, changed in both)
        say(f"made by commit {made}, checked with {here}")
