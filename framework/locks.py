"""A folder that one process at a time works in -> held until that process ends, however it ends. Loads no torch."""

from __future__ import annotations

import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path

from framework.errors import UserError
from framework.files import make_folder

PATIENCE = 10.0  # seconds; the workers of a process that was killed see it within five, and hold its lock until then
_PAUSE = 0.2  # seconds


class BusyError(UserError):
    """Another process works in that folder."""


@contextmanager
def held(folder: Path, name: str, mine: bool = True) -> Iterator[None]:
    """Make a folder and work in it alone.

    The lock is a file beside the folder, which may so be removed, that says who holds it. The system frees it when the
    process ends, also by ``kill -9``. Where a file system has no locks, nothing is held.

    Args:
        folder: to work in.
        name: of the experiment, for the message.
        mine: whether this process holds it for its job, as the first of several does.

    Raises:
        BusyError: another process holds it; says which, and since when.
    """
    make_folder(folder)
    if not mine:
        yield
        return
    path = folder.with_name(f"{folder.name}.lock")
    lock = _locked(path, name)
    try:
        lock.truncate(0)
        json.dump({"process": os.getpid(), "on": platform.node(), "since": f"{datetime.now():%Y-%m-%d %H:%M}"}, lock)
        lock.flush()
        make_folder(folder)  # another may have ended, and removed it, while this one waited
        yield
    finally:
        path.unlink(missing_ok=True)
        _flock(lock, fcntl.LOCK_UN)  # else workers that are still ending would hold it
        lock.close()


def _locked(path: Path, name: str) -> TextIOWrapper:
    """The file, opened and locked."""
    end = time.monotonic() + PATIENCE
    while True:
        lock = path.open("a+", encoding="utf-8")
        try:
            _flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = _note(path)
            lock.close()
            if _alive(who) or time.monotonic() > end:
                raise BusyError(
                    f"{name}: this experiment runs already, in process {who.get('process', 'of an unknown number')}"
                    f"{' on ' + str(who['on']) if 'on' in who else ''} since {who.get('since', 'just now')}. "
                    "Wait for it, or give this one another out or name."
                ) from None
            time.sleep(_PAUSE)
            continue
        if _same(path, lock):
            return lock
        lock.close()  # of one that has ended since, and removed it


def _flock(lock: TextIOWrapper, how: int) -> None:
    try:
        fcntl.flock(lock, how)
    except BlockingIOError:
        raise
    except OSError:  # this file system has no locks
        return


def _same(path: Path, lock: TextIOWrapper) -> bool:
    """Whether the file that is open is still the one of that name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(lock.fileno()))
    except FileNotFoundError:
        return False


def _note(path: Path) -> dict[str, object]:
    """Who holds the lock; nothing where that is not written yet."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _alive(who: dict[str, object]) -> bool:
    """Whether the process that noted itself is there, which of another machine cannot be known."""
    if "process" not in who:
        return False
    if who.get("on") != platform.node():
        return True
    try:
        os.kill(int(str(who["process"])), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        pass
    return True
