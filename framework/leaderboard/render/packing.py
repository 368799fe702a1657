"""A header and columns of whole numbers in; one short text, which ``script/unpack.js`` reads, out."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

WIDTHS = (1, 2, 4)  # bytes of a number


def pack(header: Mapping[str, Any], columns: Mapping[str, Sequence[int]]) -> str:
    """Deflated and in base 85, "," for "<": the header's length (uint32), the header as JSON, the columns by bytes.

    A column is written as the lowest bytes of all its numbers, then the next ones: equal bytes lie together, so it
    shrinks further. All is little-endian. The header gets "columns": name, count and width of each, in their order.

    Args:
        header: JSON-able.
        columns: of any lengths, numbers in [0, 2^32).

    Returns:
        ASCII without markup, whatever the header holds.

    Raises:
        ValueError: a number is out of range, or the header holds a NaN.
    """
    described, parts = [], []
    for name, numbers in columns.items():
        found = np.asarray(numbers, np.int64)
        if found.size and not 0 <= found.min() <= found.max() < 1 << 32:
            raise ValueError(f"column {name}: numbers from {found.min()} to {found.max()}, not in [0, 2^32)")
        width = next(w for w in WIDTHS if not found.size or found.max() < 1 << (8 * w))
        described.append([name, len(found), width])
        parts.append(found.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :width].T.tobytes())
    text = json.dumps({**header, "columns": described}, allow_nan=False, separators=(",", ":")).encode()
    whole = b"".join([len(text).to_bytes(4, "little"), text, *parts])
    return base64.b85encode(zlib.compress(whole, 9)).replace(b"<", b",").decode("ascii")  # no tag can begin in it


def coded(keys: Iterable[Any]) -> tuple[list[int], list[Any]]:
    """Keys as numbers, and the distinct keys these stand for, in the order in which they come."""
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys], list(numbers)


def numbered(names: Sequence[str]) -> dict[str, int]:
    """The place of each name."""
    return {name: i for i, name in enumerate(names)}


def folded(number: int | None) -> int:
    """A number of either sign, or None, as one that is not negative: 0 is None, then 0, -1, 1, -2, 2 and so on."""
    if number is None:
        return 0
    return 1 + (2 * number if number >= 0 else -2 * number - 1)
