"""An experiment -> Lightning's trainer, what it saves, and its mistakes and interrupts as ours."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from framework.config import Config
from framework.errors import UserError
from framework.models.backbones.sources import one_line
from framework.models.experts.traits import Traits
from framework.reasoning import Reasoning
from framework.tasks.selection import MEASURE


def make_trainer(config: Config | Reasoning, callbacks: list[Callback], **options: Any) -> Trainer:
    """Lightning's trainer from the experiment, silent but for its progress bar; ``options`` go before the experiment's.

    Raises:
        UserError: what Lightning refuses.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning.*")
    try:
        return Trainer(
            **asdict(config.trainer) | options,
            callbacks=callbacks,
            logger=False,
            enable_checkpointing=bool(callbacks),
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,  # ours are exact: see data/sampling.py
            log_every_n_steps=1,
            default_root_dir=config.out,
        )
    except (MisconfigurationException, ImportError, ValueError, TypeError) as error:  # all it raises for its options
        raise _refused(error) from None


@contextmanager
def told(trainer: Trainer) -> Iterator[None]:
    """Hand on what Lightning keeps to itself: an interrupt, which it ends with status 1, and the user's mistakes."""
    try:
        yield
    except MisconfigurationException as error:
        raise _refused(error) from None
    except torch.OutOfMemoryError as error:
        raise UserError(f"{one_line(error).partition('. ')[0]}. Take smaller batches or more devices.") from None
    except SystemExit:
        if not trainer.interrupted:
            raise
        raise KeyboardInterrupt from None


def saving(work: Path, selecting: bool) -> list[Callback]:
    """Keep the last epoch, to go on from, and where one is selected the best so far."""
    common: dict[str, Any] = {"save_top_k": 1, "enable_version_counter": False, "save_on_train_epoch_end": True}
    found: list[Callback] = [ModelCheckpoint(work, filename="last", every_n_epochs=1, **common)]
    if selecting:
        found.append(ModelCheckpoint(work, filename="best", monitor=MEASURE, mode="max", **common))
    return found


def looping(config: Config, known: Traits) -> dict[str, Any]:
    """Options of the trainer for an expert with these traits: what one keeps of what it was shown is a usual tensor."""
    if known.fits != "once" and not known.transductive:
        return {}
    return {"inference_mode": False, "limit_predict_batches": config.trainer.limit_train_batches}


def _refused(error: Exception) -> UserError:
    """What Lightning says of the experiment's ``trainer``, its first line."""
    return UserError(f"trainer: {str(error).strip().splitlines()[0]}")
