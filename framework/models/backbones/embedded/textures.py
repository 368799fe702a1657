"""A seed goes in; a bank of textures and noise cut from it come out."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Field = NDArray[np.float32]
BANK_SIZE = 256  # pixels a side of a stored texture; it wraps around
BANK_SMOOTH, BANK_FRACTAL, BANK_CELLS = 40, 70, 30


@cache
def bank(seed: int) -> Field:
    """``(count, BANK_SIZE, BANK_SIZE)`` textures of zero mean and unit variance: smooth, fractal, then cellular."""
    rng = np.random.default_rng(seed)
    fields = [_fractal(rng, smooth=index < BANK_SMOOTH) for index in range(BANK_SMOOTH + BANK_FRACTAL)]
    fields += [_cells(rng) for _ in range(BANK_CELLS)]
    return np.stack([(field - field.mean()) / field.std() for field in fields]).astype(np.float32)


def _fractal(rng: np.random.Generator, smooth: bool) -> np.ndarray:
    """Noise with a power law, some of it drawn out in one direction."""
    fy, fx = np.fft.fftfreq(BANK_SIZE)[:, None], np.fft.rfftfreq(BANK_SIZE)[None]
    angle, stretch = rng.uniform(0, np.pi), np.exp(rng.uniform(0, 3) * (rng.random() < 0.4))
    u, v = fx * np.cos(angle) + fy * np.sin(angle), fy * np.cos(angle) - fx * np.sin(angle)
    radius = np.hypot(u * stretch, v)
    low, slope = np.exp(rng.uniform(-5, -2)), rng.uniform(0.3, 2.2)
    high = np.exp(rng.uniform(-4, -2.6) if smooth else rng.uniform(-2.5, 0))
    gain = (radius + low) ** -slope * np.exp(-((radius / high) ** 2))
    gain[0, 0] = 0
    return np.fft.irfft2(np.fft.rfft2(rng.standard_normal((BANK_SIZE, BANK_SIZE))) * gain)


def _cells(rng: np.random.Generator) -> np.ndarray:
    """Pebbles, scales or cracks: distances to the nearest of random points, or a grey of their own."""
    points = rng.uniform(0, BANK_SIZE, (int(np.exp(rng.uniform(4.5, 7.5))), 2))
    pixels = np.indices((BANK_SIZE, BANK_SIZE)).reshape(2, -1).T
    distance, nearest = cKDTree(points, boxsize=BANK_SIZE).query(pixels, k=2)
    seam = np.exp(-(distance[:, 1] - distance[:, 0]) / rng.uniform(0.7, 3))
    parts = (rng.random(len(points))[nearest[:, 0]], -seam * 2, -distance[:, 0] / distance.mean())
    return (rng.dirichlet((1, 1, 1)) @ np.stack(parts)).reshape(BANK_SIZE, BANK_SIZE)


def noise(rng: np.random.Generator, textures: Field, size: int, smooth: bool = False) -> Field:
    """A random window of a random texture, or of a smooth one, turned and mirrored: ``(S, S)``."""
    field = textures[rng.integers(BANK_SMOOTH if smooth else len(textures))]
    y, x = rng.integers(BANK_SIZE, size=2)
    field = field.take(np.arange(y, y + size), 0, mode="wrap").take(np.arange(x, x + size), 1, mode="wrap")
    field = field.T if rng.random() < 0.5 else field
    return field[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
