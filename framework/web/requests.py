"""A request in; what it brings, or one line that says why it is refused, out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any

from aiohttp import web

from framework import registry
from framework.errors import UserError

LONGEST = 4000  # characters of a question
RECEIVE_S = 600
CHUNK = 1 << 20  # bytes
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
VIEWER = (  # the page in the page: its own scripts alone, no address, no origin
    "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refused(UserError):
    """What the site does not do, with the status of HTTP that says so."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status


def guard(hosts: Collection[str]) -> Any:
    """Refuses other sites' requests; tells a mistake as ``{"error": line}``."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        try:
            if hosts and re.sub(r":\d+$", "", request.host).lower() not in hosts:
                raise Refused(403, "this site is asked for under a name that is not its own.")
            if origin is not None and origin.split("://")[-1] != request.host:
                raise Refused(403, "only the site's own page may ask this.")
            return await handler(request)
        except UserError as error:
            status = error.status if isinstance(error, Refused) else 422
            return web.json_response({"error": str(error)}, status=status)

    return middleware


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Nothing from elsewhere is loaded or run, and nothing is kept."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


async def question_of(request: web.Request) -> str:
    """What is asked; only what can be written as UTF-8."""
    try:
        question = (await request.json())["question"].strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Refused(400, 'send {"question": "..."}.') from None
    if not question or len(question) > LONGEST:
        raise Refused(400, f"a question has 1 to {LONGEST} characters, this one {len(question)}.")
    return str(question.encode("utf-8", "replace").decode())


async def receive(request: web.Request, most_mb: int) -> list[bytes]:
    """The body, in parts, as long as it is not too large.

    Raises:
        Refused: it is, or does not arrive.
    """
    most, count, parts = most_mb << 20, 0, []
    too_large = Refused(413, f"the file is larger than {most_mb} MB. Send a smaller one.")
    if (request.content_length or 0) > most:
        raise too_large
    try:
        async with asyncio.timeout(RECEIVE_S):
            async for part in request.content.iter_chunked(CHUNK):
                count += len(part)
                if count > most:
                    raise too_large
                parts.append(part)
    except (ConnectionError, web.RequestPayloadError):
        raise Refused(400, "the file did not arrive whole. Send it again.") from None
    except TimeoutError:
        raise Refused(408, f"the file did not arrive within {RECEIVE_S // 60} minutes.") from None
    return parts


def kind_of(name: str, wanted: str) -> tuple[str, str, str]:
    """The domain that reads files of this name, and its ending; where there is none, "" twice and why not."""
    try:
        domain = registry.domain_of(Path(name), only=wanted)
    except UserError as error:
        return "", "", str(error)
    known: tuple[str, ...] = registry.get("domain", domain).suffixes  # type: ignore[attr-defined]
    return domain, max((s for s in known if name.lower().endswith(s)), key=len), ""


def claimed(path: Path, wanted: str, refused: str) -> str:
    """The domain that knows a file by its content. Raises UserError, ``refused``, where there is none."""
    try:
        return registry.domain_of(path, only=wanted)
    except UserError:
        raise UserError(refused) from None
