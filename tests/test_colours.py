import numpy as np
from numpy.testing import assert_array_equal

from framework.colours import _ANCHORS, heat, on_grey, overlay


def test_anchors_are_met_and_between_them_colours_are_mixed():
    places = np.arange(8) / 7
    assert_array_equal(heat(places), _ANCHORS.astype(np.uint8))
    between = heat((places[:-1] + places[1:]) / 2)
    assert np.abs(between - (_ANCHORS[:-1] + _ANCHORS[1:]) / 2).max() <= 0.5


def test_0_is_black_and_1_is_pale_yellow_and_more_is_brighter():
    assert heat(np.array(0.0)).tolist() == [0, 0, 4] and heat(np.array(1.0)).tolist() == [252, 255, 164]
    luminance = heat(np.linspace(0, 1, 101)).astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luminance) >= -0.5).all() and (np.diff(luminance[::5]) > 0).all()


def test_what_lies_outside_is_clipped_and_nan_is_0():
    found = heat(np.array([[-1.0, np.nan], [2.0, np.inf]], np.float32))
    assert found.dtype == np.uint8 and found.shape == (2, 2, 3)
    assert_array_equal(found, heat(np.array([[0, 0], [1, 1]])))


def test_an_overlay_lays_more_colour_where_it_is_more_suspicious():
    view = np.array([[[30, 60, 90], [30, 60, 90], [200, 200, 200]]], np.uint8)
    values = np.array([[0.0, 1.0, 0.5]], np.float32)
    found = overlay(view, values)
    grey, alpha = np.array([60, 60, 200]), np.array([0.25, 0.8, 0.525])
    wanted = grey[:, None] * (1 - alpha[:, None]) + heat(values)[0] * alpha[:, None]
    assert found.dtype == np.uint8 and np.abs(found[0] - wanted).max() <= 0.51


def test_the_scale_of_an_overlay_is_fixed_so_that_pictures_compare():
    view = np.full((4, 4, 3), 100, np.uint8)
    low, high = overlay(view, np.full((4, 4), 0.1)), overlay(view, np.full((4, 4), 0.9))
    assert np.abs(low.astype(int) - high).min(initial=255, where=[True, True, False]) > 20
    assert_array_equal(overlay(view, np.full((4, 4), 7.0)), overlay(view, np.ones((4, 4))))


def test_the_scale_of_overlays_grows_lighter_and_warmer():
    found = on_grey().astype(int)
    assert found.shape == (256, 3) and np.ptp(found[0]) < 10  # grey
    assert found[-1, 0] > 230 and found[-1, 1] > 230 and found[-1, 2] < 200  # pale yellow
