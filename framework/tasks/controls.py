"""Samples that were scored -> the same scored without looking: by chance, by how bright, how large, where each is.

On some sets of slices the distance from the middle one scores like a method (78.7 AUROC on BMAD Brain, 83.8 on RESC):
a number on such a set means little without these beside it.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from framework.leaderboard.rows import CONTROL, NOTHING
from framework.metrics.values import VALUES, better_end
from framework.tasks.cues import BRIGHTNESS, POINTS, POSITION, SIZE
from framework.tasks.element_cues import BRIGHT, CENTRAL
from framework.tasks.levels import Level, curves_of, grouped

WORDS = {  # what is anomalous where high scores are, and where low ones are
    POSITION: ("near the median slice", "far from the median slice"),
    BRIGHTNESS: ("bright", "dark"),
    SIZE: ("large", "small"),
    POINTS: ("of many points", "of few points"),
}
ELEMENT_WORDS = {CENTRAL: ("near the centre", "far from the centre"), BRIGHT: WORDS[BRIGHTNESS]}
RANDOM = "random"
COLUMNS = {
    "model": "",
    "known": "",
    "experiment": "controls",
    "backbone": "none",
    "weights": "none",
    "trained_on": NOTHING,
    "seed": 0,
    "recipe": "",
    "selection": "which end is anomalous, by the labels of the test set",
    "transductive": False,
}
UNTAUGHT = {"seen": False, "related": False, "near": False}  # of a line


def controls(level: Level) -> list[tuple[Level, dict[str, Any]]]:
    """A level for each control, scored by it alone, and the columns in which its rows differ from a method's.

    Random scores follow from the name of a sample, so they are the same on any number of ranks. Of the other controls,
    whether high or low is anomalous is chosen by the labels of each category, so that a control is as strong as it can
    be. A category whose every line has the cue has the control.

    Args:
        level: of samples or of single views, whose lines may hold ``cues``; of elements or cells, with ``cues``
            counted: there are no intervals, as no sample's own counts are kept, and none by chance, as of so many
            elements its values are the chance that every row tells; of groups, whose score by a control is pooled from
            their members' as that of a method is. A random one so tells how many members a group has.
    """
    if level.name in ("element", "grid"):
        return [_of_elements(level, *told) for told in level.cues.items()]
    if level.name == "group" and not level.members:
        return []
    every = level.members or level.lines
    found = [_made(level, RANDOM, _scored(level, every, _random(every)), level.note)]
    for name, (high, low) in WORDS.items():
        lacking = {line["category"] for line in every if name not in (line["cues"] or ())}
        lines = [line for line in every if line["category"] not in lacking]
        if not lines:
            continue
        scores = _nearness(lines) if name == POSITION else np.array([line["cues"][name] for line in lines])
        straight, back = (_scored(level, lines, side) for side in (scores, -scores))
        turned = _better(back, straight)
        chosen = [b if s["category"] in turned else s for s, b in zip(straight, back, strict=True)]
        side = _side(high, low, {line["category"] for line in lines}, turned)
        found.append(_made(level, name, chosen, f"{level.note}; {side}"))
    return found


def _scored(level: Level, lines: Sequence[dict[str, Any]], scores: np.ndarray) -> list[dict[str, Any]]:
    """Lines of the level by ``(n,)`` scores of these; of groups, by those of their members."""
    scored = [line | UNTAUGHT | {"logit": s} for line, s in zip(lines, scores.tolist(), strict=True)]
    return grouped(scored, level.rule) if level.members else scored


def _better(lines: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> set[str]:
    """Categories that the scores of lines tell apart better than those of others, by more than rounding."""
    one, other = curves_of(lines), curves_of(others)
    return {c for c, found in one.items() if (found.auroc or 0.0) - (other[c].auroc or 0.0) > 1e-12}


def _made(level: Level, name: str, lines: list[dict[str, Any]], note: str) -> tuple[Level, dict[str, Any]]:
    """The level as one control has scored these of its lines, and the columns of that control."""
    whole = len(lines) == len(level.lines) and level.whole
    made = Level(level.name, level.element, curves_of(lines), lines, note, whole)
    chosen = {"selection": "nothing, scores are random"} if name == RANDOM else {}
    return made, COLUMNS | {"model": CONTROL + name} | chosen


def _of_elements(level: Level, name: str, hists: Mapping[str, np.ndarray]) -> tuple[Level, dict[str, Any]]:
    """The level as one cue of its elements scores it, and the columns of that control."""
    ends = {category: better_end(hist) for category, hist in hists.items()}
    known = {category for category, (found, _) in ends.items() if found.auroc is not None}
    turned = {category for category, (_, low) in ends.items() if low}
    note = f"{level.note}; in {VALUES} steps, {_side(*ELEMENT_WORDS[name], known, turned)}"
    lines = [line | UNTAUGHT | {"hist": None} for line in level.lines]
    made = replace(level, curves={c: found for c, (found, _) in ends.items()}, lines=lines, note=note, pooled=None)
    return made, COLUMNS | {"model": CONTROL + name}


def _random(lines: Sequence[dict[str, Any]]) -> np.ndarray:
    """``(n,)`` in [0, 1), by the hash of a sample's name and, of views, which of its own it is."""
    counts, found = Counter[str](), np.zeros(len(lines))
    for i, line in enumerate(lines):
        name = line["id"]
        content = hashlib.sha256(f"{name}#{counts[name]}".encode()).digest()
        counts[name] += 1
        found[i] = int.from_bytes(content[:6], "big") / 2**48
    return found


def _side(high: str, low: str, categories: set[str], turned: set[str]) -> str:
    """Which end is anomalous, in words; where categories differ, in which."""
    straight = categories - turned
    if not straight or not turned:
        return f"{high if straight else low} is anomalous, chosen by the labels"
    ends = (f"{word} ({', '.join(sorted(own))})" for word, own in ((high, straight), (low, turned)))
    return f"{' or '.join(ends)} is anomalous, chosen by the labels of each category"


def _nearness(lines: Sequence[dict[str, Any]]) -> np.ndarray:
    """``(n,)``, how near each slice lies to the median slice of its stack, in slices and below 0."""
    stacks: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, line in enumerate(lines):
        stacks[line["category"], line["cues"]["stack"]].append(i)
    places = np.array([line["cues"][POSITION] for line in lines])
    found = np.zeros(len(lines))
    for members in stacks.values():
        found[members] = -np.abs(places[members] - np.median(places[members]))
    return found
