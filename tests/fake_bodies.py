"""Shapes that defects are made on in tests: the procedural ones, a ball, and a thin shell of two walls."""

from functools import cache
from pathlib import Path

import numpy as np

from domains.pointcloud.files import Shape
from domains.pointcloud.making.body import Body, body_of
from domains.pointcloud.making.shapes import SHAPES, Mesh, revolve, sample

WALL = 0.06  # of the shell, whose radius is 1
NAMES = (*SHAPES, "ball", "shell")


def mesh_of(name: str) -> Mesh:
    rng = np.random.default_rng(3)
    turn = np.linspace(0, np.pi, 60)
    if name == "ball":
        return revolve(np.stack([np.sin(turn).round(12), -np.cos(turn)], 1))
    if name == "shell":
        half = turn / 2
        outer = np.stack([np.sin(half), -np.cos(half)], 1)
        return revolve(np.concatenate([outer, (1 - WALL) * outer[::-1]]))
    return SHAPES[name](rng)


@cache
def body(name: str, form: str = "mesh", count: int = 25_000) -> Body:
    """One for all tests of a process, which must not change it."""
    vertices, faces = mesh_of(name)
    if form == "mesh":
        return body_of(Path(f"{name}.obj"), Shape(vertices, faces=faces), count)
    return body_of(Path(f"{name}.pcd"), Shape(sample((vertices, faces), count, np.random.default_rng(5))[0]), count)
