"""An experiment with ``one_vs_rest`` -> a run for each class it trains on, and a run of their means."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from framework import provenance
from framework.config import Config, digest
from framework.data.fingerprint import fingerprint
from framework.data.index import Index
from framework.folds import folds, means_of, name_of
from framework.leaderboard.finished import TRAINED, finished, follows
from framework.leaderboard.rows import ALL, NOTHING, VIEWED, Row
from framework.leaderboard.store import load, write_run
from framework.plan import open_checked
from framework.progress import say
from framework.tasks.run import Outcome, expectations, fit

SHARED = ("chance", "error")  # columns that are means over the folds, as the value is
SUMMED = ("normal", "anomalous", "elements", "anomalous_elements", "overlap", "related", "near", "groups")


def fit_folds(config: Config) -> Outcome:
    """Train and test every fold, then write the mean. Folds whose runs lie in ``out`` already are not run again.

    Raises:
        UserError: whatever is wrong with any fold, before the first is trained.
    """
    parts = folds(config)
    opened = {category: open_checked(fold, fit=True) for category, fold in parts.items()}
    done = {category: _finished(fold, *opened[category]) for category, fold in parts.items()}  # alike on all ranks
    runs = []
    for category, fold in parts.items():
        found = done[category]
        say(f"one-vs-rest: {category}" + (f", done in {found}" if found else ""))
        runs.append(found or fit(fold).folder)
    folders = [folder for folder in runs if folder is not None]
    if len(folders) < len(runs) or not config.test:
        return Outcome(None, None)
    stamp = provenance.stamp(config.name, digest(config))
    rows = mean_rows(config, [load([folder]) for folder in folders], stamp)
    told = {"command": provenance.command(), "settings": asdict(config), "runs": [folder.name for folder in folders]}
    folder = write_run(Path(config.out), stamp | told, rows, [], [])
    for row in rows:
        if row.metric == "auroc":
            say(f"{row.tested_on}: {row.element or row.level} AUROC {100 * row.value:.1f}, mean of {len(runs)} runs")
    say(f"run {folder}; compare runs: anomaly-ov leaderboard {folder.parent}")
    return Outcome(folder, None, expectations(config, folder))


def mean_rows(config: Config, runs: Sequence[Sequence[Row]], stamp: dict[str, Any]) -> list[Row]:
    """Of every number of all runs, category "all", its mean.

    Args:
        config: of the experiment.
        runs: rows of each fold.
        stamp: columns that name the run of means.

    Returns:
        Rows whose counts are sums over the runs, which test a sample up to as often as there are folds.
    """
    found = []
    for name, shown in means_of(config).items():
        parts = [
            {
                (r.level, r.metric): r
                for r in rows
                if r.category == ALL and not r.control and r.tested_on in (name, name_of(name, category))
            }
            for category, rows in zip(config.one_vs_rest, runs, strict=True)
        ]
        shared = [key for key in parts[0] if all(key in part for part in parts)]
        found += [_mean(config, shown, [part[key] for part in parts], stamp) for key in shared]
    return found


def _mean(config: Config, name: str, rows: list[Row], stamp: dict[str, Any]) -> Row:
    first = rows[0]
    means = {key: _over(np.mean, rows, key) for key in ("value", "low", "high", *SHARED)}
    sums = {key: _over(np.sum, rows, key) for key in SUMMED}
    whole = means["low"] is not None and means["high"] is not None
    return replace(
        first,
        **stamp,
        **means | ({} if whole else {"low": None, "high": None}),
        **{key: None if total is None else int(total) for key, total in sums.items()},
        tested_on=name,
        trained_on=NOTHING if first.trained_on == NOTHING else f"one of {', '.join(config.one_vs_rest)}",
        weights=_joined(row.weights for row in rows),
        fingerprint=_joined(sorted({row.fingerprint for row in rows})),
        interval=f"mean bounds of {len(rows)} runs; {first.interval}" if whole else "",
        in_domain=any(row.in_domain for row in rows),
        protocol=f"{first.protocol}{'' if first.views else f'{VIEWED}as read'}, mean of {len(rows)} one-vs-rest runs",
    )


def _over(join: Any, rows: list[Row], key: str) -> float | None:
    """Joined over all rows; None where one of them has none."""
    values = [getattr(row, key) for row in rows]
    return None if None in values else float(join(values))


def _joined(hashes: Any) -> str:
    """One hash of several; one alone stays itself."""
    known = list(dict.fromkeys(hashes))
    return known[0] if len(known) == 1 else hashlib.sha256(" ".join(known).encode()).hexdigest()


def _finished(config: Config, train: list[Index], test: list[Index]) -> Path | None:
    """The newest run of an experiment that lies in its ``out``, made of these very files by this very commit."""
    commit, dirty = provenance.commit()
    wanted = digest(config)
    for folder, run in reversed(list(finished(Path(config.out)))):
        same = (run.get("config"), run.get("commit"), run.get("dirty"), dirty) == (wanted, commit, False, False)
        if same and follows(run, folder) and of_run(run, folder) == [contents(train), contents(test)]:
            return folder
    return None


def of_run(run: dict[str, Any], folder: Path) -> list[dict[str, str]]:
    """Fingerprints of what a run was trained and tested on, by name."""
    trained = {origin["name"]: origin["fingerprint"] for origin in run[TRAINED]}
    return [trained, {row.tested_on: row.fingerprint for row in load([folder])}]


def contents(sets: Sequence[Index]) -> dict[str, str]:
    """The same of sets that are to be trained on, or tested."""
    return {index.name: fingerprint(index.records) for index in sets}
