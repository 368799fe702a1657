"""Rows, matrices, comparisons, gallery items and run records in; what the scripts of the page draw, packed, out."""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from framework.leaderboard.apart import newest
from framework.leaderboard.comparison import Comparison, fair, ranks
from framework.leaderboard.matrix import Cell, Matrix, reached
from framework.leaderboard.means import Mean, all_sets, means
from framework.leaderboard.render import words
from framework.leaderboard.render.packing import coded, folded, numbered, pack
from framework.leaderboard.render.pairs import pair_columns
from framework.leaderboard.rows import ALL, NOTHING, Row

GROUPS = {  # fields that repeat together: a row holds the number of their combination
    "who": (
        *("run", "date", "commit", "dirty", "config", "seed", "experiment", "model", "backbone", "weights"),
        *("trained_on", "hardware", "packages", "recipe", "selection", "transductive"),
    ),
    "where": ("tested_on", "domain", "dataset", "fingerprint", "unit", "category", "normal", "anomalous", "groups"),
    "what": ("level", "element", "metric", "protocol", "interval", "definition", "views"),
    "seen": ("in_domain", "overlap", "related", "near", "known"),
    "size": ("elements", "anomalous_elements"),
}
SHADES = 200  # steps of the colour scale
_FLIP = 10_000  # a share as a whole number
_EXACT = 1_000_000  # the same, fine enough to tell differences from
_BOUND = 100_000  # a certified error as one, rounded up


def contents(
    rows: Sequence[Row],
    shown: Sequence[Matrix],
    found: Sequence[Comparison],
    items: Sequence[Mapping[str, Any]],
    records: Mapping[str, Mapping[str, Any]],
) -> str:
    """Everything the scripts need but the pictures.

    Args:
        rows: of any runs.
        shown: their matrices.
        found: paired tests of lines of these matrices.
        items: of the gallery, what is to be told of each; pictures by number.
        records: ``run.json`` of each run that has one.

    Returns:
        As ``packing.pack`` makes it.
    """
    position = {id(row): i for i, row in enumerate(rows)}
    columns, dictionaries = _row_columns(rows, position)
    cells, texts = _cell_columns(shown, found, position)
    tests, told = pair_columns(shown, found)
    header = {
        "fields": GROUPS,
        "dictionaries": dictionaries | texts | told,
        "matrices": [_described(matrix) for matrix in shown],
        "metrics": words.METRIC_NAMES,
        "missing": words.MISSING,
        "legend": words.legend(rows),
        "all": ALL,
        "gallery": list(items),
        "records": {run: _told(records[run]) for run in dict.fromkeys(row.run for row in rows) if run in records},
    }
    return pack(header, columns | cells | tests)


def own_and_other(matrix: Matrix) -> tuple[float, float] | None:
    """Means over the diagonal and over what was trained elsewhere, of lines without a gap.

    None where either is missing, or where such lines leave a test set without its diagonal.
    """
    sets = matrix.current
    whole = [t for t in matrix.trained if all((t, tested) in matrix.cells for tested in sets)]
    shown = {(t, tested): c for (t, tested), c in matrix.cells.items() if t in whole and tested in sets}
    cells = [c for c in shown.values() if c.rows[0].trained_on != NOTHING]
    own, other = [c.value for c in cells if c.diagonal], [c.value for c in cells if not c.diagonal]
    known = {tested for (_, tested), c in shown.items() if c.diagonal}
    if not own or not other or known != set(sets):
        return None
    return math.fsum(own) / len(own), math.fsum(other) / len(other)


def places(matrix: Matrix, found: Sequence[Comparison]) -> dict[tuple[str, str], str]:
    """The rank of each cell in its column, that of means too: "1", or "1=" where others share it.

    In parentheses that of a line which is ranked apart, as in-domain and transductive ones are.
    """
    own = [pair for pair in found if (pair.level, pair.metric) == (matrix.level, matrix.metric)]
    numbers = ranks(matrix, own)
    counted = {key for key in numbers if fair(matrix, *key)}
    shared = Counter((tested, numbers[line, tested]) for line, tested in counted)
    return {
        key: f"{rank}{'=' if shared[key[1], rank] > 1 else ''}" if key in counted else f"({rank})"
        for key, rank in numbers.items()
    }


def tenths(share: float) -> int:
    """A share in tenths of a percent, rounded as ``words.percent`` shows it."""
    return int(words.percent(share).replace(".", ""))


def fine(share: float) -> int:
    """A share in hundredths of a percent, of those that round, half up, to what ``words.percent`` shows."""
    shown = 10 * tenths(share)
    return max(0, min(max(math.floor(_FLIP * share), shown - 5), shown + 4))


