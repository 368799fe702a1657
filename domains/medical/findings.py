"""A head phantom and random numbers in, the signal with a finding and the finding's mask out.

The mask holds every voxel whose signal is not that of the healthy twin, and no other can differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from domains.medical.phantom import SHAPE, SPACING_MM, Head, grid_mm, smooth_noise

_LEAST = 0.15  # a change weaker than this share of full strength is left out, so that the mask is honest


@dataclass(frozen=True, slots=True)
class Look:
    """How bright findings are at full strength, as a share of the brightest tissue."""

    bright: float
    dark: float
    soaked: float
    rim: float
    core: float
    lump: float


LOOKS = {
    "t1": Look(bright=1.05, dark=0.22, soaked=0.40, rim=1.05, core=0.26, lump=0.36),
    "flair": Look(bright=0.98, dark=0.14, soaked=0.80, rim=0.92, core=0.24, lump=0.66),
}


def add(finding: str, head: Head, look: Look, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Signal ``SHAPE`` float32 with a finding of a kind in ``FINDINGS``, faint to plain, and its mask, bool."""
    strength, middle = rng.uniform(0.5, 1), _place(head, rng)
    target, weight = FINDINGS[finding](head, look, rng, middle)
    weight = np.where((weight >= _LEAST) & (head.depth > 0), weight, 0)
    return (head.signal + strength * weight * (target - head.signal)).astype(np.float32), weight > 0


def _place(head: Head, rng: np.random.Generator) -> np.ndarray:
    """A point in mm inside the brain, not in water; its slice is uniform over the slices of the brain."""
    room = (head.depth > 4) & (head.water < 0.5)
    k = rng.choice(np.flatnonzero(room.any((0, 1))))
    i, j = rng.choice(np.argwhere(room[:, :, k]))
    return (np.array([i, j, k]) - (np.array(SHAPE) - 1) / 2) * np.array(SPACING_MM)


def _reach(middle: np.ndarray, half_mm: np.ndarray, rng: np.random.Generator, rough: float = 0.2) -> np.ndarray:
    """0 in the middle, 1 on the surface of an ellipsoid with a rough skin, growing outwards."""
    parts = ((c - m) / h for c, m, h in zip(grid_mm(), middle.tolist(), half_mm.tolist(), strict=True))
    return np.sqrt(sum(p * p for p in parts)) + rough * smooth_noise(rng, (10, 12, 9))


def _focus(level: str) -> Callable[..., tuple[np.ndarray | float, np.ndarray]]:
    """One patch of a level that a ``Look`` names, "bright" or "dark"."""

    def draw(head: Head, look: Look, rng: np.random.Generator, middle: np.ndarray) -> tuple[float, np.ndarray]:
        reach = _reach(middle, rng.uniform(10, 17) * rng.uniform(0.8, 1.3, 3), rng)
        return getattr(look, level), _inside(reach)

    return draw


def _ring(head: Head, look: Look, rng: np.random.Generator, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A bright wall around a dark core, as of an abscess or a tumour that takes up contrast agent."""
    reach = _reach(middle, rng.uniform(13, 19) * rng.uniform(0.85, 1.2, 3), rng, rough=0.12)
    return np.where(reach > 0.62, look.rim, look.core), (reach < 1).astype(np.float32)


def _oedema(head: Head, look: Look, rng: np.random.Generator, middle: np.ndarray) -> tuple[float, np.ndarray]:
    """Wide, without an edge, in white matter only; hence finger-shaped."""
    reach = _reach(middle, rng.uniform(20, 30) * rng.uniform(0.8, 1.2, 3), rng, rough=0.25)
    return look.soaked, np.clip((1 - reach) / 0.5, 0, 1) * head.white


def _foci(head: Head, look: Look, rng: np.random.Generator, middle: np.ndarray) -> tuple[float, np.ndarray]:
    """Six to fourteen small bright or dark spots within some centimetres, as of multiple sclerosis."""
    level = look.soaked if look.soaked > 0.5 else look.dark
    weight = np.zeros(SHAPE, np.float32)
    for _ in range(rng.integers(6, 15)):
        spot = middle + rng.normal(0, 14, 3)
        weight = np.maximum(weight, _inside(_reach(spot, rng.uniform(5, 9, 3), rng, rough=0.1)))
    return level, weight * (1 - head.water)


def _mass(head: Head, look: Look, rng: np.random.Generator, middle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A lump that pushes the tissue around it aside: the shell shows, squeezed, what the whole ball showed before."""
    from scipy.ndimage import map_coordinates

    radius, core = rng.uniform(15, 22), 0.7
    offsets = np.broadcast_arrays(*(c - m for c, m in zip(grid_mm(), middle.tolist(), strict=True)))  # 3 x SHAPE
    reach = np.sqrt(sum(o * o for o in offsets)) / radius
    ball = reach < 1
    pulled = np.clip((reach[ball] - core) / (1 - core), 0, 1) / np.maximum(reach[ball], 1e-3)
    at = [
        (m + o[ball] * pulled) / s + (n - 1) / 2
        for m, o, s, n in zip(middle.tolist(), offsets, SPACING_MM, SHAPE, strict=True)
    ]
    target = head.signal.copy()
    lump = look.lump + 0.05 * smooth_noise(rng, (12, 14, 9))[ball]
    target[ball] = np.where(reach[ball] < core, lump, map_coordinates(head.signal, at, order=1, mode="nearest"))
    return target, ball.astype(np.float32)


def _inside(reach: np.ndarray) -> np.ndarray:
    """Full strength up to two thirds of the way to the surface, a third of it there, none outside."""
    return np.where(reach < 1, 1 / 3 + 2 / 3 * np.clip((1 - reach) * 3, 0, 1), 0)


FINDINGS: dict[str, Callable[..., tuple[np.ndarray | float, np.ndarray]]] = {
    "bright": _focus("bright"),
    "dark": _focus("dark"),
    "ring": _ring,
    "oedema": _oedema,
    "foci": _foci,
    "mass": _mass,
}
