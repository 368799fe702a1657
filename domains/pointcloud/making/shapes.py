"""A random generator in; the triangle mesh of an object with drawn proportions out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Mesh = tuple[np.ndarray, np.ndarray]
"""``(N, 3)`` float64 vertices and ``(F, 3)`` int64 faces whose normals point out."""

AROUND, ALONG = 240, 120  # steps of a grid


def vase(rng: np.random.Generator) -> Mesh:
    """Open at the top, one wall, two or three soft waves."""
    z = np.linspace(-1, 1, ALONG)
    waves, phase = rng.uniform(1.4, 2.6), rng.uniform(0, 2 * np.pi)
    radius = rng.uniform(0.42, 0.6) + rng.uniform(0.08, 0.16) * np.cos(np.pi * waves * z / 2 + phase)
    bottom = np.stack([np.linspace(0, radius[0], 24)[:-1], np.full(23, -1.0)], 1)
    return revolve(np.concatenate([bottom, np.stack([radius, z], 1)]))


def bottle(rng: np.random.Generator) -> Mesh:
    """Closed: body, shoulder, neck and cap."""
    body, neck = rng.uniform(0.38, 0.5), rng.uniform(0.13, 0.2)
    shoulder, height = rng.uniform(0.0, 0.25), rng.uniform(0.25, 0.45)
    turn = np.linspace(0, np.pi, 20)
    slope = np.stack([neck + (body - neck) * (1 + np.cos(turn)) / 2, shoulder + height * turn / np.pi], 1)
    return revolve(np.concatenate([[[0, -1], [body, -1]], slope, [[neck, 1], [0, 1]]]))


def bowl(rng: np.random.Generator) -> Mesh:
    """Open, one wall, a flat foot."""
    turn = np.linspace(0.25, np.pi / 2, 60)
    depth, power = rng.uniform(0.5, 0.85), rng.uniform(0.8, 1.3)
    wall = np.stack([np.sin(turn) ** power, -depth * np.cos(turn)], 1)
    return revolve(np.concatenate([[[0, wall[0, 1]]], wall]))


def torus(rng: np.random.Generator) -> Mesh:
    """A ring with an elliptic section."""
    turn = np.linspace(0, 2 * np.pi, ALONG)
    thick, flat = rng.uniform(0.24, 0.36), rng.uniform(0.8, 1.3)
    return revolve(np.stack([0.68 + thick * np.cos(turn), thick * flat * np.sin(turn)], 1))


def gear(rng: np.random.Generator) -> Mesh:
    """A thick disc with nine to fifteen rounded teeth."""
    teeth, tall, half = int(rng.integers(9, 16)), rng.uniform(0.07, 0.13), rng.uniform(0.2, 0.36)
    points, faces = revolve(np.array([[0, -half], [0.55, -half], [1, -half], [1, half], [0.55, half], [0, half]]))
    angle, radius = np.arctan2(points[:, 1], points[:, 0]), np.hypot(points[:, 0], points[:, 1])
    outer = np.clip((radius - 0.55) / 0.3, 0, 1)
    points[:, :2] *= (1 + tall * outer * np.tanh(2.5 * np.cos(teeth * angle)))[:, None]
    return points, faces


def bolt(rng: np.random.Generator) -> Mesh:
    """A hexagonal head on a shaft with a helical thread."""
    shaft, head, foot = rng.uniform(0.24, 0.32), rng.uniform(0.5, 0.62), rng.uniform(0.3, 0.5)
    turns, groove = rng.uniform(7, 10), rng.uniform(0.02, 0.035)
    points, faces = revolve(np.array([[0, -1], [shaft, -1], [shaft, 1 - foot], [head, 1 - foot], [head, 1], [0, 1]]))
    angle, radius = np.arctan2(points[:, 1], points[:, 0]), np.hypot(points[:, 0], points[:, 1])
    hexagon = np.cos(np.pi / 6) / np.cos(np.mod(angle, np.pi / 3) - np.pi / 6)
    thread = 1 + groove / shaft * np.sin(np.pi * turns * points[:, 2] + angle)
    under = points[:, 2] < 1 - foot - 1e-9
    side = radius > shaft - 1e-9
    points[:, :2] *= np.where(under & side, thread, np.where(side, hexagon, 1.0))[:, None]
    return points, faces


def revolve(profile: np.ndarray) -> Mesh:
    """Turn ``profile (K, 2)``, radius and height, about z. A profile that climbs has its outside away from the axis."""
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(profile, axis=0), axis=1))])
    steps = np.union1d(np.linspace(0, length[-1], ALONG), length)  # corners stay corners
    radius, height = (np.interp(steps, length, column) for column in profile.T)
    angle = np.linspace(0, 2 * np.pi, AROUND, endpoint=False)[:, None]
    rings = np.stack(np.broadcast_arrays(radius * np.cos(angle), radius * np.sin(angle), height), -1)
    here = np.arange(AROUND)[:, None] * len(steps) + np.arange(len(steps) - 1)
    there = np.roll(here, -1, 0)
    faces = np.stack([here, there, there + 1, here, there + 1, here + 1], -1).reshape(-1, 3)
    return rings.reshape(-1, 3), faces


def sample(mesh: Mesh, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """``(count, 3)`` points spread evenly over the area, and their unit normals."""
    place, face = spread(mesh, count, rng)
    normal = _doubled(mesh)[face]
    return place, normal / np.linalg.norm(normal, axis=1)[:, None]


def spread(mesh: Mesh, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """``(count, 3)`` points spread evenly over the area, and ``(count,)`` the face of each."""
    points, faces = mesh
    a, b, c = (points[faces[:, k]] for k in range(3))
    area = np.linalg.norm(_doubled(mesh), axis=1)
    pick = np.searchsorted(np.cumsum(area) / area.sum(), rng.random(count)).clip(0, len(faces) - 1)
    u, v = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
    return (1 - u) * a[pick] + u * (1 - v) * b[pick] + u * v * c[pick], pick


def _doubled(mesh: Mesh) -> np.ndarray:
    """``(F, 3)`` normals with the length of twice the face's area."""
    a, b, c = (mesh[0][mesh[1][:, k]] for k in range(3))
    return np.cross(b - a, c - a)


SHAPES: dict[str, Callable[[np.random.Generator], Mesh]] = {
    shape.__name__: shape for shape in (vase, bottle, bowl, torus, gear, bolt)
}
