"""Points, faces and scores in; a .ply file with a score and a colour per point out, readable by any viewer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from framework.files import write_whole

# viridis (Smith and van der Walt, CC0) at nine even steps: dark blue is 0, yellow is 1
_VIRIDIS = np.array(
    [[68, 1, 84], [71, 45, 123], [59, 82, 139], [44, 114, 142], [33, 145, 140], [40, 174, 128], [94, 201, 98],
     [173, 220, 48], [253, 231, 37]]
)  # fmt: skip
_UNSCORED = (128, 128, 128)  # no colour of viridis


def colours(scores: np.ndarray) -> np.ndarray:
    """``(E, 3)`` uint8 for scores in [0, 1]; grey for NaN."""
    steps = np.linspace(0, 1, len(_VIRIDIS))
    known = np.isfinite(scores)
    shade = np.stack([np.interp(np.where(known, scores, 0), steps, channel) for channel in _VIRIDIS.T], 1)
    return np.where(known[:, None], shade.round(), _UNSCORED).astype(np.uint8)


def write(path: Path, points: np.ndarray, faces: np.ndarray | None, scores: np.ndarray) -> None:
    """Write a binary .ply, whole or not at all.

    Args:
        path: of the file; its folder is made if missing.
        points: ``(E, 3)`` float32 or float64, written as they are.
        faces: ``(F, 3)`` integers, or None.
        scores: ``(E,)`` in [0, 1] or NaN, the property ``score``.

    Raises:
        UserError: the file cannot be written.
    """
    write_whole(path, encoded(points, faces, scores))


def encoded(points: np.ndarray, faces: np.ndarray | None, scores: np.ndarray | None = None) -> bytes:
    """What a binary .ply holds; arguments as ``write`` takes them, without scores neither these nor colours."""
    kind, name = ("<f8", "double") if points.dtype == np.float64 else ("<f4", "float")
    fields: list[tuple[Any, ...]] = [("place", kind, 3)]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}"]
    header += [f"property {name} {axis}" for axis in "xyz"]
    if scores is not None:
        fields += [("score", "<f4"), ("colour", "u1", 3)]
        header += ["property float score", *(f"property uchar {channel}" for channel in ("red", "green", "blue"))]
    vertices = np.empty(len(points), fields)
    vertices["place"] = points
    if scores is not None:
        vertices["score"], vertices["colour"] = scores, colours(scores)
    triangles = np.empty(0 if faces is None else len(faces), [("corners", "u1"), ("ids", "<i4", 3)])
    if faces is not None:
        triangles["corners"], triangles["ids"] = 3, faces
        header += [f"element face {len(faces)}", "property list uchar int vertex_indices"]
    text = "\n".join([*header, "end_header", ""]).encode("ascii")
    return text + vertices.tobytes() + triangles.tobytes()
