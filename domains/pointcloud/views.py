"""A shape in; views of it and where each shows every point, out: drawn from all sides, photographed, or both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from domains.pointcloud import geometry
from domains.pointcloud.files import Scan, Shape
from domains.pointcloud.rendering import drawing, organised
from domains.pointcloud.rendering.cameras import LAYOUTS, captions
from domains.pointcloud.rendering.styles import parse
from framework.errors import UnreadableError, UserError

PHOTOGRAPH = "photograph"  # caption of a scan's own picture


@dataclass(frozen=True, slots=True)
class Views:
    """What is seen of a shape with E points.

    Attributes:
        views: ``(V, 3, H, W)`` uint8.
        owner: ``(V, H, W)`` int32, the point that a pixel shows, -1 for none.
        place: ``(V, E)`` int32, the pixel that shows a point, -1 where it is hidden.
        weight: ``(V, E)`` float16, how squarely a view sees a point; 1 in a photograph.
        captions: of each view.
        warnings: a line each, with the path of the file.
        say: ``(V,)`` float32, see ``Sample.say``.
    """

    views: np.ndarray
    owner: np.ndarray
    place: np.ndarray
    weight: np.ndarray
    captions: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    say: np.ndarray | None = None


def drawn(
    path: Path, shape: Shape, cameras: str, views: int, size: int, style: str, backend: str, device: str
) -> Views:
    """Pictures of the points that have a place.

    Args:
        path: of the file.
        shape: what it holds.
        cameras: a name of ``LAYOUTS``.
        views: how many cameras, C.
        size: of a view, S pixels a side.
        style: of ``styles.parse``, K pictures a camera: V = C * K.
        backend: of ``drawing.draw``.
        device: that clouds are drawn on.

    Raises:
        UnreadableError: the faces have no area.
        UserError: the style or back end does not fit the shape.
    """
    kept = np.flatnonzero(shape.finite)
    points = geometry.to_unit_sphere(shape.points[kept])
    faces = faces_of(shape, kept)
    if faces is not None and not geometry.face_normals(points, faces).any():
        raise UnreadableError(f"{path}: its faces have no area.")
    poses = LAYOUTS[cameras](views)
    normals, colours = (None if part is None else part[kept] for part in (shape.normals, shape.colours))
    if shape.scan is not None and normals is None and faces is not None:
        normals = organised.smooth_normals(points, faces)
    given: dict[str, Any] = {"faces": faces, "normals": normals, "colours": colours}
    try:
        found = drawing.draw(points, poses, size, **given, style=style, backend=backend, device=device)
    except UserError as error:
        raise type(error)(f"{path}: {error}") from None
    place = np.full((len(found.views), len(shape.points)), -1, np.int32)
    weight = np.zeros(place.shape, np.float16)
    place[:, kept], weight[:, kept] = found.place, found.facing
    owner = np.where(found.owner < 0, -1, kept[found.owner.clip(0)]).astype(np.int32)
    pictures = [" | ".join(picture) for picture in parse(style)]
    each = captions(cameras, views)
    named = each if len(pictures) == 1 else tuple(f"{caption}, {p}" for caption in each for p in pictures)
    return Views(found.views, owner, place, weight, named, tuple(f"{path}: {line}" for line in found.warnings))


def photographed(path: Path, shape: Shape, side: int = 0) -> Views:
    """The photograph that was taken with an organised scan.

    Args:
        path: of the scan.
        shape: what it holds.
        side: of the square that it is fitted into, on white; 0 leaves it as it is.

    Raises:
        UnreadableError: there is no scan or no photograph.
    """
    scan = shape.scan
    if scan is None or scan.rgb is None:
        raise UnreadableError(f"{path}: has no photograph beside it; pointcloud: read it with modality=cloud.")
    owner = np.full((scan.height, scan.width), -1, np.int32)
    owner.flat[scan.pixel] = np.arange(len(scan.pixel))
    rgb, place = scan.rgb, scan.pixel
    if side:
        rgb, owner, place = _fitted(scan, owner, side)
    weight = np.ones((1, len(place)), np.float16)
    return Views(rgb.transpose(2, 0, 1)[None], owner[None], place[None].astype(np.int32), weight, (PHOTOGRAPH,))


def both(cloud: Views, photograph: Views, squarely: bool) -> Views:
    """Drawn views and a photograph of one size, which weighs as much as all the others together: (3D + 2D) / 2.

    Args:
        cloud: C drawn views.
        photograph: one view.
        squarely: whether a drawn view weighs by how squarely it sees a point; else all weigh 1.

    Source: PointAD, zqhang/PointAD test.py, joins its two maps so.
    """
    weight = cloud.weight if squarely else np.ones_like(cloud.weight)
    total = np.where(cloud.place >= 0, weight, 0).sum(0, dtype=np.float32)
    weight = np.concatenate([weight, np.where(total > 0, total, 1).astype(np.float16)[None]])
    views, owner, place = (
        np.concatenate([getattr(cloud, name), getattr(photograph, name)]) for name in ("views", "owner", "place")
    )
    say = np.array([1 / len(cloud.views)] * len(cloud.views) + [1], np.float32)
    return Views(views, owner, place, weight, cloud.captions + photograph.captions, cloud.warnings, say)


def stand_in(points: np.ndarray, place: np.ndarray) -> np.ndarray:
    """``(E,)`` int32: for a point that no view shows the nearest that one shows, for any other itself.

    A point without a place in space takes that of the one before it in the file, as a scanner's rows do.

    Args:
        points: ``(E, 3)``, may hold NaN.
        place: ``(V, E)``, -1 where a point is hidden.
    """
    finite = np.isfinite(points).all(1)
    kept = np.flatnonzero(finite)
    shown = np.asarray((place[:, kept] >= 0).any(0))
    nearest = kept[geometry.stand_in(points[kept], shown)]
    before = np.searchsorted(kept, np.arange(len(points)), "right").clip(1) - 1
    return nearest[before].astype(np.int32)


def faces_of(shape: Shape, kept: np.ndarray) -> np.ndarray | None:
    """Faces between the points that are ``kept``: those of the file, or of the grid of a scan."""
    if shape.scan is not None:
        return _grid_faces(shape.scan, shape.points)
    if shape.faces is None:
        return None
    new = np.full(len(shape.points), -1)
    new[kept] = np.arange(len(kept))
    faces = new[shape.faces]
    return faces[(faces >= 0).all(1)]


def _grid_faces(scan: Scan, points: np.ndarray) -> np.ndarray:
    """``(F, 3)`` indices of points; a scan holds measured points alone."""
    xyz = np.zeros((scan.height * scan.width, 3), points.dtype)
    index = np.full(len(xyz), -1)
    xyz[scan.pixel], index[scan.pixel] = points, np.arange(len(points))
    shape = (scan.height, scan.width)
    return index[organised.triangulate(xyz.reshape(*shape, 3), (index >= 0).reshape(shape))]


def _fitted(scan: Scan, owner: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Photograph ``(S, S, 3)`` on white, owner ``(S, S)`` and place ``(E,)``, scaled to the middle of a square."""
    assert scan.rgb is not None
    scale = side / max(scan.height, scan.width)
    height, width = (max(1, round(n * scale)) for n in (scan.height, scan.width))
    top, left = (side - height) // 2, (side - width) // 2
    rgb = np.full((side, side, 3), 255, np.uint8)
    inside = slice(top, top + height), slice(left, left + width)
    rgb[inside] = np.asarray(Image.fromarray(scan.rgb).resize((width, height), Image.Resampling.BICUBIC))
    shows = np.full((side, side), -1, np.int32)
    rows, columns = ((2 * np.arange(n) + 1) * m // (2 * n) for n, m in ((height, scan.height), (width, scan.width)))
    shows[inside] = owner[np.ix_(rows, columns)]
    row, column = np.divmod(scan.pixel, scan.width)
    row, column = (2 * row + 1) * height // (2 * scan.height), (2 * column + 1) * width // (2 * scan.width)
    place = (top + row) * side + left + column
    return rgb, shows, place
