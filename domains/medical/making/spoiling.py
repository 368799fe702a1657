"""A healthy volume, a kind and a seed in; the same with one lesion or artefact, and its mask, out.

Every voxel that the mask does not mark is that of the healthy volume to the bit. The same arguments give the same
voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from domains.medical.making import artefacts
from domains.medical.making.host import Host, grey
from domains.medical.making.lesions import LESIONS, Kind
from domains.medical.making.shapes import Box, Site, site_at
from domains.medical.making.sizes import NAMED, Size
from framework.errors import UserError

ARTEFACT = "artefact"
KINDS = (*LESIONS, ARTEFACT)
FEWEST_EDGES = 2.2  # radius of the smallest lesion, in the second shortest edge of a voxel
FEWEST = 12  # voxels of a mask
MOST = 0.3  # of the body that a mask may cover
VISIBLE_NOISE = 2.5  # root mean square of the change in the mask, in standard deviations of the noise
VISIBLE_SPAN = 0.1  # and in what lies between dark and bright tissue
DEEP = 0.25  # of the largest depth that there is in the body, at which a centre lies at least
TRIES = 40  # places


class NoPlaceError(UserError):
    """A volume in which a lesion of this kind and size fits nowhere."""


@dataclass(frozen=True, slots=True)
class Spoiled:
    """What became of a host.

    Attributes:
        host: as it was.
        kind: of what was made.
        box: the voxels outside of which nothing changed.
        changed: ``(x, y, z, C)`` of the host's type, what is in the box now.
        marked: ``(x, y, z)`` bool, the mask in the box.
    """

    host: Host
    kind: str
    box: Box
    changed: np.ndarray
    marked: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """``(X, Y, Z, C)`` of the host's type."""
        out = self.host.values.copy()
        out[self.box] = self.changed
        return out

    @property
    def mask(self) -> np.ndarray:
        """``(X, Y, Z)`` bool."""
        out = np.zeros(self.host.shape, np.bool_)
        out[self.box] = self.marked
        return out


def spoil(host: Host, kind: str, seed: tuple[int, ...], size: Size = NAMED["any"]) -> Spoiled:
    """Add a lesion or artefact of a kind in ``KINDS`` at a random place of the body where it shows.

    Args:
        host: what ``host.study`` made of a healthy volume.
        kind: which.
        seed: of everything.
        size: of a lesion.

    Raises:
        NoPlaceError: no place was found.
    """
    rng = np.random.default_rng([*seed, KINDS.index(kind)])
    cells = int(host.body.sum() * host.step.prod())
    for _ in range(TRIES):
        made = artefacts.artefact(host, rng) if kind == ARTEFACT else _lesion(host, LESIONS[kind], size, rng)
        if made is None:
            continue
        box, new, mask, sigma = made
        before = host.values[box]
        after = np.where(mask[..., None], _stored(new, host), before)
        count = int(mask.sum())
        if FEWEST <= count <= MOST * cells and _visible(before, after, mask, sigma, host.span):
            return Spoiled(host, kind, box, after, mask)
    _no_place(host, kind)


def spoil_first(host: Host, kinds: Sequence[str], seed: tuple[int, ...], size: Size = NAMED["any"]) -> Spoiled:
    """As ``spoil``, of the first of these kinds that finds a place; an artefact, which has no size, takes no other's.

    Raises:
        NoPlaceError: none does; it tells of the first.
    """
    try:
        return spoil(host, kinds[0], seed, size)
    except NoPlaceError:
        for kind in (k for k in kinds[1:] if k != ARTEFACT):
            with suppress(NoPlaceError):
                return spoil(host, kind, seed, size)
        raise


def _lesion(
    host: Host, kind: Kind, size: Size, rng: np.random.Generator
) -> tuple[Box, np.ndarray, np.ndarray, float] | None:
    """A lesion at a random place, whether or not it shows, or None where it cannot lie there."""
    low, high = _radii(host, size)
    radius = low * (high / low) ** rng.random()
    most = float(host.depth.max())
    need = min(max(kind.depth * radius, DEEP * most), 0.9 * most)
    cells = np.argwhere(host.depth >= need)
    along = cells[:, host.through]
    cells = cells[along == rng.choice(np.unique(along))]  # as often in any slice: its position must not tell
    centre = (cells[rng.integers(len(cells))] + rng.uniform(0, 1, 3) * (np.array(host.shape) > 1)) * host.step
    centre = np.minimum(centre, np.array(host.shape) - 1) * host.spacing
    site: Site | None = site_at(host, centre, radius, kind.reach * radius)
    change = kind.make(site, rng) if site is not None else None
    return None if site is None or change is None else (site.box, *change, site.sigma)


def _radii(host: Host, size: Size) -> tuple[float, float]:
    """Least and most radius of a lesion, which must be seen in a slice."""
    edges = sorted(e for e, n in zip(host.spacing.tolist(), host.shape, strict=True) if n > 1)
    unit = host.across / 2 if size.share else 0.5
    low, high = size.low * unit, size.high * unit
    least = FEWEST_EDGES * edges[1] if size.share else 0.0
    return max(least, low), max(least, high)


def _stored(values: np.ndarray, host: Host) -> np.ndarray:
    """Values as the file's type holds them: between the smallest and the largest that are there, rounded if whole."""
    kind = host.values.dtype
    values = values.astype(np.float64 if kind.itemsize > 2 else np.float32).clip(host.least, host.most)
    return (np.rint(values) if kind.kind in "iu" else values).astype(kind)


def _visible(before: np.ndarray, after: np.ndarray, mask: np.ndarray, sigma: float, span: float) -> bool:
    """Whether the change stands out from the noise and from the contrast of the tissue."""
    change = grey(after)[mask] - grey(before)[mask]
    strength = float(np.sqrt(np.mean(change**2)))
    return strength >= max(VISIBLE_NOISE * sigma, VISIBLE_SPAN * span)


def _no_place(host: Host, kind: str) -> NoReturn:
    raise NoPlaceError(
        f"{host.name}: no place for a lesion of kind {kind!r} that shows; leave the kind or the file out."
    )
