"""Records -> hashes of what their files hold, for rows, for overlap and for duplicates. Loads no torch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
    """Sha256 of a whole set: what its samples, files beside them and truth hold, and their labels, as 64 hex digits.

    The folder, the names and the order of the files do not count. A record that is its own truth (no element is
    anomalous) counts other than one without truth, as element metrics tell them apart.

    Args:
        records: of the set.
        known: ``digests(records)`` where that is at hand; None reads the files.

    Raises:
        UnreadableError: a file of a sample cannot be opened.
        TruthError: a truth file cannot be opened.
    """
    samples = digests(records) if known is None else known
    others = _contents(path for r in records for path in r.beside)
    try:
        truths = _contents(r.truth_path for r in records if r.truth_path is not None and r.truth_path != r.path)
    except UnreadableError as error:
        raise TruthError(str(error)) from None
    lines = []
    for record, sample in zip(records, samples, strict=True):
        if record.truth_path is None:
            truth = "label only"
        else:
            truth = "none anomalous" if record.truth_path == record.path else truths[record.truth_path]
            truth += f" {record.marks}" if record.marks else ""
        beside = "".join(f" {others[path]}" for path in record.beside)
        lines.append(f"{sample} {int(record.anomalous)} {record.probability} {truth}{beside}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def seen(known: Iterable[str], tested: Iterable[str]) -> list[bool]:
    """For each tested sample, whether its file is, by content, among the ``known``; both are ``digests``.

    Frames do not count: two slices of one scan show the same patient, so a slice is seen where another slice of its
    scan is known. A file stored again in another format is another content, which this cannot see.
    """
    files = {d.partition("#")[0] for d in known}
    return [d.partition("#")[0] in files for d in tested]


def _contents(paths: Iterable[Path]) -> dict[Path, str]:
    """Sha256 of each distinct file. Hashing releases the interpreter lock, so threads help."""
    distinct = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(max_workers=min(8, (os.cpu_count() or 1) + 2)) as pool:
        return dict(zip(distinct, pool.map(_content, distinct), strict=True))


def _content(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be opened ({error.strerror}).") from None
