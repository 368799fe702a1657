"""Run folders in; the saved scores of one run on one set, read when they are asked for, out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from framework.errors import UnreadableError, UserError
from framework.leaderboard import columns, seal
from framework.leaderboard.store import folders

Line = dict[str, Any]
Samples = Iterable[Line] | Mapping[str, Sequence[Line]]
_HEAVY = ("hist", "regions")  # what only numbers of elements need: some 6 kB a sample


class Held:
    """Scores that are in memory.

    Args:
        samples: what ``store.load_samples`` gives, or the same by run.
    """

    def __init__(self, samples: Samples) -> None:
        self._lines: dict[tuple[str, str], list[Line]] = {}
        for part in samples.values() if isinstance(samples, Mapping) else [samples]:
            for line in part:
                self._lines.setdefault((line["run"], line["tested_on"]), []).append(line)

    @property
    def runs(self) -> set[str]:
        """Those that have scores."""
        return {run for run, _ in self._lines}

    def of(self, run: str, tested_on: str, elements: bool) -> list[Line]:
        """The samples of a run on a set, none where it has none; with their histograms in any case."""
        return self._lines.get((run, tested_on), [])


class Stored:
    """Scores on disk: at any time those of one run on one set are in memory.

    Args:
        paths: run folders, or folders that hold runs at any depth. Of a run that lies in several the first is read.

    Raises:
        UserError: a path that is missing, or a file of another schema.
        UnreadableError: a file that is corrupt, or was changed or cut off since it was written, named.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._files: dict[str, Path] = {}
        for folder in folders(paths):
            file = folder / "samples.parquet"
            seal.check(file)
            if file.is_file():
                for run in _runs(file):
                    self._files.setdefault(run, file)

    @property
    def runs(self) -> set[str]:
        """Those that have scores."""
        return set(self._files)

    def of(self, run: str, tested_on: str, elements: bool) -> list[Line]:
        """The samples of a run on a set, with histograms where ``elements`` is asked for; none where it has none."""
        if run not in self._files:
            return []
        file, schema = self._files[run], columns.table("samples", []).schema
        names = [name for name in schema.names if elements or name not in _HEAVY]
        lines: list[Line] = _table(file, names, [("run", "=", run), ("tested_on", "=", tested_on)]).to_pylist()
        return lines


Scores = Held | Stored


def _runs(file: Path) -> list[str]:
    """The runs whose scores a file holds."""
    try:
        found = pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(file, error) from None
    expected = columns.table("samples", []).schema
    if found.names != expected.names or not expected.metadata.items() <= (found.metadata or {}).items():
        raise UserError(f"{file}: holds no samples of this schema; test again, or read it with what wrote it.")
    return [str(run) for run in _table(file, ["run"], None)["run"].unique().to_pylist()]


def _table(file: Path, names: list[str], fitting: list[tuple[str, str, str]] | None) -> pa.Table:
    try:
        return pq.read_table(file, columns=names, filters=fitting, partitioning=None, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: Exception) -> UnreadableError:
    reason = str(error).splitlines()[0]
    return UnreadableError(f"{file}: not a readable Parquet file ({reason}). Remove or restore this run.")
