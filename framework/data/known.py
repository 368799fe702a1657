"""Names of what was trained on and of a set under test -> the overlaps of these that are published. Loads no torch.

The table is ``known.yaml``. Content finds more, but not where weights come without hashes of what they learned from, as
published ones do. A name is no proof: who calls other data "mvtec" is told of an overlap that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import permutations, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from framework.data.index import Index

LAYOUTS = ("mvtec",)  # datasets that are called as a set is, but read every folder in its layout


def known(origins: Iterable[Mapping[str, Any]], index: Index, weights: str = "") -> str:
    """What is published of an overlap of the training sets with a set, "" for nothing.

    Args:
        origins: ``Origin`` as dicts, of a checkpoint.
        index: the set under test.
        weights: file or folder that the model begins from, where its training began elsewhere; "" for none.
    """
    tested = names(index.name, index.config.dataset, index.config.root)
    trained = {name for o in origins for name in names(o["name"], o["source"], o.get("root", ""))}
    return between(trained | behind(weights), tested)


def between(trained: Iterable[str], tested: Iterable[str]) -> str:
    """The same of sets by the names that ``known.yaml`` gives them."""
    left, right = set(trained), set(tested)
    found = []
    for entry in table()["overlaps"]:
        pairs = list(permutations(entry.get("sets", ()), 2)) or product(entry["trained"], entry["tested"])
        if any(a in left and b in right for a, b in pairs):
            found.append(entry["told"])
    return "; ".join(found)


def names(name: str, dataset: str, root: str) -> set[str]:
    """What a set is called in ``known.yaml``: nothing, or one or more names.

    Args:
        name: in the experiment, several joined by " + ".
        dataset: its reader, with or without the domain.
        root: its folder.
    """
    reader = dataset.rpartition("/")[2]
    words = {_plain(word) for word in (*name.split(" + "), Path(root).name, "" if reader in LAYOUTS else reader)}
    return {known for known, aliases in table()["sets"].items() if words & set(map(_plain, aliases))}


def behind(weights: str) -> set[str]:
    """What weights were trained on that are published without saying so, by the name of their file or folder."""
    path = Path(weights)
    words = {_plain(path.name), _plain(path.stem)}
    return {known for known, aliases in table()["weights"].items() if words & set(map(_plain, aliases))}


@cache
def table() -> dict[str, Any]:
    """What ``known.yaml`` says."""
    found: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
