"""The .tiff of an organised scan or a depth picture in; the points of its object and their pixels out.

What a scan was stored with is found by name: ``rgb/NNN.png`` beside ``xyz/NNN.tiff`` (MVTec 3D-AD), and beside
``NNN_depth.png`` (Eyecandies) ``NNN_info_depth.yaml``, ``NNN_normals.png`` and ``NNN_image_0.png`` to ``_5.png``.
"""

from __future__ import annotations

import io
import logging
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from domains.pointcloud.files.shape import Scan, Shape
from framework.errors import MissingPackageError, UnreadableError
from framework.files import write_whole

LIGHTS = (0, 1, 2, 3, 4, 5, "mean")  # all spots, the bottom, right, top, left one, global; "mean" of the six pictures
LIGHT = 4  # as published: M3DM's copy of Eyecandies, which later work is measured on, shows this one
BACKGROUNDS = ("remove", "keep")
FOCAL_PX = 711.11 / 512  # of Eyecandies' one camera, for each pixel of a row
_DEFLATE = 1100  # how many bytes one compressed byte unpacks to at most
RUNS = 0.95  # correlation with rows or columns of a channel that runs along the picture
FILLER = 0.01  # share of the pixels that show one and the same point where nothing was measured


def tiff(path: Path, raw: bytes, background: str) -> Shape:
    """x, y, z of every pixel, zero or not finite where nothing was measured, and the photograph.

    Raises:
        MissingPackageError: tifffile is not installed.
        UnreadableError: not one picture of three floats a pixel.
    """
    xyz, told = _channels_last(path, _pages(raw))
    valid = np.isfinite(xyz).all(-1) & (xyz != 0).any(-1)
    told += _swapped(path, xyz, valid)
    constant = (xyz == xyz[0, 0]).all(-1)  # M3DM's copy of Eyecandies puts all of the ground in one place
    if constant.sum() > max(1, FILLER * constant.size):
        valid &= ~constant
    rgb = next((_rgb(picture, valid.shape) for picture in beside(path) if picture.is_file()), None)
    return _cut(path, xyz, valid, rgb, None, background, told)


def depth(path: Path, raw: bytes, light: int | str, background: str) -> Shape:
    """A depth picture of 16 bits as Eyecandies has it, in the camera's own frame: x right, y down, z ahead.

    Raises:
        UnreadableError: not of 16 bits, or without the file that tells its range, or without the light asked for.
    """
    stem = path.name[: -len("_depth.png")]
    low, high = _range(path, path.with_name(f"{stem}_info_depth.yaml"))
    picture = _open(path, raw)
    if picture.ndim != 2 or picture.dtype == np.uint8:
        raise UnreadableError(f"{path}: a depth picture has one channel of 16 bits, this one {_kind(picture)}.")
    away = (picture / 65535.0 * (high - low) + low).astype(np.float32)  # (H, W)
    height, width = away.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    focal = np.float32(FOCAL_PX * width)
    xyz = np.stack([(columns - width / 2) / focal * away, (rows - height / 2) / focal * away, away], -1)
    nowhere = picture == 65535  # the one furthest pixel, or all that look past everything
    valid = (away > 0) & ~(nowhere & (nowhere.mean() > FILLER))
    rgb = _lit(path, stem, light, away.shape)
    return _cut(path, xyz, valid, rgb, _camera_normals(path, stem, away.shape), background, ())


def beside(path: Path) -> list[Path]:
    """The files that may be read with a scan, in a fixed order, whether or not they are there."""
    if path.name.lower().endswith("_depth.png"):
        stem = path.name[: -len("_depth.png")]
        parts = ("info_depth.yaml", "normals.png", *(f"image_{k}.png" for k in LIGHTS if k != "mean"))
        return [path.with_name(f"{stem}_{part}") for part in parts]
    return [path.parent.parent / "rgb" / f"{path.stem}.png"] if path.parent.name == "xyz" else []


def _cut(
    path: Path,
    xyz: np.ndarray,
    valid: np.ndarray,
    rgb: np.ndarray | None,
    normals: np.ndarray | None,
    background: str,
    told: tuple[str, ...],
) -> Shape:
    """The points of the object in the order of the grid; ``normals (H, W, 3)`` and ``rgb`` are cut with them."""
    from domains.pointcloud.files import background as ground

    kept, why = ground.remove(xyz, valid) if background == "remove" and valid.any() else (valid, "")
    if why:
        told = (*told, f"{path}: {why}; all of the scan is kept.")
    pixel = np.flatnonzero(kept).astype(np.int32)
    points = xyz.reshape(-1, 3)[pixel]
    height, width = valid.shape
    scan = Scan(height, width, pixel, rgb, int(valid.sum() - kept.sum()))
    colours = None if rgb is None else rgb.reshape(-1, 3)[pixel]
    return Shape(points, _unit(normals, pixel), None, colours, scan, told)


def _pages(raw: bytes) -> np.ndarray:
    """What the .tiff holds. Pillow cannot read three floats a pixel."""
    try:
        import tifffile
    except ModuleNotFoundError:
        raise MissingPackageError("scans need the package tifffile; run: uv pip install -e '.[pointcloud]'") from None
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what it says of a damaged file is raised below
    try:
        with tifffile.TiffFile(io.BytesIO(raw)) as file:
            if not file.series:
                raise ValueError("no picture in it")
            first = file.series[0]
            if first.nbytes > len(raw) * _DEFLATE:
                raise ValueError(
                    f"its header says {first.nbytes:,} bytes, its data have room for {len(raw) * _DEFLATE:,}"
                )
            return first.asarray()
    except (tifffile.TiffFileError, OSError, RuntimeError, ArithmeticError, struct.error, zlib.error) as error:
        raise ValueError(str(error)) from None


