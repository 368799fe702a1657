"""An experiment -> what it would do, in a page of text; every mistake that can be found without loading torch."""

from __future__ import annotations

from pathlib import Path

from framework import protocols, registry
from framework.config import Config, DataConfig
from framework.data.index import Index, open_all
from framework.errors import UserError
from framework.files import check_writable
from framework.folds import folds, means_of
from framework.leaderboard.rows import METRICS, SCORED
from framework.models.backbones.sources import local
from framework.models.experts import embedded, traits
from framework.reading import PUBLISHED, named

_MEASURED = [(level, m) for level in SCORED for m in METRICS if level != "sample" or not m.startswith("aupro")]
FEW = 50  # optimiser steps: at the published rate of 1e-4, AdamW moves a weight by some 0.005 in as many


def plan(config: Config) -> str:
    """Validate and describe.

    Raises:
        UserError: whatever is wrong with a name, option, folder or set.
    """
    check_writable(Path(config.out))
    train, test = open_checked(config, fit=bool(config.train))
    for fold in folds(config).values() if config.one_vs_rest else ():
        open_checked(fold, fit=True)
    if config.checkpoint and not Path(config.checkpoint).is_file():
        raise UserError(f"checkpoint: no such file {config.checkpoint}.")
    t, model = config.trainer, config.model
    lines = [
        f"experiment  {config.name}, seed {config.seed}",
        f"model       {model.expert.name} on {model.backbone.name} {model.backbone.options or ''}".rstrip(),
        f"            {model.crops} crops, views pooled by {model.pool}",
        *([f"scores      {how}"] if (how := _how(config)) else []),
        f"expert      {_start(config)}",
        *_traits(config),
        *protocols.shown(config),
        *sets("train", train),
    ]
    if config.one_vs_rest:
        lines.append(f"one-vs-rest a run for each of {', '.join(config.one_vs_rest)}, and one of their means")
    if train:
        known = traits.named(model.expert.name)
        lines += _training(config, sum(len(i.records) for i in train)) if known.fits == "gradient" else []
        if config.select.by == "source" and known.fits != "never":
            share = f"{100 * config.select.share:g} % of the groups of each"
            what = "best epoch by sample AUROC" if known.fits == "gradient" else "threshold"
            lines.append(f"selects     the {what} on {share} train set, held out")
        if known.reads == "features":
            lines.append(f"features    store.mode={config.store.mode} in {config.store.path}")
    lines += sets("test", test)
    lines.append(f"devices     {t.accelerator} x {t.devices}, {t.num_nodes} node(s), strategy {t.strategy}")
    lines.append(f"writes      a run folder in {config.out}/")
    return "\n".join(lines)


def open_checked(config: Config, fit: bool) -> tuple[list[Index], list[Index]]:
    """Train and test sets of an experiment, after everything that can be wrong without loading torch was looked at.

    Raises:
        UserError: as ``plan``, but for the checkpoint.
    """
    check_names(config, fit)
    train, test = open_all(config, fit)
    check_weights(config, fit)
    _check_measured(config, test)
    return train, test


def check_names(config: Config, fit: bool = True) -> None:
    """Every name and option of an experiment, without its data: no folder is looked at.

    Args:
        config: the experiment.
        fit: whether the train sets count.

    Raises:
        UserError: an unknown domain, dataset, backbone, expert, option or number to expect; a value of another type.
    """
    registry.load_plugins(config.plugins)
    protocols.check(config)
    if config.beside:
        named(PUBLISHED, config.beside)
    for part in ("train", "test") if fit else ("test",):
        for name, data in getattr(config, part).items():
            try:
                _check_set(data)
            except UserError as error:
                raise type(error)(f"{part}.{name}: {error}") from None
    expert = config.model.expert
    registry.check("backbone", config.model.backbone.name, config.model.backbone.options)
    registry.check("expert", expert.name, expert.options, given=traits.given(expert.name))
    for key, value in expert.options.items():
        if type(value) is int and value < 1:
            raise UserError(f"model.expert.options.{key}: a size is 1 or more, not {value}.")
    if fit or not config.checkpoint:  # else the checkpoint has its own
        embedded.options(expert)
    known = [f"{name}.{level}_{metric}" for name in means_of(config).values() for level, metric in _MEASURED]
    for key in config.expect:
        if key not in known:
            raise UserError(registry.unknown("number to expect", key, known))


