import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from domains.medical import slicing
from framework.errors import UserError


@pytest.mark.parametrize("axis", slicing.AXES)
def test_stacking_undoes_cutting(axis):
    volume = np.arange(60).reshape(3, 4, 5)
    assert_array_equal(slicing.stack(slicing.cut(volume, axis), axis), volume)


def test_views_are_upright_with_the_patients_right_on_the_left():
    volume = np.zeros((3, 4, 5), np.uint8)
    volume[2, :, :], volume[:, 3, :], volume[:, :, 4] = 1, 2, 3  # right, front and top faces; later ones win
    axial = slicing.cut(volume, "axial")[0]  # the lowest slice
    assert_array_equal(axial, [[2, 2, 2], [1, 0, 0], [1, 0, 0], [1, 0, 0]])
    coronal = slicing.cut(volume, "coronal")[0]  # the rearmost slice
    assert_array_equal(coronal, [[3, 3, 3], [1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]])
    sagittal = slicing.cut(volume, "sagittal")[0]  # the leftmost slice
    assert_array_equal(sagittal, [[3, 3, 3, 3], *[[2, 0, 0, 0]] * 4])


def test_a_wrong_axis_names_the_nearest():
    with pytest.raises(UserError, match="Did you mean 'axial'"):
        slicing.axis_number("axal")


def test_a_window_maps_its_ends_to_black_and_white():
    voxels = np.array([-200.0, -160.0, 40.0, 240.0, 900.0], np.float32)
    assert_array_equal(slicing.to_grey(voxels, (-160, 240), (0.5, 99.5), True), [0, 0, 128, 255, 255])


def test_foreground_percentiles_leave_the_background_out():
    voxels = np.concatenate([np.zeros(9000), np.linspace(100, 200, 1001)]).astype(np.float32)
    grey = slicing.to_grey(voxels, None, (10, 90), True)  # of the foreground: 110 and 190
    assert_allclose(grey[9000:][[0, 100, 500, 900, 1000]], [0, 0, 128, 255, 255], atol=1)
    everything = slicing.to_grey(voxels, None, (10, 90), False)  # of all: 0 and about 100
    assert (everything[9000:] > 250).all()


def test_one_outlier_does_not_darken_a_scan():
    voxels = np.random.default_rng(0).uniform(100, 200, 10_000).astype(np.float32)
    voxels[0] = 1e6
    assert 120 < slicing.to_grey(voxels, None, (0.5, 99.5), True)[1:].mean() < 135


def test_a_constant_volume_becomes_black():
    assert not slicing.to_grey(np.full((3, 4, 5), 7, np.float32), None, (0.5, 99.5), True).any()


def test_slices_that_show_nothing_are_found():
    planes = np.full((5, 20, 20), 5, np.uint8)  # air with noise
    planes[1, 3, 4], planes[3, 3, 4:10] = 200, 90
    assert_array_equal(slicing.shown(planes), [1, 3])
    assert_array_equal(slicing.shown(planes[:1]), [0])  # where all are empty, all count


def test_chosen_slices_are_evenly_spaced_from_first_to_last():
    indices = np.arange(10, 31)
    assert_array_equal(slicing.choose(indices, 5), [10, 15, 20, 25, 30])
    assert_array_equal(slicing.choose(indices, 1), [20])
    assert_array_equal(slicing.choose(indices, 0), indices)
    assert_array_equal(slicing.choose(indices, 99), indices)


def test_tips_of_a_body_are_not_shown():
    shares = np.array([0.0, 0.004, 0.021, 0.3, 0.4, 0.1, 0.019])
    assert_array_equal(slicing.showing(shares), [2, 3, 4, 5])
    assert_array_equal(slicing.showing(np.zeros(3)), [0, 1, 2])
