"""Bytes -> files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from framework.errors import UserError


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, or say in one line why not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot make this folder ({error.strerror}). Choose another.") from None


def as_readable(path: Path, model: Path) -> None:
    """Give a file the mode of another: libraries write weights that only their owner may read."""
    path.chmod(model.stat().st_mode & 0o777)


def write_whole(path: Path, *parts: bytes | memoryview) -> Path:
    """Write a file under another name, flush it to disk, then rename: it is there whole or not at all.

    Args:
        path: of the file, which replaces one that is there; its folder is made if missing.
        parts: what it holds, end to end.

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
