"""Folders of runs in, made on several machines; one folder with a copy of every run, none changed, out."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

from framework.errors import UserError
from framework.files import check_writable, make_folder
from framework.leaderboard import seal
from framework.leaderboard.store import PARTIAL, folders, none_found


def merge(paths: Sequence[Path], out: Path) -> tuple[int, int]:
    """Copy every run into one folder. Each appears there whole or not at all; after a kill the same call goes on.

    Args:
        paths: run folders, or folders that hold runs at any depth.
        out: folder of runs, made if missing; runs in it are not touched.

    Returns:
        How many runs were copied, and how many were there already.

    Raises:
        UserError: a path without runs, two different runs of one name, or ``out`` cannot be written.
        UnreadableError: a run that was changed or cut off since it was written.
    """
    found = folders(paths)
    if not found:
        raise none_found(paths)
    check_writable(out)
    for folder in found:
        seal.check_folder(folder)
    make_folder(out)
    copied = sum(_copy(folder, out / folder.name) for folder in found)
    return copied, len(found) - copied


def _copy(folder: Path, target: Path) -> bool:
    """Whether a run had to be copied."""
    if target.exists():
        if target.resolve() != folder and _content(target) != _content(folder):
            raise UserError(f"{folder}: another run of this name is in {target.parent}; rename one of their folders.")
        return False
    partial = target.with_name(f"{PARTIAL}{uuid.uuid4().hex}")
    try:
        shutil.copytree(folder, partial)
        partial.rename(target)
    except OSError as error:
        raise UserError(f"{target}: not copied ({error.strerror}). Mend that and run again.") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def _content(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): seal.digest(p) for p in sorted(folder.rglob("*")) if p.is_file()}
