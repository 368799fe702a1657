"""Sets under test and a model -> answers to questions about every sample, and the rows they are worth."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from framework import provenance, reasoning, registry
from framework.data.fingerprint import digests, fingerprint, seen
from framework.data.index import Index, open_index
from framework.errors import UserError
from framework.leaderboard.rows import ALL, NOTHING, SEPARATOR, Row
from framework.leaderboard.store import write_run
from framework.models.onevision import tuned
from framework.models.onevision.conversion import origins
from framework.progress import say
from framework.reasoning import Reasoning
from framework.tasks import quiz
from framework.tasks.asking import POOL, Asker
from framework.tasks.free_text import check, free_rows
from framework.tasks.questions import Asked, open_questions
from framework.tasks.quiz import Quiz
from framework.tasks.run import Outcome, expectations
from framework.tasks.verdicts import Line, answer_rows, mmad_rows, score_rows
from framework.types import Record

JUDGED = "judged.jsonl"  # replies of the judge, beside the runs: what was judged once is not paid for again
WORDS = {  # what is asked of a set whose elements are these; the first is the published question
    "pixel": "Are there any defects for the object in the {}? Please reply with 'Yes' or 'No'.",
    "point": "Are there any defects for the object in the {}? Please reply with 'Yes' or 'No'.",
    "voxel": "Are there any abnormalities in the {}? Please reply with 'Yes' or 'No'.",
}


class Labelled:
    """Every sample of a labelled set, asked one question.

    Args:
        index: the set.
        question: "" for the published one, in the words of the domain; ``{}`` in it becomes "image" or "images".
    """

    chosen = True

    def __init__(self, index: Index, question: str) -> None:
        self.index, self.name = index, index.name
        text = question or WORDS.get(index.reader.element, WORDS["pixel"])
        self.question = text.replace("{}", "image" if index.reader.element == "pixel" else "images")
        self.quizzes = [Quiz(record.id, (self.question,)) for record in index.records]

    def views(self, position: int) -> Sequence[np.ndarray]:
        """Views of one sample."""
        return list(self.index.reader.read(self.index.records[position]).views)


Tested = Labelled | Asked


def open_tests(config: Reasoning) -> list[Tested]:
    """Every set under test, without opening a sample.

    Raises:
        UserError: as ``open_index`` and ``open_questions``.
    """
    check(config.text)
    labelled = [Labelled(open_index(name, part), config.answer.question) for name, part in config.test.items()]
    asked = []
    for name, part in config.questions.items():
        try:
            asked.append(open_questions(name, part))
        except UserError as error:
            raise type(error)(f"questions.{name}: {error}") from None
    return [*labelled, *asked]


def test(config: Reasoning) -> Outcome:
    """Ask about every set under test, write a run; processes of one job (torchrun, SLURM) share the samples.

    Raises:
        UserError: anything the user can mend, before anything is asked.
    """
    registry.load_plugins(config.plugins)
    sets = open_tests(config)
    if not sets:
        raise UserError(f"experiment {config.name}: names no set under test or questions, so there is nothing to ask.")
    return answer_sets(config, Path(config.checkpoint or config.model.path), sets, *job())


def job() -> tuple[int, int]:
    """Number of this process and how many there are, as torchrun or SLURM tell; (0, 1) for one alone."""
    for rank, ranks in (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS")):
        if rank in os.environ and ranks in os.environ:
            return int(os.environ[rank]), int(os.environ[ranks])
    return 0, 1


def answer_sets(config: Reasoning, checkpoint: Path, sets: Sequence[Tested], rank: int, ranks: int) -> Outcome:
    """Answer this process's share; the process that finds everything answered writes the run.

    Args:
        config: the experiment.
        checkpoint: model folder or tuned checkpoint.
        sets: what to ask about.
        rank: of this process.
        ranks: how many share the work.

    Returns:
        The run folder; none where other processes still owe answers, or have written the run.
    """
    card = tuned.card_of(checkpoint) if checkpoint.is_file() else None
    model = tuned.identity(checkpoint)
    loaded: list[Asker] = []

    def asker() -> Asker:
        if not loaded:
            loaded.append(Asker(checkpoint, _device(config, rank), config.model.dtype, config.answer.views))
        return loaded[0]

    work = Path(config.out) / f".answers-{config.name}-{reasoning.digest(config)[:12]}-{model[:12]}"
    found = []
    for source in sets:
        key = _key(config, source, model)
        size, longest = config.test_batch_size, config.answer.max_new_tokens
        lines = quiz.answer(asker, source, work, source.name, key, size, longest, rank, ranks)
        quiz.refused(lines, source.name)
        found.append(lines)
    whole = [quiz.complete(lines, source, source.name) for lines, source in zip(found, sets, strict=True)]
    if not all(whole) or not _first(work):
        return Outcome(None, None)
    folder = _write(config, checkpoint, card, model, sets, found)
    shutil.rmtree(work)
    written = folder / tuned.FILE
    return Outcome(folder, written if written.exists() else None, expectations(config, folder))


def _write(
    config: Reasoning,
    checkpoint: Path,
    card: dict[str, Any] | None,
    model: str,
    sets: Sequence[Tested],
    found: Sequence[list[dict[str, Any]]],
) -> Path:
    """Rows of all sets, and the run folder that holds them, every answer and what was tuned."""
    trained_on = card["trained_on"] if card else origins(checkpoint)
    common = _common(config, card, model, trained_on)
    known = {digest for origin in trained_on for digest in origin["digests"]}
    rows: list[Row] = []
    samples: list[dict[str, Any]] = []
    for source, answered in zip(sets, found, strict=True):
        told = [line for line in answered if "error" not in line]
        lines = _lines(source, told, known)
        columns = common | _tested(source, [line["position"] for line in told])
        rows += _rows(config, source, told, lines, columns)
        samples += [_sample(source, line, plain) for line, plain in zip(lines, told, strict=True)]
    answers = json.dumps({s.name: lines for s, lines in zip(sets, found, strict=True)}, indent=1)
    attached: dict[str, Any] = {"answers.json": lambda path: path.write_text(answers, encoding="utf-8")}
    if checkpoint.is_file():
        attached[tuned.FILE] = partial(shutil.copyfile, checkpoint)
    run = common | {"checkpoint": str(checkpoint), "settings": asdict(config), "card": card or {}}
    run["card"] = {k: v for k, v in run["card"].items() if k != "trained_on"}
    folder = write_run(Path(config.out), run, rows, samples, [], attached)
    for row in rows:
        if row.category == ALL and row.metric in ("auroc", "balanced_accuracy", "rouge_l", "accuracy"):
            say(f"{row.tested_on}: {row.level} {row.metric} {100 * row.value:.1f}")
    say(f"run {folder}; compare runs: anomaly-ov leaderboard {folder.parent}")
    return folder


def _rows(
    config: Reasoning,
    source: Tested,
    told: list[dict[str, Any]],
    lines: list[Line],
    columns: dict[str, Any],
) -> list[Row]:
    """What the answers about one set are worth."""
    if isinstance(source, Labelled):
        return score_rows(lines, columns) + answer_rows(lines, columns)
    items = [source.items[line["position"]] for line in told]
    if source.kind == "visa_dr":
        return score_rows(lines, columns) + answer_rows(lines, columns)
    if source.kind == "mmad":
        return mmad_rows(lines, items, columns)
    return free_rows(config.text, lines, items, columns, Path(config.out) / JUDGED)


def _lines(source: Tested, told: list[dict[str, Any]], known: set[str]) -> list[Line]:
    """What is known of each answered sample."""
    records = [_record(source, line["position"]) for line in told]
    overlap = seen(known, digests(records))
    return [
        Line(r.category, r.group or r.id, r.anomalous, o, float(line["logit"]), tuple(line["answers"]))
        for r, o, line in zip(records, overlap, told, strict=True)
    ]


def _record(source: Tested, position: int) -> Record:
    if isinstance(source, Labelled):
        return source.index.records[position]
    item = source.items[position]
    return Record(item.images[-1], source.anomalous(position), item.category, group=str(item.images[-1]))


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


def _tested(source: Tested, positions: list[int]) -> dict[str, Any]:
    """The columns that are the same in every row of a set."""
    records = [_record(source, i) for i in positions]
    if isinstance(source, Labelled):
        config = source.index.config
        domain, dataset, unit = config.domain, config.dataset, source.index.unit
    else:
        domain, dataset, unit = "industrial", source.kind, "picture"
        records = list({record.path: record for record in records}.values())
    print_ = fingerprint(records)
    return {"tested_on": source.name, "domain": domain, "dataset": dataset, "fingerprint": print_, "unit": unit}


def _common(
    config: Reasoning, card: dict[str, Any] | None, model: str, trained_on: list[dict[str, Any]]
) -> dict[str, Any]:
    """The columns that are the same in every row of a run."""
    commit, dirty = provenance.commit()
    date = datetime.now(UTC)
    sha = reasoning.digest(config)
    device = _device(config, 0)
    name = torch.cuda.get_device_name(0) if device.startswith("cuda") else device
    return {
        "run": f"{date:%Y%m%dT%H%M%S%f}-{config.name}-{sha[:8]}",
        "date": date.isoformat(timespec="seconds"),
        "commit": commit,
        "dirty": dirty,
        "config": sha,
        "seed": card["run"]["seed"] if card else config.seed,
        "experiment": config.name,
        "model": f"anomaly_ov, {config.answer.views} views shown, views {POOL}",
        "backbone": Path(card["model"] if card else config.model.path).name or "model",
        "weights": model,
        "trained_on": SEPARATOR.join(origin["name"] for origin in trained_on) or NOTHING,
        "hardware": provenance.hardware(name, job()[1], torch.get_num_threads()),
        "packages": provenance.packages(),
    }


def _key(config: Reasoning, source: Tested, model: str) -> str:
    """What the answers about a set follow from."""
    questions = [(q.id, q.questions) for q in source.quizzes]
    reader = source.index.config.reader if isinstance(source, Labelled) else {}
    told = [model, asdict(config.answer), config.model.dtype, reader, questions]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def _device(config: Reasoning, rank: int) -> str:
    """Where this process computes."""
    if config.trainer.accelerator == "cpu" or not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{rank % torch.cuda.device_count()}"


def _first(work: Path) -> bool:
    """Whether this process is the first to find everything answered, of several that may."""
    try:
        (work / "writing").touch(exist_ok=False)
    except (FileExistsError, FileNotFoundError):
        return False
    return True
