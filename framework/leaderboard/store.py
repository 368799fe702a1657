"""A finished run in, one folder on disk out; folders in, rows, samples and gallery out. No folder is changed later."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from framework.errors import UnreadableError, UserError
from framework.leaderboard.rows import SCHEMA, Row

PARTIAL = ".partial-"  # a folder of this prefix is a run that was killed while it was written
_KEY = b"anomaly-ov"  # of the entry in a Parquet footer that says what the file holds
_KINDS = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "bytes": pa.binary()}
_COLUMNS = {
    "rows": {field.name: str(field.type) for field in fields(Row)},
    "samples": {
        "run": "str",
        "id": "str",
        "category": "str",
        "group": "str",
        "label": "bool",
        "score": "float",
        "logit": "float",
        "tested_on": "str",
        "hist": "bytes | None",
        "regions": "int | None",
    },
    "gallery": {
        "run": "str",
        "tested_on": "str",
        "trained_on": "str",
        "domain": "str",
        "id": "str",
        "category": "str",
        "label": "bool",
        "defect": "str",
        "score": "float",
        "wrongness": "float",
        "view": "bytes",
        "overlay": "bytes",
        "truth": "bytes | None",
        "title": "str | None",
    },
}
_LATER = {
    "title": None,
    "related": 0,
    "near": 0,
    "known": "",
    "recipe": "",
    "selection": "",
    "transductive": False,
}  # columns that files of this schema may lack, and what these then hold


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
        samples: dicts with id, category, group, label, score, logit, tested_on, and optionally hist (bytes of the
            sample's coarse histogram, float32) and regions (how many anomalous regions it has).
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
        "rows": _table("rows", [asdict(row) for row in rows]),
        "samples": _table("samples", [{"run": name, **item} for item in samples]),
        "gallery": _table("gallery", [{"run": name, **item} for item in gallery]),
    }
    provenance = json.dumps(run, indent=2, allow_nan=False) + "\n"
    if final.exists():
        raise UserError(f"{final}: this run is there already, and runs are never overwritten; give it another name.")
    try:
        partial.mkdir(parents=True)
        (partial / "run.json").write_text(provenance, encoding="utf-8")
        for kind, table in tables.items():
            pq.write_table(table, partial / f"{kind}.parquet", compression="zstd")
        for extra, write in (attached or {}).items():
            write(partial / extra)
        _sync([*partial.iterdir(), partial])
        partial.rename(final)
        _sync([out])
    except OSError as error:
        why = "the disk is full; free space" if error.errno == errno.ENOSPC else f"{error.strerror}; mend that"
        raise UserError(f"{final}: run not written, {why} and run again.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final


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
        raise UserError(
            f"{', '.join(map(str, paths)) or 'leaderboard'}: no runs found; give run folders or their parent."
        )
    rows: list[Row] = []
    for file, entries in _read(files, "rows"):
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


def _beside(paths: Sequence[Path], kind: str) -> list[dict[str, Any]]:
    """Entries of the files that lie beside the rows; a Parquet file of rows alone has none."""
    files = [file.with_name(f"{kind}.parquet") for path in paths for file in _files(path)]
    return [entry for _, entries in _read([file for file in files if file.exists()], kind) for entry in entries]


def _files(path: Path) -> list[Path]:
    """Files of rows at ``path``, sorted; unfinished runs are passed over."""
    if path.is_file():
        return [path.resolve()]
    if not path.is_dir():
        raise UserError(f"{path}: no such file or folder; give run folders, their parent, or Parquet files of rows.")
    found = sorted(path.resolve().rglob("rows.parquet"))
    return [file for file in found if not any(part.startswith(PARTIAL) for part in file.parts)]


def _read(files: Iterable[Path], kind: str) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """Each file once, with its entries. One thread: most of the time goes into Python objects."""
    with duckdb.connect(config={"threads": 1}) as connection:
        for file in dict.fromkeys(files):
            yield file, _entries(connection, file, kind)


def _entries(connection: duckdb.DuckDBPyConnection, file: Path, kind: str) -> list[dict[str, Any]]:
    """Every entry of one file, checked against the schema of its kind. Raises UserError with its name."""
    expected = _schema(kind)
    try:
        found = pq.read_schema(file)
        names = [name for name in expected.names if name in found.names or name not in _LATER]
        if (found.metadata or {}).get(_KEY) != expected.metadata[_KEY] or found.names != names:
            raise UserError(
                f"{file}: holds no {kind} of schema {SCHEMA}; test again, or read it with the version that wrote it."
            )
        columns = ", ".join(f'"{name}"' for name in names)
        sql = f"SELECT {columns} FROM read_parquet(?, hive_partitioning = false)"  # or a folder a=b becomes a column
        literal = re.sub(r"([*?\[])", r"[\1]", str(file))  # DuckDB takes names for patterns
        entries = connection.execute(sql, [literal]).fetchall()
    except (pa.ArrowException, duckdb.Error, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UnreadableError(f"{file}: not a readable Parquet file ({reason}). Remove or restore this run.") from None
    empty = {name: _LATER[name] for name in expected.names if name not in names}
    return [dict(zip(names, entry, strict=True)) | empty for entry in entries]


def _schema(kind: str) -> pa.Schema:
    """Arrow schema of one kind of file; its metadata say the kind and the version."""
    entries = []
    for name, annotation in _COLUMNS[kind].items():
        base, _, optional = annotation.partition(" | ")
        entries.append(pa.field(name, _KINDS[base], nullable=bool(optional)))
    return pa.schema(entries, metadata={_KEY: f"{kind}/{SCHEMA}".encode()})


def _table(kind: str, items: list[dict[str, Any]]) -> pa.Table:
    """The items as columns. Raises ValueError where a key is missing, unknown, or of another type."""
    schema = _schema(kind)
    optional = {field.name: None for field in schema if field.nullable}
    for item in items:
        if set(optional | item) != set(schema.names):
            raise ValueError(f"{kind}: keys {sorted(item)}, expected {schema.names}")
    return pa.Table.from_pylist([optional | item for item in items], schema=schema)


def _sync(paths: Iterable[Path]) -> None:
    """Have the disk confirm files or folders before a rename says that they are whole."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
