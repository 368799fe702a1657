"""A transfer matrix -> its cells, what they cost, and every mistake that shows without loading torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from framework import protocols
from framework.data.index import Index
from framework.errors import UserError
from framework.files import check_writable
from framework.leaderboard.finished import finished, follows
from framework.models.experts import traits
from framework.plan import check_names, check_weights, open_checked, sets
from framework.transfer import Cell, Transfer, cells


def plan(matrix: Transfer) -> str:
    """Validate and describe.

    Raises:
        UserError: whatever is wrong with a name, option, folder or set of any cell.
    """
    every = cells(matrix)
    check_writable(Path(matrix.out))
    train, test = opened(every)
    there = _there(Path(matrix.out))
    done = sum(cell.key in there for cell in every)
    without = any(not traits.named(cell.config.model.expert.name).seeded or not cell.trains for cell in every)
    lines = [f"matrix      {matrix.name}, {len(every)} cells" + (f", {done} of them in {matrix.out}/" if done else "")]
    for i, name in enumerate(matrix.methods):
        own = [cell for cell in every if cell.config.name == f"{matrix.name}-{name}"]
        model = own[0].config.model
        how = f"{len(own)} cells" if own[0].trains else "1 cell, not trained"
        lines.append(f"{'' if i else 'methods':<11} {name}: {model.expert.name} on {model.backbone.name}, {how}")
    lines += protocols.shown(every[0].config)
    alone = "; what is not drawn has the first alone" if without and len(matrix.seeds) > 1 else ""
    lines.append(f"seeds       {', '.join(map(str, matrix.seeds))}{alone}")
    if matrix.leave_one_domain_out:
        lines.append("trains on   all sources of the other domains, and tests on the targets of the one left out")
    lines += sets("sources", train) + sets("targets", test)
    lines += _costs(every, train, test)
    lines.append(f"writes      a run folder for each cell, leaderboard.md and leaderboard.html in {matrix.out}/")
    return "\n".join(lines)


def opened(every: list[Cell]) -> tuple[list[Index], list[Index]]:
    """All sources and targets, once each, after every combination of method and training sets was looked at.

    Raises:
        UserError: as ``plan``.
    """
    train: dict[str, Index] = {}
    test: dict[str, Index] = {}
    for config in {cell.config.name: cell.config for cell in every}.values():
        check_names(config)
        check_weights(config)
    for cell in {(tuple(cell.config.train), tuple(cell.config.test)): cell for cell in every}.values():
        try:
            found = open_checked(replace(cell.config, expect={}), fit=cell.trains)
        except UserError as error:
            raise type(error)(f"{cell.name.rpartition(', ')[0]}: {error}") from None
        train |= {index.name: index for index in found[0]}
        test |= {index.name: index for index in found[1]}
    return list(train.values()), list(test.values())


def _costs(every: list[Cell], train: list[Index], test: list[Index]) -> list[str]:
    """How many samples have to be encoded once, and how many features, or pixels, the training and the tests read."""
    sizes = {("train", i.name): len(i.records) for i in train} | {("test", i.name): len(i.records) for i in test}
    encoded = {repr(i.config): len(i.records) for i in (*train, *test)}  # a set that is both is encoded once
    passes = {"features": 0, "pixels": 0}
    for cell in every:
        known = traits.named(cell.config.model.expert.name)
        epochs = cell.config.trainer.max_epochs + 1 if known.fits == "gradient" else 1  # one more for the threshold
        passes[known.reads] += epochs * sum(sizes["train", name] for name in cell.config.train)
        passes[known.reads] += sum(sizes["test", name] for name in cell.config.test)
    store = every[0].config.store
    kept = "are stored" if store.mode != "never" and store.test else "of targets are not stored: set store.test=true"
    lines = [
        f"costs       {sum(encoded.values())} samples to encode, whose features {kept}; then over all cells "
        f"{passes['features']} samples of features to read"
    ]
    if passes["pixels"]:
        lines.append(f"            and {passes['pixels']} samples of pixels, which the tower is run on each time")
    return lines


def _there(out: Path) -> set[str]:
    """Digests of the experiments that have a run."""
    return {run.get("config", "") for folder, run in finished(out) if follows(run, folder)}
