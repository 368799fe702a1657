"""The bytes of a .pcd, .ply or .xyz file in; its points, normals, colours and faces out, in the file's order."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np

from domains.pointcloud.files.meshes import checked, faceless, winding
from domains.pointcloud.files.shape import Shape
from domains.pointcloud.library import open3d, quiet

_LZF = 88  # how many bytes one byte of a compressed .pcd unpacks to at most
_LONGEST = 1 << 16  # values of one field of a .pcd; the longest descriptors have some thousand
_PLY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip


def pcd(path: Path, raw: bytes) -> Shape:
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
    normals = _normals(table, "normal_x", "normal_y", "normal_z")
    return Shape(_columns(table, "x", "y", "z"), normals, colours=_packed_colours(table))


def _compressed_pcd(path: Path, count: int) -> Shape:
    """Open3D gives no points when the compressed block is damaged."""
    o3d = open3d()
    with quiet():
        cloud = o3d.io.read_point_cloud(str(path))
    if len(cloud.points) != count:
        raise ValueError(f"{len(cloud.points)} points where its header says {count}")
    normals = np.asarray(cloud.normals, np.float32) if cloud.has_normals() else None
    colours = (np.asarray(cloud.colors) * 255).round().astype(np.uint8) if cloud.has_colors() else None
    return Shape(np.asarray(cloud.points).astype(np.float32), normals, colours=colours)


def ply(path: Path, raw: bytes) -> Shape:
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
    triangles = _ply_faces(path, count, faces) if faces else None
    bare = faceless(path) if "face" in elements else ()
    told = bare if triangles is None else winding(path, triangles)
    return Shape(points, normals, triangles, _colours(table), warnings=told)


def xyz(path: Path, raw: bytes) -> Shape:
    """Text, a row "x y z" a point, parted by spaces or commas; further columns are not read."""
    comma = b"," in raw.partition(b"\n")[0]
    table = np.loadtxt(io.BytesIO(raw), delimiter="," if comma else None, ndmin=2)
    if table.shape[1] < 3:
        raise ValueError(f"{table.shape[1]} columns where x y z are three")
    return Shape(table[:, :3])


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
    with quiet():
        faces = np.asarray(o3d.io.read_triangle_mesh(str(path)).triangles).astype(np.int64)
    if len(faces) < count:
        raise ValueError(f"{len(faces)} faces where its header says {count}")
    return checked(faces, points)


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


def _colours(table: np.ndarray) -> np.ndarray | None:
    """``(E, 3)`` uint8 of the fields red, green and blue: bytes, or floats from 0 to 1; None where there are none."""
    names = table.dtype.names or ()
    if not {"red", "green", "blue"} <= set(names):
        return None
    colours = np.stack([table[name].reshape(len(table)) for name in ("red", "green", "blue")], 1)
    if colours.dtype.kind == "f":
        colours = (np.nan_to_num(colours).clip(0, 1) * 255).round()
    return colours.astype(np.uint8)


def _packed_colours(table: np.ndarray) -> np.ndarray | None:
    """``(E, 3)`` uint8 of PCL's field rgb or rgba: 0x00RRGGBB in four bytes, whatever type the header gives them."""
    name = next((n for n in ("rgb", "rgba") if n in (table.dtype.names or ())), None)
    if name is None or table.dtype[name].base.itemsize != 4:
        return _colours(table)
    packed = np.ascontiguousarray(table[name].reshape(len(table))).view(np.uint32)
    return np.stack([packed >> shift & 255 for shift in (16, 8, 0)], 1).astype(np.uint8)
