"""Rows of many runs in; the ones that count, and transfer matrices of them, trained x tested, out."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

from framework.leaderboard.apart import METHOD, Columns, Kind, Kinds, newest
from framework.leaderboard.labels import labels
from framework.leaderboard.rows import ALL, ANSWERS, LEGACY, LEVELS, METRICS, NOTHING, Row
from framework.leaderboard.statistics.seeds import mean_interval

BEST = "best control"  # a line of a table
_measured = attrgetter(
    "tested_on", "views", "category", "level", "element", "metric"
)  # what a control competes in, but for the kind
_line = attrgetter(*METHOD, "tested_on", "views")  # what the rows of one cell share


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
        tested: names of the columns, by domain, then name: the test sets, and where a set has several, why.
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

    @property
    def current(self) -> list[str]:
        """The newest column of each test set; the others saw older data, or an older definition of the metric."""
        newest: dict[str, str] = {}
        for tested in self.tested:
            newest.setdefault(self.column(tested)[0].rows[0].tested_on, tested)
        return list(newest.values())


def transfer_matrix(rows: Iterable[Row], metric: str, level: str, category: str = ALL) -> Matrix:
    """The newest rows of category "all" as a matrix; of other categories it is told where a control reaches a method.

    Rows that saw other test data, or that define the metric differently, stand in columns of their own.

    Args:
        rows: of any runs, metrics and levels.
        metric: one of ``METRICS`` or ``ANSWERS``.
        level: one of ``LEVELS``.
        category: which rows, "all" or "pooled".
    """
    current = newest(rows)
    own = [row for row in current if (row.metric, row.level) == (metric, level)]
    return _matrix(own, Columns(current), (metric, level), category)


def _matrix(every: Sequence[Row], columns: Columns, number: tuple[str, str], category: str = ALL) -> Matrix:
    """Of the newest rows of one metric and level."""
    kept = [row for row in every if row.category == category]
    lines, names = labels(kept), [columns.name(row) for row in kept]
    first = dict(zip(reversed(names), reversed(kept), strict=True))  # a row of each column
    tested = sorted(first, key=lambda name: (columns.order(first[name]), name))
    seeds: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row, name in sorted(zip(kept, names, strict=True), key=lambda pair: pair[0].seed):
        seeds[lines[row], name].append(row)
    order = {lines[row]: _place(row, [first[name].tested_on for name in tested]) for row in kept}
    trained = sorted(order, key=lambda label: (order[label], label))
    where = _reached_in(every, columns.kinds)
    cells = {
        key: Cell(tuple(found), where.get((_line(found[0]), columns.kinds.of(found[0])), ()))
        for key, found in seeds.items()
    }
    return Matrix(*number, trained, tested, cells)


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
    kinds = Kinds(rows)
    best = _best_controls(rows, kinds)
    pairs = ((row, best.get((_measured(row), kinds.of(row)))) for row in rows if not row.control)
    return {row: control for row, control in pairs if control is not None and row.value <= control.value}


def matrices(rows: Sequence[Row], legacy: bool = False) -> list[Matrix]:
    """Every matrix the rows have a number for: sample level first, metrics in their order in ``rows``.

    Args:
        rows: of any runs.
        legacy: also those of ``LEGACY``, which a reader has to ask for.
    """
    hidden, parts = () if legacy else LEGACY, defaultdict(list)
    current = newest(rows)
    columns = Columns(current)
    for row in current:
        parts[row.level, row.metric].append(row)
    wanted = [(level, m) for level in LEVELS for m in (*METRICS, *ANSWERS) if m not in hidden]
    present = {key for key in wanted if any(row.category == ALL for row in parts[key])}
    return [_matrix(parts[key], columns, (key[1], key[0])) for key in wanted if key in present]


def _reached_in(rows: Sequence[Row], kinds: Kinds) -> dict[tuple[object, Kind], tuple[str, ...]]:
    """By ``_line`` and kind the categories on which a control is as good as the mean over the seeds. Of one metric."""
    best = _best_controls(rows, kinds)
    seeds: dict[tuple[object, Kind, str], list[Row]] = defaultdict(list)
    for row in rows:
        if not row.control and (_measured(row), kinds.of(row)) in best:
            seeds[_line(row), kinds.of(row), row.category].append(row)
    found: dict[tuple[object, Kind], tuple[str, ...]] = defaultdict(tuple)
    for (line, kind, category), own in sorted(seeds.items(), key=lambda item: item[0][2]):
        if Cell(tuple(own)).value <= best[_measured(own[0]), kind].value:
            found[line, kind] += (category,)
    return found


def _best_controls(rows: Iterable[Row], kinds: Kinds) -> dict[tuple[object, Kind], Row]:
    """By what it competes in and its kind the control of the highest value; of equal ones the last."""
    controls = sorted((row for row in rows if row.control), key=attrgetter("value"))
    return {(_measured(row), kinds.of(row)): row for row in controls}


def _place(row: Row, tested: list[str]) -> tuple[int, int]:
    """Where a line goes: single sets in the order of the columns, so that the diagonal is one; untrained, controls."""
    if row.control:
        return 3, 0
    if row.trained_on == NOTHING:
        return 2, 0
    return (0, tested.index(row.trained_on)) if row.trained_on in tested else (1, 0)
