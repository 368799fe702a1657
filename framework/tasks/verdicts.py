"""Lines of a set (label, logit, answer) -> rows: the expert's own metrics, yes/no by two rules, and free text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from framework.leaderboard.answers import METRICS as JUDGED
from framework.leaderboard.answers import answer_interval
from framework.leaderboard.rows import ALL, POOLED, Row
from framework.leaderboard.statistics import Interval
from framework.metrics.ranking import AnomalyCurves
from framework.metrics.text import mmad
from framework.metrics.text.answers import anchored, choice, legacy_choice, substring
from framework.metrics.text.detection import Detection, detection
from framework.tasks.level_rows import level_rows
from framework.tasks.levels import Level

STRICT, PUBLISHED = "answer", "published answer"
RULES: dict[str, Callable[[str], bool | None]] = {STRICT: anchored, PUBLISHED: substring}
PROTOCOLS = {STRICT: "first word, strict/1; no answer counts as wrong", PUBLISHED: "substring yes, as published/1"}
WIDE = (ALL, POOLED)  # categories that hold every sample
COINS = {"accuracy": 0.5, "balanced_accuracy": 0.5}  # what a coin reaches


@dataclass(frozen=True, slots=True)
class Line:
    """One sample of a set under test.

    Attributes:
        category: of it.
        group: what intervals resample.
        label: whether it is anomalous.
        seen: whether the model was trained on it; related: on a sample of its group; near: on its
            picture, stored again.
        logit: of the expert.
        answers: of the language model, one a question.
    """

    category: str
    group: str
    label: bool
    seen: bool
    logit: float
    answers: tuple[str, ...]
    related: bool = False
    near: bool = False


def score_rows(lines: Sequence[Line], columns: dict[str, Any]) -> list[Row]:
    """AUROC, AP and F1-max of the expert's own scores; none where no category has both classes."""
    categories = sorted({line.category for line in lines})
    curves = AnomalyCurves(categories, scores="logit")
    for line in lines:
        label, logit = torch.tensor([line.label]), torch.tensor([line.logit])
        curves.update(logit, label, group=categories.index(line.category))
    keys = ("category", "group", "label", "seen", "related", "near", "logit")
    found = [{key: getattr(line, key) for key in keys} for line in lines]
    return level_rows(Level("sample", "", curves.compute(), found), columns)


def answer_rows(lines: Sequence[Line], columns: dict[str, Any], asked: str = "") -> list[Row]:
    """Yes/no of each sample's first answer by the strict and by the published rule: macro, pooled and per category.

    Args:
        lines: one a sample.
        columns: that all rows share.
        asked: the question, where it is not the published one.
    """
    rows = []
    for level, rule in RULES.items():
        answers = [rule(line.answers[0]) for line in lines]
        found = detection([line.label for line in lines], answers, [line.category for line in lines])
        several = len(found.classes) > 1
        parts: list[tuple[str, Detection]] = [(ALL, found.macro)]
        parts += [(POOLED, found.pooled), *found.classes.items()] if several else []
        for category, numbers in parts:
            inside = [(line, a) for line, a in zip(lines, answers, strict=True) if category in (line.category, *WIDE)]
            for metric in (*JUDGED, "coverage"):
                value = getattr(numbers, metric)
                if value is not None:
                    note = PROTOCOLS[level] + (f"; asked {asked!r}" if asked else "")
                    note += "; mean over categories" if category == ALL and several else ""
                    rows.append(_answer_row(level, category, metric, value, inside, columns, note))
    return rows


def text_rows(
    lines: Sequence[Line], values: dict[str, np.ndarray], protocols: dict[str, str], columns: dict[str, Any]
) -> list[Row]:
    """Means of numbers of free answers, over categories and in each.

    Args:
        lines: one an answer that has a reference.
        values: metric -> ``(N,)`` in [0, 1]; NaN where there is none, which is left out.
        protocols: of each metric.
        columns: that all rows share.
    """
    rows = []
    names = sorted({line.category for line in lines})
    place = np.array([names.index(line.category) for line in lines])
    for metric, numbers in values.items():
        known = ~np.isnan(numbers)
        means = {n: float(numbers[known & (place == i)].mean()) for i, n in enumerate(names) if known[place == i].any()}
        if not means:
            continue
        shown = {ALL: float(np.mean(list(means.values())))} | (means if len(names) > 1 else {})
        for category, value in shown.items():
            inside = [line for line in lines if category in (line.category, *WIDE)]
            rows.append(_row(STRICT, category, metric, value, inside, columns, protocols[metric]))
    return rows


