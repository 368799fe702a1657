"""Records -> hashes of what their files hold, for rows, for overlap and for duplicates. Loads no torch."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

from framework.errors import TruthError, UnreadableError
from framework.types import Record


def digests(records: Sequence[Record]) -> list[str]:
    """Sha256 of each sample's file as 64 hex digits, and ``#frame`` where the sample is one slice of it.

    In the order of ``records``; each file is read once, several at a time.

    Raises:
        UnreadableError: a file cannot be opened.
    """
    contents = _contents(record.path for record in records)
    return [contents[r.path] if r.frame is None else f"{contents[r.path]}#{r.frame}" for r in records]


def fingerprint(records: Sequence[Record], known: Sequence[str] | None = None) -> str:
    """Sha256 of a whole set: ``content``, and which samples are of one group and of one category, as 64 hex digits.

    What groups and categories are called does not count, so that sets in folders of other names have one fingerprint;
    which samples they hold together does, for intervals resample groups and metrics are means over categories. How a
    reader makes views, such as the channel of a file with several, is no part of the set: the row's protocol says it.

    Args:
        records: of the set.
        known: ``digests(records)`` where that is at hand; None reads the files.

    Raises:
        UnreadableError: a file of a sample cannot be opened.
        TruthError: a truth file cannot be opened.
    """
    lines = _lines(records, known)
    parts = [*_parts("group", [r.group for r in records], lines), *_parts("category", _categories(records), lines)]
    return _hash([*sorted(lines), *parts])


def content(records: Sequence[Record], known: Sequence[str] | None = None) -> str:
    """Sha256 of what samples, files beside them and truth hold, how frames are counted, and of labels; 64 hex digits.

    The folder, the names and the order of the files do not count. A record that is its own truth (no element is
    anomalous) counts other than one without truth, as element metrics tell them apart. Arguments and errors as of
    ``fingerprint``.
    """
    return _hash(sorted(_lines(records, known)))


def seen(known: Iterable[str], tested: Iterable[str]) -> list[bool]:
    """For each tested sample, whether its file is, by content, among the ``known``; both are ``digests``.

    Frames do not count: two slices of one scan show the same patient, so a slice is seen where another slice of its
    scan is known. A file stored again in another format is another content, which this cannot see.
    """
    files = {d.partition("#")[0] for d in known}
    return [d.partition("#")[0] in files for d in tested]


def _lines(records: Sequence[Record], known: Sequence[str] | None) -> list[str]:
    """One line for each record, in their order."""
    samples = digests(records) if known is None else known
    others = _contents(path for r in records for path in r.beside)
    try:
        first = [r.truth_path for r in records if r.truth_path is not None and r.truth_path != r.path]
        truths = _contents([*first, *(path for r in records for path in r.more_truth)])
    except UnreadableError as error:
        raise TruthError(str(error)) from None
    lines = []
    for record, sample in zip(records, samples, strict=True):
        if record.truth_path is None:
            truth = "label only"
        else:
            truth = "none anomalous" if record.truth_path == record.path else truths[record.truth_path]
            truth += "".join(f" {truths[path]}" for path in record.more_truth)
            truth += f" {record.marks}" if record.marks else ""
        beside = "".join(f" {others[path]}" for path in record.beside)
        along = f" {record.along}" if record.along else ""
        along += f" {record.box}" if record.box else ""
        lines.append(f"{sample}{along} {int(record.anomalous)} {record.probability} {truth}{beside}")
    return lines


def _categories(records: Sequence[Record]) -> list[str]:
    """The category of each record, "" where all are of one."""
    several = len({r.category for r in records}) > 1
    return [r.category if several else "" for r in records]


def _parts(what: str, names: Sequence[str], lines: Sequence[str]) -> list[str]:
    """A line for each name, of what it holds together, sorted; none for the name ""."""
    members: dict[str, list[str]] = defaultdict(list)
    for name, line in zip(names, lines, strict=True):
        members[name].append(line)
    return sorted(f"{what} {_hash(sorted(own))}" for name, own in members.items() if name)


def _hash(lines: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _contents(paths: Iterable[Path]) -> dict[Path, str]:
    """Sha256 of each distinct file. Hashing releases the interpreter lock, so threads help."""
    distinct = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(max_workers=min(8, (os.cpu_count() or 1) + 2)) as pool:
        return dict(zip(distinct, pool.map(_content, distinct), strict=True))


def _content(path: Path) -> str:
    try:
        status = path.stat()
        return _hashed(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be opened ({error.strerror}).") from None


@lru_cache(maxsize=2**18)
def _hashed(path: Path, size: int, changed_ns: int) -> str:
    """Sha256 of a file, read once in a process as long as its size and time stay: cells of a matrix share sets."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
