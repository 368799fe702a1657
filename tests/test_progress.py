"""Bars and lines on standard error; true of every version of rich that pyproject.toml allows."""

import io

import pytest
from rich.console import Console
from rich.progress import Progress

from framework import progress
from framework.errors import UserError


@pytest.fixture
def terminal(monkeypatch):
    """What is written to a terminal."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    written = io.StringIO()
    found = Console(file=written, force_terminal=True, force_interactive=True, highlight=False, width=80)
    monkeypatch.setattr(progress, "console", found)
    return written


@pytest.fixture
def live(monkeypatch):
    """How many displays are up after each start and stop."""
    counts = [0]
    start, stop = Progress.start, Progress.stop

    def started(self):
        counts.append(counts[-1] + 1)
        start(self)

    def stopped(self):
        counts.append(counts[-1] - 1)
        stop(self)

    monkeypatch.setattr(Progress, "start", started)
    monkeypatch.setattr(Progress, "stop", stopped)
    return counts


def titles():
    return [[(task.description, task.completed) for task in shown.tasks] for shown in progress._shown]


def test_a_bar_within_a_bar_is_a_line_of_one_display(terminal, live):
    seen = []
    for outer in progress.track("ab", 2, "outer"):
        for inner in progress.track([1, 2, 3], 3, "inner"):
            seen.append((outer, inner))
            assert titles() == [[("outer", len(seen) > 3), ("inner", inner - 1)]]
        assert titles() == [[("outer", len(seen) > 3)]]
    assert seen == [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2), ("b", 3)]
    assert live == [0, 1, 0] and titles() == []
    assert "outer" in terminal.getvalue() and "inner" in terminal.getvalue()


def test_an_error_inside_takes_the_display_down(terminal, live):
    def failing():
        yield 1
        raise UserError("bad sample")

    with pytest.raises(UserError, match="bad sample"):
        for _ in progress.track([1], 1, "outer"):
            list(progress.track(failing(), 2, "inner"))
    for _ in progress.track([1], 1, "again"):  # a display that was left behind does not stop a new bar
        assert ("again", 0) in titles()[0]


def test_a_display_that_outlives_its_inner_bars_keeps_its_own(terminal, live):
    outer = progress.track("ab", 2, "outer")
    next(outer)
    inner = progress.track([1, 2], 2, "inner")
    next(inner)
    outer.close()  # out of order, as garbage collection may
    assert live == [0, 1, 0]
    assert list(inner) == [2]
    assert titles() == []


@pytest.mark.parametrize("how", ["no terminal", "another rank"])
def test_without_a_display_nothing_is_written_around_the_items(terminal, monkeypatch, live, how):
    if how == "no terminal":
        monkeypatch.setattr(progress, "console", Console(file=terminal))
    else:
        monkeypatch.setenv("RANK", "1")
    assert list(progress.track([3, 4], 2, "title")) == [3, 4]

    def failing():
        raise UserError("first sample")
        yield

    with pytest.raises(UserError, match="first sample"):
        list(progress.track(failing(), 2, "title"))
    assert terminal.getvalue() == "" and live == [0]


def test_only_the_first_process_says_a_line(terminal, monkeypatch):
    progress.say("[not markup] " + "x" * 100)
    monkeypatch.setenv("LOCAL_RANK", "1")
    progress.say("unheard")
    assert terminal.getvalue() == "[not markup] " + "x" * 100 + "\n"
