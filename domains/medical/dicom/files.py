"""The path of a DICOM file in, the file opened or its header out, in silence: pydicom quotes tags when it warns."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import struct
import warnings
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from domains.medical.dicom.headers import TAGS, Header, parse
from domains.medical.store import stamp
from framework.errors import MissingPackageError, UnreadableError

SUFFIXES = (".dcm", ".dicom", ".ima")
_BROKEN = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError,
    TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip
_MAGIC_AT, _MAGIC = 128, b"DICM"
_REMEMBERED = 1 << 16  # headers, about 1 kB each
_PIXEL_TAGS = (
    "PlanarConfiguration", "HighBit", "PixelData", "FloatPixelData", "DoubleFloatPixelData", "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths", "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData", "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData", "SegmentedBluePaletteColorLookupTableData",
)  # fmt: skip


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by the end of its name, or by the magic word after its preamble; reads 132 bytes."""
    if path.name.lower().endswith(SUFFIXES):
        return True
    try:
        with path.open("rb") as file:
            return file.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] == _MAGIC
    except OSError:
        return False


def header(path: Path) -> Header:
    """The header of a DICOM file that holds pixels; read once as long as the file does not change.

    Raises:
        UnreadableError: the file is missing, empty, damaged, no DICOM file, or holds no picture.
        MissingPackageError: pydicom is not installed.
    """
    found = peek(path)
    if isinstance(found, str):
        raise UnreadableError(f"{path}: {found}")
    return found


def peek(path: Path) -> Header | str:
    """As ``header``; of a DICOM file that is whole and holds no picture, what it is in words.

    Raises:
        UnreadableError: the file is missing, empty, damaged or no DICOM file.
        MissingPackageError: pydicom is not installed.
    """
    return _peek(path, *stamp(path))


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom, whose warnings and log lines quote values of tags, while it reads."""
    if importlib.util.find_spec("pydicom") is None:
        raise MissingPackageError("DICOM files need the package pydicom; run: uv pip install -e '.[medical]'")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def broken() -> tuple[type[Exception], ...]:
    """What pydicom raises on damaged files. Its messages quote values of tags, so none of them is shown."""
    from pydicom import errors

    return (*_BROKEN, errors.BytesLengthException, errors.InvalidDicomError)


def open_file(path: Path, *, pixels: bool) -> Any:
    """The pydicom data set of a file, of which only the tags that are needed were read. Raises what pydicom raises."""
    import pydicom

    tags = [*TAGS, *(_PIXEL_TAGS if pixels else ())]
    return pydicom.dcmread(path, stop_before_pixels=not pixels, specific_tags=tags, force=not _has_magic(path))


@lru_cache(maxsize=_REMEMBERED)
def _peek(path: Path, size: int, *stamp: int) -> Header | str:
    """As ``peek``; the stamp of the file is only a key."""
    if not size:
        raise UnreadableError(f"{path}: the file is empty.")
    with quiet():
        try:
            found = open_file(path, pixels=False)
            if "SOPClassUID" not in found and "Rows" not in found and not _has_magic(path):
                raise UnreadableError(f"{path}: not a DICOM file.")
            return parse(path, found)
        except broken():
            raise UnreadableError(f"{path}: not a readable DICOM file; its header is damaged.") from None


def _has_magic(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] == _MAGIC
