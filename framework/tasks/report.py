"""What evaluation collected -> rows of the leaderboard, written as one run folder by the first process."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from framework import provenance
from framework.config import digest
from framework.data.fingerprint import digests, fingerprint, seen
from framework.data.index import Index
from framework.data.kinship import related
from framework.errors import UserError
from framework.leaderboard.rows import (
    ALL,
    LEGACY,
    METRICS,
    NOTHING,
    POOLED,
    SEPARATOR,
    VIEWED,
    Row,
    averaged,
    chance_level,
)
from framework.leaderboard.statistics import Interval, element_interval, sample_interval
from framework.leaderboard.store import write_run
from framework.metrics.curves import STRICT
from framework.metrics.intervals import DICE, dice_interval, sensitivity_interval
from framework.models import trained
from framework.progress import say
from framework.tasks.controls import controls
from framework.tasks.definitions import definition
from framework.tasks.levels import Level, levels, reduced

if TYPE_CHECKING:
    from framework.tasks.detect import Detect

CHECKPOINT = "expert.ckpt"  # beside the rows, in the folder of a run that trained
RESAMPLES = 1000
INTERVAL = f"percentile bootstrap by group, {RESAMPLES} resamples, 95 %"
UNSAVED = ("position", "alone", "seen", "related", "grid", "views", "cues", "found")  # of a line


def report(task: Detect) -> Path | None:
    """Reduce, make rows and write them. Every rank calls this; the first returns the run folder, others None."""
    collected = [(e, reduced(e), *e.gather()) for e in task.evaluations]
    if not task.trainer.is_global_zero:
        return None
    common = _common(task)
    rows: list[Row] = []
    samples: list[dict[str, Any]] = []
    pictures: list[dict[str, Any]] = []
    for evaluation, curves, lines, items in collected:
        index = evaluation.index
        contents = digests(index.records)
        lines = _taught(lines, task.card["trained_on"], index, contents)
        rows += _set_rows(index, levels(index, curves, lines, task.config.model.pool), common, contents)
        samples += [{k: v for k, v in line.items() if k not in UNSAVED} for line in lines]
        pictures += [item | {"trained_on": common["trained_on"]} for item in items]
    if collected and not rows:
        raise UserError(f"experiment {task.config.name}: no set under test has both classes, so there is no row.")
    attached = {CHECKPOINT: partial(trained.save, expert=task.expert, card=task.card)} if task.trained else {}
    folder = write_run(Path(task.config.out), _run(task, common), rows, samples, pictures, attached)
    for line in _summary(rows):
        say(line)
    say(f"run {folder}; compare runs: anomaly-ov leaderboard {folder.parent}")
    return folder


def _taught(
    lines: list[dict[str, Any]], origins: list[dict[str, Any]], index: Index, contents: list[str]
) -> list[dict[str, Any]]:
    """The lines with what the model was trained on: the sample itself (``seen``), and of its group (``related``)."""
    same = seen({digest for origin in origins for digest in origin["digests"]}, contents)
    kin = related(origins, index)
    return [line | {"seen": same[i], "related": kin[i]} for line in lines for i in (line["position"],)]


def _set_rows(index: Index, found: list[Level], common: dict[str, Any], contents: list[str]) -> list[Row]:
    """Rows of all levels of a set, each beside its controls; ``contents`` are the digests of its records."""
    rows: list[Row] = []
    columns = common | _tested(index, contents)
    views = index.views
    viewed = f"{VIEWED}{views}" if views else ""
    for level in found:
        rows += level_rows(level, columns, viewed, len(index.categories))
        for control, own in controls(level):
            rows += level_rows(control, columns | own, viewed, len(index.categories))
    return rows


def _common(task: Detect) -> dict[str, Any]:
    """The columns that are the same in every row of a run."""
    config, card = task.config, task.card
    device = task.trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    expert = config.model.expert
    names = [o["name"] for o in card["trained_on"]]
    start = f" from {Path(expert.weights).name}" if expert.weights else ""
    return provenance.stamp(config.name, digest(config)) | {
        "seed": card["run"].get("seed", config.seed),
        "model": f"{expert.name}{start}, {config.model.crops} crops, views {config.model.pool}",
        "backbone": config.model.backbone.name,
        "weights": trained.weights_hash(task.expert, task.backbone),
        "trained_on": SEPARATOR.join(names) or NOTHING,
        "hardware": provenance.hardware(name, task.trainer.world_size, torch.get_num_threads()),
        "packages": provenance.packages(),
    }


def _tested(index: Index, contents: list[str]) -> dict[str, Any]:
    """The columns that are the same in every row of a set."""
    return {
        "tested_on": index.name,
        "domain": index.config.domain,
        "dataset": index.config.dataset,
        "fingerprint": fingerprint(index.records, contents),
        "unit": index.unit,
    }


def level_rows(level: Level, columns: dict[str, Any], viewed: str = "", of: int = 0) -> list[Row]:
    """Rows of all metrics: each category, the unweighted mean of those that have it, "all", and one pot, "pooled".

    Args:
        level: of the set.
        columns: that all rows share.
        viewed: end of every row's protocol: how views were made.
        of: how many categories the set has, of which a level may know fewer; 0 for those of the level.
    """
    rows, of = [], of or len(level.curves)
    for metric in METRICS:
        values = {c: v for c, curves in level.curves.items() if (v := getattr(curves, metric, None)) is not None}
        if values and level.whole:
            ending = averaged(len(values), of) + viewed
            rows.append(_row(level, metric, list(values), columns | {"category": ALL}, ending))
        if len(level.curves) > 1 or not level.whole:
            for category in values:
                rows.append(_row(level, metric, [category], columns | {"category": category}, viewed))
        if of > 1 and getattr(level.pooled, metric, None) is not None:
            rows.append(_row(level, metric, [POOLED], columns | {"category": POOLED}, viewed))
    return rows


def _row(level: Level, metric: str, categories: list[str], columns: dict[str, Any], ending: str) -> Row:
    together = level.pooled if categories == [POOLED] else None
    curves = [together] if together else [level.curves[c] for c in categories]
    lines = [line for line in level.lines if together or line["category"] in categories]
    value = float(np.mean([getattr(c, metric) for c in curves]))
    interval = _interval(level, metric, [line | {"category": POOLED} for line in lines] if together else lines)
    if interval is not None and not interval.describes(value):
        interval = None
    anomalous = sum(line["label"] for line in lines)
    overlap = sum(line["seen"] for line in lines)
    kin = sum(line["related"] and not line["seen"] for line in lines)
    chances = [chance_level(metric, c.positives / (c.positives + c.negatives)) for c in curves]
    by_element = level.name in ("element", "grid")
    return Row(
        **columns,
        level=level.name,
        element=level.element,
        metric=metric,
        value=value,
        error=float(np.mean([getattr(c, f"{metric}_error", 0.0) for c in curves])),
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        interval=INTERVAL if interval else "",
        groups=len({line["group"] for line in lines}),
        chance=None if None in chances else float(np.mean(chances)),
        normal=len(lines) - anomalous,
        anomalous=anomalous,
        elements=sum(c.positives + c.negatives for c in curves) if by_element else None,
        anomalous_elements=sum(c.positives for c in curves) if by_element else None,
        in_domain=overlap + kin > 0,
        overlap=overlap,
        related=kin,
        protocol=definition(metric, level) + ending,
    )


def _summary(rows: list[Row]) -> list[str]:
    """One line a set under test: its AUROC at both levels, over its categories."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row.category == ALL and row.metric == "auroc" and not row.control:
            span = (
                f" ({100 * row.low:.1f}–{100 * row.high:.1f})" if row.low is not None and row.high is not None else ""
            )
            seen = ", in-domain" if row.in_domain else ""
            text = f"{row.element or row.level} AUROC {100 * row.value:.1f}{span}{seen}"
            found.setdefault(row.tested_on, []).append(text)
    return [f"{tested_on}: {'; '.join(texts)}" for tested_on, texts in found.items()]


