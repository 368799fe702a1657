"""A scored sample -> a page to look around in, and a sheet of views and maps for papers, as PNG and PDF."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framework.colours import overlay
from framework.files import write_whole
from framework.lift import seen_by
from framework.sheets import Picture, Sheet, bar
from framework.tasks import mosaic
from framework.types import Domain, Sample
from framework.viewer.layers import Layer, by_heat, by_score, by_truth, by_views
from framework.viewer.page import SCAN, SHAPE, View, build

COLUMNS = 7  # of the views on a sheet
TOLD = ("elements", "notes", "truth", "unit_px", *mosaic.PLACES)  # what of a scene is not for the script


def show(
    reader: Domain, sample: Sample, scores: np.ndarray, maps: Sequence[Tensor], stem: Path, told: dict[str, Any]
) -> dict[str, Any]:
    """Write ``stem_viewer.html``, ``stem_views.png`` and ``stem_views.pdf`` of a sample whose domain has a ``scene``.

    Args:
        reader: of the domain.
        sample: of ``reader.read``.
        scores: ``(E,)`` in [0, 1].
        maps: V of ``(H, W)`` in [0, 1], of the views; of a scan only those of a few slices are asked for.
        stem: of the files.
        told: ``file``, perhaps the ``folder`` that it is called by, ``score`` and ``view_scores`` of the sample.

    Returns:
        Their paths as ``viewer``, ``picture`` and ``pdf``; nothing where there is no scene. Of a scan also ``slices``,
        what the most suspicious ones are called.

    Raises:
        UserError: a file cannot be written.
    """
    scene = reader.scene(sample) if hasattr(reader, "scene") else {}
    if not scene:
        return {}
    name, view_scores = Path(told.get("folder", told["file"])).name, told["view_scores"]
    sliced, more = is_scan(scene), {}
    facts = [f"score {told['score']:.3f}", f"{sample.elements:,} {reader.element}s"]
    facts += [f"{len(sample.views)} {'slice' if sliced else 'view'}{'s' if len(sample.views) > 1 else ''}"]
    facts += [f"{count:,} {name}" for name, count in sample.counts.items()]
    if sliced:
        chosen = mosaic.chosen(view_scores, scene["planes"].tolist(), scene["positions_mm"])
        views = mosaic.pictures(sample, maps, scene, view_scores, chosen)
        drawn = mosaic.sheet(views, sample.views.shape[2], scene, name, facts)
        more = {"slices": mosaic.told(scene, view_scores, chosen)}
    else:
        views = _views(sample, maps, view_scores)
        drawn = sheet(sample, scores, views, scene, name, facts)
    page = viewer(reader, sample, scene, scores, name, facts, views, int(np.argmax(view_scores)))
    path = write_whole(stem.with_name(f"{stem.name}_viewer.html"), page)
    views_stem = stem.with_name(f"{stem.name}_views")  # a picture of the plain name may lie beside the file
    return more | {"viewer": path, **drawn.save(views_stem)}


def viewer(
    reader: Domain,
    sample: Sample,
    scene: dict[str, np.ndarray],
    scores: np.ndarray,
    name: str,
    facts: Sequence[str] = (),
    views: Sequence[View] = (),
    start: int = 0,
    nonce: str = "",
) -> bytes:
    """The page of a sample; see ``framework.viewer.page.build``.

    Args:
        reader: of the domain.
        sample: needs its place or owner, and truth where known.
        scene: of ``reader.scene``.
        scores: ``(E,)`` in [0, 1].
        name: headline.
        facts: short lines under it.
        views: pictures beside; none where another page shows them.
        start: number of the view that it is first seen from.
        nonce: of the policy that the page is served under.
    """
    elements = scene["elements"]
    truth = sample.truth if sample.truth is not None else scene.get("truth")
    arrays = {key: values for key, values in scene.items() if key not in TOLD}
    layers: list[Layer]
    if is_scan(scene):  # its stage draws the truth as an outline, beside the map
        layers = [by_heat(scores[elements])]
        arrays |= {} if truth is None else {"truth": truth[elements].astype(np.uint8)}
    else:
        layers = [by_score(scores[elements]), by_views(seen_by(sample)[elements], len(sample.views))]
        if truth is not None or views:  # of a stranger's upload nobody knows any
            layers.insert(1, by_truth(None if truth is None else truth[elements]))
    notes, kind = [str(note) for note in scene.get("notes", ())], SCAN if is_scan(scene) else SHAPE
    return build(name, facts, notes, layers, views, arrays, reader.script, start, nonce, kind)  # type: ignore[attr-defined]


def is_scan(scene: dict[str, np.ndarray]) -> bool:
    """Whether views are slices, which lie somewhere."""
    return "positions_mm" in scene


def sheet(
    sample: Sample,
    scores: np.ndarray,
    views: Sequence[View],
    scene: dict[str, np.ndarray],
    name: str,
    facts: Sequence[str],
) -> Sheet:
    """The coloured shape from two sides, then every view with its map below it."""
    made = Sheet()
    made.write(name, size=30)
    made.write(" · ".join(facts))
    made.scale("0  normal", "1  anomalous")
    length = None
    if "unit_px" in scene:
        length = bar(float(scene["unit_px"][0]), sample.views.shape[-1], "units of the file")
    sides = two_sides(sample, np.array([v.score for v in views])) if sample.owner is not None else []
    words = [f"view {i + 1}{', ' if views[i].caption else ''}{views[i].caption}: scores of the elements" for i in sides]
    made.put([Picture((coloured(sample, scores, i),), w, length) for i, w in zip(sides, words, strict=True)], 2)
    told = [" · ".join(filter(None, (str(i), f"{v.score:.2f}", v.caption))) for i, v in enumerate(views, 1)]
    made.put([Picture((v.picture, v.overlay), w) for v, w in zip(views, told, strict=True)], min(COLUMNS, len(views)))
    return made


def two_sides(sample: Sample, view_scores: np.ndarray) -> list[int]:
    """The most suspicious view, and the one that shares fewest elements with it; one alone has no other."""
    first = int(view_scores.argmax())
    if len(view_scores) == 1:
        return [0]
    assert sample.owner is not None
    seen = np.zeros(sample.elements, bool)
    seen[sample.owner[first][sample.owner[first] >= 0]] = True
    shared = [float(seen[owner[owner >= 0]].mean()) if (owner >= 0).any() else 1.0 for owner in sample.owner]
    shared[first] = math.inf
    return [first, int(np.argmin(shared))]


def coloured(sample: Sample, scores: np.ndarray, view: int) -> np.ndarray:
    """``(H, W, 3)`` uint8, a view whose every pixel has the colour of the element that it shows, on white."""
    assert sample.owner is not None
    owner = sample.owner[view]
    found = overlay(sample.views[view].transpose(1, 2, 0), np.where(owner >= 0, scores[owner], 0))
    return np.where(owner[..., None] >= 0, found, 255).astype(np.uint8)


def _views(sample: Sample, maps: Sequence[Tensor], scores: Sequence[float]) -> list[View]:
    """Every view, and itself under its map."""
    pictures = [np.ascontiguousarray(v.transpose(1, 2, 0)) for v in sample.views]
    laid = [
        overlay(picture, torch.as_tensor(values).cpu().numpy()) for picture, values in zip(pictures, maps, strict=True)
    ]
    return list(map(View, pictures, laid, sample.captions or ("",) * len(pictures), scores))
