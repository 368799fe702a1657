"""Rows and gallery items in; that the page is whole, self-contained, safe, and shows a matrix without scripts."""

from __future__ import annotations

import base64
import math

import pytest
from fake_page import Reader, contents
from fake_rows import item, picture, row

from framework.leaderboard.render import page as module
from framework.leaderboard.render.page import page

HOSTILE = "</title><script>alert('x')</script>\"'><img src=http://evil.example>"
PAIR = [
    row(in_domain=True, overlap=3),
    row(run="r2", trained_on="cups", value=0.5625, low=0.4375, high=0.6875),
    row(level="element", element="pixel", metric="aupro", value=0.375, low=0.25, high=0.5, chance=0.15),
]


def shot(**fields):
    """A gallery item of a run."""
    return item(run="r1", **fields)


def test_without_scripts_the_page_shows_title_notes_and_the_first_matrix():
    read = Reader(page(PAIR, [], "Title", ["These sets are procedural.", "Second note."]))
    assert read.words("h1") == ["Title"]
    assert {"These sets are procedural.", "Second note."} <= set(read.words("p"))
    assert read.words("h3") == ["Sample AUROC"]
    assert {"87.5", "56.2"} <= set(read.words("b"))
    assert {"81.2–93.8", "43.8–68.8"} <= set(read.words("small"))
    assert read.words("sup") == ["†", "≈"]
    assert "50.0" in read.words("td")
    assert any(text.startswith("Without scripts") for text in read.words("p"))


def test_cells_carry_their_heat_and_the_diagonal_its_outline():
    cells = [a for a in Reader(page(PAIR, [], "t", [])).all("td") if "style" in a]
    assert [a.get("class") for a in cells] == ["own", None]  # parts, cups
    assert cells[0]["style"] == "background:#5fc860;color:#000000"  # 0.875: three quarters up from 0.5


def test_the_mean_on_and_off_the_diagonal_is_given_only_for_a_full_matrix():
    assert "mean of the outlined, <b>" not in page(PAIR[2:], [], "t", [])
    full = [row(), row(trained_on="cups", value=0.5625, low=0.5, high=0.6)]
    means = "<b>87.5</b> mean of the outlined, <b>56.2</b> of those trained elsewhere"
    assert means in page(full, [], "t", [])
    assert means in page([*full, row(trained_on="nothing", value=0.55, low=0.5, high=0.6)], [], "t", [])
    text = page([*full, row(trained_on="cups", tested_on="cups", fingerprint="e" * 64)], [], "t", [])
    assert "mean of the outlined, <b>" not in text and 'title="not measured"' in text
    assert contents(text)[0]["matrices"][0]["means"] is None


