"""Rows and gallery items in; that the page is whole, self-contained, safe, and readable without scripts."""

from __future__ import annotations

import base64
import math
from html.parser import HTMLParser

import pytest
from fake_rows import item, picture, row

from framework.errors import UserError
from framework.leaderboard.render import page as module
from framework.leaderboard.render.page import page

VOID = {"meta", "link", "input", "img", "wbr"}
HOSTILE = "</title><script>alert('x')</script>\"'><img src=http://evil.example>"
PAIR = [
    row(in_domain=True, overlap=3),
    row(run="r2", trained_on="cups", value=0.5625, low=0.4375, high=0.6875),
    row(level="element", element="pixel", metric="aupro", value=0.375, low=0.25, high=0.5, chance=0.15),
]


class Reader(HTMLParser):
    """Checks that every tag is closed in order; keeps tags with attributes, and the text of each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if data.strip():
            self.text.append((self.open[-1] if self.open else "", " ".join(data.split())))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def words(self, tag: str) -> list[str]:
        return [text for name, text in self.text if name == tag]


def test_the_page_shows_title_notes_and_every_cell_of_every_matrix():
    read = Reader(page(PAIR, [], "Title", ["These sets are procedural.", "Second note."]))
    assert read.words("h1") == ["Title"]
    assert read.words("p")[:2] == ["These sets are procedural.", "Second note."]
    assert read.words("h3") == ["Sample AUROC", "Element AUPRO (pixel)"]
    assert {"87.5", "56.2", "37.5"} <= set(read.words("b"))
    assert {"81.2–93.8", "43.8–68.8", "25.0–50.0"} <= set(read.words("small"))
    assert read.words("sup") == ["†", "≈"]
    assert "15.0" in read.words("td")


def test_cells_carry_their_heat_and_the_diagonal_its_outline():
    cells = [a for a in Reader(page(PAIR, [], "t", [])).all("td") if "style" in a]
    assert [a.get("class") for a in cells] == ["own", None, "own"]  # parts, cups; parts
    assert cells[0]["style"] == "background:#5fc860;color:#000000"  # 0.875: three quarters up from 0.5


def test_the_mean_on_and_off_the_diagonal_is_given_only_for_a_full_matrix():
    assert "mean of the outlined" not in page(PAIR[2:], [], "t", [])
    full = [row(), row(trained_on="cups", value=0.5625, low=0.5, high=0.6)]
    means = "<b>87.5</b> mean of the outlined, <b>56.2</b> of those trained elsewhere"
    assert means in page(full, [], "t", [])
    assert means in page([*full, row(trained_on="nothing", value=0.55, low=0.5, high=0.6)], [], "t", [])
    holed = [*full, row(trained_on="cups", tested_on="cups", fingerprint="e" * 64)]
    text = page(holed, [], "t", [])
    assert "mean of the outlined" not in text and "not measured" in text


def test_the_page_loads_nothing():
    read = Reader(page(PAIR, [item()], "t", []))
    for _, attributes in read.tags:
        for name in ("src", "href", "action", "srcset", "poster"):
            address = attributes.get(name)
            assert address is None or address.startswith(("data:", "#")), address
    policy = next(a["content"] for a in read.all("meta") if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:;")
    style = next(text for tag, text in read.text if tag == "style")
    assert "url(" not in style and "@import" not in style


def test_without_scripts_nothing_but_the_controls_is_hidden():
    read = Reader(page(PAIR, [item(id=str(i)) for i in range(20)], "t", []))
    assert {tag for tag, attributes in read.tags if "hidden" in attributes} == {"form", "button"}
    assert len(read.all("figure")) == 20


def test_the_gallery_is_most_wrong_first_in_every_domain():
    wrong = [("medical", 0.25), ("industrial", 0.5), ("medical", 0.75), ("industrial", 0.875), ("industrial", 0.125)]
    items = [item(domain=d, wrongness=w, score=w) for d, w in wrong]
    read = Reader(page(PAIR, items, "t", []))
    assert [a["data-domain"] for a in read.all("article") if "data-domain" in a] == ["industrial", "medical"]
    assert read.words("strong") == [f"Normal, scored {s}" for s in ("0.88", "0.50", "0.12", "0.75", "0.25")]


def test_a_gallery_item_shows_its_pictures_label_score_and_file():
    bad = item(label=True, defect="scratch", score=0.125, truth=picture(7), id="a/b/007.png", view=picture(1))
    read = Reader(page(PAIR, [bad], "t", []))
    sources = [a["src"] for a in read.all("img")]
    assert sources[0] == "data:image/png;base64," + base64.b64encode(picture(1)).decode()
    assert len(sources) == 3 and all(a["alt"] for a in read.all("img"))
    assert read.words("strong") == ["Anomalous (scratch), scored 0.12"]
    assert "007.png" in read.words("span") and "a/b/007.png" in [a.get("title") for a in read.all("span")]


def test_a_gallery_item_is_called_by_its_title_where_it_has_one():
    items = [item(id="a/N3.jpg#275", title="N3.jpg, made 2"), item(id="a/old.png", title=None)]
    read = Reader(page(PAIR, items, "t", []))
    files = [text for text in read.words("span") if text.startswith(("N3", "old"))]
    assert files == ["N3.jpg, made 2", "old.png"]
    assert "Input N3.jpg, made 2" in [a["alt"] for a in read.all("img")]


def test_a_missing_truth_is_said_in_words():
    read = Reader(page(PAIR, [item(), item(label=True, id="b")], "t", []))
    assert sorted(t for t in read.words("em")) == ["no mask", "nothing to outline"]
    assert len(read.all("img")) == 4


def test_hostile_names_stay_text():
    rows = [
        row(run=HOSTILE, trained_on=HOSTILE, tested_on=HOSTILE, category=c, model=HOSTILE) for c in ("all", HOSTILE)
    ]
    bad = item(id=HOSTILE, category=HOSTILE, defect=HOSTILE, trained_on=HOSTILE, tested_on=HOSTILE, domain=HOSTILE)
    read = Reader(page(rows, [bad], HOSTILE, [HOSTILE]))
    assert len(read.all("script")) == 1 and len(read.all("img")) == 2 and len(read.all("title")) == 1
    assert read.words("h1") == [HOSTILE]
    assert all("evil" not in (a.get("src") or "") for a in read.all("img"))


def test_every_row_is_listed_with_its_provenance_and_the_superseded_are_marked():
    rows = [*PAIR, row(run="r9", date="2027-01-01T00:00:00+00:00", dirty=True)]
    text = page(rows, [], "t", [])
    read = Reader(text)
    assert [a.get("class") for a in read.all("tr")][-4:] == ["old", None, None, None]
    assert {"#run-r1", "#run-r2", "#run-r9"} <= {a["href"] for a in read.all("a")}
    assert [a["id"] for a in read.all("details")] == ["run-r9", "run-r1", "run-r2"]  # the newest first
    assert "012345678*" in read.words("code") and "uncommitted changes" in read.words("em")
    assert "3 seen in training" in read.words("small")


def test_of_very_many_rows_the_page_lists_the_means(monkeypatch):
    monkeypatch.setattr(module, "LIMIT", 2)
    read = Reader(page([*PAIR, row(category="bolt")], [], "t", []))
    assert "bolt" not in read.words("td")
    assert any(text.startswith("Rows of single categories (1) are left out") for text in read.words("p"))


def test_rows_that_cannot_be_compared_and_pictures_of_another_kind_are_refused():
    with pytest.raises(UserError, match="saw different files"):
        page([row(), row(run="r2", trained_on="cups", fingerprint="e" * 64)], [], "t", [])
    with pytest.raises(ValueError, match="neither PNG, WebP nor JPEG"):
        page(PAIR, [item(view=b"GIF89a")], "t", [])
    with pytest.raises(ValueError, match="wrongness is nan"):
        page(PAIR, [item(wrongness=math.nan)], "t", [])


def test_answers_have_a_place_in_every_switch_and_table():
    said = row(level="published answer", metric="balanced_accuracy", value=0.75, low=0.5, high=0.8125)
    text = row(level="answer", metric="judge_coverage", value=0.25, low=None, high=None, chance=None, interval="")
    read = Reader(page([*PAIR, said, text], [], "t", []))
    chosen = [(a["name"], a["value"]) for a in read.all("input") if a.get("type") == "radio"]
    assert chosen == [("level", v) for v in ("sample", "element", "answer", "published answer")] + [
        ("metric", v) for v in ("auroc", "aupro", "balanced_accuracy", "judge_coverage")
    ]
    assert read.words("h3")[2:] == ["Answer judge coverage", "Published answer balanced accuracy"]
    assert {"75.0", "25.0"} <= set(read.words("b")) and "published answer" in read.words("td")
    assert {"balanced accuracy", "judge coverage"} <= set(read.words("option"))
