"""A healthy volume and random numbers in; a slab of it as a faulty scanner shows it, and the fault's mask, out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from domains.medical.making.host import Host, grey, noise
from domains.medical.making.shapes import Box

VISIBLE = 0.04  # of the span; a weaker change is left out
SLAB_MM = (2.0, 9.0)
BAND = (0.1, 0.25)  # of the width of a picture, which a fault must not fill
Plane = tuple[np.ndarray, np.ndarray, float, np.random.Generator]
"""``(a, b, k)`` float32, the slices of a slab; bool, where the body is in them; the span; chance."""


def artefact(host: Host, rng: np.random.Generator) -> tuple[Box, np.ndarray, np.ndarray, float]:
    """A fault in some neighbouring slices, or in a band across a picture.

    Returns:
        The box of voxels that may change, ``(x, y, z, C)`` float32 and ``(x, y, z)`` bool as lesions do, and the noise.
    """
    axis = host.through
    box = _slab(host, axis, rng)
    patch = host.values[box].astype(np.float32)
    value = np.moveaxis(grey(patch), axis, -1)  # (a, b, k)
    body = value > host.threshold
    room = body if host.clean else np.ones_like(body)
    name = list(FAULTS)[rng.integers(len(FAULTS))]
    change = FAULTS[name]((value - host.background, body, host.span, rng))
    if host.flat or rng.random() < 0.4:
        change = change * _band(value, body, rng)
    change = np.where(room, change, 0)
    mask = np.abs(change) >= VISIBLE * host.span
    mask = ndimage.binary_closing(mask, iterations=2, structure=_flat_cross()) & room
    back = np.moveaxis(mask, -1, axis)
    return box, patch + np.moveaxis(change, -1, axis)[..., None], back, noise(grey(patch), np.moveaxis(body, -1, axis))


def ghost(plane: Plane) -> np.ndarray:
    """A faint copy, shifted along one axis and wrapped around the field of view, as of a patient who moved."""
    value, _, _, rng = plane
    axis = int(rng.integers(2))
    shift = round(value.shape[axis] * rng.uniform(0.12, 0.5))
    return rng.uniform(0.1, 0.28) * np.roll(value, shift, axis)


def spike(plane: Plane) -> np.ndarray:
    """A pattern of parallel waves, as of one wrong sample of the raw data."""
    value, _, span, rng = plane
    angle, period = rng.uniform(0, np.pi), rng.uniform(3, 12)
    a, b = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in value.shape[:2]), indexing="ij")
    wave = np.cos(2 * np.pi / period * (np.cos(angle) * a + np.sin(angle) * b) + rng.uniform(0, 2 * np.pi))
    return (rng.uniform(0.12, 0.3) * span * wave)[..., None].repeat(value.shape[2], 2)


def rings(plane: Plane) -> np.ndarray:
    """Thin circles around the middle, as of detectors that are badly calibrated."""
    value, body, span, rng = plane
    cells = np.argwhere(body.any(-1)) if body.any() else np.argwhere(np.ones(body.shape[:2]))
    middle = cells.mean(0) + rng.uniform(-0.1, 0.1, 2) * np.ptp(cells, 0)
    a, b = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in value.shape[:2]), indexing="ij")
    away = np.hypot(a - middle[0], b - middle[1])
    change = np.zeros_like(away)
    for _ in range(rng.integers(2, 6)):
        radius = rng.uniform(0.05, 0.4) * np.ptp(cells, 0).max()
        change += (
            rng.choice((-1, 1)) * rng.uniform(0.12, 0.35) * np.exp(-(((away - radius) / rng.uniform(0.7, 1.6)) ** 2))
        )
    return (span * change)[..., None].repeat(value.shape[2], 2)


def zipper(plane: Plane) -> np.ndarray:
    """A narrow line of bright and dark dots right across, as of a radio signal from outside."""
    value, body, span, rng = plane
    axis = int(rng.integers(2))
    places = np.flatnonzero(body.any((1 - axis, 2))) if body.any() else np.arange(value.shape[axis])
    at = places[int(rng.uniform(0.15, 0.85) * (len(places) - 1))]
    line = np.exp(-(((np.arange(value.shape[axis]) - at) / rng.uniform(0.8, 1.8)) ** 2)).astype(np.float32)
    dots = rng.standard_normal((value.shape[1 - axis], value.shape[2]), dtype=np.float32)
    change = rng.uniform(0.35, 0.7) * span * line[:, None, None] * dots
    return change if axis == 0 else change.transpose(1, 0, 2)


def stripes(plane: Plane) -> np.ndarray:
    """Lines of too little and too much signal, as of a coil or a gain that jumps."""
    value, _, span, rng = plane
    axis = int(rng.integers(2))
    lines = np.zeros(value.shape[axis], np.float32)
    width, start = rng.integers(1, 4), 0
    while start < len(lines):
        lines[start : start + width] = rng.normal(0, 1)
        start += int(width + rng.integers(1, 5))
    change = rng.uniform(0.12, 0.25) * span * lines.clip(-1.5, 1.5)
    shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
    return np.broadcast_to(change.reshape(shape), value.shape)


FAULTS: dict[str, Callable[[Plane], np.ndarray]] = {
    "ghost": ghost,
    "spike": spike,
    "rings": rings,
    "zipper": zipper,
    "stripes": stripes,
}


def _slab(host: Host, axis: int, rng: np.random.Generator) -> Box:
    """Some slices of the body, which is where a fault is seen."""
    shown = np.flatnonzero(host.body.any(tuple(a for a in range(3) if a != axis)))
    count = max(1, round(rng.uniform(*SLAB_MM) / float(host.spacing[axis])))
    middle = int(shown[int(rng.uniform(0.1, 0.9) * len(shown))] * host.step[axis])
    start = max(0, min(middle - count // 2, host.shape[axis] - count))
    parts = [slice(0, n) for n in host.shape]
    parts[axis] = slice(start, min(host.shape[axis], start + count))
    return parts[0], parts[1], parts[2]


def _band(value: np.ndarray, body: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """``(a, b, 1)`` or so in [0, 1]: 1 in a band across the body with soft edges."""
    axis = int(rng.integers(2))
    places = np.flatnonzero(body.any((1 - axis, 2))) if body.any() else np.arange(value.shape[axis])
    half = max(2.0, 0.5 * rng.uniform(*BAND) * value.shape[axis])
    at = rng.uniform(places[0] + half / 2, max(places[0] + half / 2 + 1, places[-1] - half / 2))
    away = np.abs(np.arange(value.shape[axis], dtype=np.float32) - np.float32(at))
    share = np.clip((half - away) / max(3.0, 0.3 * half) + 0.5, 0, 1)
    return share.reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))


def _flat_cross() -> np.ndarray:
    """Neighbours within a slice."""
    cross = ndimage.generate_binary_structure(2, 1)
    return cross[..., None]
