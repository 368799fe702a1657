"""Run folders in; the saved scores of one run on one set, read when they are asked for, out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from framework.errors import UnreadableError
from framework.leaderboard import columns, seal
from framework.leaderboard.store import folders

Line = dict[str, Any]
Samples = Iterable[Line] | Mapping[str, Sequence[Line]]
HEAVY = ("hist", "view_logits", "view_labels", "grid_hist", "found")  # some 6 kB a sample each


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

    def of(self, run: str, tested_on: str, heavy: Sequence[str] = ()) -> list[Line]:
        """The samples of a run on a set, none where it has none; with all that is known of them in any case."""
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
        self._files: dict[str, _File] = {}
        for folder in folders(paths):
            path = folder / "samples.parquet"
            seal.check(path)
            if path.is_file():
                file = _opened(path)
                for run in _read(file, range(file.footer.num_row_groups), ["run"])["run"].unique().to_pylist():
                    self._files.setdefault(str(run), file)

    @property
    def runs(self) -> set[str]:
        """Those that have scores."""
        return set(self._files)

    def of(self, run: str, tested_on: str, heavy: Sequence[str] = ()) -> list[Line]:
        """The samples of a run on a set, none where it has none, with these of the columns ``HEAVY``."""
        if run not in self._files:
            return []
        file, wanted = self._files[run], columns.table("samples", []).schema.names
        names = [name for name in wanted if name not in HEAVY or name in heavy]
        found = _read(file, _groups(file, tested_on), [name for name in names if name in file.names])
        fitting = pc.and_(pc.equal(found["run"], run), pc.equal(found["tested_on"], tested_on))
        lines: list[Line] = found.filter(fitting).to_pylist()
        younger = dict.fromkeys(name for name in names if name not in file.names)
        return [line | younger for line in lines] if younger else lines


Scores = Held | Stored


@dataclass(frozen=True, slots=True)
class _File:
    """A file of scores: its footer, which is read once, and the columns that it has."""

    path: Path
    footer: pq.FileMetaData
    names: list[str]


def _opened(path: Path) -> _File:
    try:
        footer = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None
    return _File(path, footer, columns.known(footer.schema.to_arrow_schema(), "samples", path))


def _groups(file: _File, tested_on: str) -> list[int]:
    """The row groups that may hold samples of a set: of a run of today just one."""
    place, found = file.names.index("tested_on"), []
    for number in range(file.footer.num_row_groups):
        told = file.footer.row_group(number).column(place).statistics
        if told is None or not told.has_min_max or told.min <= tested_on <= told.max:
            found.append(number)
    return found


def _read(file: _File, groups: Sequence[int], names: list[str]) -> pa.Table:
    try:
        with pq.ParquetFile(file.path, metadata=file.footer) as opened:
            return opened.read_row_groups(list(groups), columns=names, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(file.path, error) from None


def _unreadable(file: Path, error: Exception) -> UnreadableError:
    reason = str(error).splitlines()[0]
    return UnreadableError(f"{file}: not a readable Parquet file ({reason}). Remove or restore this run.")
