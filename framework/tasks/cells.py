"""One cell of a transfer matrix -> its run folder, unless it is there or another process makes it just now."""

from __future__ import annotations

import gc
import json
import shutil
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.nn import Module

from framework import registry
from framework.config import BackboneConfig
from framework.data.index import Index
from framework.errors import UserError
from framework.files import write_whole
from framework.leaderboard.finished import finished, follows
from framework.locks import BusyError, held
from framework.plan import open_checked
from framework.progress import silent
from framework.tasks import run
from framework.tasks.folds import contents, of_run
from framework.transfer import Cell

DONE, BUSY, FAILED = "done", "busy", "failed"
FAULTS = (UserError, RuntimeError, ValueError, OSError, MemoryError)  # what ends a cell and lets the others go on
PLACES = ".cells"  # in the folder of runs: a lock for each cell that is being made, a traceback for each that failed


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a cell: ``DONE`` with its run folder, ``BUSY``, or ``FAILED`` with one line that says why."""

    state: str
    told: str = ""


class Cells:
    """Makes cells one after another in one process, which loads a backbone once.

    Args:
        out: folder of runs.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._runs: dict[Path, dict[str, Any]] = {}
        self._backbones: dict[str, Module] = {}
        self._contents: dict[str, dict[str, str]] = {}

    def finished(self, cell: Cell) -> Path | None:
        """The newest run of a cell's experiment, made of the files that its sets hold today.

        Raises:
            UserError: a set of the cell cannot be listed or read.
            UnreadableError: a run record in the folder is not what was written.
        """
        runs = finished(self.out, self._runs)
        found = [folder for folder, run in runs if run.get("config") == cell.key and follows(run, folder)]
        if not found:
            return None
        train, test = (self._contents_of(cell, part) for part in ("train", "test"))
        for folder in reversed(found):
            trained, tested = of_run(self._runs[folder], folder)
            if trained == train and tested.items() <= test.items():
                return folder
        return None

    def make(self, cell: Cell) -> Outcome:
        """Train and test a cell, in silence."""
        place = self.out / PLACES / cell.key[:16]
        try:
            if (folder := self.finished(cell)) is not None:
                return Outcome(DONE, str(folder))
            with held(place, cell.name):
                made = self.finished(cell) or self._run(cell)
                shutil.rmtree(place, ignore_errors=True)
            return Outcome(DONE, str(made))
        except BusyError:
            return Outcome(BUSY)
        except FAULTS as error:
            return Outcome(FAILED, self._told(error, place))

    def _run(self, cell: Cell) -> Path:
        with silent():
            backbone = self._backbone(cell.config.model.backbone)
            made = (run.fit if cell.trains else run.test)(cell.config, backbone)
        gc.collect()  # the maps of its stores
        assert made.folder is not None
        return made.folder

    def _backbone(self, config: BackboneConfig) -> Module:
        key = json.dumps([config.name, config.options], sort_keys=True, default=str)
        if key not in self._backbones:
            self._backbones.clear()  # one at a time: cells come method by method
            self._backbones[key] = registry.build("backbone", config.name, **config.options)
        return self._backbones[key]

    def _contents_of(self, cell: Cell, part: str) -> dict[str, str]:
        """Fingerprints of a cell's sets, of each set once in a process."""
        sets = getattr(cell.config, part)
        missing = [name for name, data in sets.items() if repr((part, name, data)) not in self._contents]
        if missing:
            with silent():
                train, test = open_checked(cell.config, fit=cell.trains)
            opened: list[Index] = train if part == "train" else test
            for index in opened:
                self._contents[repr((part, index.name, sets[index.name]))] = contents([index])
        return {k: v for n, data in sets.items() for k, v in self._contents[repr((part, n, data))].items()}

    def _told(self, error: BaseException, place: Path) -> str:
        """One line; where the fault is not the user's, the rest is in a file."""
        lines = str(error).strip().splitlines() or [type(error).__name__]
        if isinstance(error, UserError):
            return lines[-1]
        path = write_whole(place.with_suffix(".txt"), "".join(traceback.format_exception(error)).encode())
        return f"{type(error).__name__}: {lines[0]} (all of it is in {path})"
