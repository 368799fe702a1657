"""Voxels of a scan and where its slices lie in, the plain arrays that ``viewer.js`` draws three planes from out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from domains.medical.captions import captions

SCRIPT = Path(__file__).with_name("viewer.js")
MOST_VOXELS = 3_500_000  # of a page: about 152 a side
STEPS = 4095  # shades of a page
PLANES = ("sagittal", "coronal", "axial")  # by the RAS axis that their slices follow one another along
SIDES = (("A", "P", "S", "I"), ("R", "L", "S", "I"), ("R", "L", "A", "P"))  # left, right, top, bottom of each
OBLIQUE_DEG = 5.0  # a scan that is turned further says so
_TENTH = 0.1  # percent of the voxels that may be darker or brighter than the shades reach, where these are few
_AIR, _TISSUE = -900, 200  # Hounsfield units that a CT has
_PRESETS = {  # low and high in Hounsfield units: centres and widths are the field's convention, no standard
    "brain": (0, 80),
    "subdural": (-25, 175),
    "bone": (-500, 1300),
    "lung": (-1350, 150),
    "soft tissue": (-160, 240),
    "mediastinum": (-125, 225),
    "liver": (-45, 105),
}


@dataclass(frozen=True, slots=True)
class Grid:
    """The voxels of a scan as they lie in the patient, axes to the right, front and top.

    Attributes:
        shape: ``(X, Y, Z)``.
        affine: ``(4, 4)`` float64, voxel -> millimetres in RAS+ world space.
        order: of each axis, the axis of the file that runs along it, and whether in the same direction.
    """

    shape: tuple[int, int, int]
    affine: np.ndarray
    order: tuple[tuple[int, bool], ...]

    @property
    def spacing_mm(self) -> np.ndarray:
        """``(3,)`` float64, from a voxel to the next along each axis."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    def elements(self, picks: tuple[np.ndarray, ...]) -> np.ndarray:
        """``(x, y, z)`` int32 of picked planes of voxels: where each lies in the file's own order."""
        lengths = [0, 0, 0]
        for axis, (own, _) in enumerate(self.order):
            lengths[own] = self.shape[axis]
        steps = (lengths[1] * lengths[2], lengths[2], 1)
        parts = [
            (at if same else self.shape[axis] - 1 - at) * steps[own]
            for axis, ((own, same), at) in enumerate(zip(self.order, picks, strict=True))
        ]
        return (parts[0][:, None, None] + parts[1][None, :, None] + parts[2][None, None]).astype(np.int32)


def grid_of(shape: tuple[int, int, int], affine: np.ndarray) -> Grid:
    """The voxels of a file of this shape and affine, in its own order, as they lie in the patient."""
    from nibabel import orientations

    turn = orientations.io_orientation(affine)
    found: list[tuple[int, bool]] = [(0, True)] * 3
    for own, (axis, sign) in enumerate(turn):
        found[int(axis)] = own, sign > 0
    x, y, z = (shape[own] for own, _ in found)
    return Grid((x, y, z), affine @ orientations.inv_ornt_aff(turn, shape), tuple(found))


def scene(
    grid: Grid, voxels: np.ndarray, axes: np.ndarray, indices: np.ndarray, window: tuple[float, float]
) -> dict[str, np.ndarray]:
    """What a viewer needs of a scan. Margins of one value are left out, large scans thinned evenly.

    Args:
        grid: of the voxels.
        voxels: ``(X, Y, Z)`` of any type, finite.
        axes: ``(V,)`` integers, the RAS axis that each view is a slice across.
        indices: ``(V,)`` integers, which slice.
        window: low and high in the file's own units, which are black and white at first.

    Returns:
        For the framework ``elements (N,)`` int32, ``planes (V,)``, ``numbers (V,)``, ``positions_mm (V,)``, ``pixel_mm
        (V, 2)``, ``sides (V, 4)`` and ``notes``. For the script: ``shape (3,)`` of the N voxels, ``picks``, which
        planes of voxels of each axis these are, one axis after the other, ``grid (3,)`` and ``affine (4, 4)`` of all;
        ``values (N,)`` uint8 or uint16 with ``scale (2,)``, the value of 0 and of a step; ``window (2,)``; ``presets``
        of a CT and their ``windows (P, 2)``; ``views (V, 2)``, axis and slice of each.
    """
    box = _box(voxels)
    picks = thinned(grid, box)
    shown = voxels[np.ix_(*picks)]
    values, scale = _coded(shown)
    presets = _PRESETS if voxels.min() <= _AIR and voxels.max() >= _TISSUE else {}
    return lying(grid, axes, indices) | {
        "elements": grid.elements(picks).ravel(),
        "notes": np.array(_notes(grid, box, picks), np.str_),
        "shape": np.array(shown.shape, np.int32),
        "picks": np.concatenate(picks).astype(np.int32),
        "grid": np.array(grid.shape, np.int32),
        "affine": grid.affine.astype(np.float32),
        "values": values.ravel(),
        "scale": np.array(scale, np.float32),
        "window": np.array(window, np.float32),
        "presets": np.array(list(presets), np.str_),
        "windows": np.array(list(presets.values()), np.float32).reshape(-1, 2),
        "views": np.stack([axes, indices], 1).astype(np.int32),
    }