def _channels_last(path: Path, xyz: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """``(H, W, 3)`` floats, and what was odd."""
    told: tuple[str, ...] = ()
    if xyz.ndim == 3 and xyz.shape[-1] != 3 and xyz.shape[0] == 3:
        told = (f"{path}: its channels come first, {xyz.shape}; they are taken as x, y and z.",)
        xyz = np.moveaxis(xyz, 0, -1)
    if xyz.ndim != 3 or xyz.shape[-1] != 3:
        raise UnreadableError(f"{path}: an array of {xyz.shape}; write x, y and z of every pixel, (H, W, 3).")
    if xyz.dtype.kind != "f" or xyz.dtype.itemsize < 4:
        raise UnreadableError(f"{path}: holds {xyz.dtype}; coordinates must be float32 or float64, write them so.")
    return xyz.astype(np.float64 if xyz.dtype.itemsize > 4 else np.float32), told


def _swapped(path: Path, xyz: np.ndarray, valid: np.ndarray) -> tuple[str, ...]:
    """A line where the last channel runs along the picture and another does not: depth comes last."""
    places = np.argwhere(valid)[:: max(1, int(valid.sum()) // 4096)]  # rows and columns
    values = xyz[places[:, 0], places[:, 1]].astype(np.float64)
    if len(places) < 3 or not (np.ptp(values, axis=0) > 0).all() or not (np.ptp(places, axis=0) > 0).all():
        return ()
    along = np.abs(np.corrcoef(values.T, places.T)[:3, 3:]).max(1)  # (3,) how much each runs along rows or columns
    depth = int(along.argmin())
    if along[2] < RUNS or along[depth] >= RUNS:  # a steep plane runs along the picture as x and y do
        return ()
    return (f"{path}: channel {depth} seems to be the depth, and channel 2 runs along the picture. Write x, y, z.",)


def _range(path: Path, info: Path) -> tuple[float, float]:
    """Metres that 0 and 65535 stand for."""
    try:
        found: Any = yaml.safe_load(info.read_text())
        low, high = (float(found["normalization"][key]) for key in ("min", "max"))
    except OSError:
        raise UnreadableError(
            f"{path}: the range of its depth is missing; put {info.name} of the data set beside it."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        raise UnreadableError(f"{info}: must read 'normalization: {{min: metres, max: metres}}'.") from None
    if not high > low >= 0:
        raise UnreadableError(f"{info}: a depth from {low} to {high} metres is not possible.")
    return low, high


def _lit(path: Path, stem: str, light: int | str, shape: tuple[int, ...]) -> np.ndarray | None:
    """The photograph ``(H, W, 3)`` under one light, or the mean of the six; None where there is none of any light."""
    pictures = {k: path.with_name(f"{stem}_image_{k}.png") for k in LIGHTS if k != "mean"}
    if not any(p.is_file() for p in pictures.values()):
        return None
    if light != "mean":
        return _rgb(pictures[light], shape)
    stack = [_rgb(p, shape) for p in pictures.values()]
    return np.mean(stack, 0).round().astype(np.uint8)


def _camera_normals(path: Path, stem: str, shape: tuple[int, ...]) -> np.ndarray | None:
    """``(H, W, 3)`` float32 in the frame of the points: the picture has y up and z towards the camera."""
    picture = path.with_name(f"{stem}_normals.png")
    if not picture.is_file():
        return None
    return (_rgb(picture, shape) / np.float32(127.5) - 1) * np.array([1, -1, -1], np.float32)


def _unit(normals: np.ndarray | None, pixel: np.ndarray) -> np.ndarray | None:
    """``(E, 3)`` float32 of length one, or None where some are far from it."""
    if normals is None:
        return None
    cut = normals.reshape(-1, 3)[pixel]
    length = np.linalg.norm(cut, axis=1, keepdims=True)
    return cut / length if np.allclose(length, 1, atol=0.05) else None


def _rgb(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """``(H, W, 3)`` uint8 of a picture that must be as large as its scan."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read ({error.strerror}).") from None
    picture = _open(path, raw, "RGB")
    if picture.shape[:2] != shape:
        raise UnreadableError(f"{path}: {picture.shape[:2]} pixels, but its scan has {shape}.")
    return picture


def _open(path: Path, raw: bytes, mode: str = "") -> np.ndarray:
    """The pixels of a picture."""
    try:
        with Image.open(io.BytesIO(raw)) as image:
            return np.asarray(image.convert(mode) if mode else image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UnreadableError(f"{path}: not a whole picture ({type(error).__name__}).") from None


def _kind(picture: np.ndarray) -> str:
    channels = 1 if picture.ndim == 2 else picture.shape[-1]
    return f"{channels} of {8 * picture.dtype.itemsize}"


def write_grid(path: Path, scan: Scan, scores: np.ndarray) -> Path:
    """Write the scores of a scan's points as a .tiff of its own grid: float32, NaN where there is no point.

    Args:
        path: of the file.
        scan: the grid.
        scores: ``(E,)``.

    Raises:
        UserError: the file cannot be written.
    """
    import tifffile

    grid = np.full((scan.height, scan.width), np.nan, np.float32)
    grid.flat[scan.pixel] = scores
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, grid)
    return write_whole(path, buffer.getvalue())
