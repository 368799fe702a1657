"""Lines and progress bars on standard error, from the first process only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

T = TypeVar("T")
console = Console(stderr=True, highlight=False)


def first_process() -> bool:
    """Whether this process speaks: rank 0 of a distributed run, or the only one."""
    return os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")) == "0"


def say(text: str) -> None:
    """One line for the user."""
    if first_process():
        console.print(text, markup=False, soft_wrap=True)


def track(items: Iterable[T], total: int, title: str) -> Iterator[T]:
    """The items, under a bar with what is done, all there is and the time left."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not first_process()) as progress:
        task = progress.add_task(title, total=total)
        for item in items:
            yield item
            progress.advance(task)
