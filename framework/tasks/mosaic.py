"""A scored scan -> which of its slices to look at, pictures of these, and the sheet that shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from framework.colours import overlay
from framework.sheets import Picture, Sheet, bar
from framework.types import Sample
from framework.viewer.page import View

MOST = 12  # slices of a mosaic
BETWEEN = 4  # points between a slice and the same under its map, whose letters would touch
COLUMNS, FEWEST = 6, 3  # of a row: one slice alone does not fill the sheet
APART = 24  # no two slices are nearer than this part of what was looked at: neighbours show the same
SIDE = 512  # longest side of a slice on the sheet, pixels
PLACES = ("planes", "numbers", "positions_mm", "pixel_mm", "sides")  # of a scene: where each view lies
EDGE, _INK = (64, 224, 255), (255, 255, 255)  # of the truth, which no map is coloured like; of letters on a scan


def chosen(scores: Sequence[float], planes: Sequence[str], positions_mm: np.ndarray, most: int = MOST) -> list[int]:
    """The most suspicious of V slices, spread out, most suspicious first; of equal ones the first.

    Args:
        scores: of each.
        planes: the direction that each is cut in.
        positions_mm: ``(V,)``, where it lies in that direction.
        most: how many.
    """
    found: list[int] = []
    directions = np.array(planes)
    spans = {plane: float(np.ptp(positions_mm[directions == plane])) for plane in set(planes)}
    for i in np.argsort(-np.asarray(scores), kind="stable").tolist():
        near = [j for j in found if planes[j] == planes[i]]
        if all(abs(positions_mm[j] - positions_mm[i]) >= spans[planes[i]] / APART for j in near):
            found.append(i)
        if len(found) == most:
            break
    return found


def pictures(
    sample: Sample, maps: Sequence[Tensor], scene: Mapping[str, np.ndarray], scores: Sequence[float], views: list[int]
) -> list[View]:
    """Some slices of a sample, drawn in their proportions, with the map over them and the truth around what it names.

    Args:
        sample: V slices.
        maps: V of ``(H, W)`` in [0, 1]; only those of ``views`` are asked for.
        scene: of the domain, with ``pixel_mm``.
        scores: of V slices.
        views: which, in order.
    """
    truth = sample.truth if sample.truth is not None else scene.get("truth")
    captions = sample.captions or ("",) * len(sample.views)
    found = []
    for i in views:
        grey = np.ascontiguousarray(sample.views[i].transpose(1, 2, 0))
        laid = overlay(grey, torch.as_tensor(maps[i]).cpu().numpy())
        size = proportioned(grey.shape[0], grey.shape[1], scene["pixel_mm"][i])
        grey, laid = (
            np.asarray(Image.fromarray(p).resize(size[::-1], Image.Resampling.BILINEAR)).copy() for p in (grey, laid)
        )
        if truth is not None and sample.back is not None:
            laid[outline(sample.back.show(truth, i), size)] = EDGE
        found.append(View(grey, laid, captions[i], float(scores[i]), i))
    return found


def proportioned(height: int, width: int, pixel_mm: np.ndarray) -> tuple[int, int]:
    """Height and width in square pixels of a slice whose pixels are ``pixel_mm`` (high, wide), the longer ``SIDE``."""
    high, wide = height * float(pixel_mm[0]), width * float(pixel_mm[1])
    scale = SIDE / max(high, wide)
    return max(1, round(high * scale)), max(1, round(wide * scale))


def outline(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The pixels on the rim of a mask ``(H, W)`` bool drawn at another size: ``size`` bool, two pixels wide."""
    large = np.asarray(Image.fromarray(mask.astype(np.uint8)).resize(size[::-1], Image.Resampling.NEAREST), bool)
    inside = large
    for _ in range(2):
        padded = np.pad(inside, 1)
        inside = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(large & ~inside)


def sheet(views: Sequence[View], rows: int, scene: Mapping[str, np.ndarray], name: str, facts: Sequence[str]) -> Sheet:
    """Each slice above itself under its map, with its caption, letters of its sides and a bar of mm.

    Args:
        views: of ``pictures``.
        rows: pixels that a view of the sample is high.
        scene: of the domain.
        name: headline.
        facts: short lines under it.
    """
    made = Sheet()
    made.write(name, size=30)
    made.write(" · ".join(facts))
    made.scale("0  normal", "1  anomalous")
    placed = []
    for view in views:
        height, width = view.picture.shape[:2]
        length = bar(height / (rows * float(scene["pixel_mm"][view.number][0])), width, "mm")
        words = " · ".join(filter(None, (f"{view.score:.2f}", view.caption)))
        sides = tuple(scene["sides"][view.number].tolist())
        placed.append(Picture((view.picture, view.overlay), words, length, sides, _INK, BETWEEN))
    made.put(placed, min(COLUMNS, max(FEWEST, len(placed))))
    return made


def told(scene: Mapping[str, np.ndarray], scores: Sequence[float], views: Sequence[int]) -> list[dict[str, Any]]:
    """Where some slices lie and what they score, as plain values."""
    return [
        {
            "plane": str(scene["planes"][i]),
            "number": int(scene["numbers"][i]),
            "mm": round(float(scene["positions_mm"][i]), 2),
            "score": round(float(scores[i]), 6),
        }
        for i in views
    ]
