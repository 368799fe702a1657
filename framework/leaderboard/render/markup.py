"""Texts in; a Markdown table, or a line of a LaTeX table, in which they mean themselves, out."""

from __future__ import annotations

import re

from framework.leaderboard.render import words

PACKAGES = r"% needs \usepackage[T1]{fontenc} \usepackage[table]{xcolor} \usepackage{booktabs,longtable}"
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


def pipes(lines: list[list[str]], strong: bool = False) -> str:
    """A Markdown table; names cannot break out of it or become markup."""
    shown = [[plain(text) for text in line] for line in lines]
    if strong:
        shown[1:] = [[f"**{line[0]}**", *line[1:]] for line in shown[1:]]
    shown.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in shown)


def plain(text: str) -> str:
    """Text that means itself in a Markdown table."""
    return re.sub(r"([\\|<>&*_`\[\]])", r"\\\1", re.sub(r"\s*[\r\n]\s*", " ", text))


def tex_line(texts: list[str]) -> str:
    """One line of a table, escaped."""
    return " & ".join(tex(text) for text in texts) + r" \\"


def dash(text: str) -> str:
    """A finished cell as it is, a missing one as LaTeX's dash."""
    return "--" if text == words.MISSING else text


def tex(text: str) -> str:
    """Text that means itself in LaTeX."""
    return "".join(_TEX.get(char, char) for char in text)
