"""A leaderboard page in; its tags and texts, and what its scripts would unpack, out."""

from __future__ import annotations

import base64
import json
import re
import zlib
from html.parser import HTMLParser
from typing import Any

import numpy as np

VOID = {"meta", "link", "input", "img", "wbr"}


class Reader(HTMLParser):
    """Checks that every tag is closed in order; keeps tags with attributes, and the text of each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.text.append((self.open[-1] if self.open else "", " ".join(data.split())))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def words(self, tag: str) -> list[str]:
        return [text for name, text in self.text if name == tag]


def unpacked(text: str) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """Header and columns, as ``script/unpack.js`` reads them."""
    whole = zlib.decompress(base64.b85decode(text.replace(",", "<")))
    size = int.from_bytes(whole[:4], "little")
    header, at, columns = json.loads(whole[4 : 4 + size]), 4 + size, {}
    for name, count, width in header.pop("columns"):
        planes = np.frombuffer(whole, np.uint8, count * width, at).reshape(width, count).astype(np.int64)
        columns[name] = sum(plane << (8 * i) for i, plane in enumerate(planes)).tolist()
        at += count * width
    assert at == len(whole)
    return header, columns


def contents(page: str) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """The same of a whole page."""
    found = re.search(r'id="packed">([^<]*)<', page)
    assert found is not None
    return unpacked(found[1])