def _row_columns(rows: Sequence[Row], position: Mapping[int, int]) -> tuple[dict[str, list[int]], dict[str, list[Any]]]:
    """Columns of the rows, and the texts behind their numbers."""
    columns, dictionaries = {}, {}
    for name, fields in GROUPS.items():
        columns[name], dictionaries[name] = coded(map(attrgetter(*fields), rows))
    columns["chance"], dictionaries["chance"] = coded(words.percent(row.chance) for row in rows)
    current = {id(row) for row in newest(rows)}
    controls = {id(row): 1 + position[id(control)] for row, control in reached(rows).items()}
    columns |= {
        "current": [int(id(row) in current) for row in rows],
        "control": [controls.get(id(row), 0) for row in rows],
        "error": [math.ceil(_BOUND * row.error) for row in rows],
        "value": [tenths(row.value) for row in rows],
        **_bounds(rows),
    }
    return columns, dictionaries


def _bounds(items: Sequence[Any], prefix: str = "") -> dict[str, list[int]]:
    """Of rows or cells how far the bounds are from the value, in tenths of a percent."""

    def apart(low: float | None, high: float | None) -> int:
        return folded(None if low is None or high is None else tenths(high) - tenths(low))

    return {
        f"{prefix}below": [apart(item.low, item.value) for item in items],
        f"{prefix}above": [apart(item.value, item.high) for item in items],
    }


def _cell_columns(
    shown: Sequence[Matrix], found: Sequence[Comparison], position: Mapping[int, int]
) -> tuple[dict[str, list[int]], dict[str, list[Any]]]:
    """Columns of the cells of all matrices, and the texts behind their numbers.

    A mean over all sets is a cell without rows, in the column after the last.
    """
    lines, numbers = [], []
    cells: list[Cell | Mean] = []
    for m, matrix in enumerate(shown):
        trained, tested = numbered(matrix.trained), numbered(matrix.tested)
        place = places(matrix, found)
        for key, cell in matrix.cells.items():
            lines.append((m, trained[key[0]], tested[key[1]]))
            cells.append(cell)
            numbers.append((words.marks(cell), place.get(key, ""), cell.diagonal, cell.in_domain))
        for name, mean in means(matrix).items():
            lines.append((m, trained[name], len(tested)))
            cells.append(mean)
            rank = place.get((name, all_sets(matrix)), "")
            numbers.append((words.mean_marks(mean), rank, False, mean.in_domain))
    facts, texts = coded(numbers)
    owned = [cell.rows if isinstance(cell, Cell) else () for cell in cells]
    spreads = [cell.spread if isinstance(cell, Cell) else None for cell in cells]
    return {
        **{f"cell_{name}": [line[i] for line in lines] for i, name in enumerate(("matrix", "line", "column"))},
        "cell_facts": facts,
        "cell_spread": [folded(None if spread is None else tenths(spread)) for spread in spreads],
        "cell_seeds": [len(rows) for rows in owned],
        "cell_rows": [position[id(row)] for rows in owned for row in rows],
        "cell_value": [fine(cell.value) for cell in cells],
        "cell_rest": [folded(round(_EXACT * cell.value) - _EXACT // _FLIP * fine(cell.value)) for cell in cells],
        **_bounds(cells, "cell_"),
    }, {"cell_facts": texts}


def _described(matrix: Matrix) -> dict[str, Any]:
    """What is said of a matrix besides its cells."""
    floor, outlined = words.FLOORS.get(matrix.metric, 0.0), own_and_other(matrix)
    steps = (floor + (1 - floor) * i / SHADES for i in range(SHADES + 1))
    return {
        "level": matrix.level,
        "metric": matrix.metric,
        "title": words.title(matrix),
        "trained": matrix.trained,
        "tested": matrix.tested,
        "heads": [words.column(matrix, tested) for tested in matrix.tested],
        "domains": [matrix.column(tested)[0].rows[0].domain for tested in matrix.tested],
        "chance": [words.percent(words.chance(matrix, tested)) for tested in matrix.tested],
        "whole": all_sets(matrix),
        "means": [words.percent(mean) for mean in outlined] if outlined else None,
        "floor": fine(floor),
        "shades": [words.heat(step, matrix.metric) for step in steps],
    }


def _told(record: Mapping[str, Any]) -> dict[str, Any]:
    """Of a run record the command as one types it, None where it is not known, and the settings as JSON."""
    command = record.get("command")
    return {
        "command": None if command is None else shlex.join(["anomaly-ov", *command]) if command else "",
        "settings": json.dumps(record["settings"], indent=1, default=str) if "settings" in record else "",
    }
