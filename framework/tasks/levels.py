"""What evaluation collected of one set -> its levels: samples, single views, groups, elements, a grid."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from framework.data.index import Index
from framework.leaderboard.rows import POOLED
from framework.leaderboard.statistics import auroc, average_precision, f1_max
from framework.metrics.curves import Curves
from framework.tasks.cues import POSITION
from framework.tasks.evaluation import Evaluation
from framework.tasks.pooling import pool

Told = Mapping[str, Mapping[str, np.ndarray]]  # of ``ValueCurves.compute``


@dataclass(frozen=True, slots=True)
class Level:
    """One level of one set: its curves by category and what intervals are resampled from."""

    name: str
    element: str
    curves: Mapping[str, Any]  # ``Curves``, or others with counts and metrics of ``METRICS``
    lines: list[dict[str, Any]]
    note: str = ""  # how its scores were made, part of the metric's definition
    whole: bool = True  # whether its categories are all of the set's: else their mean is not the set's
    flat: bool = False  # whether elements of different samples or slices never touch
    pooled: Curves | None = None  # of all categories in one pot
    cues: Told = field(default_factory=dict)  # by cue and category, counts of the values that elements have of it
    members: Sequence[dict[str, Any]] = ()  # of groups, the lines of their samples
    rule: str = ""  # and how these become one score, see ``pooling.pool``

    @property
    def told(self) -> dict[str, Any]:
        """What the run record keeps, so that rows can be made anew from saved scores; see ``rescore``."""
        return {"name": self.name, "element": self.element, "note": self.note, "whole": self.whole, "flat": self.flat}


@dataclass(frozen=True, slots=True)
class Scanned:
    """What is measured of the voxels of scans beside their curves; fields are those of ``Curves`` and ``SCANNED``."""

    negatives: int
    positives: int
    dice_best: float | None
    dice_fixed: float | None
    sensitivity: float | None
    dice_best_error: float | None


@dataclass(frozen=True, slots=True)
class Reduced:
    """By category, over all ranks: curves of elements and cells, and what is measured of scans.

    ``pooled`` are the curves of elements and cells of all categories in one pot, ``element_cues`` and ``cell_cues``
    what is known of these without a look.
    """

    elements: dict[str, Curves]
    cells: dict[str, Curves]
    scans: dict[str, Scanned]
    pooled: tuple[Curves | None, Curves | None] = (None, None)
    element_cues: Told = field(default_factory=dict)
    cell_cues: Told = field(default_factory=dict)


def reduced(evaluation: Evaluation) -> Reduced:
    """What the ranks have collected together: every rank calls this."""
    with warnings.catch_warnings():  # a set with labels only, or more ranks than samples, updates no metric
        warnings.filterwarnings("ignore", message="The ``compute`` method of metric")
        elements, cells = evaluation.elements.compute(), evaluation.cells.compute()
        pooled = evaluation.elements.pooled(), evaluation.cells.pooled()
        overlaps, detections = evaluation.overlaps.compute(), evaluation.detections.compute()
        told = evaluation.element_cues.compute(), evaluation.cell_cues.compute()
    scans = {
        name: Scanned(
            c.negatives, c.positives, o.dice_best, o.dice_fixed, detections[name].sensitivity, o.dice_best_error
        )
        for (name, c), o in zip(elements.items(), overlaps.values(), strict=True)
        if detections[name].scans
    }
    return Reduced(elements, cells, scans, pooled, *told)


def levels(index: Index, curves: Reduced, lines: list[dict[str, Any]], rule: str) -> list[Level]:
    """Every level that a set has numbers of.

    Where the views of its domain are units of their own (slices), they have a level beside their samples, and so have
    the groups (patients) that hold several samples.

    Args:
        index: the set.
        curves: of ``reduced``.
        lines: of all its samples, with ``seen`` and ``related``.
        rule: how the samples of a group become one score, see ``pooling.pool``.
    """
    word = getattr(index.reader, "view", "")
    single = bool(word) and all(POSITION in (line["cues"] or ()) for line in lines)
    note = f"; each sample is a {word}" if single else ""
    found = [Level("sample", "", curves_of(lines), lines, note, pooled=pooled_of(lines))]
    views = [line | view for line in lines for view in line["views"]]
    if views:
        note = f"; each {word} by the truth in it"
        found.append(Level("view", word, curves_of(views), views, note, pooled=pooled_of(views)))
    known = [line for line in lines if word and not line["alone"]]
    groups = grouped(known, rule)
    if len(groups) < len(known):
        whole = {line["category"] for line in known} == {line["category"] for line in lines}
        note = f"; {rule} of the samples of a {index.unit}"
        pooled = pooled_of(groups) if whole else None
        more: dict[str, Any] = {"pooled": pooled, "members": known, "rule": rule}
        found.append(Level("group", index.unit, curves_of(groups), groups, note, whole, **more))
    located = [line for line in lines if line["hist"] is not None]
    if located:
        flat = bool(word) and not any(line["found"] for line in located)
        more = {"flat": flat, "pooled": curves.pooled[0], "cues": curves.element_cues}
        found.append(Level("element", index.reader.element, curves.elements, located, **more))
    scans = [line for line in located if line["found"] is not None]
    if scans:
        found.append(Level("element", index.reader.element, curves.scans, scans))
    laid = [line | line["grid"] for line in lines if line["grid"] is not None]
    if laid:
        sigma = laid[0]["sigma"]
        smoothed = f", smoothed by a Gaussian of {sigma:g} cells" if sigma else ""
        note = f"; on {laid[0]['name']}{smoothed}"
        more = {"pooled": curves.pooled[1], "cues": curves.cell_cues}
        found.append(Level("grid", laid[0]["name"], curves.cells, laid, note, **more))
    return found


def grouped(lines: Sequence[dict[str, Any]], rule: str) -> list[dict[str, Any]]:
    """One line a group: its logit pooled over its samples, anomalous where one of them is."""
    members: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in lines:
        members.setdefault((line["category"], line["group"]), []).append(line)
    found = []
    for (category, group), own in members.items():
        logit = float(pool(torch.tensor([line["logit"] for line in own], dtype=torch.float64), [len(own)], rule)[0])
        told = {key: any(line.get(key, False) for line in own) for key in ("label", "seen", "related", "near")}
        found.append({"category": category, "group": group, "logit": logit} | told)
    return found


def curves_of(lines: Sequence[dict[str, Any]]) -> dict[str, Curves]:
    """Exact metrics of each category from labels and logits: of samples there are few, so no bins make ties of them."""
    return exact(lines, np.array([line["logit"] for line in lines], np.float64))


def pooled_of(lines: Sequence[dict[str, Any]]) -> Curves:
    """The same of all categories in one pot."""
    return curves_of([line | {"category": POOLED} for line in lines])[POOLED]


def exact(lines: Sequence[dict[str, Any]], scores: np.ndarray) -> dict[str, Curves]:
    """Exact metrics of each category of the lines, from ``(n,)`` scores of them."""
    categories = np.array([line["category"] for line in lines])
    labels = np.array([line["label"] for line in lines], bool)
    found = {}
    for category in sorted(set(categories.tolist())):
        own = categories == category
        truth, values = labels[own], scores[own]
        curves = Curves(int((~truth).sum()), int(truth.sum()), 0)
        if curves.negatives and curves.positives:
            curves.auroc, curves.ap, curves.f1_max = (m(values, truth) for m in (auroc, average_precision, f1_max))
            curves.auroc_error = curves.ap_error = curves.f1_max_error = 0.0
        found[category] = curves
    return found
