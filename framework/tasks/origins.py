"""A set that is trained on -> what a checkpoint keeps of it, to know its samples again in a set under test."""

from __future__ import annotations

from framework.data import kinship, looks
from framework.data.fingerprint import digests, fingerprint
from framework.data.index import Index
from framework.models.cards import Origin
from framework.models.trained import plain


def origin_of(index: Index) -> Origin:
    """Name, content, groups and looks of a set. Its files are read once, and its pictures again for their looks."""
    found = digests(index.records)
    whole, reader = fingerprint(index.records, found), plain(index.config.reader)
    home, groups, seen = kinship.home(index), kinship.hashed(index), looks.packed(looks.looks(index.records))
    return Origin(index.name, index.source, whole, sorted(found), reader, home, groups, seen)
