"""The record of a cloud or a mesh in; views of it, and the point that every pixel shows, out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from domains.pointcloud import datasets, files, ply, procedural
from domains.pointcloud.cameras import LAYOUTS
from framework.errors import UnreadableError, UserError
from framework.registry import register, unknown
from framework.types import Record, Sample

__all__ = ["PointCloud", "datasets", "procedural"]

STYLES = ("shaded", "normals", "depth")  # of shading.py, which needs torch


@register("domain", "pointcloud")
@dataclass(frozen=True)
class PointCloud:
    """Draws clouds and meshes from all sides. Elements are the points, or vertices, in the order of the file.

    Attributes:
        views: how many, V.
        size: pixels a side of a view, S.
        cameras: "fibonacci" all around, "ring" on a turntable, "tilts" nine views before a one-sided scan.
        style: "shaded" grey, "normals" or "depth".
    """

    element: ClassVar[str] = "point"
    unit: ClassVar[str] = "object"
    script: ClassVar[Path] = Path(__file__).with_name("viewer.js")
    suffixes: ClassVar[tuple[str, ...]] = (".pcd", ".ply", ".obj", ".stl")
    imports: ClassVar[tuple[str, ...]] = (
        "open3d",
        *(f"{__name__}.{part}" for part in ("mesh", "render", "truth", "viewer")),
    )

    views: int = 9
    size: int = 384
    cameras: str = "fibonacci"
    style: str = "shaded"

    def __post_init__(self) -> None:
        """Refuse options that cannot be drawn."""
        if self.views < 1 or self.size < 32:
            raise UserError(f"pointcloud: views={self.views}, size={self.size}; need 1 view and 32 pixels or more.")
        if self.cameras not in LAYOUTS:
            raise UserError(unknown("pointcloud cameras", self.cameras, list(LAYOUTS)))
        if self.style not in STYLES:
            raise UserError(unknown("pointcloud style", self.style, list(STYLES)))
        LAYOUTS[self.cameras](self.views)

    def read(self, record: Record) -> Sample:
        """Open the file of ``record`` and its labels, and draw it.

        Raises:
            UnreadableError: the file is missing, corrupt or without a surface.
            TruthError: the labels do not fit the points.
        """
        from domains.pointcloud.truth import regions_of, truth_of

        shape = files.load(record.path)
        truth = truth_of(record, shape.points)
        views, owner, stand_in = self._draw(record.path, shape)
        regions = None if truth is None else regions_of(shape.points, truth)
        return Sample(record, views, owner, truth, stand_in, regions)

    def save(self, sample: Sample, scores: np.ndarray, stem: Path) -> dict[str, Any]:
        """Write every point of the file with its score, property ``score``, and a colour to ``stem`` + ".ply".

        The score of a point without a place is NaN: no view can show it, and what ``lift`` gave it is its neighbour's.

        Args:
            sample: of ``read``.
            scores: ``(E,)`` float32 in [0, 1].
            stem: path without the ending.

        Returns:
            ``map``, the path, and where points have no place, how many as ``unscored``.

        Raises:
            UserError: the file cannot be written.
        """
        shape = files.load(sample.record.path)
        if scores.shape != (len(shape.points),):
            raise ValueError(f"{sample.record.path}: scores must be ({len(shape.points)},), got {scores.shape}")
        path = Path(f"{stem}.ply")
        ply.write(path, shape.points, shape.faces, np.where(shape.finite, scores, np.nan))
        unscored = int((~shape.finite).sum())
        return {"map": path, "unscored": unscored} if unscored else {"map": path}

    def scene(self, sample: Sample) -> dict[str, np.ndarray]:
        """What ``viewer.js`` draws the shape of a sample from; see ``viewer.scene``."""
        from domains.pointcloud import viewer

        shape = files.load(sample.record.path)
        truth = viewer.truth_beside(sample.record.path, shape.points) if sample.truth is None else None
        poses = LAYOUTS[self.cameras](self.views)
        poses = poses[np.arange(len(sample.views)) % len(poses)]
        return viewer.scene(shape, poses, truth, self.size)

    def _draw(self, path: Path, shape: files.Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Views, owner and stand-ins ``(E,)`` of a shape; points without a place are left out of the picture."""
        from domains.pointcloud import geometry, mesh, render

        poses = LAYOUTS[self.cameras](self.views)
        kept = np.flatnonzero(shape.finite)
        points = geometry.to_unit_sphere(shape.points[kept])
        if shape.faces is None:
            pitch = geometry.pitch(points)
            normals = geometry.estimate_normals(points, pitch) if shape.normals is None else shape.normals[kept]
            views, owner = render.render(points, normals, pitch, poses, self.size, self.style)
        else:
            new = np.full(len(shape.points), -1)
            new[kept] = np.arange(len(kept))
            faces = new[shape.faces]
            faces = faces[(faces >= 0).all(1)]
            if not geometry.face_normals(points, faces).any():
                raise UnreadableError(f"{path}: its faces have no area.")
            views, owner = mesh.cast(points, faces, poses, self.size, self.style)
        nearest = kept[geometry.stand_in(points, owner)]
        # a point without a place stands beside the finite point before it in the file, as a scanner's rows do
        before = np.searchsorted(kept, np.arange(len(shape.points)), "right").clip(1) - 1
        owner = np.where(owner < 0, -1, kept[owner.clip(0)]).astype(np.int32)
        return views, owner, nearest[before].astype(np.int32)
