"""The page of a cloud in a real browser: it draws, turns, zooms and changes colours, in the dark and on a phone."""

import asyncio
import io
import json
import time

import fake_browser
import numpy as np
import pytest
from PIL import Image

pytest.importorskip("open3d", reason="needs Open3D and its system libraries", exc_type=ImportError)

from domains.pointcloud import PointCloud
from domains.pointcloud.ply import write
from framework.lift import seen_by
from framework.tasks.showing import show
from framework.types import Record

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not fake_browser.CHROMIUM, reason="needs a browser: apt-get install chromium"),
]
FACES = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 1], [1, 3, 2]])


def make(folder, mesh):
    """A page about a long ellipsoid, or a tetrahedron, one end suspicious; and how many points no view shows."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(4 if mesh else 4000, 3))
    points = points / np.linalg.norm(points, axis=1, keepdims=True) * [3, 1, 1.5]
    write(folder / "a.ply", points, FACES if mesh else None, np.zeros(len(points)))
    reader = PointCloud(views=3, size=96)
    sample = reader.read(Record(folder / "a.ply", False, ""))
    sample.captions = ("from above", "<b>from</b> the side", "from below")
    scores = (points[:, 0] / 8 + 0.4).astype(np.float32)
    maps = np.where(sample.owner >= 0, scores[sample.owner], 0)
    told = {"file": "a.ply", "score": 0.7, "view_scores": [0.1, 0.7, 0.3]}
    unseen = int((seen_by(sample) == 0).sum())
    return show(reader, sample, scores, maps, folder / "a", told)["viewer"], unseen


def visit(folder, path, visitor):
    async def whole():
        async with fake_browser.open_page(path.as_uri(), folder / "profile", fake_browser.DRAWS) as page:
            if not await page.run("!!document.createElement('canvas').getContext('webgl2')"):
                pytest.skip("this browser draws no WebGL 2, not even in software")
            await page.size(1280, 900)
            await visitor(page)
            assert page.faults == []
            assert all(address.startswith(("file:", "data:")) for address in page.addresses), page.addresses

    asyncio.run(whole())


async def stage(page):
    """``(H, W, 3)`` int, what the stage shows once it is drawn."""
    await page.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    box = json.loads(await page.run("JSON.stringify(document.querySelector('#stage canvas').getBoundingClientRect())"))
    clip = {key: box[key] for key in ("x", "y", "width", "height")} | {"scale": 1}
    found = await page.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
    return np.asarray(Image.open(io.BytesIO(fake_browser.decoded(found))).convert("RGB")).astype(int)


async def until(page, holds):
    """What the stage shows once that holds, or after 20 seconds: machines may be slow to draw."""
    end = time.monotonic() + 20
    shown = await stage(page)
    while not holds(shown) and time.monotonic() < end:
        await asyncio.sleep(0.1)
        shown = await stage(page)
    assert holds(shown)
    return shown


async def standing(page):
    """What the stage shows once there is a shape that stands still."""
    before = await until(page, lambda shown: (np.abs(shown - shown[4, 4]).max(-1) > 24).mean() > 0.02)
    while differ(before, now := await stage(page)) > 0:
        before = now
    return now


def differ(one, other):
    """Share of pixels that are not the same."""
    return (np.abs(one - other).max(-1) > 24).mean()


def pick(name):
    return f"document.querySelector('#layers input[value={name}]').click()"


@pytest.mark.parametrize("mesh", [False, True])
def test_the_shape_turns_and_changes_its_colours(tmp_path, mesh):
    async def visitor(page):
        first = await standing(page)
        paper = first[4, 4]
        drawn = (np.abs(first - paper).max(-1) > 24).mean()
        assert 0.02 < drawn < 0.7
        await page.run("document.querySelector('#stage canvas').focus()")
        await page.press("ArrowRight", 39)
        await until(page, lambda shown: differ(first, shown) > 0.005)
        await page.press("0", 48)
        await until(page, lambda shown: differ(first, shown) == 0)
        await page.press("+", 187)
        await until(page, lambda shown: (np.abs(shown - paper).max(-1) > 24).mean() > 1.1 * drawn)
        await page.run("document.querySelectorAll('#views button')[2].click()")
        await until(page, lambda shown: differ(first, shown) > 0.01)
        assert (
            await page.run("document.querySelector('#views [aria-pressed=true]').textContent") == "3 · from below0.30"
        )
        await page.run("document.querySelectorAll('#views button')[1].click()")
        await until(page, lambda shown: differ(first, shown) == 0)  # the most suspicious view is seen first
        await page.run(pick("views"))
        await until(page, lambda shown: differ(first, shown) > 0.5 * drawn)
        assert (await page.run("document.querySelector('#legend').textContent")).startswith(f"unseen ({unseen:,})")
        await page.run(pick("score"))
        await page.run("document.querySelector('#narrow input').click()")
        stretched = await page.run("document.querySelector('#legend .ticks').textContent")
        assert not stretched.startswith("0.000.25")
        await until(page, lambda shown: differ(first, shown) > 0.005)
        assert await page.run("document.querySelector('#layers input[value=truth]').disabled")
        assert "no labels are known" in await page.run("document.querySelector('#shape').textContent")

    path, unseen = make(tmp_path, mesh)
    visit(tmp_path, path, visitor)


def test_a_drag_moves_what_is_in_front_with_the_hand(tmp_path):
    async def visitor(page):
        box = json.loads(await page.run("JSON.stringify(document.querySelector('#stage').getBoundingClientRect())"))
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        first = await standing(page)
        for kind, dx in (("mousePressed", 0), ("mouseMoved", 60), ("mouseReleased", 60)):
            await page.call(
                "Input.dispatchMouseEvent", type=kind, x=x + dx, y=y, button="left", buttons=1, clickCount=1
            )
        await until(page, lambda shown: differ(first, shown) > 0.005)
        dragged = await standing(page)
        await page.call("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=-300)
        await until(page, lambda shown: differ(dragged, shown) > 0.005)

    visit(tmp_path, make(tmp_path, mesh=False)[0], visitor)


def test_two_fingers_apart_bring_it_nearer(tmp_path):
    async def visitor(page):
        box = json.loads(await page.run("JSON.stringify(document.querySelector('#stage').getBoundingClientRect())"))
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        first = await standing(page)
        drawn = (np.abs(first - first[4, 4]).max(-1) > 24).mean()
        for kind, apart in (("touchStart", 40), ("touchMove", 60), ("touchMove", 80), ("touchEnd", None)):
            points = (
                [] if apart is None else [{"x": x + side * apart, "y": y, "id": i} for i, side in enumerate((-1, 1))]
            )
            await page.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        await until(page, lambda shown: (np.abs(shown - first[4, 4]).max(-1) > 24).mean() > 1.3 * drawn)

    visit(tmp_path, make(tmp_path, mesh=False)[0], visitor)


def test_the_page_fits_a_phone_and_the_dark(tmp_path):
    async def visitor(page):
        light = await stage(page)
        await page.dark()
        dark = await stage(page)
        assert light[4, 4].mean() > 200 and dark[4, 4].mean() < 60
        await page.size(390, 800)
        assert await page.run("document.documentElement.scrollWidth <= innerWidth")
        assert await page.run("document.querySelector('#stage canvas').getBoundingClientRect().width > 330")
        assert (np.abs((await stage(page)) - dark[4, 4]).max(-1) > 24).mean() > 0.02
        assert await page.run("document.querySelectorAll('#views b').length") == 3  # the scores; a caption is no markup

    visit(tmp_path, make(tmp_path, mesh=False)[0], visitor)
