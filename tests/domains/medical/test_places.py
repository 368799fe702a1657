"""Where slices lie is told on the grid of the file, whatever was cropped, resampled or turned before they were cut."""

from pathlib import Path

import fake_block
import numpy as np
import pytest
from numpy.testing import assert_allclose

from domains.medical import places, space
from domains.medical.back import Look
from domains.medical.geometry import Geometry


def scan(flipped):
    """A scan whose axes run right, front and top, or the other way."""
    affine, shape = fake_block.affine(), np.array(fake_block.SHAPE)
    if flipped:
        affine[:3, 3] += affine[:3, :3] @ (shape - 1)
        affine[:3, :3] *= -1
    return Geometry(Path("a.nii"), fake_block.SHAPE, affine)


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("flipped", [True, False])
def test_a_slice_of_a_box_at_another_spacing_has_the_number_of_the_nearest_of_the_file(flipped, upright):
    found = scan(flipped)
    room = space.cropped(space.whole(found, upright), (4, 10, 2), (34, 40, 10))
    room = space.respaced(room, found.affine, (2.0, 2.0, 3.0))  # twice as many axial slices
    axial, coronal = places.places(found, room, [Look("axial", (4,)), Look("coronal", (5,))], upright)
    backwards = flipped and not upright  # counted along the file's own axes, from the top and the front
    assert (axial.plane, axial.axis, axial.index, axial.depth) == ("axial", 2, 12 - 1 - 4 if backwards else 4, 12)
    assert (coronal.index, coronal.depth) == (50 - 1 - 15 if backwards else 15, 50)
    assert_allclose(axial.position_mm, -30 + 6 * axial.index)
    assert_allclose(coronal.position_mm, -50 + 2 * coronal.index)
    assert_allclose([axial.pixel_mm, coronal.pixel_mm], [(2, 2), (3, 2)])
    assert "".join(axial.sides) == ("RLAP" if upright or flipped else "LRPA")
    assert "".join(coronal.sides) == ("RLSI" if upright or flipped else "LRIS")


def test_captions_follow():
    found = scan(flipped=False)
    (place,) = places.places(found, space.whole(found, True), [Look("sagittal", (3,))], True)
    assert places.titles([place]) == ("sagittal slice 4 of 40 from left, x = -34 mm",)
