"""The path of a cloud or a mesh in; its points, normals and faces out, in the file's order.

Open3D's readers never raise: a truncated .ply or ASCII .pcd comes back with its missing points at zero, and the .obj
and .stl readers reorder, merge and drop vertices. Scores and labels are per point of the file, so the files are read
here; Open3D reads compressed .pcd and the faces of a .ply, where the count that the header promises can be checked.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from domains.pointcloud.library import open3d
from framework.errors import UnreadableError

_LZF = 88  # how many bytes one byte of a compressed .pcd unpacks to at most
_LONGEST = 1 << 16  # values of one field of a .pcd; the longest descriptors have some thousand
FEWEST_POINTS = 16  # of a cloud: fewer have no surface
_PLY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scan:
    """Where the points of an organised scan lie on its grid.

    Attributes:
        height, width: of the grid.
        pixel: ``(E,)`` int32, row * width + column of every point, ascending.
        rgb: ``(height, width, 3)`` uint8, the photograph that was taken with it, or None.
        background: how many measured points were taken away as ground.
    """

    height: int
    width: int
    pixel: np.ndarray
    rgb: np.ndarray | None = None
    background: int = 0


@dataclass(frozen=True, slots=True)
class Shape:
    """What a file holds.

    Attributes:
        points: ``(E, 3)`` float32 or float64 as the file has them, its own units and order; may hold NaN.
        normals: ``(E, 3)`` float32 if the file has them.
        faces: ``(F, 3)`` int64 indices of points, F > 0; None for a cloud.
        colours: ``(E, 3)`` uint8 if the file has them.
        scan: of an organised scan, whose points are those of its object; None for any other.
        warnings: what is odd about the file but can be lived with: a line each, with its path.
    """

    points: np.ndarray
    normals: np.ndarray | None = None
    faces: np.ndarray | None = None
    colours: np.ndarray | None = None
    scan: Scan | None = None
    warnings: tuple[str, ...] = ()

    @property
    def finite(self) -> np.ndarray:
        """``(E,)`` bool, the points that have a place."""
        return np.isfinite(self.points).all(1)


def load(path: Path) -> Shape:
    """Read a .pcd, .ply, .obj or .stl file.

    Raises:
        UnreadableError: missing, empty, truncated or corrupt, or without enough finite points that differ.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read ({error.strerror}).") from None
    if not raw.strip():
        raise UnreadableError(f"{path}: the file is empty.")
    try:
        shape = {".pcd": _pcd, ".ply": _ply, ".obj": _obj, ".stl": _stl}[path.suffix.lower()](path, raw)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise UnreadableError(f"{path}: truncated or corrupt ({' '.join(str(error).split())}).") from None
    except MemoryError:
        raise UnreadableError(f"{path}: needs more memory than there is. Cut it into parts, or thin it out.") from None
    place = shape.points[shape.finite]
    if shape.faces is None and len(place) < FEWEST_POINTS:
        raise UnreadableError(f"{path}: {len(place)} finite points; a cloud needs {FEWEST_POINTS} or more.")
    if not len(place) or not (place.max(0) > place.min(0)).any():
        raise UnreadableError(f"{path}: all points lie in one place.")
    return shape


def _pcd(path: Path, raw: bytes) -> Shape:
    """Point Cloud Library's format: ASCII, binary or (through Open3D) compressed binary."""
    head, mark, rest = raw.partition(b"\nDATA ")
    kind, _, body = rest.partition(b"\n")
    if not mark:
        raise ValueError("no DATA line in its header")
    lines = (line.split() for line in head.decode("ascii", "replace").splitlines() if not line.startswith("#"))
    header = {words[0]: words[1:] for words in lines if words}
    count = int(header["POINTS"][0]) if "POINTS" in header else int(header["WIDTH"][0]) * int(header["HEIGHT"][0])
    if kind.strip() == b"binary_compressed":
        _check_count(count, "points", len(body) * _LZF)
        return _compressed_pcd(path, count)
    each = header.get("COUNT", ["1"] * len(header["FIELDS"]))
    if max(map(int, each)) > _LONGEST:
        raise ValueError(f"a field of {max(map(int, each)):,} values")
    types = [f"<{kind.lower()}{size}" for kind, size in zip(header["TYPE"], header["SIZE"], strict=True)]
    fields = [
        (f"{name}{i}" if name == "_" else name, dtype, (int(n),))  # "_" is padding and may occur many times
        for i, (name, dtype, n) in enumerate(zip(header["FIELDS"], types, each, strict=True))
    ]
    table = _table(body, np.dtype(fields), count, ascii=kind.strip() == b"ascii")
    return Shape(_columns(table, "x", "y", "z"), _normals(table, "normal_x", "normal_y", "normal_z"))


def _compressed_pcd(path: Path, count: int) -> Shape:
    """Open3D gives no points when the compressed block is damaged."""
    o3d = open3d()
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        cloud = o3d.io.read_point_cloud(str(path))
    if len(cloud.points) != count:
        raise ValueError(f"{len(cloud.points)} points where its header says {count}")
    normals = np.asarray(cloud.normals, np.float32) if cloud.has_normals() else None
    return Shape(np.asarray(cloud.points).astype(np.float32), normals)


