"""Rows in; the transfer matrices and the list of rows as Markdown or LaTeX, or one tidy CSV, out."""

from __future__ import annotations

from collections.abc import Sequence
from csv import writer
from dataclasses import astuple
from io import StringIO

from framework.leaderboard.apart import newest
from framework.leaderboard.matrix import Cell, matrices
from framework.leaderboard.render import standing, words
from framework.leaderboard.render.markup import PACKAGES, dash, pipes, plain, tex, tex_line
from framework.leaderboard.render.standing import Standing, standings
from framework.leaderboard.rows import COLUMNS, Row
from framework.leaderboard.scores import Samples, Scores

_LISTED = (
    "trained on",
    "tested on",
    "category",
    "level",
    "metric",
    "value",
    "interval",
    "chance",
    "samples",
    "run",
    "note",
)


def markdown(rows: Sequence[Row], samples: Samples | Scores = (), legacy: bool = False) -> str:
    """A legend, a section per level and metric with its matrix, who is better than whom, then every row.

    Args:
        rows: of any runs.
        samples: their saved scores; without them there are no ranks and no pairs.
        legacy: see ``matrices``.

    Returns:
        GitHub Markdown, values times 100.

    Raises:
        UserError: rows that cannot be compared.
    """
    found = standings(matrices(rows, legacy), samples)
    parts = ["# Leaderboard", "\n".join(f"- {line}" for line in _legend(rows, found))]
    for one in found:
        parts += [f"## {words.title(one.matrix)}", pipes(standing.grid(one, _cell), strong=True)]
    for title, lines in standing.pair_lines(found).items():
        parts += [f"## Who is better: {title}", pipes([list(standing.PAIR_HEADS), *lines])]
    if notes := standing.pair_notes(found):
        parts.append("\n".join(f"- {plain(note)}" for note in notes))
    return "\n\n".join([*parts, "## All rows", pipes([list(words.HEADS), *words.listing(rows)])]) + "\n"


def csv(rows: Sequence[Row], samples: Samples | Scores = ()) -> str:
    """One line per row, values as fractions in full precision, for machines.

    Args:
        rows: of any runs.
        samples: their saved scores; without them nothing is compared.

    Returns:
        Every field of Row, then ``superseded`` (a newer run measured it again) and ``in_matrix``: the rows where it
        is true, by (level, metric, line, column), are the transfer matrices; ``column`` and ``line``, what the matrix
        calls the set and the method; ``rank``, and ``better_than`` and ``worse_than``: the lines of which that is
        significant, joined by "; ".

    Raises:
        UserError: rows that cannot be compared.
    """
    current = set(newest(rows))
    found = standings(matrices(rows), samples)
    shown = {row: (one, *key) for one in found for key, cell in one.matrix.cells.items() for row in cell.rows}
    text = StringIO()
    lines = writer(text, lineterminator="\n")
    lines.writerow([*COLUMNS, "superseded", "in_matrix", "column", "line", "rank", "better_than", "worse_than"])
    for row in rows:
        column = shown[row][2] if row in shown else ""
        stands = standing.against(*shown[row]) if row in shown else ("", "", "", "")
        lines.writerow([*astuple(row), row not in current, row in shown, column, *stands])
    return text.getvalue()


def latex(rows: Sequence[Row], samples: Samples | Scores = (), legacy: bool = False) -> str:
    """A table coloured like the page per level and metric, who is better than whom, then every row.

    The first line names the packages.

    Args:
        rows: of any runs.
        samples: their saved scores; without them there are no ranks and no pairs.
        legacy: see ``matrices``.

    Returns:
        LaTeX to be input, values times 100.

    Raises:
        UserError: rows that cannot be compared.
    """
    found = standings(matrices(rows, legacy), samples)
    parts = [PACKAGES, "\n\n".join(tex(line) for line in _legend(rows, found))]
    parts += [_latex_matrix(one) for one in found]
    parts += [_latex_pairs(title, lines) for title, lines in standing.pair_lines(found).items()]
    parts += [tex(note) for note in standing.pair_notes(found)]
    return "\n\n".join([*parts, _latex_list(rows)]) + "\n"


def _legend(rows: Sequence[Row], found: Sequence[Standing]) -> list[str]:
    """With what ranks and pairs are, where there are any."""
    return [*words.legend(rows), *(standing.LEGEND if any(one.ranks for one in found) else ())]


def _cell(cell: Cell, rank: str) -> str:
    """Value, mark, interval, rank; of a control which it is."""
    if cell.rows[0].control:
        return words.control_cell(cell)
    spread = "" if cell.spread is None else f" ± {words.percent(cell.spread)} ({len(cell.rows)} seeds)"
    return f"{words.percent(cell.value)}{words.marks(cell)}{spread} ({words.span(cell.low, cell.high)}){rank}"


def _latex_matrix(one: Standing) -> str:
    """One table environment."""

    def show(cell: Cell, rank: str) -> str:
        background, text = (colour[1:].upper() for colour in words.heat(cell.value, one.matrix.metric))
        return f"\\cellcolor[HTML]{{{background}}}\\textcolor[HTML]{{{text}}}{{{tex(_cell(cell, rank))}}}"

    head, *lines, chance = standing.grid(one, show)
    sets = len(one.matrix.tested) + 1
    body = [
        " & ".join([tex(line[0]), *(dash(text) for text in line[1:sets]), *(tex(text) for text in line[sets:])])
        for line in lines
    ]
    rows = [r"\toprule", tex_line(head), r"\midrule", *(f"{line} \\\\" for line in body), r"\midrule", tex_line(chance)]
    return "\n".join(
        [
            r"\begin{table}[ht]",
            r"\centering",
            f"\\caption{{{tex(words.title(one.matrix))}}}",
            f"\\begin{{tabular}}{{l{'c' * (len(head) - 1)}}}",
            *rows,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _latex_pairs(title: str, lines: list[list[str]]) -> str:
    """Pairs in a table that may run over pages."""
    heads = standing.PAIR_HEADS
    return "\n".join(
        [
            r"\begingroup\small",
            f"\\begin{{longtable}}{{{'l' * len(heads)}}}",
            f"\\caption{{Who is better: {tex(title)}}} \\\\",
            r"\toprule",
            tex_line(list(heads)),
            r"\midrule\endhead",
            *(tex_line(line) for line in lines),
            r"\bottomrule",
            r"\end{longtable}",
            r"\endgroup",
        ]
    )


def _latex_list(rows: Sequence[Row]) -> str:
    """Every row, without what the run record says better, in a table that may run over pages."""
    keep = [words.HEADS.index(head) for head in _LISTED]
    return "\n".join(
        [
            r"\begingroup\scriptsize\setlength{\tabcolsep}{3pt}",
            f"\\begin{{longtable}}{{{'l' * (len(keep) - 3)}p{{32mm}}p{{28mm}}p{{28mm}}}}",  # samples, run and note fold
            r"\toprule",
            tex_line(list(_LISTED)),
            r"\midrule\endhead",
            *(tex_line([line[i] for i in keep]) for line in words.listing(rows)),
            r"\bottomrule",
            r"\end{longtable}",
            r"\endgroup",
        ]
    )
