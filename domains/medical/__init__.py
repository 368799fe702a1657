"""Scans and medical pictures: a Record in, slices as views out; scores in, a NIfTI file in the scan's geometry out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from domains.medical import cache, datasets, dicom, geometry, pictures, procedural, slicing, volumes
from domains.medical.making import synthesize, synthetic
from framework.errors import UnreadableError, UserError
from framework.pictures import write_map
from framework.registry import register
from framework.types import Record, Sample

__all__ = ["Medical", "datasets", "procedural", "synthesize", "synthetic"]


@register("domain", "medical")
@dataclass
class Medical:
    """Reads a NIfTI volume or DICOM series as slices, or a 2D picture as one view; an element is a voxel (or pixel).

    The voxels are brought to RAS order by the file's affine, then cut as radiologists see them (``slicing.cut``).
    Elements are the pixels of these slices, in order. A 2D picture is used as it is; the intensity options matter
    for one of more than 8 bit only.

    Attributes:
        axis: "axial", "coronal" or "sagittal": the direction in which slices follow one another.
        slices: how many at most, evenly spaced over the slices that show something; 0 takes all of these.
        window: [low, high] in the file's own units, for CT Hounsfield units; None takes the percentiles.
        percentiles: of the volume's intensities; these two become black and white.
        foreground: percentiles of what is above background only, else of all voxels.
        neighbours: red, green and blue are the slice before, the slice and the slice after, else one slice thrice.
        nan: "error" refuses a file with NaN or infinite voxels, "zero" reads them as 0.
    """

    element: ClassVar[str] = "voxel"
    unit: ClassVar[str] = "patient"
    suffixes: ClassVar[tuple[str, ...]] = (*geometry.SUFFIXES, *dicom.SUFFIXES, *pictures.SUFFIXES)
    imports: ClassVar[tuple[str, ...]] = ("nibabel",)
    axis: str = "axial"
    slices: int = 0
    window: list[float] | None = None
    percentiles: list[float] = field(default_factory=lambda: [0.5, 99.5])
    foreground: bool = True
    neighbours: bool = False
    nan: str = "error"

    def __post_init__(self) -> None:
        """Refuse options that cannot be meant."""
        slicing.axis_number(self.axis)
        if self.slices < 0:
            raise UserError(f"slices: {self.slices} is below 0; write 0 for all, else how many.")
        if self.window is not None and (len(self.window) != 2 or self.window[0] >= self.window[1]):
            raise UserError(f"window: {self.window} is not [low, high] with low below high.")
        ends = self.percentiles
        if len(ends) != 2 or not 0 <= ends[0] < ends[1] <= 100:
            raise UserError(f"percentiles: {ends} is not [low, high] with 0 <= low < high <= 100.")
        if self.nan not in ("error", "zero"):
            raise UserError(f'nan: {self.nan!r} is neither "error" nor "zero".')

    @staticmethod
    def claims(path: Path) -> bool:
        """Whether a file is one of this domain whatever its name: DICOM files often have no ending."""
        return dicom.is_dicom(path)

    @staticmethod
    def samples(paths: list[Path]) -> list[Path]:
        """The paths, with a DICOM series as one of its files and a folder as the DICOM series and pictures in it."""
        return dicom.samples(paths)

    def read(self, record: Record) -> Sample:
        """Slices of a scan (the one slice ``record.frame`` where given) or one picture, with truth where there is any.

        A ``truth_path`` that is the path itself means: nothing is anomalous.

        Raises:
            UnreadableError: the scan is missing, corrupt, not 3D, without a usable affine, or has NaN voxels.
            TruthError: the mask is missing, corrupt, or not on the grid of the scan.
        """
        if synthetic.is_made(record):
            made = synthetic.specimen(record)
            told = replace(record, frame=None) if made.frame is None else record  # whole: no slice of anything
            return replace(self.read(made), record=told)
        if not _is_volume(record.path):
            return self._read_picture(record)
        scan = cache.scan(record.path, self._look())
        chosen = self._chosen(record, scan)
        if self.neighbours:
            around = (chosen[:, None] + np.array([-1, 0, 1])).clip(0, len(scan.planes) - 1)
        else:
            around = chosen[:, None].repeat(3, 1)
        views = scan.planes[around]  # (V, 3, H, W)
        truth = None
        if record.truth_path == record.path:
            truth = np.zeros(views[:, 0].size, np.bool_)
        elif record.truth_path is not None:
            truth = cache.mask(record.truth_path, record.path, self.axis, record.marks)[chosen].ravel()
        return Sample(record, views, truth=truth)

    def save(self, sample: Sample, scores: np.ndarray, stem: Path) -> dict[str, Any]:
        """Write ``(E,)`` scores in [0, 1].

        Of a scan: ``stem.nii.gz`` on the grid of its file, the ``map``. Slices between scored ones are interpolated,
        slices beyond the first and last are 0 (``slicing.spread``). Of a picture: ``framework.pictures.write_map``.
        """
        count, _, height, width = sample.views.shape
        maps = scores.reshape(count, height, width)
        if not _is_volume(sample.record.path):
            return dict(write_map(sample.views[0], maps[0], stem))
        scan = cache.scan(sample.record.path, self._look())
        planes = slicing.spread(maps, self._chosen(sample.record, scan), len(scan.planes))  # (D, H, W)
        volume = slicing.stack(planes, self.axis)  # (X, Y, Z)
        return {"map": volumes.save(volume, scan.geometry, stem.with_name(f"{stem.name}.nii.gz"))}

    def _read_picture(self, record: Record) -> Sample:
        """One view of a 2D file."""
        picture = pictures.load(record.path)  # (H, W, 3) uint8 or (H, W, 1) float32
        if picture.dtype != np.uint8:
            picture = volumes.finite(picture, record.path, self.nan)
            picture = slicing.to_grey(picture, self.window, self.percentiles, self.foreground).repeat(3, -1)
        height, width = picture.shape[:2]
        truth = None
        if record.truth_path == record.path:
            truth = np.zeros(height * width, np.bool_)
        elif record.truth_path is not None:
            truth = pictures.load_mask(record.truth_path, height, width).ravel()
        return Sample(record, np.ascontiguousarray(picture.transpose(2, 0, 1))[None], truth=truth)

    def _look(self) -> cache.Look:
        """The options that decide how the voxels of a file become grey slices."""
        window = None if self.window is None else tuple(self.window)
        return cache.Look(self.axis, window, tuple(self.percentiles), self.foreground, self.nan)

    def _chosen(self, record: Record, scan: cache.Scan) -> np.ndarray:
        """``(V,)`` growing indices of the slices that are the views of this record."""
        if record.frame is None:
            return slicing.choose(scan.shown, self.slices)
        if not 0 <= record.frame < len(scan.planes):
            raise UnreadableError(f"{record.id}: no such slice; the scan has {len(scan.planes)} {self.axis} ones.")
        return np.array([record.frame])


def _is_volume(path: Path) -> bool:
    """Whether a file is a NIfTI file, or DICOM with a place in the patient; anything else is taken for a 2D picture."""
    return geometry.is_nifti(path) or (dicom.is_dicom(path) and not dicom.is_picture(path))
