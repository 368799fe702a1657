"""A stage-2 experiment -> a tuned checkpoint and a run folder, through Lightning, resumable in mid-epoch."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import ModelParallelStrategy
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.utils.data import DataLoader

from framework import provenance, reasoning, registry
from framework.data.fingerprint import digests
from framework.data.instruct import conversations
from framework.data.instruct.conversations import Conversation
from framework.data.instruct.talks import GroupedBatches, Measured, Talks, loader, measure
from framework.errors import UserError
from framework.files import make_folder
from framework.leaderboard.rows import SEPARATOR
from framework.models.onevision import tuned
from framework.models.onevision.chat import Chat
from framework.models.onevision.conversion import origins
from framework.models.trained import Origin, plain
from framework.progress import say
from framework.reasoning import Reasoning
from framework.tasks.language import answer_sets, open_tests
from framework.tasks.reason import Reason
from framework.tasks.run import Outcome, make_trainer, told
from framework.types import Record

LAST = "last.ckpt"


class TalkData(LightningDataModule):
    """Conversations as micro-batches of this rank.

    Args:
        config: the experiment.
        measured: what to train on.
        chat: of the model.
    """

    def __init__(self, config: Reasoning, measured: list[Measured], chat: Chat) -> None:
        super().__init__()
        self.config, self.measured, self.chat = config, measured, chat

    def batches(self, rank: int, ranks: int) -> GroupedBatches:
        """The sampler of one rank; it starts where an interrupted epoch stopped."""
        o, t = self.config.optim, self.config.tune
        return GroupedBatches(
            self.measured, o.batch_size, t.at_once, self.config.seed, rank, ranks, o.grouped, t.average, self._start
        )

    def train_dataloader(self) -> DataLoader[Any]:
        trainer = self.trainer
        assert trainer is not None
        data = Talks(self.measured, self.chat, self.config.tune.labels, self.config.tune.unreadable)
        return loader(data, self.batches(trainer.global_rank, trainer.world_size), self.config.workers)

    def _start(self) -> tuple[int, int]:
        trainer = self.trainer
        assert trainer is not None
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        return trainer.current_epoch, done


def fit(config: Reasoning) -> Outcome:
    """Tune, ask about every set under test, write the run.

    One that was killed goes on at its last checkpoint when the same experiment is run again.

    Raises:
        UserError: anything the user can mend, before anything is trained.
    """
    registry.load_plugins(config.plugins)
    talks = read(config)
    sets = open_tests(config)
    seed_everything(config.seed, workers=True, verbose=False)
    model, chat = tuned.load(Path(config.model.path), _dtype(config), config.model.attention)
    whole = config.trainer.precision in ("bf16-true", "16-true")
    tuned.prepare(model, config.tune, None if whole else torch.float32)
    measured = measure(talks, chat, config.tune.labels, config.tune.max_length, config.tune.too_long)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    say(f"tuning {trained / 1e6:.1f} of {sum(p.numel() for p in model.parameters()) / 1e6:.1f} million numbers")
    if config.tune.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    work = Path(config.out) / f".training-{config.name}-{reasoning.digest(config)[:12]}"
    saving = ModelCheckpoint(
        work, filename="last", save_top_k=1, every_n_train_steps=config.tune.save_every, enable_version_counter=False
    )
    data = TalkData(config, measured, chat)
    trainer = _trainer(config, saving, data)
    task = Reason(config, model, trainer.accumulate_grad_batches, _card(config, talks))
    make_folder(work)
    last, done = work / LAST, work / tuned.FILE
    if not done.exists():
        if last.exists():
            say(f"going on from {last}")
        with told(trainer):
            trainer.fit(task, datamodule=data, ckpt_path=str(last) if last.exists() else None, weights_only=False)
        _save(done, task, trainer)
    outcome = answer_sets(config, done, sets, trainer.global_rank, trainer.world_size)
    trainer.strategy.barrier()
    if outcome.folder is not None:
        shutil.rmtree(work)
    return outcome


def read(config: Reasoning) -> list[Conversation]:
    """All conversations to tune on, checked.

    Raises:
        UserError: none are named, or as ``conversations.load``.
    """
    if not config.train:
        raise UserError(f"experiment {config.name}: train names no conversations, so there is nothing to fit.")
    found: list[Conversation] = []
    for name, part in config.train.items():
        try:
            found += conversations.load(Path(part.path), Path(part.images), config.seed)
        except UserError as error:
            raise type(error)(f"train.{name}: {error}") from None
    return found


def _dtype(config: Reasoning) -> str:
    """What frozen tensors are kept in."""
    if config.model.dtype != "auto":
        return config.model.dtype
    precision = config.trainer.precision
    return "bfloat16" if precision.startswith("bf16") else "float16" if precision == "16-true" else "float32"


def _trainer(config: Reasoning, saving: ModelCheckpoint, data: TalkData) -> Trainer:
    """Lightning's trainer with as many micro-batches a step as the batch size asks for on its ranks."""
    strategy: Any = config.trainer.strategy
    if strategy == "fsdp2":
        strategy = ModelParallelStrategy(data_parallel_size="auto", tensor_parallel_size=1)
    trainer = make_trainer(config, [saving], strategy=strategy)
    trainer.accumulate_grad_batches = data.batches(0, trainer.world_size).accumulate
    return trainer


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
    base = Path(config.model.path)
    if base.is_file():
        raise UserError(f"model.path: {base} is no folder; merge a tuned checkpoint: anomaly-ov convert {base} FOLDER.")
    pictures = sorted({path for talk in talks for path in (*talk.images, *talk.sample) if path.is_file()})
    contents = digests([Record(path, anomalous=False, category="") for path in pictures])
    name = SEPARATOR.join(config.train)
    shown = hashlib.sha256("".join(repr((talk.turns, talk.anomaly)) for talk in talks).encode()).hexdigest()
    origin = Origin(name, "conversations", shown, sorted(set(contents)))
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
