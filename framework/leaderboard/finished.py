"""A folder of runs -> its finished runs, and whether a run can stand for its experiment. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from framework.leaderboard import seal

EXPERT = "expert.ckpt"  # beside the rows, in the folder of a run that trained
TRAINED = "trained_sets"  # in the record of a run, what its expert was trained on
SCORES = "scores"  # in the record of a run of `rate`, the file that other code made


def finished(out: Path, known: dict[Path, dict[str, Any]] | None = None) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Folder and record of every run in ``out``, oldest first; runs that were killed while they were written are none.

    Args:
        out: folder of runs; need not be there.
        known: records that were read before, by folder, as none changes; new ones are added.

    Raises:
        UnreadableError: a record was changed or cut off, named: nobody knows what that run is, or that it is another.
    """
    known = {} if known is None else known
    for path in sorted(out.glob(f"[!.]*/{seal.RECORD}")):
        if path.parent not in known:
            known[path.parent] = seal.read(path.parent)
        yield path.parent, known[path.parent]


def follows(run: Mapping[str, Any], folder: Path) -> bool:
    """Whether the numbers of a run follow from its experiment and its data alone, and it says what it was trained on.

    The digest of an experiment leaves out where a ``test`` takes its expert from, and what ``rate`` was given: such a
    run has the digest of one that trains, and other numbers. A run that trained keeps its expert beside its rows,
    whatever ``checkpoint`` says, which training does not read.

    Args:
        run: its record, of this version or of an older one.
        folder: of the run.
    """
    if SCORES in run or TRAINED not in run:
        return False
    checkpoint = run.get("checkpoint") or run.get("settings", {}).get("checkpoint")
    return not checkpoint or EXPERT in run.get(seal.FILES, {}) or (folder / EXPERT).is_file()
