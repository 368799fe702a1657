"""Entries of one kind (rows, samples, gallery) in, one Parquet file out, and back; a schema for each kind."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from framework.errors import UnreadableError, UserError
from framework.files import write_whole
from framework.leaderboard.rows import SCHEMA, Row

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
        "hist": "bytes | None",  # float32, coarse histogram of its elements: see ``metrics.regions.coarse``
        "regions": "int | None",  # how many anomalous regions it has
        "flagged": "bool | None",  # whether the source's threshold calls it anomalous
        "pooled": "float | None",  # score of its group (patient, object), where groups have a level
        "view_logits": "bytes | None",  # float32, of its single views, where these have a level
        "view_labels": "bytes | None",  # uint8, 1 where a view shows something anomalous
        "grid": "str | None",  # name of the grid of published numbers, where there is one
        "grid_hist": "bytes | None",  # as hist, of the grid's cells
        "grid_regions": "int | None",
        "found": "bytes | None",  # float32, of a scan: see ``metrics.detections.found_coarse``
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
    **dict.fromkeys(("flagged", "pooled", "view_logits", "view_labels", "grid", "grid_hist", "grid_regions", "found")),
}  # columns that files of this schema may lack, and what these then hold


def table(kind: str, items: list[dict[str, Any]]) -> pa.Table:
    """The items as columns. Raises ValueError where a key is missing, unknown, or of another type."""
    schema = _schema(kind)
    optional = {field.name: None for field in schema if field.nullable}
    for item in items:
        if set(optional | item) != set(schema.names):
            raise ValueError(f"{kind}: keys {sorted(item)}, expected {schema.names}")
    return pa.Table.from_pylist([optional | item for item in items], schema=schema)


def write_rows(rows: Sequence[Row], file: Path) -> None:
    """Rows of any runs as one file, whole or not at all; ``store.load`` reads it like that of a run."""
    buffer = io.BytesIO()
    pq.write_table(table("rows", [asdict(row) for row in rows]), buffer, compression="zstd")
    write_whole(file, buffer.getbuffer())


def write(table: pa.Table, file: Path) -> None:
    """One row group for each test set that follows another, so that the scores of one set can be read alone."""
    cuts = [0, len(table)]
    if "tested_on" in table.column_names and len(table):
        names = table["tested_on"].to_numpy(zero_copy_only=False)
        cuts[1:1] = (np.flatnonzero(names[1:] != names[:-1]) + 1).tolist()
    with pq.ParquetWriter(file, table.schema, compression="zstd") as out:
        for start, end in pairwise(cuts):
            out.write_table(table.slice(start, end - start))


def read(files: Iterable[Path], kind: str) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    """Each file once, with its entries. One thread: most of the time goes into Python objects.

    Raises:
        UserError: a file of another kind or schema.
        UnreadableError: a file that is corrupt, named.
    """
    with duckdb.connect(config={"threads": 1}) as connection:
        for file in dict.fromkeys(files):
            yield file, _entries(connection, file, kind)


def known(schema: pa.Schema, kind: str, file: Path) -> list[str]:
    """The columns of a file of this kind: all there are, or less those that are younger than the file.

    Raises:
        UserError: a file of another kind or schema.
    """
    expected = _schema(kind)
    names = [name for name in expected.names if name in schema.names or name not in _LATER]
    if (schema.metadata or {}).get(_KEY) != expected.metadata[_KEY] or schema.names != names:
        raise UserError(
            f"{file}: holds no {kind} of schema {SCHEMA}; test again, or read it with the version that wrote it."
        )
    return names


def _entries(connection: duckdb.DuckDBPyConnection, file: Path, kind: str) -> list[dict[str, Any]]:
    """Every entry of one file, checked against the schema of its kind. Raises UserError with its name."""
    expected = _schema(kind)
    try:
        names = known(pq.read_schema(file), kind, file)
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
