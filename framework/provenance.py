"""Where a number comes from: the commit, the machine and the packages that made it. Loads no torch."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]
_typed: ContextVar[tuple[str, ...]] = ContextVar("typed", default=())
PACKAGES = ("torch", "lightning", "torchmetrics", "transformers", "timm", "open_clip_torch", "open3d", "monai", "numpy")


def commit() -> tuple[str, bool]:
    """Short commit of the project's checkout, or "unknown", and whether files differ from it."""
    head = _git("rev-parse", "--short=12", "HEAD")
    return (head or "unknown"), bool(_git("status", "--porcelain"))


@contextmanager
def typed(arguments: Sequence[str]) -> Iterator[None]:
    """While a command runs: what was typed after ``anomaly-ov``, for the records of the runs it makes."""
    token = _typed.set(tuple(arguments))
    try:
        yield
    finally:
        _typed.reset(token)


def command() -> list[str]:
    """The arguments after ``anomaly-ov`` of the command that runs now; none where a program calls the framework."""
    return list(_typed.get())


def stamp(experiment: str, config: str) -> dict[str, Any]:
    """The columns that name a run made now: run, date, commit, dirty, config, experiment.

    Args:
        experiment: its name.
        config: sha256 of its settings.
    """
    head, dirty = commit()
    date = datetime.now(UTC)
    return {
        "run": f"{date:%Y%m%dT%H%M%S%f}-{experiment}-{config[:8]}",
        "date": date.isoformat(timespec="seconds"),
        "commit": head,
        "dirty": dirty,
        "config": config,
        "experiment": experiment,
    }


def packages() -> str:
    """Versions of what the numbers depend on, for example ``"python 3.11.7, torch 2.13.0"``."""
    found = [f"python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def hardware(device: str, ranks: int, threads: int) -> str:
    """What it ran on, for example ``"2 x cpu (x86_64, 2 cores, threads 1)"``.

    Args:
        device: as torch names it, "cpu" or the name of the GPU.
        ranks: how many processes.
        threads: of each; the order of sums, and so their last digits, depends on it.
    """
    return f"{ranks} x {device} ({platform.machine()}, {os.cpu_count()} cores, threads {threads})"


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
