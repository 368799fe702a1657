"""Suspicion in [0, 1] -> colours, and pictures with a map laid over them."""

from __future__ import annotations

import numpy as np

# Eight equidistant anchors of matplotlib's "inferno": perceptually even, readable without colour vision.
_ANCHORS = np.array(
    [
        (0, 0, 4),
        (40, 11, 84),
        (101, 21, 110),
        (159, 42, 99),
        (212, 72, 66),
        (245, 125, 21),
        (250, 193, 39),
        (252, 255, 164),
    ],
    np.float32,
)


def heat(values: np.ndarray) -> np.ndarray:
    """Colour of each value: black at 0, through purple and orange, pale yellow at 1.

    Args:
        values: any shape, float in [0, 1]; what lies outside is clipped, NaN counts as 0.

    Returns:
        uint8, the shape of ``values`` and a last axis of red, green, blue.
    """
    place = np.nan_to_num(np.clip(values, 0, 1)).astype(np.float32) * (len(_ANCHORS) - 1)
    below = np.minimum(place.astype(np.int64), len(_ANCHORS) - 2)
    share = (place - below)[..., None]
    return (_ANCHORS[below] * (1 - share) + _ANCHORS[below + 1] * share + 0.5).astype(np.uint8)


def overlay(view: np.ndarray, values: np.ndarray) -> np.ndarray:
    """A picture with its map over it: the more suspicious, the more of the map's colour.

    Args:
        view: ``(H, W, 3)`` uint8.
        values: ``(H, W)`` float in [0, 1]. The scale is fixed, so that pictures compare.

    Returns:
        ``(H, W, 3)`` uint8.
    """
    alpha = 0.25 + 0.55 * np.clip(values, 0, 1)[..., None]
    grey = view.mean(axis=-1, keepdims=True)
    return (grey * (1 - alpha) + heat(values) * alpha + 0.5).clip(0, 255).astype(np.uint8)


def on_grey() -> np.ndarray:
    """``(256, 3)`` uint8, the colours of scores from 0 to 1 where a map lies over light grey: the scale of overlays."""
    return overlay(np.full((1, 256, 3), 235, np.uint8), np.linspace(0, 1, 256)[None])[0]
