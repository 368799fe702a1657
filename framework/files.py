"""Bytes -> files and folders that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from framework.errors import UserError


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, or say in one line why not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot make this folder ({error.strerror}). Choose another.") from None


def check_writable(folder: Path) -> None:
    """Raises UserError where neither a folder nor what would have to be made for it can be written."""
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: cannot be written ({there} is no folder to write in). Choose another.")


def check_new(out: Path) -> None:
    """Raises UserError where something is there already."""
    if out.exists():
        raise UserError(f"{out}: is there already. Choose another folder, or remove it.")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write into, which becomes ``out`` at the end, or is gone where anything went wrong.

    Whoever may read the folder may read its files: libraries write weights that only their owner may read.

    Raises:
        UserError: ``out`` is there already, or cannot be made.
    """
    check_new(out)
    partial = out.with_name(f".partial-{out.name}")
    shutil.rmtree(partial, ignore_errors=True)  # what a kill left
    make_folder(partial)
    try:
        yield partial
        mode = partial.stat().st_mode & 0o666
        for path in partial.iterdir():
            path.chmod(mode)
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_whole(path: Path, *parts: bytes | memoryview) -> Path:
    """As ``write_parts``, of parts that are at hand."""
    return write_parts(path, parts)


def write_parts(path: Path, parts: Iterable[bytes | memoryview]) -> Path:
    """Write a file under another name, flush it to disk, then rename: it is there whole or not at all.

    Args:
        path: of the file, which replaces one that is there; its folder is made if missing.
        parts: what it holds, end to end; each is written before the next is asked for.

    Returns:
        ``path``.

    Raises:
        UserError: the disk is full, or the file or its folder cannot be written.
    """
    make_folder(path.parent)
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        try:
            with partial.open("wb") as f:
                for part in parts:
                    f.write(part)
                f.flush()
                os.fsync(f.fileno())
            os.replace(partial, path)
        finally:  # also after Ctrl-C
            partial.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"{path}: the disk is full. What was written before stays valid: make room and run again."
            ) from None
        raise UserError(f"{path}: cannot be written ({error.strerror}). Choose another place.") from None
    return path
