"""Bytes -> files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from framework.errors import UserError


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, or say in one line why not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot make this folder ({error.strerror}). Choose another.") from None


def write_whole(path: Path, write: Callable[[Any], Any]) -> None:
    """Write a file under another name, flush it to disk, then rename: it is there whole or not at all."""
    partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
    try:
        with partial.open("wb") as f:
            write(f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(partial, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"{path}: the disk is full. What was written before stays valid: make room and run again."
            ) from None
        raise
    finally:
        partial.unlink(missing_ok=True)
