"""Scans and medical pictures: a Record in, slices as views out; scores in, a NIfTI file in the scan's geometry out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from domains.medical import (
    acting,
    cache,
    datasets,
    dicom,
    geometry,
    looking,
    names,
    options,
    pictures,
    places,
    procedural,
    slicing,
    space,
    viewer,
    volumes,
)
from domains.medical.back import Look as Along
from domains.medical.back import ScanBack, made
from domains.medical.making import synthesize, synthetic
from domains.medical.scans import Look, Scan
from domains.medical.store import DamagedError, Store
from framework.errors import UnreadableError
from framework.pictures import write_map
from framework.registry import register
from framework.types import Record, Sample

__all__ = ["Medical", "datasets", "procedural", "synthesize", "synthetic"]


@register("domain", "medical")
@dataclass
class Medical:
    """Reads a NIfTI volume or DICOM series as slices, or a 2D picture as one view; an element is a voxel (or pixel).

    Slices are cut as radiologists see them (``slicing.cut``) from the voxels in RAS order. Elements are all voxels of
    the file, in its own order, whatever was cropped or resampled; of one slice they are its pixels. A 2D picture is
    used as it is; the intensity options matter for one of more than 8 bit or of DICOM only.

    Attributes:
        axis: "axial", "coronal" or "sagittal": the direction in which slices follow one another; "all" takes all
            three, and the maps are fused by their mean.
        slices: how many at most along an axis, evenly spaced over those that are selected; 0 takes all of these.
        stride: every how manieth of the selected slices.
        select: "shown" takes slices that show something, "all" takes every one.
        between: [low, high], only slices between these shares of the depth; 0 is the lowest, leftmost, rearmost.
        neighbours: red, green and blue are the slice before, the slice and the slice after, else one slice thrice.
        window: [low, high] in the file's own units, for CT Hounsfield units, or a name ("brain", "lung", see
            ``intensity.WINDOWS``), or three of these as red, green and blue; None takes the percentiles.
        percentiles: of the volume's intensities; these two become black and white.
        foreground: percentiles of what is above background only, else of all voxels.
        orientation: "anatomical", as radiologists see slices; "stored": rows, columns and slices run as the file's
            axes do, and ``axis`` means the file axis that runs nearest to it.
        crop: "foreground" leaves out what lies around it and its margin of 4 voxels; "none".
        spacing: one or three lengths in mm (right, front, up) that the volume is resampled to, linearly; None does not.
        nan: "error" refuses a file with NaN or infinite voxels, "zero" reads them as 0.
        channel: which volume of a file that holds several, counted from 0.
        reader: "auto", or MONAI's "nibabel" (NIfTI), "pydicom" (DICOM) or "itk" (both).
    """

    element: ClassVar[str] = "voxel"
    unit: ClassVar[str] = "patient"
    view: ClassVar[str] = "slice"
    script: ClassVar[Path] = viewer.SCRIPT
    asked: ClassVar[dict[str, Any]] = {"slices": 24}  # a language model pays for each
    suffixes: ClassVar[tuple[str, ...]] = (*geometry.SUFFIXES, *dicom.SUFFIXES, *pictures.SUFFIXES)
    imports: ClassVar[tuple[str, ...]] = ("nibabel",)
    axis: str = "axial"
    slices: int = 0
    stride: int = 1
    select: str = "shown"
    between: list[float] = field(default_factory=lambda: [0.0, 1.0])
    neighbours: bool = False
    window: str | list[Any] | None = None
    percentiles: list[float] = field(default_factory=lambda: [0.5, 99.5])
    foreground: bool = True
    orientation: str = "anatomical"
    crop: str = "none"
    spacing: float | list[float] | None = None
    nan: str = "error"
    channel: int | None = None
    reader: str = "auto"

    def __post_init__(self) -> None:
        """Refuse options that cannot be meant."""
        options.check(self)
        self._store: Store | None = None

    @property
    def protocol(self) -> str:
        """How views are made, for every row."""
        return options.words(self)

    def protocol_of(self, records: Sequence[Record]) -> str:
        """As ``protocol``: what of it acts on the scans, single slices and pictures that a set holds."""
        return acting.words(self, records)

    def keep(self, folder: Path, say: Callable[[str], None]) -> Medical:
        """A reader like this that keeps scans on disk once they are cut, in a folder that many may share.

        Args:
            folder: to keep them in.
            say: takes a line for the user.
        """
        kept = copy.copy(self)
        kept._store = Store(folder, say)
        return kept

    @staticmethod
    def claims(path: Path) -> bool:
        """Whether a file is one of this domain whatever its name: DICOM files often have no ending."""
        return dicom.is_dicom(path)

    @staticmethod
    def samples(paths: list[Path]) -> list[Path]:
        """The paths, with a DICOM series as one of its files and a folder as the series and pictures of DICOM in it."""
        return dicom.samples(paths)

    def check(self, records: list[Record], given: dict[str, Any]) -> None:
        """Refuse slices counted another way than this reader cuts them, and options that do nothing on the set."""
        options.agree(self, records, given)
        acting.check(self, records, given)

    def read(self, record: Record) -> Sample:
        """Slices of a scan (the one slice ``record.frame`` where given) or one picture, with truth where there is any.

        A ``truth_path`` that is the path itself means: nothing is anomalous. A scan of one slice is that slice,
        whatever the axis.

        Raises:
            UnreadableError: the scan is missing, corrupt, not 3D, without a usable affine, or has NaN voxels.
            TruthError: the mask is missing, corrupt, or not on the grid of the scan.
        """
        if synthetic.is_made(record):
            return synthetic.read(record, self, fresh=replace(self))
        if not volumes.is_volume(record.path):
            return pictures.read(record, options.windows(self.window), self.percentiles, self.foreground, self.nan)
        cutting = options.cutting(self, record)
        try:
            scan = cache.scan(record.path, cutting, self._store)
            facing = slicing.facing(scan.geometry.ras_shape)
            if record.frame is None and facing not in ("", self.axis):
                turned = copy.copy(self)
                turned.axis = facing
                return turned.read(record)
            return self._read_scan(record, scan)
        except DamagedError:
            return self._read_scan(record, cache.scan(record.path, cutting, self._store, anew=True))

    def save(self, sample: Sample, scores: np.ndarray, stem: Path) -> dict[str, Any]:
        """Write ``(E,)`` scores in [0, 1].

        Of a scan: ``stem.nii.gz`` on the grid of its file, the ``map``; of one slice, all others are 0. Of a picture:
        ``framework.pictures.write_map``.
        """
        record = sample.record
        if not volumes.is_volume(record.path):
            return dict(write_map(sample.views[0], scores.reshape(sample.views.shape[-2:]), stem))
        grid = geometry.read(record.path, self.channel)
        if record.frame is None:
            voxels = scores.reshape(grid.shape)
        else:
            voxels = np.zeros(grid.shape, np.float32)
            plane = self._planes(voxels, grid)[record.frame]
            plane[...] = scores.reshape(plane.shape)
        return {"map": volumes.write(voxels, grid, stem.with_name(f"{stem.name}.nii.gz"))}

    def scene(self, sample: Sample) -> dict[str, np.ndarray]:
        """What ``viewer.js`` draws a scan from, see ``viewer.scene``; nothing of a picture or a single slice."""
        path, back = sample.record.path, sample.back
        if sample.record.frame is not None or not isinstance(back, ScanBack):
            return {}
        whole = replace(options.cutting(self, sample.record), upright=True, crop=False, spacing=None)
        try:
            return self._scene(cache.scan(path, whole, self._store), back)
        except DamagedError:
            return self._scene(cache.scan(path, whole, self._store, anew=True), back)

    back = staticmethod(made)  # of ``sample.back.plain()``
    called = staticmethod(names.called)

    def _scene(self, scan: Scan, back: ScanBack) -> dict[str, np.ndarray]:
        """The scene of a scan that is cut; of three windows the first."""
        windows = options.windows(self.window) or (scan.histogram.ends(self.percentiles, self.foreground),)
        found = viewer.scene(scan, back, windows[0])
        if len(windows) > 1:
            found["notes"] = np.append(
                found["notes"], f"Of the {len(windows)} windows that are colours this is the first."
            )
        return found

    def _read_scan(self, record: Record, scan: Scan) -> Sample:
        """Views of a scan that is cut, the way back, and truth."""
        look = Look(options.windows(self.window), (self.percentiles[0], self.percentiles[1]), self.foreground)
        upright = self.orientation == "anatomical"
        if record.frame is None:
            wanted = (look, self.select, self.between, self.stride, self.slices)
            along = tuple(Along(axis, looking.chosen(scan, axis, *wanted)) for axis in scan.cutting.axes)
            back: ScanBack | None = ScanBack(scan.space, along, looking.view_size(scan, along), upright)
        else:
            along = (self._frame(record, scan),)
            way = space.slice_of(scan.space, self.axis, upright)
            size = looking.view_size(scan, along)
            same = size == way.shape[1:] and not way.resampled
            back = None if same else ScanBack(way, (Along(self.axis, (0,)),), size, upright)
        return Sample(
            record,
            looking.views(scan, along, look, self.neighbours),
            truth=self._truth(record, scan.geometry),
            back=back,
            at=np.array(along[0].cells, np.float32) if record.frame is None and len(along) == 1 else None,
            captions=()
            if record.frame is not None
            else places.titles(places.places(scan.geometry, scan.space, along, upright)),
            counts={"nan": scan.nan} if scan.nan else {},
            warnings=scan.warnings,
        )

    def _frame(self, record: Record, scan: Scan) -> Along:
        """The one slice of a record that is one."""
        frame, depth = record.frame or 0, len(scan.planes(self.axis))
        if not 0 <= frame < depth:
            raise UnreadableError(f"{record.id}: no such slice; the scan has {depth} {self.axis} ones.")
        return Along(self.axis, (frame,))

    def _truth(self, record: Record, grid: geometry.Geometry) -> np.ndarray | None:
        """``(E,)`` bool, of all voxels in file order or of one slice as it is shown."""
        if record.truth_path is None:
            return None
        if record.truth_path == record.path:
            whole = np.broadcast_to(np.False_, grid.shape)
        else:
            whole = cache.mask(record.truth_path, grid, record.marks)
        return whole.ravel() if record.frame is None else self._planes(whole, grid)[record.frame].ravel()

    def _planes(self, voxels: np.ndarray, grid: geometry.Geometry) -> np.ndarray:
        """``(I, J, K)`` -> ``(D, H, W)``, the slices of the file as they are shown, neither cropped nor resampled."""
        upright = self.orientation == "anatomical"
        return slicing.cut(space.whole(grid, upright).volume(voxels), self.axis, upright)
