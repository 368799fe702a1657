"""Answers about sets under test -> the rows they are worth, and the run folder that holds both."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from framework import provenance, reasoning
from framework.data.fingerprint import digests, fingerprint, seen
from framework.data.kinship import related
from framework.data.known import behind, between, known, names
from framework.data.looks import near
from framework.leaderboard.answers import METRICS as ANSWERED
from framework.leaderboard.rows import ALL, NOTHING, SEPARATOR, Row
from framework.leaderboard.store import write_run
from framework.metrics.text.mmad import SUBTASKS
from framework.models.onevision import tuned
from framework.models.onevision.conversion import origins
from framework.progress import tell
from framework.reasoning import Reasoning
from framework.tasks.devices import device
from framework.tasks.free_text import free_numbers, free_rows
from framework.tasks.labelled import Labelled
from framework.tasks.questions import Asked
from framework.tasks.seeing import POOL
from framework.tasks.verdicts import PUBLISHED, RULES, STRICT, Line, answer_rows, mmad_rows, score_rows

JUDGED = "judged.jsonl"  # replies of the judge, beside the runs: what was judged once is not paid for again
SHOWN = ("auroc", "accuracy", "balanced_accuracy", "coverage", "rouge_l", "similarity", "judge")  # on the screen
Tested = Labelled | Asked


def write(
    config: Reasoning,
    checkpoint: Path,
    card: dict[str, Any] | None,
    model: str,
    sets: Sequence[Tested],
    found: Sequence[list[dict[str, Any]]],
    ranks: int,
) -> Path:
    """Rows of all sets, and the run folder that holds them, every answer and what was tuned; from so many ranks."""
    trained_on = card["trained_on"] if card else origins(checkpoint)
    common = _common(config, checkpoint, card, model, trained_on, ranks)
    rows: list[Row] = []
    samples: list[dict[str, Any]] = []
    for source, answered in zip(sets, found, strict=True):
        told = [line for line in answered if "error" not in line]
        lines = _lines(source, told, trained_on)
        columns = common | _tested(source, told) | {"known": _published(source, trained_on, checkpoint)}
        rows += _rows(config, source, told, lines, columns)
        samples += [_sample(source, line, each) for line, each in zip(lines, told, strict=True)]
    answers = json.dumps({s.name: lines for s, lines in zip(sets, found, strict=True)}, indent=1)
    attached: dict[str, Any] = {"answers.json": lambda path: path.write_text(answers, encoding="utf-8")}
    if checkpoint.is_file():
        attached[tuned.FILE] = partial(shutil.copyfile, checkpoint)
    shown = {k: v for k, v in (card or {}).items() if k != "trained_on"}
    run = common | {
        "command": provenance.command(),
        "checkpoint": str(checkpoint),
        "settings": asdict(config),
        "card": shown,
    }
    folder = write_run(Path(config.out), run, rows, samples, [], attached)
    for row in rows:
        if row.category == ALL and row.metric in SHOWN:
            tell(f"{row.tested_on}: {row.level} {row.metric} {100 * row.value:.1f}")
    tell(f"run {folder}; compare runs: anomaly-ov leaderboard {folder.parent}")
    return folder


def numbers(config: Reasoning, source: Tested) -> list[tuple[str, str]]:
    """Level and metric of every number over all categories that ``write`` will have for a set."""
    if isinstance(source, Asked) and source.kind not in ("visa_dr", "mmad"):
        return free_numbers(config.text, source.items)
    if isinstance(source, Asked) and source.kind == "mmad":
        whole = {item.subtask for item in source.items} == set(SUBTASKS)
        found = [(STRICT, "accuracy")] if whole else []
        return [*found, (PUBLISHED, "accuracy"), *((level, "coverage") for level in RULES)]
    records = [source.record(i) for i in range(len(source.quizzes))]
    both = {r.category for r in records if r.anomalous} & {r.category for r in records if not r.anomalous}
    answers = [(level, metric) for level in RULES for metric in (*ANSWERED, "coverage")]
    if not both:
        return [(level, metric) for level, metric in answers if metric != "balanced_accuracy"]
    return [("sample", "auroc"), ("sample", "ap"), ("sample", "f1_max"), *answers]


def _rows(
    config: Reasoning,
    source: Tested,
    told: list[dict[str, Any]],
    lines: list[Line],
    columns: dict[str, Any],
) -> list[Row]:
    """What the answers about one set are worth."""
    if isinstance(source, Labelled):
        return score_rows(lines, columns) + answer_rows(lines, columns, config.answer.question)
    items = [source.items[line["position"]] for line in told]
    if source.kind == "visa_dr":
        return score_rows(lines, columns) + answer_rows(lines, columns)
    if source.kind == "mmad":
        return mmad_rows(lines, items, columns)
    return free_rows(config.text, lines, items, columns, Path(config.out) / JUDGED)


def _lines(source: Tested, told: list[dict[str, Any]], trained_on: list[dict[str, Any]]) -> list[Line]:
    """What is known of each answered sample."""
    records = [source.record(line["position"]) for line in told]
    overlap = seen({digest for origin in trained_on for digest in origin["digests"]}, digests(records))
    kin = related(trained_on, source.index) if isinstance(source, Labelled) else [False] * len(source.quizzes)
    again = near([origin.get("looks", "") for origin in trained_on], records)
    return [
        Line(
            *(r.category, r.group or line["id"], r.anomalous, o, float(line["logit"]), tuple(line["answers"])),
            related=kin[line["position"]],
            near=a,
        )
        for r, o, a, line in zip(records, overlap, again, told, strict=True)
    ]


def _published(source: Tested, trained_on: list[dict[str, Any]], checkpoint: Path) -> str:
    """What is published of an overlap of the set with the training sets, or with those of a published checkpoint."""
    if isinstance(source, Labelled):
        return known(trained_on, source.index, str(checkpoint))
    trained = {name for o in trained_on for name in names(o["name"], o["source"], o.get("root", ""))}
    return between(trained | behind(str(checkpoint)), names(source.name, source.kind, ""))


def _sample(source: Tested, line: Line, told: dict[str, Any]) -> dict[str, Any]:
    score = float(torch.tensor(line.logit, dtype=torch.float64).sigmoid())
    return {
        "id": told["id"],
        "category": line.category,
        "group": line.group,
        "label": line.label,
        "score": score,
        "logit": line.logit,
        "tested_on": source.name,
        "hist": None,
        "regions": None,
    }


def _choices(config: Reasoning) -> str:
    """How pictures were resized, where that is not as published, and whether their captions were kept back."""
    resized = "" if config.answer.resize == "exact" else f", {config.answer.resize} resize"
    return resized + ("" if config.answer.captions else ", no captions")


def _tested(source: Tested, told: list[dict[str, Any]]) -> dict[str, Any]:
    """The columns that are the same in every row of a set; of published questions, these are part of its content."""
    records = [source.record(line["position"]) for line in told]
    content = fingerprint(records)
    if isinstance(source, Labelled):
        config = source.index.config
        domain, dataset, unit = config.domain, config.dataset, source.index.unit
    else:
        domain, dataset, unit = "industrial", source.kind, "picture"
        items = [source.items[line["position"]] for line in told]
        content = hashed([content, *((item.questions, item.references) for item in items)])
    return {"tested_on": source.name, "domain": domain, "dataset": dataset, "fingerprint": content, "unit": unit}


def _common(
    config: Reasoning,
    checkpoint: Path,
    card: dict[str, Any] | None,
    model: str,
    trained_on: list[dict[str, Any]],
    ranks: int,
) -> dict[str, Any]:
    """The columns that are the same in every row of a run.

    Two models whose folders share a name, or that one experiment tests, are two methods, so names end in hashes.
    """
    base, weights = (Path(card["model"]), card["fingerprint"]) if card else (checkpoint, model)
    place = device(config.trainer.accelerator, 0)
    name = torch.cuda.get_device_name(0) if place.startswith("cuda") else place
    return provenance.stamp(config.name, reasoning.digest(config)) | {
        "seed": card["run"]["seed"] if card else config.seed,
        "model": f"anomaly_ov{_tuned(card)}, {config.answer.views} views shown, views {POOL}{_choices(config)}",
        "backbone": f"{base.resolve().name} {weights[:8]}",
        "weights": model,
        "trained_on": SEPARATOR.join(origin["name"] for origin in trained_on) or NOTHING,
        "hardware": provenance.hardware(name, ranks, torch.get_num_threads()),
        "packages": provenance.packages(),
    }


def _tuned(card: dict[str, Any] | None) -> str:
    """How a model was tuned, in short: the same for every seed, another for other options or conversations."""
    if card is None:
        return ""
    settings = card["run"]["settings"]
    trained = [settings["trainer"][key] for key in ("precision", "max_epochs", "gradient_clip_val")]
    shown = [origin["fingerprint"] for origin in card["trained_on"]]
    return f" tuned by {card['run']['experiment']} {hashed([settings['tune'], settings['optim'], trained, shown])[:8]}"


def hashed(parts: list[Any]) -> str:
    """Sha256 of what JSON, or else text, makes of the parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
