"""Numbers per element -> codes and colours whose legend says what they are."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from framework.colours import heat, overlay
from framework.viewer.layers import FULL, by_heat, by_score, by_truth, by_views


def colours_of(layer):
    """What the page makes of codes."""
    place = np.rint(layer.codes.astype(float) * (len(layer.colours) - 1) / layer.top).astype(int)
    return layer.colours[place]


def test_scores_have_the_colours_of_the_maps_over_the_views():
    scores = np.array([0, 0.25, 1, np.nan, 1.5], np.float32)
    layer = by_score(scores)
    assert_array_equal(layer.codes, [0, round(FULL / 4), FULL, 0, FULL])
    grey = np.full((1, 3, 3), 235, np.uint8)
    wanted = overlay(grey, np.rint(scores[None, :3] * 255) / 255)[0]
    assert_array_equal(colours_of(layer)[:3], wanted)
    assert layer.scale and not layer.why


def test_a_map_to_be_laid_over_has_the_palette_itself():
    layer = by_heat(np.array([0, 0.5, 1, np.nan], np.float32))
    assert_array_equal(layer.codes, [0, 128, 255, 0])
    assert_array_equal(colours_of(layer)[[0, 2]], heat(np.array([0.0, 1.0])))


def test_truth_is_counted_or_said_to_be_unknown():
    layer = by_truth(np.array([False, True, True]))
    found = colours_of(layer)
    assert (found[1] == found[2]).all() and (found[0] != found[1]).any()
    assert [word for word, _ in layer.marks] == ["normal", "anomalous (2)"]
    assert [colour for _, colour in layer.marks] == [tuple(found[0]), tuple(found[1])]
    assert by_truth(None).why == "no labels are known for this file" and not by_truth(None).codes.size


@pytest.mark.parametrize("views", [1, 2, 14, 300])
def test_an_element_that_no_view_shows_stands_out(views):
    layer = by_views(np.array([0, 1, views]), views)
    found = colours_of(layer).astype(int)
    assert layer.marks == (("unseen (1)", tuple(found[0])),)
    assert all(np.abs(found[0] - colour).max() > 100 for colour in layer.colours[1:].astype(int))
    assert len(np.unique(layer.colours, axis=0)) > min(views, 100)  # every count has a colour of its own
    assert layer.ticks[-1] == ("1 view" if views == 1 else f"{views} views")
