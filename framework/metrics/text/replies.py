"""Replies of a judge <-> a file of JSON lines, one a reply, each on disk before the next is asked for.

Lines are appended, as a file written whole for each reply would be written over and over; so a kill can leave half a
line at the end, never elsewhere. The next start cuts it off: its reply is asked for again.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

from framework.errors import UnreadableError, UserError
from framework.files import make_folder


class Replies:
    """What was replied, by key. Threads may share it; two processes must not.

    Args:
        path: of the file; made with its folder at the first reply.

    Raises:
        UnreadableError: a line is not a reply.
        UserError: the file cannot be read or mended.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._lock = path, threading.Lock()
        self._known: dict[str, dict[str, Any]] = {}
        try:
            content = path.read_bytes() if path.exists() else b""
            whole = content.rfind(b"\n") + 1
            if whole < len(content):
                os.truncate(path, whole)
        except OSError as error:
            raise UserError(f"{path}: cannot be read or mended ({error.strerror}). Choose another file.") from None
        for number, line in enumerate(content[:whole].splitlines(), 1):
            self._add(number, line)

    def get(self, key: str) -> dict[str, Any] | None:
        """The reply of that key, or None."""
        return self._known.get(key)

    def put(self, key: str, reply: dict[str, Any]) -> None:
        """Append a reply and close the file, so that it outlives the process.

        Raises:
            UserError: the disk is full, or the file cannot be written.
        """
        line = json.dumps({"key": key, **reply}).encode() + b"\n"
        with self._lock:
            make_folder(self.path.parent)
            try:
                with self.path.open("ab") as f:
                    f.write(line)
            except OSError as error:
                raise UserError(
                    f"{self.path}: cannot be written ({error.strerror}). Replies so far are kept: "
                    "make room or choose another file, and run again."
                ) from None
            self._known[key] = reply

    def _add(self, number: int, line: bytes) -> None:
        try:
            reply = json.loads(line)
            key = reply.pop("key")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UnreadableError(f"{self.path}: line {number} is no reply of a judge. Delete the line.") from None
        self._known[key] = reply
