"""The page in a real browser at desk and phone width: sorted, filtered, opened, compared, sent on; nothing is asked of
anyone. All tests share one browser.
"""

from __future__ import annotations

import asyncio
import json

import fake_browser
import pytest
from fake_board import CONTRAST, DESK, PHONE, Visit, rows, verdicts
from fake_rows import item, picture, row

from framework.leaderboard.render.page import page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not fake_browser.CHROMIUM, reason="needs a browser: apt-get install chromium"),
]
HOSTILE = "</script><script>window.evil = 1</script>\"'><img src=x onerror='window.evil=1'>"
ENTER, LEFT, RIGHT, DOWN = ("Enter", 13), ("ArrowLeft", 37), ("ArrowRight", 39), ("ArrowDown", 40)
CELLS = "#board td button b"


@pytest.fixture(scope="module")
def visit(tmp_path_factory):
    with asyncio.Runner() as runner:
        profile = tmp_path_factory.mktemp("profile")
        browser = fake_browser.open_page("data:text/html,<p>", profile)
        yield Visit(runner, runner.run(browser.__aenter__()))
        runner.run(browser.__aexit__(None, None, None))


@pytest.fixture(autouse=True)
def quiet(visit):
    """Nothing may go wrong on the page or be asked of anyone."""
    yield
    assert visit.shown.faults == []
    assert all(a.startswith(("file:", "data:", "about:")) for a in visit.shown.addresses), visit.shown.addresses


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    items = [
        item(run="run-parts", id=f"{i}.png", wrongness=i / 16, score=i / 16, view=picture(i), truth=picture(9))
        for i in range(16)
    ]
    records = {"run-parts": {"command": ["fit", "x y.yaml"], "settings": {"seed": 3}}, "run-scans": {"command": []}}
    path.write_text(page(rows(), items, "Board", ["A note."], records, verdicts()), encoding="utf-8")
    return path


def test_a_head_sorts_its_column_both_ways_and_back(visit, board):
    visit.open(board)
    heads, given = "#board tbody th", ["parts", "scans", "nothing", "control: file size", "chance"]
    assert visit.texts(heads) == given
    orders = []
    for _ in range(3):
        visit.click("#board thead button", 2)  # tested on scans, where the control was not measured
        orders.append((visit.texts(heads), visit("document.activeElement.closest('th').ariaSort")))
    assert [order for order, _ in orders] == [
        ["scans", "nothing", "parts", "control: file size", "chance"],
        ["parts", "nothing", "scans", "control: file size", "chance"],
        given,
    ]
    assert [direction for _, direction in orders] == ["descending", "ascending", "none"]
    visit.click("#board thead button", 0)
    assert visit.texts(heads) == ["control: file size", "nothing", "parts", "scans", "chance"]


def test_means_over_sets_are_a_column_that_sorts_and_goes_where_sets_are_left_out(visit, board):
    visit.open(board)
    assert visit.texts("#board thead button")[-1] == "mean of 2 sets"
    assert visit.texts("#board td.mean b") == ["71.9", "81.2", "68.8"]  # of the control none: it lacks a set
    assert visit.texts("#board td.mean sup") == ["†", "†", "§"]
    visit.click("#board thead button", 3)
    assert visit.texts("#board tbody th") == ["scans", "parts", "nothing", "control: file size", "chance"]
    assert visit("document.activeElement.closest('th').ariaSort") == "descending"
    visit.choose("#view [name=domain]", "medical")
    assert visit("document.querySelectorAll('#board td.mean').length") == 0


