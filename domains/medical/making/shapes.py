"""A place, a size and random numbers in; fields over the box around it out: distances with a rough skin, noise."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from domains.medical.making.host import Host, grey, noise

MOSTLY = 0.5  # of what lies around the centre of a lesion must be tissue
LOCAL = 1.5  # what is called the contrast around a lesion, of the range of tissue there
LEAST_CONTRAST = 0.35  # of the body's span
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True)
class Site:
    """A place in a host, with the box of voxels around it.

    Attributes:
        host: that it lies in.
        centre: ``(3,)`` float64, mm from the first voxel.
        radius: mm of the lesion.
        box: voxels that may change.
        patch: ``(x, y, z, C)`` float32, the values there.
        tissue: ``(x, y, z)`` bool, which of them are brighter than the background.
        inside: ``(x, y, z)`` bool, which of them lie in the body, dark or not.
        level: ``(C,)`` float32, of the tissue around the centre.
        contrast: grey values between dark and bright tissue there; strengths are shares of it.
        sigma: standard deviation of the noise there.
    """

    host: Host
    centre: np.ndarray
    radius: float
    box: Box
    patch: np.ndarray
    tissue: np.ndarray
    inside: np.ndarray
    level: np.ndarray
    contrast: float
    sigma: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(x, y, z)`` of the box."""
        x, y, z = self.patch.shape[:3]
        return x, y, z

    @property
    def offsets(self) -> list[np.ndarray]:
        """Three float32 arrays that broadcast to the box: mm from the centre along each axis."""
        axes = [
            (np.arange(s.start, s.stop) * edge - c).astype(np.float32)
            for s, edge, c in zip(self.box, self.host.spacing, self.centre, strict=True)
        ]
        return list(np.meshgrid(*axes, indexing="ij", sparse=True))


def box_around(host: Host, centre: np.ndarray, reach_mm: float) -> Box:
    """The voxels within ``reach_mm`` of a centre along each axis, of those that there are."""
    parts = []
    for c, edge, n in zip(centre / host.spacing, host.spacing, host.shape, strict=True):
        low, high = int(np.floor(c - reach_mm / edge)), int(np.ceil(c + reach_mm / edge)) + 1
        parts.append(slice(max(0, low), min(n, high)))
    return parts[0], parts[1], parts[2]


def reach(site: Site, rng: np.random.Generator, rough: float = 0.18, radius: float | None = None) -> np.ndarray:
    """0 in the middle, 1 on the surface of a turned ellipsoid with a rough skin, growing outwards; float32.

    Args:
        site: of which the box is filled.
        rng: source of chance.
        rough: standard deviation of the skin, of the radius.
        radius: mm; None takes that of the site.
    """
    half = (radius or site.radius) * np.exp(rng.normal(0, 0.18, 3)).clip(0.7, 1.35)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0] / half[:, None]
    if site.host.flat:
        angle = rng.uniform(0, np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        turn = turn / half[:, None]
    rows = [sum(float(r) * o for r, o in zip(row, site.offsets, strict=True)) for row in turn]
    field: np.ndarray = np.sqrt(sum(row * row for row in rows))
    wide, fine = (smooth_noise(site, rng, site.radius * share) for share in (0.9, 0.4))
    return (field + rough * (0.85 * wide + 0.4 * fine)).astype(np.float32)


def smooth_noise(site: Site, rng: np.random.Generator, period_mm: float) -> np.ndarray:
    """Box of float32 of about unit variance, bumps ``period_mm`` apart; cheaper than to filter white noise."""
    counts = [
        max(1, round((s.stop - s.start) * float(edge) / period_mm))
        for s, edge in zip(site.box, site.host.spacing, strict=True)
    ]
    field = rng.standard_normal(tuple(c + 3 for c in counts), dtype=np.float32)
    for axis, (length, count) in enumerate(zip(site.shape, counts, strict=True)):
        at = np.linspace(1, count + 1, length, dtype=np.float32)
        weights = np.exp(-((at[:, None] - np.arange(count + 3, dtype=np.float32)) ** 2) / 0.7)
        weights /= np.sqrt((weights**2).sum(1, keepdims=True))
        field = np.moveaxis(np.tensordot(weights, field, (1, axis)), 0, axis)
    return np.ascontiguousarray(field)


def grain(site: Site, rng: np.random.Generator) -> np.ndarray:
    """``(x, y, z, 1)`` float32, white noise as strong as that of the tissue around, the same in all channels."""
    return site.sigma * rng.standard_normal((*site.shape, 1), dtype=np.float32)


def soft(field: np.ndarray, edge: float) -> np.ndarray:
    """1 where a reach is below ``1 - edge``, 0 from 1 on, smooth between."""
    share = np.clip((1 - field) / edge, 0, 1)
    return share * share * (3 - 2 * share)


def site_at(host: Host, centre: np.ndarray, radius: float, reach_mm: float) -> Site | None:
    """A site in a host, or None where there is no tissue around its centre."""
    box = box_around(host, centre, reach_mm)
    patch = host.values[box].astype(np.float32)
    value = grey(patch)
    tissue = value > host.threshold
    place = Site(host, centre, radius, box, patch, tissue, tissue | _in_body(host, box), np.zeros(0), 0.0, 0.0)
    ball = sum(o * o for o in place.offsets) < radius**2
    near = tissue & ball
    if not near.any() or near.sum() < MOSTLY * ball.sum():
        return None
    level = np.median(patch[near], 0).astype(np.float32)
    dark, bright = np.percentile(value[tissue], (5, 95)).tolist()
    contrast = float(np.clip(LOCAL * (bright - dark), LEAST_CONTRAST * host.span, host.span))
    return replace(place, level=level, contrast=contrast, sigma=noise(value, tissue))


def _in_body(host: Host, box: Box) -> np.ndarray:
    """Whether each voxel of a box lies in a coarse cell of the body."""
    cells = [
        np.minimum(np.arange(s.start, s.stop) // step, n - 1)
        for s, step, n in zip(box, host.step, host.body.shape, strict=True)
    ]
    return np.asarray(host.body[np.ix_(*cells)])
