"""A folder and a seed in; small Real3D-AD sets of objects that exist nowhere out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from domains.pointcloud.library import open3d
from domains.pointcloud.making.defects import DEFECTS, spoil
from domains.pointcloud.making.shapes import SHAPES, sample
from framework.errors import UserError
from framework.registry import register

SETS = {"source": ("vase", "gear", "torus"), "target": ("bottle", "bolt", "bowl")}
POINTS = (6_000, 15_000)
PROTOTYPES = 2  # normal clouds in train, per category
SPARE = 1.25  # more points are drawn than written: a hole takes some away, and counts must not tell
SHARE = (0.015, 0.05)  # of the points that a defect touches
SEVERITY = (0.4, 1.0)  # faint to plain
RADIUS = 50.0  # of an object, in the units of the file


@dataclass(frozen=True, slots=True)
class Source:
    """What clouds are drawn from.

    Attributes:
        draw: (count, rng) to ``(count, 3)`` points of one specimen and their outward unit normals.
        points: least and most points of a cloud.
    """

    draw: Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray]]
    points: tuple[int, int] = POINTS


@register("procedural", "pointcloud")
def write(root: Path, seed: int = 0, samples: int = 96) -> None:
    """Write ``root/source`` and ``root/target``: clouds with labels, as ``pointcloud/real3d`` reads them.

    The source set holds vases, gears and tori; the target set bottles, bolts and bowls. In each category every second
    cloud has one of six defects, from faint to plain.

    Args:
        root: made if need be.
        seed: the same seed writes the same bytes.
        samples: test clouds of each set, at least two a category; half are spoiled.

    Raises:
        UserError: too few samples, a set that is already there, or a file that cannot be written.
        MissingPackageError: Open3D is missing, without which these clouds could not be drawn.
    """
    open3d()
    for number, (name, shapes) in enumerate(SETS.items()):
        write_set(root / name, {shape: Source(_specimen(shape)) for shape in shapes}, [seed, number], samples)


def write_set(root: Path, sources: dict[str, Source], seed: list[int], samples: int) -> None:
    """Write one set, whole or not at all: ``samples`` test clouds over all categories, every second one spoiled.

    Args:
        root: the folder to make.
        sources: what each category is drawn from.
        seed: of everything.
        samples: at least two a category.

    Raises:
        UserError: too few samples, a folder that is already there, or a file that cannot be written.
    """
    if samples < 2 * len(sources):
        raise UserError(f"samples: a set needs at least {2 * len(sources)}, got {samples}.")
    if root.exists():
        raise UserError(f"{root}: is already there. Remove it or choose another folder.")
    part = root.with_name(f".{root.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        _write_train(part, sources, seed)
        _write_test(part, sources, seed, samples)
        part.rename(root)
    except OSError as error:
        raise UserError(f"{error.filename or root}: cannot be written ({error.strerror}).") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_pcd(path: Path, points: np.ndarray) -> None:
    """Write ``(N, 3)`` points as a binary .pcd of float32."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pcd(points))


def pcd(points: np.ndarray) -> bytes:
    """What a binary .pcd of float32 with ``(N, 3)`` points holds."""
    header = (
        "# .PCD v0.7\nVERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\n"
        f"WIDTH {len(points)}\nHEIGHT 1\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS {len(points)}\nDATA binary\n"
    )
    return header.encode("ascii") + points.astype("<f4").tobytes()


def _write_train(root: Path, sources: dict[str, Source], seed: list[int]) -> None:
    """Normal prototypes."""
    for k, category in enumerate(sources):
        for j in range(PROTOTYPES):
            points, _ = _cloud(sources[category], None, np.random.default_rng([*seed, 1, k, j]))
            write_pcd(root / category / "train" / f"{j}_template.pcd", points)


def _write_test(root: Path, sources: dict[str, Source], seed: list[int], samples: int) -> None:
    """Clouds of every category in turn; defects in turn of each kind, and a label file for each."""
    kinds = list(DEFECTS)
    for i in range(samples):
        turn, place = divmod(i, len(sources))
        category = list(sources)[place]
        kind = kinds[(turn // 2 + place) % len(kinds)] if turn % 2 else None
        points, spoiled = _cloud(sources[category], kind, np.random.default_rng([*seed, 0, i]))
        stem = f"{i}_{kind or 'good'}"
        write_pcd(root / category / "test" / f"{stem}.pcd", points)
        if kind:
            label = root / category / "gt" / f"{stem}.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            np.savetxt(label, np.c_[points, spoiled], ["%.6f"] * 3 + ["%d"])


def _specimen(shape: str) -> Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray]]:
    """Draws proportions, then points."""
    return lambda count, rng: sample(SHAPES[shape](rng), count, rng)


def _cloud(source: Source, kind: str | None, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """``(N, 3)`` float32 points in file units and ``(N,)`` bool, the spoiled ones, in random order.

    Size, place, turn, noise and number of points are drawn alike for normal and spoiled clouds, so that none of them
    gives a defect away.
    """
    count = int(rng.integers(*source.points))
    points, normals = source.draw(int(count * SPARE), rng)
    points = points - (points.min(0) + points.max(0)) / 2
    points /= np.linalg.norm(points, axis=1).max()
    spoiled = np.zeros(len(points), bool)
    share, severity = np.exp(rng.uniform(*np.log(SHARE))), rng.uniform(*SEVERITY)
    if kind:
        points, spoiled = spoil(kind, points, normals, share, severity, rng)
    points = points * rng.uniform(0.94, 1.06, 3) + rng.normal(0, rng.uniform(0.001, 0.004), points.shape)
    points = points @ turn(rng) * RADIUS * np.exp(rng.normal(0, 0.25)) + rng.normal(0, 20, 3)
    keep = rng.permutation(len(points))[:count]
    return points[keep].astype(np.float32), spoiled[keep]


def turn(rng: np.random.Generator) -> np.ndarray:
    """``(3, 3)`` any turn about z, then up to 15 degrees about a random axis (Rodrigues' formula)."""
    yaw, tilt = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(0, 15))
    axis = rng.normal(size=3)
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    tilted = np.eye(3) + np.sin(tilt) * cross + (1 - np.cos(tilt)) * cross @ cross
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ tilted
