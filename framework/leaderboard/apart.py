"""Rows of many runs in; which of them are the newest, and columns that hold only what can be compared, out.

Numbers of one test set can be compared where its files, labels and groups are the same (the fingerprint), and the
metric is defined alike. A folder of runs only grows, so it will hold others: these get columns of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from framework.leaderboard.rows import Row

METHOD = ("trained_on", "experiment", "model", "backbone")
DIGITS = 6  # of a fingerprint, at least
Kind = tuple[str, str]  # fingerprint and definition
_identity = attrgetter(*METHOD, "tested_on", "seed", "level", "element", "metric", "views")  # but for the category
_place = attrgetter("tested_on", "level", "metric")
_age = attrgetter("date", "run")


class Kinds:
    """What a row can be compared with.

    A control says more in its definition: which direction it took. It goes with the methods whose definition it begins
    with, or else with the newest that saw the same data.

    Args:
        rows: of any runs.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        newest: dict[tuple[str, str, str], dict[Kind, tuple[str, str]]] = defaultdict(dict)
        for row in rows:
            if not row.control:
                ages, kind = newest[_place(row)], (row.fingerprint, row.definition)
                ages[kind] = max(ages.get(kind, ("", "")), _age(row))
        self._kinds = {place: sorted(ages, key=lambda k: ages[k], reverse=True) for place, ages in newest.items()}

    def of(self, row: Row) -> Kind:
        """Its fingerprint and definition."""
        if not row.control:
            return row.fingerprint, row.definition
        known = [d for fingerprint, d in self._kinds.get(_place(row), ()) if fingerprint == row.fingerprint]
        own = max((d for d in known if row.definition.startswith(d)), key=len, default="")
        return row.fingerprint, own or (known[0] if known else "")

    def at(self, row: Row) -> list[Kind]:
        """Those of the methods on the row's set by its metric, the newest first."""
        return self._kinds.get(_place(row), [])


def newest(rows: Iterable[Row]) -> list[Row]:
    """Of rows that measured the same again the newest, in the order given.

    The same is: method, sets, seed, category, level and metric, on data and by a definition that can be compared. Rows
    of older data or definitions go once all of their methods were measured anew; until then all of them stay, as they
    can be compared with each other alone.
    """
    rows = list(rows)
    kinds = Kinds(rows)
    last: dict[tuple[object, ...], Row] = {}
    latest: dict[tuple[object, ...], Row] = {}
    keys = []
    for row in rows:
        own, kind = _identity(row), kinds.of(row)
        keys.append((own, kind, row.category))
        for known, key in ((last, keys[-1]), (latest, own)):
            old = known.setdefault(key, row)
            if _age(row) > _age(old):
                known[key] = row
    current = {(_place(row), kinds.of(row)) for row in latest.values() if not row.control or not kinds.at(row)}
    return [row for row, key in zip(rows, keys, strict=True) if last[key] is row and ((_place(row), key[1]) in current)]


class Columns:
    """What the columns of the test sets are called: by their set, and where a set has several, why.

    Args:
        rows: the newest, of all levels and metrics, so that data have one name everywhere.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.kinds = Kinds(rows)
        self._data: dict[str, set[str]] = defaultdict(set)
        self._definitions: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        for row in rows:
            self._data[row.tested_on].add(row.fingerprint)
            self._definitions[_place(row)].add(self.kinds.of(row)[1])

    @property
    def apart(self) -> bool:
        """Whether a set has several."""
        return any(len(names) > 1 for part in (self._data, self._definitions) for names in part.values())

    def name(self, row: Row) -> str:
        """For example "parts", "parts (data 1a2b3c)" or "parts (aupro/1)"."""
        fingerprint, definition = self.kinds.of(row)
        data, definitions = self._data[row.tested_on], self._definitions[_place(row)]
        why = [f"data {_short(fingerprint, data)}"] if len(data) > 1 else []
        why += [_telling(definition, definitions)] if len(definitions) > 1 else []
        return f"{row.tested_on} ({', '.join(why)})" if why else row.tested_on

    def order(self, row: Row) -> tuple[str, str, int]:
        """Of columns: by domain, then set, the newest first."""
        known = self.kinds.at(row)
        kind = self.kinds.of(row)
        return row.domain, row.tested_on, known.index(kind) if kind in known else len(known)


def _short(fingerprint: str, others: Iterable[str]) -> str:
    """Its first digits, as many as tell it from the others."""
    rest = set(others) - {fingerprint}
    wanted = (n for n in range(DIGITS, len(fingerprint)) if not any(o.startswith(fingerprint[:n]) for o in rest))
    return fingerprint[: next(wanted, len(fingerprint))]


def _telling(definition: str, others: Iterable[str]) -> str:
    """The parts of a definition that not all have; all of it where that is not enough."""
    parts: Mapping[str, list[str]] = {other: other.split("; ") for other in others}
    shared = set.intersection(*(set(each) for each in parts.values()))
    told = {other: "; ".join(p for p in each if p not in shared) for other, each in parts.items()}
    unique = list(told.values()).count(told[definition]) == 1
    return told[definition] if told[definition] and unique else definition or "a control"
