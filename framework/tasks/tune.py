"""A stage-2 experiment -> a tuned checkpoint and a run folder, through Lightning, resumable in mid-epoch."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

from framework import plan_language, provenance, reasoning, registry
from framework.data import looks
from framework.data.fingerprint import digests
from framework.data.instruct.conversations import Conversation
from framework.data.instruct.talks import measure
from framework.errors import UserError
from framework.files import write_whole
from framework.leaderboard.rows import SEPARATOR
from framework.locks import held
from framework.models.cards import Origin
from framework.models.onevision import tuned
from framework.models.onevision.chat import Chat
from framework.models.onevision.conversion import CONVERSATIONS, origins
from framework.models.onevision.modeling import AnomalyOV
from framework.models.trained import plain
from framework.progress import say
from framework.reasoning import Reasoning
from framework.tasks.answered import Tested
from framework.tasks.language import answer_sets, open_tests
from framework.tasks.reason import Reason, TalkData
from framework.tasks.run import Outcome
from framework.tasks.trainers import make_trainer, told
from framework.types import Record

LAST = "last.ckpt"
NOTED = "about.json"
ANSWERED = "answered-{}.json"  # what a process left behind
PAUSE = 0.2  # seconds


def fit(config: Reasoning) -> Outcome:
    """Tune, ask about every set under test, write the run.

    One that was killed goes on at its last checkpoint when the same experiment is run again.

    Raises:
        UserError: anything the user can mend, before anything is trained.
    """
    registry.load_plugins(config.plugins)
    dtype = _dtype(config)
    talks = read(config)
    sets = open_tests(config)
    seed_everything(config.seed, workers=True, verbose=False)
    model, chat = _model(config, dtype)
    t = config.tune
    measured = measure(talks, chat, t.labels, t.max_length, t.too_long, t.unreadable)
    work = Path(config.out) / f".training-{config.name}-{reasoning.digest(config)[:12]}"
    saving = ModelCheckpoint(
        work, filename="last", save_top_k=1, every_n_train_steps=config.tune.save_every, enable_version_counter=False
    )
    data = TalkData(config, measured, chat)
    trainer = _trainer(config, saving, data)
    card = _card(config, talks)
    task = Reason(config, model, trainer.accumulate_grad_batches, _steps(trainer, data), card)
    task.train()  # Lightning leaves the mode as it is, and a loaded model is in eval mode
    with held(work, config.name, trainer.is_global_zero):
        _check_resume(work, card, trainer.world_size)
        if not (work / tuned.FILE).exists():
            _tune(task, data, trainer, work)
        outcome = _answer(config, work, sets, trainer.global_rank, trainer.world_size)
        if outcome.folder is not None:
            shutil.rmtree(work)
    return outcome


def _tune(task: Reason, data: TalkData, trainer: Trainer, work: Path) -> None:
    """Train, from the last checkpoint where there is one, and write what was tuned."""
    last, model = work / LAST, task.model
    (work / ANSWERED.format(trainer.global_rank)).unlink(missing_ok=True)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    say(f"tuning {trained / 1e6:.1f} of {sum(p.numel() for p in model.parameters()) / 1e6:.1f} million numbers")
    if last.exists():
        say(f"going on from {last}")
    with told(trainer):
        trainer.fit(task, datamodule=data, ckpt_path=str(last) if last.exists() else None, weights_only=True)
    _save(work / tuned.FILE, task, trainer)


def _answer(config: Reasoning, work: Path, sets: list[Tested], rank: int, ranks: int) -> Outcome:
    """Ask with the processes that have trained, which first part: to answer may take longer than their barriers wait.

    Returns:
        What the last of them left behind, in the first process, which waits for all; nothing in the others.
    """
    if not torch.distributed.is_initialized():  # one process, or a run that was killed after its training
        return Outcome(None, None) if rank else answer_sets(config, work / tuned.FILE, sets, 0, 1)
    torch.distributed.destroy_process_group()
    found = answer_sets(config, work / tuned.FILE, sets, rank, ranks)
    write_whole(work / ANSWERED.format(rank), json.dumps([str(found.folder or ""), found.status]).encode())
    if rank:
        return Outcome(None, None)
    notes = [work / ANSWERED.format(other) for other in range(ranks)]
    while not all(note.exists() for note in notes):
        time.sleep(PAUSE)
    for folder, status in (json.loads(note.read_text(encoding="utf-8")) for note in notes):
        if folder and found.folder is None:
            say(f"run {folder}; compare runs: anomaly-ov leaderboard {Path(folder).parent}")
            found = Outcome(Path(folder), Path(folder) / tuned.FILE, status)
    if found.folder is None:  # each was told that another writes
        return answer_sets(config, work / tuned.FILE, sets, 0, ranks)
    return found


def _model(config: Reasoning, dtype: str) -> tuple[AnomalyOV, Chat]:
    """The model with what is tuned asking for gradients, and its chat."""
    base = Path(config.model.path).expanduser()
    if base.is_file():
        raise UserError(f"model.path: {base} is no folder; merge a tuned checkpoint: anomaly-ov convert {base} FOLDER.")
    model, chat = tuned.load(base, dtype, config.model.attention)
    whole = config.trainer.precision in ("bf16-true", "16-true")
    tuned.prepare(model, config.tune, None if whole else torch.float32)
    if config.tune.checkpointing:
        tuned.recompute(model)
    return model, chat


def read(config: Reasoning) -> list[Conversation]:
    """All conversations to tune on, checked.

    Raises:
        UserError: none are named, or as ``conversations.load``.
    """
    if not config.train:
        raise UserError(f"experiment {config.name}: train names no conversations, so there is nothing to fit.")
    return plan_language.read(config)


def _dtype(config: Reasoning) -> str:
    """What frozen tensors are kept in, which must go with the precision of the trained ones."""
    precision, asked = config.trainer.precision, config.model.dtype
    found = "bfloat16" if precision.startswith("bf16") else "float16" if precision == "16-true" else "float32"
    allowed = {"auto", found} if precision.endswith("-true") else {"auto", found, "float32"}
    if asked not in allowed:
        raise UserError(f"model.dtype: {asked} does not go with trainer.precision={precision}. Use model.dtype=auto.")
    return found if asked == "auto" else asked


def _trainer(config: Reasoning, saving: ModelCheckpoint, data: TalkData) -> Trainer:
    """Lightning's trainer with as many micro-batches a step as the batch size asks for on its ranks."""
    strategy: Any = config.trainer.strategy
    if strategy == "fsdp2":  # one file, as else: Lightning's folders of shards cannot leave out what is frozen
        strategy = ModelParallelStrategy(save_distributed_checkpoint=False)
    elif strategy == "ddp":
        strategy = DDPStrategy(gradient_as_bucket_view=True)  # gradients lie in what is sent, not beside it
    trainer = make_trainer(config, [saving], strategy=strategy)
    trainer.accumulate_grad_batches = data.batches(0, trainer.world_size).accumulate
    return trainer


