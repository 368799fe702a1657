"""A record and what its file holds in; which points are anomalous, and in which region, out."""

from __future__ import annotations

import tokenize
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from domains.pointcloud.files import Scan, Shape
from domains.pointcloud.geometry import pitch
from framework.errors import TruthError
from framework.types import Record

NEAR = 1e-3  # how far a label's place may be off, as a share of the cloud's extent
LOST = 0.01  # share of the points, or of the labels, that may match none before the labels are of another cloud
GAP = 3.0  # anomalous points this many pitches apart belong to one region
_ROWS = "rows must read 'x y z label', or a label alone"


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of the points of a sample.

    Attributes:
        mask: ``(E,)`` bool, which points are anomalous; None where only the label of the sample is known.
        counts: ``unlabelled`` points and ``labels_without_point``, or ``truth_without_point``, the anomalous pixels of
            a scan that show no point of its object; only what is not zero.
        warnings: the same in words: a line each, with the path of the file.
    """

    mask: np.ndarray | None
    counts: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def truth_of(record: Record, shape: Shape) -> Truth:
    """Read the truth of a sample; a record whose truth is its own file has no anomalous point.

    That of an organised scan is a picture, anomalous where it is not black. That of a cloud is text with a row
    "x y z label" a point, parted by spaces or commas and in any order, or text or .npy with one label a point.

    Raises:
        TruthError: the file is missing, not of that form, or of another cloud.
    """
    if record.truth_path is None:
        return Truth(None)
    if record.truth_path == record.path:
        return Truth(np.zeros(len(shape.points), bool))
    if shape.scan is not None:
        return _seen(record, shape.scan, picture_of(record.truth_path, shape.scan))
    table = _table(record.truth_path)
    if not np.isfinite(table[:, 0 if table.shape[1] == 1 else 3]).all():
        raise TruthError(f"{record.truth_path}: some labels are no numbers; write 1 for anomalous, 0 for normal.")
    if table.shape[1] > 1:
        return _matched(record, shape.points, table[:, :3], table[:, 3] > 0.5)
    if len(table) != len(shape.points):
        raise TruthError(_miscount(record, len(shape.points), len(table)))
    return Truth(table[:, 0] > 0.5)


def picture_of(path: Path, scan: Scan) -> np.ndarray:
    """``(height, width)`` bool, the pixels of a scan that its truth marks.

    Raises:
        TruthError: no picture of that size.
    """
    try:
        with Image.open(path) as image:
            marked = np.asarray(image.convert("L")) > 0
    except FileNotFoundError:
        raise TruthError(f"{path}: no such picture of the truth.") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise TruthError(f"{path}: not a whole picture ({type(error).__name__}).") from None
    if marked.shape != (scan.height, scan.width):
        raise TruthError(f"{path}: {marked.shape} pixels, but its scan has {(scan.height, scan.width)}.")
    return marked


def regions_of(points: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """``(E,)`` int32: 0 for a normal point, else the number of its connected region.

    Anomalous points are connected where they lie within ``GAP`` sampling pitches of the whole cloud.
    """
    regions = np.zeros(len(points), np.int32)
    finite = np.isfinite(points).all(1)
    ids = np.flatnonzero(truth & finite)
    if len(ids):
        places = points[ids].astype(np.float64)
        pairs = cKDTree(places).query_pairs(GAP * pitch(points[finite]), output_type="ndarray")
        graph = coo_matrix((np.ones(len(pairs), bool), pairs.T), shape=(len(ids), len(ids)))
        count, regions[ids] = connected_components(graph, directed=False)
        regions[ids] += 1
        regions[truth & ~finite] = count + 1  # points without a place, if any are labelled
    return regions


def _seen(record: Record, scan: Scan, marked: np.ndarray) -> Truth:
    """What a picture of the truth says of the points of a scan."""
    mask = marked.ravel()[scan.pixel]
    lost = int(marked.sum() - mask.sum())
    if not lost:
        return Truth(mask)
    told = f"{record.truth_path}: {lost} of {int(marked.sum())} anomalous pixels show no point of {record.path.name}."
    return Truth(mask, {"truth_without_point": lost}, (told,))


def _table(path: Path) -> np.ndarray:
    """``(M, 1)`` labels, or ``(M, 4 or more)`` places and labels, of a text or .npy file."""
    try:
        table = np.asarray(np.load(path, mmap_mode="r")) if path.suffix == ".npy" else _text(path)
    except FileNotFoundError:
        raise TruthError(f"{path}: no such label file. Add it, or say 'good' in the name of a normal cloud.") from None
    except OSError as error:
        raise TruthError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except (ValueError, EOFError, SyntaxError, tokenize.TokenError) as error:  # the header of a .npy is Python
        raise TruthError(f"{path}: {_ROWS} ({' '.join(str(error).split())}).") from None
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim != 2 or table.shape[1] in (0, 2, 3) or not len(table) or table.dtype.kind not in "biuf":
        raise TruthError(f"{path}: {_ROWS}, found {table.dtype} {table.shape}.")
    return table


def _text(path: Path) -> np.ndarray:
    with path.open() as file:
        comma = "," in file.readline()
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # no rows: told by the caller
        return np.loadtxt(path, delimiter="," if comma else None, ndmin=2)


def _matched(record: Record, points: np.ndarray, places: np.ndarray, labels: np.ndarray) -> Truth:
    """Row by row where the rows are in the order of the cloud, else each point takes the label of the nearest place."""
    finite = np.isfinite(points).all(1)
    found = points[finite].astype(np.float64)
    limit = NEAR * float(np.ptp(found, axis=0).max())
    if len(places) == len(points) and np.abs(found - places[finite]).max() <= limit:
        return Truth(labels)
    kept = np.isfinite(places).all(1)
    places, rows = places[kept], labels[kept]
    here, nearest = _within(places, found, limit)
    mask = np.zeros(len(points), bool)
    mask[np.flatnonzero(finite)[here]] = rows[nearest[here]]
    if len(labels) == len(points) and here.all():
        return Truth(mask)
    lost, spare = int((~here).sum()), int((~_within(found, places, limit)[0]).sum())
    if lost > LOST * len(found) or spare > LOST * len(places):
        raise TruthError(_stranger(record, len(points), len(labels)))
    return Truth(mask, *_told(record, len(points), len(labels), lost, spare))


def _within(targets: np.ndarray, queries: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """``(N,)`` bool, which of the queries ``(N, 3)`` have a target ``(M, 3)`` as near, and ``(N,)`` the nearest one."""
    if not len(targets):
        return np.zeros(len(queries), bool), np.zeros(len(queries), int)
    distance, nearest = cKDTree(targets, balanced_tree=False).query(queries, distance_upper_bound=limit)
    return np.isfinite(distance), nearest


def _told(record: Record, points: int, labels: int, lost: int, spare: int) -> tuple[dict[str, int], tuple[str, ...]]:
    """Counts and the warning of labels that were matched by place."""
    counts = {name: n for name, n in (("unlabelled", lost), ("labels_without_point", spare)) if n}
    line = (
        f"{record.truth_path}: {points} points, {labels} labels, matched by place; {lost} points of {record.path.name} "
        f"have no label and count as normal, {spare} labels no point."
    )
    return counts, (line,)


def _stranger(record: Record, points: int, labels: int) -> str:
    if points != labels:
        return _miscount(record, points, labels)
    return f"{record.truth_path}: its coordinates are not those of {record.path.name}."


def _miscount(record: Record, points: int, labels: int) -> str:
    return f"{record.truth_path}: {points} points, {labels} labels. Labels must list every point of {record.path.name}."
