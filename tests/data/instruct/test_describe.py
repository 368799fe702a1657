"""Masks to sentences: place, size and number, in words that stay the same."""

import numpy as np
import pytest

from framework.data.instruct.describe import describe, normal


def mask(*boxes, size=(90, 90)):
    """Boxes are (top, left, height, width)."""
    marked = np.zeros(size, bool)
    for y, x, h, w in boxes:
        marked[y : y + h, x : x + w] = True
    return marked


@pytest.mark.parametrize(
    ("top", "left", "place"),
    [
        (0, 0, "in the upper left"),
        (0, 40, "at the top"),
        (0, 80, "in the upper right"),
        (40, 0, "on the left"),
        (40, 40, "in the centre"),
        (40, 80, "on the right"),
        (80, 0, "in the lower left"),
        (80, 40, "at the bottom"),
        (80, 80, "in the lower right"),
    ],
)
def test_the_centroid_tells_the_place(top, left, place):
    text = describe([mask((top, left, 10, 10))], "scratch", "capsule")
    assert text == f"Yes, there is a small scratch on the capsule, {place} of the image."


def test_rows_are_up_and_down_where_the_picture_is_not_square():
    text = describe([mask((2, 100, 2, 2), size=(30, 150))], "hole", "bolt")
    assert text == "Yes, there is a tiny hole on the bolt, in the upper right of the image."
    edge = mask((29, 149, 1, 1), size=(30, 150))
    assert describe([edge], "hole", "bolt").endswith("in the lower right of the image.")


@pytest.mark.parametrize(
    ("area", "size"),
    [
        (49, "tiny"),
        (50, "small"),
        (299, "small"),
        (300, "medium-sized"),
        (1499, "medium-sized"),
        (1500, "large"),
        (10000, "large"),
    ],
)
def test_the_share_of_the_picture_tells_the_size(area, size):
    marked = np.zeros(10000, bool)
    marked[:area] = True
    assert f" a {size} dent on the lid, " in describe([marked.reshape(100, 100)], "dent", "lid")


def test_several_regions_are_counted_and_their_places_listed_from_the_largest():
    marked = mask((0, 0, 5, 5), (0, 20, 3, 3), (80, 80, 10, 10), (40, 0, 4, 4))
    assert describe([marked], "scratch", "capsule") == (
        "Yes, there are 4 scratches on the capsule, in several places of the image: in the lower right, in the upper "
        "left and on the left; the largest is small."
    )
    assert describe([mask((0, 0, 2, 2), (10, 10, 3, 3))], "crack", "tile") == (
        "Yes, there are 2 cracks on the tile, in the upper left of the image; the largest is tiny."
    )


def test_corners_touch_and_specks_do_not_count():
    assert "there is a small dent" in describe([mask((0, 0, 10, 10), (10, 10, 5, 5))], "dent", "lid")
    big = (0, 0, 10, 10)
    assert "there are 2 dents" in describe([mask(big, (50, 50, 1, 1))], "dent", "lid")  # 1 % of it
    assert "there is a small dent" in describe([mask(big, (0, 10, 10, 1), (50, 50, 1, 1))], "dent", "lid")  # less


def test_numbered_regions_stay_one_where_a_view_shows_them_in_parts():
    numbers = mask((0, 0, 9, 9), (0, 20, 9, 9)) * np.int32(4)
    assert "there is a small bulge on the bowl, in the upper left" in describe([numbers], "bulge", "bowl", "point")
    numbers[80:, 80:] = 2
    assert describe([numbers], "bulge", "bowl", "point") == (
        "Yes, there are 2 bulges on the bowl, in several places of the image: in the upper left and in the lower "
        "right; the largest is small."
    )


def test_several_pictures_are_named_by_the_words_of_their_domain():
    nothing, two = mask(), mask((0, 40, 2, 2), (40, 0, 3, 3))
    assert describe([nothing, two, mask((80, 80, 9, 9))], "lesion", "brain", "voxel") == (
        "Yes, there is a lesion in the brain. In slice 2 there are 2 lesions in several places: on the left and at the "
        "top; the largest is tiny. In slice 3 there is a small lesion in the lower right."
    )
    assert describe([nothing, two], "open_seam", "bowl0", "point").startswith(
        "Yes, there is an open seam on the bowl. In view 2 there are 2 open seams in several places: "
    )
    assert " In image 2 there are 2 dents " in describe([nothing, two], "dent", "lid")


@pytest.mark.parametrize("masks", [[], [mask()], [mask(), mask()]])
def test_no_place_or_size_is_invented(masks):
    assert describe(masks, "scratch", "capsule") == "Yes, there is a scratch on the capsule."


@pytest.mark.parametrize("name", ["", "bad", "anomaly", "ng", "Ungood", "defect", "NG"])
def test_names_that_say_nothing_become_general(name):
    assert describe([], name, "capsule") == "Yes, there is a defect on the capsule."
    assert describe([], name, "bowl", "point") == "Yes, there is a defect on the bowl."
    assert describe([], name, "brain", "voxel") == "Yes, there is an abnormality in the brain."
    assert " 2 abnormalities " in describe([mask((0, 0, 1, 1), (9, 9, 1, 1))], name, "brain", "voxel")


@pytest.mark.parametrize(
    ("defect", "one", "two"),
    [
        ("metal_contamination", "a metal contamination", "metal contaminations"),
        ("Bent-Lead", "a bent lead", "bent leads"),
        ("bent", "a bent defect", "bent defects"),
        ("missing", "a missing part", "missing parts"),
        ("misplaced", "a misplaced defect", "misplaced defects"),
        ("broken_large", "a broken large defect", "broken large defects"),
        ("oil", "an oil defect", "oil defects"),
        ("foreign_body", "a foreign body", "foreign bodies"),
        ("glass", "a glass", "glasses"),
        ("open_relay", "an open relay", "open relays"),
    ],
)
def test_names_are_put_into_grammar(defect, one, two):
    assert describe([], defect, "metal_nut") == f"Yes, there is {one} on the metal nut."
    assert f"there are 2 {two} on the " in describe([mask((0, 0, 1, 1), (9, 9, 1, 1))], defect, "nut")


def test_a_normal_sample_and_a_category_that_is_only_a_number():
    assert normal("pipe_fryum") == "No, the pipe fryum looks normal."
    assert normal("macaroni2") == "No, the macaroni looks normal."
    assert normal("02") == "No, the object looks normal."
    assert normal("7", "voxel") == "No, the scan looks normal."


def test_pictures_that_show_a_defect_are_named_by_number_and_caption():
    masks = [mask((40, 40, 20, 20)), mask(), mask((0, 0, 4, 4)), mask((80, 80, 10, 10))]
    captions = ["from above", "from below", "", "from the left, below"]
    text = describe(masks, "dent", "bowl0", "point", captions)
    assert text == (
        "Yes, there is a dent on the bowl. It can be seen in image 1 (from above), image 3 and image 4 (from the left, "
        "below). In image 1 there is a medium-sized dent in the centre. In image 3 there is a tiny dent in the upper "
        "left. In image 4 there is a small dent in the lower right."
    )
    assert "It can be seen in image 3. In image 3" in describe(
        [masks[1], masks[1], masks[2]], "dent", "", "point", captions
    )
    assert describe([masks[1]] * 2, "dent", "bowl0", "point", captions) == "Yes, there is a dent on the bowl."
    assert describe(masks[:1], "dent", "bowl0", "point", captions[:1]) == describe(masks[:1], "dent", "bowl0", "point")
    assert describe(masks, "dent", "bowl0", "point").startswith("Yes, there is a dent on the bowl. In view 1 there is")
