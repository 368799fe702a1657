"""Chromium without a window, driven through its DevTools protocol by the web client that Lightning brings along."""

import asyncio
import base64
import contextlib
import itertools
import json
import shutil

import aiohttp

CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
QUIET = ("--disable-gpu",)
DRAWS = (
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--hide-scrollbars",
)  # WebGL without a graphics card


class Page:
    """One page. Everything that goes wrong on it, and every address it asks for, is remembered."""

    def __init__(self, socket):
        self.socket, self.numbers, self.answers = socket, itertools.count(1), {}
        self.faults, self.addresses = [], []
        self.listener = asyncio.create_task(self._listen())

    async def call(self, method, **parameters):
        number = next(self.numbers)
        self.answers[number] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": number, "method": method, "params": parameters})
        return await asyncio.wait_for(self.answers[number], 30)

    async def run(self, script):
        """The value of an expression in the page."""
        found = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def until(self, script, seconds=60):
        """Wait until an expression is true."""
        async with asyncio.timeout(seconds):
            while not await self.run(script):
                await asyncio.sleep(0.05)

    async def choose(self, selector, *paths):
        """What a person does in the dialogue of a file field."""
        root = (await self.call("DOM.getDocument"))["root"]["nodeId"]
        node = (await self.call("DOM.querySelector", nodeId=root, selector=selector))["nodeId"]
        await self.call("DOM.setFileInputFiles", nodeId=node, files=[str(p) for p in paths])

    async def press(self, key, code):
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            await self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **text)

    async def size(self, width, height):
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    async def dark(self, is_dark=True):
        value = "dark" if is_dark else "light"
        await self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    async def picture(self, path):
        found = await self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(decoded(found))

    async def _listen(self):
        async for message in self.socket:
            told = json.loads(message.data)
            if "id" in told:
                self.answers.pop(told["id"]).set_result(told.get("result", told))
            elif told["method"] == "Runtime.exceptionThrown" or told["method"] == "Log.entryAdded":
                self.faults.append(told["params"])
            elif told["method"] == "Network.requestWillBeSent":
                self.addresses.append(told["params"]["request"]["url"])


def decoded(found):
    """The bytes of a screenshot."""
    return base64.b64decode(found["data"])


@contextlib.asynccontextmanager
async def open_page(address, profile, graphics=QUIET):
    """A page at an address, once it is loaded; ``profile`` is an empty folder."""
    words = ["--headless=new", "--no-sandbox", *graphics, "--disable-dev-shm-usage", "--no-first-run"]
    words += ["--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, *words, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            while not (profile / "DevToolsActivePort").exists() or not (profile / "DevToolsActivePort").read_text():
                await asyncio.sleep(0.05)
        port = (profile / "DevToolsActivePort").read_text().split()[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json") as response:
                (target,) = [t for t in await response.json(content_type=None) if t["type"] == "page"]
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                for part in ("Page", "Runtime", "Log", "Network", "DOM"):
                    await page.call(f"{part}.enable")
                await page.call("Page.navigate", url=address)
                await page.until("document.readyState == 'complete' && location.href != 'about:blank'")
                yield page
                page.listener.cancel()
    finally:
        process.terminate()
        await process.wait()
