"""A seed goes in; procedural pictures with local edits, and per patch what was edited and what lies there, come out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from framework.models.backbones.embedded.edits import KINDS, edit
from framework.models.backbones.embedded.scenes import Scene, scene
from framework.models.backbones.embedded.textures import Field, bank

PATCH = 8  # pixels a side
TARGETS = 12  # see ``_describe``
VISIBLE = 0.06  # of the grey range: a change below it is no edit


@dataclass(slots=True)
class Pictures:
    """B pictures of S x S pixels, G = S / PATCH patches a side.

    Attributes:
        pixels: ``(B, 3, S, S)`` uint8.
        edited: ``(B, G * G)`` float32, 1 where a patch was visibly edited, 0 where it was not, -1 where it is unsure.
        kind: ``(B, G * G)`` int64, position in ``edits.KINDS`` of the edit that changed the patch, -1 for none.
        targets: ``(B, G * G, TARGETS)`` float32, about unit scale: what lies in the patch and what should lie there.
    """

    pixels: np.ndarray
    edited: np.ndarray
    kind: np.ndarray
    targets: np.ndarray


def draw(seed: int, step: int, count: int, size: int) -> Pictures:
    """Draw ``count`` pictures of ``size`` x ``size`` pixels; the same arguments give the same pictures."""
    textures = bank(seed % 7)
    rng = np.random.default_rng([seed, step])
    parts = [_picture(rng, textures, size) for _ in range(count)]
    return Pictures(*(np.stack(column) for column in zip(*parts, strict=True)))


def _picture(rng: np.random.Generator, textures: Field, size: int) -> tuple[np.ndarray, ...]:
    """One picture: a scene, edited in 0 to 3 places, both rendered under one light and camera."""
    clean = scene(rng, textures, size)
    dirty = replace(clean, alpha=clean.alpha.copy(), albedo=clean.albedo.copy(), height=clean.height.copy())
    camera = _camera(rng, textures, size)
    before = camera(clean)
    after, where = before, np.full((size, size), -1)
    change = np.zeros((size, size), np.float32)
    for _ in range(rng.choice(4, p=(0.4, 0.4, 0.15, 0.05))):
        kind = edit(rng, textures, dirty)
        now = camera(dirty)
        step = np.abs(now - after).max(0)
        where[step > VISIBLE / 2] = kind
        after = now
    change = np.abs(after - before).max(0)
    edited, kinds = _labels(change, where, before)
    targets = _describe(before, after, clean, size)
    return _expose(rng, textures, after), edited, kinds, targets


def _camera(rng: np.random.Generator, textures: Field, size: int) -> Callable[[Scene], Field]:
    """A light and a lens, drawn once: scene -> ``(3, S, S)`` float32, mostly in [0, 1]."""
    azimuth, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 1.0)
    light = np.array([np.cos(azimuth) * slope, np.sin(azimuth) * slope, 1.0]) / np.hypot(1.0, slope)
    light = light.astype(np.float32)
    ambient, shine = rng.uniform(0.1, 0.6), rng.uniform(0, 0.5) * (rng.random() < 0.4)
    power = rng.uniform(4, 30)
    half = light + np.array((0, 0, 1), np.float32)
    half /= np.linalg.norm(half)
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    fall = (rng.uniform(-0.25, 0.25, 2) * (rng.random() < 0.6)).astype(np.float32)
    lamp = 1 + fall[0] * ramp[:, None] + fall[1] * ramp[None]
    soft = rng.random() < 0.5

    def shoot(s: Scene) -> Field:
        gy, gx = _slopes(s.height)
        norm = 1 / np.sqrt(gx * gx + gy * gy + 1)
        cosine = np.maximum((light[2] - gx * light[0] - gy * light[1]) * norm, 0)
        shade = ambient + (1 - ambient) * cosine
        picture = s.albedo * (shade * lamp)
        if shine:
            picture += shine * np.maximum((half[2] - gx * half[0] - gy * half[1]) * norm, 0) ** power
        picture = picture * s.alpha + s.background * (1 - s.alpha)
        return _smooth(picture) if soft else picture

    return shoot


def _expose(rng: np.random.Generator, textures: Field, picture: Field) -> np.ndarray:
    """Grain, gain and rounding: ``(3, S, S)`` float -> uint8."""
    size = picture.shape[-1]
    grain = float(rng.choice((0.0, 0.005, 0.015, 0.04))) * rng.standard_normal((1, size, size), dtype=np.float32)
    gain, offset = rng.uniform(0.85, 1.1), rng.uniform(-0.05, 0.08)
    return np.clip((picture * gain + offset + grain) * 255 + 0.5, 0, 255).astype(np.uint8)


def _labels(change: Field, where: np.ndarray, before: Field) -> tuple[np.ndarray, np.ndarray]:
    """Per patch whether the change can be seen against the texture it lies in, and which edit made it."""
    spread = _blocks(before.mean(0)).std(-1)
    blocks = _blocks(change)
    limit = (VISIBLE + 0.2 * spread)[:, None]
    count = (blocks > limit).sum(-1)
    edited = np.where(count >= 3, 1.0, np.where(blocks.max(-1) > VISIBLE / 3, -1.0, 0.0)).astype(np.float32)
    strongest = np.take_along_axis(_blocks(where), blocks.argmax(-1)[:, None], 1)[:, 0]
    return edited, np.where(edited == 1, strongest, -1)


def _describe(before: Field, after: Field, clean: Scene, size: int) -> Field:
    """``(P, TARGETS)``: colour before the edit, change, contrast, slope, silhouette, curvature, orientation."""
    grey = after.mean(0)
    gy, gx = _slopes(clean.height)
    ey, ex = _slopes(grey)
    bend = _slopes(gy)[0] + _slopes(gx)[1]
    delta = grey - before.mean(0)
    energy = _blocks(ex * ex + ey * ey).mean(-1) + 1e-4
    columns = [_blocks(channel).mean(-1) * 4 - 2 for channel in before]
    columns += [_blocks(delta).mean(-1) * 10, np.sqrt(_blocks(np.abs(delta)).mean(-1)) * 4]
    columns += [np.log(_blocks(grey).std(-1) + 0.01) + 3, *(np.tanh(_blocks(g).mean(-1)) * 2 for g in (gx, gy))]
    columns += [
        _blocks(np.broadcast_to(clean.alpha, (size, size))).mean(-1) * 2 - 1,
        np.tanh(_blocks(bend).mean(-1) * 8),
    ]
    columns += [_blocks(ex * ex - ey * ey).mean(-1) / energy * 2, _blocks(ex * ey).mean(-1) / energy * 4]
    return np.stack(columns, -1).astype(np.float32)


def _blocks(field: np.ndarray) -> np.ndarray:
    """``(S, S)`` -> ``(P, PATCH * PATCH)``, patches row-major."""
    side = field.shape[0] // PATCH
    return field.reshape(side, PATCH, side, PATCH).swapaxes(1, 2).reshape(side * side, PATCH * PATCH)


def _slopes(field: Field) -> tuple[Field, Field]:
    """Central differences down and across, 0 on the border."""
    down, across = np.zeros_like(field), np.zeros_like(field)
    down[1:-1] = (field[2:] - field[:-2]) / 2
    across[:, 1:-1] = (field[:, 2:] - field[:, :-2]) / 2
    return down, across


def _smooth(picture: Field) -> Field:
    """A 3 x 3 binomial lens."""
    out = picture.copy()
    out[:, 1:-1] = (picture[:, 2:] + picture[:, :-2]) / 4 + picture[:, 1:-1] / 2
    side = out.copy()
    side[..., 1:-1] = (out[..., 2:] + out[..., :-2]) / 4 + out[..., 1:-1] / 2
    return side


__all__ = ["KINDS", "PATCH", "TARGETS", "Pictures", "draw"]
