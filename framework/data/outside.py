"""A csv or npz of scores that other code made -> one score, and where it has one a map, of every sample of a set."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from framework.data.index import Index
from framework.errors import UnreadableError, UserError
from framework.pictures import BROKEN, FORMATS
from framework.types import Record

_NUMPY = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)  # what it raises of a file that it cannot read
Map = Callable[[], np.ndarray]


@dataclass(frozen=True, slots=True)
class Given:
    """What a file says of one sample.

    Attributes:
        path: of the sample within its set, with ``#frame`` where it is a slice of a file.
        score: any finite number; higher is more anomalous.
        map: opens the scores of its elements; None where there are none.
        source: name of the set, "" where the file does not say.
    """

    path: str
    score: float
    map: Map | None = None
    source: str = ""


def read(path: Path) -> list[Given]:
    """All lines of a file.

    Args:
        path: ``.csv`` with the columns path and score, optionally map (a ``.npy``, ``.tiff`` or ``.png``, relative to
            the csv) and set; or ``.npz`` with arrays ``paths`` (n,) text, ``scores`` (n,) and optionally ``maps``
            (n, h, w) and ``sets`` (n,) text.

    Raises:
        UnreadableError: the file is missing or broken.
        UserError: a column is missing, or a score is no finite number.
    """
    if not path.is_file():
        raise UnreadableError(f"{path}: no such file of scores. Give a csv with columns path and score, or an npz.")
    found = list(_npz(path) if path.suffix.lower() == ".npz" else _csv(path))
    for line in found:
        if not np.isfinite(line.score):
            raise UserError(f"{path}: the score of {line.path} is {line.score}. Leave no sample without a number.")
    return found


def matched(lines: Sequence[Given], index: Index, path: Path) -> list[Given]:
    """The lines of a set in the order of its records.

    Raises:
        UserError: a sample has no line or two, or a line is of no sample; the first is named.
    """
    wanted = {named(record, index): i for i, record in enumerate(index.records)}
    found: dict[str, Given] = {}
    for line in lines:
        if line.path not in wanted:
            first = next(iter(wanted))
            raise UserError(f"{path}: {line.path} is no sample of {index.name}, whose first is {first}.")
        if line.path in found:
            raise UserError(f"{path}: {line.path} is there twice. Keep one of its lines.")
        found[line.path] = line
    missing = [name for name in wanted if name not in found]
    if missing:
        count = f"{len(missing):,} of {len(wanted):,}"
        raise UserError(f"{path}: {count} samples of {index.name} lack, first {missing[0]}.")
    some = [name for name in wanted if found[name].map is None]
    if some and len(some) < len(wanted):
        raise UserError(f"{path}: {some[0]} has no map and others have. Give one of every sample of a set, or of none.")
    return [found[name] for name in wanted]


def named(record: Record, index: Index) -> str:
    """The name of a sample within its set: its path from the root, with ``#frame`` of a slice."""
    name, root = Path(record.id), Path(index.config.root).expanduser()
    return (name.relative_to(root) if name.is_relative_to(root) else name).as_posix()


def _csv(path: Path) -> Iterator[Given]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            for name in ("path", "score"):
                if name not in (table.fieldnames or ()):
                    raise UserError(f"{path}: no column {name!r}. The first line names them: path,score,map.")
            lines = list(table)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableError(f"{path}: not a csv ({error}).") from None
    for line in lines:
        if None in line:  # what DictReader calls cells beyond the first line's
            raise UserError(f"{path}: the line of {line['path']} has more cells than the first one. Quote commas.")
        text = line["score"] or ""
        try:
            score = float(text)
        except ValueError:
            raise UserError(f"{path}: the score of {line['path']} is {text!r}, not a number.") from None
        opened = _opens(path.parent / line["map"]) if line.get("map") else None
        yield Given(line["path"].replace("\\", "/"), score, opened, line.get("set") or "")


def _npz(path: Path) -> Iterator[Given]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except _NUMPY:
        raise UnreadableError(f"{path}: not an npz of plain arrays. Save it by numpy.savez.") from None
    for name in ("paths", "scores"):
        if name not in arrays:
            raise UserError(f"{path}: no array {name!r}. It holds {', '.join(arrays) or 'none'}.")
    shapes = {name: array.shape for name, array in arrays.items() if name in ("paths", "scores", "maps", "sets")}
    if len({shape[:1] for shape in shapes.values()}) > 1 or arrays["scores"].ndim != 1:
        raise UserError(f"{path}: scores must be (n,), and as many as paths and maps; there are {shapes}.")
    if arrays["scores"].dtype.kind not in "fiub":
        raise UserError(f"{path}: the scores are {arrays['scores'].dtype}, not numbers.")
    maps, sets = arrays.get("maps"), arrays.get("sets")
    for i, (name, score) in enumerate(zip(arrays["paths"].tolist(), arrays["scores"].tolist(), strict=True)):
        opened = None if maps is None else (lambda array=maps[i]: array)
        yield Given(str(name).replace("\\", "/"), float(score), opened, "" if sets is None else str(sets[i]))


def _opens(path: Path) -> Map:
    return lambda: _map(path)


def _map(path: Path) -> np.ndarray:
    """A map from its file, as it is stored."""
    try:
        if path.suffix.lower() == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        with Image.open(path, formats=FORMATS) as image:
            return np.asarray(image)
    except (*_NUMPY, *BROKEN) as error:
        why = str(error).partition("\n")[0][:80] or type(error).__name__
        raise UnreadableError(f"{path}: not a map that can be read ({why}).") from None
