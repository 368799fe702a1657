"""A healthy scene -> its photograph with one defect, and the mask of the pixels that changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from PIL import Image, ImageDraw

from domains.industrial.paint import SIZE, Part, Rng, Scene, clouds, expose, paint, turned

CHANGED = 6  # of 255: a pixel that differs more from its healthy twin belongs to the mask
AREA = (150, SIZE * SIZE // 8)  # pixels a mask may have
SOLID = 0.6  # share of a mask that changed; the rest are pinholes, closed so that a defect is one region
TRIES = 200
FINE = 4  # lines are drawn this many times larger, then averaged down


def photograph(scene: Scene) -> np.ndarray:
    """``(SIZE, SIZE, 3)`` uint8 of the healthy scene."""
    return expose(scene, paint(scene, scene.parts))


def damage(scene: Scene, kind: str, rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    """The scene with one defect of random place, size and strength.

    Args:
        scene: healthy; its picture is the same outside the mask, bit for bit.
        kind: one of ``kinds(scene)``.
        rng: a stream of its own, so that the scene does not depend on the defect.

    Returns:
        ``(SIZE, SIZE, 3)`` uint8 and ``(SIZE, SIZE)`` bool, as many pixels set as ``AREA`` allows.
    """
    clean = paint(scene, scene.parts)
    healthy = expose(scene, clean)
    for _ in range(TRIES):
        broken = expose(scene, np.clip(DEFECTS[kind](scene, clean, rng), 0, 1))
        changed = np.abs(healthy.astype(np.int16) - broken).max(axis=2) > CHANGED
        mask = _close(changed)
        if AREA[0] <= mask.sum() <= AREA[1] and changed[mask].mean() >= SOLID:
            return np.where(mask[..., None], broken, healthy), mask
    raise ValueError(f"no visible {kind} in {TRIES} tries")


def kinds(scene: Scene) -> list[str]:
    """Defects that the scene can have; only what has parts can have a wrong one."""
    return [k for k in DEFECTS if scene.parts or k != "part"]


def scratch(scene: Scene, clean: np.ndarray, rng: Rng) -> np.ndarray:
    """A thin curve, lighter or darker than the surface."""
    step = rng.choice([-1, 1]) * _strength(rng, 0.4, 0.95)
    line = _stroke(_walk(rng, rng.uniform(50, 130), bend=0.03), rng.uniform(2.4, 5.0))
    return clean * (1 + step * line[..., None])


def stain(scene: Scene, clean: np.ndarray, rng: Rng) -> np.ndarray:
    """A soft-edged blot with a colour of its own, lighter or darker than the surface."""
    blot = _blob(rng, rng.uniform(14, 32), soft=0.35)
    step = rng.choice([-1, 1]) * _strength(rng, 0.25, 0.75) + rng.uniform(-0.12, 0.12, 3)
    return clean * (1 + step * blot[..., None])


def dent(scene: Scene, clean: np.ndarray, rng: Rng) -> np.ndarray:
    """A bump or hollow: shaded away from the light, lit towards it."""
    radius = rng.uniform(9, 22)
    along, across = turned(scene.light_rad, *_place(rng))
    bell = np.exp(-(along**2 + across**2) / (2 * radius**2))
    shade = along / radius * bell * np.exp(0.5)  # derivative of the bell, at most 1
    return clean * (1 + rng.choice([-1, 1]) * _strength(rng, 0.4, 0.95) * shade[..., None])


def crack(scene: Scene, clean: np.ndarray, rng: Rng) -> np.ndarray:
    """A jagged dark line with a branch and a lit flank."""
    trunk = _walk(rng, rng.uniform(60, 130), bend=0.5)
    turn = rng.uniform(0.4, 1.0) * rng.choice([-1, 1])
    branch = trunk[len(trunk) // 2] + (trunk[: len(trunk) // 2] - trunk[0]) @ _rotation(turn).T
    width, depth = rng.uniform(2.4, 4.5), _strength(rng, 0.5, 0.95)
    gap = np.maximum(_stroke(trunk, width), _stroke(branch, width * 0.7))[..., None]
    flank = _stroke(trunk + 1.5 * np.array([np.cos(scene.light_rad), np.sin(scene.light_rad)]), 1.0)[..., None]
    return clean * (1 - depth * gap) * (1 + 0.5 * depth * flank * (1 - gap))


def fibre(scene: Scene, clean: np.ndarray, rng: Rng) -> np.ndarray:
    """A curled thread or hair of another colour that lies on the surface and throws a faint shadow."""
    path = _walk(rng, rng.uniform(60, 140), bend=0.12)
    width, cover = rng.uniform(2.4, 4.5), _strength(rng, 0.5, 1.0)
    shadow = _stroke(path - 2 * np.array([np.cos(scene.light_rad), np.sin(scene.light_rad)]), width)[..., None]
    thread = cover * _stroke(path, width)[..., None]
    return clean * (1 - 0.25 * cover * shadow) * (1 - thread) + thread * rng.uniform(0.05, 0.9, 3)


def distort(scene: Scene, clean: np.ndarray, rng: Rng) -> np.ndarray:
    """A patch whose texture is pulled out of line or rubbed smooth."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    x, y = _place(rng)
    radius = rng.uniform(24, 42)
    dx, dy = turned(0.0, x, y)
    inside = np.clip(1.6 * (1 - np.hypot(dx, dy) / radius), 0, 1)
    if rng.random() < 0.4:
        rubbed = gaussian_filter(clean, (5, 5, 0)) + _strength(rng, 0.06, 0.16) * rng.choice([-1, 1])
        return clean + inside[..., None] * (rubbed - clean)
    twist = rng.choice([-1, 1]) * _strength(rng, 1.0, 2.4) * inside
    u, v = dx * np.cos(twist) - dy * np.sin(twist) + x, dx * np.sin(twist) + dy * np.cos(twist) + y
    moved = [map_coordinates(clean[..., c], [v, u], order=1, mode="reflect") for c in range(3)]
    return np.stack(moved, axis=2)


