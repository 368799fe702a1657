"""Rows of runs and a file of published numbers -> one table: theirs, ours, and the difference to one of theirs."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import StringIO

from omegaconf import MISSING

from framework.errors import UserError
from framework.leaderboard.matrix import Matrix, transfer_matrix
from framework.leaderboard.render import words
from framework.leaderboard.render.markup import PACKAGES, pipes, tex, tex_line
from framework.leaderboard.rows import ALL, POOLED, Row
from framework.reading import PUBLISHED, load_as, named

AVERAGE = "average"


@dataclass
class Published:
    """Numbers of papers as a file holds them, in percent."""

    title: str = MISSING
    metric: str = MISSING  # one of ``METRICS``
    level: str = MISSING  # one of ``LEVELS``
    averaging: str = "category"  # category or pooled: which of our rows stands beside them
    reference: str = MISSING  # the row that ours are compared with
    columns: dict[str, str] = field(default_factory=dict)  # name of the test set in an experiment: the table's word
    rows: dict[str, list[float | None]] = field(default_factory=dict)  # of a method, in the order of the columns


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: a value in percent for each column, then the average; None where there is none."""

    name: str
    values: list[float | None]
    differences: list[float | None]  # to the reference; of published lines all None
    marks: list[str]


def read(name: str) -> Published:
    """A file of published numbers by its name or path.

    Raises:
        UserError: no such file, an unknown key, a row of another length, or a reference that is no row.
    """
    path = named(PUBLISHED, name)
    found: Published = load_as(Published, path, [])
    for method, values in found.rows.items():
        if len(values) != len(found.columns):
            raise UserError(f"{path}: rows.{method}: {len(values)} numbers for {len(found.columns)} columns.")
        for value in values:
            if value is not None and not 0 <= value <= 100:
                raise UserError(f"{path}: rows.{method}: {value} is no percentage.")
    if found.reference not in found.rows:
        raise UserError(f"{path}: reference: no row called {found.reference!r}. Known: {', '.join(found.rows)}.")
    return found


def lines(rows: Sequence[Row], published: Published) -> tuple[list[Line], list[Line]]:
    """The published lines and ours, each with its average over all sets, which it has where none is missing.

    A set has a value for each of its ``heads``; averages take the first, the newest.
    """
    matrix = _ours(rows, published)
    columns = _columns(matrix, published)
    theirs = {
        name: [value for value, own in zip(values, columns.values(), strict=True) for _ in own] + [_average(values)]
        for name, values in published.rows.items()
    }
    reference = theirs[published.reference]
    newest = [own[0] for own in columns.values()]
    every = [column for own in columns.values() for column in own]
    ours = []
    for name in matrix.trained:
        cells = [matrix.cells.get((name, column)) for column in every]
        if not any(cells) or any(row.control for cell in cells if cell for row in cell.rows):
            continue
        values = [100 * cell.value if cell else None for cell in cells]
        values.append(_average([value for value, column in zip(values, every, strict=True) if column in newest]))
        pairs = zip(values, reference, strict=True)
        marks = [words.marks(cell) if cell else "" for cell in cells]
        ours.append(Line(name, values, [None if None in p else p[0] - p[1] for p in pairs], [*marks, ""]))  # type: ignore[operator]
    count = len(reference)
    return [Line(name, values, [None] * count, [""] * count) for name, values in theirs.items()], ours


def beside(rows: Sequence[Row], name: str, fmt: str) -> str:
    """The table as ``markdown``, ``latex`` or ``csv``.

    Args:
        rows: of any runs.
        name: of a file of ``experiments/published``, or the path of one.
        fmt: what to make.

    Raises:
        UserError: as ``read``; rows that cannot be compared; another format.
    """
    published = read(name)
    theirs, ours = lines(rows, published)
    named = heads(rows, published)
    if fmt == "csv":
        return _csv(published, [*named, AVERAGE], theirs, ours)
    head = ["method", *named.values(), AVERAGE]
    published_texts = [[line.name, *map(_number, line.values)] for line in theirs]
    our_texts = [[line.name, *_texts(line)] for line in ours] or [["(no run has these sets)", *[""] * (len(head) - 1)]]
    note = (
        f"{published.title}, in percent. Ours below, with the difference to {published.reference}; "
        f"an average is over all {len(published.columns)} sets, and there is none where one is missing "
        f"({words.MISSING}). {words.DAGGER} in-domain."
        + (f" {words.TRANSDUCED}" if any(words.TRANSDUCTIVE in mark for each in ours for mark in each.marks) else "")
        + (f" {words.APART}" if len(named) > len(published.columns) else "")
    )
    if fmt == "markdown":
        table = pipes([head, *published_texts, *our_texts])
        return f"## Beside published numbers\n\n{note}\n\n{table}\n"
    if fmt != "latex":
        raise UserError(f"--beside: goes with markdown, latex or csv, not with {fmt!r}.")
    body = [tex_line(texts) for texts in published_texts], [tex_line(texts) for texts in our_texts]
    return "\n".join(
        [
            PACKAGES,
            r"\begin{table}[ht]",
            r"\centering",
            f"\\caption{{{tex(note)}}}",
            f"\\begin{{tabular}}{{l{'c' * (len(head) - 1)}}}",
            *(r"\toprule", tex_line(head), r"\midrule", *body[0], r"\midrule", *body[1], r"\bottomrule"),
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _ours(rows: Sequence[Row], published: Published) -> Matrix:
    """Our rows that stand in these columns; pooled ones where the published are."""
    category = POOLED if published.averaging == "pooled" else ALL
    kept = [row for row in rows if row.tested_on in published.columns]
    return transfer_matrix(kept, published.metric, published.level, category)


def heads(rows: Sequence[Row], published: Published) -> dict[str, str]:
    """What our matrix calls each column: the table's word; of a set with several columns also what tells them apart."""
    columns = _columns(_ours(rows, published), published)
    return {
        own: published.columns[tested] + own.removeprefix(tested) for tested, found in columns.items() for own in found
    }


def _columns(matrix: Matrix, published: Published) -> dict[str, list[str]]:
    """Of each published set our columns, the newest first, or where we have none its name."""
    found: dict[str, list[str]] = {tested: [] for tested in published.columns}
    for column in matrix.tested:
        found[matrix.column(column)[0].rows[0].tested_on].append(column)
    return {tested: own or [tested] for tested, own in found.items()}


def _average(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(values) if len(known) == len(values) else None


def _number(value: float | None) -> str:
    return words.MISSING if value is None else f"{value:.1f}"


def _texts(line: Line) -> list[str]:
    """Value, marks and difference of each column: "93.1† (-0.9)"."""
    found = []
    for value, difference, mark in zip(line.values, line.differences, line.marks, strict=True):
        apart = "" if difference is None else f" ({difference:+.1f})"
        found.append(f"{_number(value)}{mark}{apart}")
    return found


def _csv(published: Published, names: Sequence[str], theirs: Sequence[Line], ours: Sequence[Line]) -> str:
    """A line a number: who, which set, value and difference in percent; empty where there is none."""
    text = StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(["source", "method", "tested_on", published.metric, f"difference to {published.reference}", "marks"])
    for source, found in (("published", theirs), ("ours", ours)):
        for line in found:
            for name, value, difference, mark in zip(names, line.values, line.differences, line.marks, strict=True):
                shown = ["" if number is None else f"{number:.4f}" for number in (value, difference)]
                out.writerow([source, line.name, name, *shown, mark])
    return text.getvalue()
