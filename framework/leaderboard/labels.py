"""Rows of one table -> what each line is called: as little as tells the methods of the table apart."""

from __future__ import annotations

from collections import defaultdict
from itertools import zip_longest

from framework.leaderboard.rows import Row


def labels(rows: list[Row]) -> dict[Row, str]:
    """The line of each row: its training sets, and what tells it from the other methods of the table.

    That is the model where there are several, the backbone where one model has several, and the experiment where
    nothing else tells two methods apart. Where a set's views were made in several ways, a line says which is its own.
    """
    own = [row for row in rows if not row.control]
    models = sorted({row.model for row in own})
    towers = len({(row.model, row.backbone) for row in own}) > len(models)
    called = dict(zip(models, _shortest(models), strict=True))
    experiments: dict[tuple[str, ...], set[str]] = defaultdict(set)
    ways: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        experiments[row.trained_on, row.model, row.backbone].add(row.experiment)
        ways[row.tested_on].add(row.views)
    found = {}
    for row in rows:
        way = [row.views] if len(ways[row.tested_on]) > 1 else []
        if row.control:
            found[row] = " · ".join([row.model, *way])
            continue
        telling = [row.experiment] if len(experiments[row.trained_on, row.model, row.backbone]) > 1 else []
        telling += [called[row.model]] if len(models) > 1 else []
        telling += [row.backbone] if towers else []
        found[row] = " · ".join([row.trained_on, *telling, *way])
    return found


def _shortest(models: list[str]) -> list[str]:
    """What models are called by the first of their parts, "look_twice" or "anyres crops", that tell them apart."""
    parts = [model.split(", ") for model in models]
    differ = [i for i, column in enumerate(zip_longest(*parts)) if len(set(column)) > 1]
    for count in range(1, len(differ) + 1):
        names = [", ".join(own[i] for i in differ[:count] if i < len(own)) for own in parts]
        if all(names) and len(set(names)) == len(names):
            return names
    return models
