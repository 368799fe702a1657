"""Numbers per element -> ways to colour a sample: codes, a colour for each code, and the words of its legend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from framework.colours import heat, on_grey

FULL = 65535  # the code of a score of 1
_NORMAL, _ANOMALOUS = (168, 172, 176), (222, 60, 30)
_UNSEEN, _FEW, _MANY = (255, 0, 190), (238, 226, 184), (24, 112, 134)  # no score has the colour of what no view saw


@dataclass(frozen=True, slots=True)
class Layer:
    """A way to colour the elements that a viewer shows.

    Attributes:
        name: what the choice is called.
        codes: ``(N,)`` uint8 or uint16; empty where the choice cannot be made.
        colours: ``(K, 3)`` uint8; code c has colour ``c * (K - 1) / top``.
        top: the code of the last colour.
        ticks: words under the legend, from the first colour to the last.
        marks: (word, colour) of single codes that the legend shows apart.
        why: one line why the choice cannot be made; "" where it can.
        scale: whether the legend is a scale from 0 to 1, which may be narrowed to what occurs.
    """

    name: str
    codes: np.ndarray
    colours: np.ndarray
    top: int
    ticks: tuple[str, ...] = ()
    marks: tuple[tuple[str, tuple[int, int, int]], ...] = ()
    why: str = ""
    scale: bool = False


def by_score(scores: np.ndarray) -> Layer:
    """Scores ``(N,)`` in [0, 1] in the colours of the maps that lie over the views, on a grey body."""
    codes = np.rint(np.nan_to_num(scores).clip(0, 1) * FULL).astype(np.uint16)
    return Layer("score", codes, on_grey(), FULL, scale=True)


def by_heat(scores: np.ndarray) -> Layer:
    """Scores ``(N,)`` in [0, 1] in the colours of the maps, to be laid over what the stage draws."""
    codes = np.rint(np.nan_to_num(scores).clip(0, 1) * 255).astype(np.uint8)
    return Layer("score", codes, heat(np.linspace(0, 1, 256)), 255, scale=True)


def by_truth(truth: np.ndarray | None) -> Layer:
    """Truth ``(N,)`` bool; None where nobody knows."""
    colours = np.array([_NORMAL, _ANOMALOUS], np.uint8)
    if truth is None:
        why = "no labels are known for this file"
        return Layer("truth", np.empty(0, np.uint8), colours, 1, why=why)
    marks = (("normal", _NORMAL), (f"anomalous ({int(truth.sum()):,})", _ANOMALOUS))
    return Layer("truth", truth.astype(np.uint8), colours, 1, marks=marks)


def by_views(seen: np.ndarray, views: int) -> Layer:
    """How many of V views show each element, ``(N,)`` integers; what none shows stands out."""
    share = np.linspace(0, 1, views)[:, None] if views > 1 else np.ones((1, 1))
    shades = np.array(_FEW) * (1 - share) + np.array(_MANY) * share
    colours = np.concatenate([[_UNSEEN], shades.round()]).astype(np.uint8)
    marks = ((f"unseen ({int((seen == 0).sum()):,})", _UNSEEN),)
    ticks = ("1 view", f"{views} views") if views > 1 else ("1 view",)
    return Layer("views", seen.clip(0, views).astype(np.uint16), colours, views, ticks, marks)