def mmad_rows(lines: Sequence[Line], items: Sequence[Any], columns: dict[str, Any]) -> list[Row]:
    """Accuracy and coverage of MMAD's subtasks, strict and by the published scorer with its known flaw.

    Args:
        lines: one a question.
        items: the questions, ``framework.data.questions.items.Item``.
        columns: that all rows share.
    """
    rows = []
    for level, legacy in ((STRICT, False), (PUBLISHED, True)):
        read = legacy_choice if legacy else choice
        asked = [
            mmad.Item(
                item.subtask, item.dataset, item.references[0], read(line.answers[0], dict(item.options)), line.label
            )
            for line, item in zip(lines, items, strict=True)
        ]
        found = mmad.score(asked, legacy)
        protocol = f"mmad/1, {'published scorer, flaw included' if legacy else 'strict; no answer counts as wrong'}"
        for name, part in found.subtasks.items():
            inside = [line for line, item in zip(lines, items, strict=True) if item.subtask == name]
            if part.accuracy is not None:
                guess = _guess([item for item in items if item.subtask == name])
                rows.append(_row(level, name, "accuracy", part.accuracy, inside, columns, protocol, guess))
            rows.append(_row(level, name, "coverage", part.coverage, inside, columns, protocol))
        protocol += "; mean of subtasks"
        if found.average is not None:
            guess = float(np.mean([_guess([item for item in items if item.subtask == n]) for n in found.subtasks]))
            rows.append(_row(level, ALL, "accuracy", found.average, lines, columns, protocol, guess))
        coverage = float(np.mean([part.coverage for part in found.subtasks.values()]))
        rows.append(_row(level, ALL, "coverage", coverage, lines, columns, protocol))
    return rows


def _guess(items: Sequence[Any]) -> float:
    """Accuracy of letters drawn at random: the mean over datasets, as the accuracy itself."""
    shares = {d: [1 / len(i.options) for i in items if i.dataset == d] for d in {i.dataset for i in items}}
    return float(np.mean([np.mean(share) for share in shares.values()]))


def _answer_row(
    level: str,
    category: str,
    metric: str,
    value: float,
    inside: list[tuple[Line, bool | None]],
    columns: dict[str, Any],
    protocol: str,
) -> Row:
    lines = [line for line, _ in inside]
    classes = [line.category for line in lines] if category == ALL else None
    interval = None
    if metric in JUDGED:
        interval = answer_interval(
            [line.label for line in lines], [a for _, a in inside], [line.group for line in lines], classes, metric
        )
    if interval is not None and not interval.describes(value):
        interval = None
    return _row(level, category, metric, value, lines, columns, protocol, COINS.get(metric), interval)


def _row(
    level: str,
    category: str,
    metric: str,
    value: float,
    lines: Sequence[Line],
    columns: dict[str, Any],
    protocol: str,
    chance: float | None = None,
    interval: Interval | None = None,
) -> Row:
    anomalous = sum(line.label for line in lines)
    overlap = sum(line.seen for line in lines)
    kin = sum(line.related and not line.seen for line in lines)
    near = sum(line.near and not line.seen for line in lines)
    return Row(
        **columns,
        category=category,
        level=level,
        element="",
        metric=metric,
        value=value,
        error=0.0,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        interval=interval.how if interval else "",
        groups=len({line.group for line in lines}),
        chance=chance,
        normal=len(lines) - anomalous,
        anomalous=anomalous,
        elements=None,
        anomalous_elements=None,
        in_domain=overlap + kin + near > 0 or bool(columns.get("known")),
        overlap=overlap,
        related=kin,
        near=near,
        protocol=f"{metric}/1; {protocol}",
    )
