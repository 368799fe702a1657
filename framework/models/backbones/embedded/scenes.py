"""A random generator goes in; a scene comes out: silhouette, colour and height fields that a camera can light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from framework.models.backbones.embedded.textures import Field, noise


@dataclass(slots=True)
class Scene:
    """What the camera sees; S x S pixels.

    Attributes:
        alpha: ``(S, S)`` in [0, 1], 1 where the object is.
        background: ``(3, S, S)`` or ``(3, 1, 1)`` in [0, 1].
        albedo: ``(3, S, S)``, colour of the object with its prints.
        plain: ``(3, S, S)``, colour of the object without its prints.
        height: ``(S, S)`` in pixels towards the camera.
    """

    alpha: Field
    background: Field
    albedo: Field
    plain: Field
    height: Field


def grid(size: int) -> tuple[Field, Field]:
    """Pixel coordinates (down, across) about the centre, ``(S, 1)`` and ``(1, S)``."""
    ramp = np.arange(size, dtype=np.float32) - (size - 1) / 2
    return ramp[:, None], ramp[None]


def inside(rng: np.random.Generator, y: Field, x: Field, radius: float, plain: bool = False) -> Field:
    """Roughly the distance in pixels to the outline of a random shape about (0, 0), positive inside."""
    u, v = turn(rng, y, x)
    p, q = (u * (rng.uniform(0.4, 1.0) / radius)) ** 2, (v / radius) ** 2
    doublings = rng.choice((0, 0, 1, 2))  # an ellipse, or a box with corners ever sharper
    for _ in range(doublings):
        p, q = p * p, q * q
    r = p + q
    for _ in range(doublings + 1):
        r = np.sqrt(r)
    r = radius * r
    out = radius - r
    if not plain and rng.random() < 0.4:
        lobes, depth = int(rng.integers(2, 14)), rng.uniform(0.02, 0.25)
        out = out + radius * depth * np.cos(lobes * np.arctan2(v, u) + rng.uniform(0, 6))
    if not plain and rng.random() < 0.25:
        out = np.minimum(out, r - radius * rng.uniform(0.2, 0.75))
    return np.asarray(out, np.float32)


def turn(rng: np.random.Generator, y: Field, x: Field) -> tuple[Field, Field]:
    """Coordinates along and across a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    c, s = float(np.cos(angle)), float(np.sin(angle))
    return x * c + y * s, y * c - x * s


def colour(rng: np.random.Generator, grey: bool) -> Field:
    """``(3, 1, 1)`` in [0, 1]."""
    base = rng.uniform(0.08, 0.95)
    tint = np.zeros(3) if grey else rng.uniform(-0.3, 0.3, 3)
    return np.clip(base + tint, 0.02, 1).astype(np.float32)[:, None, None]


def step(distance: Field, soft: float) -> Field:
    """0 outside, 1 inside, with an edge ``soft`` pixels wide."""
    return np.clip(distance / soft + 0.5, 0, 1)


def scene(rng: np.random.Generator, textures: Field, size: int) -> Scene:
    """A random scene of one of four families: flat surface, printed part, relief object, layered body."""
    family = (_surface, _part, _relief, _body)[rng.choice(4, p=(0.3, 0.15, 0.28, 0.27))]
    return family(rng, textures, size)


def _surface(rng: np.random.Generator, textures: Field, size: int) -> Scene:
    """Material that fills the picture."""
    grey = rng.random() < 0.5
    plain = _material(rng, textures, size, grey)
    height = noise(rng, textures, size) * rng.uniform(0, 1.0)
    made = Scene(np.ones((size, size), np.float32), colour(rng, grey), plain, plain, height)
    return _decorate(rng, made, grey, 0.6)


def _part(rng: np.random.Generator, textures: Field, size: int) -> Scene:
    """A part with prints and bosses on a table."""
    grey = rng.random() < 0.5
    y, x = grid(size)
    shift = (rng.uniform(-0.1, 0.1, 2) * size).tolist()
    distance = inside(rng, y - shift[0], x - shift[1], size * rng.uniform(0.3, 0.6))
    plain = _material(rng, textures, size, grey)
    table = _material(rng, textures, size, grey) if rng.random() < 0.4 else _backdrop(rng, grey)
    bevel = rng.uniform(1, 8)
    height = np.clip(distance, 0, bevel) * rng.uniform(0, 1.5) + noise(rng, textures, size) * rng.uniform(0, 0.5)
    made = Scene(step(distance, rng.uniform(1, 2)), table, plain, plain, height.astype(np.float32))
    return _decorate(rng, made, grey, 0.85)


