"""Rows in; the transfer matrices and the list of rows as Markdown or LaTeX, or one tidy CSV, out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from csv import writer
from dataclasses import astuple
from io import StringIO

from framework.leaderboard.evidence import Samples
from framework.leaderboard.matrix import Cell, matrices, newest
from framework.leaderboard.render import standing, words
from framework.leaderboard.render.standing import Standing, standings
from framework.leaderboard.rows import COLUMNS, Row

_PACKAGES = r"% needs \usepackage[T1]{fontenc} \usepackage[table]{xcolor} \usepackage{booktabs,longtable}"
_LISTED = ("trained on", "tested on", "category", "level", "metric", "value", "interval", "chance", "samples", "run")
_TEX = {char: "\\" + char for char in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "±": r"$\pm$",
    "≈": r"$\approx$",
    "↓": r"$\downarrow$",
    "§": r"\S{}",
    "†": r"\textsuperscript{\textdagger}",
    "‡": r"\textsuperscript{\textdaggerdbl}",
    "\u202f": r"\,",
    "\n": " ",
}


def markdown(rows: Sequence[Row], samples: Samples = ()) -> str:
    """A legend, a section per level and metric with its matrix, who is better than whom, then every row.

    Args:
        rows: of any runs.
        samples: their saved scores; without them there are no ranks and no pairs.

    Returns:
        GitHub Markdown, values times 100.

    Raises:
        UserError: rows that cannot be compared.
    """
    found = standings(matrices(rows), samples)
    parts = ["# Leaderboard", "\n".join(f"- {line}" for line in _legend(rows, found))]
    for one in found:
        parts += [f"## {words.title(one.matrix)}", _pipes(standing.grid(one, _cell), strong=True)]
    for title, lines in standing.pair_lines(found).items():
        parts += [f"## Who is better: {title}", _pipes([list(standing.PAIR_HEADS), *lines])]
    if notes := standing.pair_notes(found):
        parts.append("\n".join(f"- {_plain(note)}" for note in notes))
    return "\n\n".join([*parts, "## All rows", _pipes([list(words.HEADS), *words.listing(rows)])]) + "\n"


def csv(rows: Sequence[Row], samples: Samples = ()) -> str:
    """One line per row, values as fractions in full precision, for machines.

    Args:
        rows: of any runs.
        samples: their saved scores; without them nothing is compared.

    Returns:
        Every field of Row, then ``superseded`` (a newer run measured it again) and ``in_matrix``: the rows where it
        is true, by (level, metric, trained_on, tested_on), are the transfer matrices; ``line``, what the matrix calls
        the method, ``rank``, and ``better_than`` and ``worse_than``: the lines of which that is significant, joined
        by "; ".

    Raises:
        UserError: rows that cannot be compared.
    """
    current = set(newest(rows))
    found = standings(matrices(rows), samples)
    shown = {row: (one, *key) for one in found for key, cell in one.matrix.cells.items() for row in cell.rows}
    text = StringIO()
    lines = writer(text, lineterminator="\n")
    lines.writerow([*COLUMNS, "superseded", "in_matrix", "line", "rank", "better_than", "worse_than"])
    for row in rows:
        stands = standing.against(*shown[row]) if row in shown else ("", "", "", "")
        lines.writerow([*astuple(row), row not in current, row in shown, *stands])
    return text.getvalue()


def latex(rows: Sequence[Row], samples: Samples = ()) -> str:
    """A table coloured like the page per level and metric, who is better than whom, then every row.

    The first line names the packages.

    Args:
        rows: of any runs.
        samples: their saved scores; without them there are no ranks and no pairs.

    Returns:
        LaTeX to be input, values times 100.

    Raises:
        UserError: rows that cannot be compared.
    """
    found = standings(matrices(rows), samples)
    parts = [_PACKAGES, "\n\n".join(_tex(line) for line in _legend(rows, found))]
    parts += [_latex_matrix(one) for one in found]
    parts += [_latex_pairs(title, lines) for title, lines in standing.pair_lines(found).items()]
    parts += [_tex(note) for note in standing.pair_notes(found)]
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


def _pipes(lines: list[list[str]], strong: bool = False) -> str:
    """A Markdown table; names cannot break out of it or become markup."""
    plain = [[_plain(text) for text in line] for line in lines]
    if strong:
        plain[1:] = [[f"**{line[0]}**", *line[1:]] for line in plain[1:]]
    plain.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in plain)


def _plain(text: str) -> str:
    """Text that means itself in a Markdown table."""
    return re.sub(r"([\\|<>&*_`\[\]])", r"\\\1", re.sub(r"\s*[\r\n]\s*", " ", text))


def _latex_matrix(one: Standing) -> str:
    """One table environment."""

    def show(cell: Cell, rank: str) -> str:
        background, text = (colour[1:].upper() for colour in words.heat(cell.value, one.matrix.metric))
        return f"\\cellcolor[HTML]{{{background}}}\\textcolor[HTML]{{{text}}}{{{_tex(_cell(cell, rank))}}}"

    head, *lines, chance = standing.grid(one, show)
    sets = len(one.matrix.tested) + 1
    body = [
        " & ".join([_tex(line[0]), *(_dash(text) for text in line[1:sets]), *(_tex(text) for text in line[sets:])])
        for line in lines
    ]
    rows = [r"\toprule", _line(head), r"\midrule", *(f"{line} \\\\" for line in body), r"\midrule", _line(chance)]
    return "\n".join(
        [
            r"\begin{table}[ht]",
            r"\centering",
            f"\\caption{{{_tex(words.title(one.matrix))}}}",
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
            f"\\caption{{Who is better: {_tex(title)}}} \\\\",
            r"\toprule",
            _line(list(heads)),
            r"\midrule\endhead",
            *(_line(line) for line in lines),
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
            f"\\begin{{longtable}}{{{'l' * (len(keep) - 2)}p{{32mm}}p{{28mm}}}}",  # samples and run fold
            r"\toprule",
            _line(list(_LISTED)),
            r"\midrule\endhead",
            *(_line([line[i] for i in keep]) for line in words.listing(rows)),
            r"\bottomrule",
            r"\end{longtable}",
            r"\endgroup",
        ]
    )


def _line(texts: list[str]) -> str:
    """One line of a table, escaped."""
    return " & ".join(_tex(text) for text in texts) + r" \\"


def _dash(text: str) -> str:
    """A finished cell as it is, a missing one as LaTeX's dash."""
    return "--" if text == words.MISSING else text


def _tex(text: str) -> str:
    """Text that means itself in LaTeX."""
    return "".join(_TEX.get(char, char) for char in text)
