"""The verbs of ``anomaly-ov`` that take runs: ``leaderboard``, and verify, merge and rescore below it."""

from __future__ import annotations

import argparse


def leaderboard(arguments: argparse.Namespace) -> int:
    """Merge the rows of many runs into one table and matrix."""
    from framework.leaderboard import leaderboard

    text = leaderboard(
        arguments.paths,
        arguments.format,
        arguments.out,
        beside=arguments.beside,
        pictures=arguments.pictures,
        metrics=arguments.metrics,
    )
    if arguments.out is None:
        print(text)
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Run again what made a run, and say of every row whether it holds."""
    from framework.tasks.verify import verify

    found = verify(arguments.folder, arguments.overrides, arguments.sets, arguments.tolerance)
    for checked in found:
        print(checked)
    wrong = sum(bool(checked.problem) for checked in found)
    print(f"{len(found) - wrong} of {len(found)} rows hold")
    return 1 if wrong else 0


def merge(arguments: argparse.Namespace) -> int:
    """Copy runs of several folders into one, each whole and unchanged."""
    from framework.leaderboard.merging import merge

    copied, there = merge(arguments.paths, arguments.out)
    print(f"{arguments.out}: {copied} runs copied, {there} were there already")
    return 0


def rescore(arguments: argparse.Namespace) -> int:
    """Make the rows of runs anew by today's metrics, from the scores that they saved."""
    from framework.leaderboard.store import folders, none_found
    from framework.tasks.rescore import rescore

    found = folders(arguments.paths)
    if not found:
        raise none_found(arguments.paths)
    for folder in found:
        written, new, kept = rescore(folder, arguments.out or folder.parent)
        rest = f"; {kept} of an old definition have no saved scores and stay" if kept else ""
        print(f"{folder.name}: " + (f"{new} rows anew in {written}" if written else "every row is as today") + rest)
    return 0
