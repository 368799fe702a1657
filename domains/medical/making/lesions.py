"""A site in a healthy volume and random numbers in; the box around it with a lesion, and the lesion's mask, out.

Every lesion keeps or renews the noise of the tissue, has a rough skin and a soft edge, and stays between the dark and
the bright tissue of the body. Strengths are shares of the contrast of the tissue around.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from domains.medical.making.host import grey
from domains.medical.making.shapes import Site, grain, reach, smooth_noise, soft

LEAST = 0.1  # a change weaker than this share of full strength is left out, so that the mask is honest
LEAST_SHIFT = 0.25  # of the shortest voxel edge; tissue that is pushed less stays where it is
CONTRAST = (0.35, 1.0)  # least and most strength
WEAKEST = 0.3  # strength that may be left where tissue is bright or dark already
Change = tuple[np.ndarray, np.ndarray]
"""``(x, y, z, C)`` float32 and ``(x, y, z)`` bool."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a lesion is made, how many radii it reaches, and how deep its centre lies, in radii."""

    make: Callable[[Site, np.random.Generator], Change | None]
    reach: float = 1.9
    depth: float = 0.5


def blob(site: Site, rng: np.random.Generator) -> Change | None:
    """A bright or dark patch."""
    target = _target(site, rng)
    if target is None:
        return None
    return _painted(site, soft(reach(site, rng), rng.uniform(0.35, 0.8)), target, rng, kept=rng.uniform(0.35, 0.8))


def ring(site: Site, rng: np.random.Generator) -> Change | None:
    """A bright wall around a dark core, as of an abscess or a tumour that takes up contrast agent."""
    host, field, level = site.host, reach(site, rng, rough=0.14), float(site.level.mean())
    wall = min(level + rng.uniform(0.5, 1) * site.contrast, host.high)
    core = max(level - rng.uniform(0.4, 1) * site.contrast, host.dark)
    if wall - level < WEAKEST * site.contrast:
        return None
    inner = soft(field / rng.uniform(0.6, 0.75), 0.25)
    uneven = rng.uniform(0, 0.08) * site.contrast * smooth_noise(site, rng, site.radius)
    target = wall + uneven + inner * (core - wall)
    return _painted(replace(site, tissue=site.inside), soft(field, 0.3), target, rng, kept=0.25)


def foci(site: Site, rng: np.random.Generator) -> Change | None:
    """Several small spots, all bright or all dark, as of multiple sclerosis."""
    target = _target(site, rng)
    if target is None:
        return None
    weight = np.zeros(site.shape, np.float32)
    edge = 1.8 * float(site.host.spacing.min())
    for _ in range(rng.integers(5, 12)):
        shift = rng.normal(0, 0.45, 3) * site.radius * (np.array(site.host.shape) > 1)
        small = replace(site, centre=site.centre + shift, radius=max(edge, site.radius * rng.uniform(0.18, 0.36)))
        weight = np.maximum(weight, soft(reach(small, rng, rough=0.14), 0.7))
    return _painted(site, weight, target, rng, kept=0.6)


def texture(site: Site, rng: np.random.Generator) -> Change | None:
    """The tissue of another place, or coarser or finer grain of its own, at about the brightness of what was there."""
    weight = soft(reach(site, rng, rough=0.22), 0.4)
    other = _elsewhere(site, rng) if rng.random() < 0.5 else None
    if other is None:
        period = float(site.host.spacing.min()) * np.exp(rng.uniform(np.log(1.6), np.log(5)))
        other = rng.uniform(0.2, 0.4) * site.contrast * smooth_noise(site, rng, period)[..., None] + grain(site, rng)
    shift = rng.uniform(-0.15, 0.15) * site.contrast
    return _mixed(site, weight, site.level + shift + other, rng)


def mass(site: Site, rng: np.random.Generator) -> Change | None:
    """A lump that has grown and pushes the tissue around it aside.

    Along every ray from its centre the tissue at distance d comes from d - u, where u = (r - q) (1 - t)^2, r is the
    radius of the lump, q = 0.45 r what it grew from, and t runs from 0 at r to 1 at the end of what is pushed: d - u
    grows with d, so no tissue folds. The mask is the lump and what is pushed by a quarter of a voxel or more.
    """
    target = _target(site, rng)
    if target is None:
        return None
    r, end = site.radius, site.radius * rng.uniform(1.8, 2.4)
    d = np.maximum(reach(site, rng, rough=0.07) * r, 1e-3)
    grown = 0.55 * r
    push = grown * np.clip((end - d) / (end - r), 0, 1) ** 2
    at = [
        (o * (1 - push / d) + c) / edge - s.start
        for o, c, edge, s in zip(site.offsets, site.centre, site.host.spacing, site.box, strict=True)
    ]
    channels = np.moveaxis(site.patch, -1, 0)
    pushed = np.stack([ndimage.map_coordinates(c, at, order=1, mode="nearest") for c in channels], -1)
    shortest, dimensions = float(site.host.spacing.min()), 2 if site.host.flat else 3
    lost = (1 - (2 / 3) ** dimensions) ** 0.5  # of the noise, by interpolation between random places
    pushed += lost * np.minimum(1, push / shortest)[..., None] * grain(site, rng)
    uneven = 0.06 * smooth_noise(site, rng, 0.7 * r) + 0.05 * smooth_noise(site, rng, 0.3 * r)
    lump = target + (site.contrast * uneven)[..., None] + 0.4 * (pushed - site.level) + grain(site, rng)
    share = soft(d / r, rng.uniform(0.2, 0.5))[..., None]
    return pushed + share * (lump - pushed), ((d < r) | (push >= LEAST_SHIFT * shortest)) & site.inside