def test_each_filter_leaves_what_it_names_in_matrix_and_rows(visit, board):
    visit.open(board)
    assert visit.texts(CELLS) == ["93.8", "50.0", "75.0", "87.5", "62.5", "75.0", "50.0"]
    assert visit.texts("#rows output") == ["13 of 26 rows"]
    wanted = {
        ("domain", "medical"): (["50.0", "87.5", "75.0"], "6"),
        ("recipe", "mvfa"): (["75.0", "87.5"], "4"),
        ("recipe", "-"): (["93.8", "50.0", "62.5", "75.0", "50.0"], "9"),
        ("own", "without"): (["50.0", "75.0", "62.5", "75.0", "50.0"], "9"),
        ("own", "only"): (["93.8", "87.5"], "4"),
    }
    for (name, value), (cells, count) in wanted.items():
        visit.choose(f"#view [name={name}]", value)
        assert (visit.texts(CELLS), visit.texts("#rows output")) == (cells, [f"{count} of 26 rows"]), value
        assert f"{name}={value}" in visit("location.hash")
        visit.click("#reset")
    visit.click("#view [value=element]")
    assert visit.texts("#board h3") == ["Element AUPRO (pixel)"]
    assert visit.texts(CELLS) == ["46.9", "25.0", "37.5", "43.8", "31.2", "37.5"]
    assert visit("document.querySelector('#view [name=metric][value=auroc]').disabled")


def test_a_cell_opens_with_the_keyboard_and_tells_everything(visit, board):
    visit.open(board)
    visit("document.querySelector('#board td button').focus()")
    for key in (RIGHT, DOWN, LEFT):
        visit.press(key)
    assert visit("document.activeElement.querySelector('b')?.textContent == '75.0'")
    visit.press(ENTER)
    visit.until("document.querySelector('#cell').open")
    assert visit.texts("#cell h2") == ["scans → parts"]
    visit.press(("Escape", 27))
    visit.until("!document.querySelector('#cell').open && location.hash == ''")  # told after it closed
    visit.until("document.activeElement.querySelector('b')?.textContent == '75.0'")
    visit.click("#board td button")
    assert visit.texts("#cell .categories tbody th") == ["bolt", "nut"]  # the lowest first
    assert visit.texts("#cell .categories td b") == ["68.8", "100.0"]
    assert visit.texts("#cell .categories tr:first-child td:last-child") == ["68.8file size"]
    remarks = " ".join(visit.texts("#cell .remarks li"))
    assert all(said in remarks for said in ("In-domain", "3 of 20", "nearly the same", "A in B"))
    assert visit.texts("#cell figure strong")[:2] == ["Normal, scored 0.94", "Normal, scored 0.88"]
    assert visit.texts("#cell .command code") == ["anomaly-ov fit 'x y.yaml'"]
    told = dict(zip(visit.texts("#cell dt"), visit.texts("#cell dd"), strict=True))
    assert told["fingerprint of the test set"] == "f" * 64 and told["error of the estimate"] == "exact"
    assert told["metric"] == "ranking/1" and told["packages"] == "torch 2.13" and told["commit"] == "0123456789abcdef"
    assert not visit.texts("#cell pre")[1:]  # settings are drawn when they are opened
    visit("document.querySelector('#cell .origin details').open = true")
    visit.until("document.querySelectorAll('#cell pre').length == 2")
    assert '"seed": 3' in visit.texts("#cell pre")[1]


def test_two_methods_stand_side_by_side_with_what_the_test_says(visit, board):
    visit.open(board)
    assert visit.texts("#versus tbody th") == ["parts", "scans", "mean of 2 sets"]
    assert visit.texts("#versus .said") == ["better", "cannot tell", "cannot tell"]
    assert visit.texts("#versus .g b") == ["+18.8", "−37.5", "−9.4"]
    assert visit.texts("#versus .g small")[:2] == ["+6.3 to +31.3", "−87.5 to +12.5"]
    assert visit.texts("#versus tbody tr:last-child td b")[:2] == ["71.9", "81.2"]
    assert visit.texts("#versus tbody tr:first-child td:last-child small") == ["p < 0.001, 20 samples"]
    assert "better than scans on 1 of 2 test sets, worse on 0" in visit.texts("#versus .means")[0]
    visit.choose("#versus [name=a]", "scans")
    visit.choose("#versus [name=b]", "parts")
    assert visit.texts("#versus .said")[:2] == ["worse", "cannot tell"]
    assert visit.texts("#versus .g b") == ["−18.8", "+37.5", "+9.4"]
    assert "worse on 1, and cannot be told apart on 1" in visit.texts("#versus .means")[0]
    visit.choose("#versus [name=a]", "parts")
    visit.choose("#versus [name=b]", "nothing")
    said = visit.texts("#versus tbody td:last-child")
    assert said == ["not compared: other samples were scored", "not tested", "not tested"]
    assert "No paired test" in visit.texts("#versus .means")[0] and "+31.3" in visit.texts("#versus td")


