"""A header and columns in; that they come out of the text as they went in, whatever they hold."""

from __future__ import annotations

import pytest
from fake_page import unpacked

from framework.leaderboard.render.packing import folded, pack


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
