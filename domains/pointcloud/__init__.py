"""The record of a cloud, a mesh or an organised scan in; views of it, and the points that they show, out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from domains.pointcloud import datasets, files, ply
from domains.pointcloud.making import procedural, synthesize, synthetic
from domains.pointcloud.rendering import styles
from domains.pointcloud.rendering.cameras import LAYOUTS
from domains.pointcloud.rendering.drawing import BACKENDS
from framework.errors import UserError
from framework.registry import register, unknown
from framework.types import Record, Sample

__all__ = ["PointCloud", "datasets", "procedural", "synthesize", "synthetic"]

MODALITIES = ("cloud", "rgb", "both")
FUSES = ("mean", "max", "cosine")
ROUND, BEFORE, CANDY = ("fibonacci", 14), ("tilts", 9), ("eyecandies", 9)  # cameras and views where neither is given


MANY = 0.1  # share of the points, that no view shows: then it is told


@register("domain", "pointcloud")
@dataclass(frozen=True)
class PointCloud:
    """Draws clouds, meshes and organised scans. Elements are the points, or vertices, in the order of the file.

    Attributes:
        views: how many cameras; 0: 14 around a whole object, 9 before an organised scan.
        size: pixels a side of a view, S.
        cameras: "auto": "fibonacci" all around a whole object, before an organised scan the nine of PointAD, "tilts" or
            for a depth picture "eyecandies"; "ring" on a turntable, or another name of ``cameras.LAYOUTS``.
        style: "shaded" grey, "normals", "depth", "facing", "rgb", or several of them: ``a+b`` more views, ``a|b|c`` the
            three channels of a view.
        backend: "auto": rays at meshes and scans, a z-buffer for clouds; "splat", "mesh", or Open3D's "visualizer".
        device: that clouds are drawn on; "cuda" where no worker processes read.
        modality: "cloud", "rgb" the photograph of an organised scan alone, or "both".
        fuse: how a point's score follows from the views that show it: "mean", "max", or "cosine", the mean weighted by
            how squarely they see it.
        background: "remove" the ground of an organised scan, or "keep" it.
        light: of Eyecandies' photographs, 0 to 5 or "mean".
        grid: cells a side of the grid that published numbers of organised scans are measured on; 0 for none.
    """

    element: ClassVar[str] = "point"
    unit: ClassVar[str] = "object"
    script: ClassVar[Path] = Path(__file__).with_name("viewer.js")
    asked: ClassVar[dict[str, Any]] = {"views": 9}  # a language model pays for each
    drawn: ClassVar[str] = "3"  # raise it where the pixels, or what they show, change
    suffixes: ClassVar[tuple[str, ...]] = files.SUFFIXES
    imports: ClassVar[tuple[str, ...]] = (
        "open3d",
        *(f"{__name__}.{part}" for part in ("rendering.mesh", "rendering.splat", "viewer", "views")),
    )

    views: int = 0
    size: int = 384
    cameras: str = "auto"
    style: str = "shaded"
    backend: str = "auto"
    device: str = field(default="cpu", repr=False)
    modality: str = "cloud"
    fuse: str = field(default="mean", repr=False)
    background: str = "remove"
    light: int | str = files.LIGHT
    grid: int = field(default=336, repr=False)

    def __post_init__(self) -> None:
        """Refuse options that cannot be drawn."""
        if self.views < 0 or self.size < 32 or self.grid < 0:
            raise UserError(
                f"pointcloud: views={self.views}, size={self.size}, grid={self.grid}; need 1 view (0 for the usual "
                "number), 32 pixels and 1 cell (0 for none) or more."
            )
        choices = {
            "cameras": ("auto", *LAYOUTS),
            "backend": BACKENDS,
            "modality": MODALITIES,
            "fuse": FUSES,
            "background": files.BACKGROUNDS,
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise UserError(unknown(f"pointcloud {name}", getattr(self, name), list(known)))
        if self.light not in files.LIGHTS:
            raise UserError(f"pointcloud: light={self.light!r} is none of {', '.join(map(str, files.LIGHTS))}.")
        styles.parse(self.style)
        if self.cameras != "auto" and self.views:
            LAYOUTS[self.cameras](self.views)

    called = staticmethod(synthetic.called)

    @property
    def protocol(self) -> str:
        """How views are made and join, for a row."""
        light = "" if self.light == files.LIGHT else f" under light {self.light}"
        ground = "" if self.background == "remove" else ", ground kept"
        if self.modality == "rgb":
            return f"rgb alone{light}{ground}"
        made = f"{self.views or 'usual'} {self.style} {self.cameras} of {self.size} px by {self.backend}"
        both = f" and rgb{light}, half each" if self.modality == "both" else ""
        return f"{made}{both}, points by {self.fuse}{ground}"

    def read(self, record: Record) -> Sample:
        """Open the file of ``record`` and its labels, or make its specimen, and draw it.

        Raises:
            UnreadableError: the file is missing, corrupt, without a surface or without the photograph asked for.
            TruthError: the labels do not fit the points.
            UserError: a style, back end or layout that does not fit the file.
        """
        from domains.pointcloud import views
        from domains.pointcloud.grid import grid_of
        from domains.pointcloud.truth import Truth, regions_of, truth_of

        if record.frame is None:
            shape = files.load(record.path, self.light, self.background)
            truth = truth_of(record, shape)
        else:
            shape, mask = synthetic.specimen(record.path, record.frame)
            truth = Truth(mask)
        seen = self._seen(record.path, shape)
        stand_in = views.stand_in(shape.points, seen.place)
        hidden = int((shape.finite & (seen.place < 0).all(0)).sum())
        counts = {"unseen": hidden, "without a place": int((~shape.finite).sum())}
        if shape.scan is not None:
            counts["background"] = shape.scan.background
        told = () if hidden <= MANY * len(shape.points) else (_unseen(record.path, hidden, len(shape.points)),)
        alike = self.fuse != "cosine" and self.modality != "both"
        return Sample(
            record,
            seen.views,
            seen.owner,
            truth.mask,
            stand_in,
            None if truth.mask is None else regions_of(shape.points, truth.mask),
            place=seen.place,
            weight=None if alike else seen.weight,
            say=seen.say,
            fuse="max" if self.fuse == "max" else "mean",
            captions=seen.captions,
            grid=grid_of(record, shape, self.grid) if self.grid else None,
            counts={name: count for name, count in counts.items() if count} | truth.counts,
            warnings=(*shape.warnings, *seen.warnings, *truth.warnings, *told),
        )

    def save(self, sample: Sample, scores: np.ndarray, stem: Path) -> dict[str, Any]:
        """Write every point of the file with its score, property ``score``, and a colour to ``stem`` + ".ply".

        The score of a point without a place is NaN: no view can show it, and what ``lift`` gave it is its neighbour's.
        Of an organised scan the scores are written to ``stem`` + ".tiff" too, a pixel each, NaN where none is.

        Args:
            sample: of ``read``.
            scores: ``(E,)`` float32 in [0, 1].
            stem: path without the ending.

        Returns:
            ``map``, the path; ``grid``, that of a scan; and where points have no place, how many as ``unscored``.

        Raises:
            UserError: the file cannot be written.
        """
        shape = files.load(sample.record.path, self.light, self.background)
        if scores.shape != (len(shape.points),):
            raise ValueError(f"{sample.record.path}: scores must be ({len(shape.points)},), got {scores.shape}")
        path = Path(f"{stem}.ply")
        ply.write(path, shape.points, shape.faces, np.where(shape.finite, scores, np.nan))
        told: dict[str, Any] = {"map": path}
        if shape.scan is not None:
            told["grid"] = files.write_grid(Path(f"{stem}.tiff"), shape.scan, scores)
        unscored = int((~shape.finite).sum())
        return told | {"unscored": unscored} if unscored else told

    def scene(self, sample: Sample) -> dict[str, np.ndarray]:
        """What ``viewer.js`` draws the shape of a sample from; see ``viewer.scene``."""
        from domains.pointcloud import viewer

        path = sample.record.path
        shape = files.load(path, self.light, self.background)
        cameras, count = self._cameras(path, shape)
        count = 0 if self.modality == "rgb" else count
        poses = viewer.poses(cameras, count, len(styles.parse(self.style)), len(sample.views))
        truth = viewer.truth_beside(path, shape) if sample.truth is None else None
        return viewer.scene(shape, poses, truth, self.size if count else 0)

    def _cameras(self, path: Path, shape: files.Shape) -> tuple[str, int]:
        """Name of the layout of a shape, and how many cameras."""
        cameras, count = ROUND if shape.scan is None else CANDY if path.name.endswith(files.DEPTH) else BEFORE
        return cameras if self.cameras == "auto" else self.cameras, self.views or count

    def _seen(self, path: Path, shape: files.Shape) -> Any:
        """``views.Views`` of the modality asked for."""
        from domains.pointcloud import views

        if self.modality == "rgb":
            return views.photographed(path, shape)
        cameras, count = self._cameras(path, shape)
        drawn = views.drawn(path, shape, cameras, count, self.size, self.style, self.backend, self.device)
        if self.modality == "cloud":
            return drawn
        return views.both(drawn, views.photographed(path, shape, self.size), self.fuse == "cosine")


def _unseen(path: Path, hidden: int, points: int) -> str:
    return f"{path}: {hidden:,} of {points:,} points are seen by no view; each takes the score of the nearest that is."
