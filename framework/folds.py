"""An experiment with ``one_vs_rest`` -> one experiment a class, and the names its means are given. Loads no torch."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from framework.config import Config, DataConfig
from framework.errors import UserError

REST = "without"


def folds(config: Config) -> dict[str, Config]:
    """One experiment a class of ``one_vs_rest``: trained on that class alone, and tested without it.

    A test set that is a train set too (same domain, dataset and folder) is tested on its other classes, under a name of
    its own, since its files are others; any other test set is tested whole: that is cross-set transfer. This is the
    protocol of PointAD (zqhang/PointAD train.sh, test.sh, test_cross_dataset.sh), whose numbers are means of three.

    Raises:
        UserError: no train set to take classes of, or a class twice.
    """
    if len(set(config.one_vs_rest)) < len(config.one_vs_rest):
        raise UserError(f"experiment {config.name}: one_vs_rest names a class twice: {', '.join(config.one_vs_rest)}.")
    if not config.train:
        raise UserError(f"experiment {config.name}: one_vs_rest needs a set under train, whose classes it names.")
    return {category: _fold(config, category) for category in config.one_vs_rest}


def means_of(config: Config) -> dict[str, str]:
    """Each test set's name, and the one under which the mean over the folds stands."""
    return {
        name: f"{name}, one-vs-rest" if config.one_vs_rest and _place(data) in _sources(config) else name
        for name, data in config.test.items()
    }


def _fold(config: Config, category: str) -> Config:
    train = {f"{name} {category}": replace(data, categories=[category]) for name, data in config.train.items()}
    test = {}
    for name, data in config.test.items():
        rest = _place(data) in _sources(config)
        left = replace(data, exclude=[*data.exclude, category]) if rest else data
        test[name_of(name, category) if rest else name] = left
    slug = re.sub(r"[^A-Za-z0-9]+", "-", category).strip("-")
    return replace(config, name=f"{config.name}-{slug}", train=train, test=test, one_vs_rest=[], expect={})


def name_of(name: str, category: str) -> str:
    """Of a test set without the class that was trained on."""
    return f"{name} {REST} {category}"


def _sources(config: Config) -> set[tuple[str, str, str]]:
    return {_place(data) for data in config.train.values()}


def _place(data: DataConfig) -> tuple[str, str, str]:
    return data.domain, data.dataset, str(Path(data.root).expanduser().resolve())
