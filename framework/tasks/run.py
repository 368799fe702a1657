"""An experiment -> a trained checkpoint and a run folder, through Lightning, resumable."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.nn import Module

from framework import provenance, registry
from framework.config import Config, digest
from framework.data.datamodule import DomainData
from framework.data.overlap import stored_again
from framework.errors import UserError
from framework.files import check_writable
from framework.leaderboard.finished import EXPERT
from framework.leaderboard.render.beside import beside
from framework.leaderboard.rows import ALL
from framework.leaderboard.store import load
from framework.locks import held
from framework.models import trained
from framework.models.experts import traits
from framework.models.trained import KEY
from framework.plan import open_checked
from framework.progress import say
from framework.reasoning import Reasoning
from framework.tasks.detect import Detect
from framework.tasks.origins import origin_of
from framework.tasks.report import report
from framework.tasks.selection import MEASURE, hold_out, needs_maps, words
from framework.tasks.trainers import looping, make_trainer, saving, told


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a verb left behind.

    Attributes:
        folder: the run folder; None on ranks other than the first, and where no set was tested.
        checkpoint: the trained expert.
        status: 0, or 1 where the experiment's ``expect`` was missed.
    """

    folder: Path | None
    checkpoint: Path | None
    status: int = 0


def fit(config: Config, backbone: Module | None = None) -> Outcome:
    """Train, test, write. A run that was killed goes on at its last epoch when the same experiment is run again.

    An expert that is fitted by one pass makes it again then. One that has nothing to learn is tested as it is.

    Args:
        config: the experiment.
        backbone: where it is loaded already; None loads it.

    Raises:
        UserError: anything the user can mend, before anything is trained; the same experiment is being trained already.
    """
    check_writable(Path(config.out))
    known = traits.named(config.model.expert.name)
    train, test = open_checked(config, fit=True)
    kept, held_out = hold_out(config, train)
    work = Path(config.out) / f".training-{config.name}-{digest(config)[:12]}"
    callbacks = saving(work, bool(held_out) and known.fits == "gradient")
    trainer = make_trainer(config, callbacks, **looping(config, known))
    seed_everything(config.seed, workers=True, verbose=False)
    backbone, expert = trained.build_model(config.model, backbone)
    card = trained.describe(config.model, backbone.identity, [origin_of(i) for i in train], _run_card(config))
    task = Detect(config, backbone, expert, card)
    keep = needs_maps(config.model) or known.categories
    data = DomainData(config, kept, test, backbone, held_out, keep, known)
    if trainer.is_global_zero:
        for line in stored_again(train, test):
            say(line)
    with held(work, config.name, trainer.is_global_zero):
        last = work / "last.ckpt"
        if last.is_file():
            _check_resume(last, card)
            say(f"going on from {last}")
        with told(trainer):
            if known.fits == "gradient":
                trainer.fit(task, datamodule=data, ckpt_path=str(last) if last.is_file() else None, weights_only=True)
            elif known.fits == "once":
                trainer.predict(task, datamodule=data, return_predictions=False)
            else:
                say(f"{config.model.expert.name} has nothing to train: the train sets are not read, it is only tested")
            _select(config, trainer, task, data)
        task.trained = True
        return _finish(config, trainer, task, data, work)


def test(config: Config, backbone: Module | None = None) -> Outcome:
    """Test the trained expert in ``checkpoint``, else a published one in ``model.expert.weights``; write a run.

    Args:
        config: the experiment.
        backbone: where it is loaded already; None loads it.

    Raises:
        UserError: anything the user can mend, before anything is scored.
    """
    registry.load_plugins(config.plugins)
    known = traits.named(config.model.expert.name)
    if not config.checkpoint and not config.model.expert.weights and known.fits != "never":
        raise UserError(
            f"experiment {config.name}: test needs checkpoint=..., or a published expert in model.expert.weights."
        )
    check_writable(Path(config.out))
    _, sets = open_checked(config, fit=False)
    content = trained.read(Path(config.checkpoint)) if config.checkpoint else None
    model = replace(config.model, expert=trained.model_config(content).expert) if content else config.model
    known = traits.named(model.expert.name)
    trainer = make_trainer(config, [], **looping(config, known))
    seed_everything(config.seed, workers=True, verbose=False)
    backbone, expert = trained.build_model(model, backbone)
    if content is None:
        card = trained.describe(model, backbone.identity, [], _run_card(config))
    else:
        card = content[KEY]
        trained.load_expert(Path(config.checkpoint), content, backbone, expert)
    task = Detect(config, backbone, expert, card)
    return _finish(config, trainer, task, DomainData(config, [], sets, backbone, traits=known), None)


def expectations(config: Config | Reasoning, folder: Path) -> int:
    """Compare a run with what its experiment expects; 1 where something was missed."""
    if not config.expect:
        return 0
    rows = [r for r in load([folder]) if r.category == ALL and not r.control]
    values = {f"{r.tested_on}.{r.level}_{r.metric}": r.value for r in rows}
    missed = 0
    for key, (low, high) in config.expect.items():
        if key not in values:
            raise UserError(registry.unknown("row for expect", key, list(values)))
        met = low <= values[key] <= high
        missed |= not met
        say(f"expect {key} in [{low:g}, {high:g}]: {values[key]:.3f}{'' if met else ', missed'}")
    return int(missed)


def _select(config: Config, trainer: Trainer, task: Detect, data: DomainData) -> None:
    """Take the epoch that is best on what was held out of the source, and the threshold that the source gives.

    An expert that is fitted by one pass remembers what it was shown, so only what was held out gives it a threshold.
    """
    fits = task.traits.fits
    how = "; ".join(filter(None, [words(config, fits), getattr(task.expert, "told", "")]))
    if fits == "never" or (fits == "once" and not data.held):
        task.card["selection"] = {"words": how}
        return
    best = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint) and c.monitor == MEASURE]
    for callback in best:
        path = Path(callback.best_model_path)
        content = trained.read(path)
        trained.load_expert(path, content, task.backbone, task.expert)
    trainer.validate(task, datamodule=data, verbose=False)
    task.card["selection"] = {"words": how} | task.measured
    if best:
        task.card["selection"] |= {"epoch": 1 + int(content["epoch"]), "epochs": config.trainer.max_epochs}


def _finish(config: Config, trainer: Trainer, task: Detect, data: DomainData, work: Path | None) -> Outcome:
    """Test where there is something to test, write the run, clear the training folder."""
    if data.test_sets:
        with told(trainer):
            trainer.test(task, datamodule=data, verbose=False)
    else:
        task.folder = report(task)
    if task.folder is None:
        return Outcome(None, None)
    if work is not None:
        shutil.rmtree(work)
    if config.beside:
        print(beside(load([task.folder]), config.beside, "markdown"))
    checkpoint = task.folder / EXPERT
    return Outcome(task.folder, checkpoint if checkpoint.exists() else None, expectations(config, task.folder))


def _run_card(config: Config) -> dict[str, Any]:
    commit, dirty = provenance.commit()
    return {
        "experiment": config.name,
        "seed": config.seed,
        "commit": commit,
        "dirty": dirty,
        "config": digest(config),
        "settings": trained.plain(asdict(config)),
    }


def _check_resume(last: Path, card: dict[str, Any]) -> None:
    """Refuse to go on where the data or the backbone have changed since the checkpoint."""
    found = trained.read(last)[KEY]
    for key in ("backbone", "expert", "trained_on"):
        if found[key] != card[key]:
            raise UserError(
                f"{last}: {key} has changed since this run was interrupted. Delete {last.parent} to restart."
            )
