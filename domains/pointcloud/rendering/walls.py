"""Points and their normals in; how many lie on walls that are too thin to be told apart, out."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from domains.pointcloud.geometry import Sampling

PROBES = 2048  # points that are looked at
ENOUGH = 200_000  # points that they are looked for among
NEIGHBOURS = 64
BESIDE = 1.2  # how far across, in pitches, the other side of a wall may be sampled
THICKER = (
    0.3,
    8.0,
)  # a wall is thicker than that many pitches, and than that many times what a quarter of points deviate
PARALLEL_COS = 0.8
FEW = 0.06  # share of the points that edges and noise may pass for walls


def thin(points: np.ndarray, normals: np.ndarray, sampling: Sampling, tolerance: float) -> tuple[float, float]:
    """Share of the points on walls thinner than ``tolerance``, and how thick these walls are, in units of ``points``.

    Behind such a point lie others of the same direction, and none between.

    Args:
        points: ``(N, 3)`` float64.
        normals: ``(N, 3)`` unit, of either sign.
        sampling: of the points.
        tolerance: how far apart two surfaces must lie to be told apart.
    """
    step = -(-len(points) // ENOUGH)
    some, facing, pitch = points[::step], normals[::step], sampling.pitch * step**0.5
    probes = np.arange(0, len(some), max(1, len(some) // PROBES))
    reach = float(np.hypot(tolerance, BESIDE * pitch))
    tree = cKDTree(some, balanced_tree=False, compact_nodes=False)
    count = min(NEIGHBOURS, len(some))
    near = tree.query(some[probes], count, distance_upper_bound=reach)[1].reshape(len(probes), count)
    known = near < len(some)
    near = np.where(known, near, probes[:, None])
    away = some[near] - some[probes, None]  # (P, K, 3)
    height = np.abs(np.einsum("pkc,pc->pk", away, facing[probes]))
    across = np.sqrt(np.maximum((away**2).sum(-1) - height**2, 0))
    beside = known & (across < BESIDE * pitch)
    beside[:, 0] = False  # the point itself
    if not beside.any():
        return 0.0, 0.0
    least = max(THICKER[0] * pitch, THICKER[1] * float(np.quantile(height[beside], 0.25)))
    parallel = np.abs(np.einsum("pkc,pc->pk", facing[near], facing[probes])) > PARALLEL_COS
    behind = np.where(beside & parallel & (height > least) & (height < tolerance), height, np.inf).min(1)
    between = beside & (height > 0.25 * behind[:, None]) & (height < 0.75 * behind[:, None])
    wall = np.isfinite(behind) & ~between.any(1)
    return float(wall.mean()), float(np.median(behind[wall])) if wall.any() else 0.0


def warning(points: np.ndarray, normals: np.ndarray, sampling: Sampling, tolerance: float) -> tuple[str, ...]:
    """A line where walls are too thin, as ``Drawn.warnings`` has it."""
    share, thick = thin(points, normals, sampling, tolerance)
    if share <= FEW:
        return ()
    return (
        f"about {share:.0%} of {len(points)} points lie on walls some {thick:.3f} thick (1 is the object's radius): "
        f"below {tolerance:.3f} the two sides cannot be told apart, and hidden points count as seen. "
        "Sample more densely, or give a mesh.",
    )
