"""A run folder -> the same run with rows by today's metrics, from the scores it saved: no model runs, no data is read.

Rows whose metric is defined today as it was then stay as they are. Of another version, samples and groups are exact to
the error their row states, and so are slices; elements, cells of a grid and Dice follow from each sample's coarse
histogram, so their error is larger, and stated. What is not saved (controls, and where lesions are found; in runs of an
older version single slices and grids) keeps the row it had.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from framework import provenance
from framework.errors import UserError
from framework.leaderboard import seal
from framework.leaderboard.rows import Row
from framework.leaderboard.store import load, load_gallery, load_samples, write_run
from framework.leaderboard.units import units
from framework.metrics.axis import Scale
from framework.metrics.curves import REGION, Curves, curves
from framework.metrics.dice import coarse_overlap
from framework.tasks.controls import UNTAUGHT
from framework.tasks.definitions import PROTOCOLS
from framework.tasks.level_rows import level_rows
from framework.tasks.levels import Level, Scanned, curves_of, grouped, pooled_of
from framework.tasks.selection import sourced

TABLES = ("rows.parquet", "samples.parquet", "gallery.parquet")
_FRESH = ("value", "error", "low", "high", "interval", "chance", "protocol")  # what a metric decides of a row


def rescore(folder: Path, out: Path) -> tuple[Path | None, int, int]:
    """Write the run again where a metric has another definition now; ``leaderboard`` then shows the newer rows.

    Args:
        folder: of a run.
        out: folder of runs that the new one is added to.

    Returns:
        The new run folder, None where every row is as today; how many rows are new, and how many others of an old
        definition keep it.

    Raises:
        UserError: the run is older than this, or is no run; ``out`` cannot be written.
        UnreadableError: the run was changed since it was written.
    """
    if not (folder / seal.RECORD).is_file():
        raise UserError(f"{folder}: no run folder, it has no {seal.RECORD}.")
    seal.check_folder(folder)
    run, rows = seal.read(folder), load([folder])
    if "levels" not in run:
        raise UserError(f"{folder}: does not say what its levels are (older than that, or answers); test again.")
    fresh = {_key(row): row for row in _made(run, rows, load_samples([folder]))}
    old = [row for row in rows if _version(row.protocol) != _version(PROTOCOLS.get(row.metric, row.protocol))]
    stamp = provenance.stamp(run["experiment"], run["config"])
    moment = {name: stamp[name] for name in ("run", "date", "commit", "dirty")}
    new = {_key(row): _renewed(row, fresh[_key(row)]) for row in old if _key(row) in fresh}
    if not new:
        return None, 0, len(old)
    told = [replace(new.get(_key(row), row), **moment) for row in rows]
    record = {k: v for k, v in run.items() if k not in (seal.FILES, seal.SEAL)} | stamp | {"rescored": run["run"]}
    samples, gallery = ([_own(item) for item in read([folder])] for read in (load_samples, load_gallery))
    written = write_run(out, record, told, samples, gallery, _attached(folder, run))
    return written, len(new), len(old) - len(new)


def _made(run: Mapping[str, Any], rows: list[Row], samples: list[dict[str, Any]]) -> Iterator[Row]:
    """Rows by today's metrics of every level whose scores are saved."""
    rule = "max" if "scores" in run else run.get("settings", {}).get("model", {}).get("pool", "max")
    for tested_on, told in run["levels"].items():
        own = [row for row in rows if row.tested_on == tested_on and not row.control]
        lines = [s for s in samples if s["tested_on"] == tested_on]
        for level in told:
            like = [row for row in own if (row.level, row.element) == (level["name"], level["element"])]
            for found in again(level, lines, rule) if like else ():
                columns = {k: v for k, v in asdict(like[0]).items() if k not in _COUNTED}
                yield from level_rows(found, columns)


_COUNTED = (  # columns that ``level_rows`` fills
    *("category", "level", "element", "metric", "groups", "normal", "anomalous", "elements", "anomalous_elements"),
    *("in_domain", "overlap", "related", "near", "known", *_FRESH),
)


