"""Verbs and what a user typed -> the parsed command, and how a mistake in it is told."""

from __future__ import annotations

import argparse
import importlib.metadata
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from framework.arguments import ARGUMENTS
from framework.errors import UserError

Verb = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line, like every other mistake."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}. See `{self.prog} --help`.")


def parser(verbs: Mapping[str, Verb]) -> Parser:
    """The parser of all verbs; a parsed namespace has the verb's function as ``run``.

    Args:
        verbs: function of each name that is parsed here; the first line of its docstring is its help.
    """
    found = Parser(prog="anomaly-ov", description="Find anomalies in photographs, point clouds and medical scans.")
    found.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    subparsers = found.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=Parser)
    for name, add in ARGUMENTS.items():
        text = (verbs[name].__doc__ or "").splitlines()[0]
        made = subparsers.add_parser(name, help=text, description=text)
        made.set_defaults(run=verbs[name])
        add(made)
    return found


def joined(arguments: Sequence[str]) -> list[str]:
    """The same arguments, those of a verb of two words (``leaderboard verify``) with that verb as one."""
    both = " ".join(arguments[:2])
    return [both, *arguments[2:]] if both in ARGUMENTS else list(arguments)


def parsed(verbs: Mapping[str, Verb], arguments: Sequence[str]) -> argparse.Namespace:
    """What a command says. Overrides may stand before its options and after them, which argparse alone refuses.

    Raises:
        UserError: a verb, an option or a value that is none.
    """
    whole = parser(verbs)
    found, rest = whole.parse_known_args(joined(arguments))
    if rest and not (hasattr(found, "overrides") and all(re.match(r"[^-=][^=]*=", text) for text in rest)):
        whole.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        found.overrides += rest
    return found


def _version() -> str:
    try:
        return importlib.metadata.version("anomaly-ov")
    except importlib.metadata.PackageNotFoundError:  # a checkout on PYTHONPATH
        return "not installed"