def check_weights(config: Config, fit: bool = True) -> None:
    """The files that the model starts from, where they are named by a path. What a hub has cannot be known here.

    Args:
        config: the experiment.
        fit: whether it trains; a test takes the expert from the checkpoint, where there is one.
    """
    backbone = config.model.backbone
    weights = backbone.options.get("weights")
    ours = registry.get("backbone", backbone.name).__module__.startswith("framework.")  # else it may be no folder
    if ours and weights is not None:
        local(backbone.name, weights)
    weights = config.model.expert.weights if fit or not config.checkpoint else ""
    if weights not in ("", "embedded") and not Path(weights).expanduser().is_file():
        raise UserError(f"model.expert.weights: no such file {weights}.")


def _check_set(data: DataConfig) -> None:
    registry.load_domain(data.domain)
    registry.build("domain", data.domain, **data.reader)  # readers judge the values of their options when made
    registry.check("dataset", f"{data.domain}/{data.dataset}", data.options, given=2)


def _check_measured(config: Config, test: list[Index]) -> None:
    """Refuse to expect a number that its set cannot give, which would show only when all is done."""
    for index in test:
        classes = [{r.anomalous for r in index.records if r.category == c} for c in index.categories]
        lacking = {
            "sample": "" if any(len(found) == 2 for found in classes) else "no category with both classes",
            "element": "" if index.has_truth else f"no {index.reader.element} truth",
            "grid": "" if index.has_truth else f"no {index.reader.element} truth",
        }
        for level, metric in _MEASURED:
            key = f"{index.name}.{level}_{metric}"
            if key in config.expect and lacking[level]:
                raise UserError(f"expect.{key}: {index.name} has {lacking[level]}, so there will be no such number.")


def _how(config: Config) -> str:
    """What is done to the maps and scores of views after the expert; "" for nothing."""
    model, parts = config.model, []
    if model.smooth:
        on = f" of a map of {model.smooth_on}" if model.smooth_on else ""
        parts.append(f"maps of views smoothed by a Gaussian of {model.smooth:g} pixels{on}")
    if model.score != "own":
        parts.append(f"score of a view: {model.score}")
    return ", ".join(parts)


def _start(config: Config) -> str:
    """What the expert starts from, and its options where it has any."""
    if config.checkpoint and not config.train:
        return f"the one in {config.checkpoint}"
    expert = config.model.expert
    fits = traits.named(expert.name).fits
    if fits != "gradient" and not expert.weights:
        how = "fitted by one pass over the train sets" if fits == "once" else "nothing to train"
        return f"{how}, options {dict(expert.options)}" if expert.options else how
    start = f"starts from {expert.weights}" if expert.weights else f"starts anew, drawn with seed {config.seed}"
    found = embedded.options(expert)
    shown = f"{start}, options {found}" if found else start
    return f"`test` takes it from {config.checkpoint}; in `fit` it {shown}" if config.checkpoint else shown


def _traits(config: Config) -> list[str]:
    """What sets an expert apart from the others; of a checkpoint only its file knows."""
    known = traits.Traits() if config.checkpoint and not config.train else traits.named(config.model.expert.name)
    lines = []
    if known.transductive:
        lines.append(
            "            transductive: it sees all samples of a test set before it scores one, and rows say so"
        )
    if known.reads == "pixels":
        lines.append("            reads pixels: no features are stored")
    return lines


def _training(config: Config, samples: int) -> list[str]:
    """How long it trains, and a warning where that is too short to change the expert."""
    o, t = config.optim, config.trainer
    steps = -(-samples // o.batch_size)
    lines = [f"optimiser   AdamW lr {o.lr:g}, {t.max_epochs} epochs of {steps} steps of {o.batch_size} samples"]
    limit = t.limit_train_batches
    batches = min(steps, limit) if isinstance(limit, int) else int(steps * limit)
    total = t.max_epochs * -(-batches // t.accumulate_grad_batches)
    if total < FEW:
        lines.append(
            f"few         {total} step{'' if total == 1 else 's'} in all: lower optim.batch_size or raise "
            "trainer.max_epochs, or the expert stays as it started"
        )
    return lines


def sets(title: str, found: list[Index]) -> list[str]:
    """A line for each set: what it is, where, and how large."""
    lines = []
    for i, index in enumerate(found):
        normal, anomalous = index.counts
        truth = f"{index.reader.element} truth" if index.has_truth else "labels only"
        lines.append(
            f"{title if i == 0 else '':<11} {index.name}: {index.source} in {index.config.root}, {normal} normal and "
            f"{anomalous} anomalous samples in {len(index.categories)} categories, {truth}"
        )
    return lines
