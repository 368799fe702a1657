"""A finished run in, one folder on disk out; folders in, rows, samples and gallery out. No folder is changed later."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from framework.errors import UnreadableError, UserError
from framework.leaderboard import columns, seal
from framework.leaderboard.rows import Row

PARTIAL = ".partial-"  # a folder of this prefix is a run that was killed while it was written

_THERE = "{}: this run is there already, and runs are never overwritten; give it another name."


def write_run(
    out: Path,
    run: dict[str, Any],
    rows: Sequence[Row],
    samples: Sequence[dict[str, Any]],
    gallery: Sequence[dict[str, Any]],
    attached: Mapping[str, Callable[[Path], object]] | None = None,
) -> Path:
    """Write ``<out>/<run id>/{run.json, rows.parquet, samples.parquet, gallery.parquet}`` at once or not at all.

    Args:
        out: folder of runs, made if missing; other runs in it are not touched.
        run: provenance, JSON-able; its "run" is the run id.
        rows: of this run.
        samples: dicts with id, category, group, label, score, logit, tested_on, and optionally the other columns of
            ``columns``, such as hist and regions.
        gallery: dicts with tested_on, trained_on, domain, id, category, label, defect, score, wrongness,
            view and overlay (PNG, WebP or JPEG bytes), truth (the same or None), and optionally title (what a person
            calls the view).
        attached: more files of the run: a name, and what writes the file to the path it is given.

    Returns:
        The run folder.

    Raises:
        UserError: the run is there already, the disk is full, or ``out`` cannot be written.
        ValueError: a run id that is no file name, rows of another run, or dicts that lack a key.
    """
    name = str(run.get("run", ""))
    if not re.fullmatch(r"[A-Za-z0-9][\w.=+-]*", name) or any(row.run != name for row in rows):
        raise ValueError(
            f"run id {name!r} must be a file name, and that of all its rows {sorted({r.run for r in rows})}"
        )
    final, partial = out / name, out / f"{PARTIAL}{uuid.uuid4().hex}"
    tables = {
        "rows": columns.table("rows", [asdict(row) for row in rows]),
        "samples": columns.table("samples", [{"run": name, **item} for item in samples]),
        "gallery": columns.table("gallery", [{"run": name, **item} for item in gallery]),
    }
    json.dumps(run, allow_nan=False)  # what JSON has no word for is refused before anything is written
    if final.exists():
        raise UserError(_THERE.format(final))
    try:
        _fill(partial, run, tables, attached or {})
        partial.rename(final)
        _sync([out])
    except OSError as error:
        raise _not_written(final, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final


def _fill(
    folder: Path,
    run: dict[str, Any],
    tables: Mapping[str, pa.Table],
    attached: Mapping[str, Callable[[Path], object]],
) -> None:
    """Make a folder with everything a run holds, its record last, and have the disk confirm it."""
    folder.mkdir(parents=True)
    for kind, table in tables.items():
        columns.write(table, folder / f"{kind}.parquet")
    for extra, write in attached.items():
        write(folder / extra)
    record = json.dumps(seal.sealed(run, folder.iterdir()), indent=2, allow_nan=False)
    (folder / seal.RECORD).write_text(record + "\n", encoding="utf-8")
    _sync([*folder.iterdir(), folder])


def _not_written(final: Path, error: OSError) -> UserError:
    """What to say where the disk refused a run."""
    if error.errno in (errno.ENOTEMPTY, errno.EEXIST):  # another process was quicker
        return UserError(_THERE.format(final))
    why = "the disk is full; free space" if error.errno == errno.ENOSPC else f"{error.strerror}; mend that"
    return UserError(f"{final}: run not written, {why} and run again.")


def load(paths: Sequence[Path]) -> list[Row]:
    """Rows of many runs, oldest first, each once.

    Args:
        paths: run folders, folders that hold runs at any depth, or Parquet files of rows.

    Raises:
        UserError: a path that is missing, no runs there, or rows of another schema.
        UnreadableError: a Parquet file that is corrupt, named.
    """
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise none_found(paths)
    rows: list[Row] = []
    for file, entries in _checked(files, "rows"):
        try:
            rows += [Row(**entry) for entry in entries]
        except ValueError as error:
            raise UnreadableError(f"{file}: {error}. Write this run again.") from None
    return sorted(dict.fromkeys(rows), key=lambda row: (row.date, row.run))


def load_samples(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Scores of every sample of the runs that ``load`` finds: the keys of ``write_run``, "run" and "hist"."""
    return _beside(paths, "samples")


def load_gallery(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Gallery items of the runs that ``load`` finds: the keys of ``write_run``, and "run"."""
    return _beside(paths, "gallery")


def load_records(paths: Sequence[Path]) -> dict[str, dict[str, Any]]:
    """``run.json`` of the runs that ``load`` finds, by run; rows on their own (``--format parquet``) have none.

    Raises:
        UnreadableError: a record that was changed or cut off, named.
    """
    records = [seal.read(folder) for folder in folders(paths) if (folder / seal.RECORD).is_file()]
    return {str(record["run"]): record for record in records if "run" in record}


def _beside(paths: Sequence[Path], kind: str) -> list[dict[str, Any]]:
    """Entries of the files that lie beside the rows; a Parquet file of rows alone has none."""
    files = [file.with_name(f"{kind}.parquet") for path in paths for file in _files(path)]
    return [entry for _, entries in _checked(files, kind) for entry in entries]


def folders(paths: Sequence[Path]) -> list[Path]:
    """The run folders that ``load`` finds, each once."""
    return list(dict.fromkeys(file.parent for path in paths for file in _files(path) if file.name == "rows.parquet"))


def none_found(paths: Sequence[Path]) -> UserError:
    """What to say where paths hold no run."""
    return UserError(f"{', '.join(map(str, paths)) or 'leaderboard'}: no runs found; give run folders or their parent.")


def _files(path: Path) -> list[Path]:
    """Files of rows at ``path``, sorted; unfinished runs are passed over, and one whose rows were lost is told."""
    if path.is_file():
        return [path.resolve()]
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder; give run folders, their parent, or Parquet files of rows.")
    whole = path.resolve()
    for record in _written(whole, seal.RECORD):
        if not record.with_name("rows.parquet").exists():
            seal.check(record.with_name("rows.parquet"))
    return _written(whole, "rows.parquet")


def _written(path: Path, name: str) -> list[Path]:
    """Files of a name at any depth, but for those of runs that were not finished."""
    found = sorted(path.rglob(name))
    return [file for file in found if not any(part.startswith(PARTIAL) for part in file.parts)]


def _checked(files: Iterable[Path], kind: str) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """Each file that is there once, with its entries, if it is what was written."""
    for file in (files := list(dict.fromkeys(files))):
        seal.check(file)
    return columns.read([file for file in files if file.exists()], kind)


def _sync(paths: Iterable[Path]) -> None:
    """Have the disk confirm files or folders before a rename says that they are whole."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
