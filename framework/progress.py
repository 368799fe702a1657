"""Lines and progress bars on standard error, from the first process unless another alone knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from framework import processes

T = TypeVar("T")
console = Console(stderr=True, highlight=False)
_shown: list[Progress] = []  # what is on the terminal now, one at most: older rich refuses a second live display


def say(text: str) -> None:
    """One line for the user."""
    if processes.first():
        console.print(text, markup=False, soft_wrap=True)


def tell(text: str) -> None:
    """One line for the user from whichever process knows it."""
    console.print(text, markup=False, soft_wrap=True)


@contextmanager
def silent() -> Iterator[None]:
    """Nothing is said or shown meanwhile, by this process."""
    before, console.quiet = console.quiet, True
    try:
        yield
    finally:
        console.quiet = before


def track(items: Iterable[T], total: int, title: str) -> Iterator[T]:
    """The items, under a bar with what is done, all there is and the time left.

    A bar within a bar is one more line of the outer display. Where standard error is no terminal there is no bar: rich
    would leave an empty line for each.
    """
    if not processes.first() or not console.is_interactive:
        yield from items
        return
    with _display() as progress:
        task = progress.add_task(title, total=total)
        try:
            for item in items:
                yield item
                progress.advance(task)
        finally:
            if len(progress.tasks) > 1:  # the last line goes with the display, which knows how to clear it
                progress.remove_task(task)


@contextmanager
def _display() -> Iterator[Progress]:
    """The display that is on the terminal, or a new one for as long as this lasts."""
    if _shown:
        yield _shown[0]
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        _shown.append(progress)
        try:
            yield progress
        finally:
            _shown.remove(progress)
