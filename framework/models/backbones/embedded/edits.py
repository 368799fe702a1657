"""A scene goes in; the same scene with one local edit, from faint to plain, comes out."""

from __future__ import annotations

import numpy as np

from framework.models.backbones.embedded.scenes import Scene, colour, grid, step, turn
from framework.models.backbones.embedded.textures import Field, noise

KINDS = ("stain", "glow", "texture", "swap", "erase", "relief", "rough", "line", "specks", "hole", "extra", "warp")


def edit(rng: np.random.Generator, textures: Field, s: Scene) -> int:
    """Change ``s`` in one place. Returns the kind, a position in ``KINDS``."""
    kind = int(rng.integers(len(KINDS)))
    size = s.height.shape[0]
    cy, cx = _place(rng, s)
    radius = float(size * np.exp(rng.uniform(-3.4, -1.8)))
    name = KINDS[kind]
    if name == "line":
        region = _line(rng, textures, size, cy, cx)
    elif name == "specks":
        spots = noise(rng, textures, size)
        region = step(spots - rng.uniform(1.0, 2.0), 0.3) * step(_blob(rng, textures, size, cy, cx, 2 * radius), 2)
    else:
        region = step(_blob(rng, textures, size, cy, cx, radius), float(rng.choice((1.5, 3.0, radius))))
    _apply(rng, textures, s, name, region.astype(np.float32), (cy, cx), radius)
    return kind


def _apply(
    rng: np.random.Generator, textures: Field, s: Scene, name: str, region: Field, at: tuple[int, int], radius: float
) -> None:
    """Write the edit into the fields of the scene."""
    size = s.height.shape[0]
    strong = float(np.exp(rng.uniform(-1.8, -0.2)) * rng.choice((-1, 1)))
    flat = rng.random() < (0.35 if np.ptp(s.height) > 0 else 1.0)  # no relief edits on a flat body
    if name in ("relief", "rough") and flat:
        name = "stain" if name == "relief" else "texture"
    if name in ("line", "specks"):
        name = "stain" if flat else "relief"
        strong, radius = strong * 1.3, 3.0
    if name == "hole" or name == "extra":
        s.alpha = s.alpha * (1 - region) if name == "hole" else np.maximum(s.alpha, region)
        if name == "extra" and rng.random() < 0.5:
            s.albedo += (colour(rng, bool(np.ptp(s.albedo[:, 0, 0]) == 0)) - s.albedo) * region
            s.height = s.height + region * rng.uniform(-0.3, 0.6) * radius
    elif name == "stain" and rng.random() < 0.4:  # covered by something of another colour
        s.albedo += (colour(rng, bool(np.ptp(s.albedo[:, 0, 0]) == 0)) - s.albedo) * (region * rng.uniform(0.4, 1))
    elif name == "stain":
        tint = rng.uniform(-0.3, 0.3, (3, 1, 1)) * (rng.random() < 0.3)
        s.albedo += region * (strong + tint * abs(strong))
    elif name == "glow":
        y, x = grid(size)
        far = np.hypot(y - at[0] + size / 2, x - at[1] + size / 2) / radius
        ring = np.exp(-((far - rng.uniform(0, 1.2)) ** 2) * rng.uniform(1, 4))
        s.albedo += strong * ring
    elif name == "texture":
        s.albedo += region * noise(rng, textures, size) * abs(strong) * 0.5
    elif name == "erase":
        mean = (s.plain * region).sum((1, 2), keepdims=True) / (region.sum() + 1e-6)
        filler = s.plain if rng.random() < 0.5 else mean
        s.albedo += (filler - s.albedo) * region
    elif name == "relief":
        s.height = s.height + region * strong * radius * rng.uniform(0.5, 2.0)
    elif name == "rough":
        s.height = s.height + region * noise(rng, textures, size) * abs(strong) * 2
    else:
        _move(rng, s, name, region, radius)
    np.clip(s.albedo, 0, 1, out=s.albedo)


def _move(rng: np.random.Generator, s: Scene, name: str, region: Field, radius: float) -> None:
    """Swap: show another place of the scene here. Warp: bend what is here."""
    size = s.height.shape[0]
    reach = size / 2 if name == "swap" else min(radius, 10)
    dy, dx = rng.uniform(0.4 * reach, reach, 2) * rng.choice((-1, 1), 2)
    y, x = grid(size)
    near = region if name == "warp" else np.ones_like(region)
    rows = np.clip(np.rint(y + (size - 1) / 2 + dy * near), 0, size - 1).astype(np.intp)
    columns = np.clip(np.rint(x + (size - 1) / 2 + dx * near), 0, size - 1).astype(np.intp)
    blend = region if name == "swap" else (region > 0).astype(np.float32)
    s.albedo += (s.albedo[:, rows, columns] - s.albedo) * blend
    s.height = s.height + (s.height[rows, columns] - s.height) * blend
    s.alpha = s.alpha + (s.alpha[rows, columns] - s.alpha) * blend


def _place(rng: np.random.Generator, s: Scene) -> tuple[int, int]:
    """A pixel, on the object if it is easily found."""
    size = s.height.shape[0]
    for _ in range(8):
        y, x = rng.integers(4, size - 4, 2)
        if s.alpha[y, x] > 0.5:
            break
    return int(y), int(x)


def _blob(rng: np.random.Generator, textures: Field, size: int, cy: int, cx: int, radius: float) -> Field:
    """Distance in pixels to the outline of an irregular blob, positive inside."""
    y, x = grid(size)
    y, x = y + size / 2 - cy, x + size / 2 - cx
    u, v = turn(rng, y, x)
    ragged = noise(rng, textures, size, smooth=rng.random() < 0.7) * (rng.uniform(0, 0.3) * radius)
    return radius - np.hypot(u * rng.uniform(0.4, 1.0), v) + ragged


def _line(rng: np.random.Generator, textures: Field, size: int, cy: int, cx: int) -> Field:
    """A thin bent line, 1 on it and 0 off it."""
    y, x = grid(size)
    y, x = y + size / 2 - cy, x + size / 2 - cx
    half, width = size * rng.uniform(0.05, 0.3), rng.uniform(0.7, 3.0)
    u, v = turn(rng, y, x)
    v = v + rng.uniform(-0.6, 0.6) * u * u / half + noise(rng, textures, size) * rng.uniform(0, 1.0)
    return step(width / 2 - np.abs(v), 1.0) * step(half - np.abs(u), 3.0)
