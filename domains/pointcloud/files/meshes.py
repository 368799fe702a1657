"""The bytes of a .obj or .stl file in; its points and faces out, and whether its faces agree which side is outside."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from domains.pointcloud.files.shape import Shape

LOOSE = 0.05  # share of the points


def obj(path: Path, raw: bytes) -> Shape:
    """Wavefront: ``v x y z`` and ``f a/.. b/.. c/..``, polygons cut into fans; negative indices count from the end."""
    points: list[list[float]] = []
    faces: list[tuple[int, int, int]] = []
    for line in raw.decode("utf-8", "replace").splitlines():
        if line.startswith("v "):
            points.append([float(word) for word in line.split()[1:4]])
        elif line.startswith("f "):
            corners = [int(word.split("/")[0]) for word in line.split()[1:]]
            if len(corners) < 3:
                raise ValueError(f"a face of {len(corners)} corners, after {len(faces)} whole ones")
            corners = [c - 1 if c > 0 else len(points) + c for c in corners]
            faces += [(corners[0], b, c) for b, c in pairwise(corners[1:])]
    if not points:
        raise ValueError("no 'v x y z' line")
    if not faces:
        return Shape(np.array(points), warnings=faceless(path))
    triangles = checked(np.array(faces), len(points))
    told = (*winding(path, triangles), *loose(path, triangles, len(points)))
    return Shape(np.array(points), None, triangles, warnings=told)


def stl(path: Path, raw: bytes) -> Shape:
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
    triangles = rank[inverse.reshape(-1, 3)]
    return Shape(points[order], None, triangles, warnings=winding(path, triangles))


def checked(faces: np.ndarray, points: int) -> np.ndarray:
    """The faces, if every one names points that exist."""
    if faces.min() < 0 or faces.max() >= points:
        raise ValueError(f"a face names point {max(int(faces.max()), -1)} of {points}")
    return faces


def faceless(path: Path) -> tuple[str, ...]:
    """The warning of a file that could hold faces and says that it has none."""
    return (f"{path}: a mesh without faces; it is read as a cloud.",)


def loose(path: Path, faces: np.ndarray, points: int) -> tuple[str, ...]:
    """A warning where many points belong to no face, as in a file that was cut off; else nothing."""
    alone = points - len(np.unique(faces))
    if alone <= LOOSE * points:
        return ()
    return (f"{path}: {alone:,} of its {points:,} points belong to no face and are shown nowhere. Is it whole?",)


def winding(path: Path, faces: np.ndarray) -> tuple[str, ...]:
    """A warning where two faces run through their common edge in the same direction, else nothing.

    Faces that agree which side is outside run through it in opposite directions. Edges of one face, and those where
    more than two meet, say nothing.

    Args:
        path: of the file, for the warning.
        faces: ``(F, 3)``.
    """
    starts, ends = faces.ravel(), np.roll(faces, -1, 1).ravel()
    edges = np.minimum(starts, ends) * (int(faces.max()) + 1) + np.maximum(starts, ends)
    runs = np.sort((edges * 2 + (starts < ends))[starts != ends])  # the two runs through an edge side by side
    runs = np.r_[-2, runs, -2]
    edges = runs >> 1
    pairs = (edges[1:-2] == edges[2:-1]) & (edges[:-3] != edges[1:-2]) & (edges[3:] != edges[2:-1])
    alike = int((pairs & (runs[1:-2] == runs[2:-1])).sum())
    if not alike:
        return ()
    return (
        f"{path}: {alike} of {int(pairs.sum())} edges are run through twice in one direction, so some of its faces are "
        "inside out. It is drawn from both sides; orient its faces if it should not be.",
    )
