"""Pictures with captions -> a sheet whose PNG and PDF hold the same at the same places."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from framework.errors import UserError
from framework.sheets import GAP, MARGIN, TEXT, WIDTH, Picture, Sheet, fitted, measured, wrapped

RED, BLUE = (np.full((60, 90, 3), colour, np.uint8) for colour in ((200, 0, 0), (0, 0, 200)))


def test_pictures_lie_in_rows_and_columns(tmp_path):
    sheet = Sheet()
    sheet.write("Title", size=30)
    top = sheet.height
    sheet.put([Picture((RED, BLUE), "one"), Picture((BLUE, RED)), Picture((RED,))], 2)
    paths = sheet.save(tmp_path / "a")
    assert paths == {"picture": tmp_path / "a.png", "pdf": tmp_path / "a.pdf"}
    pixels = np.asarray(Image.open(tmp_path / "a.png"))
    width = (WIDTH - 2 * MARGIN - GAP) / 2
    height = width * 60 / 90
    assert pixels.shape[1] == WIDTH

    def at(column, y):
        return tuple(pixels[int(y), int(MARGIN + width / 2 + column * (width + GAP))])

    assert [at(0, top + 9), at(1, top + 9)] == [(200, 0, 0), (0, 0, 200)]
    assert [at(0, top + height + 9), at(1, top + height + 9)] == [(0, 0, 200), (200, 0, 0)]
    assert at(1, pixels.shape[0] - MARGIN - 9) == (255, 255, 255)
    assert at(0, pixels.shape[0] - MARGIN - 9) == (200, 0, 0)
    assert (pixels[MARGIN : MARGIN + 30, MARGIN : MARGIN + 60] < 90).any()  # the title is there


def test_the_pdf_has_the_words_as_words_and_says_where_its_objects_begin(tmp_path):
    sheet = Sheet()
    sheet.write("100 % (of \\ bent) ü – 部")
    sheet.put([Picture((RED,), "x" * 400, (0.25, "5 mm"))], 4)
    content = sheet.save(tmp_path / "a")["pdf"].read_bytes()
    assert b"(100 % \\(of \\\\ bent\\) \xfc \x96 ?) Tj" in content and b"(5 mm) Tj" in content
    assert b"/Width 90 /Height 60" in content
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF\n$", content)[1])
    assert content[start:].startswith(b"xref\n")
    places = [int(line.split()[0]) for line in content[start:].splitlines()[3:] if line.endswith(b" n ")]
    assert len(places) == 6
    for number, place in enumerate(places, 1):
        assert content[place:].startswith(f"{number} 0 obj\n".encode())
    for length, body in re.findall(rb"/Length (\d+) >>\nstream\n(.*?)\nendstream", content, re.S):
        assert int(length) == len(body)


def test_text_is_cut_or_broken_where_it_is_too_wide():
    assert fitted("short", TEXT, 200) == "short"
    cut = fitted("a long line of many words", TEXT, 100)
    assert cut.endswith("…") and measured(cut, TEXT) <= 100
    lines = wrapped("a long line of many words", TEXT, 100)
    assert " ".join(lines) == "a long line of many words" and len(lines) > 1
    assert all(measured(line, TEXT) <= 100 for line in lines) and wrapped("", TEXT, 9) == []


def test_a_bar_is_as_long_as_it_says(tmp_path):
    sheet = Sheet()
    sheet.put([Picture((np.full((90, 90, 3), 255, np.uint8),), "", (0.25, "5 mm"))], 1)
    sheet.scale("0", "1")
    pixels = np.asarray(Image.open(sheet.save(tmp_path / "a")["picture"])).astype(int)
    rows = (pixels.sum(2) < 150).sum(1)
    assert_allclose(rows.max(), 0.25 * (WIDTH - 2 * MARGIN), atol=2)


def test_letters_stand_at_the_sides_of_every_picture():
    sheet = Sheet()
    sheet.put([Picture((RED, BLUE), sides=("R", "L", "A", "P"), ink=(255, 255, 255))], 1)
    found = [(words, x, y) for x, y, _, colour, words in sheet.texts if colour == (255, 255, 255)]
    assert [words for words, *_ in found] == ["R", "L", "A", "P"] * 2
    (_, right, middle), (_, left, _), (_, _, top), (_, _, bottom) = found[:4]
    assert right < WIDTH / 2 < left and top < middle < bottom and found[4][2] > bottom


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(UserError, match="cannot"):
        Sheet().save(tmp_path / "a" / "b")
