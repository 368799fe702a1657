"""A checkpoint, a host and a port in; a web site that runs until it is stopped out."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

from framework.errors import UserError
from framework.tasks.asking import Asker
from framework.web import reading
from framework.web.app import Site

CLOSE_S = 1.0  # what answers get to break off in; then everything ends
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def serve(
    checkpoint: Path, options: dict[str, Any], host: str, port: int, most_mb: int, reader: dict[str, Any] | None = None
) -> None:
    """Serve until SIGTERM, or Ctrl-C, which is passed on.

    Args:
        checkpoint: model folder or tuned checkpoint.
        options: of ``Asker``.
        host: address to listen on.
        port: 0 takes a free one; the line that is printed names it.
        most_mb: largest upload.
        reader: options of the domains' readers.

    Raises:
        UserError: as ``Asker``; no domain has such an option; the address cannot be listened on.
    """
    if most_mb < 1:
        raise UserError(f"--most-mb {most_mb}: allow 1 or more.")
    readers = reading.options_of(reader or {})
    listening = _listen(host, port)
    with listening:
        reading.warm_up()  # while the model is loaded
        asker = Asker(checkpoint, **options)
        alone = _is_loopback(host)
        site = Site(asker, most_mb, {*LOOPBACK, host.lower()} if alone else (), readers)
        asyncio.run(_run(site, listening, host, alone))


async def _run(site: Site, listening: socket.socket, host: str, alone: bool) -> None:
    runner = web.AppRunner(site.app, access_log=None, handler_cancellation=True, shutdown_timeout=CLOSE_S)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        if not alone:
            print(f"anomaly-ov: --host {host}: anybody on the network can use this page.", file=sys.stderr)
        shown = f"[{host}]" if ":" in host else host
        print(f"http://{shown}:{listening.getsockname()[1]} (Ctrl-C ends it)", flush=True)
        await stopped.wait()
    finally:
        await runner.cleanup()


def _listen(host: str, port: int) -> socket.socket:
    """Before the model is loaded, which takes long. Visitors who come early wait."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = str(error.strerror).split(" (")[0] if isinstance(error, OSError) else error
        raise UserError(f"--host {host} --port {port}: cannot listen there ({reason}). Choose another.") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host.lower() == "localhost"