def _ply(path: Path, raw: bytes) -> Shape:
    """Stanford's format: vertices here, faces by Open3D."""
    head, mark, rest = raw.partition(b"end_header")
    if not raw.startswith(b"ply") or not mark:
        raise ValueError("no 'ply ... end_header'")
    body = rest.partition(b"\n")[2]
    encoding, elements = _ply_header(head.decode("ascii", "replace"))
    if next(iter(elements)) != "vertex":
        raise ValueError("its first element is not the vertex")
    count, fields = elements["vertex"]
    order = ">" if encoding == "binary_big_endian" else "<"
    dtype = np.dtype([(name, order + kind) for name, kind in fields])
    table = _table(body, dtype, count, ascii=encoding == "ascii")
    points, normals = _columns(table, "x", "y", "z"), _normals(table, "nx", "ny", "nz")
    faces = elements.get("face", (0, []))[0]
    _check_count(faces, "faces", len(body))
    return Shape(points, normals, _ply_faces(path, count, faces) if faces else None)


def _ply_header(text: str) -> tuple[str, dict[str, tuple[int, list[tuple[str, str]]]]]:
    """Encoding, and for each element its count and its scalar properties as (name, NumPy type)."""
    encoding = ""
    elements: dict[str, tuple[int, list[tuple[str, str]]]] = {}
    fields: list[tuple[str, str]] = []
    for words in map(str.split, text.splitlines()):
        if words[:1] == ["format"]:
            encoding = words[1]
        elif words[:1] == ["element"]:
            fields = []
            elements[words[1]] = (int(words[2]), fields)
        elif words[:1] == ["property"] and words[1] != "list":
            fields.append((words[2], _PLY_TYPES[words[1]]))
    return encoding, elements


def _ply_faces(path: Path, points: int, count: int) -> np.ndarray:
    """``(F, 3)`` triangles of ``count`` polygons; Open3D cuts polygons into triangles and keeps the vertices' order."""
    o3d = open3d()
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        faces = np.asarray(o3d.io.read_triangle_mesh(str(path)).triangles).astype(np.int64)
    if len(faces) < count:
        raise ValueError(f"{len(faces)} faces where its header says {count}")
    return _checked(faces, points)


def _obj(path: Path, raw: bytes) -> Shape:
    """Wavefront: ``v x y z`` and ``f a/.. b/.. c/..``, polygons cut into fans; negative indices count from the end."""
    points: list[list[float]] = []
    faces: list[tuple[int, int, int]] = []
    for line in raw.decode("utf-8", "replace").splitlines():
        if line.startswith("v "):
            points.append([float(word) for word in line.split()[1:4]])
        elif line.startswith("f "):
            corners = [int(word.split("/")[0]) for word in line.split()[1:]]
            corners = [c - 1 if c > 0 else len(points) + c for c in corners]
            faces += [(corners[0], b, c) for b, c in pairwise(corners[1:])]
    if not points:
        raise ValueError("no 'v x y z' line")
    return Shape(np.array(points), None, _checked(np.array(faces), len(points)) if faces else None)


def _stl(path: Path, raw: bytes) -> Shape:
    """Triangles without shared vertices; the points are the distinct corners in the order the file first names them."""
    count = int.from_bytes(raw[80:84], "little")
    if len(raw) == 84 + 50 * count and count:
        record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
        corners = np.frombuffer(raw, record, count, 84)["corners"].reshape(-1, 3)
    elif raw.lstrip().startswith(b"solid") and b"endsolid" in raw:
        words = (line.split() for line in raw.decode("utf-8", "replace").splitlines())
        corners = np.array([w[1:4] for w in words if w[:1] == ["vertex"]], np.float32).reshape(-1, 3, 3).reshape(-1, 3)
    else:
        raise ValueError(f"{len(raw)} bytes are neither a whole binary nor a whole ASCII .stl")
    points, first, inverse = np.unique(corners, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Shape(points[order], None, rank[inverse.reshape(-1, 3)])


def _table(body: bytes, dtype: np.dtype, count: int, ascii: bool) -> np.ndarray:
    """``(count,)`` records; ValueError where the data end early or a row is too short."""
    values = sum(int(np.prod(dtype[name].shape)) for name in dtype.names or ())
    least = 2 * values if ascii else dtype.itemsize  # bytes of a point: a digit and a space for each value
    _check_count(count, "points", (len(body) + 1) // max(1, least))
    if not ascii:
        return np.frombuffer(body, dtype, count)
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # no rows: counted below
        table = np.loadtxt(io.BytesIO(body), dtype, max_rows=count, ndmin=1)
    if len(table) != count:
        raise ValueError(f"{len(table)} points where its header says {count}")
    return table


def _check_count(count: int, what: str, most: int) -> None:
    """Refuse what a file of this size cannot hold before room is made for it."""
    if not 0 <= count <= most:
        raise ValueError(f"its header says {count:,} {what}, its data have room for {most:,}")


def _columns(table: np.ndarray, *names: str) -> np.ndarray:
    """``(E, 3)`` float64 if the file has doubles, else float32."""
    columns = np.stack([table[name].reshape(len(table)) for name in names], 1)
    return columns.astype(np.float64 if columns.dtype.itemsize == 8 else np.float32)


def _normals(table: np.ndarray, *names: str) -> np.ndarray | None:
    """``(E, 3)`` float32 unit normals, or None where the file has none or some that are not of length one."""
    if not set(names) <= set(table.dtype.names or ()):
        return None
    normals = _columns(table, *names).astype(np.float32)
    return normals if np.allclose(np.linalg.norm(normals, axis=1), 1, atol=0.05) else None


def _checked(faces: np.ndarray, points: int) -> np.ndarray:
    """The faces, if every one names points that exist."""
    if faces.min() < 0 or faces.max() >= points:
        raise ValueError(f"a face names point {max(int(faces.max()), -1)} of {points}")
    return faces