def test_an_address_brings_back_the_view_and_the_open_cell(visit, board):
    visit.open(board)
    visit.choose("#view [name=domain]", "medical")
    visit.click("#board thead button", 1)
    visit.choose("#rows [name=find]", "scans mvfa")
    visit.click("#board td button")
    address = visit("location.hash")
    visit.open(board, address, PHONE)
    assert visit("document.querySelector('#cell').open") and visit.texts("#cell h2") == ["scans → scans"]
    assert visit.texts("#board tbody th") == ["scans", "nothing", "parts", "chance"]
    assert visit("document.querySelector('#rows [name=find]').value") == "scans mvfa"
    assert visit("location.hash") == address
    visit("history.back()") if visit("history.length") < 2 else visit.click("#cell .close")
    visit.until("!document.querySelector('#cell').open")
    visit.open(board, "#level=nonsense&metric=auroc&sort=gone&line=x&set=y&order=99")
    assert visit.texts("#board h3") == ["Sample AUROC"] and not visit("document.querySelector('#cell').open")


def test_back_closes_the_cell_that_was_opened(visit, board):
    visit.open(board, "", PHONE)
    visit.click("#board td button")
    assert visit("document.querySelector('#cell').open")
    visit("history.back()")
    visit.until("!document.querySelector('#cell').open && location.hash == ''")


def test_pictures_are_put_in_when_they_come_near(visit, board):
    visit.open(board, "", PHONE)
    shown = "[...document.querySelectorAll('#gallery img')].filter(i => i.src).length"
    assert visit("document.querySelectorAll('#gallery img').length") == 6 * 3
    assert visit(shown) == 0
    visit("document.querySelector('#gallery figure').scrollIntoView({behavior: 'instant'})")
    visit.until(f"{shown} >= 3 && document.querySelector('#gallery img').naturalWidth == 4")
    assert visit(shown) < 6 * 3
    visit.click("#gallery .more")
    assert visit("document.querySelectorAll('#gallery figure').length") == 16


