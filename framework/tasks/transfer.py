"""A transfer matrix -> its cells made, one process or several, and the leaderboard of all of them beside the runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from framework.files import check_writable, make_folder, write_whole
from framework.leaderboard import leaderboard
from framework.leaderboard.render.beside import beside
from framework.leaderboard.store import load as load_rows
from framework.plan_transfer import opened
from framework.progress import silent, tell
from framework.tasks.cells import BUSY, FAILED, Cells, Outcome
from framework.transfer import Cell, Transfer, cells, part

PAUSE_S = 0.5  # between looks at a cell that another process makes
Attempt = Callable[[Cell], Outcome]


def transfer(matrix: Transfer, command: Sequence[str], jobs: int, number: int, of: int) -> int:
    """Make what is missing of a part of the matrix, then write the leaderboard of all that is there.

    Args:
        matrix: of ``framework.transfer.load``.
        command: the file and the overrides that it was read from, for other processes.
        jobs: processes that make cells; 1 is this one.
        number: which part, from 1.
        of: how many parts.

    Returns:
        0, or 1 where a cell of the part failed.

    Raises:
        UserError: the folder of runs cannot be written; whatever is wrong with a cell that is to be made, as `check`
            tells it, before the first is made.
    """
    own, out = part(cells(matrix), number, of), Path(matrix.out)
    check_writable(out)
    maker = Cells(out)
    there = [cell for cell in own if maker.finished(cell) is not None]
    with silent():
        opened([cell for cell in own if cell not in there])
    make_folder(out)
    found = Progress(own)
    found.begin(there)
    if jobs == 1:
        _drain(found, maker.make)
    else:
        _spread(found, command, min(jobs, max(1, len(found.todo))))
    _publish(matrix, maker)
    for name, why in found.failed.items():
        tell(f"failed: {name}: {why}")
    return int(bool(found.failed))


def serve(matrix: Transfer) -> int:
    """Make the cells whose keys come in on standard input, a line each, and answer each with one line of JSON."""
    known, maker = {cell.key: cell for cell in cells(matrix)}, Cells(Path(matrix.out))
    for line in sys.stdin:
        outcome = maker.make(known[line.strip()])
        print(json.dumps([outcome.state, outcome.told]), flush=True)
    return 0


class Progress:
    """Which cells are to be made, and what is told of it. Several threads may take cells.

    Args:
        all_cells: of the part.
    """

    def __init__(self, all_cells: Sequence[Cell]) -> None:
        self.total, self.todo = len(all_cells), deque(all_cells)
        self.failed: dict[str, str] = {}
        self.done, self.made, self.start = 0, 0, time.perf_counter()

    def begin(self, finished: Sequence[Cell]) -> None:
        """Leave out what is there."""
        self.todo = deque(cell for cell in self.todo if cell not in finished)
        self.done = len(finished)
        if finished:
            tell(f"{len(finished)} of {self.total} cells are there already")
        if self.todo:
            tell(f"{len(self.todo)} cells to make; the first that needs a set encodes it, later ones read its features")

    def end(self, cell: Cell, outcome: Outcome, seconds: float) -> None:
        """Tell what became of a cell, and about how long the rest will take."""
        self.done += 1
        self.made += 1
        if outcome.state == FAILED:
            self.failed[cell.name] = outcome.told
            tell(f"cell {self.done} of {self.total}, {cell.name}: failed: {outcome.told}")
            return
        left = self.total - self.done
        rest = (time.perf_counter() - self.start) / self.made * left
        tell(
            f"cell {self.done} of {self.total}, {cell.name}: {seconds:.1f} s"
            + (f"; {_about(rest)} left" if left else "")
        )


def _drain(found: Progress, attempt: Attempt, stopped: threading.Event | None = None) -> None:
    """Make cells until none is to be made; one that another process makes is looked at again later."""
    waited = 0
    while found.todo and not (stopped and stopped.is_set()):
        try:
            cell = found.todo.popleft()
        except IndexError:  # another thread took the last
            return
        start = time.perf_counter()
        outcome = attempt(cell)
        if outcome.state == BUSY:
            found.todo.append(cell)
            waited += 1
            if waited >= len(found.todo):
                time.sleep(PAUSE_S)
            continue
        waited = 0
        if not (stopped and stopped.is_set()):
            found.end(cell, outcome, time.perf_counter() - start)


def _spread(found: Progress, command: Sequence[str], jobs: int) -> None:
    """Several processes, each with its share of the cores; one that ends is replaced, and its cell has failed."""
    stopped = threading.Event()
    workers = [Worker(command, jobs) for _ in range(jobs)]
    threads = [threading.Thread(target=_drain, args=(found, w.make, stopped), daemon=True) for w in workers]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():  # in steps, so that Ctrl-C is heard
                thread.join(0.2)
    finally:
        stopped.set()
        for worker in workers:
            worker.end()


class Worker:
    """A process that makes cells, started when the first is asked for.

    Args:
        command: the file and the overrides.
        jobs: how many there are.
    """

    def __init__(self, command: Sequence[str], jobs: int) -> None:
        self.command = [sys.executable, "-m", "framework.cli", "transfer", *command, "--serve"]
        threads = str(max(1, len(os.sched_getaffinity(0)) // jobs))
        self.environment = {"OMP_NUM_THREADS": threads} | dict(os.environ)
        self.process: subprocess.Popen[str] | None = None

    def make(self, cell: Cell) -> Outcome:
        """As ``Cells.make``, there."""
        if self.process is None or self.process.poll() is not None:
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, text=True, env=self.environment)
        asked, answers = self.process.stdin, self.process.stdout
        assert asked is not None and answers is not None
        line = _answer(asked, answers, cell.key)
        if not line:
            return Outcome(FAILED, f"its process ended with status {self.process.wait()}")
        state, told = json.loads(line)
        return Outcome(state, told)

    def end(self) -> None:
        """Let it finish where it waits, stop it where it works."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


def _answer(asked: IO[str], answers: IO[str], key: str) -> str:
    """One line, "" where the process has ended."""
    try:
        asked.write(key + "\n")
        asked.flush()
    except BrokenPipeError:
        return ""
    return answers.readline()


def _publish(matrix: Transfer, maker: Cells) -> None:
    """The leaderboard of every cell of the whole matrix that is there."""
    every = cells(matrix)
    folders = [folder for cell in every if (folder := maker.finished(cell)) is not None]
    if not folders:
        return
    out = Path(matrix.out)
    missing = len(every) - len(folders)
    notes = [f"{len(folders)} of {len(every)} cells of the matrix." + (" The others are missing." if missing else "")]
    leaderboard(folders, "markdown", out / "leaderboard.md")
    leaderboard(folders, "html", out / "leaderboard.html", title=f"Transfer: {matrix.name}", notes=notes)
    if matrix.beside:
        write_whole(out / "beside.md", beside(load_rows(folders), matrix.beside, "markdown").encode())
    tell(f"{notes[0]} Open {out / 'leaderboard.html'}; the same as text is in {out / 'leaderboard.md'}")


def _about(seconds: float) -> str:
    return f"about {seconds:.0f} s" if seconds < 90 else f"about {seconds / 60:.0f} min"
