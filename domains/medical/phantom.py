"""Streams of random numbers in, a head phantom out: tissues, then a T1- or FLAIR-like scan of them.

It is drawn, not anatomy, and a score on it says nothing clinical. Arrays are ``SHAPE``, axes to the right, front and
top of the patient; lengths are millimetres from the middle of the head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SHAPE = (72, 84, 44)
SPACING_MM = (2.2, 2.3, 2.0)
_MIDDLE_MM = (0.0, 0.0, 14.0)  # of the field in the head: slices reach from the cerebellum to below the crown
_HALF_MM = (73.0, 90.0, 73.0)  # of the head, to the right, front and top
_SKULL, _WATER, _BRAIN = 0.925, 0.875, 0.845  # where each begins, as shares of the way from the middle to the skin
_RADIUS_MM = 80.0  # turns such a share into a depth

# Ellipsoids (middle, half axes) in mm; those with x > 0 have a twin on the left.
_DEEP_GREY = (((23.0, 8.0, -2.0), (7.0, 17.0, 11.0)), ((9.0, -12.0, 0.0), (8.0, 12.0, 8.0)))
_EYES = ((28.0, 50.0, -43.0), (12.0, 12.0, 12.0))
_CEREBELLUM = ((0.0, -42.0, -40.0), (46.0, 30.0, 20.0))
_THIRD_VENTRICLE = ((0.0, -8.0, -2.0), (2.5, 12.0, 9.0))


@dataclass(frozen=True, slots=True)
class Contrast:
    """How bright normal tissue is, as a share of the brightest."""

    scalp: float
    bone: float
    water: float
    grey: float
    white: float
    muscle: float


CONTRASTS = {
    "t1": Contrast(scalp=0.95, bone=0.07, water=0.16, grey=0.50, white=0.74, muscle=0.40),
    "flair": Contrast(scalp=0.62, bone=0.06, water=0.09, grey=0.57, white=0.44, muscle=0.30),
}


@dataclass(frozen=True, slots=True)
class Head:
    """One head as it lies in the scanner, before noise.

    Attributes:
        signal: float32 in about [0, 1].
        depth: float32, millimetres below the surface of the brain; negative outside.
        white: float32 in [0, 1], share of white matter.
        water: float32 in [0, 1], share of ventricle and other water inside the brain.
    """

    signal: np.ndarray
    depth: np.ndarray
    white: np.ndarray
    water: np.ndarray


def head(patient: np.random.Generator, pose: np.random.Generator, tissue: Contrast) -> Head:
    """Draw the head of a patient; ``pose`` moves it a little, as between two scans."""
    build = patient.normal(1, 0.03, 3).tolist()  # Python numbers keep arrays float32
    roomy = patient.uniform(0.75, 1.5)  # ventricles
    coarse, fine = smooth_noise(patient, (4, 4, 3)), smooth_noise(patient, (30, 34, 16))
    folds = smooth_noise(patient, (16, 19, 13))
    grey, white = patient.normal((tissue.grey, tissue.white), 0.015).tolist()
    x, y, z = _coordinates(pose)
    x = x + 1.5 * coarse  # no head is symmetric
    share = np.sqrt(sum((c / (h * b)) ** 2 for c, h, b in zip((x, y, z), _HALF_MM, build, strict=True)))
    floor = np.clip(-34 + 0.5 * np.minimum(y - 6, 0), -62, -34) + 3 * coarse  # of the skull: high in front
    depth = np.minimum((_BRAIN - share) * _RADIUS_MM + 0.8 * coarse, z - floor).astype(np.float32)

    signal = _edge((1 - share) * _RADIUS_MM) * tissue.scalp
    signal = _mix(signal, _edge((_SKULL - share) * _RADIUS_MM), tissue.bone)
    signal = _mix(signal, _edge(np.minimum((_SKULL - share) * _RADIUS_MM, floor - 4 - z)), tissue.muscle + 0.07 * fine)
    signal = _mix(signal, _edge(np.minimum((_WATER - share) * _RADIUS_MM, z - floor + 2)), tissue.water)
    signal = _mix(signal, _ball(x, y, z, *_EYES) * _edge((1 - share) * _RADIUS_MM - 4), tissue.water)

    inside, cortex, water = _brain(x, y, z, depth, folds, roomy)
    brain = white + (grey - white) * cortex + 0.015 * fine + 0.01 * coarse
    signal = _mix(signal, inside, _mix(brain, water, tissue.water)).astype(np.float32)
    return Head(signal, depth, inside * (1 - cortex) * (1 - water), inside * water)


def acquire(
    signal: np.ndarray, patient: np.random.Generator, scanner: np.random.Generator, noise: np.random.Generator
) -> np.ndarray:
    """What the scanner stores of a signal: uneven coil, gain, Rician noise; int16.

    Gain and noise are much the same in all scans of a patient, who goes to one hospital, so they say nothing of
    which scan has a finding.

    Source of the noise: the magnitude of a complex signal with Gaussian noise on both parts (Gudbjartsson and Patz,
    Magnetic Resonance in Medicine 34, 1995).
    """
    gain = patient.uniform(500, 1600) * scanner.normal(1, 0.03)
    sigma = patient.uniform(0.012, 0.03) * scanner.normal(1, 0.03)
    coil = np.exp(scanner.uniform(0.04, 0.1) * smooth_noise(scanner, (2, 2, 2)))
    real, imaginary = noise.standard_normal((2, *SHAPE), dtype=np.float32) * sigma
    return np.rint(gain * np.hypot(signal * coil + real, imaginary)).clip(0, 32767).astype(np.int16)


def smooth_noise(rng: np.random.Generator, cells: tuple[int, int, int]) -> np.ndarray:
    """``SHAPE`` float32 of about unit variance, ``cells`` bumps along each axis; cheaper than to filter white noise."""
    field = rng.standard_normal(tuple(c + 3 for c in cells), dtype=np.float32)
    for axis, (length, count) in enumerate(zip(SHAPE, cells, strict=True)):
        at = np.linspace(1, count + 1, length, dtype=np.float32)
        weights = np.exp(-((at[:, None] - np.arange(count + 3, dtype=np.float32)) ** 2) / 0.7)
        weights /= np.sqrt((weights**2).sum(1, keepdims=True))
        field = np.moveaxis(np.tensordot(weights, field, (1, axis)), 0, axis)
    return field


def grid_mm() -> list[np.ndarray]:
    """Three float32 arrays that broadcast to ``SHAPE``: mm from the middle of the field to the right, front and top."""
    axes = [(np.arange(n, dtype=np.float32) - (n - 1) / 2) * s for n, s in zip(SHAPE, SPACING_MM, strict=True)]
    return list(np.meshgrid(*axes, indexing="ij", sparse=True))


def _coordinates(pose: np.random.Generator) -> list[np.ndarray]:
    """Millimetres in the head's own frame, which is shifted by up to 2 and turned by some degrees."""
    grid, (a, b, c) = grid_mm(), pose.normal(0, 0.03, 3)
    turn = np.array([[1, -a, b], [a, 1, -c], [-b, c, 1]], np.float32)  # small angles: a rotation to first order
    shift = (_MIDDLE_MM + pose.uniform(-2, 2, 3)).astype(np.float32)
    return [row[0] * grid[0] + row[1] * grid[1] + row[2] * grid[2] + s for row, s in zip(turn, shift, strict=True)]


