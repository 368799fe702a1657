"""The page of a scan in a real browser: left is left, planes are linked, slices scroll, colours change."""

import asyncio
import json

import fake_block
import fake_browser
import numpy as np
import pytest
import torch
from fake_block import SHAPE, SPOT

from domains.medical import Medical
from framework.tasks.showing import show
from framework.types import Record

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not fake_browser.CHROMIUM, reason="needs a browser: apt-get install chromium"),
]


@pytest.fixture
def path(tmp_path):
    """A page about a CT stored to the left, back and top, its bright block suspicious and known to be anomalous."""
    scores, truth = np.full(SHAPE, 0.1, np.float32), np.zeros(SHAPE, np.uint8)
    scores[fake_block.block()], scores[SPOT], truth[fake_block.block()] = 0.6, 0.9, 1
    fake_block.write(tmp_path / "a.nii", fake_block.ct())
    fake_block.write(tmp_path / "a_mask.nii", truth)
    stored = fake_block.write(tmp_path / "scores.nii", scores).ravel()
    reader = Medical(select="all", window=[-160, 240])
    sample = reader.read(Record(tmp_path / "a.nii", False, ""))
    sample.captions = ("<b>no markup</b>", *sample.captions[1:])
    maps = [torch.from_numpy(sample.back.show(stored, i)) for i in range(SHAPE[2])]
    told = {"file": "a.nii", "score": 0.7, "view_scores": [float(m.max()) for m in maps]}
    return show(reader, sample, stored, maps, tmp_path / "a", told)["viewer"]


def visit(path, visitor, planes=3):
    async def whole():
        async with fake_browser.open_page(path.as_uri(), path.with_name("profile")) as page:
            await page.size(1280, 900)
            await page.until(f"document.querySelectorAll('.plane').length == {planes} && told().startsWith('value')")
            await visitor(page)
            assert page.faults == []
            assert all(address.startswith(("file:", "data:", "blob:")) for address in page.addresses), page.addresses

    asyncio.run(whole())


@pytest.fixture(autouse=True)
def words(monkeypatch):
    """Short words for what tests ask the page for."""
    asked = fake_browser.Page.run

    async def run(page, script):
        prelude = (
            "var told = () => document.querySelector('#stage > p')?.textContent ?? '';"
            "var at = () => [...document.querySelectorAll('.plane figcaption span')]"
            ".map(s => parseInt(s.textContent.slice(6)));"
            "var pixel = (plane, x, y) => { const c = document.querySelectorAll('.plane canvas')[plane];"
            "const pen = document.createElement('canvas').getContext('2d', {willReadFrequently: true});"
            "pen.drawImage(c, -Math.floor(x * c.width), -Math.floor(y * c.height));"
            "return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3); };"
            "var drawn = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));"
            "var slide = (input, value) => { input.value = value; input.dispatchEvent(new Event('input')); };"
        )
        return await asked(page, prelude + script)

    monkeypatch.setattr(fake_browser.Page, "run", run)


def share(index, length, extent, field):
    """Where a voxel lies in a square field, as a share of its side; right and top come first."""
    return 0.5 + ((length - 0.5 - index) / length - 0.5) * extent / field


X, Y, Z = (share(i, n, n * s, 100) for i, n, s in zip(SPOT, SHAPE, (2, 2, 6), strict=True))


async def click(page, plane, x, y, kind="mouse"):
    box = json.loads(
        await page.run(f"JSON.stringify(document.querySelectorAll('.plane canvas')[{plane}].getBoundingClientRect())")
    )
    x, y = box["x"] + x * box["width"], box["y"] + y * box["height"]
    for kind in ("mousePressed", "mouseReleased"):
        await page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)
    await page.run("drawn()")


def test_the_page_begins_at_the_worst_place_and_left_is_left(path):
    async def visitor(page):
        assert await page.run("at()") == [SPOT[2] + 1, SPOT[1] + 1, SPOT[0] + 1]
        assert await page.run("told()") == (
            "value 300 · score 0.90 · x -24.0, y 30.0, z 24.0 mm · anomalous by the truth"
        )
        await page.run("document.querySelectorAll('.tools .check input').forEach(i => i.click()), drawn()")
        for plane, (x, y) in enumerate(((X, Y), (X, Z), (Y, Z))):
            red, _, blue = await page.run(f"pixel({plane}, {x}, {y})")
            assert red > 180 and red > blue + 50, (plane, red, blue)  # bright, and in the colour of its score
            red, _, blue = await page.run(f"pixel({plane}, {1 - x}, {y})")
            assert red < 140 and abs(red - blue) < 40  # nothing on the other side
        assert X > 0.6 and Y < 0.4 and Z < 0.45  # the patient's left is on the right, the front up, the top up
        letters = "[...document.querySelectorAll('.field b')].map(b => b.textContent).join('')"
        assert await page.run(letters) == "RLAP" + "RLSI" + "APSI"

    visit(path, visitor)