def part(scene: Scene, clean: np.ndarray, rng: Rng) -> np.ndarray:
    """One part that is missing, shifted or of another colour, or turned where all others lie the same way."""
    reachable = [i for i, p in enumerate(scene.parts) if -6 < p.x < SIZE + 6 and -6 < p.y < SIZE + 6]
    chosen = int(rng.choice(reachable))
    aligned = np.ptp([p.angle_rad for p in scene.parts]) < 0.2
    fault = str(rng.choice(["missing", "shifted", "recoloured", *(["turned"] if aligned else [])]))
    wrong = _spoil(scene.parts[chosen], fault, rng)
    return paint(scene, [*scene.parts[:chosen], wrong, *scene.parts[chosen + 1 :]])


Defect = Callable[[Scene, np.ndarray, Rng], np.ndarray]
DEFECTS: dict[str, Defect] = {d.__name__: d for d in (scratch, stain, dent, crack, fibre, distort, part)}


def _spoil(old: Part, fault: str, rng: Rng) -> Part:
    """The part with a fault; its first shape of several is the seat (hole, pocket), which stays."""
    seat, body = (old.shapes[:1], old.shapes[1:]) if len(old.shapes) > 1 else ((), old.shapes)
    if fault == "missing":
        return replace(old, shapes=seat)
    if fault == "shifted":
        way, far = rng.uniform(0, 2 * np.pi), rng.uniform(6, 12)
        return replace(old, x=old.x + far * np.cos(way), y=old.y + far * np.sin(way))
    if fault == "turned":
        return replace(old, angle_rad=old.angle_rad + rng.uniform(0.25, 1.2) * rng.choice([-1, 1]))
    factor = 1 + rng.choice([-1, 1]) * _strength(rng, 0.4, 0.8) + rng.uniform(-0.15, 0.15, 3)
    return replace(old, shapes=(*seat, *(replace(s, colour=s.colour * factor) for s in body)))


def _close(changed: np.ndarray) -> np.ndarray:
    """``(SIZE, SIZE)`` bool: pixels that changed, with pinholes closed and specks of a few pixels left out."""
    from scipy.ndimage import binary_closing, label

    closed = binary_closing(changed, np.ones((5, 5))) | changed
    numbers, _ = label(closed, np.ones((3, 3)))
    sizes = np.bincount(numbers.ravel())
    sizes[0] = 0
    return (sizes >= 8)[numbers]


def _strength(rng: Rng, faint: float, plain: float) -> float:
    """Evenly spread on a logarithmic scale, so that there are as many faint defects as plain ones."""
    return float(np.exp(rng.uniform(np.log(faint), np.log(plain))))


def _place(rng: Rng) -> np.ndarray:
    """``(2,)`` x, y; also a little outside, so that defects are as likely at the border as elsewhere."""
    return rng.uniform(-12, SIZE + 12, 2)


def _rotation(angle_rad: float) -> np.ndarray:
    return np.array([[np.cos(angle_rad), -np.sin(angle_rad)], [np.sin(angle_rad), np.cos(angle_rad)]])


def _walk(rng: Rng, length: float, bend: float) -> np.ndarray:
    """``(n, 2)`` points of a path, 3 px apart, centred on a random place; ``bend`` in radians a step."""
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, bend, int(length / 3))) + rng.normal(0, bend)
    points = np.cumsum(3 * np.stack([np.cos(heading), np.sin(heading)], axis=1), axis=0)
    return points - points.mean(axis=0) + _place(rng)


def _stroke(points: np.ndarray, width: float) -> np.ndarray:
    """``(SIZE, SIZE)`` coverage in [0, 1] of a line ``width`` pixels wide through ``points``."""
    sheet = Image.new("L", (SIZE * FINE, SIZE * FINE))
    ends = [(float(x), float(y)) for x, y in (points + 0.5) * FINE]
    ImageDraw.Draw(sheet).line(ends, fill=255, width=max(round(width * FINE), 1), joint="curve")
    return np.asarray(sheet.resize((SIZE, SIZE), Image.Resampling.BOX)) / 255.0


def _blob(rng: Rng, radius: float, soft: float) -> np.ndarray:
    """``(SIZE, SIZE)`` in [0, 1]: an uneven disc that falls off over ``soft`` of its radius."""
    distance = np.hypot(*turned(0.0, *_place(rng))) / radius
    return np.clip((1 + 0.25 * clouds(rng, (9, 9), 2) - distance) / soft, 0, 1)