def _brain(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, depth: np.ndarray, folds: np.ndarray, roomy: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares in [0, 1] of brain in a voxel, of grey matter in the brain there, and of water in the brain there."""
    inside = _edge(depth)
    furrow = np.abs(folds)  # 0 on sheets that wind through the volume: the bottoms of the furrows
    grey = np.maximum(_ramp((7 - depth) / 3), _ramp((0.7 - furrow) / 0.3) * _ramp((20 - depth) / 6))
    water = _ramp((0.26 - furrow) / 0.2) * _ramp((15 - depth) / 5) * 0.85
    for middle, half in _DEEP_GREY:
        grey = np.maximum(grey, _ball(x, y, z, middle, half))

    lobes = _ball(x, y, z, *_CEREBELLUM)
    leaves = 0.5 + 0.5 * np.sin(np.sqrt((y + 22) ** 2 + (1.2 * (z + 40)) ** 2 + (0.4 * x) ** 2) * 0.75)
    grey, water = _mix(grey, lobes, leaves), _mix(water, lobes, 0.15 * (1 - leaves))
    grey = _mix(grey, _edge(13 - np.hypot(x, y + 16)) * _ramp((-8 - z) / 6), 0.2)  # the stem

    gap = _edge(1.7 - np.abs(x)) * np.maximum(_ramp((z - 22) / 5), _ramp((np.abs(y) - 50) / 5)) * (1 - lobes)
    bent = np.abs(x) - (9 + 0.004 * (y - 4) ** 2)  # the lateral ventricles part towards front and back
    horns = (bent / (5 * roomy)) ** 2 + ((y - 2) / 36) ** 2 + ((z - 12 - 0.08 * y) / (9 * roomy)) ** 2
    lateral = _edge((1 - np.sqrt(horns)) * 7)
    return inside, grey, np.maximum.reduce([water, gap, lateral, _ball(x, y, z, *_THIRD_VENTRICLE)])


def _ball(
    x: np.ndarray, y: np.ndarray, z: np.ndarray, middle: tuple[float, ...], half: tuple[float, ...]
) -> np.ndarray:
    """Share in [0, 1] of an ellipsoid in each voxel, of both twins where it lies beside the midline."""
    side = np.abs(x) if middle[0] else x
    parts = ((c - m) / h for c, m, h in zip((side, y, z), middle, half, strict=True))
    return _edge((1 - np.sqrt(sum(p * p for p in parts))) * min(half))


def _edge(distance_mm: np.ndarray) -> np.ndarray:
    """1 inside, 0 outside, a ramp as wide as a voxel between."""
    return _ramp(distance_mm / 2.5 + 0.5)


def _ramp(values: np.ndarray) -> np.ndarray:
    """Values cut to [0, 1]."""
    return np.clip(values, 0, 1, dtype=np.float32)


def _mix(below: np.ndarray, share: np.ndarray, above: np.ndarray | float) -> np.ndarray:
    """``above`` where ``share`` is 1, ``below`` where it is 0."""
    return below + share * (above - below)