def test_planes_are_linked_and_slices_scroll(path):
    async def visitor(page):
        await click(page, 0, share(30, 40, 80, 100), share(10, 50, 100, 100))
        assert await page.run("at()") == [SPOT[2] + 1, 11, 31]
        assert (await page.run("told()")).startswith("value 40 · score 0.10 · x 20.0, y -30.0, z 24.0 mm · normal")
        await click(page, 2, share(25, 50, 100, 100), share(3, 12, 72, 100))
        assert await page.run("at()") == [4, 26, 31]
        await page.press("ArrowUp", 38)  # of the plane that was clicked
        await page.run("drawn()")
        assert await page.run("at()") == [4, 26, 32]
        await page.run(
            "document.querySelector('.plane canvas').dispatchEvent(new WheelEvent('wheel', {deltaY: -1})), drawn()"
        )
        assert await page.run("at()") == [5, 26, 32]
        await page.run("slide(document.querySelector('.plane > input'), 0), drawn()")
        assert (await page.run("at()"))[0] == 1
        await page.run("document.querySelectorAll('#views button')[0].click(), drawn()")
        assert await page.run("at()") == [SPOT[2] + 1, SPOT[1] + 1, SPOT[0] + 1]
        assert await page.run("document.querySelectorAll('#views button[aria-pressed=true]').length") == 1
        assert await page.run("document.querySelectorAll('#views button b').length") == 12  # a caption is no markup

    visit(path, visitor)


def test_map_threshold_window_and_outline_change_what_is_drawn(path):
    async def visitor(page):
        await page.run("document.querySelectorAll('.tools .check input')[1].click(), drawn()")  # no cross
        spot, body = f"pixel(0, {X}, {Y})", "pixel(0, 0.4, 0.5)"
        rim = f"pixel(0, {share(SPOT[0] - 1, 40, 80, 100)}, {Y})"
        red, _, blue = await page.run(rim)
        assert blue > red + 80
        await page.run("document.querySelector('.tools .check input').click(), drawn()")
        red, _, blue = await page.run(rim)
        assert red > blue
        before = await page.run(body)
        await page.run("slide(document.querySelectorAll('#controls input')[1], 0.5), drawn()")
        grey = await page.run(body)
        assert grey != before and max(grey) - min(grey) == 0 and abs(grey[0] - 127) <= 2  # 40 in -160 to 240
        assert np.ptp(await page.run(spot)) > 60
        await page.run("slide(document.querySelectorAll('#controls input')[0], 0), drawn()")
        assert np.ptp(await page.run(spot)) == 0
        choose = "(s => { s.value = 'bone'; s.dispatchEvent(new Event('change')); })"
        await page.run(f"{choose}(document.querySelector('.window select')), drawn()")
        assert abs((await page.run(body))[0] - 255 * 540 / 1800) <= 2
        await page.run("slide(document.querySelectorAll('.handles input')[0], 512), drawn()")  # no low above high
        low, high = await page.run("[...document.querySelectorAll('.window output')].map(o => Number(o.textContent))")
        assert low < high
        assert not await page.run("document.querySelector('#narrow').hidden")

    visit(path, visitor)


def test_the_page_fits_a_phone_where_a_finger_goes_through_slices(path):
    async def visitor(page):
        await page.dark()
        await page.size(390, 800)
        assert await page.run("document.documentElement.scrollWidth <= innerWidth")
        tops = "[...document.querySelectorAll('.plane')].map(p => p.getBoundingClientRect().top)"
        first, second, third = await page.run(tops)
        assert first < second < third
        boxes = "[...document.querySelectorAll('.field')].map(f => f.getBoundingClientRect())"
        ratios = await page.run(f"{boxes}.map(b => b.width / b.height)")
        np.testing.assert_allclose(ratios, [100 / 100, 100 / 72, 100 / 72], atol=0.01)  # mm; no more black than needed
        box = json.loads(
            await page.run("JSON.stringify(document.querySelector('.plane canvas').getBoundingClientRect())")
        )
        x, y, step = box["x"] + box["width"] / 2, box["y"] + 40, box["width"] / 12
        before = (await page.run("at()"))[0]
        for kind, moved in (("touchStart", 0), ("touchMove", -step), ("touchMove", -3 * step), ("touchEnd", None)):
            points = [] if moved is None else [{"x": x + moved, "y": y, "id": 0}]
            await page.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        await page.run("drawn()")
        assert (await page.run("at()"))[0] == before - 3

    visit(path, visitor)


@pytest.mark.parametrize(("axis", "name"), enumerate(("sagittal", "coronal", "axial")))
def test_of_one_slice_its_own_plane_is_shown(tmp_path, axis, name):
    voxels = np.take(fake_block.ct(), [SPOT[axis]], axis)
    fake_block.write(tmp_path / "a.nii", voxels)
    reader = Medical(window=[-160, 240])
    sample = reader.read(Record(tmp_path / "a.nii", False, ""))
    scores = np.full(voxels.size, 0.5, np.float32)
    maps = [torch.from_numpy(sample.back.show(scores, 0))]
    told = {"file": "a.nii", "score": 0.7, "view_scores": [0.5]}
    shown = show(reader, sample, scores, maps, tmp_path / "a", told)["viewer"]
    assert "1 slice<" in shown.read_text()

    async def visitor(page):
        assert await page.run("document.querySelector('.plane strong').textContent") == name
        assert await page.run("document.querySelector('.plane > input').checkVisibility()") is False
        await page.run("document.querySelector('#views button, #views [tabindex]')?.click()")
        assert await page.run("drawn().then(() => pixel(0, 0.5, 0.6).some(c => c > 0))")

    visit(shown, visitor, planes=1)