def missing(site: Site, rng: np.random.Generator) -> Change | None:
    """A hole that is filled with what is dark in the body, or structure that has gone: smooth, as what is around."""
    host, field = site.host, reach(site, rng, rough=0.22)
    dark = host.dark + rng.uniform(0, 0.12) * host.span
    if rng.random() < 0.6 and float(site.level.mean()) - dark > WEAKEST * host.span:
        return _painted(replace(site, tissue=site.inside), soft(field, 0.3), dark, rng, kept=0.1)
    width = 0.45 * site.radius / host.spacing
    outside = (site.tissue & (field > 1)).astype(np.float32)
    share = ndimage.gaussian_filter(outside, width)
    channels = [ndimage.gaussian_filter(c * outside, width) for c in np.moveaxis(site.patch, -1, 0)]
    filled = np.stack(channels, -1) / np.maximum(share, 1e-3)[..., None]
    filled = np.where((share > 1e-3)[..., None], filled, site.level)
    return _mixed(site, soft(field, 0.4), filled + grain(site, rng), rng)


def _target(site: Site, rng: np.random.Generator) -> float | None:
    """Grey value of a lesion, brighter or darker than its place; None where neither can be told from it."""
    host, level = site.host, float(site.level.mean())
    sign, strength = rng.choice((-1, 1, 1)), rng.uniform(*CONTRAST) * site.contrast
    for way in (sign, -sign):
        target = float(np.clip(level + way * strength, host.low, host.high))
        if way * (target - level) >= WEAKEST * site.contrast:
            return target
    return None


def _painted(
    site: Site, weight: np.ndarray, target: np.ndarray | float, rng: np.random.Generator, kept: float
) -> Change:
    """Move the level of the tissue to a target, keeping some of its texture and all of its noise."""
    other = np.asarray(target, np.float32)
    other = other[..., None] if other.ndim else other
    uneven = 0.07 * site.contrast * smooth_noise(site, rng, 0.6 * site.radius)[..., None]
    tint = 1.0 if site.patch.shape[-1] == 1 else rng.uniform(0.6, 1.4, 3).astype(np.float32)
    own = kept * (site.patch - site.level) + (1 - kept**2) ** 0.5 * grain(site, rng)
    return _mixed(site, weight, site.level + (other - float(site.level.mean())) * tint + uneven + own, rng)


def _mixed(site: Site, weight: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> Change:
    """``other`` where the weight is 1 and there is tissue, the patch where it is 0."""
    if not site.tissue.all():
        inner = ndimage.gaussian_filter(site.tissue.astype(np.float32), 0.7, truncate=2)
        weight = weight * np.where(site.tissue, inner, 0)
    weight = np.where(weight >= LEAST, weight, 0)
    return site.patch + weight[..., None] * (other - site.patch), weight > 0


def _elsewhere(site: Site, rng: np.random.Generator) -> np.ndarray | None:
    """What differs from its mean in a box of the same size about another place, turned over by chance, or None."""
    host = site.host
    cells = np.argwhere(host.body)
    centre = cells[rng.integers(len(cells))] * host.step * host.spacing
    apart = np.linalg.norm(centre - site.centre) > site.radius
    wanted = (centre - site.centre) / host.spacing
    start = [
        int(np.clip(s.start + w, 0, n - (s.stop - s.start)))
        for s, w, n in zip(site.box, wanted, host.shape, strict=True)
    ]
    box = tuple(slice(a, a + s.stop - s.start) for a, s in zip(start, site.box, strict=True))
    patch = host.values[box].astype(np.float32)
    tissue = grey(patch) > host.threshold
    if not apart or tissue.mean() < 0.7:
        return None
    patch = np.where(tissue[..., None], patch, np.median(patch[tissue], 0))
    flips = tuple(axis for axis in range(3) if rng.random() < 0.5)
    return np.flip(patch - patch.mean((0, 1, 2)), flips)


LESIONS: dict[str, Kind] = {
    "blob": Kind(blob),
    "ring": Kind(ring),
    "foci": Kind(foci),
    "texture": Kind(texture),
    "mass": Kind(mass, reach=3.4, depth=1.1),
    "missing": Kind(missing),
}
