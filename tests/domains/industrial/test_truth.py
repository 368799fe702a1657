"""Masks, several masks and boxes -> the truth of a picture or of a part of it; what does not fit -> one line."""

import fake_industrial as fake
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from domains.industrial import Industrial
from domains.industrial.truth import read_boxes, read_truth
from framework.errors import TruthError, UnreadableError
from framework.types import Record


def where(sample):
    return np.flatnonzero(sample.truth).tolist()


def test_several_masks_are_one_and_any_value_marks(tmp_path):
    picture = fake.picture(tmp_path / "a.png")
    masks = [fake.mask(tmp_path / f"m{i}.png", i, 9, white=white) for i, white in enumerate((1, 254, 255))]
    sample = Industrial().read(Record(picture, True, "x", truth_path=masks[0], more_truth=tuple(masks[1:])))
    assert where(sample) == [0, 1, 2, 9]


def test_boxes_mark_what_is_in_them_between_blanks_or_commas(tmp_path):
    text = tmp_path / "boxes.txt"
    text.write_text("1 0 3 2 1\n\n6,4,8,6,5\n")
    assert list(read_boxes(text)) == [(1, 0, 3, 2, 1), (6, 4, 8, 6, 5)]
    wanted = np.zeros((6, 8), bool)
    wanted[0:2, 1:3] = wanted[4:6, 6:8] = True
    assert_array_equal(read_truth([text], (6, 8), tmp_path), wanted)


@pytest.mark.parametrize("line", ["1 0 3 2", "1 0 3 2 x", "3 0 1 2 1", "1 2 3 2 1", "-1 0 3 2 1", "1.5 0 3 2 1"])
def test_a_line_that_is_no_box_is_named(tmp_path, line):
    (tmp_path / "boxes.txt").write_text(f"1 0 3 2 1\n{line}\n")
    with pytest.raises(
        TruthError, match=r"boxes\.txt, line 2: expected left, top, right, bottom and .* found '" + line
    ):
        list(read_boxes(tmp_path / "boxes.txt"))


def test_a_box_beyond_the_picture_and_a_missing_list_are_named(tmp_path):
    (tmp_path / "boxes.txt").write_text("1 0 9 2 1\n")
    picture = fake.picture(tmp_path / "a.png")
    with pytest.raises(TruthError, match=r"boxes\.txt: box 1 0 9 2 leaves the 8 x 6 pixels of .*a\.png"):
        Industrial().read(Record(picture, True, "x", truth_path=tmp_path / "boxes.txt"))
    with pytest.raises(TruthError, match=r"gone\.txt: boxes cannot be read"):
        Industrial().read(Record(picture, True, "x", truth_path=tmp_path / "gone.txt"))


def test_a_part_of_a_picture_is_that_part_of_its_pixels_and_of_its_mask(tmp_path):
    picture, mask = fake.picture(tmp_path / "a.png"), fake.mask(tmp_path / "m.png", 12, 13, 40)
    part = Record(picture, True, "x", truth_path=mask, frame=1, box=(4, 1, 8, 4))
    sample, grey = Industrial().read(part), np.asarray(Image.open(picture))
    assert_array_equal(sample.views[0, 2], grey[1:4, 4:8])
    assert sample.truth.shape == (12,) and where(sample) == [0, 1]  # pixels 12 and 13 are row 1, columns 4 and 5
    assert part.id == f"{picture}#1" and part.slice is None
    assert Industrial().called(part) == "a.png, part 2" and Industrial().called(Record(picture, True, "x")) == "a.png"
    assert not Industrial().read(Record(picture, False, "x", truth_path=picture, box=(4, 1, 8, 4))).truth.any()
    saved = Industrial().save(sample, np.zeros(12, np.float32), tmp_path / "out")
    assert Image.open(saved["map"]).size == (4, 3)


@pytest.mark.parametrize("box", [(4, 1, 9, 4), (0, 0, 8, 7), (4, 1, 4, 4), (-1, 0, 8, 6)])
def test_a_part_that_is_not_in_the_picture_is_named(tmp_path, box):
    picture = fake.picture(tmp_path / "a.png")
    with pytest.raises(UnreadableError, match=r"a\.png#0: the part .* is not in a picture of 8 x 6"):
        Industrial().read(Record(picture, False, "x", frame=0, box=box))
