"""A small model and a site with it, served from a thread."""

import asyncio
import threading

import fake_language
import pytest
from aiohttp import web

from framework.models.onevision import small
from framework.tasks.asking import Asker
from framework.web.app import Site
from framework.web.server import LOOPBACK


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return small.build(tmp_path_factory.mktemp("small") / "model", fake_language.TEXTS)


@pytest.fixture(scope="session")
def asker(folder):
    return Asker(folder, device="cpu")


@pytest.fixture(scope="session")
def site(asker):
    """The site, with its ``port``; uploads of up to 1 MB."""
    ready, loop, found = threading.Event(), asyncio.new_event_loop(), []

    async def run():
        site = Site(asker, 1, LOOPBACK)
        runner = web.AppRunner(site.app, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        site.port, site.stop = runner.addresses[0][1], asyncio.Event()
        found.append(site)
        ready.set()
        await site.stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(30)
    yield found[0]
    loop.call_soon_threadsafe(found[0].stop.set)
    thread.join()
    loop.close()
