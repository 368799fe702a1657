"""A model in, the web application out: one page, and what it asks for. Nothing that a visitor sends is kept on disk."""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from framework import registry
from framework.errors import UserError
from framework.files import write_whole
from framework.tasks.asking import Asker
from framework.web import reading
from framework.web.requests import LONGEST, VIEWER, Refused, add_headers, claimed, guard, kind_of, question_of, receive
from framework.web.talks import Talk, Talks, Turn

WAITING = 20  # questions and files that wait for the model
AT_ONCE = 2  # uploads that are received and read at the same time
SWEEP_S = 60
_FOLDER = Path(__file__).parent
_ASSETS = {"page.css": "text/css", "page.js": "text/javascript"}


class Gone(Exception):
    """Nobody waits for the answer that is being made."""


class Site:
    """The application and its state.

    Args:
        asker: the model; one thread uses it, so that visitors queue.
        most_mb: largest upload.
        hosts: names under which the site may be asked for, so that no other site's name can be pointed here; empty:
            any.
        readers: options of the readers, by domain.
    """

    def __init__(
        self,
        asker: Asker,
        most_mb: int,
        hosts: Collection[str] = (),
        readers: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        self.asker, self.most_mb, self.readers = asker, most_mb, readers or {}
        self.talks = Talks()
        self.model = ThreadPoolExecutor(1, "model")
        self.waiting = 0
        self.receiving = asyncio.Semaphore(AT_ONCE)
        self.closing = threading.Event()
        for domain in registry.domains():
            registry.load_domain(domain)
        self.app = web.Application(middlewares=[guard(hosts)], client_max_size=1 << 16)
        self.app.add_routes(
            [
                web.get("/", self.page),
                web.get("/{asset:page\\.(?:css|js)}", self.asset),
                web.post("/files", self.upload),
                web.get("/talks/{secret}/{number:\\d+}/{kind:view|map}.png", self.picture),
                web.get("/talks/{secret}/viewer", self.viewer),
                web.post("/talks/{secret}", self.ask),
                web.post("/talks/{secret}/stop", self.stop),
                web.delete("/talks/{secret}", self.forget),
            ]
        )
        self.app.on_response_prepare.append(add_headers)
        self.app.on_shutdown.append(self._close)
        self.app.cleanup_ctx.append(self._sweeping)

    async def page(self, request: web.Request) -> web.Response:
        """The only page."""
        domains = {name: sorted(registry.get("domain", name).suffixes) for name in registry.names("domain")}  # type: ignore[attr-defined]
        endings = sorted({ending for known in domains.values() for ending in known})
        shared = [ending for ending in endings if sum(ending in known for known in domains.values()) > 1]
        first = registry.domain_of(Path(f"a{shared[0]}")) if shared else ""
        environment = Environment(autoescape=True, loader=FileSystemLoader(_FOLDER), undefined=StrictUndefined)
        given = {"domains": domains, "endings": endings, "shared": shared, "first": first}
        template = environment.get_template("page.html.j2")
        text = template.render(given, most_mb=self.most_mb, longest=LONGEST)
        return web.Response(text=text, content_type="text/html")

    async def asset(self, request: web.Request) -> web.Response:
        """The page's style or script."""
        name = request.match_info["asset"]
        return web.Response(text=(_FOLDER / name).read_text(encoding="utf-8"), content_type=_ASSETS[name])

    async def upload(self, request: web.Request) -> web.Response:
        """A file as the body, its name (and domain) in the query; what is known of it, and the secret of its talk."""
        given = request.query.get("name", "").replace("\\", "/").split("/")[-1]
        name = "".join(c for c in given if c.isprintable())[-100:]
        wanted = request.query.get("domain", "")
        domain, ending, refused = kind_of(name, wanted)
        self._room()
        async with self.receiving:
            with tempfile.TemporaryDirectory(prefix="anomaly-ov-") as folder:
                path = Path(folder) / f"upload{ending}"
                parts = await receive(request, self.most_mb)
                await asyncio.to_thread(write_whole, path, *parts)
                del parts
                domain = domain or claimed(path, wanted, refused)
                try:
                    sample, scene = await reading.read(path, domain, self.readers.get(domain))
                except UserError as error:
                    raise UserError(str(error).replace(str(path), name)) from None
        sample.warnings = tuple(warning.replace(str(path), name) for warning in sample.warnings)
        talk = await self._in_turn(Talk, self.asker, name, domain, sample, scene)
        return web.json_response({"talk": self.talks.add(talk), **talk.told})

    async def picture(self, request: web.Request) -> web.Response:
        """A view, or the map over it."""
        pictures = self._talk(request).pictures
        number = int(request.match_info["number"])
        if number >= len(pictures):
            raise web.HTTPNotFound
        return web.Response(body=pictures[number][request.match_info["kind"]], content_type="image/png")

    async def viewer(self, request: web.Request) -> web.Response:
        """The file, to look around in: a page of its own in the page, which may run its scripts and nothing else."""
        talk = self._talk(request)
        if talk.viewer is None:
            raise web.HTTPNotFound
        headers = {"Content-Security-Policy": VIEWER.format(talk.nonce)}
        return web.Response(body=talk.viewer, content_type="text/html", charset="utf-8", headers=headers)

    async def ask(self, request: web.Request) -> web.StreamResponse:
        """A question as ``{"question": text}``; lines of JSON: waiting, text by piece, then done, stopped or error."""
        talk = self._talk(request)
        question = await question_of(request)
        if talk.answering is not None:
            raise Refused(409, "the last question is still being answered. Wait for its answer.")
        self._room()
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        lines: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        loop, gone = asyncio.get_running_loop(), threading.Event()

        def tell(text: str) -> None:
            if gone.is_set() or self.closing.is_set():
                raise Gone
            if text:
                loop.call_soon_threadsafe(lines.put_nowait, {"text": text})

        lines.put_nowait({"waiting": self.waiting})
        talk.answering = turn = Turn(talk, question, tell)
        turn.answer = answer = asyncio.ensure_future(self._in_turn(turn.take))
        answer.add_done_callback(lambda _: lines.put_nowait(None))
        try:
            await response.prepare(request)
            while (line := await lines.get()) is not None:
                await response.write(_line(line))
            await response.write(_line(_end(answer, turn.stopped)))
        except ConnectionError:
            pass  # the visitor left
        finally:
            gone.set()
            answer.cancel()
            talk.answering = None
        return response

    async def stop(self, request: web.Request) -> web.Response:
        """End the answer that is being made; what was said of it stays."""
        turn = self._talk(request).answering
        if turn is not None:
            turn.stop()
        return web.Response(status=204)

    async def forget(self, request: web.Request) -> web.Response:
        """End a talk."""
        self.talks.forget(request.match_info["secret"])
        return web.Response(status=204)

    def _talk(self, request: web.Request) -> Talk:
        talk = self.talks.get(request.match_info["secret"])
        if talk is None:
            raise Refused(404, "this talk has ended. Choose the file again.")
        return talk

    def _room(self) -> None:
        if self.waiting >= WAITING:
            raise Refused(503, "too many are waiting for the model. Try again in a minute.")

    async def _in_turn(self, call: Callable[..., Any], *arguments: Any) -> Any:
        """Call in the thread of the model, after those who came before."""
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.model, call, *arguments)
        except torch.OutOfMemoryError:
            raise Refused(503, "the model's device has no room for this. Send a smaller file, or begin anew.") from None
        finally:
            self.waiting -= 1

    async def _sweeping(self, app: web.Application) -> AsyncIterator[None]:
        """Forget idle talks as long as the site is there."""

        async def sweep() -> None:
            while True:
                await asyncio.sleep(SWEEP_S)
                self.talks.forget_idle()

        sweeper = asyncio.create_task(sweep())
        yield
        sweeper.cancel()

    async def _close(self, app: web.Application) -> None:
        """Let the answer that is being made break off, and nothing begin."""
        self.closing.set()
        self.model.shutdown(wait=False, cancel_futures=True)


def _line(told: dict[str, Any]) -> bytes:
    return json.dumps(told).encode() + b"\n"


def _end(answer: asyncio.Future[Any], stopped: bool) -> dict[str, Any]:
    """The last line of an answer."""
    if stopped and answer.cancelled():
        return {"stopped": True}
    try:
        answer.result()
    except UserError as error:
        return {"error": str(error)}
    except (Gone, asyncio.CancelledError):
        return {"error": "the site is closing."}
    return {"stopped": True} if stopped else {"done": True}