def _interval(level: Level, metric: str, lines: list[dict[str, Any]]) -> Interval | None:
    groups, categories = ([line[key] for line in lines] for key in ("group", "category"))
    if level.name in ("sample", "view", "group"):
        scores = np.array([line["logit"] for line in lines])
        labels = np.array([line["label"] for line in lines])
        return sample_interval(scores, labels, groups, categories, metric, resamples=RESAMPLES)
    if metric == "sensitivity":
        return sensitivity_interval(_stacked(lines, "found"), groups, categories, resamples=RESAMPLES)
    if metric in LEGACY:  # its thresholds hang on two single scores, which no histogram holds
        return None
    hists = _stacked(lines, "hist")
    if metric in DICE:
        return dice_interval(hists, groups, categories, metric, resamples=RESAMPLES)
    regions = np.array([line["regions"] for line in lines])
    name, limit = ("aupro", STRICT) if metric == "aupro_05" else (metric, 0.3)
    return element_interval(hists, regions, groups, categories, name, resamples=RESAMPLES, fpr_limit=limit)


def _stacked(lines: list[dict[str, Any]], name: str) -> np.ndarray:
    """``(n, 3, K)`` coarse histograms."""
    return np.stack([np.frombuffer(line[name], np.float32).reshape(3, -1) for line in lines])


def _run(task: Detect, common: dict[str, Any]) -> dict[str, Any]:
    """``run.json``: everything once that the rows repeat or leave out."""
    card = {k: v for k, v in task.card.items() if k != "trained_on"}
    origins = [{k: v for k, v in o.items() if k not in ("digests", "groups")} for o in task.card["trained_on"]]
    return common | {
        "checkpoint": task.config.checkpoint,
        "card": card,
        "trained_sets": origins,
        "settings": asdict(task.config),
    }
