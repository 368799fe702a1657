"""Python code and arguments in; what a process of its own did with them out, without the seconds a start imports.

Once the tests are collected, ``serve`` forks a process that stands still with all that they import: the packages, and
no state of any test. Each ``run`` forks that one. Where a start itself is what is tested, start one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
_server: list[socket.socket] = []


def serve() -> None:
    """Fork the process that stands still; it ends with this one."""
    here, there = socket.socketpair()
    if os.fork():
        there.close()
        _server.append(here)
        return
    here.close()
    with contextlib.suppress(BaseException):
        _stand(there)
    os._exit(0)


def run(
    code: str,
    arguments: Sequence[str] = (),
    *,
    cwd: Path | str = ROOT,
    env: Mapping[str, str] | None = None,
    seconds=300,
) -> subprocess.CompletedProcess[str]:
    """As ``subprocess.run([sys.executable, "-c", code, *arguments])`` with text captured, in a session of its own."""
    (server,) = _server
    asked = {"code": code, "arguments": [*arguments], "cwd": str(cwd), "env": dict(os.environ if env is None else env)}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err, tempfile.TemporaryFile("w+") as ask:
        json.dump(asked, ask)
        ask.flush()
        socket.send_fds(server, [b"?"], [f.fileno() for f in (ask, out, err)])
        number = int(server.recv(32))
        server.settimeout(seconds)
        try:
            status = int(server.recv(32))
        except BaseException:
            os.killpg(number, signal.SIGKILL)
            server.settimeout(None)
            server.recv(32)
            raise
        server.settimeout(None)
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess([code, *arguments], status, out.read(), err.read())


def _stand(asks: socket.socket) -> None:
    """Fork for each that asks, until nobody can."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(null, stream)
    kept = asks.fileno()
    os.closerange(3, kept)
    os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
    while True:
        _, streams, *_ = socket.recv_fds(asks, 1, 3)
        if not streams:
            return
        number = os.fork()
        if not number:
            asks.close()
            _become(streams)
        for stream in streams:
            os.close(stream)
        asks.send(str(number).encode().ljust(32))
        asks.send(str(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])).encode().ljust(32))


def _become(streams: list[int]) -> None:
    """Run what is asked as a fresh interpreter would, and end."""
    os.setsid()
    status = 1
    try:
        with os.fdopen(streams[0]) as file:
            file.seek(0)
            asked = json.load(file)
        for stream, number in zip(streams[1:], (1, 2), strict=True):
            os.dup2(stream, number)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
        os.chdir(asked["cwd"])
        os.environ.clear()
        os.environ.update(asked["env"])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.argv = ["-c", *asked["arguments"]]
        exec(compile(asked["code"], "<string>", "exec"), {"__name__": "__main__"})
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        for file in (sys.stdout, sys.stderr):
            file.flush()
        os._exit(status)
