"""Rows, matrices, comparisons, gallery items and run records in; what the scripts of the page draw, packed, out."""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from framework.leaderboard.comparison import Comparison, fair, ranks
from framework.leaderboard.matrix import Matrix, newest, reached
from framework.leaderboard.render import words
from framework.leaderboard.render.packing import folded, pack
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
    tests, told = _test_columns(shown, found)
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
    whole = [t for t in matrix.trained if all((t, tested) in matrix.cells for tested in matrix.tested)]
    cells = [c for (t, _), c in matrix.cells.items() if t in whole and c.rows[0].trained_on != NOTHING]
    own, other = [c.value for c in cells if c.diagonal], [c.value for c in cells if not c.diagonal]
    known = {tested for (t, tested), c in matrix.cells.items() if t in whole and c.diagonal}
    if not own or not other or known != set(matrix.tested):
        return None
    return math.fsum(own) / len(own), math.fsum(other) / len(other)


def places(matrix: Matrix, found: Sequence[Comparison]) -> dict[tuple[str, str], str]:
    """The rank of each cell in its column: "1", or "1=" where others share it.

    In parentheses that of a line which is ranked apart, as in-domain and transductive ones are.
    """
    own = [pair for pair in found if (pair.level, pair.metric) == (matrix.level, matrix.metric)]
    numbers = {key: rank for key, rank in ranks(matrix, own).items() if key in matrix.cells}
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
        columns[name], dictionaries[name] = _coded(map(attrgetter(*fields), rows))
    columns["chance"], dictionaries["chance"] = _coded(words.percent(row.chance) for row in rows)
    current = {id(row) for row in newest(rows)}
    controls = {id(row): 1 + position[id(control)] for row, control in reached(rows).items()}
    columns |= {
        "current": [int(id(row) in current) for row in rows],
        "control": [controls.get(id(row), 0) for row in rows],
        "error": [math.ceil(_BOUND * row.error) for row in rows],
        **_shares(rows),
    }
    return columns, dictionaries


def _shares(items: Sequence[Any], prefix: str = "") -> dict[str, list[int]]:
    """Value and bounds of rows or cells; the bounds as their distance from the value, in tenths of a percent."""

    def apart(low: float | None, high: float | None) -> int:
        return folded(None if low is None or high is None else tenths(high) - tenths(low))

    return {
        f"{prefix}value": [fine(item.value) for item in items],
        f"{prefix}below": [apart(item.low, item.value) for item in items],
        f"{prefix}above": [apart(item.value, item.high) for item in items],
    }


def _cell_columns(
    shown: Sequence[Matrix], found: Sequence[Comparison], position: Mapping[int, int]
) -> tuple[dict[str, list[int]], dict[str, list[Any]]]:
    """Columns of the cells of all matrices, and the texts behind their numbers."""
    lines, cells, numbers = [], [], []
    for m, matrix in enumerate(shown):
        trained, tested = _numbered(matrix.trained), _numbered(matrix.tested)
        place = places(matrix, found)
        for key, cell in matrix.cells.items():
            lines.append((m, trained[key[0]], tested[key[1]]))
            cells.append(cell)
            numbers.append((words.marks(cell), place.get(key, ""), cell.diagonal, cell.in_domain))
    facts, texts = _coded(numbers)
    return {
        **{f"cell_{name}": [line[i] for line in lines] for i, name in enumerate(("matrix", "line", "column"))},
        "cell_facts": facts,
        "cell_spread": [folded(None if cell.spread is None else tenths(cell.spread)) for cell in cells],
        "cell_seeds": [len(cell.rows) for cell in cells],
        "cell_rows": [position[id(row)] for cell in cells for row in cell.rows],
        **_shares(cells, "cell_"),
    }, {"cell_facts": texts}


def _test_columns(
    shown: Sequence[Matrix], found: Sequence[Comparison]
) -> tuple[dict[str, list[int]], dict[str, list[Any]]]:
    """Columns of the paired tests, and the texts behind their numbers.

    A test of the mean over all sets has the number of the column after the last. The difference is told as what it is
    off that of the values shown, its interval by how far it reaches down, and further up than down: small numbers.
    """
    where = {(m.level, m.metric): (i, _numbered(m.trained), _numbered(m.tested)) for i, m in enumerate(shown)}
    lines = []
    for test in found:
        m, trained, tested = where[test.level, test.metric]
        ends = [round(_FLIP * share) for share in (test.low, test.difference, test.high)]
        lines.append(
            {
                "matrix": m,
                "column": tested.get(test.tested, len(tested)),
                "a": trained[test.a],
                "b": trained[test.b],
                "off": folded(ends[1] - _apart(shown[m], test)),
                "down": folded(ends[1] - ends[0]),
                "skew": folded(ends[0] + ends[2] - 2 * ends[1]),
                "p": max(1, round(1000 * test.adjusted)) if test.adjusted >= 0.001 else 0,
                "samples": test.samples,
            }
        )
    texts, told = _coded((test.verdict, test.how) for test in found)
    names = ("matrix", "column", "a", "b", "off", "down", "skew", "p", "samples")
    return {f"test_{n}": [line[n] for line in lines] for n in names} | {"test_said": texts}, {"test_said": told}


def _apart(matrix: Matrix, test: Comparison) -> int:
    """Difference of the two values as the page has them; 0 of a mean over sets."""
    if test.tested not in matrix.tested:
        return 0
    return fine(matrix.cells[test.a, test.tested].value) - fine(matrix.cells[test.b, test.tested].value)


def _described(matrix: Matrix) -> dict[str, Any]:
    """What is said of a matrix besides its cells."""
    floor, means = words.FLOORS.get(matrix.metric, 0.0), own_and_other(matrix)
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
        "averages": [_average(matrix, trained) for trained in matrix.trained],
        "means": [words.percent(mean) for mean in means] if means else None,
        "floor": fine(floor),
        "shades": [words.heat(step, matrix.metric) for step in steps],
    }


def _average(matrix: Matrix, trained: str) -> str | None:
    """Mean of a line over all sets; None where one is missing."""
    cells = [matrix.cells[trained, tested] for tested in matrix.tested if (trained, tested) in matrix.cells]
    return words.percent(math.fsum(c.value for c in cells) / len(cells)) if len(cells) == len(matrix.tested) else None


def _told(record: Mapping[str, Any]) -> dict[str, Any]:
    """Of a run record the command as one types it, None where it is not known, and the settings as JSON."""
    command = record.get("command")
    return {
        "command": None if command is None else shlex.join(["anomaly-ov", *command]) if command else "",
        "settings": json.dumps(record["settings"], indent=1, default=str) if "settings" in record else "",
    }


def _coded(keys: Iterable[Any]) -> tuple[list[int], list[Any]]:
    """Keys as numbers, and the distinct keys these stand for, in the order in which they come."""
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(key, len(numbers)) for key in keys], list(numbers)


def _numbered(names: Sequence[str]) -> dict[str, int]:
    return {name: i for i, name in enumerate(names)}
