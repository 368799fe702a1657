"""A shape and the cameras that saw it in; arrays that ``viewer.js`` draws it from out, few enough for a page."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from domains.pointcloud.datasets.folders import LABELS
from domains.pointcloud.files import Shape
from domains.pointcloud.geometry import pitch, to_unit_sphere
from domains.pointcloud.rendering.cameras import DISTANCE, LAYOUTS, focal_px
from domains.pointcloud.truth import truth_of
from domains.pointcloud.views import faces_of
from framework.errors import TruthError
from framework.types import Record

SCRIPT = Path(__file__).with_name("viewer.js")
MOST_POINTS = 200_000
MOST_FACES = 200_000
PROBED = 20_000  # points whose pitch is measured; that of all follows from how many there are
STEPS = 65535  # the unit sphere's box in steps of 16 bit: a 200th of the pitch at a million points


def scene(shape: Shape, cameras: np.ndarray, truth: np.ndarray | None, size: int) -> dict[str, np.ndarray]:
    """What a viewer needs of a shape. Points without a place are left out.

    Args:
        shape: with E points.
        cameras: ``(V, 4, 4)``, world to camera, of the unit sphere.
        truth: ``(E,)`` bool, or None where nobody knows.
        size: side of a drawn view in pixels; 0 where there is none.

    Returns:
        ``elements (N,)`` int32, which are shown; their ``place (N, 3)`` uint16 in the box of the unit sphere; ``faces
        (F, 3)`` of these where the shape has any, or is a scan; ``cameras`` float32; ``lens``, focal length over half
        a view; ``pitch`` of the N points in the unit sphere; ``unit_px``, pixels of a view that one unit of the file
        takes at the middle of the shape, where views are drawn; ``truth (E,)`` if known; ``notes``, lines to tell.
    """
    kept = np.flatnonzero(shape.finite)
    points, notes = to_unit_sphere(shape.points[kept]), []
    faces = faces_of(shape, kept)
    if faces is not None and (len(faces) > MOST_FACES or len(points) > MOST_POINTS):
        notes.append(f"A surface of {len(faces):,} triangles, too many for a page: its points are shown.")
        faces = None
    chosen = np.arange(len(points))
    if len(points) > MOST_POINTS:
        chosen = np.arange(MOST_POINTS) * len(points) // MOST_POINTS
        notes.append(
            f"Shown are {MOST_POINTS:,} of {len(points):,} points, evenly thinned; the file of scores has all."
        )
    steps = np.rint((points[chosen] + 1) * (STEPS / 2)).clip(0, STEPS)
    found: dict[str, np.ndarray] = {
        "elements": kept[chosen].astype(np.int32),
        "place": steps.astype(np.uint16),
        "cameras": cameras.astype(np.float32),
        "lens": np.array([focal_px(2)], np.float32),
        "pitch": np.array([_pitch(points[chosen])], np.float32),
        "notes": np.array(notes, np.str_),
    }
    if size:
        unit_px = focal_px(size) / DISTANCE / _radius(shape.points[kept], points)
        found["unit_px"] = np.array([unit_px], np.float32)
    if faces is not None and len(faces):
        found["faces"] = faces.astype(np.uint16 if len(points) <= STEPS else np.uint32)
    return found if truth is None else found | {"truth": truth}


def poses(cameras: str, count: int, each: int, views: int) -> np.ndarray:
    """``(V, 4, 4)`` of V views, as ``views.py`` orders them; a photograph is seen from the first camera's place.

    Args:
        cameras: a name of ``LAYOUTS``.
        count: how many cameras; 0 where there are photographs alone.
        each: pictures that a camera takes.
        views: V, of which those beyond ``count * each`` are photographs.
    """
    drawn = np.repeat(LAYOUTS[cameras](count), each, 0) if count else np.empty((0, 4, 4))
    return np.concatenate([drawn, np.repeat(LAYOUTS[cameras](1), views - len(drawn), 0)])


def labels_beside(path: Path) -> Path | None:
    """The labels of a shape where sets lay them: in ``gt`` or ``GT`` beside its folder, or beside itself."""
    stem = path.name[: -len(path.suffix)].removesuffix("_depth")
    apart = [path.parent.parent / folder / f"{stem}{end}" for folder in ("gt", "GT") for end in (".txt", ".png")]
    return next((p for p in (*apart, *(path.with_name(form.format(stem)) for form in LABELS)) if p.is_file()), None)


def truth_beside(path: Path, shape: Shape) -> np.ndarray | None:
    """``(E,)`` bool of a shape whose labels lie where its set lays them; None where there are none that fit."""
    labels = labels_beside(path)
    if labels is None or labels == path:
        return None
    try:
        return truth_of(Record(path, True, "", truth_path=labels), shape).mask
    except TruthError:  # a file of another kind, or of another shape
        return None


def _pitch(points: np.ndarray) -> float:
    """Of a surface: a quarter of its points lie twice as far apart."""
    thinned = points[:: max(1, len(points) // PROBED)]
    return pitch(thinned) * float(np.sqrt(len(thinned) / len(points)))


def _radius(points: np.ndarray, normed: np.ndarray) -> float:
    """How long the radius of the unit sphere is in the units of the file."""
    axis = int(np.ptp(normed, axis=0).argmax())
    return float(np.ptp(points[:, axis].astype(np.float64)) / np.ptp(normed[:, axis]))
