"""A healthy file in, its stored values and a study of them out; spoiled values in, a file like it out.

A volume is changed as it is stored: type, scale, axes and affine stay. What is written of it has a header of its own,
so that no text, extension or name of the source reaches the set.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from domains.medical import dicom, geometry, nifti, pictures
from domains.medical.geometry import Geometry
from domains.medical.making.host import Host, study
from framework.errors import UserError

MASKS = ("masks", "ground_truth")  # folders whose files are no sources
_NO_DICOM = "DICOM; lesions are made on NIfTI files and pictures only. Save the series as NIfTI (dcm2niix does)."
_LOOKED = 100  # files of a folder without volumes and pictures, whether they are DICOM
_COMPRESSION = 4  # of gzip: more costs much and saves little


@dataclass(frozen=True, slots=True)
class Source:
    """A healthy file that was opened.

    Attributes:
        host: of its values as they are stored.
        image: nibabel's, of a volume; None for a picture.
        grid: of a volume.
    """

    host: Host
    image: Any = None
    grid: Geometry | None = None

    @property
    def suffix(self) -> str:
        """Of a file that holds these values without loss."""
        if self.image is not None:
            return ".nii.gz"
        return ".png" if self.host.values.dtype in (np.uint8, np.uint16) else ".tif"

    def encoded(self, values: np.ndarray, packed: bool = True) -> bytes:
        """The file that holds ``(X, Y, Z, C)`` values of the host's type; a volume gzipped unless not ``packed``."""
        if self.image is not None:
            return _volume(self, values[..., 0], packed)
        out = io.BytesIO()
        picture = values[:, :, 0, 0] if values.shape[-1] == 1 else values[:, :, 0]
        Image.fromarray(picture).save(out, "PNG" if self.suffix == ".png" else "TIFF")
        return out.getvalue()

    def encoded_mask(self, mask: np.ndarray, packed: bool = True) -> bytes:
        """The file that holds a mask ``(X, Y, Z)`` bool, on the same grid: 1 in a volume, 255 in a picture."""
        if self.image is not None:
            return _volume(self, mask.astype(np.uint8), packed, scaled=False)
        out = io.BytesIO()
        Image.fromarray(mask[:, :, 0].astype(np.uint8) * 255).save(out, "PNG")
        return out.getvalue()


def is_volume(path: Path) -> bool:
    """Whether the name ends like that of a NIfTI file."""
    return path.name.lower().endswith(geometry.SUFFIXES)


def listed(places: Iterable[Path]) -> list[Path]:
    """The volumes and pictures among files and in folders, at any depth, sorted; those in folders of masks left out.

    Raises:
        UserError: a place is not there, or is a file of another kind; nothing is found.
    """
    found: dict[Path, None] = {}
    known = (*geometry.SUFFIXES, *pictures.SUFFIXES)
    places = list(places)
    for place in places:
        if place.is_dir():
            inside = sorted(p for p in place.rglob("*") if p.name.lower().endswith(known) and p.is_file())
            found |= dict.fromkeys(p for p in inside if _counts(p, place))
        elif not place.name.lower().endswith(known):
            if dicom.is_dicom(place):
                raise UserError(f"{place}: {_NO_DICOM}")
            raise UserError(f"{place}: not a volume or picture; known endings: {', '.join(known)}.")
        elif not place.is_file():
            raise UserError(f"{place}: no such file.")
        else:
            found[place] = None
    if not found:
        held = (p for p in sorted(places[0].rglob("*")) if p.is_file())
        if any(dicom.is_dicom(p) for p in islice(held, _LOOKED)):
            raise UserError(f"{places[0]}: {_NO_DICOM}")
        raise UserError(f"{places[0]}: holds no volume or picture; known endings: {', '.join(known)}.")
    return list(found)


def left_out(places: Iterable[Path]) -> str:
    """The DICOM files in folders, in words; "" where there are none. What is in folders of masks is not missed."""
    inside = {p for place in places if place.is_dir() for p in place.rglob("*") if p.is_file() and _counts(p, place)}
    known = (*geometry.SUFFIXES, *pictures.SUFFIXES)
    found = sorted(p for p in inside if not p.name.lower().endswith(known) and dicom.is_dicom(p))
    if not found:
        return ""
    return f"{len(found)} DICOM files were left out, such as {found[0]}: save each series as NIfTI (dcm2niix does)"


def _counts(path: Path, place: Path) -> bool:
    """Whether what is inside a place is no hidden file, and not in a folder of masks."""
    return not any(part.startswith(".") or part in MASKS for part in path.relative_to(place).parts)


def opened(path: Path) -> Source:
    """The values of a healthy file, studied.

    Raises:
        UserError: it cannot be read, or no lesion can be made on it.
    """
    if not is_volume(path):
        return Source(study(_picture(path), (1.0, 1.0), str(path)))
    grid = volume(path)
    values = nifti.stored(grid)[0]
    spacing = np.linalg.norm(grid.affine[:3, :3], axis=0).tolist()
    return Source(study(values, tuple(spacing), str(path)), nifti.open_file(path), grid)


def volume(path: Path) -> Geometry:
    """Where the voxels of a volume lie, by its header.

    Raises:
        UserError: it cannot be read, or the file holds several volumes.
    """
    grid = geometry.read(path, channel=0)
    if grid.several:
        raise UserError(
            f"{path}: 4 dimensions {grid.stored}; lesions are made on a file of one volume. Save one of the "
            f"{grid.stored[3]} as a file of its own (nibabel.four_to_three splits it)."
        )
    return grid


def _picture(path: Path) -> np.ndarray:
    """``(H, W, 3)`` uint8, or ``(H, W)`` of a type that holds the values which ``pictures.load`` reads of it."""
    values = pictures.load(path)
    if values.dtype == np.uint8:
        return values
    whole = np.isfinite(values).all() and (values == np.rint(values)).all()
    fits = whole and values.min() >= 0 and values.max() <= np.iinfo(np.uint16).max
    return values[..., 0].astype(np.uint16 if fits else np.float32)


def _volume(source: Source, values: np.ndarray, packed: bool, scaled: bool = True) -> bytes:
    """A NIfTI file with the grid of another, its scale where ``scaled``, and nothing else of its header."""
    image, grid = source.image, source.grid
    assert grid is not None
    header = type(image.header)()
    header.set_data_dtype(values.dtype)
    header.set_xyzt_units(image.header.get_xyzt_units()[0])
    made = type(image)(values, grid.affine, header)
    made.set_sform(grid.affine, int(image.header["sform_code"]) if grid.affine_source == "sform" else 0)
    if int(image.header["qform_code"]):
        made.set_qform(image.header.get_qform(), int(image.header["qform_code"]))
    slope, inter = image.dataobj.slope, image.dataobj.inter
    if scaled and (slope, inter) != (1.0, 0.0):
        made.header.set_slope_inter(slope, inter)
    data: bytes = made.to_bytes()
    return gzip.compress(data, _COMPRESSION, mtime=0) if packed else data
