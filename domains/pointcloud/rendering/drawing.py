"""A cloud or a mesh in the unit sphere in; views, and where every pixel's and every point's counterpart lies, out.

The one interface of the back ends: ``mesh`` casts rays at triangles, ``splat`` draws unorganised clouds at a
resolution that follows their sampling, ``visualizer`` is Open3D's own window, for comparison with papers that used it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from domains.pointcloud.rendering.styles import parse
from framework.errors import UserError
from framework.registry import unknown

if TYPE_CHECKING:
    import torch

OUTSIDE = 1.01
BACKENDS = ("auto", "splat", "mesh", "visualizer")


@dataclass(frozen=True, slots=True)
class Drawn:
    """What cameras see of a shape. V views: K pictures of each camera end to end, K of ``styles.parse``.

    Attributes:
        views: ``(V, 3, S, S)`` uint8 on white.
        owner: ``(V, S, S)`` int32, the point a pixel shows, -1 none.
        place: ``(V, N)`` int32, the pixel (row * S + column) where a point is visible, -1 where it is hidden.
        facing: ``(V, N)`` float16 in [0, 1], cosine between a point's normal and its direction to the camera.
        warnings: what is odd about the shape but can be lived with, without its path.
    """

    views: np.ndarray
    owner: np.ndarray
    place: np.ndarray
    facing: np.ndarray
    warnings: tuple[str, ...] = ()


def draw(
    points: np.ndarray,
    cameras: np.ndarray,
    size: int,
    *,
    faces: np.ndarray | None = None,
    normals: np.ndarray | None = None,
    colours: np.ndarray | None = None,
    style: str = "shaded",
    backend: str = "auto",
    device: str = "cpu",
    point_px: float = 5.0,
) -> Drawn:
    """Draw a shape from every camera. The same input gives the same bits.

    Args:
        points: ``(N, 3)`` float64 in the unit sphere, as ``geometry.to_unit_sphere`` places them.
        cameras: ``(C, 4, 4)`` float64, world to camera, of ``cameras.LAYOUTS``.
        size: side of a view, S pixels.
        faces: ``(F, 3)`` int64, or None for a cloud.
        normals: ``(N, 3)`` float32 unit, of either sign, which shade a mesh smooth; None to take them from the
            neighbours, or from the faces, sharp at edges.
        colours: ``(N, 3)`` uint8, needed for style "rgb" alone.
        style: of ``styles.parse``; K pictures give V = C * K views.
        backend: a name of ``BACKENDS``; "auto" is "mesh" where there are faces, else "splat".
        device: where "splat" runs, such as "cuda"; the others run on the CPU.
        point_px: side of a point in "visualizer", pixels of its window.

    Raises:
        UserError: a style, back end or device that does not exist or does not fit the shape; no window.
        ValueError: points without a place, or outside the unit sphere, where no camera looks.
    """
    furthest = float(np.sqrt(np.einsum("nc,nc->n", points, points).max(initial=0)))
    if not furthest <= OUTSIDE:
        raise ValueError(f"points must lie in the unit sphere, got {furthest} from its middle")
    pictures = parse(style)
    if backend not in BACKENDS:
        raise UserError(unknown("pointcloud backend", backend, list(BACKENDS)))
    if colours is None and any("rgb" in picture for picture in pictures):
        raise UserError("style rgb: the file has no colours. Use shaded, normals, depth or facing.")
    if backend == "mesh" and faces is None:
        raise UserError("backend mesh: the file has no faces. Use splat.")
    if faces is not None and backend in ("auto", "mesh"):
        from domains.pointcloud.rendering import mesh

        return mesh.draw(points, faces, cameras, size, pictures, normals, colours)
    from domains.pointcloud import geometry
    from domains.pointcloud.rendering import splat
    from domains.pointcloud.rendering.normals import estimate_normals

    sampling = geometry.sampling(points)
    normals = estimate_normals(points, sampling.pitch) if normals is None else normals
    drawn = splat.draw(points, normals, sampling, cameras, size, pictures, colours, _device(device))
    if backend != "visualizer":
        return drawn
    from domains.pointcloud.rendering import window

    return window.draw(drawn, points, normals, cameras, pictures, colours, point_px)


def joined(
    views: np.ndarray, owner: np.ndarray, place: np.ndarray, facing: np.ndarray, warnings: tuple[str, ...] = ()
) -> Drawn:
    """From K pictures of each of C cameras: ``views (C, K, 3, S, S)``, the others of each camera."""
    each = views.shape[1]
    if each > 1:
        owner, place, facing = (np.repeat(array, each, 0) for array in (owner, place, facing))
    return Drawn(views.reshape(-1, *views.shape[2:]), owner, place, facing, warnings)


def _device(name: str) -> torch.device:
    """The device of that name, if this machine has it."""
    import torch

    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"device {name!r} is none that torch knows. Use cpu or cuda.") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UserError(f"device {name!r}: this machine has no GPU that torch can use. Use cpu.")
    return device