def _steps(trainer: Trainer, data: TalkData) -> int:
    """Steps of the whole training; to count them, Lightning would open the loader before it knows where to go on."""
    return math.ceil(data.taken(trainer) / trainer.accumulate_grad_batches) * int(trainer.max_epochs or 1)


def _check_resume(work: Path, card: dict[str, Any], ranks: int) -> None:
    """Note what a run is about, or refuse to go on where that has changed."""
    now = {
        "the model": card["fingerprint"],
        "what it is trained on": card["trained_on"],
    }
    if not (work / tuned.FILE).exists():
        now["the number of devices"] = ranks
    path = work / NOTED
    if not path.exists():
        write_whole(path, json.dumps(now).encode())
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    for key, value in now.items():
        if before[key] != value:
            raise UserError(f"{work}: {key} has changed since this run was interrupted. Delete {work} to restart.")


def _save(path: Path, task: Reason, trainer: Trainer) -> None:
    """Write what was tuned, gathered from all ranks."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    found = get_model_state_dict(task.model, options=options)
    if trainer.is_global_zero:
        names = {name for name, parameter in task.model.named_parameters() if parameter.requires_grad}
        tuned.save(path, {name: tensor for name, tensor in found.items() if name in names}, task.card)
    trainer.strategy.barrier()


def _card(config: Reasoning, talks: list[Conversation]) -> dict[str, Any]:
    """What travels inside the checkpoint."""
    commit, dirty = provenance.commit()
    base = Path(config.model.path).expanduser()
    pictures = sorted({path for talk in talks for path in (*talk.images, *talk.sample) if path.is_file()})
    contents = dict(zip(pictures, digests([Record(p, anomalous=False, category="") for p in pictures]), strict=True))
    shown = hashlib.sha256()
    for talk in talks:
        shown.update(repr((talk.turns, talk.anomaly, [contents[path] for path in talk.images])).encode())
    seen = looks.packed(looks.looks([Record(p, anomalous=False, category="") for p in pictures]))
    names, content = SEPARATOR.join(config.train), sorted(set(contents.values()))
    origin = Origin(names, CONVERSATIONS, shown.hexdigest(), content, looks=seen)
    return {
        "schema": tuned.SCHEMA,
        "model": str(base.resolve()),
        "fingerprint": tuned.fingerprint(base),
        "lora": asdict(config.tune.lora),
        "trained_on": [*origins(base), asdict(origin)],
        "run": {
            "experiment": config.name,
            "seed": config.seed,
            "commit": commit,
            "dirty": dirty,
            "config": reasoning.digest(config),
            "settings": plain(asdict(config)),
        },
    }
