"""A scan and where its slices lie in, the plain arrays that ``viewer.js`` draws three planes from out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from domains.medical import cache, intensity, slicing
from domains.medical.back import ScanBack
from domains.medical.geometry import Geometry
from domains.medical.intensity import Histogram
from domains.medical.places import Place, places
from domains.medical.scans import Scan
from domains.medical.space import Space
from framework.errors import TruthError

SCRIPT = Path(__file__).with_name("viewer.js")
MOST_VOXELS = 3_000_000  # of a page: 144 a side
STEPS = 4095  # shades of a page
OBLIQUE_DEG = 5.0  # a scan that is turned further says so
_FAR = 8.0  # of the span of nearly all values: further out lies metal, which is shown as the end of the shades
_AIR, _TISSUE = -900, 200  # Hounsfield units that a CT has
_BESIDE = 2  # voxels that are kept of a margin


def scene(scan: Scan, back: ScanBack, window: tuple[float, float]) -> dict[str, np.ndarray]:
    """What a viewer needs of a scan. Margins of one value are left out, large scans thinned evenly.

    Args:
        scan: upright and whole, neither cropped nor resampled.
        back: of V views of it, however these were made.
        window: low and high in the file's own units, which are black and white at first.

    Returns:
        For the framework ``elements (N,)`` int32, ``planes (V,)``, ``numbers (V,)``, ``positions_mm (V,)``, ``pixel_mm
        (V, 2)``, ``sides (V, 4)`` and ``notes``; ``truth (E,)`` bool where a mask lies beside the scan. For the script:
        ``shape (3,)`` of the N voxels, of which x runs fastest; ``picks``, which planes of voxels of each axis these
        are, one axis after the other; ``grid (3,)`` and ``affine (4, 4)`` of all; ``values (N,)`` uint8 or uint16 with
        ``scale (2,)``, the value of 0 and of a step; ``window (2,)``; ``presets`` of a CT and their ``windows (P, 2)``;
        ``views (V, 2)``, axis and slice of each.
    """
    scan.check(range(len(scan.codes)))
    codes = slicing.stack(scan.codes, scan.cutting.kept)  # (X, Y, Z)
    box = _box(codes.view(np.uint16))
    affine = scan.space.affine(scan.geometry.affine)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    picks = thinned(box, spacing)
    shown = codes[np.ix_(*picks)]
    values, scale = _coded(scan.scale.decode(shown), scan.histogram)
    ct = scan.histogram.values[0] <= _AIR and scan.histogram.values[-1] >= _TISSUE
    presets = list(intensity.WINDOWS) if ct else []
    lying = places(scan.geometry, back.space, back.looks, back.upright)
    truth, told = _truth(scan.geometry)
    return (
        _lying(lying)
        | truth
        | {
            "elements": _elements(scan.space, picks).ravel("F"),
            "notes": np.array(_notes(affine, box, picks) + told, np.str_),
            "shape": np.array(shown.shape, np.int32),
            "picks": np.concatenate(picks).astype(np.int32),
            "grid": np.array(scan.space.size, np.int32),
            "affine": affine.astype(np.float32),
            "values": values.ravel("F"),
            "scale": np.array(scale, np.float32),
            "window": np.array(window, np.float32),
            "presets": np.array(presets, np.str_),
            "windows": np.array([intensity.window_of(name) for name in presets], np.float32).reshape(-1, 2),
        }
    )


def thinned(box: tuple[slice, ...], spacing_mm: np.ndarray) -> tuple[np.ndarray, ...]:
    """Which planes of voxels of each axis to show: those of a box, where these are too many evenly fewer.

    The axes with the smallest voxels are thinned first, so that what is shown is about as fine along all.
    """
    lengths = np.array([part.stop - part.start for part in box])
    extents = lengths * spacing_mm
    low, high = 0.0, float(extents.max())
    for _ in range(40):  # the finest pitch that fits, by halving
        pitch = (low + high) / 2
        low, high = (low, pitch) if _fitting(lengths, extents, pitch).prod() <= MOST_VOXELS else (pitch, high)
    return tuple(
        part.start + ((np.arange(count) + 0.5) * length / count).astype(int)
        for part, count, length in zip(box, _fitting(lengths, extents, high), lengths, strict=True)
    )


def truth_beside(path: Path) -> Path | None:
    """The mask of a scan where sets lay it.

    In ``labelsTr`` or ``masks`` beside its folder, in ``masks/<finding>`` beside that of its finding, or beside itself
    as ``*_seg`` or ``*_mask``.
    """
    end = ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix
    stem, folder = path.name[: len(path.name) - len(end)], path.parent
    case = stem.rpartition("_")[0] or stem  # of several sequences: BraTS_001_flair, or liver_001_0000
    apart = {"imagesTr": "labelsTr", "imagesTs": "labelsTs", "images": "masks"}.get(folder.name)
    found = [folder.parent / apart / f"{name}{end}" for name in (stem, case)] if apart else []
    found += [folder.parent / "masks" / folder.name / path.name]
    found += [folder / f"{name}{word}{end}" for name in (stem, case) for word in ("_seg", "_mask")]
    return next((mask for mask in found if mask != path and mask.is_file()), None)


def _truth(scan: Geometry) -> tuple[dict[str, np.ndarray], list[str]]:
    """The mask beside a scan, in file order; of one that does not fit it, a note."""
    path = truth_beside(scan.path)
    try:
        return ({} if path is None else {"truth": cache.mask(path, scan).ravel()}), []
    except TruthError:
        assert path is not None
        why = "it cannot be read, or its voxels are not those of the scan"
        return {}, [f"The mask {path.name} is not shown: {why}."]


def _lying(found: Sequence[Place]) -> dict[str, np.ndarray]:
    """Where V views lie."""
    return {
        "planes": np.array([p.plane for p in found], np.str_),
        "numbers": np.array([p.index + 1 for p in found], np.int32),
        "positions_mm": np.array([p.position_mm for p in found], np.float32),
        "pixel_mm": np.array([p.pixel_mm for p in found], np.float32),
        "sides": np.array([p.sides for p in found], np.str_),
        "views": np.array([(p.axis, p.index) for p in found], np.int32),
    }


def _fitting(lengths: np.ndarray, extents: np.ndarray, pitch: float) -> np.ndarray:
    """How many planes of each axis there are where none lie closer than ``pitch``."""
    return np.minimum(lengths, np.maximum(1, np.floor(extents / pitch))).astype(int)


def _elements(space: Space, picks: tuple[np.ndarray, ...]) -> np.ndarray:
    """``(x, y, z)`` int32 of picked planes of voxels: where each lies in the file's own order."""
    steps = (space.shape[1] * space.shape[2], space.shape[2], 1)
    parts = [
        (size - 1 - at if flip else at) * steps[own]
        for at, own, flip, size in zip(picks, space.order, space.flips, space.size, strict=True)
    ]
    return (parts[0][:, None, None] + parts[1][None, :, None] + parts[2][None, None]).astype(np.int32)


