"""Voxels and their size in; what making a lesion needs to know of them out: where the body is, how bright it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from framework.errors import UserError

COARSE = 80  # cells along an axis, or a few more, that the body is looked for on
FEWEST = 8  # voxels along the two longest axes
LEAST_BODY = 64  # coarse cells
BIMODAL = 0.7  # of the variance between the classes: one bell has 0.64, two apart more than 0.8
BINS = 256
UNIFORM = 0.6  # of the background that must have one value before that is no noise
EVEN = 0.06  # of the range of values, by which those of an even background differ
_QUARTER = 0.3186  # a quarter of a Gaussian's absolute values lie below so many standard deviations


@dataclass(frozen=True, slots=True)
class Host:
    """A healthy volume, studied.

    Attributes:
        name: of it, for messages.
        values: ``(X, Y, Z, C)`` in the type of the file; C is 1, or 3 for a picture with colours, whose Z is 1.
        spacing: ``(3,)`` float64, mm of a voxel along each axis (or pixels, of a picture).
        threshold: grey above which a voxel is tissue; minus infinity where nothing is background.
        step: ``(3,)`` int, voxels of a coarse cell.
        body: coarse bool, the largest connected part of the tissue, its holes filled.
        depth: coarse float32, mm below the surface of the body; 0 outside.
        background: grey value of most of what is not tissue; the smallest where all is tissue.
        clean: whether the background has this value only, as after a skull was removed.
        dark: grey value that 3 % of the body's lie below, what is not tissue among them: fluid, or air.
        low, high: grey values that 1 and 99.5 % of the body's tissue lie below.
        least, most: the smallest and the largest value there is.
    """

    name: str
    values: np.ndarray
    spacing: np.ndarray
    threshold: float
    step: np.ndarray
    body: np.ndarray
    depth: np.ndarray
    background: float
    clean: bool
    dark: float
    low: float
    high: float
    least: float
    most: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(X, Y, Z)``."""
        x, y, z = self.values.shape[:3]
        return x, y, z

    @property
    def flat(self) -> bool:
        """Whether this is a single slice or a picture, in which depth has no meaning."""
        return min(self.shape) == 1

    @property
    def through(self) -> int:
        """The axis that slices follow one another along: that of the thickest voxels, else of the fewest."""
        if self.spacing.max() > 1.2 * self.spacing.min() and not self.flat:
            return int(self.spacing.argmax())
        return int(np.argmin(self.shape))

    @property
    def across(self) -> float:
        """Millimetres across a ball as large as the body (a disc, in a picture)."""
        filled = float(self.body.sum())
        edges = [float(s * e) for s, e, n in zip(self.step, self.spacing, self.shape, strict=True) if n > 1]
        return 2 * float((filled * np.prod(edges) / np.pi * (1 if self.flat else 3 / 4)) ** (1 / len(edges)))

    @property
    def span(self) -> float:
        """Grey values between the dark and the bright tissue of the body."""
        return self.high - self.low