def lying(grid: Grid, axes: np.ndarray, indices: np.ndarray) -> dict[str, np.ndarray]:
    """Where slices lie: what ``scene`` has of V views for the framework."""
    spacing = grid.spacing_mm
    high = np.where(np.asarray(axes) == 2, spacing[1], spacing[2])
    wide = np.where(np.asarray(axes) == 0, spacing[1], spacing[0])
    return {
        "planes": np.array([PLANES[axis] for axis in axes], np.str_),
        "numbers": np.asarray(indices, np.int32) + 1,
        "positions_mm": positions_mm(grid, axes, indices),
        "pixel_mm": np.stack([high, wide], 1).astype(np.float32),
        "sides": np.array([SIDES[axis] for axis in axes], np.str_),
    }


def positions_mm(grid: Grid, axes: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """``(V,)`` float32, the coordinate of the middle of each slice along the axis that slices follow one another on."""
    middle = (np.array(grid.shape) - 1) / 2
    places = np.tile(middle, (len(axes), 1))
    places[np.arange(len(axes)), axes] = indices
    world = places @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    return world[np.arange(len(axes)), axes].astype(np.float32)


def named(grid: Grid, axes: np.ndarray, indices: np.ndarray) -> tuple[str, ...]:
    """A caption of each slice."""
    found = lying(grid, axes, indices)
    depths = [grid.shape[axis] for axis in axes]
    return captions(found["planes"].tolist(), found["numbers"].tolist(), depths, found["positions_mm"].tolist())


def thinned(grid: Grid, box: tuple[slice, ...]) -> tuple[np.ndarray, ...]:
    """Which planes of voxels of each axis to show: those of a box, where these are too many evenly fewer.

    The axes with the smallest voxels are thinned first, so that what is shown is about as fine along all.
    """
    lengths = np.array([part.stop - part.start for part in box])
    extents, low, high = lengths * grid.spacing_mm, 0.0, float((lengths * grid.spacing_mm).max())
    for _ in range(40):  # the finest pitch that fits, by halving
        pitch = (low + high) / 2
        counts = np.minimum(lengths, np.maximum(1, np.floor(extents / max(pitch, 1e-9))))
        low, high = (low, pitch) if counts.prod() <= MOST_VOXELS else (pitch, high)
    counts = np.minimum(lengths, np.maximum(1, np.floor(extents / high))).astype(int)
    return tuple(
        part.start + ((np.arange(n) + 0.5) * length / n).astype(int)
        for part, n, length in zip(box, counts, lengths, strict=True)
    )


def truth_beside(path: Path) -> Path | None:
    """The mask of a scan where sets lay it: in ``labelsTr`` or ``masks``, or beside it as ``*_seg`` or ``*_mask``."""
    end = ".nii.gz" if path.name.lower().endswith(".nii.gz") else path.suffix
    stem, folder = path.name[: -len(end)], path.parent
    case = stem.rpartition("_")[0]  # of several sequences: BraTS_001_flair, or liver_001_0000
    apart = {"imagesTr": "labelsTr", "imagesTs": "labelsTs", "images": "masks"}.get(folder.name)
    found = [folder.parent / apart / f"{name}{end}" for name in (stem, case)] if apart else []
    found += [folder / f"{name}{word}{end}" for name in (stem, case) for word in ("_seg", "_mask")]
    return next((mask for mask in found if mask != path and mask.is_file()), None)


def _box(voxels: np.ndarray) -> tuple[slice, ...]:
    """What is left without the margins that have one value; all of it where there is nothing else."""
    other = voxels != voxels[0, 0, 0]
    found = []
    for axis, length in enumerate(voxels.shape):
        there = np.flatnonzero(other.any(tuple({0, 1, 2} - {axis})))
        found.append(slice(max(0, there[0] - 2), min(length, there[-1] + 3)) if len(there) else slice(0, length))
    return tuple(found)


def _coded(values: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Codes of values, uint8 where these are few whole numbers, else uint16, and the value of 0 and of a step.

    A few voxels that lie far out, as metal does, are shown as the ends of the shades.
    """
    low, high = float(values.min()), float(values.max())
    least, most = np.percentile(values.ravel()[:: max(1, values.size // 200_000)], (_TENTH, 100 - _TENTH)).tolist()
    reach = 8 * (most - least)
    if reach > 0:
        low, high = max(low, least - reach), min(high, most + reach)
    whole = high - low <= STEPS and bool((values == np.rint(values)).all())
    step = 1.0 if whole else max(high - low, 1e-12) / STEPS
    codes = np.rint((values.clip(low, high) - np.float32(low)) / np.float32(step))
    return codes.astype(np.uint8 if codes.max() <= 255 else np.uint16), (low, step)


def _notes(grid: Grid, box: tuple[slice, ...], picks: tuple[np.ndarray, ...]) -> list[str]:
    """What to keep in mind while looking."""
    notes = ["As radiologists look at it: the patient's right is on the left; seen from the side, the front is."]
    inside = int(np.prod([part.stop - part.start for part in box]))
    shown = int(np.prod([len(planes) for planes in picks]))
    if shown < inside:
        notes.append(f"Shown are {shown:,} of {inside:,} voxels, evenly thinned; the file of scores has all.")
    turned = np.degrees(np.arccos(np.clip(np.diag(grid.affine)[:3] / grid.spacing_mm, -1, 1)).max())
    if turned > OBLIQUE_DEG:
        notes.append(
            f"The scan lies {turned:.0f} degrees oblique: letters and planes name the nearest direction of the "
            "patient; positions in mm are exact at the cross."
        )
    return notes
