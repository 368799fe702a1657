"""The path of a cloud, a mesh or an organised scan in; its points, normals, faces and colours out, in the file's order.

Open3D's readers never raise: a truncated .ply or ASCII .pcd comes back with its missing points at zero, and the .obj
and .stl readers reorder, merge and drop vertices. Scores and labels are per point of the file, so the files are read
here; Open3D reads compressed .pcd and the faces of a .ply, where the count that the header promises can be checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from domains.pointcloud.files import clouds, meshes, scans
from domains.pointcloud.files.scans import BACKGROUNDS, LIGHT, LIGHTS, write_grid
from domains.pointcloud.files.shape import FEWEST_POINTS, Scan, Shape
from framework.errors import UnreadableError

__all__ = [
    "BACKGROUNDS",
    "FEWEST_POINTS",
    "LIGHT",
    "LIGHTS",
    "SCANS",
    "SUFFIXES",
    "Scan",
    "Shape",
    "listed",
    "load",
    "write_grid",
]

DEPTH = "_depth.png"
FURTHEST = 1e15  # coordinates, in any unit: their squares must fit a float32
CLOSEST, LEAST = 1e-12, 1e-30  # extent, of the furthest coordinate: rounding alone; of any shape
SPECK = 0.01  # extent of nearly all points, of the extent of all
_READERS: dict[str, Callable[[Path, bytes], Shape]] = {
    ".pcd": clouds.pcd,
    ".ply": clouds.ply,
    ".xyz": clouds.xyz,
    ".obj": meshes.obj,
    ".stl": meshes.stl,
}
_TIFFS = (".tiff", ".tif")
SCANS = (*_TIFFS, DEPTH)
SUFFIXES = (*_READERS, *SCANS)


def load(path: Path, light: int | str = LIGHT, background: str = "remove") -> Shape:
    """Read a file whose name ends in one of ``SUFFIXES``.

    Args:
        path: a cloud, a mesh, the .tiff of an organised scan (x, y, z of every pixel) or a depth picture of Eyecandies,
            whose other files are found by name beside it.
        light: under which of its lights Eyecandies shows the object, one of ``LIGHTS``.
        background: "remove" the ground that an organised scan was taken on, or "keep" it.

    Raises:
        UnreadableError: missing, empty, truncated or corrupt, or without enough finite points that differ.
        MissingPackageError: a package that reads this kind of file is not installed.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read ({error.strerror}).") from None
    if not raw.strip():
        raise UnreadableError(f"{path}: the file is empty.")
    try:
        shape = _read(path, raw, light, background)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise UnreadableError(f"{path}: truncated or corrupt ({' '.join(str(error).split())}).") from None
    except MemoryError:
        raise UnreadableError(f"{path}: needs more memory than there is. Cut it into parts, or thin it out.") from None
    place = shape.points[shape.finite]
    if shape.faces is None and len(place) < FEWEST_POINTS:
        raise UnreadableError(f"{path}: {len(place)} finite points; a cloud needs {FEWEST_POINTS} or more.")
    furthest = float(np.abs(place).max(initial=0))
    if furthest > FURTHEST:
        raise UnreadableError(f"{path}: coordinates reach {furthest:.0e}, which no scan does. Is it damaged?")
    if not len(place) or float(np.ptp(place, axis=0).max()) <= max(CLOSEST * furthest, LEAST):
        raise UnreadableError(f"{path}: all points lie in one place.")
    return replace(shape, warnings=shape.warnings + _astray(path, place))


def _astray(path: Path, place: np.ndarray) -> tuple[str, ...]:
    """A warning where a few points lie so far off that the others are a speck beside them; else nothing."""
    some = place[:: max(1, len(place) // 20_000)].astype(np.float64)
    core = np.ptp(np.quantile(some, [0.005, 0.995], axis=0), axis=0).max()
    whole = float(np.ptp(place, axis=0).max())
    if core > SPECK * whole:
        return ()
    return (f"{path}: nearly all points lie in {core / whole:.0e} of its extent. Remove the points that are far off.",)


def listed(root: Path, *patterns: str) -> list[Path]:
    """What lies below a folder, sorted, without hidden files: what was left half-written, what macOS puts beside."""
    return sorted(p for pattern in patterns for p in root.glob(pattern) if not p.name.startswith("."))


def companions(path: Path) -> tuple[Path, ...]:
    """The files that ``load`` reads with this one; what it returns follows from their content too."""
    return tuple(p for p in scans.beside(path) if p.is_file()) if path.name.lower().endswith(SCANS) else ()


def _read(path: Path, raw: bytes, light: int | str, background: str) -> Shape:
    """By the end of the name."""
    if path.name.lower().endswith(DEPTH):
        return scans.depth(path, raw, light, background)
    suffix = path.suffix.lower()
    if suffix in _TIFFS:
        return scans.tiff(path, raw, background)
    if suffix not in _READERS:
        raise UnreadableError(f"{path}: not a kind of file that holds points. Known endings: {', '.join(SUFFIXES)}.")
    return _READERS[suffix](path, raw)
