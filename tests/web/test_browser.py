"""The page in a real browser: a file is dropped, looked at and talked about; another is refused; nothing leaves."""

import asyncio
import io
import json
import time

import fake_block
import fake_browser
import numpy as np
import pytest
from fake_cli import picture
from PIL import Image

from framework.tasks.asking import Asker

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not fake_browser.CHROMIUM, reason="needs a browser: apt-get install chromium"),
]
DROP = """
(() => {
  const files = new DataTransfer();
  files.items.add(new File(["text"], "notes.txt"));
  document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true}));
})()
"""
LOADED = "[...document.images].length == 2 && [...document.images].every(i => i.complete && i.naturalWidth == 50)"
ANSWERED = "!document.querySelector('#send').disabled && document.querySelectorAll('#talk .answer').length == "


def cloud(path):
    from domains.pointcloud.making.procedural import write_pcd

    points = np.random.default_rng(0).normal(size=(2000, 3))
    write_pcd(path, points / np.linalg.norm(points, axis=1, keepdims=True) * [3, 1, 1])


@pytest.fixture
def visit(site, tmp_path):
    """Run a visit on a page that is open; nothing may go wrong on it or be asked of another host."""

    def run(visitor, graphics=fake_browser.QUIET):
        async def whole():
            home = f"http://127.0.0.1:{site.port}/"
            async with fake_browser.open_page(home, tmp_path / "profile", graphics) as page:
                await visitor(page)
                assert [fault for fault in page.faults if "status of 422" not in str(fault)] == []  # of the broken file
                assert all(address.startswith((home, "data:")) for address in page.addresses), page.addresses

        asyncio.run(whole())

    return run


def text(selector):
    return f"document.querySelector({json.dumps(selector)}).textContent"


def test_a_visit(visit, tmp_path, monkeypatch, site):
    picture(tmp_path / "a.png", 200, (40, 50))
    (tmp_path / "broken.png").write_bytes(b"x")
    (tmp_path / "large.png").write_bytes(bytes((1 << 20) + 1))
    said = "<img src=x onerror=alert(1)> [a](http://evil.example) **yes**"

    def answer(self, seen, prompts, longest, stream, stopped):
        for piece in (said[:9], said[9:]):
            stream(piece)
        return [said]

    monkeypatch.setattr(Asker, "answer", answer)

    async def visitor(page):
        await page.run(DROP)
        assert (await page.run(text("#error"))).startswith("notes.txt: no domain reads this kind of file.")
        await page.choose("#file", tmp_path / "large.png")
        await page.until(f"{text('#error')} == 'large.png: the file is larger than 1 MB. Send a smaller one.'")
        await page.choose("#file", tmp_path / "broken.png")
        await page.until(f"{text('#error')}.startsWith('broken.png: no readable picture')")
        await page.choose("#file", tmp_path / "a.png")
        await page.until(LOADED)
        assert await page.run(text("#error")) == "" and await page.run(text("#name")) == "a.png"
        score = float(await page.run(text("#score")))
        assert 0 <= score <= 1 and await page.run(text("#about")) == "read as industrial"
        assert (await page.run(text("#adverb"))).endswith(" suspicious")
        slide = "(o => { o.value = 25; o.dispatchEvent(new Event('input')); })(document.querySelector('#opacity'))"
        await page.run(slide)
        assert await page.run("getComputedStyle(document.querySelector('.map')).opacity") == "0.25"
        await page.run("document.querySelector('#suggested button').click()")
        await page.until(ANSWERED + "1")
        assert await page.run(text("#talk .answer")) == await page.run(text("#heard")) == said
        assert await page.run("document.querySelectorAll('#talk img, #talk a, #talk strong').length") == 0
        await page.call("Input.insertText", text="Why?")  # the box has the focus
        await page.press("Enter", 13)
        await page.until(ANSWERED + "2")
        assert await page.run("document.querySelectorAll('#talk .asked')[1].textContent") == "Why?"
        await page.call("Input.insertText", text="<image>")
        await page.press("Enter", 13)
        await page.until(ANSWERED + "3")
        assert "holds the control token <image>" in await page.run(text("#talk .wrong"))
        for width in (390, 1280):
            await page.size(width, 800)
            assert await page.run("document.documentElement.scrollWidth <= innerWidth")
        (secret,) = set(site.talks._talks) - before
        await page.run("document.querySelector('#new').click()")
        assert await page.run("document.querySelector('#result').hidden && !document.querySelector('#choose').hidden")
        assert await page.run("document.activeElement.id") == "file"
        async with asyncio.timeout(10):
            while secret in site.talks._talks:
                await asyncio.sleep(0.05)

    before = set(site.talks._talks)
    visit(visitor)