def study(values: np.ndarray, spacing: tuple[float, ...], name: str = "volume") -> Host:
    """Find the body in a volume or picture.

    Args:
        values: ``(X, Y, Z)``, or a picture ``(H, W)`` or ``(H, W, 3)`` of type uint8; whole numbers or floats.
        spacing: mm along X, Y, Z, or of a picture ``(1, 1)`` for sizes in pixels.
        name: of it, for messages.

    Raises:
        UserError: it is too small, has values that are not finite, or shows nothing.
    """
    full = _four(values, len(spacing))
    if full.shape[3] == 3 and (full == full[..., :1]).all():
        full = full[..., :1]  # a grey picture saved in colours stays grey
    sides = sorted(full.shape[:3])
    if sides[1] < FEWEST:
        raise UserError(f"{name}: {' x '.join(map(str, values.shape))} voxels; a lesion shows on {FEWEST} x {FEWEST}.")
    if full.dtype.kind == "f" and not np.isfinite(full).all():
        raise UserError(f"{name}: has NaN or infinite voxels; no lesion is made on it.")
    edge = np.array([*spacing, 1.0][:3], np.float64)
    wide = np.array(full.shape[:3]) * edge
    step = np.maximum(1, np.round(wide.max() / COARSE / edge)).astype(int)
    step = np.minimum(step, np.maximum(1, np.array(full.shape[:3]) // FEWEST))
    coarse = grey(full[tuple(slice(int(s // 2), None, int(s)) for s in step)])
    if coarse.min() == coarse.max():
        raise UserError(f"{name}: all values are equal; there is nothing to make a lesion in.")
    threshold = _otsu(coarse)
    body = _body(coarse > threshold)
    if body.sum() < LEAST_BODY:
        raise UserError(f"{name}: shows no body that is large enough for a lesion.")
    # where the field of view ends the body goes on, unless there is nothing else
    padded = np.pad(body, [(int(n > 1),) * 2 for n in body.shape], "constant" if body.all() else "edge")
    depth = ndimage.distance_transform_edt(padded, sampling=step * edge).astype(np.float32)
    depth = depth[tuple(slice(int(n > 1), n + int(n > 1)) for n in body.shape)]
    inside = coarse[body & (coarse > threshold)]
    low, high = np.percentile(inside, (1, 99.5)).tolist()
    if high <= low:
        raise UserError(f"{name}: its body has one grey value; there is no contrast to make a lesion of.")
    least, most, dark = float(full.min()), float(full.max()), float(np.percentile(coarse[body], 3))
    background, clean = _background(coarse[coarse <= threshold], least)
    return Host(name, full, edge, threshold, step, body, depth, background, clean, dark, low, high, least, most)


def grey(values: np.ndarray) -> np.ndarray:
    """``(X, Y, Z, C)`` -> ``(X, Y, Z)`` float32, the mean of the channels."""
    return values[..., 0].astype(np.float32) if values.shape[-1] == 1 else values.mean(-1, dtype=np.float32)


def noise(values: np.ndarray, within: np.ndarray) -> float:
    """Standard deviation of what differs from voxel to voxel, of ``(X, Y, Z)`` float32 in a mask; edges hardly count.

    From second differences along X and Y, which noise of variance s has with variance 6 s; of them the lower quartile.
    """
    found = []
    for axis in (0, 1):
        if values.shape[axis] < 3:
            continue
        second = np.diff(values, 2, axis)
        centre = within[tuple(slice(1, -1) if a == axis else slice(None) for a in range(3))]
        if centre.any():
            found.append(float(np.percentile(np.abs(second[centre]), 25)) / _QUARTER / 6**0.5)
    return min(found, default=0.0)


def _four(values: np.ndarray, dimensions: int) -> np.ndarray:
    """The values as ``(X, Y, Z, C)``, the same memory."""
    if dimensions == 3 and values.ndim == 3:
        return values[..., None]
    if dimensions == 2 and values.ndim in (2, 3):
        return values[:, :, None, None] if values.ndim == 2 else values[:, :, None, :]
    raise ValueError(f"values {values.shape} with {dimensions} spacings are neither a volume nor a picture")


def _background(values: np.ndarray, least: float) -> tuple[float, bool]:
    """The median of what is no tissue, and whether most of it has that value; the least value where there is none."""
    if not values.size:
        return least, False
    middle = float(np.median(values))
    return middle, bool((values == middle).mean() > UNIFORM)


def _otsu(values: np.ndarray) -> float:
    """The grey value that parts dark from bright best; where there are no two classes, that of the border.

    Source: Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9, 1979.
    """
    flat = values.ravel()
    low, high = np.percentile(flat, (0.1, 99.5))
    if high <= low:
        return float(flat.min())
    counts, edges = np.histogram(flat.clip(low, high), BINS, (low, high))
    middle = (edges[:-1] + edges[1:]) / 2
    below = counts.cumsum() / flat.size
    mean = (counts * middle).cumsum() / flat.size
    between = (mean[-1] * below - mean) ** 2 / np.maximum(below * (1 - below), 1e-12)
    total = float((counts * (middle - mean[-1]) ** 2).sum() / flat.size)
    best = int(between.argmax())
    return float(edges[best + 1]) if between[best] > BIMODAL * total else _above_border(values, high - low)


def _above_border(values: np.ndarray, span: float) -> float:
    """A little above the value of most of the border, where that is dark and even; minus infinity where it is not."""
    planes = np.moveaxis(values, int(np.argmin(values.shape)), 0)  # slices may show the body at both ends
    border = np.concatenate([planes[:, [0, -1]].ravel(), planes[:, :, [0, -1]].ravel()])
    middle = float(np.median(border))
    even = (np.abs(border - middle) < EVEN * span).mean() > UNIFORM
    return middle + EVEN * span if even and middle + EVEN * span < float(values.mean()) else -np.inf


def _body(tissue: np.ndarray) -> np.ndarray:
    """The largest connected part, its holes filled in every slice."""
    parts, count = ndimage.label(tissue)
    if count > 1:
        tissue = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    planes = [ndimage.binary_fill_holes(plane) for plane in np.moveaxis(tissue, int(np.argmin(tissue.shape)), 0)]
    return np.moveaxis(np.array(planes), 0, int(np.argmin(tissue.shape)))
