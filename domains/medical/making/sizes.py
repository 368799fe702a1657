"""Text such as "8..30 mm" or "small" in; how far a lesion reaches from end to end, out. Loads nothing heavy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from framework.errors import UserError

_NUMBER = r"(\d+(?:\.\d+)?)"
_SIZE = re.compile(rf"\s*{_NUMBER}\s*(?:\.\.\s*{_NUMBER}\s*)?(mm|px)\s*")


@dataclass(frozen=True, slots=True)
class Size:
    """Least and most diameter of a lesion, even in the logarithm.

    Attributes:
        low, high: in millimetres (of a picture: pixels), or as shares of what lies across the body.
        share: whether they are shares.
    """

    low: float
    high: float
    share: bool = False


NAMED = {
    "any": Size(0.09, 0.26, share=True),
    "small": Size(0.06, 0.12, share=True),
    "large": Size(0.2, 0.35, share=True),
}


def in_pixels(text: str) -> bool:
    """Whether a size that ``parse`` takes is of pictures alone."""
    return text.rstrip().endswith("px")


def parse(text: str) -> Size:
    """The size that a text says, or a name of ``NAMED``.

    Raises:
        UserError: it reads otherwise, or goes from large to small.
    """
    if text in NAMED:
        return NAMED[text]
    found = _SIZE.fullmatch(text)
    if not found:
        raise UserError(f'size {text!r}: write "20 mm", "8..30 mm", "10..40 px" for pictures, or {", ".join(NAMED)}.')
    low, high = float(found[1]), float(found[2] or found[1])
    if not 0 < low <= high:
        raise UserError(f"size {text!r}: goes from {low:g} to {high:g}; write the smaller first, above 0.")
    return Size(low, high)
