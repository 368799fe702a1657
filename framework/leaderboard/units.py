"""Saved lines of a run on a set in; the units of one level of it, a line each, out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from framework.leaderboard.scores import Line

HEAVY = {  # the columns that the lines of a level need beside the light ones
    "sample": (),
    "view": ("view_logits", "view_labels"),
    "group": (),
    "element": ("hist",),
    "grid": ("grid_hist",),
    "scan": ("hist", "found"),
}


def units(lines: Sequence[Line], level: str) -> list[Line]:
    """What a level has a number of, sorted by category and id; none where none was saved.

    Args:
        lines: saved ones, of samples.
        level: one of ``HEAVY``; "scan" is that of the scans among the samples with elements.

    Returns:
        Dicts with id, category, group, label and, by the level, logit or hist and regions.
    """
    return sorted(_MADE[level](lines), key=lambda unit: (unit["category"], unit["id"]))


def _views(lines: Sequence[Line]) -> Iterator[Line]:
    for line in lines:
        if line.get("view_logits") is not None:
            logits = np.frombuffer(line["view_logits"], np.float32).tolist()
            labels = np.frombuffer(line["view_labels"], np.uint8).astype(bool).tolist()
            for number, (logit, label) in enumerate(zip(logits, labels, strict=True)):
                own = {"id": f"{line['id']}#{number:06d}", "label": label, "logit": logit}
                yield {"category": line["category"], "group": line["group"], **own}


def _groups(lines: Sequence[Line]) -> Iterator[Line]:
    """Anomalous is a group with an anomalous sample."""
    found: dict[tuple[str, str], Line] = {}
    for line in lines:
        if line.get("pooled") is not None:
            category, group = line["category"], line["group"]
            own = {"id": group, "category": category, "group": group, "label": False, "logit": line["pooled"]}
            held = found.setdefault((category, group), own)
            held["label"] = held["label"] or line["label"]
    yield from found.values()


def _laid(lines: Sequence[Line]) -> Iterator[Line]:
    for line in lines:
        if line.get("grid_hist") is not None:
            yield line | {"hist": line["grid_hist"], "regions": line["grid_regions"]}


def _with(name: str) -> Callable[[Sequence[Line]], Iterator[Line]]:
    return lambda lines: (line for line in lines if line.get(name) is not None)


_MADE: dict[str, Callable[[Sequence[Line]], Iterator[Line]]] = {
    **{"sample": iter, "view": _views, "group": _groups},
    **{"element": _with("hist"), "grid": _laid, "scan": _with("found")},
}
