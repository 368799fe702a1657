"""Scans cut into slices, kept on disk: a ``.npy`` file of codes that is mapped into memory, and a JSON text beside it.

Named by what the files of the scan hold and by all that decides how slices are cut, not by how they are shown, so
that experiments share them, whatever their windows. Nothing of a header that could name a patient is kept. Each file
is written whole; a slice or a text that is damaged on disk is found by its check sum, and the scan is cut again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from domains.medical.geometry import Geometry
from domains.medical.intensity import Half, Histogram, Scale, Whole
from domains.medical.scans import SCHEMA, Cutting, Scan
from domains.medical.space import Space
from framework.errors import UnreadableError, UserError
from framework.files import write_whole

_ROOM = 20  # nothing more is kept where the disk has no room for this many more of the same size
_SUM = b'{"sum": "%08x", '
_told: set[Path] = set()  # folders of which it was said that nothing more is kept


class DamagedError(Exception):
    """A kept scan is not what was written."""


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of kept scans.

    Attributes:
        folder: which is made when the first is kept.
        say: takes a line for the user.
    """

    folder: Path
    say: Callable[[str], None]

    def open(self, scan: Geometry, cutting: Cutting) -> Scan | None:
        """A scan that was cut like this before; None where none was, or what is there is damaged."""
        path = self.path(scan, cutting)
        try:
            known = _parsed(path.with_suffix(".json").read_bytes())
            codes = np.memmap(
                path, np.uint16, "r", known["offset"], tuple(known["shape"])
            )  # np.load takes twice as long
            space = Space(**{name: tuple(values) for name, values in known["space"].items()})
            scale: Scale = (Whole if "first" in known["scale"] else Half)(**known["scale"])
            occur = np.array(known["codes"], np.uint16)
            histogram = Histogram(occur, scale.decode(occur), np.array(known["counts"], np.int64))
            check = partial(_check, codes, known["sums"], set())
            return Scan(scan, cutting, space, scale, codes, histogram, known["nan"], known["beyond"], check)
        except (OSError, ValueError, KeyError, TypeError, EOFError):
            return None

    def write(self, scan: Scan) -> None:
        """Keep a scan; where that cannot be done, say so once and go on without."""
        path = self.path(scan.geometry, scan.cutting)
        if self.folder in _told:
            return
        try:
            free = shutil.disk_usage(_existing(self.folder)).free
            if free < _ROOM * scan.codes.nbytes:
                raise UserError(f"{self.folder}: little room is left on its disk.")
            header = _npy_header(scan.codes)
            write_whole(path, header, scan.codes.reshape(-1).view(np.uint8).data)
            write_whole(path.with_suffix(".json"), _text(_plain(scan) | {"offset": len(header)}))
        except (UserError, OSError) as error:
            _told.add(self.folder)
            self.say(f"cut scans are not kept: {error}")

    def path(self, scan: Geometry, cutting: Cutting) -> Path:
        """Where a scan is kept, once it is. Raises UnreadableError where a file of it cannot be opened."""
        content = {
            "schema": SCHEMA,
            "files": [_content(path, *stamp(path)) for path in scan.files or (scan.path,)],
            "cutting": asdict(cutting) | {"axis": cutting.kept, "channel": scan.channel},
        }
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
        return self.folder / key[:2] / f"{key}.npy"


def stamp(path: Path) -> tuple[int, int, int, int]:
    """Size of a file, its inode, and when it and its inode were last written, in nanoseconds. Raises UnreadableError.

    A file that is replaced by one of its size and time of writing has another inode, or that another time.
    """
    try:
        status = path.stat()
    except OSError:
        raise UnreadableError(f"{path}: no such file.") from None
    return status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


@lru_cache(maxsize=1 << 16)
def _content(path: Path, *stamp: int) -> str:
    """Sha256 of a file, remembered while its stamp does not change."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be opened ({error.strerror}).") from None


def _plain(scan: Scan) -> dict[str, Any]:
    """All of a scan but its codes and where it lies; what JSON has."""
    return {
        "shape": list(scan.codes.shape),
        "space": asdict(scan.space),
        "scale": asdict(scan.scale),
        "codes": scan.histogram.codes.tolist(),
        "counts": scan.histogram.counts.tolist(),
        "nan": scan.nan,
        "beyond": scan.beyond,
        "sums": [zlib.crc32(plane.data) for plane in scan.codes],
    }


def _text(plain: dict[str, Any]) -> bytes:
    """JSON that starts with the check sum of what follows it."""
    rest = json.dumps(plain)[1:].encode()
    return _SUM % zlib.crc32(rest) + rest


def _parsed(text: bytes) -> Any:
    """What ``_text`` was made of; ValueError where the check sum is another."""
    length = len(_SUM % 0)
    if text[:length] != _SUM % zlib.crc32(text[length:]):
        raise ValueError
    return json.loads(text)


def _check(codes: np.ndarray, sums: list[int], seen: set[int], indices: Sequence[int]) -> None:
    """Raise DamagedError where a slice is not the one that was written; each is looked at once."""
    for index in set(indices) - seen:
        if zlib.crc32(np.ascontiguousarray(codes[index]).data) != sums[index]:
            raise DamagedError
        seen.add(index)


def _npy_header(codes: np.ndarray) -> bytes:
    """What precedes the numbers in a ``.npy`` file."""
    from io import BytesIO

    buffer = BytesIO()
    np.lib.format.write_array_header_1_0(buffer, np.lib.format.header_data_from_array_1_0(codes))
    return buffer.getvalue()


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(p for p in (folder, *folder.absolute().parents) if os.path.lexists(p))
