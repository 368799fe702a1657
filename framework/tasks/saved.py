"""Lines of evaluation in; what a run keeps of each sample, to make its numbers anew and to pair them, out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from framework.tasks.levels import Level

_PLAIN = ("tested_on", "id", "category", "group", "label", "logit", "score", "hist", "regions", "found")


def kept(
    lines: Sequence[dict[str, Any]], levels: Sequence[Level], threshold: float | None = None
) -> list[dict[str, Any]]:
    """As ``store.write_run`` takes samples.

    Args:
        lines: of evaluation, of all samples of a set.
        levels: of the set: its groups have the scores that their level gives them.
        threshold: of the source, on the logits of samples, if it has given one.
    """
    pooled = {
        (line["category"], line["group"]): line["logit"] for of in levels if of.name == "group" for line in of.lines
    }
    found = []
    for line in lines:
        own = {name: line[name] for name in _PLAIN}
        own["pooled"] = None if line["alone"] else pooled.get((line["category"], line["group"]))
        own["flagged"] = None if threshold is None else bool(line["logit"] >= threshold)
        views, grid = line["views"], line["grid"]
        if views:
            own["view_logits"] = np.array([view["logit"] for view in views], np.float32).tobytes()
            own["view_labels"] = np.array([view["label"] for view in views], np.uint8).tobytes()
        if grid is not None:
            own |= {"grid": grid["name"], "grid_hist": grid["hist"], "grid_regions": int(grid["regions"])}
        found.append(own)
    return found
