"""A run folder -> what its files held when it was written; so a file that was changed or cut off later is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from framework.errors import UnreadableError

RECORD = "run.json"
FILES, SEAL = "files", "seal"  # keys of the record: what the other files hold, and a hash of the record itself


def sealed(run: dict[str, Any], files: Iterable[Path]) -> dict[str, Any]:
    """A run record that also says what the files beside it hold: bytes and sha256 of each, then a hash of all that."""
    record = run | {FILES: {p.name: {"bytes": p.stat().st_size, "sha256": digest(p)} for p in sorted(files)}}
    return record | {SEAL: _hash(record)}


def check(file: Path) -> None:
    """Notice that a file of a run folder is not what was written. Of a folder without a seal nothing is known.

    Raises:
        UnreadableError: the file, or the record that would say so, was changed, cut off or removed.
    """
    record = file.with_name(RECORD)
    if not record.is_file():
        return  # rows on their own, such as those of --format parquet
    found = _record(record, _stamp(record))
    if file.name == RECORD or FILES not in found:
        return
    wanted = found[FILES].get(file.name)
    if wanted is None and not file.exists():
        return
    if wanted is None:
        raise UnreadableError(f"{file}: was added after the run was written; {RECORD} does not know it. Take it out.")
    if not file.is_file():
        raise UnreadableError(f"{file}: is missing, though the run had it. Restore this run.")
    size = file.stat().st_size
    if size != wanted["bytes"]:
        raise UnreadableError(
            f"{file}: has {size:,} bytes, {wanted['bytes']:,} were written. Restore this run or take it out."
        )
    if digest(file) != wanted["sha256"]:
        raise UnreadableError(f"{file}: was changed after the run was written. Restore this run or take it out.")


def check_folder(folder: Path) -> None:
    """As ``check``, of the record and of every file it names."""
    record = folder / RECORD
    check(record)
    for name in _record(record, _stamp(record)).get(FILES, {}) if record.is_file() else ():
        check(folder / name)


def read(folder: Path) -> dict[str, Any]:
    """The record of a run folder, checked.

    Raises:
        UnreadableError: there is none, or it is not what was written.
    """
    record = folder / RECORD
    if not record.is_file():
        raise UnreadableError(f"{record}: is missing. Restore this run or take it out.")
    return dict(_record(record, _stamp(record)))


def digest(path: Path) -> str:
    """Sha256 of a file."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    """What changes when a file is written to."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=1024)
def _record(path: Path, _: tuple[int, int]) -> dict[str, Any]:
    """A record, read and checked once; a file of another time is another one."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{path}: not a readable run record ({error}). Restore this run.") from None
    if not isinstance(found, dict):
        raise UnreadableError(f"{path}: holds no run record. Restore this run.")
    seal = found.get(SEAL)
    if seal is not None and seal != _hash({k: v for k, v in found.items() if k != SEAL}):
        raise UnreadableError(f"{path}: was changed after the run was written. Restore this run or take it out.")
    return found


def _hash(record: dict[str, Any]) -> str:
    """Sha256 of a record, in whatever order and with whatever blanks it is written."""
    return hashlib.sha256(json.dumps(record, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