def _relief(rng: np.random.Generator, textures: Field, size: int) -> Scene:
    """A round object of one material: domes, rings, ribs and waves under a lamp."""
    grey = rng.random() < 0.8
    y, x = grid(size)
    height, alpha = np.full((size, size), -1.0, np.float32), np.zeros((size, size), np.float32)
    for _ in range(rng.integers(1, 4)):
        shift = (rng.uniform(-0.2, 0.2, 2) * size).tolist()
        distance = inside(rng, y - shift[0], x - shift[1], size * rng.uniform(0.2, 0.48))
        rim = max(2.0, float(distance.max()) * rng.uniform(0.5, 1.0))
        rise = np.clip(distance / rim, 0, 1)
        dome = np.sqrt(rise * (2 - rise)) * rim * rng.uniform(0.4, 1.2) + rng.uniform(-4, 8)
        part = step(distance, 1.5)
        height = np.where(part > 0, np.maximum(height, dome), height)
        alpha = np.maximum(alpha, part)
    if rng.random() < 0.4:
        height = height + rng.uniform(0.3, 2.0) * _wave(rng, textures, size)
    height = height + noise(rng, textures, size) * float(rng.choice((0, 0, 0.1, 0.5)))
    plain = np.ones((3, size, size), np.float32) * colour(rng, grey).clip(0.3)
    plain *= 1 + rng.uniform(0, 0.05) * noise(rng, textures, size)
    return Scene(alpha, _backdrop(rng, grey), plain, plain, height.astype(np.float32))


def _body(rng: np.random.Generator, textures: Field, size: int) -> Scene:
    """A cut through a body: shells about a folded core with mirrored chambers, grey on a dark ground."""
    y, x = grid(size)
    warp = noise(rng, textures, size, smooth=True) * rng.uniform(0, 3.0)
    distance = inside(rng, y, x, size * rng.uniform(0.36, 0.5), plain=True) + warp
    levels = rng.uniform(0.1, 0.95, 6)
    image, depth = np.full((size, size), levels[0], np.float32), 0.0
    for value in levels[1 : rng.integers(3, 6)]:
        depth += rng.uniform(2, 9)
        image += (value - image) * step(distance - depth, rng.uniform(1, 3))
    folds = noise(rng, textures, size, smooth=rng.random() < 0.6)
    folds = folds + folds[:, ::-1] * int(rng.random() < 0.8)
    fold = np.clip(folds * rng.uniform(0.5, 3) - rng.uniform(-0.5, 1), 0, 1) * step(distance - depth - 2, 2)
    image += (levels[5] - image) * fold * rng.uniform(0.2, 1)
    if rng.random() < 0.6:  # furrows
        seam = noise(rng, textures, size, smooth=True)
        seam = step(rng.uniform(0.05, 0.2) - np.abs(seam + seam[:, ::-1] * int(rng.random() < 0.7)), 0.1)
        image += (rng.uniform(0, 1) - image) * seam * (step(distance - depth - 1, 2) * rng.uniform(0.3, 1))
    for _ in range(rng.integers(0, 4)):
        dy, dx = rng.uniform(-0.2, 0.2) * size, rng.uniform(0, 0.18) * size
        radius, state = size * rng.uniform(0.03, 0.12), rng.integers(2**31)
        value = rng.uniform(0, 1)
        for side in (-1, 1):
            hollow = inside(np.random.default_rng(state), y - dy, side * x - dx, radius) + warp / 2
            image += (value - image) * step(hollow, 2)
    image += noise(rng, textures, size) * rng.uniform(0, 0.04)
    plain = np.repeat(image[None], 3, 0)
    ground = np.full((3, 1, 1), rng.choice((0.0, 0.03, 0.1)), np.float32)
    return Scene(step(distance, 2), ground, plain, plain, np.zeros((size, size), np.float32))


