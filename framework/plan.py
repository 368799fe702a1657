"""An experiment -> what it would do, in a page of text; every mistake that can be found without loading torch."""

from __future__ import annotations

from pathlib import Path

from framework import registry
from framework.config import Config
from framework.data.index import Index, open_all
from framework.errors import UserError


def plan(config: Config) -> str:
    """Validate and describe.

    Raises:
        UserError: whatever is wrong with a name, option, folder or set.
    """
    train, test = open_all(config, fit=bool(config.train))
    check_model(config)
    if config.checkpoint and not Path(config.checkpoint).is_file():
        raise UserError(f"checkpoint: no such file {config.checkpoint}.")
    o, t = config.optim, config.trainer
    model = config.model
    lines = [
        f"experiment  {config.name}, seed {config.seed}",
        f"model       {model.expert.name} on {model.backbone.name} {model.backbone.options or ''}".rstrip(),
        f"            {model.crops} crops, views pooled by {model.pool}",
        *_sets("train", train),
    ]
    if train:
        samples = sum(len(i.records) for i in train)
        steps = -(-samples // o.batch_size)
        lines.append(f"optimiser   AdamW lr {o.lr:g}, {t.max_epochs} epochs of {steps} steps of {o.batch_size} samples")
        lines.append(f"features    store.mode={config.store.mode} in {config.store.path}")
    lines += _sets("test", test)
    lines.append(f"devices     {t.accelerator} x {t.devices}, {t.num_nodes} node(s), strategy {t.strategy}")
    lines.append(f"writes      a run folder in {config.out}/")
    return "\n".join(lines)


def check_model(config: Config) -> None:
    """Names and options of backbone and expert, without building them."""
    registry.check("backbone", config.model.backbone.name, config.model.backbone.options)
    registry.check("expert", config.model.expert.name, config.model.expert.options, given=3)
    weights = config.model.expert.weights
    if weights not in ("", "embedded") and not Path(weights).expanduser().is_file():
        raise UserError(f"model.expert.weights: no such file {weights}.")


def _sets(title: str, sets: list[Index]) -> list[str]:
    lines = []
    for i, index in enumerate(sets):
        normal, anomalous = index.counts
        truth = f"{index.reader.element} truth" if index.has_truth else "labels only"
        lines.append(
            f"{title if i == 0 else '':<11} {index.name}: {index.source} in {index.config.root}, {normal} normal and "
            f"{anomalous} anomalous samples in {len(index.categories)} categories, {truth}"
        )
    return lines
