"""The headers of a series in, the order of its slices and the affine of its voxels out, or what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from domains.medical.dicom.headers import Header
from framework.errors import UnreadableError

_GAP = 0.01  # share of the usual gap between slices by which a gap may differ
_SAME_MM = 1e-3  # slices nearer to one another lie at one place
_UNIT = 1e-3  # by which a direction may differ from a unit vector, and two of them from a right angle
_SHOWN = 3  # names of files in a message


def check_tags(found: Header, count: int) -> None:
    """Raise UnreadableError unless a file says where its pixels lie."""
    if not found.placed:
        names = {
            "ImagePositionPatient": found.positions,
            "ImageOrientationPatient": found.orientations,
            "PixelSpacing": found.spacing,
        }
        missing = " and ".join(name for name, value in names.items() if value is None)
        if found.frames > 1:
            raise UnreadableError(
                f"{found.path}: {found.frames} frames without {missing} of each; such a file is no volume. "
                "Save its frames as pictures."
            )
        raise UnreadableError(f"{found.path}: one of {count} files of its series, and without {missing}.")
    assert found.orientations is not None and found.spacing is not None
    axes = found.orientations.reshape(-1, 2, 3)
    lengths, angle = np.linalg.norm(axes, axis=-1), (axes[:, 0] * axes[:, 1]).sum(-1)
    if max(np.abs(lengths - 1).max(), np.abs(angle).max()) > _UNIT or not (found.spacing > 0).all():
        raise UnreadableError(f"{found.path}: its ImageOrientationPatient or PixelSpacing maps no picture.")
    if found.colours != 1:
        raise UnreadableError(f"{found.path}: a slice in colour; only grey volumes can be read.")


def check_alike(members: list[Header], path: Path) -> None:
    """Raise UnreadableError unless all slices have one size, spacing and direction."""
    first = members[0]
    assert first.spacing is not None and first.orientations is not None
    for name, differs in (
        ("size", [h for h in members if h.shape != first.shape]),
        (
            "PixelSpacing",
            [h for h in members if np.abs(h.spacing - first.spacing[0]).max() > _GAP * first.spacing[0].min()],
        ),
        (
            "ImageOrientationPatient",
            [h for h in members if np.abs(h.orientations - first.orientations[0]).max() > _UNIT],
        ),
    ):
        if differs:
            where = f"{differs[0].path.name} and {first.path.name}" if len(members) > 1 else "its frames"
            raise UnreadableError(f"{path}: slices of one series differ in {name}: {where}. Take them apart.")


def positions(members: list[Header]) -> np.ndarray:
    """``(K, 3)``, of all frames of all files."""
    return np.concatenate([h.positions for h in members if h.positions is not None])


def normal(first: Header) -> np.ndarray:
    """``(3,)``, the direction that slices follow one another in, LPS."""
    assert first.orientations is not None
    direction: np.ndarray = np.cross(first.orientations[0, :3], first.orientations[0, 3:])
    return direction


def spaced(members: list[Header], path: Path) -> tuple[list[int], np.ndarray]:
    """Indices of the slices as they follow one another, and ``(3,)`` mm from one to the next, LPS.

    Raises:
        UnreadableError: slices lie at one place, are missing, or lie beside the line of the others.
    """
    places, direction = positions(members), normal(members[0])
    along = places @ direction
    order = np.argsort(along, kind="stable")
    if len(order) == 1:
        return [0], direction * (members[0].thickness or 1.0)
    gaps, names = np.diff(along[order]), _names(members, order)
    twice = np.flatnonzero(gaps < _SAME_MM)
    if len(twice):
        pairs = ", ".join(f"{names[i]} and {names[i + 1]}" for i in twice[:_SHOWN])
        raise UnreadableError(
            f"{path}: {len(twice)} of {len(order)} slices lie where another one lies ({pairs}{_more(len(twice))}): "
            "several echoes, times or copies in one series. Save one of them as a series of its own."
        )
    usual = float(np.sort(gaps)[(len(gaps) - 1) // 2])  # the lower median: of two gaps a missing slice makes one large
    wrong = np.flatnonzero(np.abs(gaps - usual) > _GAP * usual)
    if len(wrong):
        raise UnreadableError(f"{path}: {_gaps(names, gaps, wrong, usual)}")
    step = (places[order[-1]] - places[order[0]]) / (len(order) - 1)
    aside = np.abs(places[order] - places[order[0]] - np.arange(len(order))[:, None] * step).max()
    if aside > max(_GAP * usual, _SAME_MM):
        steps = np.diff(places[order], axis=0)
        jump = int(np.abs(steps - np.median(steps, axis=0)).max(1).argmax())
        raise UnreadableError(
            f"{path}: slices lie up to {aside:.3g} mm beside a straight line, which bends most between {names[jump]} "
            f"and {names[jump + 1]}; resample the series."
        )
    return order.tolist(), step


def affine(first: Header, start: np.ndarray, step: np.ndarray) -> np.ndarray:
    """``(4, 4)``, index (column, row, slice) -> mm in RAS+.

    Source: DICOM PS3.3 C.7.6.2.1.1, whose axes run left, back and up (LPS).
    """
    assert first.orientations is not None and first.spacing is not None
    matrix = np.eye(4)
    matrix[:3, 0] = first.orientations[0, :3] * first.spacing[0, 1]
    matrix[:3, 1] = first.orientations[0, 3:] * first.spacing[0, 0]
    matrix[:3, 2], matrix[:3, 3] = step, start
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix


def _names(members: list[Header], order: np.ndarray) -> list[str]:
    """What to call each slice, in order: its file, or its frame where one file holds all."""
    return [members[i].path.name if len(members) > 1 else f"frame {i + 1}" for i in order]


def _more(count: int) -> str:
    """How many more there are than are shown."""
    return f" and {count - _SHOWN} more" if count > _SHOWN else ""


def _gaps(names: list[str], gaps: np.ndarray, wrong: np.ndarray, usual: float) -> str:
    """Which slices are missing, in words."""
    between = [f"between {names[i]} and {names[i + 1]} {gaps[i]:.4g} mm" for i in wrong[:_SHOWN]]
    more = _more(len(wrong))
    missing = int((np.rint(gaps[wrong] / usual) - 1).clip(0).sum())
    total = len(names) + missing
    what = f"{missing} of {total} slices missing" if missing else f"{total} slices not evenly spaced"
    return f"{what}: {usual:.4g} mm apart, but {', '.join(between)}{more}."