def _material(rng: np.random.Generator, textures: Field, size: int, grey: bool) -> Field:
    """``(3, S, S)``: one or two colours mixed by a texture."""
    first, second = colour(rng, grey), colour(rng, grey)
    pattern = _wave(rng, textures, size) if rng.random() < 0.3 else noise(rng, textures, size)
    if rng.random() < 0.2:
        pattern = np.sign(pattern - rng.uniform(-1, 1))
    strength = float(rng.choice((0.0, 0.1, 0.3, 1.0))) * rng.uniform(0.3, 1)
    return (first + (second - first) * strength * pattern * 0.4).clip(0, 1).astype(np.float32)


def _wave(rng: np.random.Generator, textures: Field, size: int) -> Field:
    """A regular pattern in [-1, 1]: stripes, weave, dots or rings, a little bent."""
    y, x = grid(size)
    pace = float(2 * np.pi / size * np.exp(rng.uniform(1.3, 3.2)))
    bend = noise(rng, textures, size, smooth=True) * (rng.uniform(0, 1) * (rng.random() < 0.5))
    u, v = turn(rng, y * pace, x * pace)
    u, v = u + bend, v + bend
    kind = rng.integers(4)
    if kind == 0:
        return np.sin(u)
    if kind == 1:
        return np.sin(u) * np.sin(v)
    if kind == 2:
        return np.where(np.sin(u / 2) * np.sin(v / 2) > 0, np.sin(u), np.sin(v))
    return np.sin(np.hypot(x - rng.uniform(-1, 1) * size, y - rng.uniform(-1, 1) * size) * pace)


def _backdrop(rng: np.random.Generator, grey: bool) -> Field:
    """White, black or any one colour, ``(3, 1, 1)``."""
    pick = rng.random()
    if pick < 0.4:
        return np.full((3, 1, 1), rng.uniform(0.9, 1.0), np.float32)
    return np.full((3, 1, 1), rng.uniform(0, 0.1), np.float32) if pick < 0.6 else colour(rng, grey)


def _decorate(rng: np.random.Generator, made: Scene, grey: bool, chance: float) -> Scene:
    """Prints, bosses and lattices of elements, as an object may honestly have them."""
    size = made.height.shape[0]
    y, x = grid(size)
    made.albedo = made.plain.copy()
    if rng.random() > chance:
        return made
    for _ in range(rng.integers(1, 4)):
        u, v = turn(rng, y - rng.uniform(-0.35, 0.35) * size, x - rng.uniform(-0.35, 0.35) * size)
        radius = float(size * np.exp(rng.uniform(-3.4, -1.7)))
        reach = (rng.integers(1, 5, 2) * (rng.random() < 0.85)).tolist() if rng.random() < 0.5 else (99, 99)
        u, v = _lattice(rng, u, v, (radius * rng.uniform(2.2, 3.5, 2)).tolist(), reach)
        for _ in range(rng.integers(1, 4)):
            mark = step(inside(rng, v, u, radius), rng.uniform(1, 2)) * made.alpha
            made.albedo += (colour(rng, grey) - made.albedo) * (mark * rng.uniform(0.3, 1) * (rng.random() < 0.8))
            made.height = made.height + mark * (rng.uniform(-3, 3) * (rng.random() < 0.4))
            radius *= rng.uniform(0.4, 0.9)
    return made


def _lattice(
    rng: np.random.Generator, u: Field, v: Field, pitch: list[float], reach: Sequence[int]
) -> tuple[Field, Field]:
    """Fold the plane into cells, at most ``reach`` to each side: one shape is drawn in all, turned or not."""
    row, column = (np.clip(np.rint(w / p), -r, r) for w, p, r in zip((u, v), pitch, reach, strict=True))
    u, v = u - row * pitch[0], v - column * pitch[1]
    if rng.random() < 0.6:
        return u, v
    angles = rng.uniform(0, 2 * np.pi, (16, 16)).astype(np.float32)
    angle = angles[row.astype(np.intp) % 16, column.astype(np.intp) % 16] * rng.uniform(0, 1)
    c, s = np.cos(angle), np.sin(angle)
    return u * c + v * s, v * c - u * s
