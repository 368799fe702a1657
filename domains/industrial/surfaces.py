"""A random stream -> a healthy scene: three products of the source set, three others of the target set."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from domains.industrial.paint import SIZE, Part, Rng, Scene, Shape, camera, clouds, colour, turned


def woven(rng: Rng) -> Scene:
    """Cloth: plain or twill weave of two yarns, with uneven yarns and a slight drape."""
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(6, 11)
    u, v = turned(angle, *rng.uniform(0, SIZE, 2))
    u, v = u / pitch + 0.25 * clouds(rng, (2, 2)), v / pitch + 0.25 * clouds(rng, (2, 2))
    column, row = np.floor(u).astype(int), np.floor(v).astype(int)
    repeat = int(rng.choice([2, 3, 4]))
    warp_on_top = (column + row) % repeat == 0
    ridge = np.where(warp_on_top, np.sin(np.pi * (u - column)), np.sin(np.pi * (v - row)))
    uneven = np.where(warp_on_top, rng.normal(0, 0.05, 512)[column % 512], rng.normal(0, 0.05, 512)[row % 512])
    base = rng.uniform(0.35, 0.7)
    yarns = colour(rng, (base, base, base * 0.9), 0.08), colour(rng, (base, base * 0.95, base * 0.85), 0.08)
    ground = np.where(warp_on_top[..., None], *yarns) * (0.72 + 0.3 * ridge + uneven)[..., None]
    return _scene(rng, ground, [], 0.04)


def brushed(rng: Rng) -> Scene:
    """Brushed metal plate with screws at even distances."""
    angle = rng.uniform(0, np.pi)
    metal = colour(rng, (0.55, 0.56, 0.58), 0.1)
    streaks = _streaks(rng, angle)
    ground = metal * (1 + rng.uniform(0.05, 0.12) * streaks)[..., None]
    radius, slot = rng.uniform(10, 14), rng.choice([1, 2])
    head = colour(rng, (0.66, 0.65, 0.62), 0.1)
    shapes = [
        Shape((radius + 2, radius + 2), metal * 0.55, corner=radius + 2),
        Shape((radius, radius), head, corner=radius, relief=0.35, bevel=radius / 2),
    ]
    cut = (radius * 0.75, radius * 0.16)
    shapes += [Shape(cut if i == 0 else cut[::-1], head * 0.35) for i in range(slot)]
    centres = _grid(rng, rng.uniform(56, 76), rng.uniform(56, 76), rng.uniform(-0.2, 0.2) + angle, 0.5)
    parts = [Part(x, y, rng.uniform(0, np.pi), tuple(shapes)) for x, y in centres]
    return _scene(rng, ground, parts, 0.02)


def printed(rng: Rng) -> Scene:
    """Carton printed with rows of one mark in one ink."""
    carton = colour(rng, (0.68, 0.62, 0.52), 0.12)
    ground = carton * (1 + 0.03 * clouds(rng, (40, 40), 2) + 0.02 * clouds(rng, (3, 3)))[..., None]
    ink = colour(rng, tuple(rng.uniform(0.12, 0.4, 3)), 0.05)
    shapes = []
    for _ in range(int(rng.integers(3, 6))):
        half = (rng.uniform(3, 9), rng.uniform(2, 4))
        round_off = min(half) * rng.choice([0.2, 1.0])
        offset = (rng.uniform(-7, 7), rng.uniform(-7, 7))
        shapes.append(Shape(half if rng.random() < 0.5 else half[::-1], ink, offset, round_off))
    angle = rng.uniform(0, 2 * np.pi)
    centres = _grid(rng, rng.uniform(34, 44), rng.uniform(32, 42), angle, 0.5)
    return _scene(rng, ground, [Part(x, y, angle, tuple(shapes)) for x, y in centres], 0.03)


def tiles(rng: Rng) -> Scene:
    """Glazed tiles in grout, in a grid or in bond."""
    grout = colour(rng, (0.6, 0.59, 0.56), 0.12)
    ground = grout * (1 + 0.06 * clouds(rng, (60, 60), 2))[..., None]
    width, height = rng.uniform(34, 60), rng.uniform(28, 44)
    joint, angle = rng.uniform(2.0, 3.5), rng.uniform(0, np.pi)
    glaze = colour(rng, tuple(rng.uniform(0.25, 0.7, 3)), 0.05)
    half, relief = (width / 2 - joint, height / 2 - joint), rng.uniform(0.1, 0.25)
    parts = []
    for x, y in _grid(rng, width, height, angle, 0.4, bond=rng.choice([0.0, 0.5])):
        tone = np.clip(glaze * rng.normal(1, 0.06), 0.03, 0.95)
        wobble = rng.normal(0, 0.012)
        parts.append(Part(x, y, angle + wobble, (Shape(half, tone, corner=3.0, relief=relief, bevel=3.0),)))
    return _scene(rng, ground, parts, 0.05)


def tablets(rng: Rng) -> Scene:
    """Scored tablets in the pockets of an embossed foil."""
    foil = colour(rng, (0.62, 0.63, 0.65), 0.08)
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(5, 8)
    u, v = turned(angle, *rng.uniform(0, SIZE, 2))
    emboss = np.sin(2 * np.pi * (u + v) / pitch) * np.sin(2 * np.pi * (u - v) / pitch)
    ground = foil * (1 + rng.uniform(0.05, 0.12) * emboss + 0.04 * clouds(rng, (4, 4)))[..., None]
    radius = rng.uniform(14, 19)
    pocket = Shape((radius + 5, radius + 5), foil * 0.9, corner=radius + 5, relief=-0.3, bevel=5.0)
    pill = colour(rng, tuple(rng.uniform(0.5, 0.85, 3)), 0.06)
    body = Shape((radius, radius), pill, corner=radius, relief=0.2, bevel=radius / 2)
    score = Shape((radius * 0.8, 1.4), pill * 0.7)
    spacing = 2 * radius + rng.uniform(14, 20)
    centres = _grid(rng, spacing, spacing, angle + np.pi / 4, 0.6)
    parts = [Part(x, y, rng.uniform(0, np.pi), (pocket, body, score)) for x, y in centres]
    return _scene(rng, ground, parts, 0.02)


def leather(rng: Rng) -> Scene:
    """Grained leather: cells between creases, of uneven tone."""
    from scipy.spatial import cKDTree

    pitch = rng.uniform(6, 11)
    count = int((SIZE + 120) ** 2 / pitch**2)  # the square reaches past the turned corners
    seeds = rng.uniform(-60, SIZE + 60, (count, 2))
    stretch = np.array([1.0, rng.uniform(1.0, 1.6)])
    points = np.stack(turned(rng.uniform(0, np.pi), SIZE / 2, SIZE / 2), axis=2) + SIZE / 2
    distance, nearest = cKDTree(seeds * stretch).query((points * stretch).reshape(-1, 2), k=2)
    crease = np.clip((distance[:, 1] - distance[:, 0]) / (pitch * 0.35), 0, 1).reshape(SIZE, SIZE)
    tone = rng.normal(0, 0.05, count)[nearest[:, 0]].reshape(SIZE, SIZE)
    hide = colour(rng, (0.48, 0.36, 0.28), 0.14)
    ground = hide * (0.66 + 0.34 * crease + tone + 0.04 * clouds(rng, (3, 3)))[..., None]
    return _scene(rng, ground, [], 0.04)


Surface = Callable[[Rng], Scene]
SOURCE: dict[str, Surface] = {"brushed": brushed, "printed": printed, "woven": woven}
TARGET: dict[str, Surface] = {"leather": leather, "tablets": tablets, "tiles": tiles}


def _scene(rng: Rng, ground: np.ndarray, parts: list[Part], grain: float) -> Scene:
    """A scene under a camera of its own, with uneven grain and specks, which are no defect, over all of it."""
    specks = rng.random((SIZE, SIZE)) < rng.uniform(0, 0.004)
    fine = 1 + grain * clouds(rng, (24, 24), 2) * 0.5 + specks * rng.normal(0, 0.25, (SIZE, SIZE))
    gain, blur, noise, light = camera(rng)
    return Scene(np.clip(ground, 0, 1), fine[..., None], parts, gain, blur, noise, light)


def _streaks(rng: Rng, angle_rad: float) -> np.ndarray:
    """``(SIZE, SIZE)`` noise drawn out along ``angle_rad``, mean 0, deviation 1."""
    from scipy.ndimage import map_coordinates

    u, v = turned(angle_rad, SIZE / 2, SIZE / 2)
    field = rng.normal(size=(SIZE * 3 // 2, 10))
    streaks = map_coordinates(field, [v + SIZE * 0.75, u / 60 + 4.5], order=1, mode="reflect")
    return (streaks - streaks.mean()) / streaks.std()


def _grid(
    rng: Rng, width: float, height: float, angle_rad: float, jitter: float, bond: float = 0.0
) -> list[tuple[float, float]]:
    """Centres ``(x, y)`` of a turned grid with random phase, everywhere that a part could show.

    Args:
        rng: draws phase and jitter.
        width: of a cell in pixels.
        height: of a cell in pixels.
        angle_rad: of the rows.
        jitter: deviation of a centre in pixels.
        bond: shift of every second row, as a share of ``width``.
    """
    phase = rng.uniform(0, 1, 2)
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    count = int(SIZE / min(width, height)) + 2
    centres = []
    for row in range(-count, count + 1):
        for column in range(-count, count + 1):
            u = (column + phase[0] + bond * (row % 2)) * width
            v = (row + phase[1]) * height
            x, y = SIZE / 2 + u * cos - v * sin, SIZE / 2 + u * sin + v * cos
            if -40 < x < SIZE + 40 and -40 < y < SIZE + 40:
                dx, dy = rng.normal(0, jitter, 2)
                centres.append((float(x + dx), float(y + dy)))
    return centres
