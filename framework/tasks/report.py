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
from framework.data.known import known
from framework.data.looks import near
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
from framework.leaderboard.statistics import (
    Interval,
    delong_interval,
    element_interval,
    independent,
    sample_interval,
)
from framework.leaderboard.store import write_run
from framework.metrics.curves import STRICT
from framework.metrics.fixed import f1_interval
from framework.metrics.intervals import DICE, dice_interval, sensitivity_interval
from framework.models import trained
from framework.progress import say
from framework.protocols import recipe
from framework.tasks.controls import controls
from framework.tasks.definitions import definition
from framework.tasks.levels import Level, levels, reduced
from framework.tasks.pooling import scoring_of
from framework.tasks.selection import UNTRAINED, at_threshold

if TYPE_CHECKING:
    from framework.tasks.detect import Detect

CHECKPOINT = "expert.ckpt"  # beside the rows, in the folder of a run that trained
RESAMPLES = 1000
UNSAVED = ("position", "alone", "seen", "related", "near", "grid", "views", "cues", "found")  # of a line


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
        lines = taught(lines, task.card["trained_on"], index, contents)
        found = levels(index, curves, lines, task.config.model.pool)
        columns = common | {"known": _published(task, index)}
        rows += set_rows(index, found, columns, contents, *_scored(task))
        samples += [{k: v for k, v in line.items() if k not in UNSAVED} for line in lines]
        pictures += [item | {"trained_on": common["trained_on"]} for item in items]
    if collected and not rows:
        raise UserError(f"experiment {task.config.name}: no set under test has both classes, so there is no row.")
    attached = {CHECKPOINT: partial(trained.save, expert=task.expert, card=task.card)} if task.trained else {}
    folder = write_run(Path(task.config.out), _run(task, common), rows, samples, pictures, attached)
    for line in summary(rows):
        say(line)
    say(f"run {folder}; compare runs: anomaly-ov leaderboard {folder.parent}")
    return folder


def taught(
    lines: list[dict[str, Any]], origins: list[dict[str, Any]], index: Index, contents: list[str]
) -> list[dict[str, Any]]:
    """The lines with what the model was trained on.

    That is the sample itself (``seen``), others of its group (``related``), the same picture stored again (``near``).
    """
    same = seen({digest for origin in origins for digest in origin["digests"]}, contents)
    kin, again = related(origins, index), near([o.get("looks", "") for o in origins], index.records)
    told = [{"seen": s, "related": k, "near": a} for s, k, a in zip(same, kin, again, strict=True)]
    return [line | told[line["position"]] for line in lines]


def _published(task: Detect, index: Index) -> str:
    """What is published of an overlap with what the model was trained on, or the expert that it began from."""
    return known(task.card["trained_on"], index, task.config.model.expert.weights)


def _scored(task: Detect) -> tuple[str, float | None]:
    """How views were scored and smoothed, in words, and the threshold that the source has given, if it has."""
    return scoring_of(task.config.model).words, task.card.get("selection", {}).get("threshold")


def set_rows(
    index: Index,
    found: list[Level],
    common: dict[str, Any],
    contents: list[str],
    how: str = "",
    threshold: float | None = None,
) -> list[Row]:
    """Rows of all levels of a set, each beside its controls; ``contents`` are the digests of its records.

    ``how`` says how views were scored or maps resized, ``threshold`` is that of the source; see ``_scored``.
    """
    rows: list[Row] = []
    columns = common | _tested(index, contents)
    views = ", ".join(filter(None, [index.views or ("as read" if how.startswith("maps of") else ""), how]))
    viewed = f"{VIEWED}{views}" if views else ""
    if threshold is not None:
        sourced = [at_threshold(level, threshold) for level in found if level.name == "sample"]
        rows += [row for level in sourced for row in level_rows(level, columns, viewed, len(index.categories))]
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
    method, options = card["expert"]["name"], card["expert"]["options"]  # of a checkpoint, not of today's experiment
    if options and task.traits.fits != "gradient":  # a rival that was changed is another method
        method += f" ({', '.join(f'{key} {value}' for key, value in sorted(options.items()))})"
    names, how = [o["name"] for o in card["trained_on"]], scoring_of(config.model).words
    start = f" from {Path(expert.weights).name}" if expert.weights else ""
    return provenance.stamp(config.name, digest(config)) | {
        "seed": card["run"].get("seed", config.seed),
        "model": ", ".join(
            filter(None, [f"{method}{start}", f"{config.model.crops} crops, views {config.model.pool}", how])
        ),
        "backbone": config.model.backbone.name,
        "weights": trained.weights_hash(task.expert, task.backbone),
        "trained_on": SEPARATOR.join(names) or NOTHING,
        "hardware": provenance.hardware(name, task.trainer.world_size, torch.get_num_threads()),
        "packages": provenance.packages(),
        "recipe": recipe(config),
        "selection": card.get("selection", {}).get("words", "") if names else UNTRAINED,
        "transductive": task.traits.transductive,
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
    near = sum(line.get("near", False) and not line["seen"] for line in lines)
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
        interval=interval.how if interval else "",
        groups=len({line["group"] for line in lines}),
        chance=None if None in chances else float(np.mean(chances)),
        normal=len(lines) - anomalous,
        anomalous=anomalous,
        elements=sum(c.positives + c.negatives for c in curves) if by_element else None,
        anomalous_elements=sum(c.positives for c in curves) if by_element else None,
        in_domain=overlap + kin + near > 0 or bool(columns.get("known")),
        overlap=overlap,
        related=kin,
        near=near,
        protocol=definition(metric, level) + ending,
    )


def summary(rows: list[Row]) -> list[str]:
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
    """By DeLong where it holds: of AUROC, where every sample is a unit of its own.

    It needs no draws, and near 100 and with few samples it holds the truth more often than percentiles do. Where
    samples share a group, and of every other metric, groups are resampled.
    """
    groups, categories = ([line[key] for line in lines] for key in ("group", "category"))
    if metric == "f1_source":
        calls, labels = (np.array([line[key] for line in lines], bool) for key in ("flagged", "label"))
        return f1_interval(calls, labels, groups, categories, resamples=RESAMPLES)
    if level.name in ("sample", "view", "group"):
        scores = np.array([line["logit"] for line in lines])
        labels = np.array([line["label"] for line in lines])
        if metric == "auroc" and independent(groups, categories):
            return delong_interval(scores, labels, categories)
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
    origins = [{k: v for k, v in o.items() if k not in ("digests", "groups", "looks")} for o in task.card["trained_on"]]
    return common | {
        "command": provenance.command(),
        "checkpoint": task.config.checkpoint,
        "card": card,
        "trained_sets": origins,
        "settings": asdict(task.config),
    }