def test_rows_are_found_sorted_and_lead_to_their_run(visit, board):
    visit.open(board)
    visit.choose("#rows [name=category]", "*")
    visit.click("#rows thead button", 5)
    assert visit.texts("#rows td.f b")[:3] == ["100.0", "93.8", "93.8"]
    visit.click("#rows thead button", 5)
    assert visit.texts("#rows td.f b")[0] == "25.0"
    visit.choose("#rows [name=find]", "FILE size bolt")
    assert visit.texts("#rows td.c") == ["bolt"] and visit.texts("#rows output") == ["1 of 26 rows"]
    visit.click("#rows .link")
    assert visit.texts("#runs details[open] .command code") == ["anomaly-ov fit 'x y.yaml'"]
    visit("document.querySelector('[data-run=run-scans]').open = true")
    visit.until("!!document.querySelector('[data-run=run-scans] .note')")
    assert "Made by a program" in visit.texts("[data-run=run-scans] .note")[0]


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_hostile_names_stay_text_and_nothing_makes_the_page_scroll_sideways(visit, tmp_path, size):
    names = dict.fromkeys(("run", "trained_on", "tested_on", "model", "recipe", "backbone", "protocol"), HOSTILE)
    found = [row(**names, domain=HOSTILE, category=c) for c in ("all", HOSTILE)]
    found += [row(**names | {"tested_on": f"set {i}", "trained_on": f"source {i}"}) for i in range(14)]
    bad = item(run=HOSTILE, id=HOSTILE, category=HOSTILE, defect=HOSTILE, title=HOSTILE)
    bad |= {"trained_on": HOSTILE, "tested_on": HOSTILE, "domain": HOSTILE}
    records = {HOSTILE: {"command": [HOSTILE], "settings": {HOSTILE: HOSTILE}}}
    path = tmp_path / "page.html"
    path.write_text(page(found, [bad], HOSTILE, [HOSTILE], records), encoding="utf-8")
    visit.open(path, size=size)
    assert visit("document.documentElement.scrollWidth <= innerWidth")
    assert visit("(b => b.scrollWidth > b.clientWidth)(document.querySelector('#board .scroll'))")
    visit("document.querySelector(`#board button[aria-label*='window.evil']`).click()")
    assert visit.texts("#cell h2") == [f"{HOSTILE} → {HOSTILE}"] and visit.texts("#cell .categories th[scope=row]") == [
        HOSTILE
    ]
    assert visit("document.querySelector('.inside').scrollWidth <= document.querySelector('.inside').clientWidth")
    assert visit("window.evil === undefined && !document.querySelector('img[onerror]')")


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_a_cell_is_as_tall_as_its_line_and_holds_all_it_says(visit, tmp_path, size):
    sets = [f"set{n}" for n in range(8)]  # many columns: low cells
    long = "a method whose name takes several lines on a phone and on a desk that is no wider than this"
    rows = [row(trained_on=long, tested_on=name, seed=seed, run=f"r{seed}") for name in sets for seed in range(3)]
    path = tmp_path / "page.html"
    path.write_text(page([*rows, row(tested_on="set0")], [], "Tall", []), encoding="utf-8")
    visit.open(path, size=size)
    assert "3 seeds" in " ".join(visit.texts("#board td button"))
    every = "[...document.querySelectorAll('#board td button')].every"
    assert visit(f"{every}(b => Math.abs(b.offsetHeight - b.closest('td').clientHeight) <= 1)")
    assert visit(f"{every}(b => b.scrollHeight <= b.clientHeight)")


def test_text_on_every_colour_of_both_themes_can_be_read(visit, board):
    visit.open(board)
    pairs = [
        ("h1", "body"),
        (".note", "body"),
        ("nav a", "body"),
        (".said.better", "body"),
        ("#runs summary span", "body"),
    ]
    pairs += [("#board td button b", "#board td button"), ("#view input:checked + span", "#view input:checked + span")]
    pairs += [("#view select", "#view select"), (".legend li", "body"), (".said.cannot-tell", "body")]
    for is_dark in (False, True):
        visit.runner.run(visit.shown.dark(is_dark))
        for text, ground in pairs:
            assert visit(f"({CONTRAST})({json.dumps(text)}, {json.dumps(ground)})") >= 4.5, (text, is_dark)
    visit.runner.run(visit.shown.dark(False))


def test_without_decompression_the_first_matrix_and_a_note_are_shown(visit, board):
    hide = visit.runner.run(
        visit.shown.call("Page.addScriptToEvaluateOnNewDocument", source="delete self.DecompressionStream")
    )
    visit.runner.run(visit.shown.call("Page.navigate", url="about:blank"))
    visit.runner.run(visit.shown.call("Page.navigate", url=board.as_uri()))
    visit.until(
        "document.readyState == 'complete' && document.querySelector('#old') && !document.querySelector('#old').hidden"
    )
    assert visit.texts("#board td b")[:2] == ["93.8", "50.0"] and visit("document.querySelector('#view').hidden")
    visit.runner.run(visit.shown.call("Page.removeScriptToEvaluateOnNewDocument", identifier=hide["identifier"]))
