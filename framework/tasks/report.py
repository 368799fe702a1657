"""What evaluation collected -> rows of the leaderboard, written as one run folder by the first process."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from framework import provenance
from framework.config import digest
from framework.data.fingerprint import digests, fingerprint, seen
from framework.data.index import Index
from framework.data.kinship import related
from framework.data.known import known
from framework.data.looks import near
from framework.errors import UserError
from framework.leaderboard.finished import EXPERT
from framework.leaderboard.rows import (
    ALL,
    NOTHING,
    SEPARATOR,
    VIEWED,
    Row,
)
from framework.leaderboard.store import write_run
from framework.models import trained
from framework.progress import say
from framework.protocols import recipe
from framework.tasks.controls import controls
from framework.tasks.level_rows import level_rows
from framework.tasks.levels import Level, levels, reduced
from framework.tasks.pooling import scoring_of
from framework.tasks.saved import kept
from framework.tasks.selection import UNTRAINED, at_threshold

if TYPE_CHECKING:
    from framework.tasks.detect import Detect


def report(task: Detect) -> Path | None:
    """Reduce, make rows and write them. Every rank calls this; the first returns the run folder, others None."""
    collected = [(e, reduced(e), *e.gather()) for e in task.evaluations]
    if not task.trainer.is_global_zero:
        return None
    common = _common(task)
    rows: list[Row] = []
    samples: list[dict[str, Any]] = []
    pictures: list[dict[str, Any]] = []
    told: dict[str, list[dict[str, Any]]] = {}
    for evaluation, curves, lines, items in collected:
        index = evaluation.index
        contents = digests(index.records)
        lines = taught(lines, task.card["trained_on"], index, contents)
        found = levels(index, curves, lines, task.config.model.pool)
        columns = common | {"known": _published(task, index)}
        rows += set_rows(index, found, columns, contents, *_scored(task))
        told[index.name] = [level.told for level in found]
        samples += kept(lines, found, _scored(task)[1])
        pictures += [item | {"trained_on": common["trained_on"]} for item in items]
    if collected and not rows:
        raise UserError(f"experiment {task.config.name}: no set under test has both classes, so there is no row.")
    attached = {EXPERT: partial(trained.save, expert=task.expert, card=task.card)} if task.trained else {}
    folder = write_run(Path(task.config.out), _run(task, common) | {"levels": told}, rows, samples, pictures, attached)
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
