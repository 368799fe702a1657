"""A YAML file of sources, targets, methods and seeds -> the cells of a transfer matrix. Loads no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from framework import registry
from framework.checks import check_values
from framework.config import (
    BackboneConfig,
    Config,
    DataConfig,
    ExpertConfig,
    ModelConfig,
    OptimConfig,
    SelectConfig,
    StoreConfig,
    TrainerConfig,
    digest,
)
from framework.errors import UserError
from framework.models.experts import traits
from framework.reading import changed, load_as

ARRAY = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP", "SLURM_ARRAY_TASK_COUNT")


@dataclass
class MethodConfig:
    """One line of methods: how it differs from the file's own ``model``, ``optim`` and ``trainer``."""

    model: dict[str, Any] = field(default_factory=dict)  # another expert's or backbone's name drops the other's options
    optim: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    train: bool = True  # false: it needs no source, so it has one cell; so has an expert with nothing to train
    exclude: list[str] = field(default_factory=list)  # targets that it is not tested on


@dataclass
class Transfer:
    """A matrix: every method, trained on every source with every seed, and tested on every target."""

    name: str = MISSING  # of the matrix; an experiment is called name-method
    protocol: str = ""  # these keys as in ``Config``
    model: ModelConfig = field(default_factory=ModelConfig)
    sources: dict[str, DataConfig] = field(default_factory=dict)
    targets: dict[str, DataConfig] = field(default_factory=dict)
    methods: dict[str, MethodConfig] = field(default_factory=dict)
    seeds: list[int] = field(default_factory=lambda: [0])
    leave_one_domain_out: bool = False  # train on all sources of the other domains, test on the targets of the one left
    optim: OptimConfig = field(default_factory=OptimConfig)
    select: SelectConfig = field(default_factory=SelectConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    workers: int = 0
    test_batch_size: int = 8
    out: str = "runs"
    plugins: list[str] = field(default_factory=list)
    averaging: str = "category"
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One training (or none) and the tests on all its targets: one run folder.

    Attributes:
        name: for the user, as "look_twice from plates, seed 0".
        config: the experiment.
        trains: whether there is something to train.
    """

    name: str
    config: Config
    trains: bool

    @property
    def key(self) -> str:
        """The digest of its experiment, by which its run is known."""
        return digest(self.config)


def load(path: Path, overrides: list[str]) -> Transfer:
    """Read a matrix and check every key and value, of all its cells too.

    Raises:
        UserError: names the file, the key, and what to write.
    """
    found: Transfer = load_as(Transfer, path, overrides)
    registry.load_plugins(found.plugins)
    for key in ("sources", "targets", "methods", "seeds"):
        if not getattr(found, key) and (key != "sources" or any(_trains(found, name) for name in found.methods)):
            raise UserError(f"{path}: {key}: names nothing, so the matrix has no cell.")
    if len(set(found.seeds)) < len(found.seeds):
        raise UserError(f"{path}: seeds: names one twice: {found.seeds}.")
    for name in found.methods:
        if not re.fullmatch(r"[A-Za-z0-9][\w.=+-]*", name):
            raise UserError(f"{path}: methods: {name!r} names folders; use letters, digits and . _ - = + only.")
        for target in found.methods[name].exclude:
            if target not in found.targets:
                raise UserError(f"{path}: methods.{name}.exclude: no target called {target!r}.")
    for cell in cells(found):
        check_values(cell.config, path)
    return found


def cells(matrix: Transfer) -> list[Cell]:
    """Every cell, methods outermost, then sources, then seeds; what has no chance in it has the first seed alone.

    Raises:
        UserError: a method changes a key that is not there, or has an expert that is not; nothing is left to train on
            for a domain, or to test a method on.
    """
    found = []
    for name in matrix.methods:
        base = _experiment(matrix, name)
        if not _trains(matrix, name):
            config = replace(base, seed=matrix.seeds[0], test=_tested(matrix, name, matrix.targets))
            found.append(Cell(f"{name}, not trained", config, False))
            continue
        seeds = matrix.seeds if traits.named(base.model.expert.name).seeded else matrix.seeds[:1]
        for source, train, targets in _pairs(matrix):
            test = _tested(matrix, name, targets)
            for seed in seeds:
                config = replace(base, seed=seed, train=train, test=test)
                found.append(Cell(f"{name} from {source}, seed {seed}", config, True))
    return found


def part(found: list[Cell], number: int, of: int) -> list[Cell]:
    """Every ``of``-th cell from the ``number``-th, which counts from 1: all parts together are all cells, each once.

    Raises:
        UserError: there is no such part.
    """
    if not 1 <= number <= of:
        raise UserError(f"--part {number}/{of}: the first number goes from 1 to the second.")
    return found[number - 1 :: of]


def array(environment: Mapping[str, str]) -> tuple[int, int]:
    """The part that is a SLURM job array's task, (1, 1) outside of one.

    Raises:
        UserError: the tasks are not numbered in even steps.
    """
    if "SLURM_ARRAY_TASK_ID" not in environment:
        return 1, 1
    own, first, step, count = (int(environment.get(name, "1")) for name in ARRAY)
    number = (own - first) // max(1, step) + 1
    if (own - first) % max(1, step) or number > count:
        raise UserError(f"SLURM array: task {own} of {count} from {first}; number them in even steps, as --array=1-8.")
    return number, count


def _trains(matrix: Transfer, name: str) -> bool:
    """Whether a method has a cell for each source: it is trained, and there is something to train."""
    expert = _experiment(matrix, name).model.expert.name
    try:
        return matrix.methods[name].train and traits.named(expert).fits != "never"
    except UserError as error:
        raise type(error)(f"methods.{name}: {error}") from None


def _experiment(matrix: Transfer, name: str) -> Config:
    """What all cells of a method share."""
    where, method = f"methods.{name}", matrix.methods[name]
    model = matrix.model
    expert, backbone = method.model.get("expert"), method.model.get("backbone")
    if isinstance(expert, dict) and expert.get("name", model.expert.name) != model.expert.name:
        model = replace(model, expert=ExpertConfig())
    if isinstance(backbone, dict) and backbone.get("name", model.backbone.name) != model.backbone.name:
        model = replace(model, backbone=BackboneConfig())
    return Config(
        name=f"{matrix.name}-{name}",
        protocol=matrix.protocol,
        model=changed(model, method.model, f"{where}.model"),
        optim=changed(matrix.optim, method.optim, f"{where}.optim"),
        trainer=changed(matrix.trainer, method.trainer, f"{where}.trainer"),
        select=matrix.select,
        store=matrix.store,
        workers=matrix.workers,
        test_batch_size=matrix.test_batch_size,
        out=matrix.out,
        plugins=matrix.plugins,
        averaging=matrix.averaging,
    )


def _tested(matrix: Transfer, name: str, targets: dict[str, DataConfig]) -> dict[str, DataConfig]:
    """The targets that a method is tested on."""
    kept = {target: data for target, data in targets.items() if target not in matrix.methods[name].exclude}
    if not kept:
        raise UserError(f"methods.{name}.exclude: nothing is left to test on of {', '.join(targets)}.")
    return kept


def _pairs(matrix: Transfer) -> Iterator[tuple[str, dict[str, DataConfig], dict[str, DataConfig]]]:
    """What is trained on, in words and as sets, and what is tested then."""
    if not matrix.leave_one_domain_out:
        for name, data in matrix.sources.items():
            yield name, {name: data}, dict(matrix.targets)
        return
    for domain in dict.fromkeys(data.domain for data in matrix.targets.values()):
        train = {name: data for name, data in matrix.sources.items() if data.domain != domain}
        if not train:
            raise UserError(f"leave_one_domain_out: every source is {domain}, so nothing is left to train on for it.")
        yield f"all but {domain}", train, {n: data for n, data in matrix.targets.items() if data.domain == domain}
