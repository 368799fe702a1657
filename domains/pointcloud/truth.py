"""A record and the points of its file in; which points are anomalous, and in which region, out."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from domains.pointcloud.geometry import pitch
from framework.errors import TruthError
from framework.types import Record

NEAR = 1e-3  # how far a label's place may be off, as a share of the cloud's extent
GAP = 3.0  # anomalous points this many pitches apart belong to one region


def truth_of(record: Record, points: np.ndarray) -> np.ndarray | None:
    """``(E,)`` bool in the order of the file, or None where only the label is known.

    A record whose truth is its own file has no anomalous point.

    Raises:
        TruthError: the label file is missing, is not "x y z label" rows, or is of another cloud.
    """
    if record.truth_path is None:
        return None
    if record.truth_path == record.path:
        return np.zeros(len(points), bool)
    places, labels = _labels(record.truth_path)
    if len(labels) != len(points):
        raise TruthError(
            f"{record.truth_path}: {len(points)} points, {len(labels)} labels. "
            f"Labels must list every point of {record.path.name}."
        )
    return labels[_order(record, points, places)]


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


def _labels(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """``(M, 3)`` float64 places and ``(M,)`` bool labels of a text file with spaces or commas."""
    try:
        with path.open() as file:
            comma = "," in file.readline()
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # no rows: counted by the caller
            table = np.loadtxt(path, delimiter="," if comma else None, ndmin=2)
    except FileNotFoundError:
        raise TruthError(f"{path}: no such label file. Add it, or say 'good' in the name of a normal cloud.") from None
    except OSError as error:
        raise TruthError(f"{path}: cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise TruthError(f"{path}: rows must read 'x y z label' ({' '.join(str(error).split())}).") from None
    if table.shape[1] < 4:
        raise TruthError(f"{path}: rows must read 'x y z label', found {table.shape[1]} columns.")
    return table[:, :3], table[:, 3] > 0.5


def _order(record: Record, points: np.ndarray, places: np.ndarray) -> np.ndarray:
    """``(E,)`` which label belongs to which point: the row itself, or the nearest place if the rows were shuffled."""
    finite = np.isfinite(points).all(1)
    limit = NEAR * float(np.ptp(points[finite], axis=0).max())
    order = np.arange(len(points))
    if np.abs(points[finite] - places[finite]).max() <= limit:
        return order
    if np.isfinite(places).all():
        distance, nearest = cKDTree(places).query(points[finite])
        if distance.max() <= limit:
            order[finite] = nearest
            return order
    raise TruthError(f"{record.truth_path}: its coordinates are not those of {record.path.name}.")
