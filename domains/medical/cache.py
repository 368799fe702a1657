"""A path and how to cut it in, the whole scan as slices out; a process keeps the last two scans and masks.

A slice sample needs one slice of a file that can only be read as a whole, and datasets list the slices of a scan one
after another: so the last files stay open, at two bytes a voxel; of large ones only the last. Of scans that are kept on
disk only what is used is read, and many stay open. A file that changed on disk is read again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from domains.medical import cutter, dicom, geometry, volumes
from domains.medical.scans import Cutting, Scan
from domains.medical.store import Store, stamp
from framework.errors import TruthError, UnreadableError

T = TypeVar("T")
_KEPT = 2
_LARGE = 1 << 26  # bytes of a scan or mask, of which only one is kept
_MAPPED = 64  # open files of kept scans
_HEADERS = 4096
_scans: OrderedDict[Hashable, Scan] = OrderedDict()
_mapped: OrderedDict[Hashable, Scan] = OrderedDict()
_masks: OrderedDict[Hashable, np.ndarray] = OrderedDict()


def scan(path: Path, cutting: Cutting, store: Store | None = None, anew: bool = False) -> Scan:
    """The slices of a scan.

    Args:
        path: of the scan.
        cutting: how it is cut.
        store: where it is kept on disk.
        anew: what is known of it is not what was written; make it again.

    Raises:
        UnreadableError: as ``geometry.read`` and ``cutter.make``.
    """
    key = (path, _stamps(path), cutting, None if store is None else store.folder)
    for known in (_scans, _mapped):
        if anew:
            known.pop(key, None)
        elif key in known:
            known.move_to_end(key)
            return known[key]
    grid = _header(path, stamp(path), cutting.channel)
    found = None if store is None or anew else store.open(grid, cutting)
    if found is not None:
        _mapped[key] = found
        while len(_mapped) > _MAPPED:
            _mapped.popitem(last=False)
        return found
    return _remembered(_scans, key, lambda: _made(grid, cutting, store))


def mask(path: Path, of: geometry.Geometry, marks: tuple[int, ...] = ()) -> np.ndarray:
    """``(I, J, K)`` bool in file order, the truth of a scan. Raises TruthError as ``volumes.load_mask``."""
    try:
        key = (path, stamp(path), of.path, tuple(map(stamp, of.files or (of.path,))), marks)
    except UnreadableError as error:
        raise TruthError(f"mask {error}") from None
    if key in _masks:
        _masks.move_to_end(key)
        return _masks[key]
    return _remembered(_masks, key, lambda: _frozen(geometry.from_ras(volumes.load_mask(path, of, marks), of.affine)))


def _stamps(path: Path) -> tuple[tuple[int, int, int, int], ...]:
    """The stamps of all files of a scan; of a DICOM series its headers, which are remembered, tell which."""
    if geometry.is_nifti(path) or not dicom.is_dicom(path):
        return (stamp(path),)
    return tuple(map(stamp, dicom.read(path).files))


@lru_cache(maxsize=_HEADERS)
def _header(path: Path, stamp: tuple[int, int, int, int], channel: int | None) -> geometry.Geometry:
    """As ``geometry.read``; the stamp is only a key."""
    return geometry.read(path, channel)


def _made(grid: geometry.Geometry, cutting: Cutting, store: Store | None) -> Scan:
    """A scan cut anew, and kept on disk where there is a store."""
    found = cutter.make(grid, cutting)
    if store is not None:
        store.write(found)
    return found


def _remembered(known: OrderedDict[Hashable, T], key: Hashable, make: Callable[[], T]) -> T:
    """What ``make`` gives, kept beside one other at most; large ones go before, so that two are never there."""
    for other in [k for k, v in known.items() if _bytes(v) > _LARGE]:
        del known[other]
    found = make()
    known[key] = found
    while len(known) > (1 if _bytes(found) > _LARGE else _KEPT):
        known.popitem(last=False)
    return found


def _bytes(value: object) -> int:
    """Of a scan or a mask."""
    array = value.codes if isinstance(value, Scan) else value
    return array.nbytes if isinstance(array, np.ndarray) else 0


def _frozen(array: np.ndarray) -> np.ndarray:
    """The array in order in memory and refusing to be written, because it is shared."""
    array = np.ascontiguousarray(array)
    array.setflags(write=False)
    return array