def again(told: Mapping[str, Any], samples: list[dict[str, Any]], rule: str) -> Iterator[Level]:
    """A level as it was evaluated, from what was saved of its samples; of scans what is measured of them beside it."""
    name = told["name"]
    lines = [line | UNTAUGHT for line in units(samples, name)]
    if name == "group" and not lines:  # of a run that kept none
        lines = grouped([line | UNTAUGHT for line in samples if line["group"] != line["id"]], rule)
    if not lines:
        return
    if name in ("element", "grid"):
        yield Level(**told, curves=_by_category(lines), lines=lines, pooled=coarse_curves(lines))
    else:
        level = Level(**told, curves=curves_of(lines), lines=lines, pooled=pooled_of(lines))
        yield level
        if name == "sample" and all(line["flagged"] is not None for line in lines):
            yield sourced(level, lines)
    if name == "element" and (scans := [line | UNTAUGHT for line in units(samples, "scan")]):
        found = {c: _scanned([line for line in scans if line["category"] == c]) for c in _categories(scans)}
        yield Level(**told, curves=found, lines=scans)


def _scanned(lines: list[dict[str, Any]]) -> Scanned:
    """Dice of scans at the edges of coarse bins; lesions found are kept too coarsely to say how far off they are."""
    hists = _hists(lines)[:, :2]
    normal, anomalous = hists.sum((0, 2)).astype(int).tolist()
    best, fixed, error = coarse_overlap(hists[hists[:, 1].any(1)])
    return Scanned(normal, anomalous, best, fixed, None, error)


def _by_category(lines: list[dict[str, Any]]) -> dict[str, Curves]:
    return {name: coarse_curves([line for line in lines if line["category"] == name]) for name in _categories(lines)}


def _categories(lines: list[dict[str, Any]]) -> list[str]:
    return sorted({line["category"] for line in lines})


def _hists(lines: list[dict[str, Any]]) -> np.ndarray:
    """``(n, 3, K)`` float64."""
    return np.stack([np.frombuffer(line["hist"], np.float32).reshape(3, -1) for line in lines]).astype(np.float64)


def coarse_curves(lines: list[dict[str, Any]]) -> Curves:
    """Curves of the elements of some samples; elements of a coarse bin tie, and the error says what that can cost.

    Shares of regions were rounded when they were saved: those of a sample add up to its number of regions again, and
    never to more, which would count as one region that no score covers.
    """
    hists, regions = _hists(lines), np.array([line["regions"] or 0 for line in lines])
    hists[:, 2] *= (regions * (1 - 1e-12) / np.maximum(hists[:, 2].sum(1), 1e-30))[:, None]
    whole = hists.sum(0)  # (3, K)
    edges = np.arange(whole.shape[1], dtype=np.float64)
    whole[2] *= REGION
    return curves(whole.astype(np.int64), Scale(edges, edges + 1, np.zeros(len(edges), bool)))


def _renewed(row: Row, fresh: Row) -> Row:
    """A row with what the metric says now; what was counted, and what the model was taught, stays."""
    return replace(row, **{name: getattr(fresh, name) for name in _FRESH} | {"protocol": fresh.definition + _tail(row)})


def _tail(row: Row) -> str:
    """What ``level_rows`` adds to a definition: over how many categories, and how views were made."""
    found = re.search(r"; mean over (?:\d+ of \d+ )?categories.*|; views: .*", row.protocol, re.DOTALL)
    return found[0] if found else ""


def _version(protocol: str) -> str:
    """For example "aupro/1"."""
    return protocol.partition(";")[0].partition(",")[0].strip()


def _key(row: Row) -> tuple[str, ...]:
    return row.model, row.tested_on, row.category, row.level, row.element, row.metric


def _own(item: dict[str, Any]) -> dict[str, Any]:
    """An entry as ``write_run`` takes it, which adds the run."""
    return {key: value for key, value in item.items() if key != "run"}


def _attached(folder: Path, run: Mapping[str, Any]) -> dict[str, Callable[[Path], object]]:
    """The other files of the run, such as its expert."""
    return {name: partial(shutil.copyfile, folder / name) for name in run.get(seal.FILES, {}) if name not in TABLES}
