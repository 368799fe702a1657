"""A header and columns in; that they come out of the text as they went in, whatever they hold."""

from __future__ import annotations

import base64
import json
import zlib

import numpy as np
import pytest

from framework.leaderboard.render.packing import folded, pack


def unpacked(text):
    """What ``script/unpack.js`` makes of it, in Python."""
    whole = zlib.decompress(base64.b64decode(text))
    size = int.from_bytes(whole[:4], "little")
    header, at, columns = json.loads(whole[4 : 4 + size]), 4 + size, {}
    for name, count, width in header.pop("columns"):
        planes = np.frombuffer(whole, np.uint8, count * width, at).reshape(width, count).astype(np.int64)
        columns[name] = sum(plane << (8 * i) for i, plane in enumerate(planes)).tolist()
        at += count * width
    assert at == len(whole)
    return header, columns


def test_columns_of_every_width_come_back():
    columns = {"small": [0, 255, 7], "middle": [256, 65535], "large": [65536, 2**32 - 1], "none": []}
    header, found = unpacked(pack({"title": "</script>é"}, columns))
    assert header == {"title": "</script>é"} and found == columns


def test_the_text_holds_no_markup_and_is_small():
    text = pack({"title": "</script><script>" * 100}, {"codes": [3] * 100_000})
    assert "<" not in text and len(text) < 1000


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"column a: numbers from -1 to 2, not in"):
        pack({}, {"a": [-1, 2]})
    with pytest.raises(ValueError, match="column b: numbers from 4294967296"):
        pack({}, {"b": [2**32]})
    with pytest.raises(ValueError, match="not JSON compliant"):
        pack({"x": float("nan")}, {})


def test_signed_numbers_fold_into_small_ones():
    assert [folded(n) for n in (None, 0, -1, 1, -2, 2)] == [0, 1, 2, 3, 4, 5]