def test_the_domain_is_chosen_and_an_answer_stopped(visit, tmp_path, monkeypatch, site):
    picture(tmp_path / "a.png", 200, (40, 50))
    choose = "(s => { s.value = %r; })(document.querySelector('#domain'))"
    shown = "document.querySelectorAll('#talk .answer')[%d].textContent"
    begun = []

    def answer(self, seen, prompts, longest, stream, stopped):
        """Words without end."""
        begun.append(1)
        stream("\n ")  # as an untrained model begins
        said = []
        while not stopped():
            stream("word ")
            said.append("word")
            time.sleep(0.02)
        return [" ".join(said)]

    monkeypatch.setattr(Asker, "answer", answer)

    async def visitor(page):
        offered = "[...document.querySelectorAll('#domain option')].map(o => o.textContent).join()"
        assert (await page.run(offered)).startswith("by file ending,industrial,medical,pointcloud")
        await page.run(choose % "pointcloud")
        await page.choose("#file", tmp_path / "a.png")
        endings = ".obj, .pcd, .ply, .stl, .tif, .tiff, .xyz, _depth.png"
        line = f"a.png: domain 'pointcloud' does not read this kind of file. Known endings: {endings}."
        assert await page.run(text("#error")) == line
        await page.run(choose % "medical")
        await page.choose("#file", tmp_path / "a.png")
        await page.until(LOADED)
        assert await page.run(text("#about")) == "read as medical"
        assert await page.run("document.querySelector('#stop').hidden")
        await page.run("document.querySelector('#suggested button').click()")
        await page.until(f"{shown % 0}.startsWith('word word')")  # no empty lines before it
        assert await page.run("document.querySelector('#send').hidden && !document.querySelector('#stop').hidden")
        await page.picture(tmp_path / "answering.png")
        await page.run("document.querySelector('#stop').click()")
        await page.until(ANSWERED + "1")
        assert (await page.run(shown % 0)).endswith("word (stopped)")
        assert await page.run("document.querySelector('#stop').hidden && document.activeElement.id == 'question'")
        await page.call("Input.insertText", text="Why?")
        await page.press("Enter", 13)
        await page.until(f"document.querySelectorAll('#talk .answer').length == 2 && {shown % 1}.startsWith('word')")
        await page.press("Escape", 27)
        await page.until(ANSWERED + "2")
        assert (await page.run(shown % 1)).endswith("(stopped)")
        (secret,) = set(site.talks._talks) - before
        first, _ = (answer for _, answer in site.talks.get(secret).subject.turns)
        assert first and f"{first} (stopped)" == (await page.run(shown % 0)).replace("  ", " ")
        await page.call("Input.insertText", text="And then?")
        await page.press("Enter", 13)
        async with asyncio.timeout(10):
            while len(begun) < 3:
                await asyncio.sleep(0.05)
        await page.call("Page.navigate", url="about:blank")  # leaving ends it, too
        async with asyncio.timeout(10):
            while site.waiting or secret in site.talks._talks:
                await asyncio.sleep(0.05)

    before = set(site.talks._talks)
    visit(visitor)


async def seen(page):
    """What the frame shows, which no script of the page may see into."""
    box = json.loads(await page.run("JSON.stringify(document.querySelector('#viewer').getBoundingClientRect())"))
    clip = {key: box[key] for key in ("x", "y", "width", "height")} | {"scale": 1}
    found = await page.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
    return np.asarray(Image.open(io.BytesIO(fake_browser.decoded(found))).convert("RGB")).astype(int)


async def until(page, holds):
    """What the frame shows once that holds; machines may be slow to draw."""
    async with asyncio.timeout(30):
        while not holds(shown := await seen(page)):
            await asyncio.sleep(0.1)
    return shown


def test_a_cloud_is_turned_in_the_page(visit, tmp_path, monkeypatch):
    pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)
    cloud(tmp_path / "ball.pcd")

    async def visitor(page):
        if not await page.run("!!document.createElement('canvas').getContext('webgl2')"):
            pytest.skip("this browser draws no WebGL 2, not even in software")
        await page.size(1280, 1600)
        await page.choose("#file", tmp_path / "ball.pcd")
        await page.until("document.querySelectorAll('#views img').length == 8")
        await page.until("!document.querySelector('#viewer').hidden")
        await until(
            page, lambda shown: (np.abs(shown - np.median(shown, (0, 1))).max(-1) > 24).mean() > 0.05
        )  # a shape
        assert await page.run("document.querySelector('#viewer').contentDocument") is None  # of another origin
        await page.run("document.querySelectorAll('#views .turn')[0].click()")  # it may be the one seen first
        await asyncio.sleep(1)
        before = await seen(page)
        for number in range(1, 4):
            await page.run(f"document.querySelectorAll('#views .turn')[{number}].click()")
            old = before
            before = await until(page, lambda shown, old=old: (np.abs(shown - old).max(-1) > 24).mean() > 0.005)
        caption = await page.run("document.querySelector('#views figcaption').textContent")
        assert caption.startswith("image 1") and 0 < float(caption.rpartition(": ")[2]) < 1
        for width in (390, 1280):
            await page.size(width, 800)
            assert await page.run("document.documentElement.scrollWidth <= innerWidth")
        await page.run("document.querySelector('#new').click()")
        assert await page.run("document.querySelector('#viewer').hidden")

    visit(visitor, fake_browser.DRAWS)


def test_a_scan_is_scrolled_through_in_the_page(visit, tmp_path):
    pytest.importorskip("nibabel", reason="needs the extra: uv pip install -e '.[medical]'")
    fake_block.write(tmp_path / "a.nii", fake_block.ct())

    async def visitor(page):
        await page.size(1280, 1600)
        await page.choose("#file", tmp_path / "a.nii")
        await page.until("!document.querySelector('#viewer').hidden")
        before = await until(page, lambda shown: (shown.max(-1) < 40).mean() > 0.1)  # planes are black around
        for number in range(2):
            await page.run(f"document.querySelectorAll('#views .turn')[{number}].click()")
            await asyncio.sleep(0.5)
        await page.run("document.querySelectorAll('#views .turn')[3].click()")
        await until(page, lambda shown: (np.abs(shown - before).max(-1) > 24).mean() > 0.002)
        assert await page.run(text("#views .turn")) == "Go to this slice"
        for width in (390, 1280):
            await page.size(width, 800)
            assert await page.run("document.documentElement.scrollWidth <= innerWidth")

    visit(visitor)
