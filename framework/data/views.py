"""A reader whose views cost much to draw -> the same reader, which draws those of a sample once and keeps them on disk.

A kept sample is one .npz file, named by everything it follows from: what its files hold, its label, the options of the
reader, the version of the renderer. It is written whole, so drawing goes on where it was interrupted, and any number of
processes and experiments share it.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np

from framework.data.fingerprint import content as content_of
from framework.errors import UserError
from framework.files import write_whole
from framework.progress import say
from framework.types import Domain, Grid, Record, Sample

SCHEMA = 1
ROOM = 20  # nothing more is kept where the disk has no room for this many more of the same size
ARRAYS = ("views", "owner", "truth", "stand_in", "regions", "place", "weight", "say")
PLAIN = ("fuse", "captions", "counts", "warnings")
HERE = "\0"  # in a kept warning: the file, wherever it lies by then


def keep_views(reader: Domain, name: str, store: str) -> Domain:
    """``reader`` itself, or where its domain says that its views are worth keeping, one that keeps them.

    A domain that keeps what it makes in a way of its own has ``keep(folder, say) -> Domain``: the folder is its alone,
    and ``say`` takes a line for the user.

    Args:
        reader: of a domain.
        name: of the domain.
        store: folder; they lie in ``views`` in it.
    """
    folder, drawn = Path(store).expanduser() / "views", getattr(reader, "drawn", "")
    if callable(keep := getattr(reader, "keep", None)):
        return cast(Domain, keep(folder / name, say))
    return cast(Domain, Kept(reader, name, drawn, folder)) if drawn else reader


class Kept:
    """Reads as the reader it stands for.

    Args:
        reader: of a domain; a dataclass of options.
        name: of its domain.
        drawn: version of how it draws.
        folder: to keep samples in.
    """

    def __init__(self, reader: Any, name: str, drawn: str, folder: Path) -> None:
        self.reader, self.name, self.drawn, self.folder = reader, name, drawn, folder
        self.keep = True

    def __repr__(self) -> str:
        return repr(self.reader)

    def __getattr__(self, name: str) -> Any:
        if name == "reader":  # while a worker process is sent a copy
            raise AttributeError(name)
        return getattr(self.reader, name)

    def read(self, record: Record) -> Sample:
        """As the reader, from disk where the same was read before.

        Raises:
            UserError: as the reader.
        """
        try:
            path = self.path(record)
        except UserError:  # a file that cannot be opened: the reader says it in the words of its domain
            return self.reader.read(record)
        kept = _load(path, record) if path.is_file() else None
        if kept is not None:
            return kept
        sample: Sample = self.reader.read(record)
        packed = _packed(sample)
        if self.keep and shutil.disk_usage(_existing(self.folder)).free > ROOM * len(packed):
            self._write(path, packed)
        return sample

    def _write(self, path: Path, packed: bytes) -> None:
        """Keep a sample; where that cannot be done, say so once and go on without."""
        try:
            write_whole(path, packed)
        except UserError as error:
            say(f"views are not kept: {error}")
            self.keep = False

    def path(self, record: Record) -> Path:
        """Where the sample of a record is kept, once it is."""
        content = {
            "schema": SCHEMA,
            "domain": self.name,
            "drawn": self.drawn,
            "reader": asdict(self.reader),
            "sample": content_of([record]),
            "frame": record.frame,
            "defect": record.defect,
            "name": record.path.suffix,
        }
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
        return self.folder / self.name / key[:2] / f"{key}.npz"


def _packed(sample: Sample) -> bytes:
    """A .npz file of plain arrays and one JSON text."""
    known = {name: getattr(sample, name) for name in ARRAYS if getattr(sample, name) is not None}
    plain: dict[str, Any] = {name: getattr(sample, name) for name in PLAIN}
    plain["warnings"] = [line.replace(str(sample.record.path), HERE) for line in sample.warnings]
    if sample.grid is not None:
        known |= {"grid_index": sample.grid.index, "grid_truth": sample.grid.truth}
        plain["grid"] = [sample.grid.name, sample.grid.sigma]
    known["plain"] = np.frombuffer(json.dumps(plain).encode(), np.uint8)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:  # np.savez_compressed takes 6
        for name, array in known.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def _load(path: Path, record: Record) -> Sample | None:
    """The sample of a record as it was kept; None where the file was damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            known = {name: file[name] for name in file.files}
        plain = json.loads(known.pop("plain").tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    grid = None
    if "grid" in plain:
        name, sigma = plain.pop("grid")
        grid = Grid(name, known.pop("grid_index"), known.pop("grid_truth"), sigma)
    warnings = tuple(line.replace(HERE, str(record.path)) for line in plain["warnings"])
    plain |= {"captions": tuple(plain["captions"]), "warnings": warnings}
    return Sample(record, **known, **plain, grid=grid)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(p for p in (folder, *folder.absolute().parents) if p.exists())