def test_the_page_loads_nothing():
    read = Reader(page(PAIR, [shot()], "t", []))
    for _, attributes in read.tags:
        for name in ("src", "href", "action", "srcset", "poster"):
            address = attributes.get(name)
            assert address is None or address.startswith(("data:", "#")), address
    policy = next(a["content"] for a in read.all("meta") if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:;")
    style = next(text for tag, text in read.text if tag == "style")
    assert "url(" not in style and "@import" not in style


def test_every_file_beside_the_template_is_in_the_page_once():
    text = page(PAIR, [], "t", [])
    folder = module._FOLDER
    files = [*folder.glob("*.css"), *folder.glob("script/*.js")]
    assert len(files) == len(module._STYLES) + len(module._SCRIPTS)
    for file in files:
        kept = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
        assert text.count("\n".join(line for line in kept if line and not line.startswith("//"))) == 1, file


def test_the_gallery_is_most_wrong_first_in_every_domain():
    wrong = [("medical", 0.25), ("industrial", 0.5), ("medical", 0.75), ("industrial", 0.875), ("industrial", 0.125)]
    items = [shot(domain=d, wrongness=w, score=w) for d, w in wrong]
    told = contents(page(PAIR, items, "t", []))[0]["gallery"]
    assert [(i["domain"], i["score"]) for i in told] == [
        *(("industrial", w) for w in (0.875, 0.5, 0.125)),
        *(("medical", w) for w in (0.75, 0.25)),
    ]


def test_each_picture_is_in_the_page_once_and_named_by_its_number():
    items = [shot(id="a", wrongness=0.5, view=picture(1), truth=picture(7)), shot(id="b", view=picture(1))]
    text = page(PAIR, items, "t", [])
    stored = [t for tag, t in Reader(text).text if tag == "script" and t.startswith("data:image")]
    told = {i["id"]: [i[name] for name in ("view", "overlay", "truth")] for i in contents(text)[0]["gallery"]}
    assert told == {"b": [0, 1, None], "a": [0, 1, 2]}
    assert stored == ["data:image/png;base64," + base64.b64encode(picture(n)).decode() for n in (1, 150, 7)]


def test_hostile_names_stay_text():
    names = {"run": HOSTILE, "trained_on": HOSTILE, "tested_on": HOSTILE, "model": HOSTILE, "recipe": HOSTILE}
    rows = [row(**names, domain=HOSTILE, category=c) for c in ("all", HOSTILE)]
    bad = shot(id=HOSTILE, category=HOSTILE, defect=HOSTILE, trained_on=HOSTILE, tested_on=HOSTILE, domain=HOSTILE)
    read = Reader(page(rows, [bad], HOSTILE, [HOSTILE], {HOSTILE: {"command": [HOSTILE], "settings": {HOSTILE: 1}}}))
    assert len(read.all("script")) == 1 + 2 + 1 and not read.all("img") and len(read.all("title")) == 1  # two pictures
    assert read.words("h1") == [HOSTILE]


def test_protocols_are_to_be_chosen_only_where_there_are_some():
    assert "Protocol" not in page(PAIR, [], "t", [])
    text = page([*PAIR, row(run="r5", trained_on="x", recipe="mvfa")], [], "t", [])
    assert "mvfa" in Reader(text).words("option")


def test_rows_that_cannot_be_compared_have_columns_of_their_own():
    text = page([row(), row(run="r2", trained_on="cups", fingerprint="e" * 64)], [], "t", [])
    assert "parts (data eeeeee)" in text and "parts (data ffffff)" in text
    assert any("never ranked together" in line for line in Reader(text).words("li"))


def test_without_scripts_too_a_line_that_has_every_set_has_its_mean():
    rows = [row(tested_on=name, value=value) for name, value in (("a", 0.8125), ("b", 0.9375))]
    read = Reader(page([*rows, row(tested_on="a", trained_on="x")], [], "t", []))
    assert "mean of 2 sets" in read.words("th") and read.words("td").count("–") == 3  # b and mean of x; mean of chance
    assert len([a for a in read.all("td") if a.get("class") == "mean"]) == 1


def test_pictures_of_another_kind_are_refused():
    with pytest.raises(ValueError, match="neither PNG, WebP nor JPEG"):
        page(PAIR, [shot(view=b"GIF89a")], "t", [])
    with pytest.raises(ValueError, match="wrongness is nan"):
        page(PAIR, [shot(wrongness=math.nan)], "t", [])


def test_answers_have_a_place_in_every_switch_and_table():
    said = row(level="published answer", metric="balanced_accuracy", value=0.75, low=0.5, high=0.8125)
    text = row(level="answer", metric="judge_coverage", value=0.25, low=None, high=None, chance=None, interval="")
    made = page([*PAIR, said, text], [], "t", [])
    chosen = [(a["name"], a["value"]) for a in Reader(made).all("input") if a.get("type") == "radio"]
    assert chosen == [("level", v) for v in ("sample", "element", "answer", "published answer")] + [
        ("metric", v) for v in ("auroc", "aupro", "balanced_accuracy", "judge_coverage")
    ]
    told = [m["title"] for m in contents(made)[0]["matrices"]]
    assert told[2:] == ["Answer judge coverage", "Published answer balanced accuracy"]
    assert {"balanced accuracy", "judge coverage"} <= set(Reader(made).words("option"))


def test_rows_of_single_categories_alone_make_a_page_without_a_matrix():
    read = Reader(page([row(category="bolt")], [], "t", []))
    assert read.words("h1") == ["t"] and not read.all("td")
