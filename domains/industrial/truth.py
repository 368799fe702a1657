"""The files that say where a photograph is anomalous (masks, lists of boxes) -> one mask of the photograph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from domains.industrial.images import read_mask
from framework.errors import TruthError

Box = tuple[int, int, int, int, int]  # left, top, right and bottom in pixels, and the kind of defect
BOXES = ".txt"  # ending of a list of boxes


def read_truth(paths: Sequence[Path], shape: tuple[int, int], picture: Path) -> np.ndarray:
    """``(H, W)`` bool: True where any of the files marks a pixel.

    Args:
        paths: masks, which mark every pixel that is not zero, or lists of boxes (``.txt``), which mark what is in them.
        shape: (H, W) of the picture.
        picture: its path, for messages.

    Raises:
        UnreadableError: a mask is no readable picture.
        TruthError: a file is missing, a mask is of another size than its picture, a line is no box in the picture.
    """
    marked = np.zeros(shape, np.bool_)
    for path in paths:
        if path.suffix.lower() == BOXES:
            for left, top, right, bottom, _ in read_boxes(path):
                if right > shape[1] or bottom > shape[0]:
                    raise TruthError(
                        f"{path}: box {left} {top} {right} {bottom} leaves the {shape[1]} x {shape[0]} pixels of "
                        f"{picture}."
                    )
                marked[top:bottom, left:right] = True
            continue
        mask = read_mask(path)  # (H, W)
        if mask.shape != shape:
            raise TruthError(
                f"{path}: the mask is {mask.shape[1]} x {mask.shape[0]} pixels, its picture "
                f"{picture} {shape[1]} x {shape[0]}. A mask covers its picture pixel by pixel."
            )
        marked |= mask
    return marked


def read_boxes(path: Path) -> Iterator[Box]:
    """The boxes of a text file: a line each, ``left top right bottom kind`` between blanks or commas.

    Right and bottom are the first pixels beyond the box.

    Raises:
        TruthError: no such file, or a line that is no box, which is named.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TruthError(f"{path}: boxes cannot be read ({error}).") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            left, top, right, bottom, kind = map(int, line.replace(",", " ").split())
        except ValueError:
            left, top, right, bottom, kind = 0, 0, 0, 0, 0
        if not (0 <= left < right and 0 <= top < bottom):
            raise TruthError(
                f"{path}, line {number}: expected left, top, right, bottom and a number of the kind, found "
                f"{line.strip()!r}."
            )
        yield left, top, right, bottom, kind
