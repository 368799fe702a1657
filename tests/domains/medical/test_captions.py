"""Captions name plane, number and place, in words, and tell slices apart."""

from domains.medical.captions import captions


def test_a_caption_says_which_slice_and_where():
    found = captions(["axial", "coronal", "sagittal"], [78, 1, 90], [155, 218, 182], [12.0, -30.04, 0.96])
    assert found == (
        "axial slice 78 of 155 from below, z = 12 mm",
        "coronal slice 1 of 218 from back, y = -30 mm",
        "sagittal slice 90 of 182 from left, x = 1 mm",
    )


def test_no_two_are_the_same_where_slices_are_thin_and_none_is_at_minus_zero():
    found = captions(["axial"] * 3, [1, 2, 3], [3] * 3, [-0.02, 0.0, 0.02])
    assert len(set(found)) == 3 and all(caption.endswith("z = 0 mm") for caption in found)