def _box(codes: np.ndarray) -> tuple[slice, ...]:
    """What is left without the margins that have one value; all of it where there is nothing else."""
    other = codes != codes[0, 0, 0]
    found = []
    for axis, length in enumerate(codes.shape):
        there = np.flatnonzero(other.any(tuple({0, 1, 2} - {axis})))
        ends = (max(0, there[0] - _BESIDE), min(length, there[-1] + 1 + _BESIDE)) if len(there) else (0, length)
        found.append(slice(*map(int, ends)))
    return tuple(found)


def _coded(values: np.ndarray, histogram: Histogram) -> tuple[np.ndarray, tuple[float, float]]:
    """Codes of values, uint8 where these are few whole numbers, else uint16, and the value of 0 and of a step."""
    low, high = float(histogram.values[0]), float(histogram.values[-1])
    least, most = histogram.ends((0.1, 99.9), foreground=False)
    if most > least:
        low, high = max(low, least - _FAR * (most - least)), min(high, most + _FAR * (most - least))
    whole = high - low <= STEPS and bool((histogram.values == np.rint(histogram.values)).all())
    step = 1.0 if whole else max(high - low, 1e-30) / STEPS
    codes = np.rint((values.clip(low, high) - low) / step)
    return codes.astype(np.uint8 if codes.max() <= 255 else np.uint16), (low, step)


def _notes(affine: np.ndarray, box: tuple[slice, ...], picks: tuple[np.ndarray, ...]) -> list[str]:
    """What to keep in mind while looking."""
    notes = ["As radiologists look at it: the patient's right is on the left; seen from the side, the front is."]
    inside = int(np.prod([part.stop - part.start for part in box]))
    shown = int(np.prod([len(planes) for planes in picks]))
    if shown < inside:
        notes.append(f"Shown are {shown:,} of {inside:,} voxels, evenly thinned; the file of scores has all.")
    along = np.diag(affine)[:3] / np.linalg.norm(affine[:3, :3], axis=0)
    turned = float(np.degrees(np.arccos(along.clip(-1, 1)).max()))
    if turned > OBLIQUE_DEG:
        notes.append(
            f"The scan lies {turned:.0f} degrees oblique: letters and planes name the nearest direction of the "
            "patient; positions in mm are exact at the cross."
        )
    return notes
