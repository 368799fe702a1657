"""Rows of many runs in; the ones that count, and transfer matrices of them, trained x tested, out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from framework.errors import UserError
from framework.leaderboard.rows import ALL, ANSWERS, LEGACY, LEVELS, METRICS, NOTHING, Row
from framework.leaderboard.statistics.seeds import mean_interval

BEST = "best control"  # a line of a table
_METHOD = ("trained_on", "experiment", "model", "backbone")
_method = attrgetter(*_METHOD)  # what the rows of one line of a matrix share
_identity = attrgetter(
    *_METHOD, "tested_on", "seed", "category", "level", "element", "metric", "views"
)  # what a repeated test shares
_measured = attrgetter("tested_on", "views", "category", "level", "element", "metric")  # what a control competes in
_line = attrgetter(*_METHOD, "tested_on", "views")  # what the rows of one cell share


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of a matrix: one row, or one row per seed.

    Attributes:
        rows: by seed, at least one; same method, training sets, test set, level and metric.
        reached_in: categories of the test set, or "all", on which a control, which knows no defect, is as good.
    """

    rows: tuple[Row, ...]
    reached_in: tuple[str, ...] = ()

    @property
    def value(self) -> float:
        """Mean over the seeds, in [0, 1]."""
        return math.fsum(row.value for row in self.rows) / len(self.rows)

    @property
    def low(self) -> float | None:
        """Lower end of the interval of the mean, which holds the error of sampling the test set and that of the seeds.

        None where a seed has none.
        """
        return None if self._span is None else self._span[0]

    @property
    def high(self) -> float | None:
        """Upper end, as ``low``."""
        return None if self._span is None else self._span[1]

    @property
    def _span(self) -> tuple[float, float] | None:
        lows = [row.low for row in self.rows if row.low is not None]
        highs = [row.high for row in self.rows if row.high is not None]
        return mean_interval([row.value for row in self.rows], lows, highs) if len(lows) == len(self.rows) else None

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds (n - 1), None for one seed: the error of training."""
        if len(self.rows) == 1:
            return None
        return math.sqrt(math.fsum((row.value - self.value) ** 2 for row in self.rows) / (len(self.rows) - 1))

    @property
    def in_domain(self) -> bool:
        """Whether a model behind this was trained on samples of the test set."""
        return any(row.in_domain for row in self.rows)

    @property
    def transductive(self) -> bool:
        """Whether a model behind this looked at other samples of the test set before it scored one."""
        return any(row.transductive for row in self.rows)

    @property
    def diagonal(self) -> bool:
        """Whether one of the training sets has the name of the test set."""
        return self.rows[0].diagonal

    @property
    def reached(self) -> bool:
        """Whether a control is as good as this method, on the whole set or on one of its categories."""
        return bool(self.reached_in)

    @property
    def above_chance(self) -> bool:
        """Whether the whole interval, or where there is none the value, lies above chance (unknown: yes)."""
        chance = self.rows[0].chance
        return chance is None or (self.value if self.low is None else self.low) > chance

    @property
    def below_chance(self) -> bool:
        """Whether the whole interval, or where there is none the value, lies below chance (unknown: no)."""
        chance = self.rows[0].chance
        return chance is not None and (self.value if self.high is None else self.high) < chance


@dataclass(frozen=True, slots=True)
class Matrix:
    """One metric at one level, over everything that was trained and tested.

    Attributes:
        metric, level: which number.
        trained: names of the rows: what each model was trained on, and where several models share that, which.
        tested: names of the columns, by domain, then name.
        cells: by (trained, tested); an entry that was not measured is missing.
    """

    metric: str
    level: str
    trained: list[str]
    tested: list[str]
    cells: dict[tuple[str, str], Cell]

    def column(self, tested: str) -> list[Cell]:
        """Cells of one test set, top to bottom."""
        return [self.cells[trained, tested] for trained in self.trained if (trained, tested) in self.cells]


def newest(rows: Iterable[Row]) -> list[Row]:
    """Of rows that measured the same again (method, sets, seed, category, metric) the newest, in the order given."""
    last: dict[tuple[object, ...], Row] = {}
    rows = list(rows)
    for row in rows:
        old = last.setdefault(_identity(row), row)
        if (row.date, row.run) > (old.date, old.run):
            last[_identity(row)] = row
    return [row for row in rows if last[_identity(row)] is row]


def transfer_matrix(rows: Iterable[Row], metric: str, level: str, category: str = ALL) -> Matrix:
    """The newest rows of category "all" as a matrix; of other categories it is told where a control reaches a method.

    Args:
        rows: of any runs, metrics and levels.
        metric: one of ``METRICS`` or ``ANSWERS``.
        level: one of ``LEVELS``.
        category: which rows, "all" or "pooled".

    Raises:
        UserError: one column would mix different test data or different definitions of the metric.
    """
    every = newest(r for r in rows if (r.metric, r.level) == (metric, level))
    kept = [row for row in every if row.category == category]
    for name in sorted({row.tested_on for row in kept}):
        _same([row for row in kept if row.tested_on == name])
    labels = _labels(kept)
    seeds: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in sorted(kept, key=lambda row: row.seed):
        seeds[labels[row], row.tested_on].append(row)
    tested = [column for _, column in sorted({(row.domain, row.tested_on) for row in kept})]
    order = {labels[row]: _place(row, tested) for row in kept}
    trained = sorted(order, key=lambda label: (order[label], label))
    where = _reached_in(every)
    cells = {key: Cell(tuple(found), where.get(_line(found[0]), ())) for key, found in seeds.items()}
    return Matrix(metric, level, trained, tested, cells)


def with_best_control(matrix: Matrix) -> Matrix:
    """The same with one line ``BEST`` in place of one for each control: on each set the control of the highest value.

    Where a set's views were made in several ways, each way has its line.
    """
    lines: dict[str, str] = {}  # of each control the line that it goes into
    for (trained, _), cell in matrix.cells.items():
        if cell.rows[0].control:
            lines[trained] = BEST + trained.removeprefix(cell.rows[0].model)
    cells = {key: cell for key, cell in matrix.cells.items() if key[0] not in lines}
    for (trained, tested), cell in matrix.cells.items():
        if trained in lines:
            key = lines[trained], tested
            cells[key] = max(cells.get(key, cell), cell, key=attrgetter("value"))
    names = dict.fromkeys(lines.get(trained, trained) for trained in matrix.trained)
    return replace(matrix, trained=list(names), cells=cells)


def reached(rows: Iterable[Row]) -> dict[Row, Row]:
    """Each of the newest rows of a method that is no better than a control, and that control, the best one.

    Compared are rows of one set, whose views were made alike, of one category, level and metric.
    """
    rows = newest(rows)
    best = _best_controls(rows)
    pairs = ((row, best.get(_measured(row))) for row in rows if not row.control)
    return {row: control for row, control in pairs if control is not None and row.value <= control.value}


def matrices(rows: Sequence[Row], legacy: bool = False) -> list[Matrix]:
    """Every matrix the rows have a number for: sample level first, metrics in their order in ``rows``.

    Args:
        rows: of any runs.
        legacy: also those of ``LEGACY``, which a reader has to ask for.

    Raises:
        UserError: as ``transfer_matrix``.
    """
    hidden = () if legacy else LEGACY
    present = {(row.level, row.metric) for row in rows if row.category == ALL and row.metric not in hidden}
    return [transfer_matrix(rows, m, level) for level in LEVELS for m in (*METRICS, *ANSWERS) if (level, m) in present]


def _reached_in(rows: Sequence[Row]) -> dict[tuple[object, ...], tuple[str, ...]]:
    """By ``_line`` the categories on which a control is as good as the mean over the seeds. Rows of one metric."""
    best = _best_controls(rows)
    seeds: dict[tuple[tuple[object, ...], str], list[Row]] = defaultdict(list)
    for row in rows:
        if not row.control and _measured(row) in best:
            seeds[_line(row), row.category].append(row)
    found: dict[tuple[object, ...], tuple[str, ...]] = defaultdict(tuple)
    for (line, category), own in sorted(seeds.items()):
        if Cell(tuple(own)).value <= best[_measured(own[0])].value:
            found[line] += (category,)
    return found


def _best_controls(rows: Iterable[Row]) -> dict[tuple[object, ...], Row]:
    """By what it competes in, see ``_measured``, the control of the highest value; of equal ones the last."""
    controls = sorted((row for row in rows if row.control), key=attrgetter("value"))
    return {_measured(row): row for row in controls}


def _same(column: list[Row]) -> None:
    """Refuse a column whose numbers cannot be compared."""
    first = min(column, key=lambda row: row.control)
    for row in column:
        if row.fingerprint != first.fingerprint:
            raise UserError(
                f"test set {row.tested_on!r}: runs {first.run} and {row.run} saw different files, labels or groups "
                f"(fingerprints {first.fingerprint[:12]}, {row.fingerprint[:12]}); leave one out or name "
                "the sets differently."
            )
        if row.definition != first.definition and not row.control:  # a control says more: which direction it took
            raise UserError(
                f"test set {row.tested_on!r}: runs {first.run} and {row.run} define {row.level} {row.metric} "
                f"differently ({first.definition}, {row.definition}); test one of them again or leave it out."
            )


def _labels(rows: list[Row]) -> dict[Row, str]:
    """The line of each row: its training sets, and where these are shared by several methods, what tells them apart.

    Where a set's views were made in several ways, by one method or by several, a line says which way is its own.
    """
    methods: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    ways: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if not row.control:
            methods[row.trained_on].add(_method(row))
        ways[row.tested_on].add(row.views)
    labels = {}
    for row in rows:
        method, shared = _method(row), methods[row.trained_on]
        telling = [method[i] for i in range(1, len(_METHOD)) if len({other[i] for other in shared}) > 1]
        way = [row.views] if len(ways[row.tested_on]) > 1 else []
        labels[row] = " · ".join([row.model, *way] if row.control else [row.trained_on, *telling, *way])
    return labels


def _place(row: Row, tested: list[str]) -> tuple[int, int]:
    """Where a line goes: single sets in the order of the columns, so that the diagonal is one; untrained, controls."""
    if row.control:
        return 3, 0
    if row.trained_on == NOTHING:
        return 2, 0
    return (0, tested.index(row.trained_on)) if row.trained_on in tested else (1, 0)
